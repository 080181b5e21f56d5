"""qgru check: a set that is right, one that is wrong in its codes, one that is damaged."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden.sequence import forward
from qgru.cli import main
from tests.verification.small import dynamic_set, mshift_set, pot_set
from vectors.case import case_from_trace
from vectors.generate import make, planned
from vectors.step_case import StepCase
from vectors.steps import run_step, to_bits
from vectors.writer import write_set
from verification.replay import TWIN_STEPS, replay, twin_step

ROOT = Path(__file__).parents[2]
X = np.arange(12).reshape(3, 2, 2) - 6


def cases():
    for name, params, x in (("m", mshift_set(), X), ("d", dynamic_set(), X.astype(np.float32)), ("p", pot_set(), X)):
        yield case_from_trace(name, params, x, None, forward(params, x), group="small")


@pytest.fixture
def folder(tmp_path):
    write_set(tmp_path / "set", cases(), seed=0, version="0")
    return tmp_path / "set"


def test_a_right_set(folder, capsys):
    assert main(["check", str(folder), "--device", "host"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["small", "3"]
    assert " 0 mismatches, golden and the twin on host" in lines[2]


def test_json_and_a_chosen_case(folder, capsys):
    assert main(["check", str(folder), "--device", "host", "--json", "--case", "p", "--case", "p"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["equal"], found["mismatches"], [c["case"] for c in found["cases"]]) == (True, 0, ["p"])
    assert found["compared"] == 2 * forward(pot_set(), X).codes
    assert main(["check", str(folder), "--case", "nothing"]) == 2
    assert "--case is 'nothing', expected a case of the set" in capsys.readouterr().err


def test_wrong_codes_are_a_mismatch_with_a_report(tmp_path, capsys):
    trace = forward(pot_set(), X)
    fields = {name: array.copy() for name, array in trace.items()}
    fields["P_acc"][1, 0, 1] += 1
    wrong = case_from_trace("w", pot_set(), X, None, replace(trace, fields=fields), group="small")
    write_set(tmp_path / "set", [wrong], seed=0, version="0")
    assert main(["check", str(tmp_path / "set"), "--device", "host"]) == 1
    printed = capsys.readouterr()
    assert "2 mismatches" in printed.out
    report = printed.err.splitlines()
    assert report[0] == "MISMATCH golden against vectors, datapath pot"
    assert report[1] == "  stage P_acc [SPEC GP-4], t = 1, n = 0, unit = 1"
    right = int(trace["P_acc"][1, 0, 1])
    assert report[2].split() == ["golden", str(right), f"(0x{right % 2**64:016x})"]
    assert report[3].endswith("difference -1")
    product = int(trace["P_prod"][1, 0, 1])
    assert report[4] == f"  operands: P_prod = {product}"
    assert report[5] == f"  before rounding: {product} (0x{product % 2**64:016x}) >> 8, ties_away"
    assert report[6].endswith("1 with equal operands, 0 as a consequence")
    assert f"  replay: qgru check {tmp_path / 'set'} --case w --device host" in report
    assert any(line.startswith("MISMATCH twin against vectors") for line in report)


STEP_INPUTS = {
    "requantize": ({"M": 3, "s": 1, "zp": 2, "bits": 8, "signed": 1}, {"v": np.array([1, -1, 200, -3])}),
    "quantize_reciprocal": (
        {"zp": 0, "bits": 8, "signed": 1},
        {"v": to_bits([1.0, -0.5, 0.05]), "scale": to_bits([0.1, 1.0, 0.1])},
    ),
    "mshift_hidden": (
        {"M_gh": 5, "s_gh": 3, "M_one": 2064, "s_one": 18, "zp": 0},
        {"z": np.array([0, 127]), "g": np.array([-127, 5]), "h": np.array([3, -128])},
    ),
}


def step_case(name: str, change: str | None = None) -> StepCase:
    """A step with golden's outputs, or with one of them changed."""
    constants, inputs = STEP_INPUTS[name]
    outputs = run_step(name, constants, inputs)
    if change is not None:
        outputs[change] = outputs[change] + np.arange(len(outputs[change])) % 2
    return StepCase(id=name, group=name, step=name, constants=constants, inputs=inputs, outputs=outputs)


def test_steps_are_replayed_on_golden_and_where_it_has_them_on_the_twin(tmp_path, capsys):
    write_set(tmp_path / "set", [step_case(name) for name in STEP_INPUTS], seed=0, version="0")
    assert main(["check", str(tmp_path / "set"), "--device", "host", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["cases"]
    found = {r["case"]: (r["kind"], r["compared"], r["golden"], r["twin"]) for r in rows}
    assert found == {
        "requantize": ("step", 8, 0, 0),
        "quantize_reciprocal": ("step", 12, 0, 0),
        "mshift_hidden": ("step", 8, 0, None),
    }


def test_a_wrong_step_is_a_mismatch_of_both(tmp_path, capsys):
    write_set(tmp_path / "set", [step_case("requantize", "q")], seed=0, version="0")
    assert main(["check", str(tmp_path / "set"), "--device", "host"]) == 1
    printed = capsys.readouterr()
    assert "4 mismatches" in printed.out
    assert "MISMATCH golden against vectors, step requantize" in printed.err
    assert "MISMATCH twin against vectors, step requantize" in printed.err
    assert "  golden   1 (0x01)" in printed.err and "  vectors  2 (0x02), difference -1" in printed.err


def test_every_step_of_the_twin_gives_the_recorded_bits():
    cases = [case for case in make(planned(1), 0) if isinstance(case, StepCase)]
    ran = {case.step for case in cases if twin_step(case, "host") is not None}
    assert ran == {*TWIN_STEPS, "quantize_reciprocal"}
    for case in cases:
        found = replay(case, "host", "")
        assert found.equal, found.reports


def damage_bit(folder: Path) -> None:
    data = bytearray((folder / "m.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "m.npz").write_bytes(data)


def damage_truncated(folder: Path) -> None:
    (folder / "p.npz").write_bytes((folder / "p.npz").read_bytes()[:-10])


def damage_pickle(folder: Path) -> None:
    (folder / "m.npz").write_bytes(pickle.dumps({"x": 1}))


def damage_manifest(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"mshift"', '"mshjft"', 1))


def damage_missing(folder: Path) -> None:
    (folder / "d.npz").unlink()


def damage_not_json(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"\x80\x04")


@pytest.mark.parametrize(
    "damage", [damage_bit, damage_truncated, damage_pickle, damage_manifest, damage_missing, damage_not_json]
)
def test_a_damaged_set_is_refused_in_one_sentence(damage, folder):
    damage(folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    command = [sys.executable, "-m", "qgru", "check", str(folder), "--device", "host"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("qgru: ") and run.stderr.count("\n") == 1 and "Traceback" not in run.stderr
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_what_is_no_set_is_refused(tmp_path, capsys):
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert main(["check", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("qgru: ") == 2
