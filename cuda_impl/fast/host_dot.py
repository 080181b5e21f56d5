"""Integer dot products of a few rows with one block of columns, in registers.  [SPEC L-1]

The data are the codes less their format's least code, cut into unsigned bytes (one plane for 8 bits, two for 16); the
weights are signed. Partial sums wrap modulo 2^32, so that a sum is exact wherever its true value is known to fit: the
instructions used here are those that do not saturate (vpdpbusd, vpdpwssd, pmaddwd with one operand in 0...255).

    vnni     u8 x s8, four to a lane (weights up to 8 bits), or s16 x s16, two to a lane
    others   s16 x s16, two to a lane
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import ir

from cuda_impl.fast.host_ir import GATES, I8, I16, I32, I64, LANES, TILE, call, lanes_of, load, splat, store

ROWS = (8, 4, 2, 1)  # how many rows a kernel takes
GROUPS_TOGETHER = 4  # the number of groups of a block is a multiple of this
WORD = 4  # bytes of data per row and group: four codes, or two in 16 bits


def multiply_word(b: Any, isa: str, kind: str, acc: Any, data: Any, weights: Any) -> Any:
    """acc + products of one 32-bit word of data, in every lane, with the lanes of weights; i32 lanes.

    kind  "bytes" (only on vnni) or "pairs"
    """
    wide = lanes_of(I32)
    if isa == "vnni":
        name = "llvm.x86.avx512.vpdpbusd.512" if kind == "bytes" else "llvm.x86.avx512.vpdpwssd.512"
        part = _operand(kind)
        return call(b, name, wide, acc, b.bitcast(splat(b, data), part), b.bitcast(weights, part))
    words = lanes_of(I16, 2 * LANES)
    left, right = b.bitcast(splat(b, data), words), b.bitcast(weights, words)
    if isa == "avx512":
        return b.add(acc, call(b, "llvm.x86.avx512.pmaddw.d.512", wide, left, right))
    if isa == "avx2":
        halves = []
        for first in (0, LANES):
            pick = ir.Constant(lanes_of(I32), list(range(first, first + LANES)))
            sides = [b.shuffle_vector(v, v, pick) for v in (left, right)]
            halves.append(call(b, "llvm.x86.avx2.pmadd.wd", lanes_of(I32, LANES // 2), *sides))
        return b.add(acc, b.shuffle_vector(*halves, ir.Constant(wide, list(range(LANES)))))
    for odd in (0, 1):
        pick = ir.Constant(wide, list(range(odd, 2 * LANES, 2)))
        x, w = (b.sext(b.shuffle_vector(v, v, pick), wide) for v in (left, right))
        acc = b.add(acc, b.mul(x, w))
    return acc


@cache
def _operand(kind: str) -> ir.VectorType:
    """The type in which this LLVM wants the operands of a dot product."""
    from llvmlite.binding import llvm_version_info

    if llvm_version_info[0] < 22:
        return lanes_of(I32)
    return lanes_of(I8, 4 * LANES) if kind == "bytes" else lanes_of(I16, 2 * LANES)


@cache
def make_dot(isa: str, kind: str, rows: int) -> Callable:
    """An intrinsic dot(data, stride, weights, groups, start, out) for this many rows.

    data     address of the first row; rows are `stride` bytes apart
    weights  address of [groups, 3, 16] words
    start    address of int32 [48], what the sums start from
    out      address of int32 [rows, 48]
    """
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    wide = lanes_of(I32)
    together = max(1, GROUPS_TOGETHER // rows)  # independent chains where a row alone would wait for itself

    @intrinsic
    def dot(typingctx, data, stride, weights, groups, start, out):
        def codegen(context, b, signature, arguments):
            at, step, weights_at, count, start_at, out_at = arguments
            sums = [cgutils.alloca_once(b, wide) for _ in range(together * rows * GATES)]
            for i, place in enumerate(sums):
                first = load(b, start_at, wide, 64 * (i % GATES)) if i < rows * GATES else ir.Constant(wide, None)
                b.store(first, place)
            bases = [at]
            for _ in range(rows - 1):
                bases.append(b.add(bases[-1], step))
            with cgutils.for_range(b, b.sdiv(count, ir.Constant(I64, together))) as loop:
                for u in range(together):
                    group = b.add(b.mul(loop.index, ir.Constant(I64, together)), ir.Constant(I64, u))
                    row_at = b.mul(group, ir.Constant(I64, WORD))
                    block = b.add(weights_at, b.mul(group, ir.Constant(I64, 4 * TILE)))
                    lanes = [load(b, block, wide, 64 * gate) for gate in range(GATES)]
                    for row in range(rows):
                        word = load(b, b.add(bases[row], row_at), I32)
                        for gate in range(GATES):
                            place = sums[(u * rows + row) * GATES + gate]
                            b.store(multiply_word(b, isa, kind, b.load(place), word, lanes[gate]), place)
            for row in range(rows):
                for gate in range(GATES):
                    total = b.load(sums[row * GATES + gate])
                    for u in range(1, together):
                        total = b.add(total, b.load(sums[(u * rows + row) * GATES + gate]))
                    store(b, total, out_at, 4 * (row * TILE + gate * LANES))
            return context.get_dummy_value()

        return types.void(*[types.intp] * 6), codegen

    return dot


@cache
def make_gather_planes(wide: bool) -> Callable:
    """An intrinsic join(parts, plane, correction, total, first): total [48] += a plane's sums, shifted left by 8 * plane.

    wide   whether total is int64, else int32 (modulo 2^32); correction, of the same width, is taken off when first != 0
    parts  address of int32 [48]
    """
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    kind = I64 if wide else I32
    size = 8 if wide else 4

    @intrinsic
    def join(typingctx, parts, plane, correction, total, first):
        def codegen(context, b, signature, arguments):
            at, shift, correction_at, total_at, fresh = arguments
            amount = b.mul(shift, ir.Constant(I64, 8))
            amount = splat(b, amount if wide else b.trunc(amount, I32))
            for gate in range(GATES):
                value = load(b, at, lanes_of(I32), 64 * gate)
                value = b.shl(b.sext(value, lanes_of(kind)) if wide else value, amount)
                place = cgutils.alloca_once(b, lanes_of(kind))
                with b.if_else(b.icmp_signed("!=", fresh, ir.Constant(I64, 0))) as (then, otherwise):
                    with then:
                        base = load(b, correction_at, lanes_of(kind), size * LANES * gate)
                        b.store(b.neg(base), place)
                    with otherwise:
                        b.store(load(b, total_at, lanes_of(kind), size * LANES * gate), place)
                store(b, b.add(b.load(place), value), total_at, size * LANES * gate)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5), codegen

    return join
