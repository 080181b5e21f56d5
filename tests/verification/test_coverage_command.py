"""qgru coverage: figures, JSON, records that join, campaigns, stages, refusals."""

from __future__ import annotations

import json

import pytest

from qgru.cli import main
from vectors.draw import Draw
from vectors.plan import rounding, runs
from vectors.writer import write_set
from verification.coverage.measure import measure
from verification.coverage.record import Record, read_record


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A set of one cell and one step, and a campaign with another cell in its vectors."""
    folder = tmp_path_factory.mktemp("coverage")
    planned = {p.id: p for p in (*runs.cases(), *rounding.cases())}
    made = {
        id: planned[id].make(Draw(0, id)) for id in ("cell-mshift-8-inside", "saturate-int8", "cell-pot-8-away-inside-plain")
    }
    write_set(folder / "set", [made["cell-mshift-8-inside"], made["saturate-int8"]], seed=0, version="1")
    (folder / "campaign").mkdir()
    write_set(folder / "campaign" / "vectors", [made["cell-pot-8-away-inside-plain"]], seed=0, version="1")
    return folder, made


def answer(capsys, *arguments):
    code = main(["coverage", *map(str, arguments)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_figures_of_a_set(sets, capsys):
    folder, made = sets
    code, out, err = answer(capsys, folder / "set", "--stage", "step saturate/")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == "stage points unreachable hit reach an output reach the last state hits".split()
    assert out.splitlines()[-1] == "5 of 5 reachable points hit, 100.00 %; 0 of 5 points are proved unreachable"
    code, out, _ = answer(capsys, folder / "set", "--stage", "mshift/z_bx_aligned")
    lines = out.splitlines()
    assert code == 1 and lines[-1].endswith("16 of 55 points are proved unreachable")
    assert "not hit: mshift/z_bx_aligned: shift: zero" in lines


def test_json_and_propagation(sets, capsys):
    folder, made = sets
    code, out, _ = answer(capsys, folder / "set", "--stage", "mshift/h_new", "--propagation", "--json")
    found = json.loads(out)
    assert code == 1 and found["command"] == "coverage" and found["propagation"] is True and len(found["sources"]) == 1
    (line,) = found["stages"]
    assert line["stage"] == "mshift/h_new" and line["output"] == line["codes"] > 0 and line["unreachable"] == 0
    assert len(found["not_hit"]) == line["points"] - line["hit"]


def test_records_join_over_targets(sets, capsys, tmp_path):
    folder, made = sets
    assert answer(capsys, folder / "set", "--merge", tmp_path / "a.json")[0] == 1
    assert answer(capsys, tmp_path / "a.json", folder / "campaign", "--merge", tmp_path / "both.json")[0] == 1
    assert answer(capsys, folder / "campaign", folder / "set", "--merge", tmp_path / "again.json")[0] == 1
    assert (tmp_path / "both.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    both = read_record(tmp_path / "both.json")
    assert both.hit == measure(made.values(), propagation=False).hit and len(both.sources) == 2 and not both.propagation
    code, _, err = answer(capsys, tmp_path / "a.json", folder / "set")
    assert code == 2 and err.startswith("qgru: source is ") and err.count("\n") == 1


def test_what_is_left_is_listed_on_demand(sets, capsys):
    folder, made = sets
    short = answer(capsys, folder / "campaign", "--stage", "pot/")[1].splitlines()
    long = answer(capsys, folder / "campaign", "--stage", "pot/", "--missing")[1].splitlines()
    assert sum(line.startswith("not hit: ") for line in short) == 40 and "--missing lists them" in short[-2]
    assert sum(line.startswith("not hit: ") for line in long) > 40


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: [p / "none"], "none"),
        (lambda p: [p / "set", "--stage", "float/"], "--stage is 'float/', expected the start of a stage's name"),
        (lambda p: [p / "plain.json", "--propagation"], "plain.json was counted without --propagation, expected a record"),
        (lambda p: [p / "broken.json"], "broken.json is no JSON"),
        (lambda p: [p / "bytes.json"], "is not ASCII, expected a coverage record"),
    ],
)
def test_bad_input_is_one_sentence(sets, capsys, make, sentence):
    folder, _ = sets
    (folder / "broken.json").write_text("{")
    (folder / "plain.json").write_text(Record(propagation=False).to_json())
    (folder / "bytes.json").write_bytes(b"\xff")
    code, out, err = answer(capsys, *make(folder))
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1 and err.startswith("qgru: ")
