"""The whole sequence in one launch, the state passed through shared memory of a cluster of blocks.  [SPEC S, L, GM, GP]

A cluster works on `rows` rows of the batch; each of its blocks owns `units` hidden units, whose weights stay in registers.
A step: wait for the state, multiply by tensor cores, finish the units, send the new codes to every block of the cluster.
No block ever waits for another cluster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast import gpu_tensor as tensor
from cuda_impl.fast.gpu_cells import mshift_cell, mshift_plain_cell, pot_cell
from cuda_impl.fast.gpu_layout import Kind, Shape, shared_layout

int32, int64 = np.int32, np.int64

PATIENCE = 1 << 22  # how often a wait looks; each look lasts up to a microsecond or so


def finisher(kind: Kind) -> Any:
    """finish(int64 constants, int32 constants, products, state, tables, numbers) -> the new code of one unit."""
    from numba import cuda

    if kind.datapath == "pot":
        cell = pot_cell(kind.far, kind.wide, kind.even, kind.left, kind.plain)
    else:
        cell = mshift_plain_cell(kind.far[0]) if kind.plain else mshift_cell(kind.far[0])
    if kind.wide_units:
        return cell

    def finish(wide, narrow, Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, h, shared, far, numbers):
        return cell(narrow, narrow, Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, h, shared, far, numbers)

    return cuda.jit(device=True, forceinline=True)(finish)


def zoneout_step(kind: int) -> Any:
    """zoneout(k, mask address, old code, new code, zero point, qmin, qmax) -> code.  [SPEC Z]"""
    from numba import cuda

    if kind == 1:

        def step(k, mask, old, new, zero, qmin, qmax):
            acc = int64(k) * (int64(old) - int64(zero)) + (int64(32768) - int64(k)) * (int64(new) - int64(zero))
            q = ((acc + int64(16384)) >> int64(15)) + int64(zero)
            return int32(min(max(q, int64(qmin)), int64(qmax)))
    elif kind == 2:

        def step(k, mask, old, new, zero, qmin, qmax):
            return old if gpu.load_once_byte(mask) != 0 else new
    else:

        def step(k, mask, old, new, zero, qmin, qmax):
            return new

    return cuda.jit(device=True, forceinline=True)(step)


def piece_wait() -> Any:
    """arrived(address, piece) -> whether more than `piece` pieces of the input product are there; waits, but not for ever."""
    from numba import cuda

    def arrived(address, piece):
        looks = 0
        while gpu.load_acquire(address) <= piece:
            looks += 1
            if looks > PATIENCE:
                return False
        return True

    return cuda.jit(device=True, forceinline=True)(arrived)


def gather_units(each: int) -> Any:
    """gathered(word, lane): the codes of sixteen units of a row, `each` bytes a lane, as four words in each of their lanes."""
    from numba import cuda

    LANES = 16 // each
    HALF = LANES // 8

    def gathered(word, lane):
        if LANES == 16:
            other = gpu.shuffle_xor(word, int32(1))
            word = int32(word | (other << int32(8))) if lane & 1 == 0 else int32(other | (word << int32(8)))
        half = int32(HALF)
        other = gpu.shuffle_xor(word, half)
        a = int32(word | (other << int32(16))) if lane & half == 0 else int32(other | (word << int32(16)))
        other = gpu.shuffle_xor(a, int32(2 * half))
        b = other if lane & (2 * half) == 0 else a
        a = a if lane & (2 * half) == 0 else other
        c = gpu.shuffle_xor(a, int32(4 * half))
        d = gpu.shuffle_xor(b, int32(4 * half))
        if lane & (4 * half) != 0:
            a, b, c, d = c, d, a, b
        return a, b, c, d

    return cuda.jit(device=True, forceinline=True)(gathered)


def sum_splits(each: int, splits: int, red_split: int, red_gate: int) -> Any:
    """summed(at): a unit's products of gates z, r and g from what all warps left at a shared address, or those of two units."""
    from numba import cuda

    KS, RED_SPLIT, RED_GATE = splits, red_split, red_gate

    def one(at):
        z, r, g = int32(0), int32(0), int32(0)
        for k in range(KS):
            z = int32(z + gpu.load_shared(int32(at + k * RED_SPLIT)))
            r = int32(r + gpu.load_shared(int32(at + k * RED_SPLIT + RED_GATE)))
            g = int32(g + gpu.load_shared(int32(at + k * RED_SPLIT + 2 * RED_GATE)))
        return z, r, g

    def two(at):
        z0, z1 = gpu.load_shared2(at)
        r0, r1 = gpu.load_shared2(int32(at + RED_GATE))
        g0, g1 = gpu.load_shared2(int32(at + 2 * RED_GATE))
        for k in range(1, KS):
            a, b = gpu.load_shared2(int32(at + k * RED_SPLIT))
            z0, z1 = int32(z0 + a), int32(z1 + b)
            a, b = gpu.load_shared2(int32(at + k * RED_SPLIT + RED_GATE))
            r0, r1 = int32(r0 + a), int32(r1 + b)
            a, b = gpu.load_shared2(int32(at + k * RED_SPLIT + 2 * RED_GATE))
            g0, g1 = int32(g0 + a), int32(g1 + b)
        return z0, z1, r0, r1, g0, g1

    return cuda.jit(device=True, forceinline=True)(two if each == 2 else one)


def recurrence(shape: Shape, kind: Kind) -> Any:
    """The kernel as a Python function, to be compiled with `signature(kind)`."""
    from numba import cuda

    s, lay = shape, shared_layout(shape, kind)
    CL, U, KS, NT, P = s.blocks, s.units, s.splits, s.threads, s.passes
    CR, RB, STRIDE, WIDTH = s.pass_rows, s.rows, s.stride, s.width
    EACH, TILES, HELD, CHUNKS, WARPS = s.each, s.tiles, s.held, s.chunks, s.warps
    SOLO, ALL_MULTIPLY = CL == 1, s.extra == 0
    DIRECT = SOLO and EACH == 1  # codes go byte by byte where no other block waits for them
    SPILL = 6 * CHUNKS - HELD
    SLOTS = U * CR // (NT * EACH)
    RED_ROW, WX_BYTES = s.red_row, s.wx_bytes
    RED_GATE, RED_SPLIT = CR * s.red_row, 3 * CR * s.red_row
    TABLES, WIDE, NARROW, STATE, RED, WX, SPILLED = (
        lay[n] for n in ("tables", "wide", "narrow", "state", "red", "wx", "spill")
    )
    N_WIDE, N_NARROW = kind.wide_units, kind.narrow_units
    HALF_STATE = RB * STRIDE
    LANES = 16 // EACH  # how many threads finish 16 units
    COPIES, VALID = s.wx_copies, s.valid
    WX_GATE = 4 * CR * U  # bytes of a gate's part of Wx
    LOG_U = U.bit_length() - 1
    OFF = 128 if kind.unsigned else 0
    FLIP = -2139062144 if kind.unsigned else 0  # 0x80808080
    PACKED, ZONEOUT = kind.packed, kind.zoneout
    WIDE_STEP, NARROW_STEP = int32(8 * U), int32(4 * U)
    RESIDENT = not (N_WIDE or (HELD > 30 and kind.datapath == "pot"))
    wide_of, narrow_of = gpu.load_shared_longs(max(1, N_WIDE)), gpu.load_shared_words(max(1, N_NARROW))
    load, fetch = tensor.load_fragments(HELD), tensor.fetch_products(CR, U, NT, WIDTH)
    multiply = tensor.multiply_rows(CHUNKS, s.groups, HELD, STRIDE, RED_ROW, RED_GATE)
    wait_one, wait_all = gpu.copy_wait(1), gpu.copy_wait(0)
    finish, zoned, arrived = finisher(kind), zoneout_step(kind.zoneout), piece_wait()
    gathered, summed = gather_units(EACH), sum_splits(EACH, KS, RED_SPLIT, RED_GATE)

    def kernel(
        T, N, H, reverse, wx, h0, out, fragments, wide, narrow, tables, far, mask, zoneout_k, zero, qmin, qmax, failed,
        ready, log_chunk, numbers,
    ):  # fmt: skip
        base = gpu.shared_base(cuda.shared.array(0, np.int8))
        tid = int32(cuda.threadIdx.x)
        lane, warp = int32(tid & 31), int32(tid >> 5)
        tile, split = int32(warp % TILES), int32(warp // TILES)  # of a warp that multiplies
        rank = gpu.cluster_rank()
        row0 = int32(int32(int32(cuda.blockIdx.x) // CL) * VALID)
        unit0 = int32(rank * U)
        # constants, tables and the first state
        for i in range(tid, 768, NT):
            gpu.store_shared(int32(base + TABLES + 4 * i), gpu.load_once(tables + int64(4 * i)))
        for i in range(tid, N_WIDE * U * 2, NT):
            c, u = i // (2 * U), i % (2 * U)
            where = wide + (int64(c) * WIDTH + unit0) * int64(8) + int64(4 * u)
            gpu.store_shared(int32(base + WIDE + 4 * i), gpu.load_once(where))
        for i in range(tid, N_NARROW * U, NT):
            c, u = i // U, i % U
            gpu.store_shared(int32(base + NARROW + 4 * i), gpu.load_once(narrow + (int64(c) * WIDTH + unit0 + u) * int64(4)))
        for i in range(tid, 2 * HALF_STATE // 4, NT):
            gpu.store_shared(int32(base + STATE + 4 * i), int32(0))
        cuda.syncthreads()
        for i in range(tid, VALID * H, NT):
            r, u = i // H, i % H
            if row0 + r < N:
                code = gpu.load_once_byte(h0 + int64(row0 + r) * H + u)
                gpu.store_shared_byte(int32(base + STATE + r * STRIDE + u), int32(code - OFF))
                if u // U == rank:
                    gpu.store_byte(out + int64(row0 + r) * H + u, code)
        worker = warp if ALL_MULTIPLY or warp < WARPS else int32(0)
        first = (int64(rank) * WARPS + worker) * (6 * CHUNKS)
        weights = load(fragments + first * 512, lane)
        for f in range(SPILL if ALL_MULTIPLY or warp < WARPS else 0):
            a, b, c, d = gpu.load_once4(fragments + (first + HELD + f) * 512 + 16 * lane)
            gpu.store_shared4(int32(base + SPILLED + (warp * SPILL + f) * 512 + 16 * lane), a, b, c, d)
        sent = int32(int32(min(int32(N - row0), int32(VALID))) * int32(WIDTH))
        if tid == 0:
            gpu.barrier_init(base, int32(1))
            gpu.barrier_init(int32(base + 8), int32(1))
            gpu.barrier_expect(base, int32(sent))
            gpu.barrier_expect(int32(base + 8), int32(sent))
        cuda.syncthreads()
        gpu.cluster_barrier()
        mine = int32(int32(tid * EACH) & (U - 1))  # this thread's units in every slot
        u16 = int32(mine & ~15)
        wide_at, narrow_at, tables_at = int32(base + WIDE + 8 * mine), int32(base + NARROW + 4 * mine), int32(base + TABLES)
        wide0, narrow0 = wide_of(wide_at, WIDE_STEP), narrow_of(narrow_at, NARROW_STEP)
        wide1, narrow1 = wide0, narrow0
        if EACH == 2:
            wide1, narrow1 = wide_of(int32(wide_at + 8), WIDE_STEP), narrow_of(int32(narrow_at + 4), NARROW_STEP)
        spill = int32(base + SPILLED + warp * SPILL * 512 + 16 * lane)
        state_lane = int32((lane >> 2) * STRIDE + split * CHUNKS * 64 + (lane & 3) * 16)
        red_lane = int32(split * RED_SPLIT + 2 * (lane & 3) * RED_ROW + (tile * 16 + (lane >> 2)) * 4)
        here = int32(min(int32(N - row0), int32(VALID)))  # rows of this cluster that exist
        stride_t = int64(N) * int64(3 * WIDTH * 4)  # bytes of Wx per time step
        mine_wx = wx + int64(unit0) * int64(4) + int64(row0) * int64(3 * WIDTH * 4)
        stride_out = int64(N) * int64(H)
        mine_out = out + int64(row0) * int64(H) + int64(unit0) + int64(u16)
        good = True
        last = int32(T - 1)
        # the input products of the first pass
        if T > 0:
            if ready != 0:
                good = arrived(ready, int32(0))
            fetch(tid, int32(base + WX), mine_wx + int64(last if reverse != 0 else int32(0)) * stride_t, int32(0), here)
        gpu.copy_commit()
        turn = int32(0)  # which buffer of Wx
        for index in range(T):
            step = int32(index)
            now, then = int32(step & 1), int32(int32(step + 1) & 1)
            t = int32(last - step) if reverse != 0 else step
            for part in range(P):
                after = int32(turn + 1) if turn < COPIES - 1 else int32(0)
                target = int32(base + WX + int32(after * int32(WX_BYTES)))
                if part + 1 < P:
                    fetch(tid, target, mine_wx + int64(t) * stride_t, int32((part + 1) * CR), here)
                elif step < last:
                    if ready != 0 and int32(int32(step + 1) & int32(int32(1 << log_chunk) - 1)) == 0:
                        good = good and arrived(ready, int32(int32(step + 1) >> log_chunk))
                    next_t = int32(t - 1) if reverse != 0 else int32(t + 1)
                    fetch(tid, target, mine_wx + int64(next_t) * stride_t, int32(0), here)
                gpu.copy_commit()
                if SOLO:
                    if part == 0 and step > 0:
                        cuda.syncthreads()  # the state is there
                elif part == 0 and step > 0:
                    bar = int32(base + 8 * now)
                    parity = int32(((step - 1) >> 1) & 1)
                    looks = 0
                    while gpu.barrier_done(bar, parity) == 0:
                        looks += 1
                        if looks > PATIENCE:
                            good = False
                            break
                    if tid == 0:
                        gpu.barrier_expect(bar, int32(sent))
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
                    at = int32(red + r * RED_ROW + 4 * mine)
                    at_wx = int32(place + ((r << LOG_U) + mine) * 4)
                    at_h = int32(state + r * STRIDE + unit0 + mine)
                    if EACH == 2:
                        z0, z1, r0, r1, g0, g1 = summed(at)
                        wz0, wz1 = gpu.load_shared2(at_wx)
                        wr0, wr1 = gpu.load_shared2(int32(at_wx + WX_GATE))
                        wg0, wg1 = gpu.load_shared2(int32(at_wx + 2 * WX_GATE))
                        olds = gpu.load_shared_short(at_h)
                        old0, old1 = int32(int32(int32(olds << 24) >> 24) + OFF), int32(int32(olds >> 8) + OFF)
                        if not RESIDENT:
                            wide0, narrow0 = wide_of(wide_at, WIDE_STEP), narrow_of(narrow_at, NARROW_STEP)
                        new0 = finish(wide0, narrow0, wz0, wr0, wg0, z0, r0, g0, old0, tables_at, far, numbers)
                        if not RESIDENT:
                            wide1 = wide_of(int32(wide_at + 8), WIDE_STEP)
                            narrow1 = narrow_of(int32(narrow_at + 4), NARROW_STEP)
                        new1 = finish(wide1, narrow1, wz1, wr1, wg1, z1, r1, g1, old1, tables_at, far, numbers)
                        if ZONEOUT == 1 or (ZONEOUT == 2 and row < N):
                            at_mask = mask + (int64(t) * N + row) * int64(H) + unit0 + mine
                            if ZONEOUT == 1 or unit0 + mine < H:
                                new0 = zoned(zoneout_k, at_mask, old0, new0, zero, qmin, qmax)
                            if ZONEOUT == 1 or unit0 + mine + 1 < H:
                                new1 = zoned(zoneout_k, at_mask + 1, old1, new1, zero, qmin, qmax)
                        word = int32(int32(int32(new0 - OFF) & 255) | int32(int32(int32(new1 - OFF) & 255) << 8))
                    else:
                        z0, r0, g0 = summed(at)
                        wz0, wr0 = gpu.load_shared(at_wx), gpu.load_shared(int32(at_wx + WX_GATE))
                        wg0 = gpu.load_shared(int32(at_wx + 2 * WX_GATE))
                        old0 = int32(gpu.load_shared_byte(at_h) + OFF)
                        if not RESIDENT:
                            wide0, narrow0 = wide_of(wide_at, WIDE_STEP), narrow_of(narrow_at, NARROW_STEP)
                        new0 = finish(wide0, narrow0, wz0, wr0, wg0, z0, r0, g0, old0, tables_at, far, numbers)
                        if ZONEOUT == 1 or (ZONEOUT == 2 and row < N and unit0 + mine < H):
                            new0 = zoned(
                                zoneout_k, mask + (int64(t) * N + row) * int64(H) + unit0 + mine, old0, new0, zero, qmin, qmax
                            )
                        word = int32(int32(new0 - OFF) & 255)
                    if DIRECT:
                        if local < here:
                            gpu.store_shared_byte(int32(base + STATE + then * HALF_STATE + local * STRIDE + mine), word)
                            if mine < H:
                                at_out = mine_out + int64(int32(t + 1)) * stride_out + int64(int32(local * H) + mine - u16)
                                gpu.store_byte(at_out, new0)
                        continue
                    a, b, c, d = gathered(word, lane)
                    if SOLO:
                        if lane & (LANES - 1) == 0:
                            target = int32(base + STATE + then * HALF_STATE + local * STRIDE + u16)
                            gpu.store_shared4(target, a, b, c, d)
                    elif step < last and local < here:
                        target = int32(base + STATE + then * HALF_STATE + local * STRIDE + unit0 + u16)
                        arrival = int32(base + 8 * then)
                        for block in range(lane & (LANES - 1), CL, LANES):
                            to, told = gpu.map_shared(target, int32(block)), gpu.map_shared(arrival, int32(block))
                            gpu.send4(to, told, a, b, c, d)
                    if local < here and lane & (LANES - 1) == 0:
                        where = mine_out + int64(int32(t + 1)) * stride_out + int64(int32(local * H))
                        a, b, c, d = int32(a ^ FLIP), int32(b ^ FLIP), int32(c ^ FLIP), int32(d ^ FLIP)
                        if PACKED:
                            if unit0 + u16 < H:
                                gpu.store_words4(where, a, b, c, d)
                        else:
                            for j in range(16):
                                if unit0 + u16 + j < H:
                                    four = a if j < 4 else b if j < 8 else c if j < 12 else d
                                    gpu.store_byte(where + j, int32(four >> int32(8 * (j & 3))))
                turn = after
                if P > 1:
                    cuda.syncthreads()  # the partial sums were read; with one pass the wait for the state says so
            if not good:
                break
        if not good:
            gpu.store_word(failed, int32(1))
        wait_all()
        cuda.syncthreads()
        gpu.cluster_barrier()

    return kernel


def signature(kind: Kind, count: int) -> Any:
    """The Numba types of the kernel's arguments; `count` numbers at the end."""
    from numba import types

    number: Any = types.int64 if kind.datapath == "pot" and kind.wide else types.int32
    i, a = types.int32, types.int64
    return types.void(i, i, i, i, a, a, a, a, a, a, a, a, a, i, i, i, i, a, a, i, types.UniTuple(number, count))
