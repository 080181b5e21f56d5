"""What every cell of the host build begins and ends with: the operand bytes of the state, tables, zoneout.  [SPEC A, Z]"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from cuda_impl.fast.host_ir import (
    I8,
    I16,
    I32,
    I64,
    byte_table,
    clamp,
    constant,
    each_lane,
    lanes_of,
    load,
    resize,
    splat,
    store,
)

BYTE, WIDE_ADDRESS, FULL = "byte", "wide-address", "full"  # how the gates read their tables


@dataclass(frozen=True)
class Form:
    """How the operand of a product lies in memory.

    kind    "bytes": u8; "pairs": one byte in 16 bits
    planes  how many bytes a code has
    """

    kind: str
    planes: int

    @property
    def size(self) -> int:
        """Bytes per code and plane."""
        return 1 if self.kind == "bytes" else 2


def read_codes(b: Any, form: Form, address: Any, plane_step: Any, base: Any, lanes: ir.Type) -> Any:
    """Sixteen codes from their operand: base + the bytes of every plane."""
    total = splat(b, base)
    for plane in range(form.planes):
        at = b.add(address, b.mul(plane_step, ir.Constant(I64, plane)))
        part = load(b, at, lanes_of(I8 if form.size == 1 else I16))
        part = b.zext(part, lanes_of(lanes))
        total = b.add(total, b.shl(part, constant(part.type, 8 * plane)) if plane else part)
    return total


def write_codes(b: Any, form: Form, codes: Any, address: Any, plane_step: Any, base: Any) -> None:
    """Sixteen codes into their operand."""
    rest = b.sub(codes, splat(b, base))
    for plane in range(form.planes):
        at = b.add(address, b.mul(plane_step, ir.Constant(I64, plane)))
        part = b.lshr(rest, constant(rest.type, 8 * plane)) if plane else rest
        part = b.trunc(part, lanes_of(I8))
        store(b, part if form.size == 1 else b.zext(part, lanes_of(I16)), at)


def read_table(b: Any, mode: str, permute: bool, table: Any, pre: Any, pre_base: Any, out_base: Any, lanes: ir.Type) -> Any:
    """The activation of sixteen gate inputs from their table of unsigned entries.  [SPEC A]

    pre_base  the least gate input, out_base what the entries are counted from; vectors like pre
    """
    index = resize(b, b.sub(pre, pre_base), I32)
    if mode == WIDE_ADDRESS:
        wide = b.add(b.mul(index, constant(index.type, 255)), constant(index.type, 32767))
        index = b.udiv(wide, constant(index.type, 65535))
    entry = each_lane(b, table, index, I16) if mode == FULL else byte_table(b, table, index, permute)
    return b.add(resize(b, entry, lanes, signed=False), out_base)


def zoneout(b: Any, numbers: Any, k: Any, mask_at: Any, old: Any, new: Any, zero_point: Any, low: Any, high: Any) -> Any:
    """The state after zoneout: a mask where mask_at is not 0, a blend where k >= 0.  [SPEC Z-1, Z-2]

    old, new  codes, lanes of either width
    """
    from numba.core import cgutils

    kind = new.type
    place = cgutils.alloca_once(b, kind)
    b.store(new, place)
    with b.if_then(b.icmp_signed("!=", mask_at, ir.Constant(I64, 0)), likely=False):
        keep = b.icmp_signed("!=", load(b, mask_at, lanes_of(I8)), constant(lanes_of(I8), 0))
        b.store(b.select(keep, old, b.load(place)), place)
    with b.if_then(b.icmp_signed(">=", k, ir.Constant(k.type, 0)), likely=False):
        wide = lanes_of(I64)
        was, now, zp, kk = (resize(b, v, I64) for v in (old, b.load(place), zero_point, splat(b, k)))
        rest = b.sub(constant(wide, 32768), kk)
        acc = b.add(b.mul(kk, b.sub(was, zp)), b.mul(rest, b.sub(now, zp)))
        moved = b.ashr(b.add(acc, constant(wide, 16384)), constant(wide, 15))
        found = clamp(b, b.add(moved, zp), resize(b, low, I64), resize(b, high, I64))
        b.store(resize(b, found, kind.element), place)
    return b.load(place)
