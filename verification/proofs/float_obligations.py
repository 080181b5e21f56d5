"""The list of what is proven at the float boundary; the queries are in float_steps.py.  [SPEC Q, E, M-2]"""

from __future__ import annotations

from functools import partial
from typing import Any

from verification.exact import hidden, quantize, ranges
from verification.proofs.float_steps import (
    BELOW_HALF,
    HALF,
    LAST_EXPONENT,
    LIMITS,
    asymmetric,
    averaging,
    dequantizing,
    dynamic_state,
    extreme,
    factor,
    greatest_ratio,
    least_scale,
    lower_and_upper,
    multiplier,
    nearest,
    never_fixed,
    never_nan,
    quantizing,
    ratio,
    reciprocal,
    step_multipliers,
    symmetric,
)
from verification.proofs.obligation import Obligation
from verification.proofs.replay_parts import fmt_of


def obligations() -> list[Obligation]:
    """The steps of quantize.py, the scalar steps of ranges.py, derive."""
    exponents: dict[str, Any] = {"|t| < 1/2": partial(nearest, 0, BELOW_HALF)}
    exponents |= {f"exponent {e - 127}": partial(nearest, e, e) for e in range(HALF, LAST_EXPONENT + 1)}
    exponents["|t| >= 2^31, inf, NaN"] = partial(nearest, LAST_EXPONENT + 1, 255)
    multipliers: dict[str, Any] = {}
    for name, limit in LIMITS.items():
        top = 127 + limit.bit_length()
        multipliers[f"p < 1/2, limit {name}"] = partial(multiplier, limit, 0, BELOW_HALF)
        for e in range(HALF, top + 1):
            multipliers[f"exponent {e - 127}, limit {name}"] = partial(multiplier, limit, e, e)
        multipliers[f"beyond, limit {name}"] = partial(multiplier, limit, top + 1, 255)
    single = ("nearest_even",)
    floats: dict[str, Any] = {"words": True, "logic": "QF_BVFP"}
    applied: dict[str, Any] = {"words": True, "logic": "QF_UFBVFP", "fallback": (never_fixed,)}
    return [
        Obligation(
            "nearest_even",
            "Q-1",
            "nearest_even is the nearest integer, a tie to the even one, saturating to int32, NaN to 0",
            "all 2^32 binary32 numbers",
            exponents,
            function="intrinsics.nearest_even",
            judge=lambda t: quantize.nearest_even(float(t)),
            covered="the sweep of all 2^32 floats",
            **floats,
        ),
        Obligation(
            "quantize",
            "Q-1",
            "quantize is its clause, one rounding for each operation",
            "any v; scale finite and positive; zp int32",
            {"all": partial(quantizing, "quantize")},
            function="quantize.quantize",
            uses=(*single, "saturate"),
            judge=lambda v, s, zp, lo, hi: quantize.quantize(float(v), float(s), zp, fmt_of(lo, hi)),
            **applied,
        ),
        Obligation(
            "quantize_reciprocal",
            "Q-2",
            "quantize_reciprocal is its clause, one rounding for each operation",
            "any v; inv_scale finite and positive; zp int32",
            {"all": partial(quantizing, "quantize_reciprocal")},
            function="quantize.quantize_reciprocal",
            uses=(*single, "saturate"),
            judge=lambda v, s, zp, lo, hi: quantize.quantize_reciprocal(float(v), float(s), zp, fmt_of(lo, hi)),
            **applied,
        ),
        Obligation(
            "quantize_bias",
            "Q-4",
            "quantize_bias is its clause, one rounding for each operation",
            "any b; scale finite and positive",
            {"all": partial(quantizing, "quantize_bias")},
            function="quantize.quantize_bias",
            uses=(*single, "saturate"),
            judge=lambda v, s, lo, hi: quantize.quantize_bias(float(v), float(s), fmt_of(lo, hi)),
            **applied,
        ),
        Obligation(
            "reciprocal",
            "Q-2",
            "reciprocal is f32(1 / scale)",
            "scale finite and positive",
            {"all": reciprocal},
            function="quantize.reciprocal",
            judge=lambda s: quantize.reciprocal(float(s)),
            **floats,
        ),
        Obligation(
            "dequantize",
            "Q-3",
            "dequantize is f32(f32(q - zp) * scale), the difference exact",
            "q and zp int32; scale finite and positive",
            {"all": dequantizing},
            function="quantize.dequantize",
            judge=lambda q, s, zp: quantize.dequantize(q, float(s), zp),
            **floats,
        ),
        Obligation(
            "ema",
            "E-1",
            "ema is f32(f32(0.9f * r) + f32(0.1f * c)) for both ends, 0.9f and 0.1f the nearest binary32 numbers",
            "finite ranges",
            {"all": averaging},
            function="ranges.ema",
            judge=lambda *a: ranges.ema(*(float(v) for v in a)),
            **floats,
        ),
        Obligation(
            "lower_upper",
            "E-1, E-5",
            "lower and upper give the lesser and the greater of two floats, and NaN where one is NaN",
            "all pairs of binary32 numbers",
            {"all": lower_and_upper},
            function="ranges.lower",
            **floats,
        ),
        Obligation(
            "extremes",
            "E-1",
            "extremes gives the least and the greatest value, a zero as +0.0",
            "finite values, one to four of them",
            {f"{n} values": partial(extreme, n) for n in range(1, 5)},
            function="ranges.extremes",
            uses=("lower_upper",),
            judge=lambda values, first, step: ranges.extremes(values.tolist()),
            covered="more values: lower_upper holds for each pair",
            **floats,
        ),
        Obligation(
            "asymmetric",
            "E-2",
            "asymmetric is its clause, one rounding for each operation",
            "finite ranges whose width is finite; int8 and int16",
            {
                f"{'below' if narrow else 'from'} 2^-8, int{bits}": partial(
                    asymmetric, narrow, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
                )
                for narrow in (False, True)
                for bits in (8, 16)
            },
            function="ranges.asymmetric",
            uses=(*single, "saturate"),
            judge=lambda a, b, lo, hi: ranges.asymmetric(float(a), float(b), fmt_of(lo, hi)),
            covered="property tests and the fuzzer",
            **applied,
        ),
        Obligation(
            "symmetric",
            "E-3",
            "symmetric is f32(max(|rmin|, |rmax|, 2^-9) / f32(qmax)), zero point 0",
            "finite ranges; int8 and int16",
            {f"int{b}": partial(symmetric, 2 ** (b - 1) - 1) for b in (8, 16)},
            function="ranges.symmetric",
            judge=lambda a, b, hi: ranges.symmetric(float(a), float(b), fmt_of(-hi - 1, hi)),
            covered="property tests and the fuzzer",
            **applied,
        ),
        Obligation(
            "derive_ratio",
            "M-2",
            "derive makes p as f32(f32(s_from / s_to) * 2^s)",
            "finite positive scales, s from 0 to 31",
            {f"s={s}": partial(ratio, s) for s in range(32)},
            function="rescale.derive",
            **{**applied, "fallback": ()},
        ),
        Obligation(
            "derive_sign",
            "M-2",
            "p is 0, positive or +inf, never NaN",
            "finite positive scales, s from 0 to 31",
            {"all": never_nan},
            covered="property tests and the fuzzer",
            **floats,
        ),
        Obligation(
            "derive",
            "M-2",
            "derive is floor(p + 1/2) computed exactly, at most its limit",
            "every p from 0 to +inf; the three limits in use",
            multipliers,
            function="rescale.derive",
            uses=("derive_ratio", "derive_sign"),
            **floats,
        ),
        Obligation(
            "least_scale",
            "E-2, E-3",
            "no int8 scale of a range is below 1.53e-5",
            "finite ranges whose width is finite",
            {"asymmetric": partial(least_scale, False), "symmetric": partial(least_scale, True)},
            covered="property tests and the fuzzer",
            **applied,
        ),
        Obligation(
            "greatest_ratio",
            "M-2, GM-3",
            "s_one / s_h is at most 515 for such a scale",
            "scales from 1.53e-5 on",
            {"all": greatest_ratio},
            covered="property tests and the fuzzer",
            **floats,
        ),
        Obligation(
            "dynamic_state",
            "GM-3, D",
            "in dynamic mode 127 * max|h - zp| + B_n stays below 2^31 by itself",
            "M of m_gh at most 515 * 2^s, s from 0 to 31, zp in int8",
            {f"s={s}": partial(dynamic_state, s) for s in range(32)},
            logic="QF_LIA",
            uses=("least_scale", "greatest_ratio", "derive"),
        ),
        Obligation(
            "derive_step",
            "D-3, G-M",
            "each of the twelve multipliers of a step stands for the scales that G-M gives it, by its shift and limit",
            "any finite positive scales",
            {"all": step_multipliers},
            function="dynamic.derive_step",
            uses=("derive",),
            **{**applied, "fallback": ()},
        ),
        Obligation(
            "zoneout_factor",
            "Z-2",
            "zoneout_factor is the nearest-even integer of f32(p * 2^15), which lies in [0, 2^15]",
            "p from 0 to 1, rounded to binary32",
            {"all": factor},
            function="hidden.zoneout_factor",
            uses=single,
            judge=lambda p: hidden.zoneout_factor(float(p)),
            **applied,
        ),
    ]
