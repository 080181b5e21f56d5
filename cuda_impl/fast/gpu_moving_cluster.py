"""Moving ranges with the state passed through shared memory of clusters: gpu_cluster's way of working, and the numbers of every
step found on the way.  [SPEC D]

The state travels as codes with the scale of the step that made them. Its extremes travel with it where one cluster has all
rows, else through the second-level cache, a word of every block; every block then finds the step's numbers by itself, maps the
codes into the new range, and goes on as a static set does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl import dynamic as d
from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast import gpu_tensor as tensor
from cuda_impl.fast.gpu_cells import mshift_cell, mshift_plain_cell
from cuda_impl.fast.gpu_cluster import barrier_wait
from cuda_impl.fast.gpu_layout import MOVING_UNIT, Kind, Shape, shared_layout
from cuda_impl.fast.gpu_moving_steps import (
    found_extremes,
    lane_constants,
    map_code,
    map_directly,
    map_state,
    state_numbers,
    unit_constants,
)
from cuda_impl.fast.gpu_moving_x import AHEAD
from cuda_impl.fast.gpu_moving_x import ZP_H as AHEAD_ZP_H
from cuda_impl.fast.gpu_units import gather_units, sixteen_out, sum_splits, zoneout_step

float32, int32, int64 = np.float32, np.int32, np.int64

POSTS = 128  # blocks whose extremes one warp looks for
# words of a step's numbers in shared memory
M_RH, M_Z, M_R, M_G, M_RRH, M_GH, M_ONE, ZP_H, M_BR_G, M_H, ZP_OLD, BROKEN, TOLD, WIDER = (*range(13), 20)


def recurrence(shape: Shape, kind: Kind, many: bool) -> Any:
    """The kernel as a Python function, to be compiled with `signature()`; many: whether several clusters share the rows."""
    from numba import cuda

    s, lay = shape, shared_layout(shape, kind)
    CL, U, KS, NT, P = s.blocks, s.units, s.splits, s.threads, s.passes
    CR, RB, STRIDE, WIDTH = s.pass_rows, s.rows, s.stride, s.width
    EACH, TILES, HELD, CHUNKS, WARPS = s.each, s.tiles, s.held, s.chunks, s.warps
    ALL_WARPS, HALF_POSTS = NT // 32, int64(4 * POSTS)
    SOLO, ALL_MULTIPLY, MANY = CL == 1, s.extra == 0, many
    SPILL = 6 * CHUNKS - HELD
    SLOTS = U * CR // (NT * EACH)
    RED_ROW, WX_BYTES = s.red_row, s.wx_bytes
    RED_GATE, RED_SPLIT = CR * s.red_row, 3 * CR * s.red_row
    TABLES, WIDE, NARROW, STATE, RED, WX, SPILLED, SUMS, CODES, MEET, NUMBERS = (
        lay[n] for n in ("tables", "wide", "narrow", "state", "red", "wx", "spill", "sums", "codes", "meet", "numbers")
    )
    HALF_STATE, LANES, PER_UNIT = RB * STRIDE, 16 // EACH, MOVING_UNIT
    COPIES, VALID, ZONEOUT = s.wx_copies, s.valid, kind.zoneout
    WX_GATE, LOG_U = 4 * CR * U, U.bit_length() - 1
    WIDE_STEP, NARROW_STEP = int32(8 * U), int32(4 * U)
    # of the place to meet 64 bytes are for the warps of a block, the rest for the blocks of a cluster, by parity
    SHARE = MEET + 64
    REAL_ROW, AHEAD_ROW, AT_AHEAD = 4 * d.REALS, 4 * AHEAD, 4 * AHEAD_ZP_H
    SCALE_R, SCALE_B = 4 * d.SCALE_R, 4 * d.SCALE_B
    AT_MH, AT_OLD, AT_BR, AT_BROKEN, AT_ZP = (NUMBERS + 4 * n for n in (M_H, ZP_OLD, M_BR_G, BROKEN, ZP_H))
    AT_TOLD, AT_WIDER, AT_Z = NUMBERS + 4 * TOLD, NUMBERS + 4 * WIDER, NUMBERS + 4 * M_Z
    PLACES = tuple(NUMBERS + 4 * n for n in (M_RH, M_BR_G, M_RRH, M_GH, M_ONE, M_H, ZP_H, ZP_OLD))  # by lane
    COLUMNS = tuple(4 * n for n in (d.H_MIN, d.H_MAX, d.SCALE_H, d.SCALE_RH, d.SCALE_RRH))
    wide_of, narrow_of = gpu.load_shared_longs(4), gpu.load_shared_words(2)
    load, fetch = tensor.load_fragments(HELD), tensor.fetch_products(CR, U, NT, WIDTH)
    multiply = tensor.multiply_rows(CHUNKS, s.groups, HELD, STRIDE, RED_ROW, RED_GATE)
    wait_one, wait_all, there = gpu.copy_wait(1), gpu.copy_wait(0), barrier_wait()
    finish_wide, finish_plain = mshift_cell(kind.far[0]), mshift_plain_cell(kind.far[0])
    zoned, gathered, stored = zoneout_step(kind.zoneout), gather_units(EACH), sixteen_out(kind)
    of_x, of_state = unit_constants(U)
    lane_numbers, mapped = lane_constants(), map_code()
    looked, state_of_step, summed = found_extremes(), state_numbers(), sum_splits(EACH, KS, RED_SPLIT, RED_GATE)
    requantized, requantized_few = map_state(NT), map_directly(NT)
    FEW = VALID * STRIDE // 4 <= 2 * NT  # fewer words than a table of all codes is worth

    def finish(plain, wide, narrow, wz, wr, wg, z, r, g, old, tables_at, far, m):
        if plain:
            units = (
                int32(wide[0]), int32(wide[1]), int32(wide[2]), int32(wide[3]), narrow[0], narrow[1],
            )  # fmt: skip
            return finish_plain(units, units, wz, wr, wg, z, r, g, old, tables_at, far, m)
        return finish_wide(wide, narrow, wz, wr, wg, z, r, g, old, tables_at, far, m)

    finish = cuda.jit(device=True, forceinline=True)(finish)

    def kernel(
        T, N, H, reverse, continued, h_symmetric, shift, shift_bias, zoneout_k, zp_z, zp_r, zp_g, qmin, qmax, zp_first,
        may_be_plain, limit_Rh, limit_rRh, limit_gh, low, high, s_h,
        wx, h0, out, fragments, sums, tables, far, mask, ahead, reals, weight_reals, posts_at, failed,
    ):  # fmt: skip
        base = gpu.shared_base(cuda.shared.array(0, np.int8))
        tid = int32(cuda.threadIdx.x)
        lane, warp = int32(tid & 31), int32(tid >> 5)
        tile, split = int32(warp % TILES), int32(warp // TILES)  # of a warp that multiplies
        rank = gpu.cluster_rank()
        row0 = int32(int32(int32(cuda.blockIdx.x) // CL) * VALID)
        unit0 = int32(rank * U)
        report = cuda.blockIdx.x == 0
        half = int32(int32(1) << int32(shift - 1)) if shift > 0 else int32(0)
        half_bias = int32(int32(1) << int32(shift_bias - 1)) if shift_bias > 0 else int32(0)
        for i in range(tid, 768, NT):
            gpu.store_shared(int32(base + TABLES + 4 * i), gpu.load_once(tables + int64(4 * i)))
        for i in range(tid, PER_UNIT * U, NT):
            c, u = i // U, i % U
            gpu.store_shared(int32(base + SUMS + 4 * i), gpu.load_once(sums + (int64(c) * WIDTH + unit0 + u) * int64(4)))
        for i in range(tid, 2 * HALF_STATE // 4, NT):
            gpu.store_shared(int32(base + STATE + 4 * i), int32(0))
        for i in range(tid, 48, NT):
            gpu.store_shared(int32(base + MEET + 4 * i), int32(0))
        for i in range(tid, 24, NT):
            gpu.store_shared(int32(base + NUMBERS + 4 * i), int32(0))
        cuda.syncthreads()
        greatest, least = int32(0), int32(0)  # code + 128 and 127 - code of what this thread has seen of the state
        for i in range(tid, VALID * H, NT):
            r, u = i // H, i % H
            if row0 + r < N:
                code = gpu.load_once_byte(h0 + int64(row0 + r) * H + u)
                gpu.store_shared_byte(int32(base + STATE + r * STRIDE + u), code)
                greatest = max(greatest, int32(code + 128))
                least = max(least, int32(127 - code))
                if u // U == rank:
                    gpu.store_byte(out + int64(row0 + r) * H + u, code)
        worker = warp if ALL_MULTIPLY or warp < WARPS else int32(0)
        first = (int64(rank) * WARPS + worker) * (6 * CHUNKS)
        weights = load(fragments + first * 512, lane)
        for f in range(SPILL if ALL_MULTIPLY or warp < WARPS else 0):
            a, b, c, e = gpu.load_once4(fragments + (first + HELD + f) * 512 + 16 * lane)
            gpu.store_shared4(int32(base + SPILLED + (warp * SPILL + f) * 512 + 16 * lane), a, b, c, e)
        here = int32(min(int32(N - row0), int32(VALID)))  # rows of this cluster that exist
        sent = int32(here * int32(WIDTH))
        if not MANY:
            sent = int32(sent + 4 * CL)
        if tid == 0:
            gpu.barrier_init(base, int32(1))
            gpu.barrier_init(int32(base + 8), int32(1))
            gpu.barrier_expect(base, sent)
            gpu.barrier_expect(int32(base + 8), sent)
        cuda.syncthreads()
        gpu.cluster_barrier()
        mine = int32(int32(tid * EACH) & (U - 1))  # this thread's units in every slot
        u16 = int32(mine & ~15)
        wide_at, narrow_at, tables_at = int32(base + WIDE + 8 * mine), int32(base + NARROW + 4 * mine), int32(base + TABLES)
        codes_at = int32(base + CODES + 4 * (lane & 7))
        spill = int32(base + SPILLED + warp * SPILL * 512 + 16 * lane)
        state_lane = int32((lane >> 2) * STRIDE + split * CHUNKS * 64 + (lane & 3) * 16)
        red_lane = int32(split * RED_SPLIT + 2 * (lane & 3) * RED_ROW + (tile * 16 + (lane >> 2)) * 4)
        stride_t = int64(N) * int64(3 * WIDTH * 4)  # bytes of Wx per time step
        mine_wx = wx + int64(unit0) * int64(4) + int64(row0) * int64(3 * WIDTH * 4)
        stride_out = int64(N) * int64(H)
        mine_out = out + int64(row0) * int64(H) + int64(unit0) + int64(u16)
        zp_h = zp_first  # with low, high and s_h the state's range, alike in all lanes of the first warp
        s_R, s_b = gpu.load_real(weight_reals + int64(SCALE_R)), gpu.load_real(weight_reals + int64(SCALE_B))
        total = int32(cuda.gridDim.x)
        power, bound, most, limit = lane_numbers(lane, shift, shift_bias, limit_Rh, limit_rRh, limit_gh)
        place_of_lane = int32(base + PLACES[7])
        for k in range(7):
            if lane == k:
                place_of_lane = int32(base + PLACES[k])
        column = int64(COLUMNS[4])
        for k in range(4):
            if lane == k:
                column = int64(COLUMNS[k])
        own = int32(tid - (NT - U))  # the unit whose constants this thread finds; where there are more warps, not the first's
        last = int32(T - 1)
        if T > 0:
            fetch(tid, int32(base + WX), mine_wx + int64(last if reverse != 0 else int32(0)) * stride_t, int32(0), here)
        gpu.copy_commit()
        turn = int32(0)  # which buffer of Wx
        # what x alone decides of the next step
        line = ahead
        s_Wx = gpu.load_real(line)
        _bits, zp_x, m_bx, m_z = gpu.load_once4(line)
        m_r, m_g = gpu.load_once2(line + int64(16))
        index = int32(0)
        going = T > 0
        while going:
            step = index
            now, then = int32(step & 1), int32(int32(step + 1) & 1)
            t = int32(last - step) if reverse != 0 else step
            moved = step > 0 or continued != 0
            # the extremes of the state before this step: the warps' meet, then the blocks'
            if moved:
                greatest, least = gpu.warp_max(greatest), gpu.warp_max(least)
                if lane == 0:
                    gpu.store_shared(int32(base + MEET + 4 * warp), int32(int32(greatest << 8) | least))
                cuda.syncthreads()
                if warp == 0:
                    word = gpu.load_shared(int32(base + MEET + 4 * (lane & 15)))
                    if int32(lane & 15) >= ALL_WARPS:
                        word = int32(0)
                    greatest, least = gpu.warp_max(int32(word >> 8)), gpu.warp_max(int32(word & 255))
                    word = int32(int32(greatest << 8) | least)
                    if MANY:
                        if lane == 0:
                            place = posts_at + int64(now) * HALF_POSTS + int64(4) * int64(cuda.blockIdx.x)
                            gpu.post(place, int32(word | int32(int32(step + 1) << 16)))
                    elif not SOLO and step > 0:
                        if lane < CL:
                            to = gpu.map_shared(int32(base + SHARE + 64 * now + 4 * rank), lane)
                            gpu.send1(to, gpu.map_shared(int32(base + 8 * now), lane), word)
            else:
                cuda.syncthreads()
            # meanwhile what x alone decides
            if own >= 0:
                small = of_x(int32(base + SUMS + 4 * own), int32(base + WIDE + 8 * own), m_bx, half_bias, shift_bias, zp_x)
                if not (small and int64(max(m_z, max(m_r, m_g))) <= int64(1) << int64(shift)):
                    gpu.store_shared(int32(base + AT_WIDER + 4 * now), int32(1))
                if own == 0:
                    gpu.store_shared(int32(base + AT_Z), m_z)
                    gpu.store_shared(int32(base + AT_Z + 4), m_r)
                    gpu.store_shared(int32(base + AT_Z + 8), m_g)
            fine = True
            if MANY and warp == 0 and moved:
                tag = int32(int32(int32(step + 1) << 16) >> 16)
                fine, greatest, least = looked(lane, posts_at + int64(now) * HALF_POSTS, total, tag)
            if not SOLO and step > 0:
                bar = int32(base + 8 * now)
                fine = there(bar, int32(((step - 1) >> 1) & 1)) and fine
                if tid == 0:
                    gpu.barrier_expect(bar, sent)
            if not fine:
                gpu.store_shared(int32(base + AT_BROKEN), int32(1))
            if warp == 0:
                if not MANY and not SOLO and step > 0:
                    word = gpu.load_shared(int32(base + SHARE + 64 * now + 4 * (lane & 15)))
                    if int32(lane & 15) >= CL:
                        word = int32(0)
                    greatest, least = gpu.warp_max(int32(word >> 8)), gpu.warp_max(int32(word & 255))
                old = zp_h
                low, high, s_h, zp_h, s_Rh, s_rRh, multiplier = state_of_step(
                    lane, moved, greatest, least, low, high, s_h, zp_h, s_Wx, s_R, s_b, h_symmetric, power, bound, most
                )
                value = zp_h if lane == 6 else old if lane == 7 else multiplier
                if lane < 8:
                    gpu.store_shared(place_of_lane, value)
                    if lane < 6 and multiplier > limit:
                        gpu.store_shared(int32(base + AT_WIDER + 4 * now), int32(1))
                elif report and lane < 13:
                    real = low if lane == 8 else high if lane == 9 else s_h if lane == 10 else s_Rh if lane == 11 else s_rRh
                    gpu.store_shared_real(int32(base + AT_TOLD + 4 * int32(lane - 8)), real)
            if step < last:
                line = line + int64(AHEAD_ROW)
                s_Wx = gpu.load_real(line)
                _bits, zp_x, m_bx, m_z = gpu.load_once4(line)
                m_r, m_g = gpu.load_once2(line + int64(16))
            cuda.syncthreads()
            if gpu.load_shared(int32(base + AT_BROKEN)) != 0:
                break
            zero = gpu.load_shared(int32(base + AT_ZP))
            if tid == 0:
                gpu.store_shared(int32(base + AT_WIDER + 4 * then), int32(0))
            if own >= 0:
                small = of_state(
                    int32(base + SUMS + 4 * own), int32(base + WIDE + 8 * own), int32(base + NARROW + 4 * own),
                    gpu.load_shared(int32(base + AT_BR)), half_bias, shift_bias, zero,
                )  # fmt: skip
                if not small:
                    gpu.store_shared(int32(base + AT_WIDER + 4 * now), int32(1))
            if report and warp == ALL_WARPS - 1:
                row = reals + int64(REAL_ROW) * int64(step + 1)
                if lane < 5:
                    gpu.store_word(row + int64(column), gpu.load_shared(int32(base + AT_TOLD + 4 * lane)))
                elif lane == 5:
                    gpu.store_word(ahead + int64(AHEAD_ROW) * int64(step) + int64(AT_AHEAD), zero)
            if moved:
                m_h, was = gpu.load_shared(int32(base + AT_MH)), gpu.load_shared(int32(base + AT_OLD))
                place = int32(base + STATE + now * HALF_STATE)
                if FEW:
                    requantized_few(tid, place, int32(here * (STRIDE // 4)), m_h, half, shift, was, zero)
                else:
                    changed, added = int32(0), int64(half) - int64(was) * int64(m_h)
                    for i in range(tid, 256, NT):
                        code = mapped(int32(i - 128), m_h, added, shift, zero)
                        if code != i - 128:
                            changed = int32(1)
                        at = int32(base + CODES + int32(int32(i >> 2) << 5) + int32(i & 3))
                        for copy in range(8):
                            gpu.store_shared_byte(int32(at + 4 * copy), code)
                    if cuda.syncthreads_or(changed) != 0:
                        requantized(tid, place, int32(here * (STRIDE // 16)), codes_at)
            cuda.syncthreads()
            plain = may_be_plain != 0 and gpu.load_shared(int32(base + AT_WIDER + 4 * now)) == 0
            greatest, least = int32(0), int32(0)
            for part in range(P):
                after = int32(turn + 1) if turn < COPIES - 1 else int32(0)
                target = int32(base + WX + int32(after * int32(WX_BYTES)))
                if part + 1 < P:
                    fetch(tid, target, mine_wx + int64(t) * stride_t, int32((part + 1) * CR), here)
                elif step < last:
                    next_t = int32(t - 1) if reverse != 0 else int32(t + 1)
                    fetch(tid, target, mine_wx + int64(next_t) * stride_t, int32(0), here)
                gpu.copy_commit()
                state = int32(base + STATE + now * HALF_STATE + part * CR * STRIDE)
                red = int32(base + RED)
                if ALL_MULTIPLY or warp < WARPS:
                    cuda.syncwarp()  # the matrix instructions need every lane at once
                    multiply(weights, spill, int32(state + state_lane), int32(red + red_lane))
                wait_one()
                cuda.syncthreads()
                place = int32(base + WX + turn * WX_BYTES)
                m_Rh, mz, mr, mg = gpu.load_shared4(int32(base + NUMBERS))
                m_rRh, m_gh, m_one, _zero = gpu.load_shared4(int32(base + NUMBERS + 16))
                m = (
                    m_Rh, half, shift, m_Rh, half, shift, mz, half, shift, mr, half, shift, mg, half, shift,
                    m_rRh, half, shift, m_gh, half, shift, m_one, half, shift, zp_z, zp_r, zp_g, zero, qmin, qmax,
                )  # fmt: skip
                for slot in range(SLOTS):
                    if int32(int32(int32(int32(tid & ~31) + int32(slot * NT)) * EACH) >> LOG_U) >= int32(here - part * CR):
                        break  # rows that do not exist, for the whole warp
                    r = int32(int32(int32(tid + int32(slot * NT)) * EACH) >> LOG_U)
                    local = int32(int32(part * CR) + r)
                    row = int32(row0 + local)
                    at_h = int32(state + r * STRIDE + unit0 + mine)
                    at = int32(red + r * RED_ROW + 4 * mine)
                    at_wx = int32(place + ((r << LOG_U) + mine) * 4)
                    at_mask = mask + (int64(t) * N + row) * int64(H) + unit0 + mine
                    exists = local < here and unit0 + mine < H
                    if EACH == 2:
                        z0, z1, r0, r1, g0, g1 = summed(at)
                        wz0, wz1 = gpu.load_shared2(at_wx)
                        wr0, wr1 = gpu.load_shared2(int32(at_wx + WX_GATE))
                        wg0, wg1 = gpu.load_shared2(int32(at_wx + 2 * WX_GATE))
                        olds = gpu.load_shared_short(at_h)
                        old0, old1 = int32(int32(olds << 24) >> 24), int32(olds >> 8)
                        wide, narrow = wide_of(wide_at, WIDE_STEP), narrow_of(narrow_at, NARROW_STEP)
                        new0 = finish(plain, wide, narrow, wz0, wr0, wg0, z0, r0, g0, old0, tables_at, far, m)
                        wide, narrow = wide_of(int32(wide_at + 8), WIDE_STEP), narrow_of(int32(narrow_at + 4), NARROW_STEP)
                        new1 = finish(plain, wide, narrow, wz1, wr1, wg1, z1, r1, g1, old1, tables_at, far, m)
                        both = exists and unit0 + mine + 1 < H
                        if ZONEOUT == 1 or (ZONEOUT == 2 and exists):
                            new0 = zoned(zoneout_k, at_mask, old0, new0, zero, -128, 127)
                        if ZONEOUT == 1 or (ZONEOUT == 2 and both):
                            new1 = zoned(zoneout_k, at_mask + 1, old1, new1, zero, -128, 127)
                        if both:
                            greatest, least = max(greatest, int32(new1 + 128)), max(least, int32(127 - new1))
                        word = int32(int32(new0 & 255) | int32(int32(new1 & 255) << int32(8)))
                    else:
                        z0, r0, g0 = summed(at)
                        wz0, wr0 = gpu.load_shared(at_wx), gpu.load_shared(int32(at_wx + WX_GATE))
                        wg0 = gpu.load_shared(int32(at_wx + 2 * WX_GATE))
                        old0 = gpu.load_shared_byte(at_h)
                        wide, narrow = wide_of(wide_at, WIDE_STEP), narrow_of(narrow_at, NARROW_STEP)
                        new0 = finish(plain, wide, narrow, wz0, wr0, wg0, z0, r0, g0, old0, tables_at, far, m)
                        if ZONEOUT == 1 or (ZONEOUT == 2 and exists):
                            new0 = zoned(zoneout_k, at_mask, old0, new0, zero, -128, 127)
                        word = int32(new0 & 255)
                    if exists:
                        greatest, least = max(greatest, int32(new0 + 128)), max(least, int32(127 - new0))
                    a, b, c, e = gathered(word, lane)
                    if SOLO:
                        if lane & (LANES - 1) == 0:
                            to = int32(base + STATE + then * HALF_STATE + local * STRIDE + u16)
                            gpu.store_shared4(to, a, b, c, e)
                    elif step < last and local < here:
                        here_at = int32(base + STATE + then * HALF_STATE + local * STRIDE + unit0 + u16)
                        arrival = int32(base + 8 * then)
                        for block in range(lane & (LANES - 1), CL, LANES):
                            to, told = gpu.map_shared(here_at, int32(block)), gpu.map_shared(arrival, int32(block))
                            gpu.send4(to, told, a, b, c, e)
                    if local < here and lane & (LANES - 1) == 0:
                        where = mine_out + int64(int32(t + 1)) * stride_out + int64(int32(local * H))
                        stored(where, int32(unit0 + u16), H, a, b, c, e)
                turn = after
                if P > 1:
                    cuda.syncthreads()  # the partial sums were read; with one pass the next step begins so
            index = int32(index + 1)
            going = index < T
        if gpu.load_shared(int32(base + AT_BROKEN)) != 0:
            gpu.store_word(failed, int32(1))
        wait_all()
        cuda.syncthreads()
        gpu.cluster_barrier()

    return kernel


def signature() -> Any:
    """The Numba types of the kernel's arguments."""
    from numba import types

    return types.void(*[types.int32] * 19, *[types.float32] * 3, *[types.int64] * 13)
