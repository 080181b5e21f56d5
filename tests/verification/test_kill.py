"""The kill matrix: what a case finds, step cases against the clauses, covers, the command and its distilled set."""

from __future__ import annotations

import json

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.trace import Trace
from qgru.cli import main
from vectors.case import case_from_trace
from vectors.generate import make, planned
from vectors.lint import lint
from vectors.reader import open_set
from vectors.step_case import StepCase
from vectors.writer import write_set
from verification.deviations.catalogue import CATALOGUE, of_datapath
from verification.deviations.steps import RIGHT
from verification.kill.cover import cover
from verification.kill.matrix import Matrix, found_by, matrix, pairs_of, sizes
from verification.kill.properties import drawn, found_by_properties
from verification.kill.runs import found_by_run
from verification.kill.steps import UNITS, found_by_step
from verification.kill.table import rows

CHOSEN = (
    "requantize-s18-odd-int16-high",
    "pot-reset-path-away-right-8-8-above",
    "chain-ties-even",
    "sequence-mshift-mask-reverse",
    "sequence-pot-zoneout-0.1",
    "sequence-dynamic-empty",
)


@pytest.fixture(scope="module")
def cases():
    """The step cases of level 1 and a few others, by id."""
    left_out = ("cell", "sequence", "chain", "corner", "refus", "error")
    items = [i for i in planned(1) if i.id in CHOSEN or not i.id.startswith(left_out)]
    return {case.id: case for case in make(items, 0)}


@pytest.fixture(scope="module")
def folder(cases, tmp_path_factory):
    path = tmp_path_factory.mktemp("kill") / "set"
    write_set(path, (cases[id] for id in CHOSEN), seed=0, version="1.0")
    return path


def test_without_a_deviation_the_units_give_every_step_case(cases):
    steps = [case for case in cases.values() if isinstance(case, StepCase)]
    tried = 0
    for case in steps:
        if case.step in UNITS:
            with np.errstate(all="ignore"):
                values = UNITS[case.step].compute(RIGHT, case)
            for name in UNITS[case.step].outputs:
                assert np.array_equal(np.asarray(values[name]).reshape(-1), case.outputs[name]), (case.id, name)
                tried += 1
    assert tried > 700
    assert {case.step for case in steps} - set(UNITS) == {"dequantize"}


@pytest.mark.parametrize(
    ("id", "datapath", "found", "not_found"),
    [
        ("requantize-s18-odd-int16-high", "mshift", {"floors", "zero-point-left-out", "wraps"}, {"floors@requantize-r"}),
        ("sequence-mshift-mask-reverse", "mshift", {"zoneout-mask-inverted", "reverse-runs-forward", "floors@requantize-r"},
         {"zoneout-blend-inverted", "h0-ignored"}),
        ("sequence-pot-zoneout-0.1", "pot", {"h0-ignored", "truncates"}, {"missing-h0-is-code-0", "reverse-runs-forward"}),
        ("chain-ties-even", "pot", {"ties-up", "truncates"}, {"truncates@requantize-Wx", "wraps"}),
        ("pot-reset-path-away-right-8-8-above", "pot", {"reset-inverted", "truncates"}, {"reset-before-product"}),
    ],
)  # fmt: skip
def test_what_a_case_finds(cases, id, datapath, found, not_found):
    names = {name for name, _ in found_by(cases[id], pairs_of())}
    assert {k for _, k in found_by(cases[id], pairs_of())} <= {datapath, *(("mshift-dynamic",) if id.startswith("req") else ())}
    assert found <= names and not not_found & names


def test_a_run_without_steps_finds_what_is_in_its_start(cases):
    names = found_by_run(cases["sequence-dynamic-empty"], of_datapath("mshift-dynamic"))
    assert "symmetric-by-128@weights" in names and "floors" not in names


def test_a_gate_case_is_not_held_against_one_gate(cases):
    case = next(c for id, c in cases.items() if id.startswith("mshift-gate-"))
    names = found_by_step(case, of_datapath("mshift"), "mshift")
    assert "floors" in names and not {n for n in names if n.endswith(("-z", "-r", "align-z-Rh"))}


def test_a_run_that_is_not_right_is_refused(cases):
    case = cases["sequence-pot-zoneout-0.1"]
    fields = {name: np.array(a) for name, a in case.trace.items()}
    fields["g_acc"][1, 0, 0] += 1
    wrong = case_from_trace(
        "wrong", case.params, case.x, case.h0, Trace("pot", fields, False), group="x", flags=(), zoneout=case.zoneout
    )
    with pytest.raises(ParameterError, match="case wrong is another g_acc, expected the run that the clauses give"):
        found_by_run(wrong, of_datapath("pot"))


def test_pairs_are_counted_once_for_each_datapath():
    assert len(pairs_of()) == sum(len(of_datapath(k)) for k in ("mshift", "mshift-dynamic", "pot"))
    assert pairs_of("one-saturated") == (("one-saturated", "pot"),)
    assert {name.partition("@")[0] for name, _ in pairs_of("floors")} == {"floors"} and len(pairs_of("floors")) > 60
    with pytest.raises(ParameterError, match="--only is 'nope', expected the name of a deviation"):
        pairs_of("nope")


def test_the_matrix_of_a_set(folder):
    one, two = matrix(folder, processes=1), matrix(folder, processes=2)
    assert one == two and list(one.found) == list(CHOSEN)
    assert one.by(("zoneout-mask-inverted", "mshift")) == ["sequence-mshift-mask-reverse"]
    assert set(one.survivors) | one.killed == set(one.pairs) and not set(one.survivors) & one.killed
    table = rows(one)
    assert sum(int(row[2]) for row in table) == len(one.pairs) and sum(int(row[3]) for row in table) == len(one.killed)


# --- covers


def test_a_cover_is_least_where_the_greedy_one_is_not():
    """Six things: the greedy choice is the case of four, which then needs two more; two cases of three are enough."""
    found = {"big": {1, 2, 4, 5}, "left": {1, 2, 3}, "right": {4, 5, 6}}
    kept = cover(found, dict.fromkeys(found, 1))
    assert (kept.cases, kept.least, kept.proven) == (("left", "right"), 2, True)


def test_a_cover_takes_what_is_needed_and_the_smaller_of_two():
    found = {"a": {1, 2}, "b": {1, 2}, "c": {3}, "d": set(), "e": {2}}
    kept = cover(found, {"a": 9, "b": 5, "c": 1, "d": 1, "e": 1})
    assert (kept.cases, kept.proven) == (("b", "c"), True)
    assert cover({"a": set()}, {"a": 1}).cases == ()


@pytest.mark.parametrize("seed", range(12))
def test_covers_of_drawn_incidences_are_least(seed):
    rng = np.random.default_rng(seed)
    found = {f"c{i}": {j for j in range(14) if rng.random() < 0.3} for i in range(9)}
    everything = set().union(*found.values())
    kept = cover(found, {c: int(rng.integers(1, 9)) for c in found})
    subsets = [[f"c{i}" for i in range(9) if m >> i & 1] for m in range(2**9)]
    least = min(len(s) for s in subsets if set().union(*(found[c] for c in s)) == everything)
    assert set().union(*(found[c] for c in kept.cases)) == everything
    assert kept.proven and len(kept.cases) == least


# --- the property tests


def test_drawn_problems_are_the_same_every_time():
    one, two = drawn("pot", 12, 5), drawn("pot", 12, 5)
    assert [p.to_json() for p in one] == [p.to_json() for p in two] and len(one) >= 12
    assert drawn("pot", 12, 6)[5].to_json() != one[5].to_json()


def test_the_properties_find_a_deviation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = found_by_properties("one-is-1", examples=30)
    assert list(tmp_path.iterdir()) == []
    assert set(found) == {("one-is-1", k) for k in ("mshift", "mshift-dynamic", "pot")}


# --- the command


def test_the_command_lists_survivors_and_writes_a_smaller_set(folder, tmp_path, capsys):
    assert main(["kill", "--vectors", str(folder), "--distill", str(tmp_path / "small"), "--json"]) == 1
    plain = json.loads(capsys.readouterr().out)
    found = matrix(folder, processes=1)
    assert plain["killed"] == len(found.killed) and len(plain["survivors"]) == len(found.survivors)
    small = open_set(tmp_path / "small")
    assert list(small) == plain["distilled"]["cases"] and list(lint(tmp_path / "small")) == []
    again = matrix(tmp_path / "small", processes=1)
    assert again.killed == found.killed and set(sizes(small)) == set(small)


def test_the_command_for_one_deviation(folder, capsys):
    assert main(["kill", "--vectors", str(folder), "--only", "reverse-runs-forward"]) == 1
    out = capsys.readouterr().out
    assert "no case finds reverse-runs-forward in pot\n" in out
    assert out.endswith("the vectors find 1 of 3 deviations, 2 survive\n")
    assert main(["kill", "--vectors", str(folder), "--only", "gates-exchanged@x"]) == 2
    assert "--only is 'gates-exchanged@x', expected the name of a deviation" in capsys.readouterr().err
    assert main(["kill", "--only", "floors", "--distill", str(folder)]) == 2
    assert "expected all deviations" in capsys.readouterr().err
    for option in ("--examples", "--seed"):
        assert main(["kill", "--vectors", str(folder), "--only", "floors", option, "7"]) == 2
        assert capsys.readouterr().err == f"qgru: {option} is given without --properties, expected it only with that\n"


def test_a_matrix_without_cases_kills_nothing():
    empty = Matrix(pairs_of("floors"), {})
    assert empty.killed == frozenset() and empty.survivors == empty.pairs
    assert all(CATALOGUE[name].base == "floors" for name, _ in empty.pairs)
