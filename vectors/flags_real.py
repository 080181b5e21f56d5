"""Flags of the steps at the float boundary: special numbers, single roundings, degenerate ranges."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from golden.quantize import quantize, quantize_reciprocal, reciprocal
from golden.spec.formats import INT32, IntFormat
from vectors.marks import Marks
from vectors.stages import Stage
from vectors.steps import to_reals

F32 = np.float32
MIN_NORMAL = F32(2.0**-126)


def _fmt(s: Stage) -> IntFormat:
    return IntFormat(s.constants["bits"], bool(s.constants["signed"]))


def _special(v: np.ndarray) -> Marks:
    return {
        "nan": np.isnan(v),
        "infinity": np.isinf(v),
        "negative_zero": (v == 0) & np.signbit(v),
        "subnormal": (v != 0) & (np.abs(v) < MIN_NORMAL),
    }


def _nearest(t: np.ndarray) -> np.ndarray:
    """Nearest-even integers of binary64 numbers, saturated to int32; NaN gives 0."""
    with np.errstate(all="ignore"):
        inside = np.minimum(np.maximum(np.rint(t), float(INT32.qmin)), float(INT32.qmax))
    return np.where(np.isnan(t), 0.0, inside).astype(np.int64)


def _clamped(q: np.ndarray, fmt: IntFormat) -> np.ndarray:
    return np.minimum(np.maximum(q, fmt.qmin), fmt.qmax)


def _rounded(t: np.ndarray, fmt: IntFormat) -> Marks:
    """Marks of a binary32 number on its way to a code."""
    with np.errstate(all="ignore"):
        wide = t.astype(np.float64)
        code = _nearest(wide)
        tie = np.abs(wide) < 2.0**31
        tie &= np.where(tie, np.abs(wide - np.trunc(wide)) == 0.5, False)
    return {
        "tie": tie,
        "negative_tie": tie & (wide < 0),
        "saturates_low": (code < fmt.qmin) & ~np.isnan(t),
        "saturates_high": (code > fmt.qmax) & ~np.isnan(t),
        "beyond_int32": np.abs(wide) >= 2.0**31,
    }


def _quantize(s: Stage) -> Marks:
    v, scale, zp, fmt = to_reals(s.columns["v"]), to_reals(s.columns["scale"]), s.constants["zp"], _fmt(s)
    by_reciprocal = s.step == "quantize_reciprocal"
    with np.errstate(all="ignore"):
        ratio = v * (F32(1) / scale) if by_reciprocal else v / scale
        t = ratio + F32(zp)
        q = s.columns["q"]
        other = quantize(v, scale, zp, fmt) if by_reciprocal else quantize_reciprocal(v, reciprocal(scale), zp, fmt)  # type: ignore[arg-type]
        late = _clamped(_nearest(ratio.astype(np.float64)) + zp, fmt)
        wide = _clamped(_nearest(v.astype(np.float64) / scale.astype(np.float64) + zp), fmt)
    return {
        **_special(v),
        **_rounded(t, fmt),
        "reciprocal_differs": other != q,
        "zero_point_order": late != q,
        "double_precision_differs": wide != q,
    }


def _dequantize(s: Stage) -> Marks:
    d = s.columns["q"] - s.constants["zp"]
    scale = to_reals(s.columns["scale"])
    with np.errstate(all="ignore"):
        wide = (d.astype(np.float64) * scale.astype(np.float64)).astype(np.float32)
    v = to_reals(s.columns["v"])
    differs = (wide != v) & ~(np.isnan(wide) & np.isnan(v))
    return {
        **_special(v),
        "difference_rounded": d.astype(np.float32).astype(np.int64) != d,
        "double_precision_differs": differs,
    }


def _quantize_bias(s: Stage) -> Marks:
    b, scale, fmt = to_reals(s.columns["b"]), to_reals(s.columns["scale"]), _fmt(s)
    with np.errstate(all="ignore"):
        t = b / scale
        wide = _clamped(_nearest(b.astype(np.float64) / scale.astype(np.float64)), fmt)
    return {**_special(b), **_rounded(t, fmt), "double_precision_differs": wide != s.columns["q"]}


def _derive(s: Stage) -> Marks:
    a, b, limit = to_reals(s.columns["s_from"]), to_reals(s.columns["s_to"]), s.constants["limit"]
    with np.errstate(all="ignore"):
        p = (a / b * F32(2.0 ** s.constants["s"])).astype(np.float64)
        half = np.where(p < 2.0**31, p - np.floor(p) == 0.5, False)
        exact = np.floor(np.minimum(p, 2.0**40) + 0.5)
        wide = a.astype(np.float64) / b.astype(np.float64) * 2.0 ** s.constants["s"]
        other = np.minimum(np.floor(np.minimum(wide, 2.0**40) + 0.5), limit)
        single = np.minimum(np.floor((np.minimum(p, 2.0**40).astype(F32) + F32(0.5)).astype(np.float64)), limit)
    M = s.columns["M"]
    return {
        "tie": half,
        "multiplier_zero": M == 0,
        "saturates_high": exact > limit,
        "infinity": np.isinf(p),
        "subnormal": (a < MIN_NORMAL) | (b < MIN_NORMAL),
        "double_precision_differs": other != M,
        "half_added_in_binary32_differs": single != M,
    }


def _single(exact: Fraction) -> float:
    """The binary32 number nearest to an exact value, ties to even."""
    if exact == 0:
        return 0.0
    magnitude = abs(exact)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if Fraction(2) ** exponent > magnitude:
        exponent -= 1
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    steps = round(magnitude / unit)
    value = float(steps * unit)
    return value if exact > 0 else -value


def _ema(s: Stage) -> Marks:
    keep, take = F32(0.9), F32(0.1)
    fused: list[bool] = []
    wide: list[bool] = []
    reals = {name: to_reals(s.columns[name]) for name in ("rmin", "rmax", "cmin", "cmax", "rmin_out", "rmax_out")}
    for old, new, out in (("rmin", "cmin", "rmin_out"), ("rmax", "cmax", "rmax_out")):
        kept = keep * reals[old]
        columns = zip(reals[old].tolist(), kept.tolist(), reals[new].tolist(), reals[out].tolist(), strict=True)
        for n, (r, k, c, y) in enumerate(columns):
            at_once = _single(Fraction(k) + Fraction(float(take)) * Fraction(c)) != y
            all_wide = _single(Fraction(float(keep)) * Fraction(r) + Fraction(float(take)) * Fraction(c)) != y
            if old == "rmin":
                fused.append(at_once)
                wide.append(all_wide)
            else:
                fused[n] |= at_once
                wide[n] |= all_wide
    special: Marks = {}
    for name in ("rmin", "rmax", "cmin", "cmax"):
        for flag, mask in _special(reals[name]).items():
            special[flag] = special.get(flag, np.zeros(len(mask), bool)) | mask
    return {**special, "fused_differs": np.array(fused, bool), "double_precision_differs": np.array(wide, bool)}


def _asymmetric(s: Stage) -> Marks:
    lo, hi, fmt = to_reals(s.columns["rmin"]), to_reals(s.columns["rmax"]), _fmt(s)
    low, high = np.minimum(lo, F32(0)), np.maximum(hi, F32(0))
    zp, scale = s.columns["zp_out"], to_reals(s.columns["scale"])
    with np.errstate(all="ignore"):
        raw = (F32(fmt.qmin) - low / scale).astype(np.float64)
        width = high - low
    return {
        "degenerate_range": width < F32(2.0**-8),
        "one_sided_range": (lo > 0) | (hi < 0),
        "zero_point_edge": (zp == fmt.qmin) | (zp == fmt.qmax),
        "tie": np.abs(raw - np.trunc(raw)) == 0.5,
        "subnormal": _special(lo)["subnormal"] | _special(hi)["subnormal"],
        "negative_zero": _special(lo)["negative_zero"] | _special(hi)["negative_zero"],
    }


def _symmetric(s: Stage) -> Marks:
    lo, hi = to_reals(s.columns["rmin"]), to_reals(s.columns["rmax"])
    amax = np.maximum(np.abs(lo), np.abs(hi))
    return {
        "degenerate_range": amax < F32(2.0**-9),
        "one_sided_range": (lo > 0) | (hi < 0),
        "low_end_decides": np.abs(lo) > np.abs(hi),
    }


OF_STEP: dict[str, Callable[[Stage], Marks]] = {
    "quantize": _quantize,
    "quantize_reciprocal": _quantize,
    "dequantize": _dequantize,
    "quantize_bias": _quantize_bias,
    "derive": _derive,
    "ema": _ema,
    "asymmetric": _asymmetric,
    "symmetric": _symmetric,
}
