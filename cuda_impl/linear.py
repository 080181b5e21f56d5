"""The integer products, exact.  [SPEC L]

sum W * (x - zp) is computed as sum W * x - zp * sum W, the same number.
"""

from __future__ import annotations

import numpy as np

from cuda_impl.intrinsics import int32, int64, lane, lanes

MIN_BLOCK = 16
INT32_SPAN = 2**31 - 1


def safe_block(max_weight: int, max_code: int) -> int:
    """How many products of these magnitudes an int32 accumulator holds for certain."""
    return INT32_SPAN // max(1, max_weight * max_code)


def column_sums(weights, out):
    """out[m] = sum over k of weights[k, m], int64."""
    for m in range(lane(), weights.shape[1], lanes()):
        total = int64(0)
        for k in range(weights.shape[0]):
            total += int64(weights[k, m])
        out[m] = total


def matmul(codes, weights, sums, zero_point, block, out):
    """out[m] = sum over k of weights[k, m] * (codes[k] - zero_point), exact, for one row.  [SPEC L-1, L-2]

    codes       int32 [K]
    weights     int8 or int16 [K, M]
    sums        int64 [M], the column sums of weights
    block       how many products fit an int32 accumulator (safe_block); below MIN_BLOCK all is done in int64
    out         int64 [M]
    """
    length, width = weights.shape
    for m in range(width):
        out[m] = -int64(zero_point) * sums[m]
    if block < MIN_BLOCK:
        for k in range(length):
            x = int64(codes[k])
            for m in range(width):
                out[m] += int64(weights[k, m]) * x
        return
    acc = np.empty(width, int32)
    first = 0
    while first < length:
        stop = min(length, first + block)
        for m in range(width):
            acc[m] = 0
        k = first
        while k + 4 <= stop:
            a, b, c, d = codes[k], codes[k + 1], codes[k + 2], codes[k + 3]
            for m in range(width):
                low = int32(int32(weights[k, m]) * a) + int32(int32(weights[k + 1, m]) * b)
                high = int32(int32(weights[k + 2, m]) * c) + int32(int32(weights[k + 3, m]) * d)
                acc[m] += int32(low + high)
            k += 4
        while k < stop:
            a = codes[k]
            for m in range(width):
                acc[m] += int32(int32(weights[k, m]) * a)
            k += 1
        for m in range(width):
            out[m] += int64(acc[m])
        first = stop


def grid_matmul(codes, weights, sums, zero_point, block, out):
    """matmul where the lanes share the columns, each accumulated in a register.  [SPEC L-1]"""
    for m in range(lane(), weights.shape[1], lanes()):
        acc = int64(0)
        for k in range(weights.shape[0]):
            acc += int64(weights[k, m]) * int64(codes[k])
        out[m] = acc - int64(zero_point) * sums[m]
