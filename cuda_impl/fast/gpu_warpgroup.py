"""Four warps' tensor cores together, wgmma: weights from registers, the state from shared memory where it lies.  [SPEC L-1]

The hardware reads shared memory by itself, in core matrices of 8 rows by 16 bytes; that is how the state lies where a shape
is `grouped`. Its reads are ordered after other writes by `fence_state` alone.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.cuda.extending import intrinsic

from cuda_impl.fast.gpu_intrinsics import I32, I64, VOID, i32, i64, inline, statement, value_of, void
from cuda_impl.fast.gpu_layout import Shape

MATRIX = 128  # bytes of a core matrix
SWIZZLED = 1 << 62  # of a descriptor: rows of 128 bytes, their pieces of 16 bytes in another order for each of eight
FRAGMENT = 2048  # bytes of the weights of one gate of 64 units and 32 terms, in shared memory
GROUPS = (1, 2, 3, 4, 6)  # tiles of 8 rows that one instruction takes
REGISTERS, OTHERS = 255, 72  # of a thread of eight warps; what it needs beside weights and sums


def _i32(value: int) -> Any:
    return ir.Constant(I32, value)


def held_fragments(groups: int) -> int:
    """How many fragments of four registers find room beside the sums of so many tiles of rows."""
    return (REGISTERS - OTHERS - 12 * groups) // 4


@intrinsic
def fence_state(typing):
    """What this thread has written or seen in shared memory is there for the tensor cores' own reads."""
    return void(), statement("fence.proxy.async.shared::cta;", "~{memory}")


def state_place(shape: Shape) -> Any:
    """place(row, unit): where a code of the state lies, in bytes from the first: in core matrices 16 units of all rows, then
    the next 16, else row by row."""
    from numba import cuda
    from numpy import int32

    stride, column_bytes = shape.stride, 16 * shape.pass_rows
    if shape.grouped:

        def place(row, unit):
            column = int32(int32(unit >> 4) * int32(column_bytes))
            return int32(int32(column + int32(row << 4)) + int32(unit & 15))
    else:

        def place(row, unit):
            return int32(int32(row * int32(stride)) + unit)

    return cuda.jit(device=True, forceinline=True)(place)


@intrinsic
def keep_fragment(typing, spilled, lane, tile, a, b, c, d):
    """A lane's 16 bytes of a fragment of 16 of the units into core matrices at a shared address."""

    def generate(context, builder, signature, arguments):
        spilled_, lane_, tile_, *words = arguments
        first = builder.add(spilled_, builder.add(builder.mul(lane_, _i32(4)), builder.mul(tile_, _i32(2 * MATRIX))))
        for i, word in enumerate(words):  # 0: unit lane / 4; 1: eight units on; 2, 3: sixteen terms on
            where = builder.add(first, _i32(i // 2 * (FRAGMENT // 2) + i % 2 * MATRIX))
            inline(builder, VOID, "st.shared.u32 [$0], $1;", "r,r,~{memory}", [where, word])
        return context.get_dummy_value()

    return void(i32, i32, i32, i32, i32, i32, i32), generate


def _matrices(builder: Any, address: Any, terms: int, rows: int) -> Any:
    """The descriptor of a matrix in shared memory; bytes between core matrices along the terms, and along the rows."""
    start = builder.lshr(builder.and_(address, _i32(0x3FFFF)), _i32(4))
    return builder.or_(builder.zext(start, I64), ir.Constant(I64, (terms >> 4) << 16 | (rows >> 4) << 32))


def _product(groups: int, sums: int, left: str, right: str, more: str) -> str:
    """One instruction: 64 units times 32 terms times 8 * groups rows."""
    count = 4 * groups
    out = ",".join(f"${sums + i}" for i in range(count))
    return f"wgmma.mma_async.sync.aligned.m64n{8 * groups}k32.s32.s8.s8 {{{out}}}, {left}, {right}, {more};"


def multiply_group(chunks: int, groups: int, held: int, red_row: int, red_gate: int) -> Any:
    """An operation: four warps' share of three gates of 64 units, times 8 * groups rows of the state, into shared memory.

    chunks, held, red_row, red_gate  as gpu_tensor.multiply_rows has them, fragments in the order of their terms
    (weights, spill, state, out): weights a tuple of 4 * held int32; spill and state the shared addresses of the other fragments
    and of the warps' first terms; out the lane's shared address of unit lane / 4, row 2 * (lane % 4)
    """
    count = 3 * 4 * groups
    lines = [
        "{ .reg .pred first, more; .reg .b64 a, b; setp.eq.u32 first, 0, 1; setp.eq.u32 more, 0, 0;",
        "wgmma.fence.sync.aligned;",
    ]
    for half in range(2 * chunks):
        lines.append(f"add.s64 b, ${count + 4 * held}, {2 * MATRIX * groups * half >> 4};")
        for gate in range(3):
            f = 6 * (half // 2) + 2 * gate + half % 2
            left = "{" + ",".join(f"${count + 4 * f + i}" for i in range(4)) + "}"
            if f >= held:
                lines.append(f"add.s64 a, ${count + 4 * held + 1}, {FRAGMENT * (f - held) >> 4};")
                left = "a"
            lines.append(_product(groups, 4 * groups * gate, left, "b", "more" if half else "first"))
    lines += ["wgmma.commit_group.sync.aligned;", "wgmma.wait_group.sync.aligned 0; }"]
    constraints = ",".join(["=&r"] * count + ["r"] * (4 * held) + ["l"] * 2 + ["~{memory}"])

    @intrinsic
    def multiply(typing, weights, spill, state, out):
        def generate(context, builder, signature, arguments):
            held_words, spill_, state_, out_ = arguments
            words = [builder.extract_value(held_words, i) for i in range(4 * held)]
            words += [_matrices(builder, state_, MATRIX * groups, MATRIX), _matrices(builder, spill_, FRAGMENT // 2, MATRIX)]
            sums = inline(builder, ir.LiteralStructType([I32] * count), "\n".join(lines), constraints, words)
            for gate in range(3):
                for n in range(groups):
                    for i in range(4):  # 0: unit g, row 2t; 1: unit g, row 2t + 1; 2, 3: unit g + 8
                        offset = gate * red_gate + (8 * n + i % 2) * red_row + (i // 2) * 32
                        value = builder.extract_value(sums, 4 * (groups * gate + n) + i)
                        where = builder.add(out_, _i32(offset))
                        inline(builder, VOID, "st.shared.u32 [$0], $1;", "r,r,~{memory}", [where, value])
            return context.get_dummy_value()

        return void(weights, i32, i32, i32), generate

    return multiply


def multiply_block(terms: int, columns: int) -> Any:
    """An operation: four warps' 64 rows of a block times its columns, 128 terms more.

    (acc, rows, weights) -> acc: acc a tuple of columns / 2 int32, for every 8 columns the lane's row lane / 4, columns
    2 * (lane % 4) and the next, and the same of the row 8 further; rows and weights the shared addresses of the operands,
    1024-byte aligned, whose rows of 128 bytes have their pieces of 16 bytes in the order piece ^ (row % 8)
    """
    count = columns // 2
    lines = ["{ .reg .pred more; .reg .b64 a, b; setp.eq.u32 more, 0, 0;", "wgmma.fence.sync.aligned;"]
    for part in range(terms // 32):
        lines.append(f"add.s64 a, ${2 * count}, {32 * part >> 4}; add.s64 b, ${2 * count + 1}, {32 * part >> 4};")
        lines.append(_product(columns // 8, 0, "a", "b", "more"))
    lines += ["wgmma.commit_group.sync.aligned;", "wgmma.wait_group.sync.aligned 0; }"]
    constraints = ",".join(["=r"] * count + [str(i) for i in range(count)] + ["l"] * 2 + ["~{memory}"])

    @intrinsic
    def multiply(typing, acc, rows, weights):
        def generate(context, builder, signature, arguments):
            acc_, *operands = arguments
            words = [builder.extract_value(acc_, i) for i in range(count)]
            places = (_matrices(builder, operand, 16, 8 * terms) for operand in operands)
            words += [builder.or_(place, ir.Constant(I64, SWIZZLED)) for place in places]
            sums = inline(builder, ir.LiteralStructType([I32] * count), "\n".join(lines), constraints, words)
            return cgutils.pack_array(builder, [builder.extract_value(sums, i) for i in range(count)])

        return acc(acc, i32, i32), generate

    return multiply


def lay_down_sums(columns: int) -> Any:
    """An operation: a warp's sums of multiply_block as 16 rows of int32 in shared memory.

    (acc, place, lane): place the first row; a row's eights of columns are in the order eight ^ (row % 8)
    """

    @intrinsic
    def lay_down(typing, acc, place, lane):
        def generate(context, builder, signature, arguments):
            acc_, place_, lane_ = arguments
            row, pair = builder.lshr(lane_, _i32(2)), builder.and_(lane_, _i32(3))
            first = builder.add(builder.mul(row, _i32(4 * columns)), builder.shl(pair, _i32(3)))
            first, turned = builder.add(place_, first), builder.shl(row, _i32(5))
            for eight in range(columns // 8):
                where = builder.add(first, builder.xor(turned, _i32(32 * eight)))
                for half in range(2):
                    sums = [builder.extract_value(acc_, 4 * eight + 2 * half + i) for i in range(2)]
                    at = builder.add(where, _i32(8 * 4 * columns * half))
                    inline(builder, VOID, "st.shared.v2.u32 [$0], {$1,$2};", "r,r,r,~{memory}", [at, *sums])
            return context.get_dummy_value()

        return void(acc, i32, i32), generate

    return lay_down


@intrinsic
def copy_part(typing, shared, address, count):
    """Start copying `count` bytes of 16 from global to shared memory; the others become 0."""
    return void(i32, i64, i32), statement("cp.async.cg.shared.global [$0], [$1], 16, $2;", "r,l,r,~{memory}")


@intrinsic
def fence_all(typing):
    """What this thread has written or seen anywhere is there for copies in bulk that it starts."""
    return void(), statement("fence.proxy.async;", "~{memory}")


@intrinsic
def store_shared_short(typing, address, value):
    """The low 16 bits of value to a shared address."""
    return void(i32, i32), statement("{ .reg .b16 t; cvt.u16.u32 t, $1; st.shared.u16 [$0], t; }", "r,r,~{memory}")


@intrinsic
def uniform(typing, value):
    """The first lane's value, which the compiler then knows to be the same in all lanes."""
    return i32(i32), value_of("shfl.sync.idx.b32 $0, $1, 0, 0x1f, 0xffffffff;", "=r,r")


def send_bulk(count: int) -> Any:
    """An operation of one thread: `count` bytes of this block's shared memory to a block of the cluster, copied in bulk.

    (source, target, barrier, block): shared addresses as in this block; the other's barrier counts the bytes that it got
    """
    text = (
        "{ .reg .b32 to, told; mapa.shared::cluster.u32 to, $1, $3; mapa.shared::cluster.u32 told, $2, $3; "
        f"cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [to], [$0], {count}, [told]; }}"
    )

    @intrinsic
    def send(typing, source, target, barrier, block):
        return void(i32, i32, i32, i32), statement(text, "r,r,r,r,~{memory}")

    return send


@intrinsic
def fetch_tile(typing, target, tensor, column, row, barrier):
    """Start copying the tile of a tensor map at (row, column) into this block's shared memory; a barrier counts its bytes.

    target  shared address, 128-byte aligned;  tensor  global address of the map;  one thread does it
    """
    kind = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
    return void(i32, i64, i32, i32, i32), statement(f"{kind} [$0], [$1, {{$2, $3}}], [$4];", "r,l,r,r,r,~{memory}")
