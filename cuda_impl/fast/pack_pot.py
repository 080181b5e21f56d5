"""The numbers, constants and tables of datapath P for the host build, and the largest number in a run.  [SPEC G-P]"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.activation import activate
from cuda_impl.activation import pack as pack_table
from cuda_impl.elementwise import map_step
from cuda_impl.fast.host_cell_pot import AT_BIAS, AT_ONE, AT_OPERATORS, AT_ZONEOUT, CONSTANTS, MOVES, NUMBERS, OPERATORS
from cuda_impl.fast.host_ir import GATES
from cuda_impl.fast.pack import Packed, units_by_block
from cuda_impl.hidden import pot_one
from cuda_impl.rounding import TIES_AWAY, TIES_EVEN
from golden.spec.bounds import spread
from golden.spec.params import PotParams
from golden.spec.rounding import Rounding

KEYS = (
    "matmul.Wx", "matmul.Rh", "gate.z_pre", "gate.z_out", "gate.r_pre", "gate.r_out", "gate.g_pre", "gate.g_out",
    "op.Rh_add_br", "op.rRh", "op.old_contrib", "op.new_contrib", "input.h",
)  # fmt: skip


def rounding_of(p: PotParams) -> int:
    """The twin's number of the set's rounding."""
    return TIES_EVEN if p.rounding is Rounding.TIES_EVEN else TIES_AWAY


def move_shifts(p: PotParams) -> list[int]:
    """The shift of each of MOVES, positive to the right.  [SPEC GP-2 ... GP-8]"""
    e: dict[str, Any] = {name: p.operators[key].exponent for name, key in zip(OPERATORS, KEYS)}
    return [
        e["Wx"] - e["z_pre"], e["Rh"] - e["z_pre"], e["Wx"] - e["r_pre"], e["Rh"] - e["r_pre"], e["Rh"] - e["A"],
        e["r"] + e["A"] - e["P"], e["Wx"] - e["g_pre"], e["P"] - e["g_pre"],
        e["z"] + e["h"] - e["O"], e["z"] + e["g"] - e["N"], e["O"] - e["h"], e["N"] - e["h"],
    ]  # fmt: skip


def split_shift(s: int, bits: int) -> tuple[int, int, int]:
    """(left, half, right) of a rounding shift in lanes of this many bits; half 0 and the whole width when nothing is left."""
    if s <= 0:
        return min(-s, bits - 1), 0, 0
    return (0, 1 << (s - 1), s) if s < bits else (0, 0, bits - 1)


def rounded(x: np.ndarray, shifts: np.ndarray, rounding: int) -> np.ndarray:
    """shift_round of int64 arrays, on the magnitude; a left shift fits, as the parameter check says.  [SPEC R-2, R-3]"""
    left, half, right = np.array([split_shift(int(s), 64) for s in shifts], np.int64).T
    size = np.abs(x) << left
    if rounding == TIES_EVEN:
        half = half - (half > 0) + ((size >> right) & (half > 0))
    return np.sign(x) * ((size + half) >> right)


def one_of(p: PotParams) -> int:
    """The code of 1.0.  [SPEC GP-6]"""
    z = p.operators["gate.z_out"]
    return int(pot_one(z.exponent, z.zero_point, rounding_of(p)))


def pot_numbers(p: PotParams, wide: bool) -> np.ndarray:
    """[NUMBERS] as host_cell_pot.py lays them out, int64 or int32; no zoneout."""
    bits = 64 if wide else 32
    numbers = np.zeros(NUMBERS, np.int64)
    for i, s in enumerate(move_shifts(p)):
        numbers[3 * i : 3 * i + 3] = split_shift(s, bits)
    for i, key in enumerate(KEYS):
        op = p.operators[key]
        at = AT_OPERATORS + 3 * i
        numbers[at : at + 3] = op.zero_point, op.fmt.qmin, op.fmt.qmax
    numbers[AT_ONE] = one_of(p)
    numbers[AT_ZONEOUT] = -1
    return numbers if wide else numbers.astype(np.int32)


def product_shifts(p: PotParams) -> np.ndarray:
    """int64 [2, 3H]: the shifts of Wx and Rh per channel.  [SPEC GP-1]"""
    ops = p.operators
    return np.stack(
        [
            np.asarray(ops[weight].exponent, np.int64) + ops[data].exponent - ops[out].exponent
            for weight, data, out in (("weight.W", "input.x", "matmul.Wx"), ("weight.R", "input.h", "matmul.Rh"))
        ]
    )


def biases(p: PotParams) -> np.ndarray:
    """int64 [4, H]: the terms of z_pre, r_pre, A and g_pre that no step changes, zero points included.  [SPEC GP-2 ... GP-5]"""
    hidden, ops = p.hidden_size, p.operators

    def moved(name: str, gate: int, target: str) -> np.ndarray:
        part = slice(gate * hidden, (gate + 1) * hidden)
        codes, exponents = getattr(p, name)[part], np.asarray(ops[f"weight.{name}"].exponent, np.int64)[part]
        return rounded(codes.astype(np.int64), exponents - ops[target].exponent, rounding_of(p))

    return np.stack(
        [
            moved("bx", 0, "gate.z_pre") + moved("br", 0, "gate.z_pre") + ops["gate.z_pre"].zero_point,
            moved("bx", 1, "gate.r_pre") + moved("br", 1, "gate.r_pre") + ops["gate.r_pre"].zero_point,
            moved("br", 2, "op.Rh_add_br") + ops["op.Rh_add_br"].zero_point,
            moved("bx", 2, "gate.g_pre") + ops["gate.g_pre"].zero_point,
        ]
    )


def pot_constants(p: PotParams, wide: bool) -> np.ndarray:
    """[blocks, CONSTANTS, 16] as host_cell_pot.py lays them out, int64 or int32."""
    hidden, bits = p.hidden_size, 64 if wide else 32
    rows = np.zeros((CONSTANTS, hidden), np.int64)
    for which, shifts in enumerate(product_shifts(p)):
        parts = np.array([split_shift(int(s), bits) for s in shifts], np.int64)
        for gate in range(GATES):
            rows[(which * GATES + gate) * 3 : (which * GATES + gate + 1) * 3] = parts[gate * hidden : (gate + 1) * hidden].T
    rows[AT_BIAS:] = biases(p)
    return units_by_block(rows, np.int64 if wide else np.int32)


def table_is_small(p: PotParams) -> bool:
    """Whether every gate has at most 256 inputs and outputs."""
    return all(p.operators[f"gate.{k}_{side}"].fmt.bits <= 8 for k in "zrg" for side in ("pre", "out"))


def pot_tables(p: PotParams) -> np.ndarray:
    """The activation of every gate input, less the least output: uint8 [3, 256], or uint16 [3, 65536].  [SPEC GP-10]"""
    small = table_is_small(p)
    tables = np.zeros((GATES, 256 if small else 65536), np.uint8 if small else np.uint16)
    for gate, k in enumerate("zrg"):
        pre, out = p.operators[f"gate.{k}_pre"].fmt, p.operators[f"gate.{k}_out"].fmt
        table = getattr(p, f"act_{k}")
        if small:
            packed = pack_table(table)
            found = np.array([int(activate(q, packed)) for q in range(pre.qmin, pre.qmax + 1)], np.int64)
        else:
            found = map_step("activate", np.arange(pre.qmin, pre.qmax + 1), table=table, device="host")
        tables[gate, : len(found)] = found - out.qmin
    return tables


def pot_reach(p: PotParams, W: Packed, R: Packed) -> int:
    """A bound on the magnitude of everything that the cell computes, left shifts and sums included.  [SPEC R-4]"""
    seen = [1]
    bits = 63

    def note(*values: int) -> int:
        seen.extend(values)
        return values[-1]

    def moved(reach: int, s: int) -> int:
        if s <= 0:
            return note(reach << min(-s, bits))
        return note((reach + (1 << min(s - 1, bits))) >> min(s, bits + 1))

    def distance(name: str) -> int:
        op = p.operators[KEYS[OPERATORS.index(name)]]
        return note(max(abs(op.fmt.qmin), abs(op.fmt.qmax)), spread(op.fmt, op.zero_point))

    def landed(name: str, *terms: int) -> None:
        """The sum, and the zero point of an operator."""
        note(abs(p.operators[KEYS[OPERATORS.index(name)]].zero_point), sum(terms))

    shifts = dict(zip(MOVES, move_shifts(p)))
    reach: dict[str, int] = {name: distance(name) for name in OPERATORS}
    zero: dict[str, int] = {name: abs(p.operators[key].zero_point) for name, key in zip(OPERATORS, KEYS)}
    for packed, data, out, per_channel in zip((W, R), ("input.x", "input.h"), ("Wx", "Rh"), product_shifts(p)):
        op = p.operators[data]
        acc = note(packed.magnitude * spread(op.fmt, op.zero_point))
        for s in np.unique(per_channel):
            landed(out, moved(acc, int(s)), zero[out])
    constant = [int(np.abs(row).max()) for row in biases(p)]
    for i, k in enumerate("zr"):
        landed(f"{k}_pre", moved(reach["Wx"], shifts[f"Wx_{k}"]), moved(reach["Rh"], shifts[f"Rh_{k}"]), constant[i])
    landed("A", moved(reach["Rh"], shifts["Rh_A"]), constant[2])
    landed("P", moved(note(reach["r"] * reach["A"]), shifts["P"]), zero["P"])
    landed("g_pre", moved(reach["Wx"], shifts["Wx_g"]), moved(reach["P"], shifts["P_g"]), constant[3])
    z = p.operators["gate.z_out"].fmt
    rest = note(abs(one_of(p)) + max(abs(z.qmin), abs(z.qmax)))
    landed("O", moved(note(reach["z"] * reach["h"]), shifts["O"]), zero["O"])
    landed("N", moved(note(rest * reach["g"]), shifts["N"]), zero["N"])
    landed("h", moved(reach["O"], shifts["O_h"]), moved(reach["N"], shifts["N_h"]), zero["h"])
    return max(*seen, 2 * max(zero.values()))

