"""gpu_cluster's recurrence for blocks of 64 units, four warps multiplying together.  [SPEC S, L, GM, GP]

The state lies in core matrices, which the tensor cores read by themselves. New codes are laid down in this block's own
shared memory and copied in bulk to the other blocks of the cluster; the input products come in bulk too, two steps ahead,
by a tensor map. Either way a barrier in shared memory counts the bytes that have arrived.

The argument wx is the address of the map of int32 [T * N, blocks, 3, 64]; the others are gpu_cluster's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast import gpu_tensor as tensor
from cuda_impl.fast import gpu_warpgroup as warpgroup
from cuda_impl.fast.gpu_begin import begin_block
from cuda_impl.fast.gpu_cluster import barrier_wait, piece_wait
from cuda_impl.fast.gpu_layout import Kind, Shape, shared_layout
from cuda_impl.fast.gpu_units import (
    for_slots,
    put_out,
    send_slots,
    slots_at_once,
    stage_codes,
    unit_codes,
)

int32, int64 = np.int32, np.int64


def recurrence(shape: Shape, kind: Kind) -> Any:
    """The kernel as a Python function, to be compiled with `signature(kind)`."""
    from numba import cuda

    s, lay = shape, shared_layout(shape, kind)
    CL, U, NT, CR, HELD, CHUNKS, VALID = s.blocks, s.units, s.threads, s.pass_rows, s.held, s.chunks, s.valid
    STRIDE, WIDTH, TILES, WARPS = s.stride, s.width, s.tiles, int32(s.warps)
    SENDS = -(-(CL - 1) // s.warps)
    SPILL, KEPT, SPLIT = 6 * CHUNKS - HELD, warpgroup.FRAGMENT, 4 * CHUNKS * warpgroup.MATRIX * s.groups
    SLOTS = U * CR // (2 * NT)
    ONCE = slots_at_once(SLOTS, kind.wide_units > 0)
    RED_ROW, WX_BYTES, HALF_STATE, OWN = s.red_row, s.wx_bytes, CR * STRIDE, CR * U  # of a state this block's part
    FETCHER = int32(NT - 32)  # the thread that fetches input products
    RED_GATE, RED_SPLIT = CR * s.red_row, 3 * CR * s.red_row
    TABLES, WIDE, NARROW, STATE, RED, WX, SPILLED = (
        lay[n] for n in ("tables", "wide", "narrow", "state", "red", "wx", "spill")
    )
    N_WIDE, N_NARROW, ARRIVING = kind.wide_units, kind.narrow_units, CR * (WIDTH - U)
    WIDE_STEP, NARROW_STEP = int32(8 * U), int32(4 * U)
    RESIDENT = not N_WIDE and (kind.datapath != "pot" or kind.real)
    wide_of, narrow_of = gpu.load_shared_longs(max(1, N_WIDE)), gpu.load_shared_words(max(1, N_NARROW))
    load = tensor.load_fragments(HELD)
    multiply = warpgroup.multiply_group(CHUNKS, s.groups, HELD, RED_ROW, RED_GATE)
    send, arrived, there = warpgroup.send_bulk(OWN), piece_wait(), barrier_wait()
    begin, codes, stage = begin_block(s, kind), for_slots(ONCE, unit_codes(s, kind)), send_slots(ONCE, stage_codes(s))
    put = put_out(s, kind)

    def kernel(
        T, N, H, reverse, wx, h0, out, fragments, wide, narrow, tables, far, mask, zoneout_k, zero, qmin, qmax, failed,
        ready, log_chunk, numbers,
    ):  # fmt: skip
        base = gpu.shared_base(cuda.shared.array(0, np.int8))
        tid = int32(cuda.threadIdx.x)
        lane, warp = int32(tid & 31), warpgroup.uniform(int32(tid >> 5))
        tile, split = int32(warp % TILES), int32(warp // TILES)  # of a warp that multiplies
        rank = gpu.cluster_rank()
        row0 = int32(int32(int32(cuda.blockIdx.x) // CL) * VALID)
        unit0 = int32(rank * U)
        m = begin(tid, lane, base, rank, row0, unit0, N, H, h0, out, wide, narrow, tables, numbers)
        first = (int64(rank) * WARPS + warp) * (6 * CHUNKS)
        weights = load(fragments + first * 512, lane)
        for f in range(SPILL):
            a, b, c, d = gpu.load_once4(fragments + (first + HELD + f) * 512 + 16 * lane)
            warpgroup.keep_fragment(int32(base + SPILLED + (split * SPILL + f) * KEPT), lane, tile, a, b, c, d)
        if tid < 4:  # the barriers of both halves of the state, then of both buffers of input products
            gpu.barrier_init(int32(base + 8 * tid), int32(1))
            if tid < 2:
                gpu.barrier_expect(int32(base + 8 * tid), int32(ARRIVING))
        warpgroup.fence_state()
        cuda.syncthreads()
        gpu.cluster_barrier()
        mine = int32(int32(tid * 2) & (U - 1))  # this thread's units in every slot
        wide_at, narrow_at, tables_at = int32(base + WIDE + 8 * mine), int32(base + NARROW + 4 * mine), int32(base + TABLES)
        wide0, narrow0 = wide_of(wide_at, WIDE_STEP), narrow_of(narrow_at, NARROW_STEP)
        wide1, narrow1 = wide_of(int32(wide_at + 8), WIDE_STEP), narrow_of(int32(narrow_at + 4), NARROW_STEP)
        spill, red = int32(base + SPILLED + split * SPILL * KEPT), int32(base + RED)
        to_red = int32(red + split * RED_SPLIT + 2 * (lane & 3) * RED_ROW + (tile * 16 + (lane >> 2)) * 4)
        here = int32(min(int32(N - row0), int32(VALID)))  # rows of this cluster that exist
        column = int32(3 * unit0)  # of this block's input products
        stride_out = int64(N) * int64(H)
        mine_out = out + int64(row0) * int64(H) + int64(unit0)
        good = True
        last = int32(T - 1)
        if tid == FETCHER:  # the input products of the first two steps
            for first in range(min(T, 2)):
                step = int32(first)
                if ready != 0:
                    good = good and arrived(ready, int32(step >> log_chunk))
                    warpgroup.fence_all()
                gpu.barrier_expect(int32(base + 16 + 8 * step), int32(WX_BYTES))
                row = int32(int32(last - step if reverse != 0 else step) * N + row0)
                warpgroup.fetch_tile(int32(base + WX + step * WX_BYTES), wx, column, row, int32(base + 16 + 8 * step))
        for index in range(T):
            step = int32(index)
            now, then = int32(step & 1), int32(int32(step + 1) & 1)
            t = int32(last - step) if reverse != 0 else step
            if step > 0:
                bar = int32(base + 8 * now)
                good = good and there(bar, int32(((step - 1) >> 1) & 1))
                if tid == 0:
                    gpu.barrier_expect(bar, int32(ARRIVING))
            state, place = int32(base + STATE + now * HALF_STATE), int32(base + WX + now * WX_BYTES)
            cuda.syncwarp()  # the matrix instructions need every lane at once
            multiply(weights, spill, int32(state + split * SPLIT), to_red)
            good = good and there(int32(base + 16 + 8 * now), int32((step >> 1) & 1))
            if cuda.syncthreads_or(int32(0 if good else 1)) != 0:  # the partial sums are there, or all of the block give up
                good = False
                break
            if not RESIDENT:
                wide0, narrow0 = wide_of(wide_at, WIDE_STEP), narrow_of(narrow_at, NARROW_STEP)
                wide1, narrow1 = wide_of(int32(wide_at + 8), WIDE_STEP), narrow_of(int32(narrow_at + 4), NARROW_STEP)
            own = int32(base + STATE + then * HALF_STATE + unit0 * CR)  # this block's part of the next state
            given = (
                tid, mine, unit0, row0, N, H, t, red, place, state, wide0, narrow0, wide1, narrow1, tables_at, far, m, mask,
                zoneout_k, zero, qmin, qmax,
            )  # fmt: skip
            for first in range(0, SLOTS, ONCE):
                stage(int32(first), codes(int32(first), given), (tid, mine, own))
            warpgroup.fence_state()
            cuda.syncthreads()  # all codes are laid down, all sums and input products were read
            if step < last and lane == 0:
                for j in range(SENDS):
                    k = int32(int32(warp + 1) + int32(j) * WARPS)
                    if k < CL:  # each block begins with another one
                        block = int32(k + rank)
                        send(own, own, int32(base + 8 * then), block if block < CL else int32(block - CL))
            put(tid, own, here, unit0, mine_out + int64(int32(t + 1)) * stride_out, H)
            if step + 2 <= last and tid == FETCHER:
                coming = int32(step + 2)
                if ready != 0 and int32(coming & int32(int32(1 << log_chunk) - 1)) == 0:
                    good = good and arrived(ready, int32(coming >> log_chunk))
                    warpgroup.fence_all()
                gpu.barrier_expect(int32(base + 16 + 8 * now), int32(WX_BYTES))
                row = int32(int32(last - coming if reverse != 0 else coming) * N + row0)
                warpgroup.fetch_tile(place, wx, column, row, int32(base + 16 + 8 * now))
        if not good:
            gpu.store_word(failed, int32(1))
        cuda.syncthreads()
        gpu.cluster_barrier()

    return kernel
