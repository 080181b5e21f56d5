"""The numbers of a step with moving ranges, for kernels: of x for all steps at once, of the state by one warp.  [SPEC D]

The formulas are the twin's own functions (ema, scale_of, derive, ...).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from cuda_impl import cell, launch
from cuda_impl import dynamic as d
from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.intrinsics import INT32_LAST
from cuda_impl.rescale import S_ONE
from golden.spec.params import MAX_RRH_MULTIPLIER

float32, int32, int64 = np.float32, np.int32, np.int64

THREADS = 512
AHEAD = 8
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
    REAL_ROW, NUMBER_ROW, AHEAD_ROW = int64(4 * d.REALS), int64(8 * cell.COLUMNS), int64(4 * AHEAD)
    X_MIN, X_MAX, SCALE_X, SCALE_WX = (int64(4 * n) for n in (d.X_MIN, d.X_MAX, d.SCALE_X, d.SCALE_WX))
    ZP_X, SCALE_W, SCALE_B = int64(8 * cell.ZP_X), int64(4 * d.SCALE_W), int64(4 * d.SCALE_B)
    EACH, LAST = THREADS, INT32_LAST

    def kernel(
        T, reverse, symmetric, continued, shift, shift_bias, s_z, s_r, s_g, x_min, x_max, s_b,
        found, reals, numbers, zero_points, weight_reals, ahead,
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
                gpu.store_long(numbers + NUMBER_ROW * int64(i + 1) + ZP_X, zero_point)
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
    return types.void(*[types.int32] * 6, *[types.float32] * 6, *[types.int64] * 6)


def state_numbers() -> Any:
    """One warp's part of a step: the h range, its scale and zero point, and in each lane one multiplier.  [SPEC D-2, D-3]

    (lane, moved, greatest, least, low, high, scale, zero point, s_Wx, s_R, s_b, h_symmetric, shift, shift_bias) ->
    (low, high, scale, zero point, s_Rh, s_rRh, multiplier): greatest a code + 128, least 127 - a code, of the state before the
    step, with the range, the scale and the zero point it came with. Lanes 0 ... 5 have M_RH, M_BR_G, M_RRH, M_GH, M_ONE, M_H.
    """
    from numba import cuda

    names = launch.namespace("gpu")
    ema, scale_of, dequantize, derive, fmul = (names[n] for n in ("ema", "scale_of", "dequantize", "derive", "fmul"))
    CODE_OF_ONE, UNITY, LAST, LAST_RRH = S_ONE, float32(1.0), INT32_LAST, MAX_RRH_MULTIPLIER

    def state_of_step(lane, moved, greatest, least, low, high, scale, zero_point, s_Wx, s_R, s_b, symmetric, shift, shift_bias):
        s_h, zp_h = scale, zero_point
        if moved:
            cmin = dequantize(int64(127) - int64(least), scale, int64(zero_point))
            cmax = dequantize(int64(greatest) - int64(128), scale, int64(zero_point))
            low, high = ema(low, high, cmin, cmax)
            s_h, zero = scale_of(low, high, symmetric)
            zp_h = int32(zero)
        s_Rh = fmul(s_R, s_h)
        s_rRh = fmul(CODE_OF_ONE, s_Rh)
        s_from, s_to, by, limit = s_Rh, s_Wx, int64(shift), int64(LAST)
        if lane == 1:
            s_from, s_to, by = s_b, s_Rh, int64(shift_bias)
        elif lane == 2:
            s_from, limit = s_rRh, int64(LAST_RRH)
        elif lane == 3:
            s_from, s_to = CODE_OF_ONE, s_h
        elif lane == 4:
            s_from, s_to = CODE_OF_ONE, UNITY
        elif lane == 5:
            s_from, s_to = scale, s_h
        return low, high, s_h, zp_h, s_Rh, s_rRh, int32(derive(s_from, s_to, by, limit))

    return cuda.jit(device=True, forceinline=True)(state_of_step)
