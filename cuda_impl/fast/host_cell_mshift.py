"""The cell of datapath M, sixteen units of one row at a time.  [SPEC GM-1 ... GM-3]

Its numbers are one int64 array: MSHIFTS times (multiplier, half, shift), then the zero points, bounds and zoneout factor
named below. Its constants are int64 [4, 16] per block: the aligned biases of z and r (both together), br_g and bx_g.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cuda_impl.fast.host_ir import GATES, I32, I64, LANES, clamp, constant, lanes_of, load, resize, splat
from cuda_impl.fast.host_state import BYTE, Form, read_codes, read_table, write_codes, zoneout

MSHIFTS = ("m_Rh_z", "m_Rh_r", "m_z", "m_r", "m_g", "m_rRh", "m_gh", "m_one")
AT_ZP_H, AT_ZP_Z, AT_ZP_R, AT_ZP_G, AT_PRE_MIN, AT_PRE_MAX, AT_ZONEOUT = range(3 * len(MSHIFTS), 3 * len(MSHIFTS) + 7)
NUMBERS = AT_ZONEOUT + 1
CONSTANTS = 4  # rows of the constants of a block
TABLE_BYTES = 256
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


@cache
def make_mshift_cell(form: Form, wide_x: bool, mode: str, permute: bool) -> Callable:
    """An intrinsic cell(Wx, Rh, constants, numbers, tables, old, new, plane_step, mask), all addresses but plane_step.

    form    of the state
    wide_x  whether Wx is int64 [48], else int32 [48]; Rh is int32 [48]
    mode    BYTE or WIDE_ADDRESS; tables are three times 256 bytes, the entry of g plus 128
    old, new  the sixteen codes of the state before and after; mask address of 16 bytes or 0
    """
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def cell(typingctx, Wx, Rh, constants, numbers, tables, old, new, plane_step, mask):
        def codegen(context, b, signature, arguments):
            _emit(b, form, wide_x, mode, permute, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 9), codegen

    return cell


def _emit(
    b: Any, form: Form, wide_x: bool, mode: str, permute: bool,
    Wx_at: Any, Rh_at: Any, constants: Any, numbers: Any, tables: Any, old: Any, new: Any, plane_step: Any, mask: Any,
) -> None:  # fmt: skip
    wide = lanes_of(I64)
    int32 = constant(wide, INT32_MIN), constant(wide, INT32_MAX)

    def number(i: int) -> Any:
        return splat(b, load(b, numbers, I64, 8 * i))

    def apply(v: Any, name: str) -> Any:
        """ties_up(v * M, s), v in the range of int32 (of int64 for r * b, whose product fits).  [SPEC M-3, R-1]"""
        i = 3 * MSHIFTS.index(name)
        return b.ashr(b.add(b.mul(v, number(i)), number(i + 1)), number(i + 2))

    def constants_of(i: int) -> Any:
        return load(b, constants, wide, 8 * LANES * i)

    def product(at: Any, gate: int, is_wide: bool) -> Any:
        if is_wide:
            return load(b, at, wide, 8 * LANES * gate)
        return b.sext(load(b, at, lanes_of(I32), 4 * LANES * gate), wide)

    Wx = [product(Wx_at, gate, wide_x) for gate in range(GATES)]
    Rh = [product(Rh_at, gate, False) for gate in range(GATES)]
    pre_low, pre_high = number(AT_PRE_MIN), number(AT_PRE_MAX)
    least = pre_low if mode == BYTE else constant(wide, -32768)

    def gate_of(a: Any, name: str, zero_point: int, gate: int) -> Any:
        pre = clamp(b, b.add(apply(clamp(b, a, *int32), name), number(zero_point)), pre_low, pre_high)
        at = b.add(tables, tables.type(gate * TABLE_BYTES))
        return read_table(b, mode, permute, at, pre, least, constant(wide, -128 if gate == 2 else 0), I64)

    def aligned(v: Any, name: str) -> Any:
        return clamp(b, apply(v, name), *int32)

    z = gate_of(b.add(b.add(Wx[0], aligned(Rh[0], "m_Rh_z")), constants_of(0)), "m_z", AT_ZP_Z, 0)
    r = gate_of(b.add(b.add(Wx[1], aligned(Rh[1], "m_Rh_r")), constants_of(1)), "m_r", AT_ZP_R, 1)
    inner = clamp(b, b.add(Rh[2], constants_of(2)), *int32)
    c = aligned(b.mul(r, inner), "m_rRh")
    g = gate_of(b.add(b.add(Wx[2], c), constants_of(3)), "m_g", AT_ZP_G, 2)
    n = aligned(b.mul(b.sub(constant(wide, 127), z), g), "m_gh")
    zp_h, low, high = number(AT_ZP_H), constant(wide, -128), constant(wide, 127)
    base = I64(-128)
    before = read_codes(b, form, old, plane_step, base, I64)
    total = b.add(b.mul(z, b.sub(before, zp_h)), n)
    after = clamp(b, b.add(apply(total, "m_one"), zp_h), low, high)
    k = load(b, numbers, I64, 8 * AT_ZONEOUT)
    after = zoneout(b, numbers, k, mask, before, after, zp_h, low, high)
    write_codes(b, form, resize(b, after, I64), new, plane_step, base)
