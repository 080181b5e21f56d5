"""Ranges, their moving average, and the scale and zero point of a range.  [SPEC E]

extremes, ema, asymmetric and symmetric are scalar steps; the power-of-two functions make parameters in plain Python.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from cuda_impl.intrinsics import fadd, fdiv, float32, fmul, fsub, int64, nearest_even
from cuda_impl.rounding import saturate
from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import IntFormat
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT

KEEP = np.float32(0.9)
TAKE = np.float32(0.1)
MIN_WIDTH = np.float32(2.0**-8)
MIN_AMAX = np.float32(2.0**-9)
ZERO = np.float32(0.0)


def lower(a, b):
    """The lesser of two float32, NaN when b is NaN or a was."""
    if b < a or b != b:
        return float32(b)
    return float32(a)


def upper(a, b):
    """The greater of two float32, NaN when b is NaN or a was."""
    if b > a or b != b:
        return float32(b)
    return float32(a)


def extremes(values, first, step):
    """(least, greatest) of values[0] and values[first::step], float32; a zero is +0.0, NaN wins.  [SPEC E-1]"""
    low = float32(values[0])
    high = float32(values[0])
    for i in range(first, values.shape[0], step):
        v = float32(values[i])
        low = lower(low, v)
        high = upper(high, v)
    if low == ZERO:
        low = ZERO
    if high == ZERO:
        high = ZERO
    return low, high


def ema(rmin, rmax, cmin, cmax):
    """(rmin, rmax) after one more step: f32(f32(0.9f * r) + f32(0.1f * c)).  [SPEC E-1]"""
    return fadd(fmul(KEEP, rmin), fmul(TAKE, cmin)), fadd(fmul(KEEP, rmax), fmul(TAKE, cmax))


def asymmetric(rmin, rmax, qmin, qmax):
    """(scale float32, zero point int64) of a range.  [SPEC E-2]"""
    low = float32(rmin) if rmin < ZERO else ZERO
    high = float32(rmax) if rmax > ZERO else ZERO
    if fsub(high, low) < MIN_WIDTH:
        high = fadd(low, MIN_WIDTH)
    scale = fdiv(fsub(high, low), float32(int64(qmax) - int64(qmin)))
    offset = fsub(float32(int64(qmin)), fdiv(low, scale))
    return scale, saturate(nearest_even(offset), qmin, qmax)


def symmetric(rmin, rmax, qmax):
    """(scale float32, 0) of a range.  [SPEC E-3]"""
    low = float32(rmin) if rmin >= ZERO else -float32(rmin)
    high = float32(rmax) if rmax >= ZERO else -float32(rmax)
    amax = low if low > high else high
    if MIN_AMAX > amax:
        amax = MIN_AMAX
    return fdiv(amax, float32(int64(qmax))), int64(0)


def _exponent(scale: float, exponent: int) -> int:
    if exponent < MIN_EXPONENT:
        raise ParameterError("exponent", exponent, f"at least {MIN_EXPONENT} (the scale is {scale!r})")
    return min(exponent, MAX_EXPONENT)


def _parts(scale: float) -> tuple[float, int]:
    value = float(scale)
    if not math.isfinite(value) or value < 0:
        raise RangeError("raw scale", repr(value))
    return math.frexp(value) if value > 0 else (0.75, -MAX_EXPONENT)


def exponent_minmax(scale: float) -> int:
    """floor(-log2(scale)), exactly; at most 30, also for a scale of 0.  [SPEC E-4]

    Raises   ParameterError below -15, RangeError for a scale that is negative or not finite
    """
    mantissa, power = _parts(scale)  # scale = mantissa * 2^power, 1/2 <= mantissa < 1
    return _exponent(scale, 1 - power if mantissa == 0.5 else -power)


def exponent_sqnr(scale: float) -> int:
    """The integer nearest to -log2(scale), exactly, ties away; at most 30.  [SPEC E-4]

    Raises   as exponent_minmax
    """
    mantissa, power = _parts(scale)
    # -log2(mantissa) lies in (0, 1]; it is above a half where mantissa^2 < 1/2. mantissa^2 is never 1/2: no ties
    return _exponent(scale, 1 - power if 2 * Fraction(mantissa) ** 2 < 1 else -power)


def pot_zero_point(lo: float, exponent: int, fmt: IntFormat) -> int:
    """saturate(ties-away integer of qmin - min(lo, 0) * 2^exponent, fmt).  [SPEC E-4]

    Raises   RangeError for a NaN or an inf
    """
    if not math.isfinite(lo):
        raise RangeError("lo", repr(float(lo)))
    exact = fmt.qmin - min(Fraction(float(lo)), Fraction(0)) * Fraction(2) ** int(exponent)
    away = math.floor(abs(exact) + Fraction(1, 2))
    return min(max(away if exact >= 0 else -away, fmt.qmin), fmt.qmax)
