"""Between real numbers and codes.  Every float operation is one binary32 operation.  [SPEC Q-1 ... Q-4]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.rounding import saturate
from golden.spec.errors import ParameterError
from golden.spec.formats import INT32, IntFormat


def quantize(v: Any, scale: Any, zero_point: int, fmt: IntFormat) -> np.ndarray:
    """A real tensor as codes, dividing by the scale.  [SPEC Q-1]

    t = f32(f32(v / scale) + f32(zp));  q = saturate(nearest-even integer of t, fmt)

    v           float32 [...], real
    scale       binary32, positive
    zero_point  int32; added before rounding
    fmt         IntFormat of the codes
    Returns     int64 [...] in [fmt.qmin, fmt.qmax]
    Corners     +inf -> qmax, -inf -> qmin, NaN -> saturate(0, fmt)
    """
    with np.errstate(all="ignore"):
        return _to_codes(_real(v) / np.float32(scale), zero_point, fmt)


def reciprocal(scale: Any) -> Any:
    """inv_scale = f32(1 / scale).  [SPEC Q-2]"""
    with np.errstate(all="ignore"):
        return np.float32(1) / np.float32(scale)


def quantize_reciprocal(v: Any, inv_scale: Any, zero_point: int, fmt: IntFormat) -> np.ndarray:
    """A real tensor as codes, multiplying by the reciprocal of the scale.  [SPEC Q-2]

    As quantize, with f32(v * inv_scale) for f32(v / scale); the two differ in bits.
    """
    with np.errstate(all="ignore"):
        return _to_codes(_real(v) * np.float32(inv_scale), zero_point, fmt)


def dequantize(q: Any, scale: Any, zero_point: int) -> np.ndarray:
    """The real value of codes.  [SPEC Q-3]

    q           int64 [...]
    scale       binary32
    zero_point  int32; subtracted exactly
    Returns     float32 [...], f32(f32(q - zp) * scale)
    """
    with np.errstate(all="ignore"):
        return (np.asarray(q, np.int64) - int(zero_point)).astype(np.float32) * np.float32(scale)


def quantize_bias(b: Any, scale: Any, fmt: IntFormat) -> np.ndarray:
    """A bias as codes, without a zero point.  [SPEC Q-4]

    b        float32 [...], real
    scale    binary32, or an array that broadcasts
    fmt      int8, int16 or int32
    Returns  int64 [...], the nearest-even integer of f32(b / scale), saturated
    """
    with np.errstate(all="ignore"):
        return saturate(_nearest_even(_real(b) / np.asarray(scale, np.float32)), fmt)


def _real(v: Any) -> np.ndarray:
    array = np.asarray(v)
    if array.dtype != np.float32:
        raise ParameterError("v", f"an array of {array.dtype}", "float32")
    return array


def _to_codes(t: np.ndarray, zero_point: int, fmt: IntFormat) -> np.ndarray:
    return saturate(_nearest_even(t + np.float32(int(zero_point))), fmt)


def _nearest_even(t: np.ndarray) -> np.ndarray:
    """The nearest-even integer of a binary32 number, saturated to int32; NaN gives 0."""
    whole = np.rint(t).astype(np.float64)
    inside = np.minimum(np.maximum(whole, float(INT32.qmin)), float(INT32.qmax))
    return np.where(np.isnan(t), 0.0, inside).astype(np.int64)
