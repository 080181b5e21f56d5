"""Ranges, scales and exponents, against the judge.  [SPEC E-1 ... E-5]"""

from __future__ import annotations

import numpy as np
import pytest

from golden import ranges as golden
from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import INT8, INT16, INT32, UINT8, UINT16
from tests.golden.sweep import NARROW, floats_of_every_exponent
from verification.exact import ranges as judge

NUMBERS = floats_of_every_exponent(6, 2)
GRID = [float(np.float32(v)) for v in (-5, -1, -0.3, -(2**-9), -(2**-12), -1e-40, -0.0, 0, 1e-45, 2**-10, 2**-8, 0.1, 1, 3.7)]


def pairs() -> list[tuple[float, float]]:
    shuffled = np.random.default_rng(7).permutation(NUMBERS)
    wide = [(min(a, b), max(a, b)) for a, b in zip(NUMBERS.tolist(), shuffled.tolist())]
    return wide + [(a, b) for a in GRID for b in GRID if a <= b]


@pytest.mark.parametrize("fmt", [*NARROW, INT8, UINT8, INT16, UINT16, INT32], ids=str)
def test_asymmetric_and_symmetric(fmt):
    for low, high in pairs():
        for name in ("asymmetric", "symmetric"):
            try:
                wanted = getattr(judge, name)(low, high, fmt, "x", 4)
            except RangeError as error:
                with pytest.raises(RangeError) as found:
                    getattr(golden, name)(low, high, fmt, tensor="x", step=4)
                assert (found.value.tensor, found.value.step) == (error.tensor, error.step)
            else:
                assert getattr(golden, name)(low, high, fmt, tensor="x", step=4) == wanted, (low, high)


def test_a_zero_point_of_32_bits_stays_inside():
    assert golden.asymmetric(-1.0, 0.0, INT32) == (2.0**-32, 2**31 - 1)


def test_ema():
    for (a, b), (c, d) in zip(pairs(), reversed(pairs())):
        found = golden.ema(a, b, c, d)
        assert [float(v).hex() for v in found] == [float(v).hex() for v in judge.ema(a, b, c, d)]


def test_extremes_zero_is_positive():
    low, high = golden.extremes(np.float32([-0.0, -0.0]))
    assert not np.signbit(low) and not np.signbit(high)
    low, high = golden.extremes(np.float32([-0.0, 3.0, -2.0]))
    assert (low, high) == (-2.0, 3.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_refused_with_tensor_and_step(bad):
    with pytest.raises(RangeError, match=r"^x at step 7 is "):
        golden.extremes(np.float32([0, bad, 1]), tensor="x", step=7)
    with pytest.raises(RangeError, match=r"^h at step 2 is "):
        golden.asymmetric(-3.4e38, 3.4e38, INT8, tensor="h", step=2)


def test_exponents_of_scales():
    scales = (
        np.abs(NUMBERS).astype(float).tolist() + [2.0**k for k in range(-60, 16)] + [2.0 ** (k + 0.5) for k in range(-40, 15)]
    )
    for scale in scales:
        for name in ("exponent_minmax", "exponent_sqnr"):
            try:
                wanted = getattr(judge, name)(scale)
            except ParameterError:
                with pytest.raises(ParameterError, match="raw scale"):
                    getattr(golden, name)(scale)
            else:
                assert getattr(golden, name)(scale) == wanted, scale


@pytest.mark.parametrize("fmt", [*NARROW, INT8, UINT8, INT16], ids=str)
def test_pot_zero_points(fmt):
    for lo in [*GRID, -100.0, -1e30, 2.5]:
        for exponent in (-15, -1, 0, 1, 3, 7, 30):
            assert golden.pot_zero_point(lo, exponent, fmt) == judge.pot_zero_point(lo, exponent, fmt)


def test_pot_zero_point_ties_go_away():
    assert golden.pot_zero_point(-2.5, 0, UINT8) == 3
    assert golden.pot_zero_point(-0.5, 0, INT8) == -128  # -127.5
