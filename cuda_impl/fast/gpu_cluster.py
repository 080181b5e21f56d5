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
from cuda_impl.fast.gpu_begin import begin_block
from cuda_impl.fast.gpu_layout import Kind, Shape, shared_layout
from cuda_impl.fast.gpu_units import for_slots, send_codes, send_slots, slots_at_once, unit_codes

int32, int64 = np.int32, np.int64

PATIENCE = 1 << 22  # how often a wait looks at memory; each look lasts up to a microsecond or so
NANOSECONDS = 4_000_000_000  # how long a wait at a barrier lasts, where a look may last as long as it likes


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


def barrier_wait() -> Any:
    """arrived(barrier, parity) -> whether the phase of this parity is complete; waits, but not for ever."""
    from numba import cuda

    def arrived(barrier, parity):
        looks, begun = 0, int64(0)
        while gpu.barrier_done(barrier, parity) == 0:
            looks += 1
            if looks & 63 == 0:
                now = gpu.nanoseconds()
                if looks == 64:
                    begun = now
                elif now - begun > int64(NANOSECONDS):
                    return False
        return True

    return cuda.jit(device=True, forceinline=True)(arrived)


def recurrence(shape: Shape, kind: Kind) -> Any:
    """The kernel as a Python function, to be compiled with `signature(kind)`."""
    from numba import cuda

    s, lay = shape, shared_layout(shape, kind)
    CL, U, NT, P = s.blocks, s.units, s.threads, s.passes
    CR, RB, STRIDE, WIDTH = s.pass_rows, s.rows, s.stride, s.width
    EACH, TILES, HELD, CHUNKS, WARPS = s.each, s.tiles, s.held, s.chunks, s.warps
    SOLO, ALL_MULTIPLY = CL == 1, s.extra == 0
    SPILL = 6 * CHUNKS - HELD
    SLOTS = U * CR // (NT * EACH)
    ONCE = slots_at_once(SLOTS, kind.wide_units > 0)
    RED_ROW, WX_BYTES = s.red_row, s.wx_bytes
    RED_GATE, RED_SPLIT = CR * s.red_row, 3 * CR * s.red_row
    TABLES, WIDE, NARROW, STATE, RED, WX, SPILLED = (
        lay[n] for n in ("tables", "wide", "narrow", "state", "red", "wx", "spill")
    )
    N_WIDE, N_NARROW = kind.wide_units, kind.narrow_units
    HALF_STATE = RB * STRIDE
    COPIES, VALID = s.wx_copies, s.valid
    LOG_U = U.bit_length() - 1
    WIDE_STEP, NARROW_STEP = int32(8 * U), int32(4 * U)
    RESIDENT = not (N_WIDE or (HELD > 30 and kind.datapath == "pot"))
    wide_of, narrow_of = gpu.load_shared_longs(max(1, N_WIDE)), gpu.load_shared_words(max(1, N_NARROW))
    load, fetch = tensor.load_fragments(HELD), tensor.fetch_products(CR, U, NT, WIDTH)
    multiply = tensor.multiply_rows(CHUNKS, s.groups, HELD, STRIDE, RED_ROW, RED_GATE)
    wait_one, wait_all = gpu.copy_wait(1), gpu.copy_wait(0)
    arrived, there = piece_wait(), barrier_wait()
    begin = begin_block(s, kind)
    codes, send = for_slots(ONCE, unit_codes(s, kind)), send_slots(ONCE, send_codes(s, kind))

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
        m = begin(tid, lane, base, rank, row0, unit0, N, H, h0, out, wide, narrow, tables, numbers)
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
                    good = there(bar, int32(((step - 1) >> 1) & 1)) and good
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
                if not RESIDENT:
                    wide0, narrow0 = wide_of(wide_at, WIDE_STEP), narrow_of(narrow_at, NARROW_STEP)
                    if EACH == 2:
                        wide1, narrow1 = wide_of(int32(wide_at + 8), WIDE_STEP), narrow_of(int32(narrow_at + 4), NARROW_STEP)
                part_rows = int32(part * CR)
                given = (
                    tid, mine, unit0, int32(row0 + part_rows), N, H, t, red, place, state, wide0, narrow0, wide1, narrow1,
                    tables_at, far, m, mask, zoneout_k, zero, qmin, qmax,
                )  # fmt: skip
                where = (
                    tid, lane, mine, u16, unit0, part_rows, here, step < last, int32(base + STATE + then * HALF_STATE),
                    int32(base + 8 * then), mine_out + int64(int32(t + 1)) * stride_out, H,
                )  # fmt: skip
                for first in range(0, SLOTS, ONCE):
                    slot = int32(first)
                    if int32(int32(int32(int32(tid & ~31) + int32(slot * NT)) * EACH) >> LOG_U) >= int32(here - part_rows):
                        break  # rows that do not exist, for the whole warp
                    send(slot, codes(slot, given), where)
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
