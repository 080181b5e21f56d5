"""The mismatch report, line by line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from golden.sequence import forward
from tests.verification.small import dynamic_set, mshift_set, pot_set
from verification.compare import compare
from verification.report import report

X = np.array([[[3, -5], [7, 1]], [[-2, 4], [0, 9]], [[6, 6], [-8, 2]]])
NAMES = ("twin", "golden")


def lines(params, x, changes, **options) -> list[str]:
    trace = forward(params, x, **options)
    fields = {name: array.copy() for name, array in trace.items()}
    for name, index, by in changes:
        fields[name][index] += by
    comparison = compare(replace(trace, fields=fields), trace, params)
    return report(comparison, params, trace, names=NAMES, replay="qgru check x").splitlines()


def test_a_requantized_gate():
    params = mshift_set()
    trace = forward(params, X)
    code, acc = int(trace["z_pre"][0, 1, 0]), int(trace["z_a"][0, 1, 0])
    found = lines(params, X, [("z_pre", (0, 1, 0), 1), ("z", (0, 1, 0), 1)])
    assert found == [
        "MISMATCH twin against golden, datapath mshift",
        "  stage z_pre [SPEC GM-1], t = 0, n = 1, unit = 0",
        f"  twin    {code + 1} (0x{(code + 1) % 256:02x})",
        f"  golden  {code} (0x{code % 256:02x}), difference 1",
        f"  operands: z_a = {acc}, m_z = 3 * 2**-5, zero point = 0",
        f"  before rounding: {acc} * 3 = {3 * acc} (0x{3 * acc % 2**64:016x}) >> 5, ties_up",
        f"  2 of {trace.codes} codes differ: 1 with equal operands, 1 as a consequence",
        "  by stage: z_pre 1, z 1",
        "  replay: qgru check x",
    ]


def test_a_dot_product_shows_the_row_and_the_column():
    found = lines(mshift_set(), X, [("Wx", (0, 0, 4), -2)])
    assert found[1] == "  stage Wx [SPEC L-1], t = 0, n = 0, unit = 0 of g"
    assert found[4] == "  operands: x:row = [3, -5], W column = [-60, 5], zero point = 1"
    # (3 - 1) * -60 + (-5 - 1) * 5
    assert found[3] == "  golden  -150 (0xffffffffffffff6a), difference -2"


def test_a_shift_of_datapath_p_shows_the_value_before_it():
    params = pot_set()
    trace = forward(params, X)
    acc = int(trace["Wx_acc"][2, 1, 3])
    found = lines(params, X, [("Wx", (2, 1, 3), 1)])
    assert found[1] == "  stage Wx [SPEC GP-1], t = 2, n = 1, unit = 1 of r"
    assert f"  before rounding: {acc} (0x{acc % 2**64:016x}) >> 7, ties_away" in found  # 7 + 4 - 4


def test_a_bias_term_takes_the_bias_of_its_channel():
    params = mshift_set()
    found = lines(params, X, [("r_bx_aligned", (0, 1), 1)])
    assert found[1] == "  stage r_bx_aligned [SPEC GM-1], t = 0, unit = 1"
    assert "  before rounding: -400 * 1 = -400 (0xfffffffffffffe70) >> 0, ties_up" in found


def test_dynamic_mode_reads_the_multiplier_of_the_step():
    params = dynamic_set()
    x = X.astype(np.float32)
    trace = forward(params, x)
    acc, m = int(trace["g_a"][1, 0, 1]), int(trace["m_g"][1])
    found = lines(params, x, [("g_pre", (1, 0, 1), 1)])
    assert f"  before rounding: {acc} * {m} = {acc * m} (0x{acc * m % 2**64:016x}) >> 18, ties_up" in found


def test_the_initial_state_and_a_range():
    assert lines(mshift_set(), X, [("h", (0, 1, 0), 1)])[1] == "  stage h [SPEC S-1], initial state, n = 1, unit = 0"
    found = lines(dynamic_set(), X.astype(np.float32), [("x_max", (1,), 1.0)])
    assert found[1] == "  stage x_max [SPEC D-1], t = 1"
    assert found[4].startswith("  operands: x_max:last = 7.0")


def test_a_missing_field_is_said():
    params = mshift_set()
    trace = forward(params, X)
    fields = {name: array for name, array in trace.items() if name != "n"}
    text = report(compare(replace(trace, fields=fields), trace), params, trace, names=NAMES, replay="r")
    assert text == "MISMATCH twin against golden, datapath mshift\n  field n is missing\n  replay: r"


@pytest.mark.parametrize("make", [mshift_set, dynamic_set, pot_set])
def test_every_stage_can_be_reported(make):
    params = make()
    x = X.astype(np.float32) if make is dynamic_set else X
    trace = forward(params, x, zoneout=0.5)
    for name, array in trace.items():
        if array.dtype == np.float32 or array.size == 0:
            continue
        index = tuple(n - 1 for n in array.shape)
        found = lines(params, x, [(name, index, 1)], zoneout=0.5)
        assert found[1].startswith(f"  stage {name} [SPEC "), name
        assert found[-2] == f"  by stage: {name} 1"
