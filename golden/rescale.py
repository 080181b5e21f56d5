"""Multiplier and shift: from one scale to another in integers.  [SPEC M-1 ... M-6]"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from golden.rounding import saturate, ties_up
from golden.spec.errors import ParameterError, RangeError, WidthError
from golden.spec.formats import INT32, IntFormat
from golden.spec.layout import BIAS_MULTIPLIERS
from golden.spec.params import MAX_RRH_MULTIPLIER, MShift

MAX_MULTIPLIER = 2**31 - 1
S_ONE = float(np.float32(1) / np.float32(127))  # the scale of every gate output of datapath M


def derive(
    s_from: float,
    s_to: float,
    shift: int,
    limit: int = MAX_MULTIPLIER,
    saturating: bool = False,
    name: str = "multiplier",
    step: int | None = None,
) -> MShift:
    """The MShift that stands for s_from / s_to.  [SPEC M-2]

    ratio = f32(s_from / s_to);  p = f32(ratio * 2**shift);  M = floor(p + 0.5), exactly

    s_from, s_to  binary32 scales, positive
    shift         0 ... 31
    limit         the greatest M: 2**31 - 1, for m_rRh 2**24 - 1
    saturating    True in dynamic mode, where M saturates; else a larger M is refused
    name, step    of the multiplier, for the error; a step in dynamic mode
    Raises        ParameterError naming the multiplier; RangeError for a scale that is not finite and positive
    """
    for scale_name, scale in (("s_from", s_from), ("s_to", s_to)):
        if not (math.isfinite(scale) and scale > 0):
            raise RangeError(f"{name} {scale_name}", scale, step)
    with np.errstate(all="ignore"):
        ratio = np.float32(s_from) / np.float32(s_to)
        p = ratio * np.float32(2**shift)
    M = math.floor(Fraction(float(p)) + Fraction(1, 2)) if np.isfinite(p) else None
    if M is None or M > limit:
        if not saturating:
            found = f"{s_from!r} / {s_to!r} * 2**{shift}" if M is None else M
            raise ParameterError(name, found, f"a multiplier of at most {limit}")
        M = limit
    return MShift(M, shift)


def apply(v: ArrayLike, m: MShift) -> np.ndarray:
    """ties_up(v * M, s).  [SPEC M-3]

    v        int64 [...] with values of int32; the product is exact in int64
    m        MShift
    Returns  int64 [...]
    Raises   WidthError when v leaves int32
    Ties     v*M*2**-s = -1.5 -> -1, -0.5 -> 0
    """
    v = np.asarray(v, np.int64)
    if v.size and (int(v.min()) < INT32.qmin or int(v.max()) > INT32.qmax):
        raise WidthError("value", max(abs(int(v.min())), abs(int(v.max()))), 2**31)
    return ties_up(v * m.multiplier, m.shift)


def align(v: ArrayLike, m: MShift) -> np.ndarray:
    """saturate(apply(v, m), int32): a term in the scale of its sum.  [SPEC M-4]

    v        int64 [...] with values of int32
    Returns  int64 [...] with values of int32
    """
    return saturate(apply(v, m), INT32)


def requantize(v: ArrayLike, m: MShift, zero_point: int, fmt: IntFormat) -> np.ndarray:
    """Bring an int32 accumulator into an output format.  [SPEC M-5]

    q = saturate(ties_up(v * M, s) + zero_point, fmt)

    v           int64 [...] with values of int32, scale s_from
    m           MShift(M, s) standing for s_from / s_to
    zero_point  int32, of the output
    fmt         IntFormat of the output
    Returns     int64 [...] in [fmt.qmin, fmt.qmax], scale s_to
    Raises      WidthError when v leaves int32; never wraps
    Ties        v*M*2**-s = -1.5 -> -1, -0.5 -> 0
    """
    return saturate(apply(v, m) + int(zero_point), fmt)


def normalized(real: float | Fraction) -> MShift:
    """The MShift with 2**15 <= M < 2**16 nearest to a real factor, ties away.  [SPEC M-6]

    real    positive, finite
    Raises  ParameterError when no shift in 0 ... 31 fits
    """
    if isinstance(real, float) and not math.isfinite(real):
        raise ParameterError("factor", repr(real), "a positive, finite number")
    value = Fraction(real)
    if value <= 0:
        raise ParameterError("factor", str(real), "a positive, finite number")
    shift = 0
    while value * Fraction(2) ** shift < 2**15:
        shift += 1
    while value * Fraction(2) ** shift >= 2**16:
        shift -= 1
    M = math.floor(value * Fraction(2) ** shift + Fraction(1, 2))
    if M == 2**16:
        M, shift = 2**15, shift - 1
    if not 0 <= shift <= 31:
        raise ParameterError("factor", str(real), "a factor whose shift lies in 0 to 31")
    return MShift(M, shift)


def scale_product(a: float, b: float, name: str, step: int | None = None) -> float:
    """f32(a * b), the scale of a product.  [SPEC G-M, M-2]

    name    of the product, for the error
    step    in dynamic mode, the step
    Raises  RangeError when it is not finite and positive
    """
    with np.errstate(all="ignore"):
        product = float(np.float32(a) * np.float32(b))
    if not (math.isfinite(product) and product > 0):
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

    s_*         binary32 scales; s_r is the weight scale of R, s_r_gate the reset gate's input scale
    shift       s of all but the biases
    shift_bias  s_b of m_bx and m_br_*
    saturating  dynamic mode: M saturates instead of being refused
    Returns     name -> MShift for every name of golden.spec.layout.MULTIPLIERS
    Raises      ParameterError naming the multiplier, RangeError naming the product
    """
    s_Wx = scale_product(s_w, s_x, "s_Wx", step)
    s_Rh = scale_product(s_r, s_h, "s_Rh", step)
    s_rRh = scale_product(S_ONE, s_Rh, "s_one*s_Rh", step)
    ratios = {
        "m_Rh_z": (s_Rh, s_Wx),
        "m_Rh_r": (s_Rh, s_Wx),
        "m_bx": (s_bx, s_Wx),
        "m_br_z": (s_br, s_Wx),
        "m_br_r": (s_br, s_Wx),
        "m_br_g": (s_br, s_Rh),
        "m_z": (s_Wx, s_z),
        "m_r": (s_Wx, s_r_gate),
        "m_g": (s_Wx, s_g),
        "m_rRh": (s_rRh, s_Wx),
        "m_gh": (S_ONE, s_h),
        "m_one": (S_ONE, 1.0),
    }
    return {
        name: derive(
            s_from,
            s_to,
            shift_bias if name in BIAS_MULTIPLIERS else shift,
            MAX_RRH_MULTIPLIER if name == "m_rRh" else MAX_MULTIPLIER,
            saturating,
            name,
            step,
        )
        for name, (s_from, s_to) in ratios.items()
    }
