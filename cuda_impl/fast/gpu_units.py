"""What follows the products of a step in a cluster: sums, cells, zoneout, and the new codes on their way.  [SPEC GM, GP, Z]

A thread finishes a unit, or two neighbours, of several rows. All of its codes are found first and sent afterwards, so that the
chains of instructions of different rows overlap; nothing is stored in between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.cuda.extending import intrinsic

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast.gpu_cells import mshift_cell, mshift_plain_cell, pot_cell
from cuda_impl.fast.gpu_layout import Kind, Shape
from cuda_impl.fast.gpu_real import real_cell
from cuda_impl.fast.gpu_warpgroup import state_place, store_shared_short

int32, int64 = np.int32, np.int64

AT_ONCE = 2  # slots whose codes are found together


def slots_at_once(slots: int, wide: bool) -> int:
    """How many of so many slots go together: a divisor; one where the arithmetic has 64 bits and fills the registers."""
    return 1 if wide else max(n for n in range(1, AT_ONCE + 1) if slots % n == 0)


def finisher(kind: Kind) -> Any:
    """finish(int64 constants, int32 constants, products, state, tables, numbers) -> the new code of one unit."""
    from numba import cuda

    if kind.datapath == "pot":
        numbers = kind.far, kind.wide, kind.even, kind.left, kind.plain, kind.still
        cell = real_cell(kind.still) if kind.real else pot_cell(*numbers)
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


def unit_codes(shape: Shape, kind: Kind) -> Any:
    """codes(slot, ...): the code of this thread's unit of a slot less the offset, or of both its units, as the low bytes.

    first_row         the pass' first row in the batch
    red, place        shared addresses of the products and of the input products;  state  of the pass' first row
    wide0 ... narrow1 constants of the units;  the rest as the kernel has it
    """
    from numba import cuda

    s = shape
    NT, U, EACH, CR = s.threads, s.units, s.each, s.pass_rows
    LOG_U, RED_ROW = U.bit_length() - 1, s.red_row
    RED_GATE, RED_SPLIT = CR * RED_ROW, 3 * CR * RED_ROW
    WX_ROW, WX_GATE = (12 * U, 4 * U) if s.grouped else (4 * U, 4 * CR * U)
    OFF, ZONEOUT = 128 if kind.unsigned else 0, kind.zoneout
    finish, zoned = finisher(kind), zoneout_step(kind.zoneout)
    summed, placed = sum_splits(EACH, s.splits, RED_SPLIT, RED_GATE), state_place(s)

    def one(
        slot, tid, mine, unit0, first_row, N, H, t, red, place, state, wide0, narrow0, wide1, narrow1, tables_at, far, numbers,
        mask, zoneout_k, zero, qmin, qmax,
    ):  # fmt: skip
        r = int32(int32(tid + int32(slot * NT)) >> LOG_U)
        z0, r0, g0 = summed(int32(red + r * RED_ROW + 4 * mine))
        at = int32(place + r * WX_ROW + 4 * mine)
        wz0, wr0, wg0 = gpu.load_shared(at), gpu.load_shared(int32(at + WX_GATE)), gpu.load_shared(int32(at + 2 * WX_GATE))
        old0 = int32(gpu.load_shared_byte(int32(state + placed(r, int32(unit0 + mine)))) + OFF)
        new0 = finish(wide0, narrow0, wz0, wr0, wg0, z0, r0, g0, old0, tables_at, far, numbers)
        row = int32(first_row + r)
        if ZONEOUT == 1 or (ZONEOUT == 2 and row < N and unit0 + mine < H):
            at_mask = mask + (int64(t) * N + row) * int64(H) + unit0 + mine
            new0 = zoned(zoneout_k, at_mask, old0, new0, zero, qmin, qmax)
        return int32(int32(new0 - OFF) & 255)

    def two(
        slot, tid, mine, unit0, first_row, N, H, t, red, place, state, wide0, narrow0, wide1, narrow1, tables_at, far, numbers,
        mask, zoneout_k, zero, qmin, qmax,
    ):  # fmt: skip
        r = int32(int32(int32(tid + int32(slot * NT)) * 2) >> LOG_U)
        z0, z1, r0, r1, g0, g1 = summed(int32(red + r * RED_ROW + 4 * mine))
        at = int32(place + r * WX_ROW + 4 * mine)
        wz0, wz1 = gpu.load_shared2(at)
        wr0, wr1 = gpu.load_shared2(int32(at + WX_GATE))
        wg0, wg1 = gpu.load_shared2(int32(at + 2 * WX_GATE))
        olds = gpu.load_shared_short(int32(state + placed(r, int32(unit0 + mine))))
        old0, old1 = int32(int32(int32(olds << 24) >> 24) + OFF), int32(int32(olds >> 8) + OFF)
        new0 = finish(wide0, narrow0, wz0, wr0, wg0, z0, r0, g0, old0, tables_at, far, numbers)
        new1 = finish(wide1, narrow1, wz1, wr1, wg1, z1, r1, g1, old1, tables_at, far, numbers)
        row = int32(first_row + r)
        if ZONEOUT == 1 or (ZONEOUT == 2 and row < N):
            at_mask = mask + (int64(t) * N + row) * int64(H) + unit0 + mine
            if ZONEOUT == 1 or unit0 + mine < H:
                new0 = zoned(zoneout_k, at_mask, old0, new0, zero, qmin, qmax)
            if ZONEOUT == 1 or unit0 + mine + 1 < H:
                new1 = zoned(zoneout_k, at_mask + 1, old1, new1, zero, qmin, qmax)
        return int32(int32(int32(new0 - OFF) & 255) | int32(int32(int32(new1 - OFF) & 255) << 8))

    return cuda.jit(device=True, forceinline=True)(two if EACH == 2 else one)


def send_codes(shape: Shape, kind: Kind) -> Any:
    """send(slot, word, ...): this thread's codes of a slot to every block of the cluster, and to the output.

    part_rows, here  rows before this pass, and rows of the cluster that exist;  more  whether another step follows
    after, arrival   shared addresses of the next state and of its barrier;  mine_out  output of the first row, step t + 1
    """
    from numba import cuda

    s = shape
    NT, U, EACH, CL, STRIDE = s.threads, s.units, s.each, s.blocks, s.stride
    LOG_U, LANES = U.bit_length() - 1, 16 // EACH  # how many threads finish 16 units
    SOLO = CL == 1
    DIRECT = SOLO and EACH == 1  # codes go byte by byte where no other block waits for them
    OFF = 128 if kind.unsigned else 0
    gathered, spread, stored, placed = gather_units(EACH), spread_words(CL, LANES), sixteen_out(kind), state_place(s)

    def direct(slot, word, tid, lane, mine, u16, unit0, part_rows, here, more, after, arrival, mine_out, H):
        local = int32(part_rows + int32(int32(int32(tid + int32(slot * NT)) * EACH) >> LOG_U))
        if local < here:
            gpu.store_shared_byte(int32(after + local * STRIDE + mine), word)
            if mine < H:
                gpu.store_byte(mine_out + int64(int32(local * H) + mine - u16), int32(word ^ OFF))

    def send(slot, word, tid, lane, mine, u16, unit0, part_rows, here, more, after, arrival, mine_out, H):
        local = int32(part_rows + int32(int32(int32(tid + int32(slot * NT)) * EACH) >> LOG_U))
        a, b, c, d = gathered(word, lane)
        target = int32(after + placed(local, int32(unit0 + u16)))
        if SOLO:
            if lane & (LANES - 1) == 0:
                gpu.store_shared4(target, a, b, c, d)
        else:
            spread(target, arrival, int32(lane & (LANES - 1)), int32(CL) if more and local < here else int32(0), a, b, c, d)
        if local < here and lane & (LANES - 1) == 0:
            stored(mine_out + int64(int32(local * H)), int32(unit0 + u16), H, a, b, c, d)

    return cuda.jit(device=True, forceinline=True)(direct if DIRECT else send)


def sixteen_out(kind: Kind) -> Any:
    """stored(where, unit, H, a, b, c, d): the codes of sixteen units from `unit` on, those that exist, to a global address."""
    from numba import cuda

    PACKED = kind.packed
    FLIP = -2139062144 if kind.unsigned else 0  # 0x80808080

    def stored(where, unit, H, a, b, c, d):
        a, b, c, d = int32(a ^ FLIP), int32(b ^ FLIP), int32(c ^ FLIP), int32(d ^ FLIP)
        if PACKED:
            if unit < H:
                gpu.store_words4(where, a, b, c, d)
        else:
            for j in range(16):
                if unit + j < H:
                    four = a if j < 4 else b if j < 8 else c if j < 12 else d
                    gpu.store_byte(where + j, int32(four >> int32(8 * (j & 3))))

    return cuda.jit(device=True, forceinline=True)(stored)


def spread_words(blocks: int, lanes: int) -> Any:
    """An operation: 16 bytes to the blocks of the cluster, in turn by `lanes` threads that have the same ones.

    (target, barrier, lane, count, a, b, c, d): this thread takes blocks lane, lane + lanes, ... below count, which is
    `blocks` or 0; shared addresses as in this block; every block's barrier counts the bytes that it got
    """
    text = (
        "{ .reg .pred p; .reg .b32 to, told; setp.lt.s32 p, $2, $3; mapa.shared::cluster.u32 to, $0, $2; "
        "mapa.shared::cluster.u32 told, $1, $2; "
        "@p st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [to], {$4,$5,$6,$7}, [told]; }"
    )

    @intrinsic
    def spread(typing, target, barrier, lane, count, a, b, c, d):
        def generate(context, builder, signature, arguments):
            target_, barrier_, lane_, count_, *words = arguments
            for first in range(0, blocks, lanes):
                block = builder.add(lane_, ir.Constant(gpu.I32, first))
                gpu.inline(builder, gpu.VOID, text, "r,r,r,r,r,r,r,r,~{memory}", [target_, barrier_, block, count_, *words])
            return context.get_dummy_value()

        return gpu.void(*[gpu.i32] * 8), generate

    return spread


def for_slots(count: int, one: Any) -> Any:
    """all(first, given) -> the words of so many slots from `first`, one(slot, *given) each, without a loop."""
    from numba import cuda

    LAST = int32(count - 1)
    if count == 1:

        def every(first, given):
            return (one(first, *given),)
    else:
        fewer = for_slots(count - 1, one)

        def every(first, given):
            return fewer(first, given) + (one(int32(first + LAST), *given),)  # noqa: RUF005

    return cuda.jit(device=True, forceinline=True)(every)


def send_slots(count: int, one: Any) -> Any:
    """all(first, words, given): one(slot, word, *given) for so many slots from `first`, without a loop."""
    from numba import cuda

    LAST = count - 1
    if count == 1:

        def every(first, words, given):
            one(first, words[0], *given)
    else:
        fewer = send_slots(count - 1, one)

        def every(first, words, given):
            fewer(first, words, given)
            one(int32(first + LAST), words[LAST], *given)

    return cuda.jit(device=True, forceinline=True)(every)


def stage_codes(shape: Shape) -> Any:
    """stage(slot, word, ...): this thread's codes of a slot into this block's part of the next state.

    own  shared address of int8 [4, 8 * row tiles, 16]
    """
    from numba import cuda

    NT, placed = shape.threads, state_place(shape)

    def stage(slot, word, tid, mine, own):
        r = int32(int32(int32(tid + int32(slot * NT)) * 2) >> 6)
        store_shared_short(int32(own + placed(r, mine)), word)

    return cuda.jit(device=True, forceinline=True)(stage)


def put_out(shape: Shape, kind: Kind) -> Any:
    """put(tid, own, here, unit0, out, H): the staged codes to the output, out the address of the first row's first unit."""
    from numba import cuda

    CR, stored = shape.pass_rows, sixteen_out(kind)

    def put(tid, own, here, unit0, out, H):
        column, row = int32(tid // CR), int32(tid % CR)
        u16 = int32(unit0 + 16 * column)
        if column < 4 and row < here and u16 < H:
            a, b, c, d = gpu.load_shared4(int32(own + 16 * tid))
            stored(out + int64(int32(row * H) + 16 * column), u16, H, a, b, c, d)

    return cuda.jit(device=True, forceinline=True)(put)
