"""Level 1 meets every rounding, saturation side, table entry, segment and zero-point region: counted from its numbers."""

from __future__ import annotations

import pytest

from vectors.coverage import PARTS, SIDES, coverage
from vectors.notes import notes
from vectors.plan.planned import REGIONS
from vectors.reader import open_set
from vectors.steps import STEPS

RIGHT_SHIFTS = {
    "ties_up": ["y"],
    "ties_away": ["y"],
    "ties_even": ["y"],
    "apply": ["q"],
    "align": ["q"],
    "requantize": ["q"],
    "mshift_gate": ["Rh_aligned", "bx_aligned", "br_aligned", "pre"],
    "mshift_candidate": ["br_aligned", "bx_aligned", "c", "pre"],
    "mshift_hidden": ["n", "h_new"],
    "zoneout_blend": ["h"],
    "GP-1 ties away": ["matmul.Wx", "matmul.Rh"],
    "GP-1 ties even": ["matmul.Wx", "matmul.Rh"],
}
POT_SHIFTS = {
    "pot_gate": ["Wx_aligned", "Rh_aligned", "bx_aligned", "br_aligned"],
    "pot_candidate": ["Wx_aligned", "P_aligned", "bx_aligned"],
    "pot_reset_path": ["A_Rh_aligned", "A_br_aligned", "P"],
    "pot_hidden": ["O", "N", "h_O_aligned", "h_N_aligned"],
}
SATURATIONS = {
    "saturate": ["q"],
    "align": ["q"],
    "requantize": ["q"],
    "mshift_gate": ["Rh_aligned", "bx_aligned", "br_aligned", "a", "pre"],
    "mshift_candidate": ["br_aligned", "bx_aligned", "b", "c", "a", "pre"],
    "mshift_hidden": ["h_new"],
    "GP-1": ["matmul.Wx", "matmul.Rh"],
    "pot_gate": ["pre"],
    "pot_candidate": ["pre"],
    "pot_reset_path": ["A", "P"],
    "pot_hidden": ["O", "N", "h"],
}
LEFT_SHIFTS = [
    "ties_away",
    "ties_even",
    "pot_gate ties away",
    "pot_gate ties even",
    "pot_hidden ties away",
    "pot_hidden ties even",
]


@pytest.fixture(scope="module")
def counts(level1):
    return coverage(open_set(level1).values())


def missing(counts, wanted):
    return [point for point in wanted if not counts[point]]


def test_every_rounding(counts):
    places = {**RIGHT_SHIFTS, **{f"{step} ties {way}": where for step, where in POT_SHIFTS.items() for way in ("away", "even")}}
    assert (
        missing(counts, [(s, "rounding", place, part) for s, where in places.items() for place in where for part in PARTS])
        == []
    )
    assert all(any(n for (s, k, _, v), n in counts.items() if (s, k, v) == (step, "rounding", "left")) for step in LEFT_SHIFTS)


def test_every_saturation_side(counts):
    points = [(s, "saturation", place, side) for s, where in SATURATIONS.items() for place in where for side in SIDES]
    assert missing(counts, points) == []


def test_every_entry_and_every_segment_of_every_table_of_the_steps(counts):
    steps = ("direct", "direct_wide", "piecewise_linear", "piecewise_quadratic")
    tables = {(step, place) for step, kind, place, _ in counts if kind == "table" and step in steps}
    wide = {("direct_wide", "sigmoid direct wide of 256"), ("direct_wide", "tanh direct wide of 256")}
    assert tables >= {("direct", "sigmoid direct of 256"), ("direct", "tanh direct of 256"), *wide}
    assert {
        ("piecewise_linear", "tanh piecewise_linear of 16"),
        ("piecewise_quadratic", "tanh piecewise_quadratic of 32"),
    } <= tables
    for step, place in tables:
        size = int(place.split()[-1])
        assert missing(counts, [(step, "table", place, str(i)) for i in range(size)]) == [], (step, place)


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ("mshift_gate", "sigmoid direct of 256"),
        ("mshift_gate", "sigmoid direct wide of 256"),
        ("mshift_candidate", "tanh direct of 256"),
        ("mshift_candidate", "tanh direct wide of 256"),
        ("pot_gate", "sigmoid direct of 256"),
        ("pot_candidate", "tanh direct of 256"),
        ("pot_gate", "sigmoid piecewise_linear of 16"),
        ("pot_candidate", "tanh piecewise_linear of 16"),
        ("pot_gate", "sigmoid piecewise_quadratic of 32"),
        ("pot_candidate", "tanh piecewise_quadratic of 32"),
    ],
)
def test_every_entry_and_segment_through_the_gates(counts, step, place):
    assert missing(counts, [(step, "table", place, str(i)) for i in range(int(place.split()[-1]))]) == []


def test_every_zero_point_region(counts):
    """A zero point of every step, inside its format, at its ends and outside."""
    points = [(step.name, c.name) for step in STEPS.values() for c in step.constants if c.name.startswith("zp")]
    assert len(points) == 25
    bounded = {("pot_hidden", "zp_z"): ("above",)}  # the code of one would leave the gate's format twice
    wanted = [(s, "zero point", name, r) for s, name in points for r in REGIONS if r not in bounded.get((s, name), ())]
    wanted += [("GP-1", "zero point", data, region) for data in ("input.x", "input.h") for region in REGIONS]
    assert missing(counts, wanted) == []


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
