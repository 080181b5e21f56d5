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
from cuda_impl import launch
from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast import gpu_tensor as tensor
from cuda_impl.fast.gpu_cells import mshift_cell, shifted_up
from cuda_impl.fast.gpu_cluster import PATIENCE, gather_units, zoneout_step
from cuda_impl.fast.gpu_layout import MOVING_UNIT, Kind, Shape, shared_layout
from cuda_impl.fast.gpu_moving_steps import AHEAD, state_numbers

float32, int32, int64 = np.float32, np.int32, np.int64

POSTS = 128  # blocks whose extremes one warp looks for
# among the numbers in shared memory, behind the thirty of a static set
M_H, ZP_OLD, M_BR_G, BROKEN, NUMBERS = 30, 31, 32, 33, 36


STATIC_BYTES = 160
"""What the kernel takes of the shared memory that the layout counts before it begins: the numbers of the step."""


def dynamic_bytes(shape: Shape, kind: Kind) -> int:
    """The shared memory that a launch asks for."""
    return shared_layout(shape, kind)["total"] - STATIC_BYTES


def unit_constants(units: int) -> Any:
    """What a step adds to the products of a unit: (of_x, of_state), to be called by one thread a unit.  [SPEC GM]

    of_x(mine, wide, M_BX, half, shift, zp_x), of_state(mine, wide, narrow, M_BR_G, half, shift, zp_h): shared addresses of the
    unit's sums, of its int64 and of its int32 constants, in the order of a static set.
    """
    from numba import cuda

    up, STEP, LONG = shifted_up(False), int32(4 * units), int32(8 * units)

    def of_x(mine, wide, multiplier, half, shift, zero):
        for gate in range(3):
            at = int32(mine + gate * STEP)
            added = int64(up(gpu.load_shared(int32(at + 6 * STEP)), multiplier, half, shift))
            if gate < 2:
                added += int64(up(gpu.load_shared(int32(at + 9 * STEP)), multiplier, half, shift))
            gpu.store_shared_long(int32(wide + gate * LONG), added - int64(zero) * int64(gpu.load_shared(at)))

    def of_state(mine, wide, narrow, multiplier, half, shift, zero):
        added = int64(up(gpu.load_shared(int32(mine + 11 * STEP)), multiplier, half, shift))
        sums = int64(zero) * int64(gpu.load_shared(int32(mine + 5 * STEP)))
        gpu.store_shared_long(int32(wide + 3 * LONG), added - sums)
        gpu.store_shared(narrow, int32(-zero * gpu.load_shared(int32(mine + 3 * STEP))))
        gpu.store_shared(int32(narrow + STEP), int32(-zero * gpu.load_shared(int32(mine + 4 * STEP))))

    wrap = cuda.jit(device=True, forceinline=True)
    return wrap(of_x), wrap(of_state)


def map_state(threads: int) -> Any:
    """requantized(tid, first, words, codes): every byte of so many words becomes the entry of its code.  [SPEC D-2]

    The table of 256 bytes lies there eight times, words of four entries side by side, so that few lanes meet in a bank.
    """
    from numba import cuda

    NT, SIGNS = threads, int32(-2139062144)  # 0x80808080: code + 128 in every byte

    def entry(codes, byte):
        return int32(gpu.load_shared_byte(int32(codes + int32(int32(byte >> 2) << 5) + (byte & 3))) & 255)

    of = cuda.jit(device=True, forceinline=True)(entry)

    def requantized(tid, first, words, codes):
        i = int32(tid)
        while i < words:
            at = int32(first + 4 * i)
            word = int32(gpu.load_shared(at) ^ SIGNS)
            a, b = of(codes, int32(word & 255)), of(codes, int32(int32(word >> 8) & 255))
            c, e = of(codes, int32(int32(word >> 16) & 255)), of(codes, int32(int32(word >> 24) & 255))
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
    TABLES, WIDE, NARROW, STATE, RED, WX, SPILLED, SUMS, CODES, MEET = (
        lay[n] for n in ("tables", "wide", "narrow", "state", "red", "wx", "spill", "sums", "codes", "meet")
    )
    HALF_STATE, LANES, PER_UNIT = RB * STRIDE, 16 // EACH, MOVING_UNIT
    COPIES, VALID, PACKED, ZONEOUT = s.wx_copies, s.valid, kind.packed, kind.zoneout
    WX_GATE, LOG_U = 4 * CR * U, U.bit_length() - 1
    WIDE_STEP, NARROW_STEP = int32(8 * U), int32(4 * U)
    # of the place to meet 64 bytes are for the warps of a block, the rest for the blocks of a cluster, by parity
    SHARE = MEET + 64
    REAL_ROW, AHEAD_ROW = 4 * d.REALS, 4 * AHEAD
    H_MIN, H_MAX, SCALE_H, SCALE_RH, SCALE_RRH = (4 * n for n in (d.H_MIN, d.H_MAX, d.SCALE_H, d.SCALE_RH, d.SCALE_RRH))
    SCALE_R, SCALE_B = 4 * d.SCALE_R, 4 * d.SCALE_B
    LAST_NUMBER, AT_MH, AT_OLD, AT_BR, AT_BROKEN = NUMBERS, M_H, ZP_OLD, M_BR_G, BROKEN
    wide_of, narrow_of = gpu.load_shared_longs(4), gpu.load_shared_words(2)
    load, fetch = tensor.load_fragments(HELD), tensor.fetch_products(CR, U, NT, WIDTH)
    multiply = tensor.multiply_rows(CHUNKS, s.groups, HELD, STRIDE, RED_ROW, RED_GATE)
    wait_one, wait_all = gpu.copy_wait(1), gpu.copy_wait(0)
    finish, zoned, gathered = mshift_cell(kind.far[0]), zoneout_step(kind.zoneout), gather_units(EACH)
    of_x, of_state = unit_constants(U)
    requantized, looked, state_of_step = map_state(NT), found_extremes(), state_numbers()
    requantize = launch.namespace("gpu")["requantize"]

    def kernel(
        T, N, H, reverse, continued, h_symmetric, shift, shift_bias, zoneout_k, zp_z, zp_r, zp_g, qmin, qmax, zp_first,
        low, high, s_h, wx, h0, out, fragments, sums, tables, far, mask, ahead, reals, weight_reals, posts_at, failed,
    ):  # fmt: skip
        m = cuda.shared.array(LAST_NUMBER, int32)
        base = int32(int32(gpu.shared_base(cuda.shared.array(0, np.int8)) + int32(15)) & int32(-16))
        tid = int32(cuda.threadIdx.x)
        lane, warp = int32(tid & 31), int32(tid >> 5)
        tile, split = int32(warp % TILES), int32(warp // TILES)  # of a warp that multiplies
        rank = gpu.cluster_rank()
        row0 = int32(int32(int32(cuda.blockIdx.x) // CL) * VALID)
        unit0 = int32(rank * U)
        report = cuda.blockIdx.x == 0
        half = int32(int32(int32(1) << shift) >> 1) if shift > 0 else int32(0)
        half_bias = int32(int32(int32(1) << shift_bias) >> 1) if shift_bias > 0 else int32(0)
        for i in range(tid, 768, NT):
            gpu.store_shared(int32(base + TABLES + 4 * i), gpu.load_once(tables + int64(4 * i)))
        for i in range(tid, PER_UNIT * U, NT):
            c, u = i // U, i % U
            gpu.store_shared(int32(base + SUMS + 4 * i), gpu.load_once(sums + (int64(c) * WIDTH + unit0 + u) * int64(4)))
        for i in range(tid, 2 * HALF_STATE // 4, NT):
            gpu.store_shared(int32(base + STATE + 4 * i), int32(0))
        for i in range(tid, 48, NT):
            gpu.store_shared(int32(base + MEET + 4 * i), int32(0))
        if tid == 0:
            for i in range(8):
                m[3 * i + 1] = half
                m[3 * i + 2] = shift
            m[24] = zp_z
            m[25] = zp_r
            m[26] = zp_g
            m[28] = qmin
            m[29] = qmax
            m[AT_BROKEN] = 0
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
        last = int32(T - 1)
        if T > 0:
            fetch(tid, int32(base + WX), mine_wx + int64(last if reverse != 0 else int32(0)) * stride_t, int32(0), here)
        gpu.copy_commit()
        turn = int32(0)  # which buffer of Wx
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
            line = ahead + int64(AHEAD_ROW) * int64(step)
            s_Wx = gpu.load_real(line)
            if tid < U:
                _bits, zp_x, m_bx, m_z = gpu.load_once4(line)
                m_r, m_g = gpu.load_once2(line + int64(16))
                of_x(int32(base + SUMS + 4 * tid), int32(base + WIDE + 8 * tid), m_bx, half_bias, shift_bias, zp_x)
                if tid == 0:
                    m[6] = m_z
                    m[9] = m_r
                    m[12] = m_g
            fine = True
            if MANY and warp == 0 and moved:
                tag = int32(int32(int32(step + 1) << 16) >> 16)
                fine, greatest, least = looked(lane, posts_at + int64(now) * HALF_POSTS, total, tag)
            if not SOLO and step > 0:
                bar = int32(base + 8 * now)
                parity = int32(((step - 1) >> 1) & 1)
                looks = 0
                while gpu.barrier_done(bar, parity) == 0:
                    looks += 1
                    if looks > PATIENCE:
                        fine = False
                        break
                if tid == 0:
                    gpu.barrier_expect(bar, sent)
            if not fine:
                m[AT_BROKEN] = 1
            if warp == 0:
                if not MANY and not SOLO and step > 0:
                    word = gpu.load_shared(int32(base + SHARE + 64 * now + 4 * (lane & 15)))
                    if int32(lane & 15) >= CL:
                        word = int32(0)
                    greatest, least = gpu.warp_max(int32(word >> 8)), gpu.warp_max(int32(word & 255))
                old = zp_h
                low, high, s_h, zp_h, s_Rh, s_rRh, multiplier = state_of_step(
                    lane, moved, greatest, least, low, high, s_h, zp_h, s_Wx, s_R, s_b, h_symmetric, shift, shift_bias
                )
                if lane == 0:
                    m[0] = multiplier
                    m[3] = multiplier
                elif lane == 1:
                    m[AT_BR] = multiplier
                elif lane == 2:
                    m[15] = multiplier
                elif lane == 3:
                    m[18] = multiplier
                elif lane == 4:
                    m[21] = multiplier
                elif lane == 5:
                    m[AT_MH] = multiplier
                elif lane == 6:
                    m[27] = zp_h
                    m[AT_OLD] = old
                elif lane == 7 and report:
                    row = reals + int64(REAL_ROW) * int64(step + 1)
                    gpu.store_real(row + int64(H_MIN), low)
                    gpu.store_real(row + int64(H_MAX), high)
                    gpu.store_real(row + int64(SCALE_H), s_h)
                    gpu.store_real(row + int64(SCALE_RH), s_Rh)
                    gpu.store_real(row + int64(SCALE_RRH), s_rRh)
                    gpu.store_word(line + int64(24), zp_h)
            cuda.syncthreads()
            if m[AT_BROKEN] != 0:
                break
            if tid < U:
                of_state(
                    int32(base + SUMS + 4 * tid), int32(base + WIDE + 8 * tid), int32(base + NARROW + 4 * tid),
                    m[AT_BR], half_bias, shift_bias, m[27],
                )  # fmt: skip
            if moved:
                changed = int32(0)
                for i in range(tid, 256, NT):
                    code = int64(i) - int64(128)
                    found = requantize(code - int64(m[AT_OLD]), int64(m[AT_MH]), int64(shift), int64(m[27]), -128, 127)
                    if found != code:
                        changed = int32(1)
                    at = int32(base + CODES + int32(int32(i >> 2) << 5) + int32(i & 3))
                    for copy in range(8):
                        gpu.store_shared_byte(int32(at + 4 * copy), int32(found))
                if cuda.syncthreads_or(changed) != 0:
                    requantized(tid, int32(base + STATE + now * HALF_STATE), int32(here * (STRIDE // 4)), codes_at)
            cuda.syncthreads()
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
                for slot in range(SLOTS):
                    if int32(int32(int32(int32(tid & ~31) + int32(slot * NT)) * EACH) >> LOG_U) >= int32(here - part * CR):
                        break  # rows that do not exist, for the whole warp
                    r = int32(int32(int32(tid + int32(slot * NT)) * EACH) >> LOG_U)
                    local = int32(int32(part * CR) + r)
                    row = int32(row0 + local)
                    at_h = int32(state + r * STRIDE + unit0 + mine)
                    word = int32(0)
                    for one in range(EACH):
                        at = int32(red + r * RED_ROW + 4 * int32(mine + one))
                        at_wx = int32(place + ((r << LOG_U) + mine + one) * 4)
                        z0, r0, g0 = int32(0), int32(0), int32(0)
                        for k in range(KS):
                            z0 = int32(z0 + gpu.load_shared(int32(at + k * RED_SPLIT)))
                            r0 = int32(r0 + gpu.load_shared(int32(at + k * RED_SPLIT + RED_GATE)))
                            g0 = int32(g0 + gpu.load_shared(int32(at + k * RED_SPLIT + 2 * RED_GATE)))
                        wz, wr = gpu.load_shared(at_wx), gpu.load_shared(int32(at_wx + WX_GATE))
                        wg = gpu.load_shared(int32(at_wx + 2 * WX_GATE))
                        before = gpu.load_shared_byte(int32(at_h + one))
                        wide = wide_of(int32(wide_at + 8 * one), WIDE_STEP)
                        narrow = narrow_of(int32(narrow_at + 4 * one), NARROW_STEP)
                        new = finish(wide, narrow, wz, wr, wg, z0, r0, g0, before, tables_at, far, m)
                        exists = row < N and unit0 + mine + one < H
                        if ZONEOUT == 1 or (ZONEOUT == 2 and exists):
                            at_mask = mask + (int64(t) * N + row) * int64(H) + unit0 + mine + one
                            new = zoned(zoneout_k, at_mask, before, new, m[27], -128, 127)
                        if exists and local < here:
                            greatest = max(greatest, int32(new + 128))
                            least = max(least, int32(127 - new))
                        word = int32(word | int32(int32(new & 255) << int32(8 * one)))
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
                        if PACKED:
                            if unit0 + u16 < H:
                                gpu.store_words4(where, a, b, c, e)
                        else:
                            for j in range(16):
                                if unit0 + u16 + j < H:
                                    four = a if j < 4 else b if j < 8 else c if j < 12 else e
                                    gpu.store_byte(where + j, int32(four >> int32(8 * (j & 3))))
                turn = after
                if P > 1:
                    cuda.syncthreads()  # the partial sums were read; with one pass the next step begins so
            index = int32(index + 1)
            going = index < T
        if m[AT_BROKEN] != 0:
            gpu.store_word(failed, int32(1))
        wait_all()
        cuda.syncthreads()
        gpu.cluster_barrier()

    return kernel


def signature() -> Any:
    """The Numba types of the kernel's arguments."""
    from numba import types

    return types.void(*[types.int32] * 15, *[types.float32] * 3, *[types.int64] * 13)
