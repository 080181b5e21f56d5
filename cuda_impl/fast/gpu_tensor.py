"""The tensor cores' part of the fast GPU kernels: fragments, products, and what feeds them, as straight-line code.

Each function builds an operation for constants of a kernel; the operation is one long run of instructions without a branch.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.cuda.extending import intrinsic

from cuda_impl.fast.gpu_intrinsics import I32, I64, VOID, i32, i64, inline, void


def fetch_products(rows: int, units: int, threads: int, width: int) -> Any:
    """An operation: start copying one pass' input products into shared memory, all threads of the block together.

    (thread, target, products, first_row, count): target the shared address of int32 [3, rows, units]; products the global
    address of int32 [N, 3, width] at this block's first unit; rows from `count` on are left alone
    """
    words = rows * units // 4
    log = (units // 4).bit_length() - 1
    text = "{ .reg .pred p; setp.ne.u32 p, $2, 0; @p cp.async.cg.shared.global [$0], [$1], 16; }"

    @intrinsic
    def fetch(typing, thread, target, products, first_row, count):
        def generate(context, builder, signature, arguments):
            thread_, target_, products_, first_, count_ = arguments

            def number(v: int, kind: Any = I32) -> Any:
                return ir.Constant(kind, v)

            for k in range(-(-3 * words // threads)):
                word = builder.add(thread_, number(k * threads))
                second = builder.icmp_signed(">=", word, number(words))
                third = builder.icmp_signed(">=", word, number(2 * words))
                gate = builder.add(builder.zext(second, I32), builder.zext(third, I32))
                rest = builder.sub(word, builder.mul(gate, number(words)))
                row = builder.add(builder.lshr(rest, number(log)), first_)
                unit = builder.and_(rest, number(units // 4 - 1))
                inside = builder.icmp_signed("<", row, count_)
                if 3 * words % threads and (k + 1) * threads > 3 * words:
                    inside = builder.and_(inside, builder.icmp_signed("<", word, number(3 * words)))
                line = builder.add(builder.mul(row, number(3)), gate)
                offset = builder.mul(builder.sext(line, I64), number(4 * width, I64))
                where = builder.add(builder.add(products_, offset), builder.zext(builder.mul(unit, number(16)), I64))
                place = builder.add(target_, builder.mul(word, number(16)))
                inline(builder, VOID, text, "r,l,r,~{memory}", [place, where, builder.zext(inside, I32)])
            return context.get_dummy_value()

        return void(i32, i32, i64, i32, i32), generate

    return fetch


def load_fragments(count: int) -> Any:
    """An operation that loads `count` weight fragments of 512 bytes from a global address into registers.

    Each lane keeps 16 bytes of a fragment: (address of the warp's first fragment, lane) -> 4 * count int32.
    """

    @intrinsic
    def load(typing, address, lane):
        def generate(context, builder, signature, arguments):
            first, lane_ = arguments
            offset = builder.add(first, builder.mul(builder.zext(lane_, I64), ir.Constant(I64, 16)))
            words = []
            for f in range(count):
                where = builder.add(offset, ir.Constant(I64, 512 * f))
                four = ir.LiteralStructType([I32] * 4)
                out = inline(builder, four, "ld.global.nc.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,l", [where])
                words += [builder.extract_value(out, i) for i in range(4)]
            return cgutils.pack_array(builder, words)

        return types.UniTuple(i32, 4 * count)(i64, i32), generate

    return load


_MMA = (
    "mma.sync.aligned.m16n8k32.row.col.s32.{a}.{b}.s32 {{$0,$1,$2,$3}}, {{$4,$5,$6,$7}}, {{$8,$9}}, {{$10,$11,$12,$13}};",
    "=r,=r,=r,=r,r,r,r,r,r,r,r,r,r,r",
)


def multiply_rows(chunks: int, tiles: int, held: int, stride: int, red_row: int, red_gate: int) -> Any:
    """An operation: one warp's share of three gates of 16 units, times `tiles` * 8 rows of the state, into shared memory.

    chunks    how many 64-wide pieces of the dot product this warp has; six fragments each: gate z, r, g, two of 32
    held      how many of its fragments are in registers; the rest lie at `spill` in shared memory, 512 bytes each
    stride    bytes between rows of the state
    red_row   bytes between rows of the result, red_gate between gates
    (weights, spill, state, out): weights a tuple of 4 * held int32; state the lane's shared address of row lane / 4,
    byte 16 * (lane % 4); out the lane's shared address of unit lane / 4, row 2 * (lane % 4)
    """

    @intrinsic
    def multiply(typing, weights, spill, state, out):
        def generate(context, builder, signature, arguments):
            held_words, spill_, state_, out_ = arguments
            four = ir.LiteralStructType([I32] * 4)
            zero = ir.Constant(I32, 0)
            acc = [[[zero] * 4 for _ in range(3)] for _ in range(tiles)]
            for p in range(chunks):
                fragments = []
                for f in range(6 * p, 6 * p + 6):
                    if f < held:
                        fragments.append([builder.extract_value(held_words, 4 * f + i) for i in range(4)])
                    else:
                        where = builder.add(spill_, ir.Constant(I32, 512 * (f - held)))
                        got = inline(builder, four, "ld.shared.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,r,~{memory}", [where])
                        fragments.append([builder.extract_value(got, i) for i in range(4)])
                for n in range(tiles):
                    where = builder.add(state_, ir.Constant(I32, 8 * n * stride + 64 * p))
                    got = inline(builder, four, "ld.shared.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,r,~{memory}", [where])
                    b = [builder.extract_value(got, i) for i in range(4)]
                    for half in range(2):
                        for gate in range(3):
                            a = fragments[2 * gate + half]
                            words = [*a, b[2 * half], b[2 * half + 1], *acc[n][gate]]
                            got = inline(builder, four, _MMA[0].format(a="s8", b="s8"), _MMA[1], words, pure=True)
                            acc[n][gate] = [builder.extract_value(got, i) for i in range(4)]
            for n in range(tiles):
                for gate in range(3):
                    for i in range(4):  # 0: unit g, row 2t; 1: unit g, row 2t + 1; 2, 3: unit g + 8
                        offset = gate * red_gate + (8 * n + i % 2) * red_row + (i // 2) * 32
                        where = builder.add(out_, ir.Constant(I32, offset))
                        inline(builder, VOID, "st.shared.u32 [$0], $1;", "r,r,~{memory}", [where, acc[n][gate][i]])
            return context.get_dummy_value()

        return void(weights, i32, i32, i32), generate

    return multiply


def multiply_tile(tiles: int, stride: int) -> Any:
    """An operation: 32 columns times `tiles` * 8 rows, 64 terms more.

    stride  bytes between rows in shared memory
    (acc, weights, rows, flip) -> acc: acc a tuple of 8 * tiles int32; weights the lane's global address of four fragments of
    512 bytes (two tiles of 16 columns, two halves each); rows the lane's shared address; flip is exclusive-ored into the rows
    """

    @intrinsic
    def multiply(typing, acc, weights, rows, flip):
        def generate(context, builder, signature, arguments):
            acc_, weights_, rows_, flip_ = arguments
            four = ir.LiteralStructType([I32] * 4)
            sums = [builder.extract_value(acc_, i) for i in range(8 * tiles)]
            fragments = []
            for f in range(4):
                where = builder.add(weights_, ir.Constant(I64, 512 * f))
                got = inline(builder, four, "ld.global.nc.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,l", [where])
                fragments.append([builder.extract_value(got, i) for i in range(4)])
            for n in range(tiles):
                where = builder.add(rows_, ir.Constant(I32, 8 * n * stride))
                got = inline(builder, four, "ld.shared.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,r,~{memory}", [where])
                b = [builder.xor(builder.extract_value(got, i), flip_) for i in range(4)]
                for half in range(2):
                    for column in range(2):
                        at = 4 * (2 * n + column)
                        words = [*fragments[2 * column + half], b[2 * half], b[2 * half + 1], *sums[at : at + 4]]
                        got = inline(builder, four, _MMA[0].format(a="s8", b="s8"), _MMA[1], words, pure=True)
                        sums[at : at + 4] = [builder.extract_value(got, i) for i in range(4)]
            return cgutils.pack_array(builder, sums)

        return acc(acc, i64, i32, i32), generate

    return multiply


def store_tile(tiles: int) -> Any:
    """An operation: the sums of multiply_tile into rows of int32 in global memory.

    (acc, out, row, rows, column, columns): out the address of element (0, 0); row 2 * (lane % 4) of the first tile and column
    lane / 4 of the first sixteen; nothing is stored outside rows and columns
    """

    @intrinsic
    def store(typing, acc, out, row, rows, column, columns):
        def generate(context, builder, signature, arguments):
            acc_, out_, row_, rows_, column_, columns_ = arguments
            text = "{ .reg .pred p; setp.ne.u32 p, $2, 0; @p st.global.u32 [$0], $1; }"
            for n in range(tiles):
                for c in range(2):
                    for i in range(4):
                        r = builder.add(row_, ir.Constant(I32, 8 * n + i % 2))
                        k = builder.add(column_, ir.Constant(I32, 16 * c + i // 2 * 8))
                        inside = builder.and_(builder.icmp_signed("<", r, rows_), builder.icmp_signed("<", k, columns_))
                        at = builder.add(builder.mul(builder.sext(r, I64), builder.sext(columns_, I64)), builder.sext(k, I64))
                        where = builder.add(out_, builder.mul(at, ir.Constant(I64, 4)))
                        value = builder.extract_value(acc_, 4 * (2 * n + c) + i)
                        inline(builder, VOID, text, "l,r,r,~{memory}", [where, value, builder.zext(inside, I32)])
            return context.get_dummy_value()

        return void(acc, i64, i32, i32, i32, i32), generate

    return store


def multiply_limbs(chunks: int, tiles: int, stride: int, plane: int, red_row: int, red_gate: int) -> Any:
    """multiply_rows for operands of 16 bits: weights 256 * c + d (d unsigned), states 256 * a + b, all exact in int64.

    plane  bytes from a to b in shared memory
    (weights, state, out): weights a tuple of 48 * chunks int32, the fragments of c and then those of d; out the lane's
    shared address of int64 results
    """

    @intrinsic
    def multiply(typing, weights, state, out):
        def generate(context, builder, signature, arguments):
            weights_, state_, out_ = arguments
            four = ir.LiteralStructType([I32] * 4)
            zero = ir.Constant(I32, 0)

            def words(f: int) -> list:
                return [builder.extract_value(weights_, 4 * f + i) for i in range(4)]

            def product(kind: str, a: list, b: list, c: list) -> list:
                got = inline(builder, four, _MMA[0].format(a=kind, b="s8"), _MMA[1], [*a, *b, *c], pure=True)
                return [builder.extract_value(got, i) for i in range(4)]

            def long(value: Any, shift: int) -> Any:
                return builder.shl(builder.sext(value, I64), ir.Constant(I64, shift))

            acc = [[[[zero] * 4 for _ in range(3)] for _ in range(3)] for _ in range(tiles)]
            for p in range(chunks):
                for n in range(tiles):
                    planes = []
                    for which in range(2):
                        where = builder.add(state_, ir.Constant(I32, 8 * n * stride + 64 * p + which * plane))
                        got = inline(builder, four, "ld.shared.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,r,~{memory}", [where])
                        planes.append([builder.extract_value(got, i) for i in range(4)])
                    for half in range(2):
                        a, b = (x[2 * half : 2 * half + 2] for x in planes)
                        for gate in range(3):
                            f = 6 * p + 2 * gate + half
                            c, d, sums = words(f), words(6 * chunks + f), acc[n][gate]
                            sums[0] = product("s8", c, a, sums[0])
                            sums[1] = product("u8", d, a, product("s8", c, b, sums[1]))
                            sums[2] = product("u8", d, b, sums[2])
            for n in range(tiles):
                for gate in range(3):
                    high, middle, low = acc[n][gate]
                    for i in range(4):
                        total = builder.add(builder.add(long(high[i], 16), long(middle[i], 8)), long(low[i], 0))
                        offset = gate * red_gate + (8 * n + i % 2) * red_row + (i // 2) * 64
                        where = builder.add(out_, ir.Constant(I32, offset))
                        inline(builder, VOID, "st.shared.u64 [$0], $1;", "r,l,~{memory}", [where, total])
            return context.get_dummy_value()

        return void(weights, i32, i32), generate

    return multiply
