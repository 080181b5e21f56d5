"""The cell of datapath P, sixteen units of one row at a time, in 32 or 64 bits.  [SPEC GP-1 ... GP-8]

A rounding shift is three numbers (left, half, right): RS(x) = round((x << left) / 2^right), half = 2^(right-1), 0 when right
is 0 or the result is 0 for every x.  Lanes of 32 bits are used where no stage can reach 2^31.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cuda_impl.fast.host_ir import GATES, I32, I64, LANES, clamp, constant, lanes_of, load, splat
from cuda_impl.fast.host_state import BYTE, FULL, Form, read_codes, read_table, write_codes, zoneout

MOVES = (
    "Wx_z", "Rh_z", "Wx_r", "Rh_r", "Rh_A", "P", "Wx_g", "P_g", "O", "N", "O_h", "N_h",
)  # fmt: skip
OPERATORS = ("Wx", "Rh", "z_pre", "z", "r_pre", "r", "g_pre", "g", "A", "P", "O", "N", "h")
AT_OPERATORS = 3 * len(MOVES)  # (zero point, qmin, qmax) of each
AT_ONE = AT_OPERATORS + 3 * len(OPERATORS)
AT_ZONEOUT = AT_ONE + 1
NUMBERS = AT_ZONEOUT + 1
# rows of the constants of a block: (left, half, right) of Wx for each gate, of Rh for each gate, then four sums of biases
CONSTANTS = 2 * GATES * 3 + 4
AT_BIAS = 2 * GATES * 3


@cache
def make_pot_cell(form: Form, wide: bool, to_even: bool, mode: str, permute: bool) -> Callable:
    """An intrinsic cell(Wx, Rh, constants, numbers, tables, old, new, plane_step, mask), as that of datapath M.

    wide     lanes of 64 bits, else 32; products, constants and numbers have the same width
    to_even  ties_even, else ties_away
    mode     BYTE: three tables of 256 bytes; FULL: three of 65536 unsigned 16-bit entries; entries less the least code
    """
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def cell(typingctx, Wx, Rh, constants, numbers, tables, old, new, plane_step, mask):
        def codegen(context, b, signature, arguments):
            _emit(b, form, I64 if wide else I32, to_even, mode, permute, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 9), codegen

    return cell


def _rounded(b: Any, x: Any, to_even: bool, left: Any, half: Any, right: Any) -> Any:
    """RS per lane, on the magnitude.  [SPEC R-2, R-3]"""
    kind = x.type
    x = b.shl(x, left)
    sign = b.ashr(x, constant(kind, kind.element.width - 1))
    size = b.sub(b.xor(x, sign), sign)
    if to_even:
        shifts = b.zext(b.icmp_signed("!=", half, constant(kind, 0)), kind)
        odd = b.and_(b.lshr(size, right), shifts)
        half = b.add(b.sub(half, shifts), odd)
    size = b.lshr(b.add(size, half), right)
    return b.sub(b.xor(size, sign), sign)


def _emit(
    b: Any, form: Form, lanes: Any, to_even: bool, mode: str, permute: bool,
    Wx_at: Any, Rh_at: Any, constants: Any, numbers: Any, tables: Any, old: Any, new: Any, plane_step: Any, mask: Any,
) -> None:  # fmt: skip
    kind, size = lanes_of(lanes), lanes.width // 8

    def scalar(i: int) -> Any:
        return load(b, numbers, lanes, size * i)

    def number(i: int) -> Any:
        return splat(b, scalar(i))

    def row(at: Any, i: int) -> Any:
        return load(b, at, kind, size * LANES * i)

    def moved(x: Any, name: str) -> Any:
        i = 3 * MOVES.index(name)
        return _rounded(b, x, to_even, number(i), number(i + 1), number(i + 2))

    def op(name: str, which: int) -> Any:
        return number(AT_OPERATORS + 3 * OPERATORS.index(name) + which)

    def centred(x: Any, name: str) -> Any:
        return b.sub(x, op(name, 0))

    def landed(x: Any, name: str) -> Any:
        return clamp(b, x, op(name, 1), op(name, 2))

    def product(at: Any, which: int, gate: int, name: str) -> Any:
        shift = [row(constants, (which * GATES + gate) * 3 + i) for i in range(3)]
        return centred(landed(b.add(_rounded(b, row(at, gate), to_even, *shift), op(name, 0)), name), name)

    def active(pre: Any, gate: int) -> Any:
        k = "zrg"[gate]
        at = b.add(tables, I64(gate * (2 * 65536 if mode == FULL else 256)))
        return read_table(b, mode, permute and mode == BYTE, at, pre, op(f"{k}_pre", 1), op(k, 1), lanes)

    Wx = [product(Wx_at, 0, gate, "Wx") for gate in range(GATES)]
    Rh = [product(Rh_at, 1, gate, "Rh") for gate in range(GATES)]
    bias = [row(constants, AT_BIAS + i) for i in range(4)]

    def gate_of(gate: int) -> Any:
        k = "zr"[gate]
        acc = b.add(b.add(moved(Wx[gate], f"Wx_{k}"), moved(Rh[gate], f"Rh_{k}")), bias[gate])
        return active(landed(acc, f"{k}_pre"), gate)

    z, r = gate_of(0), gate_of(1)
    A = landed(b.add(moved(Rh[2], "Rh_A"), bias[2]), "A")
    P = landed(b.add(moved(b.mul(centred(r, "r"), centred(A, "A")), "P"), op("P", 0)), "P")
    g_acc = b.add(b.add(moved(Wx[2], "Wx_g"), moved(centred(P, "P"), "P_g")), bias[3])
    g = active(landed(g_acc, "g_pre"), 2)
    base = scalar(AT_OPERATORS + 3 * OPERATORS.index("h") + 1)
    before = read_codes(b, form, old, plane_step, base, lanes)
    kept = landed(b.add(moved(b.mul(centred(z, "z"), centred(before, "h")), "O"), op("O", 0)), "O")
    fresh = b.mul(b.sub(number(AT_ONE), z), centred(g, "g"))
    fresh = landed(b.add(moved(fresh, "N"), op("N", 0)), "N")
    acc = b.add(moved(centred(kept, "O"), "O_h"), moved(centred(fresh, "N"), "N_h"))
    after = landed(b.add(acc, op("h", 0)), "h")
    after = zoneout(b, numbers, scalar(AT_ZONEOUT), mask, before, after, op("h", 0), op("h", 1), op("h", 2))
    write_codes(b, form, after, new, plane_step, base)
