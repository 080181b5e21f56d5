"""One time step of each datapath, every intermediate named.  [SPEC G-M, G-P]"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from golden.gates import mshift_candidate, mshift_gate, pot_candidate, pot_gate, pot_reset_path
from golden.hidden import mshift_hidden, pot_hidden, pot_one
from golden.linear import matmul
from golden.rounding import saturate, shift_round
from golden.spec.formats import IntFormat
from golden.spec.layout import GATES, MULTIPLIERS
from golden.spec.params import MShift, MShiftParams, PotParams
from golden.spec.tables import DirectTable

Fields = dict[str, Any]  # trace field -> array (or a scalar for a field without axes)


class MShiftConstants(NamedTuple):
    """What a step of datapath M needs; in dynamic mode it changes from step to step.

    W, R, bx, br  integer codes
    zp_x, zp_h    zero points of x and h
    pre           zero points of the gate inputs by gate
    fmt_pre       their format
    m             the twelve MShifts by name
    tables        direct tables by gate
    """

    W: np.ndarray
    R: np.ndarray
    bx: np.ndarray
    br: np.ndarray
    zp_x: int
    zp_h: int
    pre: dict[str, int]
    fmt_pre: IntFormat
    m: dict[str, MShift]
    tables: dict[str, DirectTable]

    @classmethod
    def of(cls, params: MShiftParams) -> MShiftConstants:
        """The constants of a static parameter set.  [SPEC G-M]"""
        return cls(
            params.W,
            params.R,
            params.bx,
            params.br,
            params.zp_x,
            params.zp_h,
            {k: getattr(params, f"zp_{k}") for k in GATES},
            params.fmt_pre,
            {name: getattr(params, name) for name in MULTIPLIERS},
            {k: getattr(params, f"table_{k}") for k in GATES},
        )


def mshift_cell(c: MShiftConstants, x: np.ndarray, h: np.ndarray) -> Fields:
    """One step of datapath M.  [SPEC L-1, GM-1, GM-2, GM-3]

    x        int64 [N,C], int8 codes
    h        int64 [N,H], int8 codes of the previous state
    Returns  every field from x to h_new, [N,...] or [H]
    """
    Wx = matmul(x, c.W, c.zp_x)
    Rh = matmul(h, c.R, c.zp_h)
    wx, rh, bx, br = _by_gate(Wx), _by_gate(Rh), _by_gate(c.bx), _by_gate(c.br)
    fields: Fields = {"x": x, "Wx": Wx, "Rh": Rh}
    for k in ("z", "r"):
        fields |= mshift_gate(
            k,
            wx[k],
            rh[k],
            bx[k],
            br[k],
            c.m[f"m_Rh_{k}"],
            c.m["m_bx"],
            c.m[f"m_br_{k}"],
            c.m[f"m_{k}"],
            c.pre[k],
            c.fmt_pre,
            c.tables[k],
        )
    fields |= mshift_candidate(
        wx["g"],
        rh["g"],
        bx["g"],
        br["g"],
        fields["r"],
        c.m["m_br_g"],
        c.m["m_rRh"],
        c.m["m_bx"],
        c.m["m_g"],
        c.pre["g"],
        c.fmt_pre,
        c.tables["g"],
    )
    return fields | mshift_hidden(fields["z"], fields["g"], h, c.m["m_gh"], c.m["m_one"], c.zp_h)


def pot_cell(params: PotParams, x: np.ndarray, h: np.ndarray) -> Fields:
    """One step of datapath P.  [SPEC L-1, GP-1 ... GP-8]

    x        int64 [N,C], codes of input.x
    h        int64 [N,H], codes of input.h
    Returns  every field from x to h_new, [N,...] or [H]
    """
    op, rs = params.operators, params.rounding
    fields: Fields = {"x": x, "one": pot_one(op["gate.z_out"], rs)}
    for name, data, codes in (("W", "input.x", x), ("R", "input.h", h)):
        key = {"W": "Wx", "R": "Rh"}[name]
        out = op[f"matmul.{key}"]
        acc = matmul(codes, getattr(params, name), op[data].zero_point)
        shift = op[f"weight.{name}"].exponent + op[data].exponent - out.exponent
        fields[f"{key}_acc"] = acc
        fields[key] = saturate(shift_round(acc, shift, rs) + out.zero_point, out.fmt)
    wx, rh, bx, br = (_by_gate(v) for v in (fields["Wx"], fields["Rh"], params.bx, params.br))
    e_bx, e_br = _by_gate(op["weight.bx"].exponent), _by_gate(op["weight.br"].exponent)
    for k in ("z", "r"):
        fields |= pot_gate(
            k,
            wx[k],
            rh[k],
            bx[k],
            br[k],
            e_bx[k],
            e_br[k],
            op["matmul.Wx"],
            op["matmul.Rh"],
            op[f"gate.{k}_pre"],
            getattr(params, f"act_{k}"),
            rs,
        )
    fields |= pot_reset_path(
        rh["g"],
        br["g"],
        e_br["g"],
        fields["r"],
        op["matmul.Rh"],
        op["op.Rh_add_br"],
        op["gate.r_out"],
        op["op.rRh"],
        rs,
    )
    fields |= pot_candidate(
        wx["g"],
        fields["P"],
        bx["g"],
        e_bx["g"],
        op["matmul.Wx"],
        op["op.rRh"],
        op["gate.g_pre"],
        params.act_g,
        rs,
    )
    return fields | pot_hidden(
        fields["z"],
        fields["g"],
        h,
        fields["one"],
        op["gate.z_out"],
        op["gate.g_out"],
        op["input.h"],
        op["op.old_contrib"],
        op["op.new_contrib"],
        rs,
    )


def _by_gate(array: Any) -> dict[str, np.ndarray]:
    """The H columns of each gate of a [..., 3H] array."""
    return dict(zip(GATES, np.split(np.asarray(array, np.int64), 3, axis=-1), strict=True))
