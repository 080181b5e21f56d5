"""One time step, one unit after the other, every intermediate named.  [SPEC G-M, G-P, Z]

A step is a mapping from trace field names to nested lists of Python integers: [N][C], [N][3H], [N][H] or, for the bias
terms, [H].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.layout import SCALAR_OPERATORS
from golden.spec.params import MShift, PotParams
from golden.spec.tables import DirectTable
from verification.exact.gates import Op, mshift_candidate, mshift_gate, pot_candidate, pot_gate, pot_reset_path
from verification.exact.hidden import mshift_hidden, pot_hidden, pot_one
from verification.exact.linear import matmul
from verification.exact.rounding import saturate, shift_round

Step = dict[str, Any]
BIAS_TERMS = {f"{k}_{b}_aligned" for k in ("z", "r", "g", "A") for b in ("bx", "br")}


@dataclass(frozen=True)
class MShiftSet:
    """The integers of datapath M in one step.

    W, R    columns: W[m] holds the C weights of channel m, R[m] the H weights
    bx, br  [3H]
    m       the twelve MShifts by name
    """

    W: list[list[int]]
    R: list[list[int]]
    bx: list[int]
    br: list[int]
    m: dict[str, MShift]
    zp_x: int
    zp_h: int
    zp_z: int
    zp_r: int
    zp_g: int
    fmt_pre: IntFormat
    table_z: DirectTable
    table_r: DirectTable
    table_g: DirectTable


def mshift_cell(p: MShiftSet, x: list[list[int]], h: list[list[int]]) -> Step:
    """One step of datapath M from x [N][C] and h [N][H]; "h_new" is h' before zoneout.  [SPEC L-1, GM-1 ... GM-3]"""
    hidden = len(h[0])
    step: Step = {
        "x": x,
        "Wx": [[matmul(row, column, p.zp_x) for column in p.W] for row in x],
        "Rh": [[matmul(row, column, p.zp_h) for column in p.R] for row in h],
    }
    m = p.m
    units = []
    for Wx, Rh, h_row in zip(step["Wx"], step["Rh"], h, strict=True):
        row = []
        for j in range(hidden):
            z_at, r_at, g_at = j, hidden + j, 2 * hidden + j
            z = mshift_gate(
                Wx[z_at], Rh[z_at], p.bx[z_at], p.br[z_at],
                m["m_Rh_z"], m["m_bx"], m["m_br_z"], m["m_z"], p.zp_z, p.fmt_pre, p.table_z,
            )  # fmt: skip
            r = mshift_gate(
                Wx[r_at], Rh[r_at], p.bx[r_at], p.br[r_at],
                m["m_Rh_r"], m["m_bx"], m["m_br_r"], m["m_r"], p.zp_r, p.fmt_pre, p.table_r,
            )  # fmt: skip
            g = mshift_candidate(
                Wx[g_at], Rh[g_at], p.bx[g_at], p.br[g_at], r[""],
                m["m_br_g"], m["m_rRh"], m["m_bx"], m["m_g"], p.zp_g, p.fmt_pre, p.table_g,
            )  # fmt: skip
            new = mshift_hidden(z[""], g["g"], h_row[j], p.zp_h, m["m_gh"], m["m_one"])
            row.append(_prefixed("z", z) | _prefixed("r", r) | g | new)
        units.append(row)
    return step | _by_field(units)


class PotSet:
    """The integers of datapath P as Python lists.

    W, R    columns, as in MShiftSet; bx, br  [3H]
    e       the exponents of the four weight operators, [3H] each
    ops     the other fourteen operators
    """

    def __init__(self, p: PotParams) -> None:
        self.W: list[list[int]] = p.W.T.tolist()
        self.R: list[list[int]] = p.R.T.tolist()
        self.bx: list[int] = p.bx.tolist()
        self.br: list[int] = p.br.tolist()
        self.e = {k: np.asarray(p.operators[f"weight.{k}"].exponent).tolist() for k in ("W", "R", "bx", "br")}
        self.ops = {
            name: Op(p.operators[name].fmt, int(p.operators[name].exponent), p.operators[name].zero_point)
            for name in SCALAR_OPERATORS
        }
        self.act_z, self.act_r, self.act_g = p.act_z, p.act_r, p.act_g
        self.rounding = p.rounding


def pot_cell(s: PotSet, x: list[list[int]], h: list[list[int]]) -> Step:
    """One step of datapath P from x [N][C] and h [N][H]; "h_new" is h' before zoneout.  [SPEC L-1, GP-1 ... GP-8]"""
    ops, rounding, hidden = s.ops, s.rounding, len(h[0])
    op_x, op_h, op_Wx, op_Rh = ops["input.x"], ops["input.h"], ops["matmul.Wx"], ops["matmul.Rh"]
    op_A, op_P, op_O, op_N = ops["op.Rh_add_br"], ops["op.rRh"], ops["op.old_contrib"], ops["op.new_contrib"]
    op_z, op_r, op_g = ops["gate.z_out"], ops["gate.r_out"], ops["gate.g_out"]

    def product(acc: int, e_weight: int, op_in: Op, op_out: Op) -> int:  # [SPEC GP-1]
        shifted = shift_round(acc, e_weight + op_in.exponent - op_out.exponent, rounding)
        return saturate(shifted + op_out.zero_point, op_out.fmt)

    Wx_acc = [[matmul(row, column, op_x.zero_point) for column in s.W] for row in x]
    Rh_acc = [[matmul(row, column, op_h.zero_point) for column in s.R] for row in h]
    one = pot_one(op_z, rounding)
    step: Step = {
        "x": x,
        "Wx_acc": Wx_acc,
        "Wx": [[product(a, e, op_x, op_Wx) for a, e in zip(row, s.e["W"], strict=True)] for row in Wx_acc],
        "Rh_acc": Rh_acc,
        "Rh": [[product(a, e, op_h, op_Rh) for a, e in zip(row, s.e["R"], strict=True)] for row in Rh_acc],
    }
    units = []
    for Wx, Rh, h_row in zip(step["Wx"], step["Rh"], h, strict=True):
        row = []
        for j in range(hidden):
            z_at, r_at, g_at = j, hidden + j, 2 * hidden + j
            z = pot_gate(
                Wx[z_at], Rh[z_at], s.bx[z_at], s.br[z_at], op_Wx, op_Rh, s.e["bx"][z_at], s.e["br"][z_at],
                ops["gate.z_pre"], s.act_z, rounding,
            )  # fmt: skip
            r = pot_gate(
                Wx[r_at], Rh[r_at], s.bx[r_at], s.br[r_at], op_Wx, op_Rh, s.e["bx"][r_at], s.e["br"][r_at],
                ops["gate.r_pre"], s.act_r, rounding,
            )  # fmt: skip
            reset = pot_reset_path(Rh[g_at], s.br[g_at], r[""], op_Rh, s.e["br"][g_at], op_A, op_r, op_P, rounding)
            g = pot_candidate(
                Wx[g_at], reset["P"], s.bx[g_at], op_Wx, op_P, s.e["bx"][g_at],
                ops["gate.g_pre"], s.act_g, rounding,
            )  # fmt: skip
            new = pot_hidden(z[""], g["g"], h_row[j], one, op_z, op_g, op_h, op_O, op_N, rounding)
            row.append(_prefixed("z", z) | _prefixed("r", r) | reset | g | new)
        units.append(row)
    return step | _by_field(units)


def _prefixed(gate: str, values: dict[str, int]) -> dict[str, int]:
    return {(f"{gate}_{name}" if name else gate): value for name, value in values.items()}


def _by_field(units: list[list[dict[str, int]]]) -> Step:
    """Field -> [N][H] from [N][H] -> field; a bias term, equal in every row, as [H]."""
    step: Step = {}
    for name in units[0][0]:
        values = [[unit[name] for unit in row] for row in units]
        step[name] = values[0] if name in BIAS_TERMS else values
    return step
