"""The page of assurance is what the sources, tests, vectors, proofs, sweeps and pages give; how it reads citations."""

from __future__ import annotations

import json
import re

import pytest

from docs.assurance_page import ROOT, cited, clauses, coverage, expanded, kills, page, proofs, sections, sweeps, vector_counts
from tests.meta.house import clauses as clauses_of_the_house
from verification.sweeps.sweep import STEPS


@pytest.fixture(scope="module")
def made():
    return page(vector_counts())


def test_the_page_is_made_of_what_is_there(made):
    assert (ROOT / "docs" / "assurance.md").read_text(encoding="utf-8") == made


def test_every_clause_has_a_row(made):
    assert re.findall(r"^\| ([A-Z]{1,2}-\d+) \|", made, flags=re.M) == list(clauses())
    assert set(clauses()) == {c for c in clauses_of_the_house() if re.fullmatch(r"[A-Z]{1,2}-\d+", c)}
    assert sections()["G-M"] == ("GM-1", "GM-2", "GM-3", "GM-4") and len(sections()["X"]) == 9


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("R-2", ["R-2"]),
        ("R-1 ... R-3, Q-4", ["R-1", "R-2", "R-3", "Q-4"]),
        ("Z", ["Z-1", "Z-2"]),
        ("M-6 ... E-2", ["M-6", "E-1", "E-2"]),
        ("R ... Q", ["R-1", "R-2", "R-3", "R-4", "Q-1", "Q-2", "Q-3", "Q-4"]),
        ("G-M", ["GM-1", "GM-2", "GM-3", "GM-4"]),
        ("Q-9, L-2", ["L-2"]),
    ],
)
def test_citations_are_expanded(text, found):
    assert expanded(text) == found and cited(f"A step.  [SPEC {text}]") == found


def test_every_source_of_figures_is_read():
    hit = coverage()
    assert hit["A-1"][1] > 200 and all(0 < b and a <= b for a, b in hit.values()) and "GP-2" in hit
    assert "requantize" in proofs()["M-5"]
    found = kills()
    assert found["R-2"][1] > 300 and "X-5" in found
    assert {c for clause, *_ in STEPS.values() for c in expanded(clause)} <= set(clauses())


def test_a_recorded_sweep_is_whole_and_equal():
    for name, record in sweeps():
        assert record["mismatches"] == 0, name
        assert record["compared"] == sum(row["compared"] for row in record["steps"])
        for row in record["steps"]:
            clause, size, _, outputs = STEPS[row["step"]]
            assert (row["clause"], row["size"], tuple(row["outputs"])) == (clause, size, outputs)
            assert row["compared"] == row["inputs"] * len(outputs) and len(row["parameters"]) == row["sweeps"]
            assert not record["complete"] or row["inputs"] == row["sweeps"] * size == row["whole"] * size
    assert json.dumps([r for _, r in sweeps()])
