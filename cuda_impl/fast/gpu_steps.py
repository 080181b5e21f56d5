"""What follows the two products of a step, for all rows and units: one launch, the products in global memory.  [SPEC GM, GP]

A warp owns 32 or 64 units of a gate's row, whose constants stay in registers, and goes over the rows of its block. What
differs from run to run lies in device memory (`words`), so that a graph of these launches serves any run of its size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils
from numba.cuda.extending import intrinsic

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast.gpu_layout import REAL_TABLE, Kind
from cuda_impl.fast.gpu_units import finisher, zoneout_step

int32, int64 = np.int32, np.int64

THREADS, WARPS = 256, 8
SHARED = 4 * 3 * REAL_TABLE  # the longest tables
WORDS = 8  # int32: the addresses of the first state that the span writes and of its mask, and the blend factor
# positions among the arguments of a step
OFFSET, OLD, NEW, WX = 5, 6, 7, 9
# positions among the arguments of the beginning
H0, OUT, FIRST_OUT, MASK, ZONEOUT_K = 5, 6, 9, 10, 11


def load_words(count: int, wide: bool) -> Any:
    """An operation: `count` int32 (int64 when wide) that nobody writes meanwhile, (address, bytes to the next) -> a tuple."""
    from numba import types

    number, kind = (gpu.I64, types.int64) if wide else (gpu.I32, types.int32)
    text, constraints = ("ld.global.nc.u64 $0, [$1];", "=l,l") if wide else ("ld.global.nc.u32 $0, [$1];", "=r,l")

    @intrinsic
    def load(typing, address, step):
        def generate(context, builder, signature, arguments):
            where, step_ = arguments
            words = []
            for _ in range(count):
                words.append(gpu.inline(builder, number, text, constraints, [where]))
                where = builder.add(where, step_)
            return cgutils.pack_array(builder, words)

        return types.UniTuple(kind, count)(types.int64, types.int64), generate

    return load


def units_each(kind: Kind) -> int:
    """Units of a thread: two where their constants leave room for other blocks in the registers."""
    return 1 if kind.wide_units or (kind.datapath == "pot" and kind.left) else 2


def fetch_products(each: int) -> Any:
    """fetch(Wx address, Rh address, bytes of a gate, state address) -> Wx_z, r, g, Rh_z, r, g, stored code; unit after unit."""
    from numba import cuda

    if each == 2:

        def fetch(at_wx, at_rh, gate, at_state):
            wz0, wz1 = gpu.load_once2(at_wx)
            wr0, wr1 = gpu.load_once2(at_wx + gate)
            wg0, wg1 = gpu.load_once2(at_wx + gate + gate)
            z0, z1 = gpu.load_once2(at_rh)
            r0, r1 = gpu.load_once2(at_rh + gate)
            g0, g1 = gpu.load_once2(at_rh + gate + gate)
            codes = gpu.load_once_short(at_state)
            low = int32(int32(codes << int32(24)) >> int32(24))
            return wz0, wr0, wg0, z0, r0, g0, low, wz1, wr1, wg1, z1, r1, g1, int32(codes >> int32(8))
    else:

        def fetch(at_wx, at_rh, gate, at_state):
            wz, wr, wg = gpu.load_once(at_wx), gpu.load_once(at_wx + gate), gpu.load_once(at_wx + gate + gate)
            z, r, g = gpu.load_once(at_rh), gpu.load_once(at_rh + gate), gpu.load_once(at_rh + gate + gate)
            return wz, wr, wg, z, r, g, gpu.load_once_byte(at_state)

    return cuda.jit(device=True, forceinline=True)(fetch)


def step_kernel(kind: Kind, each: int) -> Any:
    """One step as a Python function, to be compiled with `step_signature`.

    each    units of a thread, 1 or 2
    old, new  addresses of int8 [rows, width], stored codes (less the offset of an unsigned format)
    rh, wx  addresses of int32 [N, 3 * width], gate by gate
    words   address of what differs from run to run;  offset  bytes from its addresses to this step's codes and mask
    """
    from numba import cuda

    N_WIDE, N_NARROW, ZONEOUT, EACH = kind.wide_units, kind.narrow_units, kind.zoneout, each
    OFF, TABLE_WORDS = 128 if kind.unsigned else 0, kind.table_words
    wide_of, narrow_of = load_words(max(1, N_WIDE), True), load_words(max(1, N_NARROW), False)
    fetch, finish, zoned = fetch_products(each), finisher(kind), zoneout_step(kind.zoneout)

    def kernel(
        N, H, width, rows, tiles, offset, old, new, rh, wx, words, wide, narrow, tables, far, zero, qmin, qmax, numbers
    ):  # fmt: skip
        base = gpu.shared_base(cuda.shared.array(0, np.int8))
        tid, block = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        lane, warp = int32(tid & 31), int32(tid >> 5)
        group = int32(block // tiles)
        tile = int32(block - int32(group * tiles))
        unit = int32(int32(tile * int32(32 * EACH)) + int32(lane * int32(EACH)))
        row = int32(int32(group * rows) + warp)
        end = int32(min(int32(int32(group + 1) * rows), int32(N)))
        gate = int64(width) * int64(4)
        line = int64(3) * gate
        at_wx = wx + int64(row) * line + int64(unit) * int64(4)
        at_rh = rh + int64(row) * line + int64(unit) * int64(4)
        at_state = int64(row) * int64(width) + int64(unit)
        at_out = offset + int64(row) * int64(H) + int64(unit)
        for i in range(tid, TABLE_WORDS, THREADS):
            at = int32(4 * int32(i))
            gpu.store_shared(int32(base + at), gpu.load_once(tables + int64(at)))
        at_wide = wide + int64(unit) * int64(8) if N_WIDE > 0 else wide
        at_narrow = narrow + int64(unit) * int64(4) if N_NARROW > 0 else narrow
        wide0, narrow0 = wide_of(at_wide, int64(8) * int64(width)), narrow_of(at_narrow, gate)
        wide1, narrow1 = wide0, narrow0
        if EACH == 2:
            if N_WIDE > 0:
                wide1 = wide_of(at_wide + int64(8), int64(8) * int64(width))
            if N_NARROW > 0:
                narrow1 = narrow_of(at_narrow + int64(4), gate)
        out = gpu.load_once_long(words)
        mask = gpu.load_once_long(words + int64(8))
        zoneout_k = gpu.load_once(words + int64(16))
        pairs = int32(int32(int32(out & 1) | H) & 1) == 0  # so that two codes go out at once
        here = fetch(at_wx, at_rh, gate, old + at_state) if row < end else NONE
        cuda.syncthreads()
        while row < end:
            following = here
            at_wx += int64(WARPS) * line
            at_rh += int64(WARPS) * line
            if int32(row + WARPS) < end:
                following = fetch(at_wx, at_rh, gate, old + at_state + int64(WARPS) * int64(width))
            old0 = int32(here[6] + OFF)
            new0 = finish(wide0, narrow0, here[0], here[1], here[2], here[3], here[4], here[5], old0, base, far, numbers)
            if ZONEOUT == 1 or (ZONEOUT == 2 and unit < H):
                new0 = zoned(zoneout_k, mask + at_out, old0, new0, zero, qmin, qmax)
            if EACH == 2:
                old1 = int32(here[LAST] + OFF)
                new1 = finish(wide1, narrow1, here[A], here[B], here[C], here[D], here[E], here[F], old1, base, far, numbers)
                if ZONEOUT == 1 or (ZONEOUT == 2 and int32(unit + 1) < H):
                    new1 = zoned(zoneout_k, mask + at_out + int64(1), old1, new1, zero, qmin, qmax)
                stored = int32(int32(int32(new0 - OFF) & 255) | int32(int32(int32(new1 - OFF) & 255) << int32(8)))
                gpu.store_short(new + at_state, stored)
                if pairs:
                    if unit < H:
                        code = int32(int32(new0 & 255) | int32(int32(new1 & 255) << int32(8)))
                        gpu.store_short(out + at_out, code)
                else:
                    if unit < H:
                        gpu.store_byte(out + at_out, new0)
                    if int32(unit + 1) < H:
                        gpu.store_byte(out + at_out + int64(1), new1)
            else:
                gpu.store_byte(new + at_state, int32(new0 - OFF))
                if unit < H:
                    gpu.store_byte(out + at_out, new0)
            here = following
            row = int32(row + WARPS)
            at_state += int64(WARPS) * int64(width)
            at_out += int64(WARPS) * int64(H)

    NONE = (int32(0),) * (7 * each)
    A, B, C, D, E, F, LAST = range(7, 14) if each == 2 else (0,) * 7
    return kernel


def step_signature(kind: Kind, count: int) -> Any:
    """The Numba types of a step's arguments; `count` numbers at the end."""
    from numba import types

    number: Any = types.int64 if kind.datapath == "pot" and kind.wide else types.int32
    i, a = types.int32, types.int64
    return types.void(i, i, i, i, i, a, a, a, a, a, a, a, a, a, a, i, i, i, types.UniTuple(number, count))


def begin_kernel() -> Any:
    """What comes before a span: `words`, and before the first one the first state too, one block a row.  [SPEC GM-4, GP-9]

    first  whether this is the first span;  state  address of int8 [rows, width], or 0 where no step follows
    h0     address of codes [N, H], or 0 for `code` everywhere;  out  address of codes [N, H], they go there as they are
    """
    from numba import cuda

    def kernel(H, width, off, code, first, h0, out, state, words, first_out, mask, zoneout_k):
        tid, row = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        if tid == 0 and row == 0:
            gpu.store_words2(words, int32(first_out), int32(first_out >> int64(32)))
            gpu.store_words2(words + int64(8), int32(mask), int32(mask >> int64(32)))
            gpu.store_word(words + int64(16), zoneout_k)
        if first != 0:
            for unit in range(tid, H, THREADS):
                at = int64(row) * int64(H) + int64(unit)
                found = int32(code)
                if h0 != 0:
                    found = gpu.load_once_byte(h0 + at)
                gpu.store_byte(out + at, found)
                if state != 0:
                    gpu.store_byte(state + int64(row) * int64(width) + int64(unit), int32(found - off))

    return kernel


def begin_signature() -> Any:
    """The Numba types of the arguments of the beginning."""
    from numba import types

    i, a = types.int32, types.int64
    return types.void(i, i, i, i, i, a, a, a, a, a, a, i)
