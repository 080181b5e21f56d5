"""Chains on devices: every step asked, the first that differs named; on py:, so: and cmd:, where they declare what it takes."""

from __future__ import annotations

import sys

import pytest

from golden.spec.errors import ParameterError
from qgru.cli import main
from tests.verification.dut_cases import DEVICES
from tests.verification.test_dut_examples import DUT, library  # noqa: F401 - a fixture
from vectors.chain import INPUTS
from vectors.chain_case import ChainCase, chain_case
from vectors.draw import Draw
from vectors.plan import sets
from vectors.plan.chains import REQUANTIZE
from vectors.writer import write_set
from verification.dut.builtin import Builtin
from verification.dut.capabilities import Capabilities
from verification.dut.chain import chain_of, missing
from verification.dut.device import resolve
from verification.dut.examine import check

STEPS = 3000
W = -(2**61) + 12345


def chains() -> dict[str, ChainCase]:
    """A short chain of every kind."""
    out = {}
    for name in ("ties_up", "ties_away", "ties_even"):
        out[name] = chain_case(f"chain-{name}", name, {}, STEPS, 1000, [W])
    out["requantize"] = chain_case("chain-requantize", "requantize", REQUANTIZE["int8"], STEPS, 1000, [W])
    out["ema"] = chain_case("chain-ema", "ema", {}, STEPS, 1000, [0xBF800000, 0x3F800000, W])
    for name, make in (("mshift_cell", sets.mshift), ("pot_cell", sets.pot)):
        draw = Draw(0, name)
        params, inputs = make(draw, 3, 1), draw.mixed(8, True, INPUTS * 3).reshape(INPUTS, 3)
        out[name] = chain_case(f"chain-{name}", name, {}, STEPS, 1000, [5, W], params, inputs)
    return out


CHAINS = chains()


def checked(spec, cases=()):
    with resolve(spec, 60) as device:
        return {o.case.chain: o for o in check(device, cases or CHAINS.values())}


def test_golden_walks_every_chain():
    found = checked(f"py:{DEVICES}:Golden")
    assert {name: o.outcome for name, o in found.items()} == dict.fromkeys(CHAINS, "equal")
    assert {name: o.compared for name, o in found.items()} == {**dict.fromkeys(CHAINS, STEPS), "ema": 2 * STEPS}


def test_a_shared_library_walks_what_it_declares(library):  # noqa: F811
    found = checked(f"so:{library}")
    assert {name: o.outcome for name, o in found.items()} == {**dict.fromkeys(CHAINS, "equal"), "ema": "not run"}
    assert found["ema"].detail == "the step ema is not declared"


def test_a_pipe_walks_what_it_declares():
    found = checked(f"cmd:{sys.executable} {DUT / 'pipe.py'}")
    declared = {"ties_up", "requantize"}
    assert {name for name, o in found.items() if o.outcome == "equal"} == declared
    assert {name for name, o in found.items() if o.outcome == "not run"} == set(CHAINS) - declared


def test_the_first_step_that_differs_is_named(tmp_path, capsys):
    write_set(tmp_path / "set", [CHAINS["requantize"], CHAINS["mshift_cell"], CHAINS["ties_even"]], seed=0, version="0")
    spec = f"py:{DEVICES}:WrongLater"
    assert main(["check", "--dut", spec, str(tmp_path / "set")]) == 1
    text = capsys.readouterr().err
    for name, case in (("requantize", CHAINS["requantize"]), ("mshift_cell", CHAINS["mshift_cell"])):
        assert f"chain {name}" in text and f"replay: qgru check --dut {spec} {tmp_path / 'set'} --case {case.id}" in text
    assert "q [SPEC M-5] after step 1234 of 3000, in block 1" in text
    assert "h'[0] [SPEC GM-3] after step 1234 of 3000, in block 1" in text
    assert text.count("difference 1\n") == 2 and "the 1234 steps before it are equal; 1 of the 3000" in text
    assert "FAILED" in text and "ties_even" not in text.split("FAILED")[0]


@pytest.mark.parametrize(
    ("device", "outcome", "column"),
    [("States", "equal", ""), ("WrongOutput", "differs", "output[0]"), ("WrongInitial", "differs", "h[0]")],
)
def test_outputs_and_initial_states_of_a_cell_are_compared_too(device, outcome, column):
    found = checked(f"py:{DEVICES}:{device}", (CHAINS["mshift_cell"],))["mshift_cell"]
    assert (found.outcome, found.comparison.column) == (outcome, column)


def test_checkpoints_that_are_not_golden_s_are_refused():
    good = CHAINS["ties_up"]
    bad = ChainCase("bad", "ties_up", {}, STEPS, 1000, good.start, good.states + 1, good.digests)
    with pytest.raises(ParameterError, match="case bad checkpoints is others than golden's"):
        checked(f"py:{DEVICES}:Golden", (bad,))


def test_a_chain_without_its_trajectory_is_walked_again():
    c = CHAINS["ties_up"]
    plain = ChainCase(c.id, c.chain, {}, STEPS, 1000, c.start, c.states, c.digests)
    assert plain.trajectory is None and checked(f"py:{DEVICES}:Golden", (plain,))["ties_up"].outcome == "equal"


def test_limits_are_kept():
    few = Capabilities("few", steps={"ties_up": None}, limits={"rows": 63, "N": 10})
    assert missing("ties_up", few) == "rows is declared at most 63, a chain takes 64 at once"
    assert missing("pot_cell", few) == "N is declared at most 10, a chain takes 64 at once"
    some = Capabilities("some", steps={"ties_up": None}, datapaths={"pot": None}, limits={"rows": 100})
    assert missing("ties_up", some) is None
    assert missing("pot_cell", some) == "h0 is not declared"
    stage = Capabilities("stage", datapaths={"pot": ("z",), "mshift": ("z", "output")}, options=frozenset({"h0"}))
    assert missing("pot_cell", stage) == "neither h nor output of the datapath pot is promised"
    assert missing("mshift_cell", stage) is None


def test_the_built_in_set_has_the_chains_when_asked():
    ids = set(Builtin(chains=True)) - set(Builtin())
    assert len(ids) == 9 and {chain_of(id) for id in ids} == set(CHAINS)
