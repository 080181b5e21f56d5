"""The gates of both datapaths, one unit at a time; every function returns the intermediates that the trace names.

Datapath P reads its operators from `ops`, int64 [15, 4]: row k is (exponent, zero point, qmin, qmax) of operator k of
golden.spec.layout.SCALAR_OPERATORS, in that order; the last row is (rounding, one, 0, 0).
"""

from __future__ import annotations

from cuda_impl.activation import activate
from cuda_impl.intrinsics import INT32_FIRST, INT32_LAST, int64
from cuda_impl.rescale import align, requantize
from cuda_impl.rounding import saturate, shift_round, ties_up

# rows of ops
OP_X, OP_H, OP_WX, OP_RH, OP_Z_PRE, OP_Z, OP_R_PRE, OP_R, OP_G_PRE, OP_G, OP_A, OP_P, OP_O, OP_N, OP_RUN = range(15)
# columns of ops
EXPONENT, ZERO_POINT, QMIN, QMAX = range(4)
RUN_ROUNDING, RUN_ONE = 0, 1


def mshift_gate(Wx, Rh, bx, br, m_Rh, s_Rh, m_bx, s_bx, m_br, s_br, m_pre, s_pre, zero_point, qmin, qmax, table):
    """z or r of datapath M: (Rh_aligned, bx_aligned, br_aligned, acc, a, pre, gate), int64 each.  [SPEC GM-1]"""
    Rh_aligned = align(Rh, m_Rh, s_Rh)
    bx_aligned = align(bx, m_bx, s_bx)
    br_aligned = align(br, m_br, s_br)
    acc = int64(Wx) + Rh_aligned + bx_aligned + br_aligned
    a = saturate(acc, INT32_FIRST, INT32_LAST)
    pre = requantize(a, m_pre, s_pre, zero_point, qmin, qmax)
    return Rh_aligned, bx_aligned, br_aligned, acc, a, pre, activate(pre, table)


def mshift_candidate(Wx, Rh, bx, br, r, m_br, s_br, m_rRh, s_rRh, m_bx, s_bx, m_pre, s_pre, zero_point, qmin, qmax, table):
    """g of datapath M: (br_aligned, b_acc, b, rb, c, bx_aligned, acc, a, pre, g), int64 each.  [SPEC GM-2]"""
    br_aligned = align(br, m_br, s_br)
    b_acc = int64(Rh) + br_aligned
    b = saturate(b_acc, INT32_FIRST, INT32_LAST)
    rb = int64(r) * b
    c = saturate(ties_up(rb * int64(m_rRh), s_rRh), INT32_FIRST, INT32_LAST)
    bx_aligned = align(bx, m_bx, s_bx)
    acc = int64(Wx) + c + bx_aligned
    a = saturate(acc, INT32_FIRST, INT32_LAST)
    pre = requantize(a, m_pre, s_pre, zero_point, qmin, qmax)
    return br_aligned, b_acc, b, rb, c, bx_aligned, acc, a, pre, activate(pre, table)


def pot_linear(acc, e_weight, data, out, ops):
    """Wx or Rh of datapath P from its exact product.  [SPEC GP-1]"""
    s = int64(e_weight) + ops[data, EXPONENT] - ops[out, EXPONENT]
    shifted = shift_round(acc, s, ops[OP_RUN, RUN_ROUNDING])
    return saturate(shifted + ops[out, ZERO_POINT], ops[out, QMIN], ops[out, QMAX])


def moved(code, source, target, ops):
    """RS(code - z_source, e_source - e_target)."""
    centred = int64(code) - ops[source, ZERO_POINT]
    return shift_round(centred, ops[source, EXPONENT] - ops[target, EXPONENT], ops[OP_RUN, RUN_ROUNDING])


def moved_bias(code, exponent, target, ops):
    """RS(bias, e_bias[m] - e_target)."""
    return shift_round(int64(code), int64(exponent) - ops[target, EXPONENT], ops[OP_RUN, RUN_ROUNDING])


def landed(acc, target, ops):
    """sat(acc) in the format of the target operator."""
    return saturate(acc, ops[target, QMIN], ops[target, QMAX])


def pot_gate(Wx, Rh, bx, br, e_bx, e_br, pre_op, ops, table):
    """z or r of datapath P: (Wx_aligned, Rh_aligned, bx_aligned, br_aligned, acc, pre, gate), int64 each.  [SPEC GP-2]"""
    Wx_aligned = moved(Wx, OP_WX, pre_op, ops)
    Rh_aligned = moved(Rh, OP_RH, pre_op, ops)
    bx_aligned = moved_bias(bx, e_bx, pre_op, ops)
    br_aligned = moved_bias(br, e_br, pre_op, ops)
    acc = Wx_aligned + Rh_aligned + bx_aligned + br_aligned + ops[pre_op, ZERO_POINT]
    pre = landed(acc, pre_op, ops)
    return Wx_aligned, Rh_aligned, bx_aligned, br_aligned, acc, pre, activate(pre, table)


def pot_reset_path(Rh, br, e_br, r, ops):
    """(A_Rh_aligned, A_br_aligned, A_acc, A, P_prod, P_acc, P), int64 each.  [SPEC GP-3, GP-4]"""
    Rh_aligned = moved(Rh, OP_RH, OP_A, ops)
    br_aligned = moved_bias(br, e_br, OP_A, ops)
    A_acc = Rh_aligned + br_aligned + ops[OP_A, ZERO_POINT]
    A = landed(A_acc, OP_A, ops)
    product = (int64(r) - ops[OP_R, ZERO_POINT]) * (A - ops[OP_A, ZERO_POINT])
    s = ops[OP_R, EXPONENT] + ops[OP_A, EXPONENT] - ops[OP_P, EXPONENT]
    P_acc = shift_round(product, s, ops[OP_RUN, RUN_ROUNDING]) + ops[OP_P, ZERO_POINT]
    return Rh_aligned, br_aligned, A_acc, A, product, P_acc, landed(P_acc, OP_P, ops)


def pot_candidate(Wx, P, bx, e_bx, ops, table):
    """(Wx_aligned, P_aligned, bx_aligned, acc, pre, g), int64 each.  [SPEC GP-5]"""
    Wx_aligned = moved(Wx, OP_WX, OP_G_PRE, ops)
    P_aligned = moved(P, OP_P, OP_G_PRE, ops)
    bx_aligned = moved_bias(bx, e_bx, OP_G_PRE, ops)
    acc = Wx_aligned + P_aligned + bx_aligned + ops[OP_G_PRE, ZERO_POINT]
    pre = landed(acc, OP_G_PRE, ops)
    return Wx_aligned, P_aligned, bx_aligned, acc, pre, activate(pre, table)
