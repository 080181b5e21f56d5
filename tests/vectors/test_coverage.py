"""Level 1 meets every coverpoint that can be met, the page says so, and every flag is met."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from vectors.notes import notes
from vectors.plan.corners import drawn
from vectors.reader import open_set
from verification.coverage.measure import measure
from verification.coverage.model import points
from verification.coverage.summary import missed, silent, summary
from verification.coverage.unreachable import unreachable

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def record(level1):
    return measure(open_set(level1).values())


def test_every_reachable_point_is_hit(record):
    assert [str(p) for p in missed(record)] == []


def test_no_point_is_met_that_was_proved_unreachable(record):
    assert set(record.hit) <= set(points()) - set(unreachable())


def test_what_is_hit_mostly_reaches_an_output(record):
    """Told apart, not promised: the page lists the others."""
    lines = summary(record)
    assert sum(x.output for x in lines) + len(silent(record)) == sum(x.codes for x in lines)
    assert sum(x.last for x in lines) <= sum(x.output for x in lines)
    assert len(silent(record)) < 400


def test_the_page_is_what_level_1_gives(record):
    spec = importlib.util.spec_from_file_location("coverage_page", ROOT / "docs" / "coverage_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    assert written == module.page(record), "python docs/coverage_page.py > docs/coverage.md writes it again"


@pytest.mark.parametrize("name", ["mshift", "pot"])
def test_units_of_a_corner_run_do_not_depend_on_each_other(name):
    from golden.sequence import forward

    for frame in (0, 9, 9000):
        traces = []
        for units in (range(2, 8), (4, 7)):
            params, x, h0, options = drawn(name, frame, units)
            traces.append(forward(params, x, h0, **options))
        for field in ("z_pre", "g", "h_new"):
            assert (traces[0][field][..., [0, 1, 4, 7]] == traces[1][field]).all()


def test_every_flag_with_a_note_is_met_and_every_flag_has_a_note(level1):
    manifest = open_set(level1).manifest
    met = {flag for case in manifest["cases"] for flag in case["flags"]}
    assert met == set(manifest["flags"]) and met <= set(notes())
    assert set(notes()) - met == set()


@pytest.mark.parametrize("step", ["quantize", "quantize_reciprocal", "quantize_bias"])
def test_the_float_boundary_meets_ties_and_both_sides(level1, step):
    cases = [case for case in open_set(level1).manifest["cases"] if case.get("step") == step]
    flags = {flag for case in cases for flag in case["flags"]}
    assert {"tie", "negative_tie", "saturates_low", "saturates_high", "nan", "infinity", "subnormal", "beyond_int32"} <= flags
