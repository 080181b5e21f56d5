"""What x alone decides in a run with moving ranges, for all steps at once: ranges, scales, codes, multipliers.  [SPEC D]

The formulas are the twin's own functions (lower, upper, ema, scale_of, quantize, derive, ...).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from cuda_impl import dynamic as d
from cuda_impl import launch
from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.intrinsics import INT32_FIRST, INT32_LAST

float32, int32, int64 = np.float32, np.int32, np.int64

LANES = 256
"""Threads of a block of the kernels that go over x."""
STRETCH = 4096
"""Numbers of a step that one block quantizes."""
THREADS = 512
AHEAD, ZP_H = 8, 6
"""int32 per step of what x alone decides: the bits of s_Wx, zp_x, the multipliers M_BX, M_Z, M_R and M_G; then zp_h, which the
recurrence puts there, and a spare one."""


def ahead_kernel() -> Any:
    """The kernel that finds the x range of every step and what follows from it, in one block of threads.  [SPEC D-1, D-3]

    The moving average is a chain over all steps, a sum each; everything else is done for many steps at once. x_min, x_max and
    s_b are those before the run, where it goes on from another.
    """
    from numba import cuda

    names = launch.namespace("gpu")
    ema, scale_of, derive, fmul = (names[n] for n in ("ema", "scale_of", "derive", "fmul"))
    REAL_ROW, AHEAD_ROW = int64(4 * d.REALS), int64(4 * AHEAD)
    X_MIN, X_MAX, SCALE_X, SCALE_WX = (int64(4 * n) for n in (d.X_MIN, d.X_MAX, d.SCALE_X, d.SCALE_WX))
    SCALE_W, SCALE_B = int64(4 * d.SCALE_W), int64(4 * d.SCALE_B)
    EACH, LAST = THREADS, INT32_LAST

    def kernel(
        T, reverse, symmetric, continued, shift, shift_bias, s_z, s_r, s_g, x_min, x_max, s_b,
        found, reals, zero_points, weight_reals, ahead,
    ):  # fmt: skip
        low = cuda.shared.array(EACH, float32)
        high = cuda.shared.array(EACH, float32)
        bias = cuda.shared.array(1, float32)
        tid = int32(cuda.threadIdx.x)
        s_w = gpu.load_real(weight_reals + SCALE_W)
        # threads 0 and 32 follow an end of the range each, from step to step
        before = x_min if tid == 0 else x_max
        first = int32(0)
        while first < T:
            i = int32(first + tid)
            t = int32(T - 1 - i) if reverse != 0 else i
            if i < T:
                low[tid] = gpu.load_real(found + int64(8) * int64(t))
                high[tid] = gpu.load_real(found + int64(8) * int64(t) + int64(4))
            cuda.syncthreads()
            count = int32(min(int32(T - first), int32(EACH)))
            begin = int32(1) if first == 0 and continued == 0 else int32(0)
            if tid == 0:
                if begin == 1:
                    before = low[0]
                for k in range(begin, count):
                    before, _same = ema(before, before, low[k], low[k])
                    low[k] = before
            elif tid == 32:
                if begin == 1:
                    before = high[0]
                for k in range(begin, count):
                    before, _same = ema(before, before, high[k], high[k])
                    high[k] = before
            cuda.syncthreads()
            s_Wx = float32(1.0)
            row, line = reals + REAL_ROW * int64(i + 1), ahead + AHEAD_ROW * int64(i)
            if i < T:
                scale, zero_point = scale_of(low[tid], high[tid], symmetric)
                s_Wx = fmul(s_w, scale)
                gpu.store_real(row + X_MIN, low[tid])
                gpu.store_real(row + X_MAX, high[tid])
                gpu.store_real(row + SCALE_X, scale)
                gpu.store_real(row + SCALE_WX, s_Wx)
                gpu.store_long(zero_points + int64(8) * int64(t), zero_point)
                gpu.store_real(line, s_Wx)
                gpu.store_word(line + int64(4), int32(zero_point))
            if i == 0:
                bias[0] = s_Wx if continued == 0 else s_b
                gpu.store_real(weight_reals + SCALE_B, bias[0])
            cuda.syncthreads()
            if i < T:
                gpu.store_word(line + int64(8), int32(derive(bias[0], s_Wx, shift_bias, LAST)))
                gpu.store_word(line + int64(12), int32(derive(s_Wx, s_z, shift, LAST)))
                gpu.store_word(line + int64(16), int32(derive(s_Wx, s_r, shift, LAST)))
                gpu.store_word(line + int64(20), int32(derive(s_Wx, s_g, shift, LAST)))
            cuda.syncthreads()
            first = int32(first + EACH)

    return kernel


def ahead_signature() -> Any:
    """The Numba types of the kernel's arguments."""
    return types.void(*[types.int32] * 6, *[types.float32] * 6, *[types.int64] * 5)


def extremes_kernel() -> Any:
    """The kernel that finds the least and the greatest number of every step; a block of LANES threads for each.  [SPEC E-1]

    (K, values float32 [T, K], found float32 [T, 2]); NaN wins, and a zero is +0.0.
    """
    from numba import cuda

    names = launch.namespace("gpu")
    lower, upper, ZERO, EACH = names["lower"], names["upper"], float32(0.0), LANES

    def kernel(K, values, found):
        least = cuda.shared.array(EACH, float32)
        most = cuda.shared.array(EACH, float32)
        tid, step = int32(cuda.threadIdx.x), int64(cuda.blockIdx.x)
        row = values + step * int64(K) * int64(4)
        low = gpu.load_real(row)
        high = low
        k = int32(tid)
        while k + 3 * EACH < K:
            at = row + int64(4) * int64(k)
            a, b = gpu.load_real(at), gpu.load_real(at + int64(4 * EACH))
            c, e = gpu.load_real(at + int64(8 * EACH)), gpu.load_real(at + int64(12 * EACH))
            low = lower(lower(low, lower(a, b)), lower(c, e))
            high = upper(upper(high, upper(a, b)), upper(c, e))
            k = int32(k + 4 * EACH)
        while k < K:
            v = gpu.load_real(row + int64(4) * int64(k))
            low, high = lower(low, v), upper(high, v)
            k = int32(k + EACH)
        least[tid], most[tid] = low, high
        half = int32(EACH // 2)
        while half > 0:
            cuda.syncthreads()
            if tid < half:
                least[tid] = lower(least[tid], least[tid + half])
                most[tid] = upper(most[tid], most[tid + half])
            half = int32(half >> 1)
        if tid == 0:
            low, high = least[0], most[0]
            if low == ZERO:
                low = ZERO
            if high == ZERO:
                high = ZERO
            gpu.store_real(found + int64(8) * step, low)
            gpu.store_real(found + int64(8) * step + int64(4), high)

    return kernel


def extremes_signature() -> Any:
    """The Numba types of the kernel's arguments."""
    return types.void(types.int32, types.int64, types.int64)


def quantize_kernel(by_reciprocal: bool, fours: bool) -> Any:
    """The kernel that quantizes x, each step with its own scale; a block takes a stretch of a step.  [SPEC D-1, Q-1, Q-2]

    (T, K, blocks of a step, reverse, values float32 [T, K], reals, zero points int64 [T], codes int8 [T, K]); fours: K is a
    multiple of 4 and the addresses of 16.
    """
    from numba import cuda

    names = launch.namespace("gpu")
    quantize, quantize_reciprocal, reciprocal = (names[n] for n in ("quantize", "quantize_reciprocal", "reciprocal"))
    BY_RECIPROCAL, FOURS, EACH, LENGTH = by_reciprocal, fours, LANES, STRETCH
    REAL_ROW, SCALE_X = int64(4 * d.REALS), int64(4 * d.SCALE_X)

    def one(v, scale, zero):
        if BY_RECIPROCAL:
            return int32(quantize_reciprocal(v, scale, zero, -128, 127))
        return int32(quantize(v, scale, zero, -128, 127))

    code_of = cuda.jit(device=True, forceinline=True)(one)

    def kernel(T, K, across, reverse, values, reals, zero_points, codes):
        block = int32(cuda.blockIdx.x)
        t = int32(block // across)
        first = int32(int32(block - t * across) * LENGTH)
        end = int32(min(int32(first + LENGTH), int32(K)))
        i = int32(T - t) if reverse != 0 else int32(t + 1)
        scale = gpu.load_real(reals + REAL_ROW * int64(i) + SCALE_X)
        if BY_RECIPROCAL:
            scale = reciprocal(scale)
        zero = gpu.load_once_long(zero_points + int64(8) * int64(t))
        row = int64(t) * int64(K)
        if FOURS:
            k = int32(first + 4 * int32(cuda.threadIdx.x))
            while k < end:
                a, b, c, e = gpu.load_real4(values + int64(4) * (row + int64(k)))
                low = int32(int32(code_of(a, scale, zero) & 255) | int32(int32(code_of(b, scale, zero) & 255) << 8))
                high = int32(int32(code_of(c, scale, zero) & 255) | int32(int32(code_of(e, scale, zero) & 255) << 8))
                gpu.store_word(codes + row + int64(k), int32(low | int32(high << 16)))
                k = int32(k + 4 * EACH)
        else:
            k = int32(first + int32(cuda.threadIdx.x))
            while k < end:
                v = gpu.load_real(values + int64(4) * (row + int64(k)))
                gpu.store_byte(codes + row + int64(k), code_of(v, scale, zero))
                k = int32(k + EACH)

    return kernel


def quantize_signature() -> Any:
    """The Numba types of the kernel's arguments."""
    return types.void(*[types.int32] * 4, *[types.int64] * 4)


def bias_kernel() -> Any:
    """The kernel that quantizes biases: (count, values float32, weight_reals, codes int32).  [SPEC D, Q-4]"""
    from numba import cuda

    quantize_bias = launch.namespace("gpu")["quantize_bias"]
    SCALE_B, EACH, FIRST, LAST = int64(4 * d.SCALE_B), LANES, INT32_FIRST, INT32_LAST

    def kernel(count, values, weight_reals, codes):
        i = int32(int32(cuda.blockIdx.x) * EACH + int32(cuda.threadIdx.x))
        if i < count:
            at = int64(4) * int64(i)
            scale = gpu.load_real(weight_reals + SCALE_B)
            gpu.store_word(codes + at, int32(quantize_bias(gpu.load_real(values + at), scale, FIRST, LAST)))

    return kernel


def bias_signature() -> Any:
    """The Numba types of the kernel's arguments."""
    return types.void(types.int32, types.int64, types.int64, types.int64)
