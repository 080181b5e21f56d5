"""Ranges, their moving average, and the scale and zero point that they give.  [SPEC E-1 ... E-5]"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import IntFormat
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT

Real = float | np.floating[Any]

KEEP = np.float32(0.9)
TAKE = np.float32(0.1)
MIN_WIDTH = np.float32(2.0**-8)
MIN_AMPLITUDE = np.float32(2.0**-9)
ZERO = np.float32(0)


def extremes(x: Any, *, tensor: str = "x", step: int | None = None) -> tuple[np.float32, np.float32]:
    """(cmin, cmax) over a whole tensor; a zero extreme is +0.0.  [SPEC E-1, E-5]

    x       float32 [...], not empty
    Raises  RangeError naming tensor and step when a value is NaN or inf
    """
    array = np.asarray(x, np.float32)
    cmin, cmax = array.min(), array.max()
    for value in (cmin, cmax):
        if not np.isfinite(value):
            raise RangeError(tensor, value, step)
    return cmin + ZERO, cmax + ZERO


def ema(rmin: Real, rmax: Real, cmin: Real, cmax: Real) -> tuple[np.float32, np.float32]:
    """The moving range: f32(f32(0.9f * old) + f32(0.1f * new)), both ends.  [SPEC E-1]"""
    return (
        KEEP * np.float32(rmin) + TAKE * np.float32(cmin),
        KEEP * np.float32(rmax) + TAKE * np.float32(cmax),
    )


def asymmetric(
    rmin: Real, rmax: Real, fmt: IntFormat, *, tensor: str = "range", step: int | None = None
) -> tuple[float, int]:
    """(scale, zero_point) of a range that is widened to hold zero.  [SPEC E-2]

    rmin, rmax  binary32
    fmt         IntFormat of the codes
    Returns     scale as a binary32 value, zero_point inside fmt
    Raises      RangeError naming tensor and step when the range or its width is not finite
    """
    lo, hi = np.minimum(np.float32(rmin), ZERO), np.maximum(np.float32(rmax), ZERO)
    with np.errstate(all="ignore"):
        width = hi - lo
    if not np.isfinite(width):
        raise RangeError(tensor, width, step)
    if width < MIN_WIDTH:
        hi = lo + MIN_WIDTH
    scale = (hi - lo) / np.float32(fmt.qmax - fmt.qmin)
    zero_point = int(np.rint(np.float32(fmt.qmin) - lo / scale))
    return float(scale), min(max(zero_point, fmt.qmin), fmt.qmax)  # in integers: binary32 does not hold 2**31 - 1


def symmetric(
    rmin: Real, rmax: Real, fmt: IntFormat, *, tensor: str = "range", step: int | None = None
) -> tuple[float, int]:
    """(scale, 0) of a range around zero.  [SPEC E-3]

    rmin, rmax  binary32
    Raises      RangeError naming tensor and step when the range is not finite
    """
    amax = np.maximum(np.maximum(np.abs(np.float32(rmin)), np.abs(np.float32(rmax))), MIN_AMPLITUDE)
    if not np.isfinite(amax):
        raise RangeError(tensor, amax, step)
    return float(amax / np.float32(fmt.qmax)), 0


def exponent_minmax(scale: float) -> int:
    """e = floor(-log2(scale)), exactly: the scale 2**-e never clips.  [SPEC E-4]

    scale   a positive, finite binary64 number; 0 gives the greatest exponent
    Returns an exponent in [-15, 30]; above 30 it is 30
    Raises  ParameterError below -15; RangeError when the scale is negative or not finite
    """
    fraction, exponent = _frexp(scale)
    return _within(-exponent + (1 if fraction == 0.5 else 0), scale)


def exponent_sqnr(scale: float) -> int:
    """e = the integer nearest to -log2(scale), exactly, ties away.  [SPEC E-4]

    As exponent_minmax; a tie cannot occur, 2**(k + 1/2) is irrational.
    """
    fraction, exponent = _frexp(scale)
    return _within(-exponent + (1 if Fraction(fraction) ** 2 < Fraction(1, 2) else 0), scale)


def pot_zero_point(lo: float, exponent: int, fmt: IntFormat) -> int:
    """The zero point of a power-of-two scale: saturate(ties-away integer of (qmin - lo * 2**e), fmt).  [SPEC E-4]

    lo  the lower end of the range, taken as min(lo, 0); binary64
    """
    if not math.isfinite(lo):
        raise RangeError("range", lo)
    exact = fmt.qmin - min(Fraction(lo), Fraction(0)) * Fraction(2) ** exponent
    nearest = math.floor(abs(exact) + Fraction(1, 2))
    return min(max(nearest if exact >= 0 else -nearest, fmt.qmin), fmt.qmax)


def _frexp(scale: float) -> tuple[float, int]:
    if not math.isfinite(scale) or scale < 0:
        raise RangeError("raw scale", scale)
    return math.frexp(scale) if scale > 0 else (0.75, -MAX_EXPONENT)


def _within(exponent: int, scale: float) -> int:
    if exponent < MIN_EXPONENT:
        raise ParameterError("raw scale", repr(scale), f"a scale of at most 2**{-MIN_EXPONENT}")
    return min(exponent, MAX_EXPONENT)
