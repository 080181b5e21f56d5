"""Moving ranges in one launch: every block finds the step's scales and multipliers for itself, alike in all of them.  [SPEC D]

The state travels through the second-level cache as in gpu_grid, as codes with the scale of the step that made them; the
extremes of the whole state travel with the barrier. The numbers of a step are the twin's own functions, and so is the cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from cuda_impl import cell, launch
from cuda_impl import dynamic as d
from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast import gpu_tensor as tensor
from cuda_impl.fast.gpu_cluster import PATIENCE
from cuda_impl.fast.gpu_grid import SPLITS, THREADS, UNITS, GridShape, fetch_state
from cuda_impl.intrinsics import INT32_LAST
from cuda_impl.rescale import S_ONE
from golden.spec.params import MAX_RRH_MULTIPLIER

float32, int32, int64 = np.float32, np.int32, np.int64

UNIT_NUMBERS = 12
"""int32 per unit, gates z, r, g each: column sums of W and of R, then bx, br."""
ALIGNMENT = 128


def moving_layout(shape: GridShape) -> dict[str, int]:
    """Where everything lies in the dynamic shared memory, in bytes, and `total` with what aligning it costs."""
    out, at = {}, 0
    for name, size in (
        ("narrow", UNIT_NUMBERS * UNITS * 4),
        ("codes", 256),
        ("meet", 2 * SPLITS * 4),
        ("state", 2 * shape.state_bytes),
        ("red", SPLITS * 3 * shape.pass_rows * shape.red_row),
    ):
        out[name] = at
        at += (size + 15) // 16 * 16
    out["total"] = at + ALIGNMENT
    return out


def step_numbers() -> Any:
    """numbers_of_step(lane, ...): range and multipliers of a step, by one warp, into shared memory.  [SPEC D-2, D-3]"""
    from numba import cuda

    names = launch.namespace("gpu")
    ema, scale_of, dequantize, derive, fmul = (names[n] for n in ("ema", "scale_of", "dequantize", "derive", "fmul"))
    MIN, MAX, SCALE = 0, 1, 2
    X_ROW, N_ROW = int64(4 * d.REALS), int64(8 * cell.COLUMNS)
    AT_WX, AT_ZP_X = int64(4 * d.SCALE_WX), int64(8 * cell.ZP_X)
    AT_MIN, AT_MAX, AT_H = int64(4 * d.H_MIN), int64(4 * d.H_MAX), int64(4 * d.SCALE_H)
    AT_RH, AT_RRH, AT_ZP_H = int64(4 * d.SCALE_RH), int64(4 * d.SCALE_RRH), int64(8 * cell.ZP_H)
    AT_SCALE_R, AT_SCALE_B = int64(4 * d.SCALE_R), int64(4 * d.SCALE_B)
    ZP_X, ZP_H, ZP_H_OLD, M_H = cell.ZP_X, cell.ZP_H, cell.ZP_H_OLD, cell.M_H
    M_BX, M_BR_G, M_Z, M_R, M_G, M_RRH, M_GH, M_ONE = (
        cell.M_BX, cell.M_BR_G, cell.M_Z, cell.M_R, cell.M_G, cell.M_RRH, cell.M_GH, cell.M_ONE,
    )  # fmt: skip
    CODE_OF_ONE, UNITY = S_ONE, float32(1.0)

    def numbers_of_step(
        lane, step, moved, report, h_symmetric, shift, shift_bias, s_z, s_r, s_g,
        reals, numbers, weight_reals, extremes, carried, m,
    ):  # fmt: skip
        low_before, high_before, s_old = carried[MIN], carried[MAX], carried[SCALE]
        zp_old = m[ZP_H]
        low, high, s_h, zp_h = low_before, high_before, s_old, zp_old
        if moved:
            found = extremes + int64(8) * int64(step)
            greatest = int64(gpu.load_far(found)) - int64(128)
            least = int64(127) - int64(gpu.load_far(found + int64(4)))
            cmin, cmax = dequantize(least, s_old, zp_old), dequantize(greatest, s_old, zp_old)
            low, high = ema(low_before, high_before, cmin, cmax)
            s_h, zp_h = scale_of(low, high, h_symmetric)
        row, number_row = reals + X_ROW * int64(step + 1), numbers + N_ROW * int64(step + 1)
        s_Wx, zp_x = gpu.load_real(row + AT_WX), gpu.load_once_long(number_row + AT_ZP_X)
        s_b = gpu.load_real(weight_reals + AT_SCALE_B)
        s_Rh = fmul(gpu.load_real(weight_reals + AT_SCALE_R), s_h)
        s_rRh = fmul(CODE_OF_ONE, s_Rh)
        s_from, s_to, by, limit = s_Rh, s_Wx, int64(shift), int64(INT32_LAST)  # M_RH_Z and M_RH_R
        if lane >= M_BX and lane < M_BR_G:
            s_from, by = s_b, int64(shift_bias)
        elif lane == M_BR_G:
            s_from, s_to, by = s_b, s_Rh, int64(shift_bias)
        elif lane == M_Z:
            s_from, s_to = s_Wx, s_z
        elif lane == M_R:
            s_from, s_to = s_Wx, s_r
        elif lane == M_G:
            s_from, s_to = s_Wx, s_g
        elif lane == M_RRH:
            s_from, limit = s_rRh, int64(MAX_RRH_MULTIPLIER)
        elif lane == M_GH:
            s_from, s_to = CODE_OF_ONE, s_h
        elif lane == M_ONE:
            s_from, s_to = CODE_OF_ONE, UNITY
        elif lane > M_ONE:
            s_from, s_to = s_old, s_h
        multiplier = derive(s_from, s_to, by, limit)
        cuda.syncwarp()
        if lane <= M_ONE:
            m[lane] = multiplier
        elif lane == M_ONE + 1:
            m[M_H] = multiplier if moved else int64(0)
            m[ZP_X] = zp_x
            m[ZP_H_OLD] = zp_old
            m[ZP_H] = zp_h
            carried[MIN] = low
            carried[MAX] = high
            carried[SCALE] = s_h
        elif lane == M_ONE + 2 and report:
            gpu.store_real(row + AT_MIN, low)
            gpu.store_real(row + AT_MAX, high)
            gpu.store_real(row + AT_H, s_h)
            gpu.store_real(row + AT_RH, s_Rh)
            gpu.store_real(row + AT_RRH, s_rRh)
            gpu.store_long(number_row + AT_ZP_H, zp_h)

    return cuda.jit(device=True, forceinline=True)(numbers_of_step)


def gather_extremes() -> Any:
    """gather(tid, place, meet, greatest, least): this block's extremes join those at a global address; all threads call it."""
    from numba import cuda

    def gather(tid, place, meet, greatest, least):
        for bits in (16, 8, 4, 2, 1):
            greatest = max(greatest, gpu.shuffle_xor(greatest, int32(bits)))
            least = max(least, gpu.shuffle_xor(least, int32(bits)))
        if tid & 31 == 0:
            gpu.store_shared(int32(meet + 8 * (tid >> 5)), greatest)
            gpu.store_shared(int32(meet + 8 * (tid >> 5) + 4), least)
        cuda.syncthreads()
        if tid == 0:
            for k in range(1, SPLITS):
                greatest = max(greatest, gpu.load_shared(int32(meet + 8 * k)))
                least = max(least, gpu.load_shared(int32(meet + 8 * k + 4)))
            gpu.maximum_far(place, greatest)
            gpu.maximum_far(place + int64(4), least)

    return cuda.jit(device=True, forceinline=True)(gather)


def map_codes(rows: int, stride: int, length: int) -> Any:
    """requantized(tid, place, codes): every byte of a pass' rows becomes the entry of its code in a table of 256 bytes."""
    from numba import cuda

    WORDS, ALL = length // 4, rows * length // 4

    def requantized(tid, place, codes):
        for i in range(tid, ALL, THREADS):
            at = int32(place + int32(i // WORDS) * stride + int32(i % WORDS) * 4)
            word = int32(gpu.load_shared(at) ^ int32(-2139062144))  # code + 128 in every byte
            a = int32(gpu.load_shared_byte(int32(codes + (word & 255))) & 255)
            b = int32(gpu.load_shared_byte(int32(codes + ((word >> 8) & 255))) & 255)
            c = int32(gpu.load_shared_byte(int32(codes + ((word >> 16) & 255))) & 255)
            e = int32(gpu.load_shared_byte(int32(codes + ((word >> 24) & 255))))
            gpu.store_shared(at, int32(a | (b << 8) | (c << 16) | (e << 24)))

    return cuda.jit(device=True, forceinline=True)(requantized)


def recurrence(shape: GridShape, zoneout: int) -> Any:
    """The kernel as a Python function, to be compiled with `signature()`; zoneout 0 none, 1 a blend, 2 a mask."""
    from numba import cuda

    names = launch.namespace("gpu")
    mshift_cell, requantize = names["mshift_cell"], names["requantize"]
    zoneout_blend, zoneout_mask = names["zoneout_blend"], names["zoneout_mask"]
    lay = moving_layout(shape)
    BLOCKS, CR, STRIDE, WIDTH, LENGTH = shape.blocks, shape.pass_rows, shape.stride, shape.width, shape.length
    NARROW, CODES, MEET, STATE, RED = (lay[n] for n in ("narrow", "codes", "meet", "state", "red"))
    STATE_BYTES, RED_ROW = shape.state_bytes, shape.red_row
    RED_GATE, RED_SPLIT = CR * RED_ROW, 3 * CR * RED_ROW
    CHUNKS, H_NEW = shape.chunks, cell.MSHIFT_32.index("h_new")
    COLUMNS, ZP_X, ZP_H, ZP_H_OLD, M_H, S_H_SHIFT = (
        cell.COLUMNS, cell.ZP_X, cell.ZP_H, cell.ZP_H_OLD, cell.M_H, cell.S_H_SHIFT,
    )  # fmt: skip
    H_MIN, H_MAX, SCALE_H = 4 * d.H_MIN, 4 * d.H_MAX, 4 * d.SCALE_H
    ZONEOUT, PER_UNIT = zoneout, UNIT_NUMBERS
    load = tensor.load_fragments(6 * CHUNKS)
    multiply = tensor.multiply_rows(CHUNKS, shape.groups, 6 * CHUNKS, STRIDE, RED_ROW, RED_GATE)
    wait_one, wait_all = gpu.copy_wait(1), gpu.copy_wait(0)
    fetch = fetch_state(1, CR, STRIDE, LENGTH)
    numbers_of_step, gather, requantized = step_numbers(), gather_extremes(), map_codes(CR, STRIDE, LENGTH)

    def kernel(
        T, N, H, reverse, rows, total, continued, h_symmetric, shift, shift_bias, zoneout_k, s_z, s_r, s_g,
        wx, h0, state, out, fragments, narrow, tables, mask, reals, numbers, weight_reals, extremes, counter, failed,
    ):  # fmt: skip
        m = cuda.shared.array(COLUMNS, int64)
        carried = cuda.shared.array(4, float32)
        table_z = cuda.shared.array((2, 256), int64)
        table_r = cuda.shared.array((2, 256), int64)
        table_g = cuda.shared.array((2, 256), int64)
        base = int32(int32(gpu.shared_base(cuda.shared.array(0, np.int8)) + int32(127)) & int32(-128))
        tid = int32(cuda.threadIdx.x)
        lane, split = int32(tid & 31), int32(tid >> 5)
        group, block = int32(int32(cuda.blockIdx.x) // BLOCKS), int32(int32(cuda.blockIdx.x) % BLOCKS)
        row0, unit0 = int32(group * rows), int32(block * UNITS)
        here = int32(min(int32(N - row0), int32(rows)))
        report = cuda.blockIdx.x == 0
        for i in range(tid, 512, THREADS):
            table_z[i >> 8, i & 255] = gpu.load_once_long(tables + int64(8 * i))
            table_r[i >> 8, i & 255] = gpu.load_once_long(tables + int64(4096 + 8 * i))
            table_g[i >> 8, i & 255] = gpu.load_once_long(tables + int64(8192 + 8 * i))
        if tid < COLUMNS:
            m[tid] = gpu.load_once_long(numbers + int64(8 * tid))
        if tid == 0:
            carried[0] = gpu.load_real(reals + int64(H_MIN))
            carried[1] = gpu.load_real(reals + int64(H_MAX))
            carried[2] = gpu.load_real(reals + int64(SCALE_H))
        for i in range(tid, PER_UNIT * UNITS, THREADS):
            number, u = i // UNITS, unit0 + i % UNITS
            value = int32(0)
            if u < H:
                value = gpu.load_once(narrow + (int64(number) * int64(H) + int64(u)) * int64(4))
            gpu.store_shared(int32(base + NARROW + 4 * i), value)
        greatest, least = int32(0), int32(0)
        for i in range(tid, here * UNITS, THREADS):
            r, u = i // UNITS, unit0 + i % UNITS
            if u < H:
                at = int64(row0 + r) * int64(H) + int64(u)
                code = gpu.load_once_byte(h0 + at)
                gpu.store_byte(out + at, code)
                gpu.store_byte(state + int64(row0 + r) * int64(LENGTH) + int64(u), code)
                greatest = max(greatest, int32(code + int32(128)))
                least = max(least, int32(int32(127) - code))
        weights = load(fragments + (int64(block) * SPLITS + split) * int64(6 * CHUNKS * 512), lane)
        unit = int32(tid & (UNITS - 1))
        gather(tid, extremes, int32(base + MEET), greatest, least)
        cuda.syncthreads()
        if tid == 0:
            gpu.add_release(counter, int32(1))
        state_lane = int32((lane >> 2) * STRIDE + split * CHUNKS * 64 + (lane & 3) * 16)
        red_lane = int32(base + RED + split * RED_SPLIT + 2 * (lane & 3) * RED_ROW + (lane >> 2) * 4)
        half_bytes = int64(N) * int64(LENGTH)
        passes = int32(int32(here + CR - 1) // CR)
        step = int32(0)
        good = True
        while step < T and good:
            t = int32(T - 1 - step) if reverse != 0 else step
            if tid == 0:
                looks = 0
                while gpu.load_acquire(counter) < int32(step + 1) * total:
                    looks += 1
                    if looks > PATIENCE:
                        gpu.store_word(failed, int32(1))
                        break
            cuda.syncthreads()
            good = gpu.load_far(failed) == 0
            now = state + int64(step & 1) * half_bytes + int64(row0) * int64(LENGTH)
            then = state + int64(int32(step + 1) & 1) * half_bytes + int64(row0) * int64(LENGTH)
            fetch(tid, int32(base + STATE), now, half_bytes, int32(0), here)
            gpu.copy_commit()
            moved = step > 0 or continued != 0
            if split == 0:
                numbers_of_step(
                    lane, step, moved, report, h_symmetric, shift, shift_bias, s_z, s_r, s_g,
                    reals, numbers, weight_reals, extremes, carried, m,
                )  # fmt: skip
            cuda.syncthreads()
            code = int64(tid) - int64(128)
            if moved:
                code = requantize(code - m[ZP_H_OLD], m[M_H], m[S_H_SHIFT], m[ZP_H], -128, 127)
            gpu.store_shared_byte(int32(base + CODES + tid), int32(code))
            greatest, least = int32(0), int32(0)
            turn = int32(0)
            for part in range(passes):
                first = int32(part * CR)
                if first + CR < here:
                    fetch(tid, int32(base + STATE + (turn ^ 1) * STATE_BYTES), now, half_bytes, int32(first + CR), here)
                gpu.copy_commit()
                wait_one()
                cuda.syncthreads()
                place = int32(base + STATE + turn * STATE_BYTES)
                requantized(tid, place, int32(base + CODES))
                cuda.syncthreads()
                multiply(weights, int32(0), int32(place + state_lane), red_lane)
                cuda.syncthreads()
                r = int32(tid >> 4)
                local = int32(first + r)
                if r < CR and local < here and unit0 + unit < H:
                    row = int32(row0 + local)
                    line = (int64(t) * int64(N) + int64(row)) * int64(3 * WIDTH) + int64(unit0 + unit)
                    wz = gpu.load_once(wx + line * 4)
                    wr = gpu.load_once(wx + (line + WIDTH) * 4)
                    wg = gpu.load_once(wx + (line + 2 * WIDTH) * 4)
                    at = int32(base + RED + r * RED_ROW + 4 * unit)
                    z0, r0, g0 = int32(0), int32(0), int32(0)
                    for k in range(SPLITS):
                        z0 = int32(z0 + gpu.load_shared(int32(at + k * RED_SPLIT)))
                        r0 = int32(r0 + gpu.load_shared(int32(at + k * RED_SPLIT + RED_GATE)))
                        g0 = int32(g0 + gpu.load_shared(int32(at + k * RED_SPLIT + 2 * RED_GATE)))
                    mine = int32(base + NARROW + 4 * unit)
                    zp_x, zp_h = m[ZP_X], m[ZP_H]
                    old = int64(gpu.load_shared_byte(int32(place + r * STRIDE + unit0 + unit)))
                    results, _longs, _biases = mshift_cell(
                        int64(wz) - zp_x * int64(gpu.load_shared(mine)),
                        int64(wr) - zp_x * int64(gpu.load_shared(int32(mine + 64))),
                        int64(wg) - zp_x * int64(gpu.load_shared(int32(mine + 128))),
                        int64(z0) - zp_h * int64(gpu.load_shared(int32(mine + 192))),
                        int64(r0) - zp_h * int64(gpu.load_shared(int32(mine + 256))),
                        int64(g0) - zp_h * int64(gpu.load_shared(int32(mine + 320))),
                        gpu.load_shared(int32(mine + 384)),
                        gpu.load_shared(int32(mine + 448)),
                        gpu.load_shared(int32(mine + 512)),
                        gpu.load_shared(int32(mine + 576)),
                        gpu.load_shared(int32(mine + 640)),
                        gpu.load_shared(int32(mine + 704)),
                        old, m, table_z, table_r, table_g,
                    )  # fmt: skip
                    new = int64(results[H_NEW])
                    if ZONEOUT == 1:
                        _sum, new = zoneout_blend(zoneout_k, old, new, zp_h, -128, 127)
                    elif ZONEOUT == 2:
                        at_mask = mask + (int64(t) * int64(N) + int64(row)) * int64(H) + int64(unit0 + unit)
                        new = zoneout_mask(gpu.load_once_byte(at_mask), old, new)
                    byte = int32(new)
                    at_out = (int64(t + 1) * int64(N) + int64(row)) * int64(H) + int64(unit0 + unit)
                    gpu.store_byte(then + int64(local) * int64(LENGTH) + int64(unit0 + unit), byte)
                    gpu.store_byte(out + at_out, byte)
                    greatest = max(greatest, int32(byte + int32(128)))
                    least = max(least, int32(int32(127) - byte))
                cuda.syncthreads()
                turn = int32(turn ^ 1)
            wait_all()
            gather(tid, extremes + int64(8) * int64(step + 1), int32(base + MEET), greatest, least)
            if tid == 0:
                gpu.add_release(counter, int32(1))
            step = int32(step + 1)

    return kernel


def signature() -> Any:
    """The Numba types of the kernel's arguments."""
    i, f, a = types.int32, types.float32, types.int64
    return types.void(*[i] * 11, *[f] * 3, *[a] * 14)
