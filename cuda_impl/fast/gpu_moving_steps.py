"""What the kernels of moving ranges do at a step beside the network itself, as device functions.  [SPEC D]

The numbers of a step are the twin's own functions (ema, scale_of, dequantize, derive).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl import launch
from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast.gpu_cells import shifted_up
from cuda_impl.fast.gpu_cluster import PATIENCE
from cuda_impl.intrinsics import INT32_LAST
from cuda_impl.rescale import S_ONE
from golden.spec.params import MAX_RRH_MULTIPLIER

float32, int32, int64 = np.float32, np.int32, np.int64

MOST_OF_X, MOST_OF_STATE, MOST_OF_PRODUCT, MOST_OF_ZERO = 2**28, 2**26, 2**28, 2**30 - 1
"""What the plain cell is sure of: what is added to Wx, what is added to Rh of gate g, the raw products Wx, and the zero points
of the gate inputs, at most."""


def plain_limits(reach: int, shift: int) -> tuple[int, int, int]:
    """Greatest M_RH, M_RRH and M_GH with which no intermediate of a cell can leave int32.  [SPEC GM-1 ... GM-3]

    reach  the greatest sum of |R| of a unit, times 255: what Rh with its zero point can be, at most 2^25
    Each term of a gate stays below 2^29, so that their sum with Wx and what is added to it stays below 2^30; with M_Z, M_R and
    M_G of at most 2^shift the gate inputs do too, before a zero point of at most MOST_OF_ZERO.
    """
    term = 2**29 - 1 << shift

    def limit(of: int) -> int:
        return min(INT32_LAST, term // max(of, 1))

    return limit(reach), limit(127 * (reach + MOST_OF_STATE)), limit(127 * 128)


def lane_constants() -> Any:
    """What a lane of the warp that finds a step's multipliers keeps.  [SPEC M-2]

    (lane, shift, shift_bias, limits) -> (the power of two, the bound from which a multiplier is its greatest, that one, the
    limit of the plain cell)
    """
    from numba import cuda

    LAST, LAST_RRH = int32(INT32_LAST), int32(MAX_RRH_MULTIPLIER)

    def constants(lane, shift, shift_bias, limit_Rh, limit_rRh, limit_gh):
        power, bound, most, limit = float32(int64(1) << int64(shift)), float32(2147483648.0), LAST, limit_Rh
        if lane == 1:
            power, limit = float32(int64(1) << int64(shift_bias)), LAST
        elif lane == 2:
            bound, most, limit = float32(LAST_RRH), LAST_RRH, limit_rRh
        elif lane == 3:
            limit = limit_gh
        elif lane == 4 or lane == 5:
            limit = LAST
        return power, bound, most, limit

    return cuda.jit(device=True, forceinline=True)(constants)


def state_numbers() -> Any:
    """One warp's part of a step: the h range, its scale and zero point, and in each lane one multiplier.  [SPEC D-2, D-3]

    (lane, moved, greatest, least, low, high, scale, zero point, s_Wx, s_R, s_b, h_symmetric, power, bound, most) ->
    (low, high, scale, zero point, s_Rh, s_rRh, multiplier): greatest a code + 128, least 127 - a code, of the state before the
    step, with the range, the scale and the zero point it came with. Lanes 1 ... 5 have M_BR_G, M_RRH, M_GH, M_ONE and M_H, the
    others M_RH; the rounding of M-2 is exact in binary32, whose whole part and rest are.
    """
    from numba import cuda

    names = launch.namespace("gpu")
    ema, scale_of, dequantize = (names[n] for n in ("ema", "scale_of", "dequantize"))
    fmul, fdiv, fsub = (names[n] for n in ("fmul", "fdiv", "fsub"))
    CODE_OF_ONE, UNITY, HALF = S_ONE, float32(1.0), float32(0.5)

    def state_of_step(
        lane, moved, greatest, least, low, high, scale, zero_point, s_Wx, s_R, s_b, symmetric, power, bound, most
    ):
        s_h, zp_h = scale, zero_point
        if moved:
            cmin = dequantize(int64(127) - int64(least), scale, int64(zero_point))
            cmax = dequantize(int64(greatest) - int64(128), scale, int64(zero_point))
            low, high = ema(low, high, cmin, cmax)
            s_h, zero = scale_of(low, high, symmetric)
            zp_h = int32(zero)
        s_Rh = fmul(s_R, s_h)
        s_rRh = fmul(CODE_OF_ONE, s_Rh)
        s_from = s_b if lane == 1 else s_rRh if lane == 2 else CODE_OF_ONE if lane == 3 or lane == 4 else s_Rh
        s_from = scale if lane == 5 else s_from
        s_to = s_Rh if lane == 1 else s_h if lane == 3 or lane == 5 else UNITY if lane == 4 else s_Wx
        p = fmul(fdiv(s_from, s_to), power)
        multiplier = most
        if p < bound:
            whole = int32(p)
            multiplier = int32(whole + 1) if fsub(p, float32(whole)) >= HALF else whole
        return low, high, s_h, zp_h, s_Rh, s_rRh, multiplier

    return cuda.jit(device=True, forceinline=True)(state_of_step)


def unit_constants(units: int) -> Any:
    """What a step adds to the products of a unit: (of_x, of_state), to be called by one thread a unit.  [SPEC GM]

    of_x(mine, wide, M_BX, half, shift, zp_x), of_state(mine, wide, narrow, M_BR_G, half, shift, zp_h): shared addresses of the
    unit's sums, of its int64 and of its int32 constants, in the order of a static set. Both give whether all of them are small
    enough for the plain cell.
    """
    from numba import cuda

    up, STEP, LONG = shifted_up(False), int32(4 * units), int32(8 * units)
    SMALL, LITTLE = int64(MOST_OF_X), int64(MOST_OF_STATE)

    def of_x(mine, wide, multiplier, half, shift, zero):
        small = True
        for gate in range(3):
            at = int32(mine + gate * STEP)
            added = int64(up(gpu.load_shared(int32(at + 6 * STEP)), multiplier, half, shift))
            if gate < 2:
                added += int64(up(gpu.load_shared(int32(at + 9 * STEP)), multiplier, half, shift))
            added -= int64(zero) * int64(gpu.load_shared(at))
            gpu.store_shared_long(int32(wide + gate * LONG), added)
            small = small and -SMALL <= added and added <= SMALL
        return small

    def of_state(mine, wide, narrow, multiplier, half, shift, zero):
        added = int64(up(gpu.load_shared(int32(mine + 11 * STEP)), multiplier, half, shift))
        added -= int64(zero) * int64(gpu.load_shared(int32(mine + 5 * STEP)))
        gpu.store_shared_long(int32(wide + 3 * LONG), added)
        gpu.store_shared(narrow, int32(-zero * gpu.load_shared(int32(mine + 3 * STEP))))
        gpu.store_shared(int32(narrow + STEP), int32(-zero * gpu.load_shared(int32(mine + 4 * STEP))))
        return -LITTLE <= added and added <= LITTLE

    wrap = cuda.jit(device=True, forceinline=True)
    return wrap(of_x), wrap(of_state)


def map_code() -> Any:
    """mapped(code, M, half - old zero point * M, shift, new zero point): a code in the new range.  [SPEC D-2, M-5]"""
    from numba import cuda

    def mapped(code, multiplier, added, shift, zero):
        q = (gpu.multiply_add(code, multiplier, added) >> int64(shift)) + int64(zero)
        return int32(min(max(q, int64(-128)), int64(127)))

    return cuda.jit(device=True, forceinline=True)(mapped)


def map_state(threads: int) -> Any:
    """requantized(tid, first, quads, codes): every byte of so many 16 bytes becomes the entry of its code.  [SPEC D-2]

    The table of 256 bytes lies there eight times, words of four entries side by side, so that few lanes meet in a bank.
    """
    from numba import cuda

    NT, SIGNS = threads, int32(-2139062144)  # 0x80808080: code + 128 in every byte

    def four(codes, word):
        word = int32(word ^ SIGNS)
        a, b = int32(word & 255), int32(int32(word >> 8) & 255)
        c, e = int32(int32(word >> 16) & 255), int32(int32(word >> 24) & 255)
        a = int32(gpu.load_shared_byte(int32(codes + int32(int32(a >> 2) << 5) + (a & 3))) & 255)
        b = int32(gpu.load_shared_byte(int32(codes + int32(int32(b >> 2) << 5) + (b & 3))) & 255)
        c = int32(gpu.load_shared_byte(int32(codes + int32(int32(c >> 2) << 5) + (c & 3))) & 255)
        e = gpu.load_shared_byte(int32(codes + int32(int32(e >> 2) << 5) + (e & 3)))
        return int32(int32(a | int32(b << 8)) | int32(int32(c << 16) | int32(e << 24)))

    of = cuda.jit(device=True, forceinline=True)(four)

    def requantized(tid, first, quads, codes):
        i = int32(tid)
        while i < quads:
            at = int32(first + 16 * i)
            a, b, c, e = gpu.load_shared4(at)
            gpu.store_shared4(at, of(codes, a), of(codes, b), of(codes, c), of(codes, e))
            i = int32(i + NT)

    return cuda.jit(device=True, forceinline=True)(requantized)


def map_directly(threads: int) -> Any:
    """requantized(tid, first, words, M, half, shift, old zero point, new one): every byte of so many words.  [SPEC D-2]"""
    from numba import cuda

    NT, of = threads, map_code()

    def requantized(tid, first, words, multiplier, half, shift, old, zero):
        added = int64(half) - int64(old) * int64(multiplier)
        i = int32(tid)
        while i < words:
            at = int32(first + 4 * i)
            word = gpu.load_shared(at)
            a = int32(of(int32(int32(word << 24) >> 24), multiplier, added, shift, zero) & 255)
            b = int32(of(int32(int32(word << 16) >> 24), multiplier, added, shift, zero) & 255)
            c = int32(of(int32(int32(word << 8) >> 24), multiplier, added, shift, zero) & 255)
            e = of(int32(word >> 24), multiplier, added, shift, zero)
            gpu.store_shared(at, int32(int32(a | int32(b << 8)) | int32(int32(c << 16) | int32(e << 24))))
            i = int32(i + NT)

    return cuda.jit(device=True, forceinline=True)(requantized)


def found_extremes() -> Any:
    """looked(lane, place, total, tag) -> (whether all were found, greatest, least) of the words that all blocks post.

    A word is a tag, greatest and least, 16, 8 and 8 bits; one warp looks, each lane for four; it does not look for ever.
    """
    from numba import cuda

    def looked(lane, place, total, tag):
        mine = int32(total - 4 * lane)
        words = place + int64(16 * lane)
        looks = 0
        while True:
            a, b, c, e = gpu.look4(words)
            missing = int32(0)
            if mine > 0 and int32(a >> 16) != tag:
                missing = int32(1)
            if mine > 1 and int32(b >> 16) != tag:
                missing = int32(1)
            if mine > 2 and int32(c >> 16) != tag:
                missing = int32(1)
            if mine > 3 and int32(e >> 16) != tag:
                missing = int32(1)
            missing = gpu.warp_max(missing)
            looks += 1
            if missing == 0 or looks > PATIENCE:
                break
        a, b = int32(a & 65535) if mine > 0 else int32(0), int32(b & 65535) if mine > 1 else int32(0)
        c, e = int32(c & 65535) if mine > 2 else int32(0), int32(e & 65535) if mine > 3 else int32(0)
        greatest = max(max(int32(a >> 8), int32(b >> 8)), max(int32(c >> 8), int32(e >> 8)))
        least = max(max(int32(a & 255), int32(b & 255)), max(int32(c & 255), int32(e & 255)))
        return missing == 0, gpu.warp_max(greatest), gpu.warp_max(least)

    return cuda.jit(device=True, forceinline=True)(looked)
