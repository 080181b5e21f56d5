"""Ranges, their moving average, and the scales that follow from them, in exact binary32.  [SPEC E-1 ... E-5]"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import IntFormat
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT
from verification.exact import binary32
from verification.exact.quantize import nearest_even
from verification.exact.rounding import saturate

NINE_TENTHS = binary32.nearest(Fraction(9, 10))
ONE_TENTH = binary32.nearest(Fraction(1, 10))
MIN_WIDTH = 2.0**-8
MIN_MAGNITUDE = 2.0**-9


def _finite(value: float, tensor: str, step: int | None) -> float:
    if not math.isfinite(value):
        raise RangeError(tensor, value, step)
    return value


def extremes(values: Iterable[float], tensor: str = "range", step: int | None = None) -> tuple[float, float]:
    """(cmin, cmax) of binary32 numbers; a zero extreme is +0.0; NaN and inf are refused.  [SPEC E-1, E-5]"""
    numbers = [_finite(v, tensor, step) for v in values]
    cmin, cmax = min(numbers), max(numbers)
    return (0.0 if cmin == 0 else cmin), (0.0 if cmax == 0 else cmax)


def ema(rmin: float, rmax: float, cmin: float, cmax: float) -> tuple[float, float]:
    """The range after one more step: f32(f32(0.9f * r) + f32(0.1f * c)).  [SPEC E-1]"""

    def blend(r: float, c: float) -> float:
        return binary32.add(binary32.mul(NINE_TENTHS, r), binary32.mul(ONE_TENTH, c))

    return blend(rmin, cmin), blend(rmax, cmax)


def asymmetric(rmin: float, rmax: float, fmt: IntFormat, tensor: str = "range", step: int | None = None) -> tuple[float, int]:
    """(scale, zero point) of a range that always holds zero.  [SPEC E-2, E-5]"""
    _finite(rmin, tensor, step)
    _finite(rmax, tensor, step)
    lo, hi = min(rmin, 0.0), max(rmax, 0.0)
    width = _finite(binary32.sub(hi, lo), tensor, step)
    if width < MIN_WIDTH:
        hi = binary32.add(lo, MIN_WIDTH)
        width = binary32.sub(hi, lo)
    scale = binary32.div(width, binary32.from_int(fmt.qmax - fmt.qmin))
    t = binary32.sub(binary32.from_int(fmt.qmin), binary32.div(lo, scale))
    return scale, saturate(nearest_even(t), fmt)


def symmetric(rmin: float, rmax: float, fmt: IntFormat, tensor: str = "range", step: int | None = None) -> tuple[float, int]:
    """(scale, 0) of a range taken symmetric around zero.  [SPEC E-3, E-5]"""
    _finite(rmin, tensor, step)
    _finite(rmax, tensor, step)
    amax = max(abs(rmin), abs(rmax), MIN_MAGNITUDE)
    return binary32.div(amax, binary32.from_int(fmt.qmax)), 0


def _octave(scale: float | Fraction) -> tuple[Fraction, int]:
    """(m, e) with scale = m * 2**-e and 1 <= m < 2; a scale of 0 is below every power of two.  [SPEC E-4]"""
    if (isinstance(scale, float) and not math.isfinite(scale)) or scale < 0:
        raise RangeError("raw scale", scale)
    if scale == 0:
        return Fraction(1), MAX_EXPONENT + 1
    m, e = Fraction(scale), 0
    while m >= 2:
        m, e = m / 2, e - 1
    while m < 1:
        m, e = m * 2, e + 1
    return m, e


def _bounded(e: int) -> int:
    """An exponent above 30 is 30, one below -15 is refused.  [SPEC E-4]"""
    if e < MIN_EXPONENT:
        raise ParameterError("exponent", e, f"an exponent of at least {MIN_EXPONENT}")
    return min(e, MAX_EXPONENT)


def exponent_minmax(scale: float | Fraction) -> int:
    """floor(-log2(scale)): the greatest e with 2**-e >= scale.  [SPEC E-4]"""
    m, e = _octave(scale)
    return _bounded(e if m == 1 else e - 1)


def exponent_sqnr(scale: float | Fraction) -> int:
    """-log2(scale) to the nearest integer, taken exactly.  [SPEC E-4]

    -log2(m * 2**-e) = e - log2(m); log2(m) > 1/2 exactly when m*m > 2, and never equal, so there are no ties.
    """
    m, e = _octave(scale)
    return _bounded(e - 1 if m * m > 2 else e)


def pot_zero_point(lo: float | Fraction, exponent: int, fmt: IntFormat) -> int:
    """saturate(ties-away integer of (qmin - lo * 2**exponent), fmt) with lo = min(lo, 0), exactly.  [SPEC E-4]"""
    if isinstance(lo, float):
        _finite(lo, "lo", None)
    value = fmt.qmin - min(Fraction(lo), Fraction(0)) * Fraction(2) ** exponent
    magnitude = math.floor(abs(value) + Fraction(1, 2))
    return saturate(-magnitude if value < 0 else magnitude, fmt)
