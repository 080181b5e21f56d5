"""The float boundary, one value at a time, every f32 operation rounded by itself.  [SPEC Q-1 ... Q-4]"""

from __future__ import annotations

import math

from golden.spec.formats import INT32, IntFormat
from verification.exact import binary32
from verification.exact.rounding import saturate, ties_even


def nearest_even(t: float) -> int:
    """Nearest-even integer of a binary32 number, saturating to int32: +inf -> 2**31-1, -inf -> -2**31, NaN -> 0.  [SPEC Q-1]"""
    if math.isnan(t):
        return 0
    if math.isinf(t):
        return INT32.qmax if t > 0 else INT32.qmin
    numerator, denominator = t.as_integer_ratio()  # the denominator is a power of two
    return saturate(ties_even(numerator, denominator.bit_length() - 1), INT32)


def quantize(v: float, scale: float, zero_point: int, fmt: IntFormat) -> int:
    """The code of a binary32 number by division; the zero point is added before rounding.  [SPEC Q-1]"""
    t = binary32.div(v, scale)
    t = binary32.add(t, binary32.from_int(zero_point))
    return saturate(nearest_even(t), fmt)


def reciprocal(scale: float) -> float:
    """inv_scale = f32(1 / scale).  [SPEC Q-2]"""
    return binary32.div(1.0, scale)


def quantize_reciprocal(v: float, inv_scale: float, zero_point: int, fmt: IntFormat) -> int:
    """The code of a binary32 number by multiplication with the reciprocal scale.  [SPEC Q-2]"""
    t = binary32.mul(v, inv_scale)
    t = binary32.add(t, binary32.from_int(zero_point))
    return saturate(nearest_even(t), fmt)


def dequantize(q: int, scale: float, zero_point: int) -> float:
    """f32(f32(q - zp) * scale).  [SPEC Q-3]"""
    return binary32.mul(binary32.from_int(q - zero_point), scale)


def quantize_bias(b: float, scale: float, fmt: IntFormat) -> int:
    """Nearest-even of f32(b / scale), saturated to the bias format.  [SPEC Q-4]"""
    return saturate(nearest_even(binary32.div(b, scale)), fmt)
