"""The judge's scalar steps against literals worked by hand from the clauses.  [SPEC F, R, Q, M, L]"""

import math
from fractions import Fraction

import pytest

from golden.spec.errors import ParameterError, RangeError, WidthError
from golden.spec.formats import INT8, INT16, INT32, UINT8, IntFormat
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from verification.exact.linear import matmul
from verification.exact.quantize import dequantize, nearest_even, quantize, quantize_bias, quantize_reciprocal, reciprocal
from verification.exact.rescale import S_ONE, align, apply, derive, derive_mshifts, normalized, requantize, scale_product
from verification.exact.rounding import saturate, shift_round, ties_away, ties_even, ties_up


def test_saturate():
    assert [saturate(v, INT8) for v in (-129, -128, 0, 127, 128)] == [-128, -128, 0, 127, 127]
    assert [saturate(v, UINT8) for v in (-1, 255, 256)] == [0, 255, 255]


HALVES = [-5, -3, -1, 0, 1, 3, 5]  # times 1/2


@pytest.mark.parametrize(
    ("function", "expected"),
    [(ties_up, [-2, -1, 0, 0, 1, 2, 3]), (ties_away, [-3, -2, -1, 0, 1, 2, 3]), (ties_even, [-2, -2, 0, 0, 0, 2, 2])],
)
def test_halves(function, expected):
    assert [function(x, 1) for x in HALVES] == expected


@pytest.mark.parametrize("function", [ties_up, ties_away, ties_even])
def test_away_from_a_tie_all_roundings_agree(function):
    assert [function(x, 3) for x in (-13, -11, -5, -3, 3, 5, 11, 13)] == [-2, -1, -1, 0, 0, 1, 1, 2]
    assert [function(x, 0) for x in (-7, 7)] == [-7, 7]


def test_a_negative_shift_is_an_exact_left_shift():
    assert ties_away(-5, -3) == ties_even(-5, -3) == -40
    with pytest.raises(ParameterError, match="shift is -1"):
        ties_up(1, -1)


def test_very_large_shifts():
    assert ties_up(-(2**62), 63) == 0 and ties_away(-(2**62), 63) == -1 and ties_even(-(2**62), 63) == 0
    assert ties_up(2**62, 63) == 1 and ties_up(-1, 200) == 0 and ties_away(1, 200) == 0


def test_shift_round_is_named():
    assert [shift_round(-1, 1, r) for r in Rounding] == [0, -1, 0]
    with pytest.raises(ParameterError, match="a Rounding"):
        shift_round(1, 1, "up")


@pytest.mark.parametrize(
    ("t", "q"),
    [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (math.inf, 2**31 - 1), (-math.inf, -(2**31)), (math.nan, 0),
     (2.0**31, 2**31 - 1), (-(2.0**31), -(2**31)), (2.0**31 - 128, 2**31 - 128), (2.0**-149, 0)],
)  # fmt: skip
def test_nearest_even_integer(t, q):
    assert nearest_even(t) == q


@pytest.mark.parametrize(
    ("v", "scale", "zero_point", "fmt", "q"),
    [
        (1.0, 0.5, 0, INT8, 2),
        (0.25, 0.5, 0, INT8, 0),  # 0.5 -> 0
        (0.75, 0.5, 0, INT8, 2),  # 1.5 -> 2
        (0.25, 0.5, 1, INT8, 2),  # the zero point first: 0.5 + 1 = 1.5 -> 2, not 0 + 1
        (-0.25, 0.5, 1, INT8, 0),  # -0.5 + 1 = 0.5 -> 0
        (100.0, 0.5, 0, INT8, 127),
        (math.inf, 1.0, -100, INT8, 127),
        (-math.inf, 1.0, 100, INT8, -128),
        (math.nan, 1.0, 100, INT8, 0),  # NaN is the code 0, the zero point is lost
        (math.nan, 1.0, 0, UINT8, 0),
        (2.0**127, 2.0**-20, 0, INT16, 32767),
        (1.0, 1.0, 1000, INT8, 127),  # a zero point outside the format
        (-900.0, 1.0, 1000, INT8, 100),
        (1.0, 1.0, 2**24 + 1, INT32, 2**24),  # f32(zp) = 2**24, 2**24 + 1 -> tie to even
        (-0.0, 1.0, 0, INT8, 0),
    ],
)
def test_quantize(v, scale, zero_point, fmt, q):
    assert quantize(v, scale, zero_point, fmt) == q


def test_quantize_by_reciprocal_differs_in_bits():
    """45.5 / 7 = 6.5 is a tie, to 6; f32(1/7) is a little more than 1/7, and the product is above the tie."""
    inverse = reciprocal(7.0)
    assert inverse == float.fromhex("0x1.24924ap-3")
    assert quantize(45.5, 7.0, 0, INT8) == 6
    assert quantize_reciprocal(45.5, inverse, 0, INT8) == 7


def test_quantize_by_reciprocal_of_a_subnormal_scale():
    assert reciprocal(2.0**-149) == math.inf
    assert quantize_reciprocal(0.0, math.inf, 3, INT8) == 0  # 0 * inf is NaN
    assert quantize_reciprocal(-1.0, math.inf, 3, INT8) == -128


def test_dequantize_and_bias():
    assert dequantize(-128, 0.5, 127) == -127.5
    assert dequantize(2**24 + 1, 1.0, 0) == 2.0**24
    assert dequantize(7, 0.5, 7) == 0.0
    assert [quantize_bias(b, 0.5, INT8) for b in (0.25, 0.75, -0.25, 1000.0)] == [0, 2, 0, 127]
    assert quantize_bias(3.0e9, 1.0, INT32) == 2**31 - 1


def test_s_one_is_the_binary32_nearest_to_one_over_127():
    assert S_ONE == float.fromhex("0x1.020408p-7")


def test_derive():
    assert derive(1.0, 3.0, 15) == MShift(10923, 15)  # 10922.67
    assert derive(1.0, 1.0, 31, 2**31 - 1, True) == MShift(2**31 - 1, 31)
    assert derive(3.0, 2.0, 0) == MShift(2, 0)  # 1.5 -> floor(2.0)
    assert derive(1.0, 2.0, 0) == MShift(1, 0)  # 0.5 -> 1
    assert derive(2.0**-140, 2.0**20, 31) == MShift(0, 31)  # the ratio is 0
    assert derive(2.0**100, 2.0**-100, 18, 2**24 - 1, True) == MShift(2**24 - 1, 18)  # the ratio is inf


def test_derive_adds_one_half_exactly():
    """p = 0.49999997 is below one half; in binary32 p + 0.5 would be 1."""
    below_half = float.fromhex("0x1.fffffep-2")
    assert derive(below_half, 1.0, 0) == MShift(0, 0)
    assert derive(8388609.0, 1.0, 0) == MShift(8388609, 0)  # p + 0.5 in binary32 would be 8388610


def test_derive_refuses():
    with pytest.raises(ParameterError, match="at most 2147483647"):
        derive(2.0**31, 1.0, 0)
    with pytest.raises(ParameterError, match="multiplier is inf"):
        derive(2.0**127, 2.0**-127, 0)
    with pytest.raises(RangeError, match="s_to"):
        derive(1.0, 0.0, 0)
    with pytest.raises(RangeError, match="s_from"):
        derive(math.inf, 1.0, 0)


def test_scale_product():
    assert scale_product(0.5, 3.0, "s_Wx") == 1.5
    with pytest.raises(RangeError, match="s_Wx at step 3 is inf"):
        scale_product(2.0**100, 2.0**100, "s_Wx", 3)
    with pytest.raises(RangeError, match="s_Rh is 0.0"):
        scale_product(2.0**-100, 2.0**-100, "s_Rh")
    assert scale_product(2.0**-100, 2.0**-49, "s_Rh") == 2.0**-149


def test_apply_align_requantize():
    assert apply(-3, MShift(1, 1)) == -1 and apply(3, MShift(1, 1)) == 2 and apply(-1, MShift(1, 1)) == 0
    assert apply(-(2**31), MShift(2**31 - 1, 31)) == -(2**31) + 1  # exact in 64 bits
    assert apply(5, MShift(3, 0)) == 15  # a shift of 0 is the identity
    assert align(2**31 - 1, MShift(3, 1)) == 2**31 - 1
    assert requantize(300, MShift(1, 1), -30, INT8) == 120
    assert requantize(-3, MShift(1, 1), 200, INT8) == 127
    with pytest.raises(WidthError, match="apply"):
        apply(2**31, MShift(1, 0))


def test_normalized():
    assert normalized(1) == MShift(32768, 15)
    assert normalized(Fraction(1, 3)) == MShift(43691, 17)  # 43690.67
    assert normalized(Fraction(65537, 2**17)) == MShift(32769, 16)  # 32768.5 ties away
    assert normalized(2**16 - 1) == MShift(65535, 0)
    assert normalized(Fraction(2**17 - 1, 4)) == MShift(32768, 0)  # 65535.5 / 2: rounds up into the next octave
    assert normalized(Fraction(2**17 - 1, 2**33)) == MShift(32768, 31)  # the same at the far end
    assert normalized(2.0**-16) == MShift(32768, 31)


@pytest.mark.parametrize("real", [0, -1, math.nan, math.inf, 2**16, Fraction(2**17 - 1, 2), Fraction(1, 2**17)])
def test_normalized_refuses(real):
    with pytest.raises(ParameterError):
        normalized(real)


def test_derive_mshifts_from_powers_of_two():
    m = derive_mshifts(2.0**-7, 2.0**-6, 2.0**-5, 2.0**-7, 2.0**-12, 2.0**-11, 2.0**-4, 2.0**-5, 2.0**-6)
    assert m["m_Rh_z"] == m["m_Rh_r"] == MShift(2**17, 18)
    assert m["m_bx"] == MShift(2**24, 24)
    assert m["m_br_z"] == m["m_br_r"] == MShift(2**25, 24)
    assert m["m_br_g"] == MShift(2**26, 24)
    assert (m["m_z"], m["m_r"], m["m_g"]) == (MShift(2**10, 18), MShift(2**11, 18), MShift(2**12, 18))
    assert m["m_rRh"] == MShift(1032, 18)  # 2**17 / 127 = 1032.06
    assert m["m_gh"] == MShift(264208, 18)  # 2**25 / 127 = 264208.1
    assert m["m_one"] == MShift(2064, 18)


def test_derive_mshifts_limits_the_reset_multiplier():
    scales = (2.0**-7, 255 / 256, 2.0**-10, 1.0, 2.0**-17, 2.0**-17, 1.0, 1.0, 1.0)  # s_Rh / s_Wx = 2**17 * 255/256
    with pytest.raises(ParameterError, match="m_rRh multiplier"):
        derive_mshifts(*scales, shift=14, shift_bias=15)
    m = derive_mshifts(*scales, shift=18, shift_bias=15, saturating=True)
    assert m["m_rRh"] == MShift(2**24 - 1, 18) and m["m_Rh_z"] == MShift(2**31 - 1, 18)


def test_matmul():
    assert matmul([3, -4], [2, 5], 1) == 2 * 2 - 5 * 5
    assert matmul([1], [1], -(2**31)) == 2**31 + 1


def test_formats_of_two_bits():
    assert [saturate(v, IntFormat(2, True)) for v in (-3, 3)] == [-2, 1]
