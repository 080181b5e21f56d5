"""Flags by hand: one row, the flags that it must have."""

from __future__ import annotations

import numpy as np
import pytest

from tests.vectors.examples import cases as runs
from vectors.flags import case_flags, row_flags, zero_point_region
from vectors.notes import note, notes, sentence
from vectors.step_case import StepCase
from vectors.steps import run_step

INT8 = {"bits": 8, "signed": 1}


def bits(*reals):
    return np.array(reals, np.float32).view(np.uint32).astype(np.int64)


def flags(step, constants, **inputs):
    """The flags of the first row."""
    columns = {name: np.atleast_1d(np.asarray(value, np.int64)) for name, value in inputs.items()}
    case = StepCase("x", step, constants, columns, run_step(step, constants, columns))
    return {name for name, mask in row_flags(case).items() if mask[0]}


@pytest.mark.parametrize(
    ("step", "constants", "inputs", "wanted"),
    [
        ("ties_up", {}, {"x": 3, "s": 1}, {"tie"}),
        ("ties_up", {}, {"x": -3, "s": 1}, {"tie", "negative_tie"}),
        ("ties_up", {}, {"x": 4, "s": 1}, set()),
        ("ties_up", {}, {"x": 5, "s": 0}, {"zero_shift"}),
        ("ties_up", {}, {"x": 2**63 - 1, "s": 32}, {"wide_shift", "addend_overflow", "int_max"}),
        ("ties_up", {}, {"x": -(2**63), "s": 64}, {"tie", "negative_tie", "wide_shift", "addend_overflow", "int_min"}),
        ("ties_away", {}, {"x": 5, "s": -3}, {"left_shift"}),
        ("ties_even", {}, {"x": 6, "s": 2}, {"tie"}),
        ("saturate", INT8, {"v": 128}, {"saturates_high"}),
        ("saturate", INT8, {"v": -128}, {"at_bound"}),
        ("saturate", INT8, {"v": -129}, {"saturates_low"}),
        ("requantize", {"M": 1, "s": 1, "zp": 0, **INT8}, {"v": 3}, {"tie"}),
        (
            "requantize",
            {"M": 2**20, "s": 20, "zp": -128, **INT8},
            {"v": 2**20},
            {"zero_point", "zero_point_edge", "wide_product", "saturates_high"},
        ),
        (
            "requantize",
            {"M": 0, "s": 5, "zp": 200, **INT8},
            {"v": 9},
            {"multiplier_zero", "zero_point", "zero_point_outside", "saturates_high"},
        ),
        ("apply", {"M": 2**30, "s": 0}, {"v": 2**30}, {"zero_shift", "wide_product", "beyond_float64"}),
        ("quantize", {"zp": 0, **INT8}, {"v": bits(2.5), "scale": bits(1)}, {"tie"}),
        ("quantize", {"zp": 1, **INT8}, {"v": bits(2.5), "scale": bits(1)}, {"tie", "zero_point", "zero_point_order"}),
        ("quantize", {"zp": 0, **INT8}, {"v": bits(np.nan), "scale": bits(1)}, {"nan"}),
        ("quantize", {"zp": 0, **INT8}, {"v": bits(-np.inf), "scale": bits(1)}, {"infinity", "beyond_int32", "saturates_low"}),
        ("quantize", {"zp": 0, **INT8}, {"v": bits(-0.0), "scale": bits(1)}, {"negative_zero"}),
        (
            "dequantize",
            {"zp": -(2**31)},
            {"q": 1, "scale": bits(1)},
            {"zero_point", "zero_point_outside", "difference_rounded"},
        ),
        ("asymmetric", INT8, {"rmin": bits(0), "rmax": bits(2.0**-9)}, {"degenerate_range", "zero_point_edge"}),
        ("asymmetric", INT8, {"rmin": bits(1), "rmax": bits(2)}, {"one_sided_range", "zero_point_edge"}),
        ("symmetric", INT8, {"rmin": bits(-3), "rmax": bits(2)}, {"low_end_decides"}),
        ("derive", {"s": 1, "limit": 2**31 - 1}, {"s_from": bits(0.75), "s_to": bits(1)}, {"tie"}),
        ("derive", {"s": 0, "limit": 2**24 - 1}, {"s_from": bits(2.0**24), "s_to": bits(1)}, {"saturates_high"}),
        ("derive", {"s": 0, "limit": 5}, {"s_from": bits(2.0**-126), "s_to": bits(2.0**127)}, {"multiplier_zero"}),
        (
            "mshift_hidden",
            {"M_gh": 1, "s_gh": 0, "M_one": 1, "s_one": 0, "zp": 0},
            {"z": 0, "g": 1, "h": 3},
            {"update_open", "zero_shift", "at_bound"},
        ),
        ("zoneout_blend", {"k": 2**14, "zp": 0, **INT8}, {"h_prev": 1, "h_new": 2}, {"tie"}),
        ("zoneout_blend", {"k": 0, "zp": 0, **INT8}, {"h_prev": 1, "h_new": 2}, {"zoneout_never"}),
        ("zoneout_mask", INT8, {"mask": 1, "h_prev": 1, "h_new": 2}, {"mask_keeps"}),
        ("zoneout_mask", INT8, {"mask": 0, "h_prev": 1, "h_new": 2}, {"mask_takes"}),
    ],
)
def test_a_row_has_exactly_these_flags(step, constants, inputs, wanted):
    assert flags(step, constants, **inputs) == wanted


def test_a_product_that_needs_the_zero_point():
    found = flags("linear", {"zp": 3}, codes=[[5, 7]], weights=[[1, 2]])
    assert found == {"zero_point", "zero_point_matters"}
    assert flags("linear", {"zp": 3}, codes=[[5, 7]], weights=[[1, -1]]) == {"zero_point"}


def test_a_fused_and_a_wide_average():
    """0.1f * c rounded by itself: in 1000 drawn pairs some differ when fused, and some when all is binary64."""
    rng = np.random.default_rng(1)
    columns = {name: bits(*rng.normal(size=200)) for name in ("rmin", "rmax", "cmin", "cmax")}
    marks = row_flags(StepCase("x", "ema", {}, columns, run_step("ema", {}, columns)))
    assert 0 < marks["fused_differs"].sum() < 200 and 0 < marks["double_precision_differs"].sum() < 200


@pytest.mark.parametrize(("zp", "region"), [(-129, "below"), (-128, "low"), (0, "inside"), (127, "high"), (128, "above")])
def test_regions(zp, region):
    assert zero_point_region({"zp": zp, **INT8}, "zp") == zero_point_region({"zp": zp}, "zp") == region


def test_flags_of_runs():
    by_id = {case.id: case_flags(case) for case in runs()}
    assert by_id["mshift-16-reverse"]["reverse"] == 1 and "reverse" not in by_id["mshift-plain"]
    assert by_id["mshift-plain"]["missing_h0"] == 1 and "missing_h0" not in by_id["pot-zoneout"]
    assert by_id["pot-empty"] == {"empty_sequence": 1}
    assert by_id["dynamic-continued"]["continued_state"] == 1 and by_id["dynamic-continued"]["moving_ranges"] == 1
    mask = next(c for c in runs() if c.id == "mshift-training")
    differ = mask.trace["h_new"] != mask.trace["h"][:-1]
    assert by_id["mshift-training"].get("mask_keeps", 0) == int((differ & (mask.mask == 1)).sum())
    assert by_id["pot-zoneout"]["left_shift"] > 0


def test_notes():
    for flag, text in notes().items():
        assert set(text) == {"bugType", "description", "effect"} and text["bugType"].isupper()
        assert text["description"].endswith(".") and text["effect"].startswith("Finds ") and len(sentence(flag)) <= 500
    assert note("tie", sentence("tie"))["bugType"] == "ROUNDING"
    assert note("tie", "mine") == {"bugType": "OTHER", "description": "mine"}
