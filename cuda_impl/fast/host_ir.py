"""Sixteen lanes at a time: the small vocabulary in which the host's steps are written for LLVM.

A step is a function that emits vector instructions; LLVM turns sixteen lanes into whatever registers the CPU has, so that
everything here holds on any CPU. What a CPU has beyond that (byte dot products, a permute of 128 bytes) is named by ISAS.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir

LANES = 16
GATES = 3
TILE = GATES * LANES  # the columns of one block: z, r and g of sixteen units
ISAS = ("vnni", "avx512", "avx2", "plain")
I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
BIT = ir.IntType(1)


@cache
def cpu_features() -> frozenset[str]:
    """What the code that Numba makes may use, by LLVM's names."""
    from numba.core.registry import cpu_target

    _triple, _cpu, features = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(name[1:] for name in features.split(",") if name.startswith("+"))


@cache
def best_isa() -> str:
    """The best of ISAS on this CPU: byte products that do not saturate, pairs of 16 bits in 512 or 256 bits, or neither."""
    has = cpu_features()
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"} <= has:
        return "vnni"
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= has:
        return "avx512"
    return "avx2" if "avx2" in has else "plain"


@cache
def has_byte_permute() -> bool:
    """Whether a table of 256 bytes can be read from registers."""
    return {"avx512vbmi", "avx512bw", "avx512f"} <= cpu_features()


def lanes_of(kind: ir.Type, count: int = LANES) -> ir.VectorType:
    """The vector type."""
    return ir.VectorType(kind, count)


def load(b: Any, address: Any, kind: ir.Type, offset: int = 0) -> Any:
    """The value of a type at an address plus an offset in bytes, whatever its alignment."""
    if offset:
        address = b.add(address, ir.Constant(I64, offset))
    return b.load(b.inttoptr(address, kind.as_pointer()), align=1)


def store(b: Any, value: Any, address: Any, offset: int = 0) -> None:
    """Put a value at an address plus an offset in bytes."""
    if offset:
        address = b.add(address, ir.Constant(I64, offset))
    b.store(value, b.inttoptr(address, value.type.as_pointer()), align=1)


def splat(b: Any, value: Any, count: int = LANES) -> Any:
    """A number in every lane."""
    kind = lanes_of(value.type, count)
    one = b.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    return b.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(lanes_of(I32, count), [0] * count))


def constant(kind: ir.VectorType, value: int) -> Any:
    """A constant in every lane."""
    return ir.Constant(kind, [value] * kind.count)


def call(b: Any, name: str, result: ir.Type, *arguments: Any) -> Any:
    """A call of an LLVM intrinsic."""
    from numba.core import cgutils

    signature = ir.FunctionType(result, [a.type for a in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, signature, name), list(arguments))


def _suffix(kind: Any) -> str:
    return f"v{kind.count}i{kind.element.width}"


def lower(b: Any, x: Any, y: Any) -> Any:
    """min per lane, signed."""
    return call(b, f"llvm.smin.{_suffix(x.type)}", x.type, x, y)


def upper(b: Any, x: Any, y: Any) -> Any:
    """max per lane, signed."""
    return call(b, f"llvm.smax.{_suffix(x.type)}", x.type, x, y)


def clamp(b: Any, x: Any, low: Any, high: Any) -> Any:
    """saturate per lane.  [SPEC F-2]"""
    return lower(b, upper(b, x, low), high)


def resize(b: Any, x: Any, kind: ir.Type, signed: bool = True) -> Any:
    """x with lanes of another width; the value must fit."""
    have, want = x.type.element.width, kind.width  # type: ignore[attr-defined]
    if have == want:
        return x
    target = lanes_of(kind, x.type.count)
    if have > want:
        return b.trunc(x, target)
    return b.sext(x, target) if signed else b.zext(x, target)


def byte_table(b: Any, table: Any, index: Any, permute: bool) -> Any:
    """The bytes table[index], i32 lanes; index i32 in 0...255."""
    if not permute:
        return each_lane(b, table, index, I8)
    bytes64 = lanes_of(I8, 64)
    which = b.bitcast(index, bytes64)
    parts = [load(b, table, bytes64, 64 * i) for i in range(4)]
    name = "llvm.x86.avx512.vpermi2var.qi.512"
    low = call(b, name, bytes64, parts[0], which, parts[1])
    high = call(b, name, bytes64, parts[2], which, parts[3])
    found = b.select(b.icmp_signed("<", which, constant(bytes64, 0)), high, low)
    wide = lanes_of(I32)
    return b.and_(b.bitcast(found, wide), constant(wide, 255))


def each_lane(b: Any, table: Any, index: Any, kind: ir.Type) -> Any:
    """The unsigned entries table[index] of a width, i32 lanes, one lane after the other."""
    out = ir.Constant(lanes_of(I32), ir.Undefined)
    size = kind.width // 8  # type: ignore[attr-defined]
    for lane in range(LANES):
        at = b.zext(b.extract_element(index, ir.Constant(I32, lane)), I64)
        entry = load(b, b.add(table, b.mul(at, ir.Constant(I64, size))), kind)
        out = b.insert_element(out, b.zext(entry, I32), ir.Constant(I32, lane))
    return out
