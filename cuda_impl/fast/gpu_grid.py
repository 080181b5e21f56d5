"""The whole sequence in one launch where a cluster is too small: the state passed through the second-level cache.  [SPEC S]

A group of blocks works on `rows` rows of the batch; each block owns 16 hidden units, whose weights stay in registers. All
blocks must run at the same time: they wait for each other at every step, but never for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast import gpu_tensor as tensor
from cuda_impl.fast.gpu_begin import copy_constants
from cuda_impl.fast.gpu_cluster import PATIENCE
from cuda_impl.fast.gpu_layout import Kind
from cuda_impl.fast.gpu_units import finisher, zoneout_step

int32, int64 = np.int32, np.int64

UNITS, SPLITS, THREADS = 16, 8, 256


@dataclass(frozen=True)
class GridShape:
    """Constants of the compiled kernel.

    blocks   blocks of a group, sixteen units each
    chunks   pieces of 64 terms of the dot product that each of the eight warps has
    groups   tiles of 8 rows at once, 1 or 2
    limbs    1 for codes of at most 8 bits, 2 for 16
    """

    blocks: int
    chunks: int
    groups: int
    limbs: int

    @property
    def width(self) -> int:
        return UNITS * self.blocks

    @property
    def length(self) -> int:
        return 64 * SPLITS * self.chunks

    @property
    def stride(self) -> int:
        return self.length + 64

    @property
    def pass_rows(self) -> int:
        return 8 * self.groups

    @property
    def state_bytes(self) -> int:
        """One pass' rows in shared memory."""
        return self.limbs * self.pass_rows * self.stride

    @property
    def red_row(self) -> int:
        return 4 * self.limbs * (UNITS + 4)


def grid_layout(shape: GridShape, kind: Kind) -> dict[str, int]:
    """Where everything lies in shared memory, in bytes, and `total`."""
    out, at = {}, 0
    for name, size in (
        ("tables", 3072),
        ("wide", kind.wide_units * UNITS * 8),
        ("narrow", kind.narrow_units * UNITS * 4),
        ("state", 2 * shape.state_bytes),
        ("red", SPLITS * 3 * shape.pass_rows * shape.red_row),
    ):
        out[name] = at
        at += (size + 15) // 16 * 16
    out["total"] = at
    return out


def recurrence(shape: GridShape, kind: Kind) -> Any:
    """The kernel for static ranges as a Python function, to be compiled with `signature(kind, count)`."""
    from numba import cuda

    lay = grid_layout(shape, kind)
    BLOCKS, CR, STRIDE, WIDTH, LENGTH, LIMBS = (
        shape.blocks, shape.pass_rows, shape.stride, shape.width, shape.length, shape.limbs,
    )  # fmt: skip
    TABLES, WIDE, NARROW, STATE, RED = (lay[n] for n in ("tables", "wide", "narrow", "state", "red"))
    N_WIDE, N_NARROW, STATE_BYTES = kind.wide_units, kind.narrow_units, shape.state_bytes
    PLANE, RED_ROW = CR * STRIDE, shape.red_row
    RED_GATE, RED_SPLIT = CR * RED_ROW, 3 * CR * RED_ROW
    OFF = (32768 + 128 if kind.unsigned else 128) if LIMBS == 2 else 128 if kind.unsigned else 0
    DOUBLE = LIMBS == 2
    ZONEOUT = kind.zoneout
    NONE, WX_BYTES = (int64(0), 8) if DOUBLE else (int32(0), 4)
    product = gpu.load_once_long if DOUBLE else gpu.load_once
    load, constants = tensor.load_fragments(6 * shape.chunks * LIMBS), copy_constants(kind, THREADS, UNITS, WIDTH, lay)
    if DOUBLE:
        multiply_two = tensor.multiply_limbs(shape.chunks, shape.groups, STRIDE, PLANE, RED_ROW, RED_GATE)
    else:
        multiply_one = tensor.multiply_rows(shape.chunks, shape.groups, 6 * shape.chunks, STRIDE, RED_ROW, RED_GATE)
    wait_one, wait_all = gpu.copy_wait(1), gpu.copy_wait(0)
    wide_of, narrow_of = gpu.load_shared_longs(max(1, N_WIDE)), gpu.load_shared_words(max(1, N_NARROW))
    WIDE_STEP, NARROW_STEP = int32(8 * UNITS), int32(4 * UNITS)
    finish, zoned, fetch = finisher(kind), zoneout_step(kind.zoneout), fetch_state(LIMBS, CR, STRIDE, LENGTH)

    def kernel(
        T, N, H, reverse, rows, wx, h0, state, out, fragments, wide, narrow, tables, far, mask, zoneout_k, zero, qmin, qmax,
        failed, counters, numbers,
    ):  # fmt: skip
        base = gpu.shared_base(cuda.shared.array(0, np.int8))
        tid = int32(cuda.threadIdx.x)
        lane, split = int32(tid & 31), int32(tid >> 5)
        group, block = int32(int32(cuda.blockIdx.x) // BLOCKS), int32(int32(cuda.blockIdx.x) % BLOCKS)
        row0, unit0 = int32(group * rows), int32(block * UNITS)
        here = int32(min(int32(N - row0), int32(rows)))
        counter = counters + int64(128) * group
        plane_bytes = int64(N) * int64(LENGTH)
        half_bytes = plane_bytes * int64(LIMBS)
        constants(tid, base, unit0, wide, narrow, tables)
        # this block's part of the first state: codes less the offset, in planes of bytes
        for i in range(tid, here * UNITS, THREADS):
            r, u = i // UNITS, unit0 + i % UNITS
            if u < H:
                at = int64(row0 + r) * H + u
                where = state + int64(row0 + r) * LENGTH + u
                if DOUBLE:
                    code = gpu.load_once_short(h0 + 2 * at)
                    gpu.store_short(out + 2 * at, code)
                    if OFF > 32768:
                        code = int32(code & 65535)
                    low = int32(int32(int32(code - OFF) << 24) >> 24)
                    gpu.store_byte(where, int32(int32(int32(code - OFF) - low) >> 8))
                    gpu.store_byte(where + plane_bytes, low)
                else:
                    code = gpu.load_once_byte(h0 + at)
                    gpu.store_byte(out + at, code)
                    gpu.store_byte(where, int32(code - OFF))
        weights = load(fragments + (int64(block) * SPLITS + split) * int64(6 * shape_chunks * LIMBS * 512), lane)
        unit, r = int32(tid & (UNITS - 1)), int32(tid >> 4)  # what this thread finishes in every pass
        cuda.syncthreads()
        if tid == 0:
            gpu.add_release(counter, int32(1))
        wide0 = wide_of(int32(base + WIDE + 8 * unit), WIDE_STEP)
        narrow0 = narrow_of(int32(base + NARROW + 4 * unit), NARROW_STEP)
        state_lane = int32((lane >> 2) * STRIDE + split * shape_chunks * 64 + (lane & 3) * 16)
        red_lane = int32(base + RED + split * RED_SPLIT + 2 * (lane & 3) * RED_ROW + (lane >> 2) * 4 * LIMBS)
        passes = int32(int32(here + CR - 1) // CR)
        step = int32(0)
        good = True
        while step < T and good:
            t = int32(T - 1 - step) if reverse != 0 else step
            if tid == 0:
                looks = 0
                while gpu.load_acquire(counter) < int32(step + 1) * BLOCKS:
                    looks += 1
                    if looks > PATIENCE:
                        gpu.store_word(failed, int32(1))
                        break
            cuda.syncthreads()
            good = gpu.load_far(failed) == 0
            now = state + int64(step & 1) * half_bytes + int64(row0) * LENGTH
            then = state + int64(int32(step + 1) & 1) * half_bytes + int64(row0) * LENGTH
            fetch(tid, int32(base + STATE), now, plane_bytes, int32(0), here)
            gpu.copy_commit()
            turn = int32(0)
            for part in range(passes):
                first = int32(part * CR)
                local = int32(first + r)
                row = int32(row0 + local)
                mine = r < CR and local < here and unit0 + unit < H
                # the input products are under way while the products with the state are made
                wx_z, wx_r, wx_g = NONE, NONE, NONE
                if mine:
                    line = (int64(t) * int64(N) + int64(row)) * int64(3 * WIDTH) + int64(unit0 + unit)
                    wx_z = product(wx + line * WX_BYTES)
                    wx_r = product(wx + (line + WIDTH) * WX_BYTES)
                    wx_g = product(wx + (line + 2 * WIDTH) * WX_BYTES)
                if first + CR < here:
                    fetch(tid, int32(base + STATE + (turn ^ 1) * STATE_BYTES), now, plane_bytes, int32(first + CR), here)
                gpu.copy_commit()
                wait_one()
                cuda.syncthreads()
                place = int32(base + STATE + turn * STATE_BYTES)
                if DOUBLE:
                    multiply_two(weights, int32(place + state_lane), red_lane)
                else:
                    multiply_one(weights, int32(0), int32(place + state_lane), red_lane)
                cuda.syncthreads()
                if mine:
                    at = int32(base + RED + r * RED_ROW + 4 * LIMBS * unit)
                    if DOUBLE:
                        z, rr, g = int64(0), int64(0), int64(0)
                        for k in range(SPLITS):
                            z += gpu.load_shared_long(int32(at + k * RED_SPLIT))
                            rr += gpu.load_shared_long(int32(at + k * RED_SPLIT + RED_GATE))
                            g += gpu.load_shared_long(int32(at + k * RED_SPLIT + 2 * RED_GATE))
                        old_at = int32(place + r * STRIDE + unit0 + unit)
                        old = int32(gpu.load_shared_byte(old_at) * 256 + gpu.load_shared_byte(int32(old_at + PLANE)) + OFF)
                        new = finish(wide0, narrow0, wx_z, wx_r, wx_g, z, rr, g, old, int32(base + TABLES), far, numbers)
                    else:
                        z0, r0, g0 = int32(0), int32(0), int32(0)
                        for k in range(SPLITS):
                            z0 = int32(z0 + gpu.load_shared(int32(at + k * RED_SPLIT)))
                            r0 = int32(r0 + gpu.load_shared(int32(at + k * RED_SPLIT + RED_GATE)))
                            g0 = int32(g0 + gpu.load_shared(int32(at + k * RED_SPLIT + 2 * RED_GATE)))
                        old = int32(gpu.load_shared_byte(int32(place + r * STRIDE + unit0 + unit)) + OFF)
                        new = finish(wide0, narrow0, wx_z, wx_r, wx_g, z0, r0, g0, old, int32(base + TABLES), far, numbers)
                    if ZONEOUT != 0:
                        at_mask = mask + (int64(t) * N + row) * int64(H) + unit0 + unit
                        new = zoned(zoneout_k, at_mask, old, new, zero, qmin, qmax)
                    at_out = (int64(t + 1) * int64(N) + int64(row)) * int64(H) + int64(unit0 + unit)
                    where = then + int64(local) * int64(LENGTH) + int64(unit0 + unit)
                    code = int32(new - OFF)
                    if DOUBLE:
                        low = int32(int32(code << 24) >> 24)
                        gpu.store_byte(where, int32(int32(code - low) >> 8))
                        gpu.store_byte(where + plane_bytes, low)
                        gpu.store_short(out + 2 * at_out, new)
                    else:
                        gpu.store_byte(where, code)
                        gpu.store_byte(out + at_out, new)
                cuda.syncthreads()
                turn = int32(turn ^ 1)
            wait_all()
            if tid == 0:
                gpu.add_release(counter, int32(1))
            step = int32(step + 1)

    shape_chunks = shape.chunks
    return kernel


def fetch_state(limbs: int, rows: int, stride: int, length: int) -> Any:
    """fetch(thread, target, source, plane bytes, first row, count): start copying rows of the state into shared memory."""
    from numba import cuda

    WORDS, ALL = length // 16, rows * length // 16

    def fetch(tid, target, source, plane_bytes, first, count):
        for plane in range(limbs):
            for i in range(tid, ALL, THREADS):
                r, k = int32(i // WORDS), int32(i % WORDS)
                if first + r < count:
                    where = source + plane_bytes * plane + int64(first + r) * int64(length) + int64(16 * k)
                    gpu.copy_async(int32(target + (plane * rows + r) * stride + 16 * k), where)

    return cuda.jit(device=True, forceinline=True)(fetch)


def signature(kind: Kind, count: int) -> Any:
    """The Numba types of the kernel's arguments; `count` numbers at the end."""
    from numba import types

    number: Any = types.int64 if kind.datapath == "pot" and kind.wide else types.int32
    i, a = types.int32, types.int64
    return types.void(i, i, i, i, i, a, a, a, a, a, a, a, a, a, a, i, i, i, i, a, a, types.UniTuple(number, count))
