"""Multiplier and shift, on Python integers and exact binary32.  [SPEC M-1 ... M-6, G-M]"""

from __future__ import annotations

import math
from fractions import Fraction

from golden.spec.errors import ParameterError, RangeError, WidthError
from golden.spec.formats import INT32, IntFormat
from golden.spec.layout import BIAS_MULTIPLIERS, MULTIPLIERS
from golden.spec.params import MAX_RRH_MULTIPLIER, MShift
from verification.exact import binary32
from verification.exact.rounding import saturate, ties_up

S_ONE = binary32.div(1.0, 127.0)  # s_one = f32(1/127)


def _positive(value: float, name: str, step: int | None = None) -> float:
    """value, refused unless it is finite and positive.  [SPEC M-2]"""
    if math.isnan(value) or math.isinf(value) or value <= 0:
        raise RangeError(name, value, step)
    return value


def scale_product(a: float, b: float, name: str, step: int | None = None) -> float:
    """f32(a * b), refused by name (and step) when it is not finite and positive.  [SPEC M-2]"""
    return _positive(binary32.mul(a, b), name, step)


def derive(
    s_from: float,
    s_to: float,
    shift: int,
    limit: int = 2**31 - 1,
    saturating: bool = False,
    name: str = "multiplier",
    step: int | None = None,
) -> MShift:
    """The MShift for s_from / s_to: M = floor(p + 0.5), p = f32(f32(s_from / s_to) * 2**shift).  [SPEC M-2]

    limit       the greatest M; beyond it ParameterError, or M = limit when saturating
    name, step  whose scales they are, and in dynamic mode when, for the refusal of a scale
    Raises      RangeError when a scale is not finite and positive
    """
    _positive(s_from, f"{name} s_from", step)
    _positive(s_to, f"{name} s_to", step)
    ratio = binary32.div(s_from, s_to)
    p = binary32.mul(ratio, binary32.from_int(2**shift))
    if math.isinf(p):
        beyond, multiplier = True, limit
    else:
        multiplier = math.floor(Fraction(p) + Fraction(1, 2))
        beyond = multiplier > limit
    if beyond and not saturating:
        raise ParameterError("multiplier", "inf" if math.isinf(p) else multiplier, f"at most {limit}")
    return MShift(min(multiplier, limit), shift)


def apply(v: int, m: MShift) -> int:
    """ties_up(v * M, s) with v int32, the product exact.  [SPEC M-3]"""
    if not INT32.qmin <= v <= INT32.qmax:
        raise WidthError("apply", abs(v), 2**31)
    return ties_up(v * m.multiplier, m.shift)


def align(v: int, m: MShift) -> int:
    """saturate(apply(v, m), int32).  [SPEC M-4]"""
    return saturate(apply(v, m), INT32)


def requantize(v: int, m: MShift, zero_point: int, fmt: IntFormat) -> int:
    """saturate(apply(v, m) + zero_point, fmt).  [SPEC M-5]"""
    return saturate(apply(v, m) + zero_point, fmt)


def normalized(real: Fraction | int | float) -> MShift:
    """The MShift with 2**15 <= M < 2**16 nearest to a positive number, ties away.  [SPEC M-6]

    Raises ParameterError when the number is not positive and finite or the shift would leave 0 ... 31.
    """
    if isinstance(real, float) and not math.isfinite(real) or real <= 0:
        raise ParameterError("real", real, "a positive, finite number")
    value, shift = Fraction(real), 0
    while value >= 2**16:
        value, shift = value / 2, shift - 1
    while value < 2**15:
        value, shift = value * 2, shift + 1
    multiplier = math.floor(value + Fraction(1, 2))  # ties away, value > 0
    if multiplier == 2**16:
        multiplier, shift = 2**15, shift - 1
    if not 0 <= shift <= 31:
        raise ParameterError("shift", shift, "a shift in [0, 31] for a multiplier in [2**15, 2**16)")
    return MShift(multiplier, shift)


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
    """The twelve MShifts of datapath M from its scales.  [SPEC G-M, D-3]"""
    s_wx = scale_product(s_w, s_x, "s_Wx", step)
    s_rh = scale_product(s_r, s_h, "s_Rh", step)
    s_one_rh = scale_product(S_ONE, s_rh, "s_one*s_Rh", step)
    pairs = {
        "m_Rh_z": (s_rh, s_wx),
        "m_Rh_r": (s_rh, s_wx),
        "m_bx": (s_bx, s_wx),
        "m_br_z": (s_br, s_wx),
        "m_br_r": (s_br, s_wx),
        "m_br_g": (s_br, s_rh),
        "m_z": (s_wx, s_z),
        "m_r": (s_wx, s_r_gate),
        "m_g": (s_wx, s_g),
        "m_rRh": (s_one_rh, s_wx),
        "m_gh": (S_ONE, s_h),
        "m_one": (S_ONE, 1.0),
    }
    out = {}
    for name in MULTIPLIERS:
        s = shift_bias if name in BIAS_MULTIPLIERS else shift
        limit = MAX_RRH_MULTIPLIER if name == "m_rRh" else 2**31 - 1
        try:
            out[name] = derive(*pairs[name], s, limit, saturating, name, step)
        except ParameterError as error:
            raise ParameterError(f"{name} multiplier", error.found, error.expected) from error
    return out
