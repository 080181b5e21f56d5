"""Ranges, and the parameter sets that they give, against literals worked by hand."""

from fractions import Fraction

import numpy as np
import pytest

from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import IntFormat
from golden.spec.layout import OPERATOR_FIELDS
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from quant_gru.boundary import dequantize_state, quantize_input, quantize_state
from quant_gru.build import dynamic_params, gate_scales_for, mshift_params, pot_params
from quant_gru.calibrate import Ranges, calibrate
from quant_gru.float_gru import FloatGru

# C = H = 1; gates z, r, g
GRU = FloatGru(
    np.array([[1.0, -2.0, 0.5]], np.float32),
    np.array([[0.25, 0.0, -4.0]], np.float32),
    np.array([0.5, -0.25, 0.0], np.float32),
    np.array([0.0, 1.0, 2.0], np.float32),
)


def ranges(**changes):
    found = {name: (-1.0, 1.0) for name in OPERATOR_FIELDS} | {"gate.z_out": (0.0, 1.0), "gate.r_out": (0.0, 1.0)}
    return Ranges(found | {k.replace("_", ".", 1): v for k, v in changes.items()})


def test_union_over_batches_steps_and_initial_states():
    first, second = np.full((2, 1, 1), 3, np.float32), np.full((1, 2, 1), -5, np.float32)
    found = calibrate(GRU, [first, (second, np.array([[7.0], [0.0]]))])
    assert found["input.x"] == (-5, 3)
    assert found["matmul.Wx"] == (-6, 10)
    assert found["matmul.Rh"][0] == -28
    assert found["input.h"][1] == 7
    assert found["op.Rh_add_br"][0] == -26
    assert set(found.operators) == set(OPERATOR_FIELDS)
    assert all(0 <= found[f"gate.{k}_out"][0] < found[f"gate.{k}_out"][1] <= 1 for k in "zr")


def test_reverse_has_other_ranges():
    x = np.array([4, -4, 0], np.float32).reshape(3, 1, 1)
    assert calibrate(GRU, [x])["input.h"] != calibrate(GRU, [x], reverse=True)["input.h"]


def test_nothing_to_calibrate_on_is_refused():
    with pytest.raises(ParameterError, match="calibration data is empty"):
        calibrate(GRU, [])
    with pytest.raises(ParameterError, match="input.x is an array of shape"):
        calibrate(GRU, [np.zeros((0, 1, 1))])
    with pytest.raises(RangeError, match="input.x is nan"):
        calibrate(GRU, [np.full((1, 1, 1), np.nan)])


def test_pot_exponents_and_zero_points():
    p = pot_params(GRU, ranges(input_x=(-1.0, 3.0), input_h=(0.5, 2.0), gate_g_pre=(-6.0, -2.0)), 8)
    found = {k: (str(o.fmt), o.exponent, o.zero_point) for k, o in p.operators.items() if k in OPERATOR_FIELDS}
    # raw scales: x 4/255 -> e = 5, zp = -128 + 32;  h 2/255 -> 6, zp = -128;  g_pre 6/255 -> 5, zp = -128 + 192
    assert found["input.x"] == ("int8", 5, -96)
    assert found["input.h"] == ("int8", 6, -128)
    assert found["gate.g_pre"] == ("int8", 5, 64)
    assert found["gate.z_out"] == ("uint8", 7, 0)
    assert found["matmul.Wx"] == ("int8", 6, -64)


def test_pot_weights_have_an_exponent_for_each_channel():
    p = pot_params(GRU, ranges(), 8)
    # 1/127 -> 6, 2/127 -> 5, 0.5/127 -> 7; a channel of zeros takes 30
    assert p.operators["weight.W"].exponent.tolist() == [6, 5, 7]
    assert p.W.tolist() == [[64, -64, 64]]
    assert p.operators["weight.R"].exponent.tolist() == [8, 30, 4]
    assert p.R.tolist() == [[64, 0, -64]]
    assert p.operators["weight.bx"].exponent.tolist() == [7, 8, 30]
    assert p.bx.tolist() == [64, -64, 0]
    assert p.br.tolist() == [0, 64, 64]


@pytest.mark.parametrize("bits, bias", [(4, "int8"), (8, "int8"), (12, "int16"), (16, "int16")])
def test_pot_widths(bits, bias):
    p = pot_params(GRU, ranges(), bits)
    assert {str(p.operators[k].fmt) for k in ("weight.bx", "weight.br")} == {bias}
    assert {str(p.operators[k].fmt) for k in ("gate.z_out", "gate.r_out")} == {f"uint{bits}"}
    assert {str(p.operators[k].fmt) for k in ("input.x", "weight.W", "gate.z_pre")} == {f"int{bits}"}
    assert p.act_z.kind == "piecewise_linear"


def test_pot_choices():
    p = pot_params(
        GRU, ranges(input_x=(-1.0, 3.0)), 8, bias_bits=32, rounding=Rounding.TIES_EVEN, activation="direct",
        formats={"input.h": IntFormat(12, False)}, symmetric_operators={"input.x": True},
    )  # fmt: skip
    assert (p.operators["input.x"].exponent, p.operators["input.x"].zero_point) == (5, 0)  # 3/127 -> 5
    assert str(p.operators["input.h"].fmt) == "uint12"
    assert str(p.operators["weight.bx"].fmt) == "int32"
    assert (p.rounding, p.act_g.kind) == (Rounding.TIES_EVEN, "direct")


@pytest.mark.parametrize(
    "choices, sentence",
    [
        ({"bits": 1}, "bits is 1, expected an integer in"),
        ({"bits": 8.0}, "bits is 8.0, expected an integer"),
        ({"formats": {"x": IntFormat(8, True)}}, "formats is 'x', expected operators of"),
        ({"symmetric_operators": {"weight.W": False}}, "symmetric_operators weight.W is False, expected true"),
        ({"activation": "cubic"}, "kind is 'cubic', expected one of"),
        ({"bias_bits": 12}, "weight.bx format is int12, expected int8, int16 or int32"),
    ],
)
def test_bad_pot_choices_are_refused(choices, sentence):
    with pytest.raises(ParameterError) as error:
        pot_params(GRU, ranges(), **choices)
    assert str(error.value).startswith(sentence)


def f32(value):
    """The binary32 number nearest to a fraction, as a float."""
    return float(np.float32(float(value)))


def test_mshift_scales_and_codes():
    p = mshift_params(GRU, ranges(input_x=(-1.0, 3.0)))
    assert (p.s_w, p.s_r) == (f32(Fraction(2, 127)), f32(Fraction(4, 127)))
    assert (p.s_x, p.zp_x) == (f32(Fraction(4, 255)), -64)  # -128 + 63.75 to the nearest
    assert (p.s_h, p.zp_h) == (f32(Fraction(2, 255)), -1)  # -128 + 127.49999: the scale is rounded up
    assert p.W.tolist() == [[64, -127, 32]]  # 63.5 and 31.75, the first a tie in binary32
    assert p.R.tolist() == [[8, 0, -127]]
    assert (p.s_z, p.s_r_gate, p.s_g, p.gate_bits) == (1 / 16, 1 / 16, 1 / 32, 8)
    assert p.bx.tolist() == [2024, -1012, 0]  # 0.5 * 127 * 255 / 8 = 2024.06
    assert p.br.tolist() == [0, 4048, 8096]
    assert p.s_bx == p.s_br
    assert p.m_bx == MShift(2**24, 24)
    assert p.m_one == MShift(2064, 18)  # 2**18 / 127 = 2064.13
    assert p.m_gh == MShift(263176, 18)  # 2**18 * 255 / 254 = 263176.06


def test_mshift_symmetric_inputs():
    p = mshift_params(GRU, ranges(input_x=(-1.0, 3.0)), x_symmetric=True, h_symmetric=True, reciprocal=True)
    assert (p.s_x, p.zp_x, p.s_h, p.zp_h, p.reciprocal) == (f32(Fraction(3, 127)), 0, f32(Fraction(1, 127)), 0, True)


def test_wide_gates_address_the_same_table():
    narrow, wide = mshift_params(GRU, ranges()), mshift_params(GRU, ranges(), gate_bits=16)
    assert gate_scales_for(16) == (f32(Fraction(1, 16 * 257)), f32(Fraction(1, 16 * 257)), f32(Fraction(1, 32 * 257)))
    assert np.array_equal(narrow.table_g.entries, wide.table_g.entries)
    assert (wide.s_g, wide.gate_bits) == (f32(Fraction(1, 32 * 257)), 16)


def test_dynamic_keeps_the_float_weights():
    p = dynamic_params(GRU, gate_scales=(1 / 8, 1 / 4, 1 / 2), h_symmetric=True, shift=20)
    assert np.array_equal(p.W, GRU.W) and p.W.dtype == np.float32
    assert (p.s_z, p.s_r_gate, p.s_g) == (1 / 8, 1 / 4, 1 / 2)
    assert (p.h_symmetric, p.x_symmetric, p.shift, p.shift_bias) == (True, False, 20, 24)


@pytest.mark.parametrize("choices", [{"gate_bits": 12}, {"gate_scales": (1 / 16,)}, {"gate_scales": (0.1, 1.0, 1.0)}])
def test_bad_gates_are_refused(choices):
    for build in (lambda: mshift_params(GRU, ranges(), **choices), lambda: dynamic_params(GRU, **choices)):
        with pytest.raises(ParameterError):
            build()


def test_the_float_boundary():
    p = pot_params(GRU, ranges(input_x=(-1.0, 3.0)), 8)
    assert quantize_input(p, np.array([-1, 0, 2, 9], np.float32)).tolist() == [-128, -96, -32, 127]
    h = quantize_state(p, np.array([-1, 0, 0.5, 1], np.float32))
    assert h.tolist() == [-128, -64, -32, 0]
    assert dequantize_state(p, h).tolist() == [-1, 0, 0.5, 1]
