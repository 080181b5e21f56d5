"""The machine operations of the fast GPU kernels, as inline PTX: tensor cores, clusters, shared-memory barriers, caches.
Addresses are plain numbers: int64 for global memory, int32 for shared memory. Nothing here checks a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.cuda.extending import intrinsic

I32, I64, VOID = ir.IntType(32), ir.IntType(64), ir.VoidType()
i32, i64, void = types.int32, types.int64, types.void


def inline(builder: Any, result: Any, text: str, constraints: str, arguments: Any, pure: bool = False) -> Any:
    """One piece of inline PTX; a pure one may be moved, merged and dropped."""
    kinds = [a.type for a in arguments]
    code = ir.InlineAsm(ir.FunctionType(result, kinds), text, constraints, side_effect=not pure)
    return builder.call(code, list(arguments))


def statement(text: str, constraints: str) -> Callable:
    """A code generator for an operation without a result."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        inline(builder, VOID, text, constraints, arguments)
        return context.get_dummy_value()

    return generate


def value_of(text: str, constraints: str, result: Any = I32, pure: bool = False) -> Callable:
    """A code generator for an operation with one result."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return inline(builder, result, text, constraints, arguments, pure)

    return generate


def _words(text: str, constraints: str, count: int) -> Callable:
    """A code generator for an operation with `count` int32 results."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out = inline(builder, ir.LiteralStructType([I32] * count), text, constraints, arguments)
        return cgutils.pack_array(builder, [builder.extract_value(out, i) for i in range(count)])

    return generate


@intrinsic
def shared_base(typing, array):
    """The shared-memory address of an array in shared memory."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        text = "{ .reg .u64 t; cvta.to.shared.u64 t, $1; cvt.u32.u64 $0, t; }"
        return inline(builder, I32, text, "=r,l", [builder.ptrtoint(data, I64)], pure=True)

    return i32(array), generate


@intrinsic
def load_shared(typing, address):
    """int32 at a shared address."""
    return i32(i32), value_of("ld.shared.u32 $0, [$1];", "=r,r,~{memory}")


@intrinsic
def load_shared2(typing, address):
    """Two int32 at a shared address, 8-byte aligned."""
    return types.UniTuple(i32, 2)(i32), _words("ld.shared.v2.u32 {$0,$1}, [$2];", "=r,=r,r,~{memory}", 2)


@intrinsic
def load_shared4(typing, address):
    """Four int32 at a shared address, 16-byte aligned."""
    return types.UniTuple(i32, 4)(i32), _words("ld.shared.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,r,~{memory}", 4)


def load_shared_words(count: int) -> Any:
    """An operation: `count` int32 from shared memory, (address of the first, bytes from one to the next) -> a tuple."""
    return _strided(count, I32, i32, "ld.shared.u32 $0, [$1];", "=r,r,~{memory}")


def load_shared_longs(count: int) -> Any:
    """An operation: `count` int64 from shared memory, (address of the first, bytes from one to the next) -> a tuple."""
    return _strided(count, I64, i64, "ld.shared.u64 $0, [$1];", "=l,r,~{memory}")


def _strided(count: int, number: Any, kind: Any, text: str, constraints: str) -> Any:
    @intrinsic
    def load(typing, address, step):
        def generate(context, builder, signature, arguments):
            first, step_ = arguments
            places = [builder.add(first, builder.mul(step_, ir.Constant(I32, i))) for i in range(count)]
            return cgutils.pack_array(builder, [inline(builder, number, text, constraints, [at]) for at in places])

        return types.UniTuple(kind, count)(i32, i32), generate

    return load


@intrinsic
def load_shared_byte(typing, address):
    """A signed byte at a shared address, as int32."""
    return i32(i32), value_of("ld.shared.s8 $0, [$1];", "=r,r,~{memory}")


@intrinsic
def load_shared_short(typing, address):
    """A signed 16-bit number at a shared address, as int32."""
    return i32(i32), value_of("ld.shared.s16 $0, [$1];", "=r,r,~{memory}")


@intrinsic
def load_shared_long(typing, address):
    """int64 at a shared address."""
    return i64(i32), value_of("ld.shared.u64 $0, [$1];", "=l,r,~{memory}", I64)


@intrinsic
def store_shared(typing, address, value):
    """int32 to a shared address."""
    return void(i32, i32), statement("st.shared.u32 [$0], $1;", "r,r,~{memory}")


@intrinsic
def store_shared_real(typing, address, value):
    """float32 to a shared address."""
    return void(i32, types.float32), statement("st.shared.f32 [$0], $1;", "r,f,~{memory}")


@intrinsic
def store_shared_long(typing, address, value):
    """int64 to a shared address."""
    return void(i32, i64), statement("st.shared.u64 [$0], $1;", "r,l,~{memory}")


@intrinsic
def store_shared_byte(typing, address, value):
    """The low byte of value to a shared address."""
    return void(i32, i32), statement("st.shared.u8 [$0], $1;", "r,r,~{memory}")


@intrinsic
def load_once(typing, address):
    """int32 at a global address that nobody writes meanwhile."""
    return i32(i64), value_of("ld.global.nc.u32 $0, [$1];", "=r,l")


@intrinsic
def load_once2(typing, address):
    """Two int32 at a global address, 8-byte aligned, that nobody writes meanwhile; past the first-level cache."""
    text = "ld.global.nc.L1::no_allocate.v2.u32 {$0,$1}, [$2];"
    return types.UniTuple(i32, 2)(i64), _words(text, "=r,=r,l", 2)


@intrinsic
def load_once4(typing, address):
    """Four int32 at a global address, 16-byte aligned, that nobody writes meanwhile."""
    return types.UniTuple(i32, 4)(i64), _words("ld.global.nc.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,l", 4)


@intrinsic
def load_once_byte(typing, address):
    """A signed byte at a global address that nobody writes meanwhile, as int32."""
    return i32(i64), value_of("ld.global.nc.s8 $0, [$1];", "=r,l")


@intrinsic
def load_once_long(typing, address):
    """int64 at a global address that nobody writes meanwhile."""
    return i64(i64), value_of("ld.global.nc.u64 $0, [$1];", "=l,l", I64)


@intrinsic
def load_real(typing, address):
    """float32 at a global address."""
    return types.float32(i64), value_of("ld.global.f32 $0, [$1];", "=f,l,~{memory}", ir.FloatType())


@intrinsic
def load_real4(typing, address):
    """Four float32 at a global address, 16-byte aligned."""

    def generate(context, builder, signature, arguments):
        four = ir.LiteralStructType([ir.FloatType()] * 4)
        out = inline(builder, four, "ld.global.v4.f32 {$0,$1,$2,$3}, [$4];", "=f,=f,=f,=f,l,~{memory}", arguments)
        return cgutils.pack_array(builder, [builder.extract_value(out, i) for i in range(4)])

    return types.UniTuple(types.float32, 4)(i64), generate


@intrinsic
def store_real(typing, address, value):
    """float32 to a global address."""
    return void(i64, types.float32), statement("st.global.f32 [$0], $1;", "l,f,~{memory}")


@intrinsic
def store_long(typing, address, value):
    """int64 to a global address."""
    return void(i64, i64), statement("st.global.u64 [$0], $1;", "l,l,~{memory}")


@intrinsic
def load_far(typing, address):
    """int32 at a global address, from the second-level cache."""
    return i32(i64), value_of("ld.global.cg.u32 $0, [$1];", "=r,l,~{memory}")


@intrinsic
def store_byte(typing, address, value):
    """The low byte of value to a global address."""
    return void(i64, i32), statement("st.global.u8 [$0], $1;", "l,r,~{memory}")


@intrinsic
def store_word(typing, address, value):
    """int32 to a global address."""
    return void(i64, i32), statement("st.global.u32 [$0], $1;", "l,r,~{memory}")


@intrinsic
def store_words4(typing, address, a, b, c, d):
    """Four int32 to a global address, 16-byte aligned."""
    return void(i64, i32, i32, i32, i32), statement("st.global.v4.u32 [$0], {$1,$2,$3,$4};", "l,r,r,r,r,~{memory}")


@intrinsic
def store_words2(typing, address, a, b):
    """Two int32 to a global address, 8-byte aligned."""
    return void(i64, i32, i32), statement("st.global.v2.u32 [$0], {$1,$2};", "l,r,r,~{memory}")


@intrinsic
def store_shared4(typing, address, a, b, c, d):
    """Four int32 to a shared address, 16-byte aligned."""
    return void(i32, i32, i32, i32, i32), statement("st.shared.v4.u32 [$0], {$1,$2,$3,$4};", "r,r,r,r,r,~{memory}")


@intrinsic
def copy_async(typing, shared, address):
    """Start copying 16 bytes from global to shared memory, past the first-level cache."""
    return void(i32, i64), statement("cp.async.cg.shared.global [$0], [$1], 16;", "r,l,~{memory}")


@intrinsic
def copy_commit(typing):
    """Close a group of asynchronous copies."""
    return void(), statement("cp.async.commit_group;", "~{memory}")


def copy_wait(pending: int) -> Any:
    """An operation that waits until at most `pending` groups of this thread's copies are under way."""

    @intrinsic
    def wait(typing):
        return void(), statement(f"cp.async.wait_group {pending};", "~{memory}")

    return wait


@intrinsic
def multiply_add(typing, a, b, c):
    """The exact a * b + c of int32 a and b and int64 c."""
    return i64(i32, i32, i64), value_of("mad.wide.s32 $0, $1, $2, $3;", "=l,r,r,l", I64, pure=True)


@intrinsic
def shift_down(typing, value, shift):
    """The low 32 bits of int64 value >> shift, 0 <= shift <= 31."""
    return i32(i64, i32), value_of("{ .reg .s64 t; shr.s64 t, $1, $2; cvt.u32.u64 $0, t; }", "=r,l,r", pure=True)


@intrinsic
def half_of(typing, shift):
    """2^(shift - 1) for shifts of 1...31, 0 for 0."""
    return i32(i32), value_of("shf.l.wrap.b32 $0, 0x80000000, 0, $1;", "=r,r", pure=True)


@intrinsic
def shuffle_xor(typing, value, mask):
    """value of the lane whose number differs in the bits of mask."""
    return i32(i32, i32), value_of("shfl.sync.bfly.b32 $0, $1, $2, 0x1f, 0xffffffff;", "=r,r,r")


@intrinsic
def warp_max(typing, value):
    """The greatest int32 that any lane of the warp has."""
    return i32(i32), value_of("redux.sync.max.s32 $0, $1, 0xffffffff;", "=r,r")


@intrinsic
def cluster_rank(typing):
    """The number of this block in its cluster."""
    return i32(), value_of("mov.u32 $0, %cluster_ctarank;", "=r", pure=True)


@intrinsic
def cluster_barrier(typing):
    """Wait for every thread of the cluster; their writes are seen."""
    return void(), statement("barrier.cluster.arrive.release; barrier.cluster.wait.acquire;", "~{memory}")


@intrinsic
def map_shared(typing, address, rank):
    """The cluster-wide address of a shared address of another block of the cluster."""
    return i32(i32, i32), value_of("mapa.shared::cluster.u32 $0, $1, $2;", "=r,r,r", pure=True)


@intrinsic
def barrier_init(typing, address, count):
    """Make the 8 bytes at a shared address a barrier of `count` arrivals, seen by the cluster."""
    text = "mbarrier.init.shared::cta.b64 [$0], $1; fence.mbarrier_init.release.cluster;"
    return void(i32, i32), statement(text, "r,r,~{memory}")


@intrinsic
def barrier_expect(typing, address, count):
    """Arrive, and expect `count` bytes in the barrier's present phase."""
    text = "{ .reg .b64 t; mbarrier.arrive.expect_tx.shared::cta.b64 t, [$0], $1; }"
    return void(i32, i32), statement(text, "r,r,~{memory}")


@intrinsic
def barrier_done(typing, address, parity):
    """Whether the phase of this parity is complete; waits a moment for it.  What was sent before is seen."""
    text = "{ .reg .pred p; mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [$1], $2; selp.u32 $0, 1, 0, p; }"
    return i32(i32, i32), value_of(text, "=r,r,r,~{memory}")


@intrinsic
def nanoseconds(typing):
    """The device's clock."""
    return i64(), value_of("mov.u64 $0, %globaltimer;", "=l", I64)


@intrinsic
def send4(typing, address, barrier, a, b, c, d):
    """Sixteen bytes to shared memory of a block of the cluster; its barrier counts them when they are there."""
    text = "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [$0], {$2,$3,$4,$5}, [$1];"
    return void(i32, i32, i32, i32, i32, i32), statement(text, "r,r,r,r,r,r,~{memory}")


@intrinsic
def send1(typing, address, barrier, value):
    """An int32 to shared memory of a block of the cluster; its barrier counts the four bytes when they are there."""
    text = "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [$0], $2, [$1];"
    return void(i32, i32, i32), statement(text, "r,r,r,~{memory}")


@intrinsic
def post(typing, address, value):
    """int32 to a global address, for other blocks to find; it says nothing of what was written before."""
    return void(i64, i32), statement("st.relaxed.gpu.global.u32 [$0], $1;", "l,r,~{memory}")


@intrinsic
def look4(typing, address):
    """Four int32 at a global address, 16-byte aligned, as other blocks posted them."""
    text = "ld.relaxed.gpu.global.v4.u32 {$0,$1,$2,$3}, [$4];"
    return types.UniTuple(i32, 4)(i64), _words(text, "=r,=r,=r,=r,l,~{memory}", 4)


@intrinsic
def load_acquire(typing, address):
    """int32 at a global address; what its writer wrote before is seen."""
    return i32(i64), value_of("ld.acquire.gpu.global.u32 $0, [$1];", "=r,l,~{memory}")


@intrinsic
def add_release(typing, address, value):
    """Add to the int32 at a global address after all that this thread has seen written."""
    return void(i64, i32), statement("red.release.gpu.global.add.u32 [$0], $1;", "l,r,~{memory}")


@intrinsic
def maximum_far(typing, address, value):
    """The int32 at a global address becomes its maximum with value."""
    return void(i64, i32), statement("red.relaxed.gpu.global.max.s32 [$0], $1;", "l,r,~{memory}")


@intrinsic
def store_short(typing, address, value):
    """The low 16 bits of value to a global address."""
    return void(i64, i32), statement("{ .reg .b16 t; cvt.u16.u32 t, $1; st.global.u16 [$0], t; }", "l,r,~{memory}")


@intrinsic
def load_once_short(typing, address):
    """A signed 16-bit number at a global address that nobody writes meanwhile, as int32."""
    return i32(i64), value_of("ld.global.nc.s16 $0, [$1];", "=r,l")
