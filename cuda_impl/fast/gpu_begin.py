"""How a block of a cluster begins: constants, tables and the first state into shared memory.  [SPEC GM, GP]"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast.gpu_layout import Kind, Shape, shared_layout
from cuda_impl.fast.gpu_warpgroup import state_place

int32, int64 = np.int32, np.int64

HALVES, HELD_BESIDE = 8, 40  # multipliers of datapath M; fragments of weights that leave room for their halves


def copy_constants(kind: Kind, threads: int, units: int, width: int, places: dict[str, int]) -> Any:
    """constants(tid, base, unit0, wide, narrow, tables): tables and constants of a block's units into shared memory.

    units, width  of the block and of the network;  places  where "tables", "wide" and "narrow" lie from base on
    """
    from numba import cuda

    NT, U, WIDTH, N_WIDE, N_NARROW = threads, units, width, kind.wide_units, kind.narrow_units
    TABLES, WIDE, NARROW = (places[n] for n in ("tables", "wide", "narrow"))
    TABLE_WORDS = kind.table_words

    def constants(tid, base, unit0, wide, narrow, tables):
        for i in range(tid, TABLE_WORDS, NT):
            gpu.store_shared(int32(base + TABLES + 4 * i), gpu.load_once(tables + int64(4 * i)))
        for i in range(tid, N_WIDE * U * 2, NT):
            c, u = i // (2 * U), i % (2 * U)
            where = wide + (int64(c) * WIDTH + unit0) * int64(8) + int64(4 * u)
            gpu.store_shared(int32(base + WIDE + 4 * i), gpu.load_once(where))
        for i in range(tid, N_NARROW * U, NT):
            c, u = i // U, i % U
            gpu.store_shared(int32(base + NARROW + 4 * i), gpu.load_once(narrow + (int64(c) * WIDTH + unit0 + u) * int64(4)))

    return cuda.jit(device=True, forceinline=True)(constants)


def begin_block(shape: Shape, kind: Kind) -> Any:
    """begin(...): what a block does before it loads its weights; gives the numbers as the cells are to have them.

    rank, row0, unit0  of the block in its cluster, its first row and its first unit;  the rest as the kernels have it
    """
    from numba import cuda

    s, lay = shape, shared_layout(shape, kind)
    NT, U, VALID, STATE, RED, WORDS = s.threads, s.units, s.valid, lay["state"], lay["red"], 2 * s.rows * s.stride // 4
    constants = copy_constants(kind, NT, U, s.width, lay)
    OFF = 128 if kind.unsigned else 0
    placed = state_place(s)
    place_halves, kept_numbers = halves_in_registers(kind, s.held)
    halves_of = gpu.load_shared_longs(HALVES)

    def begin(tid, lane, base, rank, row0, unit0, N, H, h0, out, wide, narrow, tables, numbers):
        constants(tid, base, unit0, wide, narrow, tables)
        for i in range(tid, WORDS, NT):
            gpu.store_shared(int32(base + STATE + 4 * i), int32(0))
        if tid < 2:
            place_halves(int32(base + RED + 64 * tid), numbers)
        cuda.syncthreads()
        m = kept_numbers(numbers, halves_of(int32(base + RED + 64 * (lane & 1)), int32(8)))
        for i in range(tid, VALID * H, NT):
            r, u = i // H, i % H
            if row0 + r < N:
                code = gpu.load_once_byte(h0 + int64(row0 + r) * H + u)
                gpu.store_shared_byte(int32(base + STATE + placed(r, u)), int32(code - OFF))
                if u // U == rank:
                    gpu.store_byte(out + int64(row0 + r) * H + u, code)
        return m

    return cuda.jit(device=True, forceinline=True)(begin)


def halves_in_registers(kind: Kind, held: int) -> tuple[Any, Any]:
    """(place, kept): place(address, numbers) puts the halves of datapath M into shared memory, int64 each; kept(numbers,
    halves) are the numbers with those that were read back. Without a plain set, or room for them beside `held` fragments of
    weights, they do nothing.

    A product of 64 bits takes a register on the way, where a number that is the same in all lanes would cost two additions; so
    they are read back from a place that differs from lane to lane.
    """
    from numba import cuda

    if kind.datapath != "mshift" or not kind.plain or held > HELD_BESIDE:

        def place(address, m):
            pass

        def kept(m, h):
            return m
    else:

        def place(address, m):
            gpu.store_shared_long(address, int64(m[1]))
            gpu.store_shared_long(int32(address + 8), int64(m[4]))
            gpu.store_shared_long(int32(address + 16), int64(m[7]))
            gpu.store_shared_long(int32(address + 24), int64(m[10]))
            gpu.store_shared_long(int32(address + 32), int64(m[13]))
            gpu.store_shared_long(int32(address + 40), int64(m[16]))
            gpu.store_shared_long(int32(address + 48), int64(m[19]))
            gpu.store_shared_long(int32(address + 56), int64(m[22]))

        def kept(m, h):
            return (
                m[0], h[0], m[2], m[3], h[1], m[5], m[6], h[2], m[8], m[9], h[3], m[11], m[12], h[4], m[14], m[15], h[5],
                m[17], m[18], h[6], m[20], m[21], h[7], m[23], m[24], m[25], m[26], m[27], m[28], m[29],
            )  # fmt: skip

    return cuda.jit(device=True, forceinline=True)(place), cuda.jit(device=True, forceinline=True)(kept)
