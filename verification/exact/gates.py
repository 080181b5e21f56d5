"""The gates of one unit, every intermediate by the name of its trace field.  [SPEC GM-1, GM-2, GP-2 ... GP-5]

Each function returns the intermediates without the gate's prefix where z and r share it ("acc" becomes "z_acc").
"""

from __future__ import annotations

from typing import NamedTuple

from golden.spec.formats import INT32, IntFormat
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation, DirectTable
from verification.exact.activation import activate
from verification.exact.rescale import align, requantize
from verification.exact.rounding import saturate, shift_round, ties_up


class Op(NamedTuple):
    """An operator of datapath P that has one exponent; its scale is 2**-exponent."""

    fmt: IntFormat
    exponent: int
    zero_point: int


def mshift_gate(
    Wx: int,
    Rh: int,
    bx: int,
    br: int,
    m_Rh: MShift,
    m_bx: MShift,
    m_br: MShift,
    m_pre: MShift,
    zp_pre: int,
    fmt_pre: IntFormat,
    table: DirectTable,
) -> dict[str, int]:
    """The update or the reset gate of datapath M; "" is the gate itself.  [SPEC GM-1]"""
    f = {
        "Rh_aligned": align(Rh, m_Rh),
        "bx_aligned": align(bx, m_bx),
        "br_aligned": align(br, m_br),
    }
    f["acc"] = Wx + f["Rh_aligned"] + f["bx_aligned"] + f["br_aligned"]
    f["a"] = saturate(f["acc"], INT32)
    f["pre"] = requantize(f["a"], m_pre, zp_pre, fmt_pre)
    f[""] = activate(f["pre"], table)
    return f


def mshift_candidate(
    Wx: int,
    Rh: int,
    bx: int,
    br: int,
    r: int,
    m_br: MShift,
    m_rRh: MShift,
    m_bx: MShift,
    m_pre: MShift,
    zp_pre: int,
    fmt_pre: IntFormat,
    table: DirectTable,
) -> dict[str, int]:
    """The candidate of datapath M.  [SPEC GM-2]"""
    f = {"g_br_aligned": align(br, m_br)}
    f["g_b_acc"] = Rh + f["g_br_aligned"]
    f["g_b"] = saturate(f["g_b_acc"], INT32)
    f["g_rb"] = r * f["g_b"]
    f["g_c"] = saturate(ties_up(f["g_rb"] * m_rRh.multiplier, m_rRh.shift), INT32)
    f["g_bx_aligned"] = align(bx, m_bx)
    f["g_acc"] = Wx + f["g_c"] + f["g_bx_aligned"]
    f["g_a"] = saturate(f["g_acc"], INT32)
    f["g_pre"] = requantize(f["g_a"], m_pre, zp_pre, fmt_pre)
    f["g"] = activate(f["g_pre"], table)
    return f


def pot_gate(
    Wx: int,
    Rh: int,
    bx: int,
    br: int,
    op_Wx: Op,
    op_Rh: Op,
    e_bx: int,
    e_br: int,
    op_pre: Op,
    activation: Activation,
    rounding: Rounding,
) -> dict[str, int]:
    """The update or the reset gate of datapath P; e_bx and e_br are those of the channel; "" is the gate.  [SPEC GP-2]"""
    e = op_pre.exponent
    f = {
        "Wx_aligned": shift_round(Wx - op_Wx.zero_point, op_Wx.exponent - e, rounding),
        "Rh_aligned": shift_round(Rh - op_Rh.zero_point, op_Rh.exponent - e, rounding),
        "bx_aligned": shift_round(bx, e_bx - e, rounding),
        "br_aligned": shift_round(br, e_br - e, rounding),
    }
    f["acc"] = f["Wx_aligned"] + f["Rh_aligned"] + f["bx_aligned"] + f["br_aligned"] + op_pre.zero_point
    f["pre"] = saturate(f["acc"], op_pre.fmt)
    f[""] = activate(f["pre"], activation)
    return f


def pot_reset_path(
    Rh: int, br: int, r: int, op_Rh: Op, e_br: int, op_A: Op, op_r: Op, op_P: Op, rounding: Rounding
) -> dict[str, int]:
    """A = Rh_g + br_g and P = r * A.  [SPEC GP-3, GP-4]"""
    f = {
        "A_Rh_aligned": shift_round(Rh - op_Rh.zero_point, op_Rh.exponent - op_A.exponent, rounding),
        "A_br_aligned": shift_round(br, e_br - op_A.exponent, rounding),
    }
    f["A_acc"] = f["A_Rh_aligned"] + f["A_br_aligned"] + op_A.zero_point
    f["A"] = saturate(f["A_acc"], op_A.fmt)
    f["P_prod"] = (r - op_r.zero_point) * (f["A"] - op_A.zero_point)
    f["P_acc"] = shift_round(f["P_prod"], op_r.exponent + op_A.exponent - op_P.exponent, rounding) + op_P.zero_point
    f["P"] = saturate(f["P_acc"], op_P.fmt)
    return f


def pot_candidate(
    Wx: int,
    P: int,
    bx: int,
    op_Wx: Op,
    op_P: Op,
    e_bx: int,
    op_pre: Op,
    activation: Activation,
    rounding: Rounding,
) -> dict[str, int]:
    """The candidate of datapath P.  [SPEC GP-5]"""
    e = op_pre.exponent
    f = {
        "g_Wx_aligned": shift_round(Wx - op_Wx.zero_point, op_Wx.exponent - e, rounding),
        "g_P_aligned": shift_round(P - op_P.zero_point, op_P.exponent - e, rounding),
        "g_bx_aligned": shift_round(bx, e_bx - e, rounding),
    }
    f["g_acc"] = f["g_Wx_aligned"] + f["g_P_aligned"] + f["g_bx_aligned"] + op_pre.zero_point
    f["g_pre"] = saturate(f["g_acc"], op_pre.fmt)
    f["g"] = activate(f["g_pre"], activation)
    return f
