"""The integer dot product.  [SPEC L-1]"""

from __future__ import annotations

from collections.abc import Sequence


def matmul(codes: Sequence[int], column: Sequence[int], zero_point: int) -> int:
    """sum over k of column[k] * (codes[k] - zero_point), exactly: one output of the product.  [SPEC L-1]"""
    total = 0
    for q, w in zip(codes, column, strict=True):
        total += w * (q - zero_point)
    return total
