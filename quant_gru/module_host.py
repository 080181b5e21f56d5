"""The float boundary on the CPU in one compiled pass over the values; the same bits as torch's steps.  [SPEC Q-1 ... Q-3]"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cuda_impl.launch import kept_on_disk


def _program(function: Any) -> Any:
    try:
        return kept_on_disk(njit(error_model="numpy", nogil=True, cache=True)(function))
    except RuntimeError:  # nowhere to write compiled code
        return njit(error_model="numpy", nogil=True)(function)


@_program
def divide_to_codes(v, scale, zero_point, qmin, qmax, nan, codes):
    """codes[i] of float32 v[i]; all numbers but codes are float32.  [SPEC Q-1]"""
    for i in range(v.size):
        t = np.rint(v[i] / scale + zero_point)
        t = nan if t != t else min(max(t, qmin), qmax)
        codes[i] = np.int32(t)


@_program
def multiply_to_codes(v, inverse, zero_point, qmin, qmax, nan, codes):
    """As divide_to_codes with the reciprocal of the scale.  [SPEC Q-2]"""
    for i in range(v.size):
        t = np.rint(v[i] * inverse + zero_point)
        t = nan if t != t else min(max(t, qmin), qmax)
        codes[i] = np.int32(t)


@_program
def to_reals(codes, zero_point, scale, reals):
    """reals[i] = f32(f32(q - zp) * scale), zero_point an int64.  [SPEC Q-3]"""
    for i in range(codes.size):
        reals[i] = np.float32(np.int64(codes[i]) - zero_point) * scale
