"""The new state, and zoneout.  [SPEC GM-3, GP-6 ... GP-8, Z]"""

from __future__ import annotations

from cuda_impl.gates import (
    EXPONENT,
    OP_G,
    OP_H,
    OP_N,
    OP_O,
    OP_RUN,
    OP_Z,
    RUN_ONE,
    RUN_ROUNDING,
    ZERO_POINT,
    landed,
    moved,
)
from cuda_impl.intrinsics import float32, fmul, int64, nearest_even
from cuda_impl.rescale import align, apply
from cuda_impl.rounding import saturate, shift_round, ties_up

CODE_OF_ONE = 127
ZONEOUT_ONE = 32768


def mshift_hidden(z, g, h, m_gh, s_gh, m_one, s_one, zero_point):
    """h' of datapath M: (n_acc, n, S, h_new), int64 each.  [SPEC GM-3]"""
    n_acc = (int64(CODE_OF_ONE) - int64(z)) * int64(g)
    n = align(n_acc, m_gh, s_gh)
    S = int64(z) * (int64(h) - int64(zero_point)) + n
    return n_acc, n, S, saturate(apply(S, m_one, s_one) + int64(zero_point), -128, 127)


def pot_one(exponent, zero_point, rounding):
    """The code of 1.0 in the scale of z_out, not saturated.  [SPEC GP-6]"""
    return shift_round(int64(1), -int64(exponent), rounding) + int64(zero_point)


def pot_hidden(z, g, h, ops):
    """(O_prod, O_acc, O, N_prod, N_acc, N, h_O_aligned, h_N_aligned, h_acc, h_new), int64 each.  [SPEC GP-7, GP-8]"""
    rounding = ops[OP_RUN, RUN_ROUNDING]
    O_prod = (int64(z) - ops[OP_Z, ZERO_POINT]) * (int64(h) - ops[OP_H, ZERO_POINT])
    O_shift = ops[OP_Z, EXPONENT] + ops[OP_H, EXPONENT] - ops[OP_O, EXPONENT]
    O_acc = shift_round(O_prod, O_shift, rounding) + ops[OP_O, ZERO_POINT]
    O = landed(O_acc, OP_O, ops)  # noqa: E741
    N_prod = (ops[OP_RUN, RUN_ONE] - int64(z)) * (int64(g) - ops[OP_G, ZERO_POINT])
    N_shift = ops[OP_Z, EXPONENT] + ops[OP_G, EXPONENT] - ops[OP_N, EXPONENT]
    N_acc = shift_round(N_prod, N_shift, rounding) + ops[OP_N, ZERO_POINT]
    N = landed(N_acc, OP_N, ops)
    O_aligned = moved(O, OP_O, OP_H, ops)
    N_aligned = moved(N, OP_N, OP_H, ops)
    acc = O_aligned + N_aligned + ops[OP_H, ZERO_POINT]
    return O_prod, O_acc, O, N_prod, N_acc, N, O_aligned, N_aligned, acc, landed(acc, OP_H, ops)


def zoneout_factor(p):
    """nearest_even(f32(p * 2^15)), int64 in [0, 32768].  [SPEC Z-2]"""
    return nearest_even(fmul(float32(p), float32(32768.0)))


def zoneout_blend(k, h_prev, h_new, zero_point, qmin, qmax):
    """(acc, h): acc = k * (h_prev - zp) + (2^15 - k) * (h_new - zp), h = saturate(ties_up(acc, 15) + zp).  [SPEC Z-2]"""
    zp = int64(zero_point)
    acc = int64(k) * (int64(h_prev) - zp) + (int64(ZONEOUT_ONE) - int64(k)) * (int64(h_new) - zp)
    return acc, saturate(ties_up(acc, 15) + zp, qmin, qmax)


def zoneout_mask(mask, h_prev, h_new):
    """h_prev where mask is 1, h_new where it is 0.  [SPEC Z-1]"""
    if mask != 0:
        return int64(h_prev)
    return int64(h_new)
