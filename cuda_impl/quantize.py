"""From real numbers to codes and back, each binary32 operation rounded by itself.  [SPEC Q]"""

from __future__ import annotations

from cuda_impl.intrinsics import fadd, fdiv, float32, fmul, int64, nearest_even
from cuda_impl.rounding import saturate


def quantize(v, scale, zero_point, qmin, qmax):
    """saturate(nearest_even(f32(f32(v / scale) + f32(zero_point))), fmt).  [SPEC Q-1]

    v, scale  float32
    Returns   int64 in [qmin, qmax]; NaN gives the code nearest to 0
    """
    return saturate(nearest_even(fadd(fdiv(v, scale), float32(int64(zero_point)))), qmin, qmax)


def reciprocal(scale):
    """f32(1 / scale).  [SPEC Q-2]"""
    return fdiv(float32(1.0), scale)


def quantize_reciprocal(v, inv_scale, zero_point, qmin, qmax):
    """As quantize, with f32(v * inv_scale) in place of the division.  [SPEC Q-2]"""
    return saturate(nearest_even(fadd(fmul(v, inv_scale), float32(int64(zero_point)))), qmin, qmax)


def dequantize(q, scale, zero_point):
    """f32(f32(q - zero_point) * scale), float32.  [SPEC Q-3]"""
    return fmul(float32(int64(q) - int64(zero_point)), scale)


def quantize_bias(b, scale, qmin, qmax):
    """saturate(nearest_even(f32(b / scale)), fmt).  [SPEC Q-4]"""
    return saturate(nearest_even(fdiv(b, scale)), qmin, qmax)
