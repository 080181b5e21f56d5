"""The gates of both datapaths.  Each function returns the trace fields that it computes.  [SPEC GM-1, GM-2, GP-2 ... GP-5]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.activation import activate
from golden.rescale import align, requantize
from golden.rounding import saturate, shift_round, ties_up
from golden.spec.formats import INT32, IntFormat
from golden.spec.params import MShift, Operator
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation, DirectTable

Fields = dict[str, Any]  # trace field -> array (or a scalar for a field without axes)


def mshift_gate(
    k: str,
    Wx: np.ndarray,
    Rh: np.ndarray,
    bx: np.ndarray,
    br: np.ndarray,
    m_Rh: MShift,
    m_bx: MShift,
    m_br: MShift,
    m_pre: MShift,
    zero_point: int,
    fmt_pre: IntFormat,
    table: DirectTable,
) -> Fields:
    """The update or the reset gate of datapath M.  [SPEC GM-1]

    a = saturate(Wx + align(Rh) + align(bx) + align(br), int32);  pre = requantize(a);  gate = table(pre)

    k           "z" or "r", the prefix of the fields
    Wx, Rh      int64 [N,H], this gate's columns, scales s_Wx and s_Rh
    bx, br      int32 [H]
    zero_point  of the gate input
    Returns     {k}_Rh_aligned, {k}_bx_aligned, {k}_br_aligned, {k}_acc, {k}_a, {k}_pre, {k}
    """
    aligned, bx_aligned, br_aligned = align(Rh, m_Rh), align(bx, m_bx), align(br, m_br)
    acc = Wx + aligned + bx_aligned + br_aligned
    a = saturate(acc, INT32)
    pre = requantize(a, m_pre, zero_point, fmt_pre)
    return {
        f"{k}_Rh_aligned": aligned,
        f"{k}_bx_aligned": bx_aligned,
        f"{k}_br_aligned": br_aligned,
        f"{k}_acc": acc,
        f"{k}_a": a,
        f"{k}_pre": pre,
        k: activate(pre, table),
    }


def mshift_candidate(
    Wx: np.ndarray,
    Rh: np.ndarray,
    bx: np.ndarray,
    br: np.ndarray,
    r: np.ndarray,
    m_br: MShift,
    m_rRh: MShift,
    m_bx: MShift,
    m_pre: MShift,
    zero_point: int,
    fmt_pre: IntFormat,
    table: DirectTable,
) -> Fields:
    """The candidate gate of datapath M.  [SPEC GM-2]

    b = saturate(Rh + align(br), int32);  c = saturate(ties_up(r*b*M, s), int32);
    a = saturate(Wx + c + align(bx), int32);  pre = requantize(a);  g = table(pre)

    Wx, Rh   int64 [N,H], the candidate's columns
    r        int64 [N,H], codes of the reset gate in [0, 127]
    Returns  g_br_aligned, g_b_acc, g_b, g_rb, g_c, g_bx_aligned, g_acc, g_a, g_pre, g
    """
    br_aligned, bx_aligned = align(br, m_br), align(bx, m_bx)
    b_acc = Rh + br_aligned
    b = saturate(b_acc, INT32)
    rb = r * b
    c = saturate(ties_up(rb * m_rRh.multiplier, m_rRh.shift), INT32)
    acc = Wx + c + bx_aligned
    a = saturate(acc, INT32)
    pre = requantize(a, m_pre, zero_point, fmt_pre)
    return {
        "g_br_aligned": br_aligned,
        "g_b_acc": b_acc,
        "g_b": b,
        "g_rb": rb,
        "g_c": c,
        "g_bx_aligned": bx_aligned,
        "g_acc": acc,
        "g_a": a,
        "g_pre": pre,
        "g": activate(pre, table),
    }


def pot_gate(
    k: str,
    Wx: np.ndarray,
    Rh: np.ndarray,
    bx: np.ndarray,
    br: np.ndarray,
    e_bx: np.ndarray,
    e_br: np.ndarray,
    op_Wx: Operator,
    op_Rh: Operator,
    op_pre: Operator,
    table: Activation,
    rounding: Rounding,
) -> Fields:
    """The update or the reset gate of datapath P; each term is rounded by itself.  [SPEC GP-2]

    k           "z" or "r", the prefix of the fields
    Wx, Rh      int64 [N,H], codes of matmul.Wx and matmul.Rh, this gate's columns
    bx, br      int32 [H] with exponents e_bx, e_br [H]
    Returns     {k}_Wx_aligned, {k}_Rh_aligned, {k}_bx_aligned, {k}_br_aligned, {k}_acc, {k}_pre, {k}
    """
    e = op_pre.exponent
    terms = {
        f"{k}_Wx_aligned": shift_round(Wx - op_Wx.zero_point, op_Wx.exponent - e, rounding),
        f"{k}_Rh_aligned": shift_round(Rh - op_Rh.zero_point, op_Rh.exponent - e, rounding),
        f"{k}_bx_aligned": shift_round(bx, e_bx - e, rounding),
        f"{k}_br_aligned": shift_round(br, e_br - e, rounding),
    }
    acc = sum(terms.values()) + op_pre.zero_point
    pre = saturate(acc, op_pre.fmt)
    return {**terms, f"{k}_acc": acc, f"{k}_pre": pre, k: activate(pre, table)}


def pot_reset_path(
    Rh: np.ndarray,
    br: np.ndarray,
    e_br: np.ndarray,
    r: np.ndarray,
    op_Rh: Operator,
    op_A: Operator,
    op_r: Operator,
    op_P: Operator,
    rounding: Rounding,
) -> Fields:
    """What the reset gate acts on: A = Rh + br, P = r * A.  [SPEC GP-3, GP-4]

    Rh       int64 [N,H], the candidate's columns of matmul.Rh
    r        int64 [N,H], codes of gate.r_out
    op_A     op.Rh_add_br;  op_P  op.rRh
    Returns  A_Rh_aligned, A_br_aligned, A_acc, A, P_prod, P_acc, P
    """
    Rh_aligned = shift_round(Rh - op_Rh.zero_point, op_Rh.exponent - op_A.exponent, rounding)
    br_aligned = shift_round(br, e_br - op_A.exponent, rounding)
    A_acc = Rh_aligned + br_aligned + op_A.zero_point
    A = saturate(A_acc, op_A.fmt)
    product = (r - op_r.zero_point) * (A - op_A.zero_point)
    P_acc = shift_round(product, op_r.exponent + op_A.exponent - op_P.exponent, rounding) + op_P.zero_point
    return {
        "A_Rh_aligned": Rh_aligned,
        "A_br_aligned": br_aligned,
        "A_acc": A_acc,
        "A": A,
        "P_prod": product,
        "P_acc": P_acc,
        "P": saturate(P_acc, op_P.fmt),
    }


def pot_candidate(
    Wx: np.ndarray,
    P: np.ndarray,
    bx: np.ndarray,
    e_bx: np.ndarray,
    op_Wx: Operator,
    op_P: Operator,
    op_pre: Operator,
    table: Activation,
    rounding: Rounding,
) -> Fields:
    """The candidate gate of datapath P.  [SPEC GP-5]

    Wx       int64 [N,H], the candidate's columns of matmul.Wx
    P        int64 [N,H], codes of op.rRh
    Returns  g_Wx_aligned, g_P_aligned, g_bx_aligned, g_acc, g_pre, g
    """
    e = op_pre.exponent
    terms = {
        "g_Wx_aligned": shift_round(Wx - op_Wx.zero_point, op_Wx.exponent - e, rounding),
        "g_P_aligned": shift_round(P - op_P.zero_point, op_P.exponent - e, rounding),
        "g_bx_aligned": shift_round(bx, e_bx - e, rounding),
    }
    acc = sum(terms.values()) + op_pre.zero_point
    pre = saturate(acc, op_pre.fmt)
    return {**terms, "g_acc": acc, "g_pre": pre, "g": activate(pre, table)}
