"""The integer matrix product.  [SPEC L-1, L-2]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.errors import WidthError

FLOAT64_EXACT = 2**53
INT64_LIMIT = 2**63


def matmul(codes: Any, weights: Any, zero_point: int) -> np.ndarray:
    """sum_k weights[k,m] * (codes[...,k] - zero_point), exact.  [SPEC L-1]

    codes       integers [..., K]
    weights     integers [K, M], zero point 0
    zero_point  int32, of the codes; subtracted exactly
    Returns     int64 [..., M]
    Raises      WidthError when a partial sum could leave int64

    Below 2**53 every partial sum is a float64 integer, so the product may go through float64 BLAS in any order.
    """
    centred = np.asarray(codes, np.int64) - int(zero_point)
    w = np.asarray(weights, np.int64)
    bound = w.shape[0] * _magnitude(centred) * _magnitude(w)
    if bound < FLOAT64_EXACT:
        return (centred.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)
    if bound >= INT64_LIMIT:
        raise WidthError("dot product", bound, INT64_LIMIT)
    return centred @ w


def _magnitude(a: np.ndarray) -> int:
    return max(abs(int(a.min())), abs(int(a.max()))) if a.size else 0
