"""The input product of codes of more than 8 bits: two bytes each, four products, exact in int64.  [SPEC L-1]

A code is offset + 256 * a + b with signed bytes a and b; a weight is 256 * c + d with c signed and d unsigned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.cuda.extending import intrinsic

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast.gpu_input import THREADS
from cuda_impl.fast.gpu_intrinsics import I32, I64, VOID, i32, i64, inline, void
from cuda_impl.fast.gpu_layout import COLUMNS, TERMS
from cuda_impl.fast.gpu_tensor import _MMA

int32, int64 = np.int32, np.int64

TILES = 2  # of 8 rows that a warp multiplies at once
ROWS = 16 * TILES
PLANE = ROWS * TERMS
SHARED = 2 * 2 * PLANE
MOST_TERMS = (2**31 - 1) // (128 * (255 + 128))  # that the sum of weight 2^8, of a * d and b * c, has room for in int32


def multiply_limbs_tile() -> Any:
    """An operation: 32 columns times 16 rows, 64 terms more, in three sums of weight 2^16, 2^8 and 1.

    (acc, c, d, rows) -> acc: a tuple of 24 * TILES int32; c and d the lane's global addresses of four fragments; rows the
    lane's shared address, the second plane PLANE bytes behind
    """

    @intrinsic
    def multiply(typing, acc, high, low, rows):
        def generate(context, builder, signature, arguments):
            acc_, high_, low_, rows_ = arguments
            four = ir.LiteralStructType([I32] * 4)
            sums = [builder.extract_value(acc_, i) for i in range(24 * TILES)]

            def fragment(start: Any, f: int) -> list:
                where = builder.add(start, ir.Constant(I64, 512 * f))
                got = inline(builder, four, "ld.global.nc.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,l", [where])
                return [builder.extract_value(got, i) for i in range(4)]

            def add(kind: str, a: list, b: list, at: int) -> None:
                words = [*a, *b, *sums[at : at + 4]]
                got = inline(builder, four, _MMA[0].format(a=kind, b="s8"), _MMA[1], words, pure=True)
                sums[at : at + 4] = [builder.extract_value(got, i) for i in range(4)]

            c, d = ([fragment(start, f) for f in range(4)] for start in (high_, low_))
            for n in range(TILES):
                planes = []
                for which in range(2):
                    where = builder.add(rows_, ir.Constant(I32, 8 * n * TERMS + which * PLANE))
                    got = inline(builder, four, "ld.shared.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,r,~{memory}", [where])
                    planes.append([builder.extract_value(got, i) for i in range(4)])
                for half in range(2):
                    a, b = (x[2 * half : 2 * half + 2] for x in planes)
                    for column in range(2):
                        at, f = 12 * (2 * n + column), 2 * column + half
                        add("s8", c[f], a, at)
                        add("s8", c[f], b, at + 4)
                        add("u8", d[f], a, at + 4)
                        add("u8", d[f], b, at + 8)
            return cgutils.pack_array(builder, sums)

        return acc(acc, i64, i64, i32), generate

    return multiply


def store_limbs_tile() -> Any:
    """An operation: the sums of multiply_limbs_tile as int64 into global memory, as gpu_tensor.store_tile does."""

    @intrinsic
    def store(typing, acc, out, row, rows, column, columns):
        def generate(context, builder, signature, arguments):
            acc_, out_, row_, rows_, column_, columns_ = arguments
            text = "{ .reg .pred p; setp.ne.u32 p, $2, 0; @p st.global.u64 [$0], $1; }"
            for n in range(TILES):
                for c in range(2):
                    for i in range(4):
                        r = builder.add(row_, ir.Constant(I32, 8 * n + i % 2))
                        k = builder.add(column_, ir.Constant(I32, 16 * c + i // 2 * 8))
                        inside = builder.and_(builder.icmp_signed("<", r, rows_), builder.icmp_signed("<", k, columns_))
                        at = builder.add(builder.mul(builder.sext(r, I64), builder.sext(columns_, I64)), builder.sext(k, I64))
                        total = ir.Constant(I64, 0)
                        for which, shift in enumerate((16, 8, 0)):
                            part = builder.sext(builder.extract_value(acc_, 12 * (2 * n + c) + 4 * which + i), I64)
                            total = builder.add(total, builder.shl(part, ir.Constant(I64, shift)))
                        where = builder.add(out_, builder.mul(at, ir.Constant(I64, 8)))
                        inline(builder, VOID, text, "l,l,r,~{memory}", [where, total, builder.zext(inside, I32)])
            return context.get_dummy_value()

        return void(acc, i64, i32, i32, i32, i32), generate

    return store


def product_kernel() -> Any:
    """out int64 [rows, columns] = codes of 16 bits [rows, C], less the offset, times the weights."""
    from numba import cuda

    multiply, store = multiply_limbs_tile(), store_limbs_tile()
    ZERO = (int32(0),) * (24 * TILES)

    def kernel(rows, length, columns, blocks_x, x, high, low, out, offset, unsigned):
        base = gpu.shared_base(cuda.shared.array(0, np.int8))
        tid = int32(cuda.threadIdx.x)
        lane, warp = int32(tid & 31), int32(tid >> 5)
        block = int32(cuda.blockIdx.x)
        row0 = int32(block // blocks_x) * ROWS
        pair = int32(block % blocks_x) * 4 + (warp & 3)
        pieces = (length + TERMS - 1) // TERMS
        mine = int64(pair) * pieces * 2048 + 16 * lane
        from_lane = int32(((warp >> 2) * 8 * TILES + (lane >> 2)) * TERMS + (lane & 3) * 16)
        acc = ZERO
        for piece in range(pieces):
            place = int32(base + (piece & 1) * (2 * PLANE))
            for i in range(tid, PLANE, THREADS):
                r, k = i >> 6, piece * TERMS + (i & 63)
                code = int32(0)
                if row0 + r < rows and k < length:
                    code = gpu.load_once_short(x + (int64(row0 + r) * length + k) * 2)
                    if unsigned != 0:
                        code = int32(code & 65535)
                    code = int32(code - offset)
                less = int32(int32(code << 24) >> 24)
                gpu.store_shared_byte(int32(place + i), int32(int32(code - less) >> 8))
                gpu.store_shared_byte(int32(place + PLANE + i), less)
            cuda.syncthreads()
            acc = multiply(acc, high + mine + int64(piece) * 2048, low + mine + int64(piece) * 2048, int32(place + from_lane))
        row, column = int32(row0 + (warp >> 2) * 8 * TILES + 2 * (lane & 3)), int32(pair * 32 + (lane >> 2))
        store(acc, out, row, int32(rows), column, int32(columns))

    return kernel


def product_signature() -> Any:
    """The Numba types of the kernel's arguments."""
    i, a = types.int32, types.int64
    return types.void(i, i, i, i, a, a, a, a, i, i)


def blocks_across(columns: int) -> int:
    """Blocks beside each other that cover so many columns."""
    return -(-columns // COLUMNS)
