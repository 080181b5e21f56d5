"""Moving ranges, scales, zero points and multipliers found in another way.  [SPEC E, D, M-2]"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from golden.spec.formats import IntFormat
from golden.spec.layout import MULTIPLIERS
from golden.spec.params import MShift
from verification.deviations.deviation import Deviation
from verification.deviations.places import Place, fields, join, single, spread
from verification.exact import binary32, quantize
from verification.exact import ranges as judge
from verification.exact.quantize import nearest_even
from verification.exact.rescale import derive
from verification.exact.rounding import saturate

FAMILY = "ranges"
EMA = [
    Place("x", "the moving average of the x range", fields(dynamic=("x_min", "x_max"))),
    Place("h", "the moving average of the h range", fields(dynamic=("h_min", "h_max"))),
]
SCALE = [
    Place("x", "the scale of x", fields(dynamic=("s_x", "zp_x"))),
    Place("h", "the scale of h", fields(dynamic=("h0", "s_h", "zp_h"))),
]
WEIGHTS = [Place("weights", "the scale of the weights", fields(dynamic=("s_w", "s_r")))]
_EMA = [join(EMA, "", "every moving average"), *EMA]
_SCALE = [join(SCALE, "", "every scale"), *SCALE]
_SYMMETRIC = [join([*SCALE, *WEIGHTS], "", "every symmetric scale"), *SCALE, *WEIGHTS]
DERIVED = [
    Place("", "every multiplier", fields(dynamic=("m_h", *MULTIPLIERS))),
    *(Place(name, f"the multiplier {name}", fields(dynamic=(name,))) for name in ("m_h", *MULTIPLIERS)),
]
RATIOS = [place for place in DERIVED if place.name != "m_one"]  # m_one is derived from s_one / 1, whatever divides
Blend = Callable[[float, float], float]
NINE, ONE = judge.NINE_TENTHS, judge.ONE_TENTH


def ema(blend: Blend) -> dict[str, Any]:
    """A moving average by another formula of the old and the new end."""
    return {"ema": lambda rmin, rmax, cmin, cmax: (blend(rmin, cmin), blend(rmax, cmax))}


def fused_old(r: float, c: float) -> float:
    """fma(0.9f, r, f32(0.1f * c))."""
    return binary32.nearest(Fraction(NINE) * Fraction(r) + Fraction(binary32.mul(ONE, c)))


def fused_new(r: float, c: float) -> float:
    """fma(0.1f, c, f32(0.9f * r))."""
    return binary32.nearest(Fraction(ONE) * Fraction(c) + Fraction(binary32.mul(NINE, r)))


def in_binary64(r: float, c: float) -> float:
    """0.9 and 0.1 in binary64, rounded once."""
    return binary32.nearest(0.9 * r + 0.1 * c)


def by_difference(r: float, c: float) -> float:
    """r + 0.1f * (c - r)."""
    return binary32.add(r, binary32.mul(ONE, binary32.sub(c, r)))


def _weighted(old: float, new: float) -> Blend:
    return lambda r, c: binary32.add(binary32.mul(old, r), binary32.mul(new, c))


def away(t: float) -> int:
    """Nearest integer, ties away."""
    magnitude = math.floor(abs(Fraction(t)) + Fraction(1, 2))
    return -magnitude if t < 0 else magnitude


def asymmetric(
    *,
    zero: bool = True,
    floor: bool = True,
    levels: int = 0,
    integer: Callable[[float], int] = nearest_even,
    clamp: bool = True,
    reciprocal: bool = False,
) -> dict[str, Any]:
    """E-2 with one thing changed."""

    def scale_of(rmin: float, rmax: float, fmt: IntFormat, tensor: str = "range", step: int | None = None) -> tuple[float, int]:
        lo, hi = (min(rmin, 0.0), max(rmax, 0.0)) if zero else (rmin, rmax)
        width = binary32.sub(hi, lo)
        if floor and width < judge.MIN_WIDTH:
            width = binary32.sub(binary32.add(lo, judge.MIN_WIDTH), lo)
        count = binary32.from_int(fmt.qmax - fmt.qmin + levels)
        scale = binary32.mul(width, binary32.div(1.0, count)) if reciprocal else binary32.div(width, count)
        if scale == 0 or not math.isfinite(scale):
            return scale, 0
        zero_point = integer(binary32.sub(binary32.from_int(fmt.qmin), binary32.div(lo, scale)))
        return scale, saturate(zero_point, fmt) if clamp else zero_point

    return {"asymmetric": scale_of}


def symmetric(levels: int = 0, magnitude: Callable[[float, float], float] | None = None) -> dict[str, Any]:
    """E-3 with one thing changed."""
    size = magnitude or (lambda rmin, rmax: max(abs(rmin), abs(rmax), judge.MIN_MAGNITUDE))

    def scale_of(rmin: float, rmax: float, fmt: IntFormat, tensor: str = "range", step: int | None = None) -> tuple[float, int]:
        return binary32.div(size(rmin, rmax), binary32.from_int(fmt.qmax + levels)), 0

    return {"symmetric": scale_of}


def multiplier(integer: Callable[[float], int], reciprocal: bool = False) -> dict[str, Any]:
    """M-2 with another last rounding, or with a reciprocal."""

    def derived(s_from: float, s_to: float, shift: int, limit: int = 2**31 - 1, saturating: bool = False) -> MShift:
        ratio = binary32.mul(s_from, binary32.div(1.0, s_to)) if reciprocal else binary32.div(s_from, s_to)
        p = binary32.mul(ratio, binary32.from_int(2**shift))
        if not math.isfinite(p):
            return derive(s_from, s_to, shift, limit, saturating)
        return MShift(min(integer(p), limit), shift)

    return {"derive": derived}


def exact_ratio(s_from: float, s_to: float, shift: int, limit: int = 2**31 - 1, saturating: bool = False) -> MShift:
    """The ratio of the scales not rounded to binary32 first."""
    exact = Fraction(s_from) / Fraction(s_to) * 2**shift
    return MShift(min(math.floor(exact + Fraction(1, 2)), limit), shift)


def half_up(p: float) -> int:
    """floor(p + 0.5)."""
    return math.floor(Fraction(p) + Fraction(1, 2))


def first_row(x: Any, t: int) -> tuple[float, float]:
    """The extremes of the first batch row alone."""
    return judge.extremes(x[t][:1].reshape(-1).tolist(), "x", t)


def first_row_state(h: Any, s_h: float, zp_h: int, t: int) -> tuple[float, float]:
    """The extremes of the state's first batch row alone."""
    return judge.extremes([quantize.dequantize(int(q), s_h, zp_h) for q in (h[0].min(), h[0].max())], "h", t)


def without_zero_point(h: Any, s_h: float, zp_h: int, t: int) -> tuple[float, float]:
    """The extremes dequantized without their zero point."""
    return judge.extremes([quantize.dequantize(int(q), s_h, 0) for q in (h.min(), h.max())], "h", t)


START = {"mshift-dynamic": ("h0", "h_min", "h_max", "s_h", "zp_h")}
XR, HR = {"mshift-dynamic": ("x_min", "x_max")}, {"mshift-dynamic": ("h_min", "h_max")}
DEVIATIONS: list[Deviation] = [
    *spread(
        "ema-weights-exchanged",
        FAMILY,
        ("E-1",),
        "weighs the old range 0.1 and the new one 0.9",
        ema(_weighted(ONE, NINE)),
        _EMA,
    ),
    *spread("ema-fused-old", FAMILY, ("E-1",), "adds 0.9f * r with a fused multiply-add", ema(fused_old), _EMA),
    *spread("ema-fused-new", FAMILY, ("E-1",), "adds 0.1f * c with a fused multiply-add", ema(fused_new), _EMA),
    *spread("ema-in-binary64", FAMILY, ("E-1",), "is computed in binary64", ema(in_binary64), _EMA),
    *spread("ema-by-difference", FAMILY, ("E-1",), "is computed as r + 0.1f * (c - r)", ema(by_difference), _EMA),
    *spread(
        "ema-one-minus-nine-tenths",
        FAMILY,
        ("E-1",),
        "uses 1 - 0.9f for 0.1f",
        ema(_weighted(NINE, binary32.sub(1.0, NINE))),
        _EMA,
    ),
    *spread("ema-left-out", FAMILY, ("E-1",), "takes the range of the step itself", ema(lambda r, c: c), _EMA),
    *spread("ema-frozen", FAMILY, ("E-1",), "keeps its first range", ema(lambda r, c: r), _EMA),
    *single(
        "ema-never-shrinks",
        FAMILY,
        ("E-1",),
        "ranges only grow",
        {"ema": lambda a, b, c, d: (min(a, c), max(b, d))},
        join(EMA, "", "").fields,
    ),
    *single(
        "ema-from-zero",
        FAMILY,
        ("E-1", "D-1"),
        "the x range is averaged with zero at the first step",
        {"first": lambda done: False},
        XR,
    ),
    *single(
        "x-range-of-first-row", FAMILY, ("E-1", "S-3"), "the x range is that of the first batch row", {"x_range": first_row}, XR
    ),
    *single(
        "h-range-of-first-row",
        FAMILY,
        ("E-1", "S-3"),
        "the h range is that of the first batch row",
        {"h_range": first_row_state},
        HR,
    ),
    *single(
        "h-range-without-zero-point",
        FAMILY,
        ("D-2", "Q-3"),
        "the h range is dequantized without its zero point",
        {"h_range": without_zero_point},
        HR,
    ),
    *spread(
        "range-without-zero", FAMILY, ("E-2",), "is that of a range that need not hold zero", asymmetric(zero=False), _SCALE
    ),
    *spread("width-without-floor", FAMILY, ("E-2",), "has no least width of 2**-8", asymmetric(floor=False), _SCALE),
    *spread("scale-by-256", FAMILY, ("E-2",), "divides the range by 256 instead of 255", asymmetric(levels=1), _SCALE),
    *spread(
        "scale-by-reciprocal",
        FAMILY,
        ("E-2",),
        "multiplies the range by the reciprocal of 255",
        asymmetric(reciprocal=True),
        _SCALE,
    ),
    *spread(
        "range-zero-point-truncated",
        FAMILY,
        ("E-2",),
        "comes with a truncated zero point",
        asymmetric(integer=math.trunc),
        _SCALE,
    ),
    *spread(
        "range-zero-point-ties-away",
        FAMILY,
        ("E-2",),
        "comes with a zero point whose ties are rounded away",
        asymmetric(integer=away),
        _SCALE,
    ),
    *spread("symmetric-by-128", FAMILY, ("E-3",), "divides the magnitude by 128 instead of 127", symmetric(1), _SYMMETRIC),
    *spread(
        "symmetric-without-floor",
        FAMILY,
        ("E-3",),
        "has no least magnitude of 2**-9",
        symmetric(magnitude=lambda a, b: max(abs(a), abs(b))),
        _SYMMETRIC,
    ),
    *spread(
        "symmetric-of-maximum",
        FAMILY,
        ("E-3",),
        "takes the maximum for the magnitude",
        symmetric(magnitude=lambda a, b: max(b, judge.MIN_MAGNITUDE)),
        _SYMMETRIC,
    ),
    *single(
        "h-range-starts-with-h0",
        FAMILY,
        ("D",),
        "the h range starts with the extremes of h0 alone, without [-1, 1]",
        {"start_range": lambda low, high: (low, high)},
        START,
    ),
    *single(
        "h-range-starts-with-one",
        FAMILY,
        ("D",),
        "the h range starts with [-1, 1] whatever h0 is",
        {"start_range": lambda low, high: (-1.0, 1.0)},
        START,
    ),
    *single(
        "state-not-moved",
        FAMILY,
        ("D-2",),
        "the state is not requantized into its new range",
        {"moved": lambda old, new: old},
        fields(dynamic=("h_q",)),
    ),
    *spread("multiplier-floored", FAMILY, ("M-2",), "is rounded down", multiplier(math.floor), DERIVED),
    *spread(
        "multiplier-ties-even",
        FAMILY,
        ("M-2",),
        "is rounded to nearest, ties to even",
        multiplier(nearest_even),
        [p for p in DERIVED if p.name != "m_h"],
    ),
    *spread(
        "multiplier-by-reciprocal",
        FAMILY,
        ("M-2",),
        "is derived with a reciprocal instead of a division",
        multiplier(half_up, True),
        RATIOS,
    ),
    *spread("multiplier-of-exact-ratio", FAMILY, ("M-2",), "is derived from the exact ratio", {"derive": exact_ratio}, RATIOS),
    *single(
        "scale-of-one-128",
        FAMILY,
        ("G-M",),
        "the scale of the gates is 1/128 instead of 1/127",
        {"scale_of_one": 1 / 128},
        fields(dynamic=("m_rRh", "m_gh", "m_one")),
    ),
]
