"""Parameter sets refuse what the clauses refuse, in one sentence with the field, the value and what was expected."""

from __future__ import annotations

import re

import numpy as np
import pytest

from golden.spec.errors import ParameterError, QgruError
from golden.spec.formats import INT8, INT16, UINT8, IntFormat
from golden.spec.layout import MULTIPLIERS, OPERATORS
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams, Operator, PotParams, check_input
from golden.spec.rounding import Rounding
from tests.golden import spec_sets as sets


def refused(build, sentence):
    """The refusal of build() is exactly this sentence."""
    with pytest.raises(QgruError, match=f"^{re.escape(sentence)}$"):
        build()


def changed(array, index, value):
    """A copy of an array with one entry replaced."""
    copy = np.array(array)
    copy[index] = value
    return copy


W, R = sets.mshift_fields()["W"], sets.mshift_fields()["R"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"W": W.T}, "W is an array of shape [9, 2], expected shape [C, 9] with C > 0"),
        ({"W": W[:0]}, "W is an array of shape [0, 9], expected shape [C, 9] with C > 0"),
        ({"R": R[:2]}, "R is an array of shape [2, 9], expected shape [H, 3H] with H > 0"),
        ({"bx": np.zeros(8, int)}, "bx is an array of shape [8], expected shape [9]"),
        ({"br": np.zeros((9, 1), int)}, "br is an array of shape [9, 1], expected shape [9]"),
        ({"W": W.astype(float)}, "W is an array of float64, expected integers"),
        ({"W": W.astype(bool)}, "W is an array of bool, expected integers"),
        ({"W": changed(W, (1, 3), 128)}, "W[1, 3] is 128, expected a code of int8 in [-128, 127]"),
        ({"R": changed(R, (0, 0), -129)}, "R[0, 0] is -129, expected a code of int8 in [-128, 127]"),
        (
            {"bx": changed(np.zeros(9, np.int64), 4, 2**31)},
            "bx[4] is 2147483648, expected a code of int32 in [-2147483648, 2147483647]",
        ),
        ({"s_x": 0.0}, "s_x is 0.0, expected a positive, finite number that binary32 holds exactly"),
        ({"s_h": -1.0}, "s_h is -1.0, expected a positive, finite number that binary32 holds exactly"),
        ({"s_w": float("nan")}, "s_w is nan, expected a positive, finite number that binary32 holds exactly"),
        ({"s_br": float("inf")}, "s_br is inf, expected a positive, finite number that binary32 holds exactly"),
        ({"s_g": 0.1}, "s_g is 0.1, expected a positive, finite number that binary32 holds exactly"),
        ({"s_z": 1e300}, "s_z is 1e+300, expected a positive, finite number that binary32 holds exactly"),
        ({"s_bx": "1"}, "s_bx is '1', expected a positive binary32 number"),
        ({"zp_x": 0.5}, "zp_x is 0.5, expected an integer"),
        ({"zp_h": True}, "zp_h is True, expected an integer"),
        ({"zp_x": 2**31}, "zp_x is 2147483648, expected an integer in [-2147483648, 2147483647]"),
        ({"zp_w": 1}, "zp_w is 1, expected 0, weights are symmetric"),
        ({"zp_r_weight": -3}, "zp_r_weight is -3, expected 0, weights are symmetric"),
        ({"m_gh": 3}, "m_gh is 3, expected an MShift"),
        ({"m_rRh": MShift(2**24, 18)}, "m_rRh multiplier is 16777216, expected at most 16777215"),
        ({"gate_bits": 12}, "gate_bits is 12, expected 8 or 16"),
        ({"gate_bits": 16}, "table_z fmt_in is int8, expected int16, the gate input format"),
        ({"zp_z": 4}, "table_z zero_point_in is 0, expected zp_z = 4"),
        ({"table_g": sets.direct()}, "table_g function is 'sigmoid', expected tanh"),
        ({"table_r": None}, "table_r is NoneType, expected a DirectTable"),
        ({"table_z": sets.direct(entries=np.arange(256) // 2 - 1)}, "table_z entries is -1, expected codes in [0, 127]"),
        ({"reciprocal": 1}, "reciprocal is 1, expected true or false"),
    ],
)
def test_mshift_refuses(changes, sentence):
    refused(lambda: sets.mshift(**changes), sentence)


@pytest.mark.parametrize("name", ["W", "s_x", "m_one", "table_g"])
def test_a_missing_field_is_named(name):
    given = sets.mshift_fields()
    del given[name]
    with pytest.raises(TypeError, match=f"'{name}'"):
        MShiftParams(**given)


@pytest.mark.parametrize(
    ("multiplier", "shift", "sentence"),
    [
        (-1, 0, "multiplier is -1, expected an integer in [0, 2147483647]"),
        (2**31, 0, "multiplier is 2147483648, expected an integer in [0, 2147483647]"),
        (1, 32, "shift is 32, expected an integer in [0, 31]"),
        (1, -1, "shift is -1, expected an integer in [0, 31]"),
        (1.0, 3, "multiplier is 1.0, expected an integer"),
    ],
)
def test_an_mshift_outside_its_bounds_is_refused(multiplier, shift, sentence):
    refused(lambda: MShift(multiplier, shift), sentence)


def test_zero_points_outside_int8_are_legal():
    assert sets.mshift(zp_x=-1000, zp_h=1000).zp_x == -1000


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"W": W}, f"W is an array of {W.dtype}, expected float32"),
        ({"W": W.astype(np.float64)}, "W is an array of float64, expected float32"),
        ({"R": changed(R.astype(np.float32), (2, 8), np.nan)}, "R[2, 8] is nan, expected a finite number"),
        ({"bx": changed(np.zeros(9, np.float32), 0, -np.inf)}, "bx[0] is -inf, expected a finite number"),
        ({"br": np.zeros(3, np.float32)}, "br is an array of shape [3], expected shape [9]"),
        ({"shift": 32}, "shift is 32, expected an integer in [0, 31]"),
        ({"shift_bias": 24.0}, "shift_bias is 24.0, expected an integer"),
        ({"x_symmetric": None}, "x_symmetric is None, expected true or false"),
        ({"s_r_gate": 0}, "s_r_gate is 0.0, expected a positive, finite number that binary32 holds exactly"),
    ],
)
def test_dynamic_refuses(changes, sentence):
    refused(lambda: sets.dynamic(**changes), sentence)


def op(fmt=INT8, exponent=7, zero_point=0):
    """An operator."""
    return Operator(fmt, exponent, zero_point)


SIX = np.full(9, 6)
SYMMETRIC = "expected 0, weights and biases are symmetric"


@pytest.mark.parametrize(
    ("ops", "sentence"),
    [
        ({"op.rRh": op(exponent=31)}, "op.rRh exponent is 31, expected an integer in [-15, 30]"),
        ({"op.rRh": op(exponent=-16)}, "op.rRh exponent is -16, expected an integer in [-15, 30]"),
        ({"input.x": op(exponent=7.0)}, "input.x exponent is 7.0, expected an integer"),
        ({"input.h": op(zero_point=0.0)}, "input.h zero_point is 0.0, expected an integer"),
        ({"weight.W": op(exponent=SIX, zero_point=1)}, f"weight.W zero_point is 1, {SYMMETRIC}"),
        ({"weight.br": op(exponent=SIX, zero_point=-2)}, f"weight.br zero_point is -2, {SYMMETRIC}"),
        ({"weight.W": op(UINT8, SIX)}, "W[0, 0] is -9, expected a code of uint8 in [0, 255]"),
        ({"weight.bx": op(IntFormat(12, True), SIX)}, "weight.bx format is int12, expected int8, int16 or int32"),
        ({"weight.R": op(exponent=6)}, "weight.R exponent is an array of shape [], expected shape [9]"),
        ({"weight.R": op(exponent=SIX[:3])}, "weight.R exponent is an array of shape [3], expected shape [9]"),
        ({"weight.R": op(exponent=changed(SIX, 5, 31))}, "weight.R exponent[5] is 31, expected an exponent in [-15, 30]"),
        ({"gate.z_out": op(INT8)}, "gate.z_out format is int8, expected an unsigned format"),
        ({"gate.r_out": op(INT8)}, "gate.r_out format is int8, expected an unsigned format"),
        ({"matmul.Wx": op(IntFormat(32, True))}, "matmul.Wx format is int32, expected 2 to 16 bits"),
        ({"matmul.Wx": op("int8")}, "matmul.Wx format is 'int8', expected an IntFormat"),
        ({"matmul.Rh": None}, "matmul.Rh is None, expected an Operator"),
        ({"gate.z_pre": op(INT16)}, "act_z fmt_in is int8, expected int16 as the gate has it"),
        ({"gate.g_pre": op(zero_point=3)}, "act_g zero_point_in is 0, expected 3 as the gate has it"),
    ],
)
def test_pot_refuses_operators(ops, sentence):
    zeros = np.zeros(9, int)
    refused(lambda: sets.pot(ops, bx=zeros, br=zeros), sentence)


def test_pot_names_a_missing_and_an_unknown_operator():
    ops = sets.operators()
    del ops["op.rRh"]
    refused(
        lambda: PotParams(**{**sets.pot_fields(), "operators": {**ops, "op.nope": op()}}),
        "operators is missing ['op.rRh'] and unknown ['op.nope'], expected exactly the eighteen operators",
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rounding": Rounding.TIES_UP}, "rounding is <Rounding.TIES_UP: 'ties_up'>, expected TIES_AWAY or TIES_EVEN"),
        ({"rounding": "ties_away"}, "rounding is 'ties_away', expected TIES_AWAY or TIES_EVEN"),
        ({"act_g": sets.linear("tanh")}, "act_g fmt_out is uint8, expected int8 as the gate has it"),
        ({"act_z": 7}, "act_z is int, expected a DirectTable, PiecewiseLinear or PiecewiseQuadratic"),
        ({"reciprocal": None}, "reciprocal is None, expected true or false"),
    ],
)
def test_pot_refuses(changes, sentence):
    refused(lambda: sets.pot(**changes), sentence)


def test_refusals_have_field_value_and_expectation():
    with pytest.raises(ParameterError) as caught:
        sets.mshift(s_x=0.0)
    assert (caught.value.field, caught.value.found) == ("s_x", "0.0")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("build", [sets.mshift, sets.dynamic, sets.pot])
def test_arrays_are_copied_and_frozen(build):
    mine = {name: np.array(value) for name, value in build().__dict__.items() if name in ("W", "R", "bx", "br")}
    params = build(**mine)
    for name, array in mine.items():
        kept = getattr(params, name)
        assert not kept.flags.writeable and kept.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            kept[...] = 0
        before = kept.copy()
        array[...] = 1
        assert (getattr(params, name) == before).all()
    with pytest.raises(AttributeError):
        params.W = mine["W"]


def test_operators_and_tables_are_frozen():
    params = sets.pot()
    with pytest.raises(TypeError):
        params.operators["op.rRh"] = op()
    for array in (params.operators["weight.W"].exponent, params.act_z.slopes, params.act_r.c2, params.act_g.entries):
        assert not array.flags.writeable
    assert tuple(params.operators) == OPERATORS


@pytest.mark.parametrize(
    ("make", "changes", "sentence"),
    [
        (sets.direct, {"one": "127"}, "direct table one is '127', expected a finite number"),
        (sets.direct, {"one": True}, "direct table one is True, expected a finite number"),
        (sets.direct, {"one": float("nan")}, "direct table one is nan, expected a finite number"),
        (sets.direct, {"scale_in": None}, "direct table scale_in is None, expected a finite number"),
        (sets.direct, {"scale_in": float("inf")}, "direct table scale_in is inf, expected a finite number"),
        (sets.linear, {"exponent_in": 0.5}, "piecewise linear table exponent_in is 0.5, expected an integer"),
        (sets.quadratic, {"exponent_out": []}, "piecewise quadratic table exponent_out is [], expected an integer"),
    ],
)
def test_numbers_that_only_inform_are_of_their_kind(make, changes, sentence):
    refused(lambda: make(**changes), sentence)


def test_sizes_and_formats():
    for params in (sets.mshift(), sets.dynamic(), sets.pot()):
        assert (params.input_size, params.hidden_size) == (2, 3)
        assert (str(params.fmt_x), str(params.fmt_h)) == ("int8", "int8")
    assert len(MULTIPLIERS) == 12 and len(OPERATORS) == 18
    assert {MShiftParams.datapath, MShiftDynamicParams.datapath, PotParams.datapath} == {"mshift", "mshift-dynamic", "pot"}


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.zeros((1, 2), int), "x is an array of shape [1, 2], expected shape [any, any, 2]"),
        (np.zeros((1, 0, 2), int), "x is an array of shape [1, 0, 2], expected a batch of at least one row"),
        (np.full((1, 1, 2), 128), "x[0, 0, 0] is 128, expected a code of int8 in [-128, 127]"),
        (np.zeros((1, 1, 2)), "x is an array of float64, expected integers"),
    ],
)
def test_input_codes_are_checked(x, sentence):
    refused(lambda: check_input(sets.mshift(), x), sentence)


def test_zero_steps_are_legal():
    assert check_input(sets.pot(), np.zeros((0, 4, 2), np.int8)).shape == (0, 4, 2)
