"""The judge's ranges and exponents against literals worked by hand.  [SPEC E-1 ... E-5]"""

import math
from fractions import Fraction

import pytest

from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import INT8, INT16, UINT8
from verification.exact.ranges import asymmetric, ema, exponent_minmax, exponent_sqnr, extremes, pot_zero_point, symmetric

SMALLEST = 2.0**-149


def test_extremes():
    assert extremes([1.0, -2.0, 0.5]) == (-2.0, 1.0)
    low, high = extremes([-0.0, -0.0])
    assert math.copysign(1.0, low) == math.copysign(1.0, high) == 1.0  # a zero extreme is +0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_extremes_refuse_what_is_not_finite(bad):
    with pytest.raises(RangeError) as error:
        extremes([0.0, bad, 1.0], "x", 4)
    assert (error.value.tensor, error.value.step) == ("x", 4)


def test_ema_constants_are_the_nearest_binary32_numbers():
    assert ema(1.0, 0.0, 0.0, 1.0) == (float.fromhex("0x1.ccccccp-1"), float.fromhex("0x1.99999ap-4"))


def test_ema_rounds_each_operation():
    """0.9f*3 is 11324620.5 * 2**-22, a tie, down to even; + 0.1f gives 11744050.41 * 2**-22. One rounding would give ...51."""
    assert ema(3.0, 1.0, 1.0, 1.0) == (11744050 * 2.0**-22, 1.0)
    assert ema(-SMALLEST, SMALLEST, 0.0, 0.0) == (-SMALLEST, SMALLEST)  # 0.9 of the least number rounds back to it
    assert ema(4 * SMALLEST, 0.0, 4 * SMALLEST, 0.0) == (4 * SMALLEST, 0.0)  # 3.6 -> 4 and 0.4 -> 0


def test_asymmetric_zero_to_255():
    assert asymmetric(0.0, 255.0, INT8) == (1.0, -128)
    assert asymmetric(-255.0, 0.0, INT8) == (1.0, 127)
    assert asymmetric(-255.0, 255.0, INT8) == (2.0, 0)  # -128 + 127.5 = -0.5 -> 0
    assert asymmetric(-3.0, 252.0, UINT8) == (1.0, 3)


def test_asymmetric_always_holds_zero():
    assert asymmetric(85.0, 255.0, INT8) == (1.0, -128)
    assert asymmetric(-255.0, -85.0, INT8) == (1.0, 127)


def test_asymmetric_ties_to_even():
    """lo/scale = -2.5 and -3.5: -128 + 2.5 = -125.5 -> -126, -128 + 3.5 = -124.5 -> -124."""
    assert asymmetric(-2.5, 252.5, INT8) == (1.0, -126)
    assert asymmetric(-3.5, 251.5, INT8) == (1.0, -124)


def test_asymmetric_minimum_width():
    least = float.fromhex("0x1.010102p-16")  # f32(2**-8 / 255)
    assert asymmetric(0.0, 0.0, INT8) == (least, -128)
    assert asymmetric(0.0, 2.0**-9, INT8) == (least, -128)
    assert asymmetric(-(2.0**-8), 0.0, INT8) == (least, 127)
    # hi = 2**-9; the scale is rounded up, so lo/scale = -127.49999237 and the sum -0.50000763 is no tie
    assert asymmetric(-(2.0**-9), 0.0, INT8) == (least, -1)


def test_symmetric():
    assert symmetric(-127.0, 3.0, INT8) == (1.0, 0)
    assert symmetric(1.0, 2.0, INT8) == (float.fromhex("0x1.020408p-6"), 0)
    assert symmetric(0.0, 0.0, INT8) == (float.fromhex("0x1.020408p-16"), 0)  # 2**-9 / 127
    assert symmetric(0.0, 32767.0, INT16) == (1.0, 0)
    assert symmetric(0.0, 255.0, UINT8) == (1.0, 0)


@pytest.mark.parametrize(("rmin", "rmax"), [(math.nan, 1.0), (0.0, math.inf), (-math.inf, 0.0)])
def test_a_range_that_is_not_finite_is_refused(rmin, rmax):
    for make in (asymmetric, symmetric):
        with pytest.raises(RangeError, match="h at step 2"):
            make(rmin, rmax, INT8, "h", 2)


def test_a_width_that_overflows_is_refused():
    with pytest.raises(RangeError, match="x at step 0 is inf"):
        asymmetric(-(2.0**127), 2.0**127, INT8, "x", 0)
    assert symmetric(-(2.0**127), 2.0**127, INT8, "x", 0)[1] == 0  # no width is taken here


@pytest.mark.parametrize(
    ("scale", "minmax", "sqnr"),
    [
        (1.0, 0, 0),
        (0.5, 1, 1),
        (math.nextafter(0.5, 0), 1, 1),
        (math.nextafter(0.5, 1), 0, 1),  # floor never clips; log2 would round to -1
        (0.75, 0, 0),  # -log2 = 0.415
        (0.7, 0, 1),  # -log2 = 0.515
        (Fraction(7071067811865475, 10**16), 0, 1),  # just below the square root of 1/2
        (Fraction(7071067811865476, 10**16), 0, 0),  # just above
        (3.0, -2, -2),
        (2.5, -2, -1),
        (2.0**15, -15, -15),
        (2.0**-30, 30, 30),
        (2.0**-40, 30, 30),
        (2.0**-149, 30, 30),
        (0.0, 30, 30),
    ],
)
def test_exponents(scale, minmax, sqnr):
    assert (exponent_minmax(scale), exponent_sqnr(scale)) == (minmax, sqnr)


def test_exponents_refuse():
    with pytest.raises(ParameterError, match="exponent is -16"):
        exponent_minmax(32769.0)
    assert exponent_sqnr(46340.0) == -15  # below 2**15.5
    with pytest.raises(ParameterError, match="exponent is -16"):
        exponent_sqnr(46341.0)
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(RangeError, match="scale"):
            exponent_minmax(bad)


@pytest.mark.parametrize(
    ("lo", "exponent", "fmt", "zero_point"),
    [
        (-1.0, 7, INT8, 0),
        (0.5, 7, INT8, -128),  # lo = min(rmin, 0)
        (-4.0, 7, INT8, 127),
        (-1.5, 0, UINT8, 2),  # 1.5 ties away
        (-1.5, 0, INT8, -127),  # -126.5 ties away
        (-127.5, 0, INT8, -1),  # -0.5 ties away
        (-128.5, 0, INT8, 1),
        (-6.0, -2, UINT8, 2),
        (0.0, 30, INT16, -32768),
    ],
)
def test_pot_zero_point(lo, exponent, fmt, zero_point):
    assert pot_zero_point(lo, exponent, fmt) == zero_point
