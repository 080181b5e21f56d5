"""Multiplier and shift.  [SPEC M]

derive, apply, align and requantize are scalar steps; normalized, scale_product and derive_mshifts make parameters and
run as plain Python.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from cuda_impl.intrinsics import INT32_FIRST, INT32_LAST, fdiv, float32, float64, fmul, int64
from cuda_impl.rounding import saturate, ties_up
from golden.spec.errors import ParameterError, RangeError
from golden.spec.params import MAX_RRH_MULTIPLIER, MShift

S_ONE = fdiv(float32(1.0), float32(127.0))  # the scale of every gate output of datapath M
UNBOUNDED = 2**62  # above every multiplier that an MShift can hold


def derive(s_from, s_to, shift, limit):
    """floor(p + 0.5) with p = f32(f32(s_from / s_to) * 2^shift), at most limit.  [SPEC M-2]

    s_from, s_to  float32 scales
    Returns       int64 multiplier in [0, limit]; p = +inf gives limit
    """
    p = float64(fmul(fdiv(s_from, s_to), float32(int64(1) << int64(shift))))
    if not p < float64(int64(limit)):
        return int64(limit)
    return int64(p + float64(0.5))  # exact where it matters, and p >= 0, so truncation is floor


def apply(v, multiplier, shift):
    """ties_up(v * multiplier, shift), the product exact in int64.  [SPEC M-3]"""
    return ties_up(int64(v) * int64(multiplier), shift)


def align(v, multiplier, shift):
    """saturate(apply(v), int32).  [SPEC M-4]"""
    return saturate(apply(v, multiplier, shift), INT32_FIRST, INT32_LAST)


def requantize(v, multiplier, shift, zero_point, qmin, qmax):
    """saturate(apply(v) + zero_point, fmt).  [SPEC M-5]

    v        an int32 accumulator
    Returns  int64 in [qmin, qmax]
    Ties     v * M * 2^-s = -1.5 -> -1, -0.5 -> 0
    """
    return saturate(apply(v, multiplier, shift) + int64(zero_point), qmin, qmax)


def normalized(real: Any) -> MShift:
    """The MShift nearest to real with 2^15 <= M < 2^16, ties away.  [SPEC M-6]

    Raises   ParameterError when the shift would leave 0...31
    """
    if not (isinstance(real, float) and not math.isfinite(real)) and real > 0:
        value = Fraction(real)
        shift = 15 - value.numerator.bit_length() + value.denominator.bit_length()
        while value * Fraction(2) ** shift >= 65536:
            shift -= 1
        while value * Fraction(2) ** shift < 32768:
            shift += 1
        multiplier = math.floor(value * Fraction(2) ** shift + Fraction(1, 2))
        if multiplier == 65536:
            multiplier, shift = 32768, shift - 1
        if 0 <= shift <= 31:
            return MShift(multiplier, shift)
    raise ParameterError("normalized real", repr(real), "a number in the range of M * 2^-s, 2^15 <= M < 2^16, 0 <= s <= 31")


def scale_product(a: float, b: float, name: str, step: int | None = None) -> float:
    """f32(a * b) as a Python float.  [SPEC M-2]

    Raises   RangeError naming the product (and the step) when it is not finite and positive
    """
    with np.errstate(over="ignore", under="ignore"):
        product = float(fmul(a, b))
    if not 0.0 < product < float("inf"):
        raise RangeError(name, product, step)
    return product


def derive_mshifts(
    s_w: float,
    s_r: float,
    s_x: float,
    s_h: float,
    s_bx: float,
    s_br: float,
    s_z: float,
    s_r_gate: float,
    s_g: float,
    *,
    shift: int = 18,
    shift_bias: int = 24,
    saturating: bool = False,
    step: int | None = None,
) -> dict[str, MShift]:
    """The twelve MShifts of datapath M from its scales.  [SPEC G-M, M-2]

    Raises   ParameterError naming the multiplier above its limit (unless saturating), RangeError naming a scale or product
    """
    s_Wx = scale_product(s_w, s_x, "s_Wx", step)
    s_Rh = scale_product(s_r, s_h, "s_Rh", step)
    s_rRh = scale_product(float(S_ONE), s_Rh, "s_one*s_Rh", step)
    ratios = {
        "m_Rh_z": (s_Rh, s_Wx, shift),
        "m_Rh_r": (s_Rh, s_Wx, shift),
        "m_bx": (s_bx, s_Wx, shift_bias),
        "m_br_z": (s_br, s_Wx, shift_bias),
        "m_br_r": (s_br, s_Wx, shift_bias),
        "m_br_g": (s_br, s_Rh, shift_bias),
        "m_z": (s_Wx, s_z, shift),
        "m_r": (s_Wx, s_r_gate, shift),
        "m_g": (s_Wx, s_g, shift),
        "m_rRh": (s_rRh, s_Wx, shift),
        "m_gh": (float(S_ONE), s_h, shift),
        "m_one": (float(S_ONE), 1.0, shift),
    }
    out = {}
    for name, (s_from, s_to, s) in ratios.items():
        for side, scale in (("s_from", s_from), ("s_to", s_to)):
            if not 0.0 < scale < float("inf"):
                raise RangeError(f"{name} {side}", scale, step)
        limit = MAX_RRH_MULTIPLIER if name == "m_rRh" else INT32_LAST
        with np.errstate(over="ignore", under="ignore"):
            multiplier = int(derive(s_from, s_to, s, limit if saturating else UNBOUNDED))
        if multiplier > limit:
            found = multiplier if multiplier < UNBOUNDED else "above 2**62"
            raise ParameterError(f"{name} multiplier", found, f"at most {limit}")
        out[name] = MShift(multiplier, s)
    return out
