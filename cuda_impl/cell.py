"""One time step of one unit, every intermediate named.  [SPEC G-M, G-P]

mshift_cell reads its multipliers, shifts and zero points from a row of numbers `m`, int64 [COLUMNS], laid out below;
pot_cell reads its operators from `ops` (see gates.py).
"""

from __future__ import annotations

from cuda_impl.gates import (
    OP_H,
    OP_R_PRE,
    OP_RH,
    OP_WX,
    OP_X,
    OP_Z_PRE,
    mshift_candidate,
    mshift_gate,
    pot_candidate,
    pot_gate,
    pot_linear,
    pot_reset_path,
)
from cuda_impl.hidden import mshift_hidden, pot_hidden

# columns of m: the twelve multipliers in the order of golden.spec.layout.MULTIPLIERS, then their shifts, then the rest
M_RH_Z, M_RH_R, M_BX, M_BR_Z, M_BR_R, M_BR_G, M_Z, M_R, M_G, M_RRH, M_GH, M_ONE = range(12)
S_RH_Z, S_RH_R, S_BX, S_BR_Z, S_BR_R, S_BR_G, S_Z, S_R, S_G, S_RRH, S_GH, S_ONE_SHIFT = range(12, 24)
ZP_X, ZP_H, ZP_Z, ZP_R, ZP_G, PRE_QMIN, PRE_QMAX, M_H, S_H_SHIFT, ZP_H_OLD, COLUMNS = range(24, 35)

# how the results of a cell are grouped: int32 per unit, int64 per unit, bias terms
MSHIFT_32 = (
    "z_Rh_aligned", "z_a", "z_pre", "z",
    "r_Rh_aligned", "r_a", "r_pre", "r",
    "g_b", "g_c", "g_a", "g_pre", "g",
    "n_acc", "n", "h_new",
)  # fmt: skip
MSHIFT_64 = ("z_acc", "r_acc", "g_b_acc", "g_rb", "g_acc", "S")
MSHIFT_BIAS = ("z_bx_aligned", "z_br_aligned", "r_bx_aligned", "r_br_aligned", "g_br_aligned", "g_bx_aligned")
POT_32 = ("z_pre", "z", "r_pre", "r", "A", "P", "g_pre", "g", "O", "N", "h_new")
POT_64 = (
    "z_Wx_aligned", "z_Rh_aligned", "z_acc",
    "r_Wx_aligned", "r_Rh_aligned", "r_acc",
    "A_Rh_aligned", "A_acc", "P_prod", "P_acc",
    "g_Wx_aligned", "g_P_aligned", "g_acc",
    "O_prod", "O_acc", "N_prod", "N_acc", "h_O_aligned", "h_N_aligned", "h_acc",
)  # fmt: skip
POT_BIAS = ("z_bx_aligned", "z_br_aligned", "r_bx_aligned", "r_br_aligned", "A_br_aligned", "g_bx_aligned")


def mshift_cell(Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, bx_z, bx_r, bx_g, br_z, br_r, br_g, h, m, table_z, table_r, table_g):
    """The results of one unit as three tuples, in the order of MSHIFT_32, MSHIFT_64 and MSHIFT_BIAS.  [SPEC GM-1 ... GM-3]"""
    z_Rh, z_bx, z_br, z_acc, z_a, z_pre, z = mshift_gate(
        Wx_z, Rh_z, bx_z, br_z, m[M_RH_Z], m[S_RH_Z], m[M_BX], m[S_BX], m[M_BR_Z], m[S_BR_Z],
        m[M_Z], m[S_Z], m[ZP_Z], m[PRE_QMIN], m[PRE_QMAX], table_z,
    )  # fmt: skip
    r_Rh, r_bx, r_br, r_acc, r_a, r_pre, r = mshift_gate(
        Wx_r, Rh_r, bx_r, br_r, m[M_RH_R], m[S_RH_R], m[M_BX], m[S_BX], m[M_BR_R], m[S_BR_R],
        m[M_R], m[S_R], m[ZP_R], m[PRE_QMIN], m[PRE_QMAX], table_r,
    )  # fmt: skip
    g_br, b_acc, b, rb, c, g_bx, g_acc, g_a, g_pre, g = mshift_candidate(
        Wx_g, Rh_g, bx_g, br_g, r, m[M_BR_G], m[S_BR_G], m[M_RRH], m[S_RRH], m[M_BX], m[S_BX],
        m[M_G], m[S_G], m[ZP_G], m[PRE_QMIN], m[PRE_QMAX], table_g,
    )  # fmt: skip
    n_acc, n, S, h_new = mshift_hidden(z, g, h, m[M_GH], m[S_GH], m[M_ONE], m[S_ONE_SHIFT], m[ZP_H])
    return (
        (z_Rh, z_a, z_pre, z, r_Rh, r_a, r_pre, r, b, c, g_a, g_pre, g, n_acc, n, h_new),
        (z_acc, r_acc, b_acc, rb, g_acc, S),
        (z_bx, z_br, r_bx, r_br, g_br, g_bx),
    )


def pot_products(Wx_acc, Rh_acc, e_W, e_R, ops):
    """(Wx, Rh) of one channel.  [SPEC GP-1]"""
    return pot_linear(Wx_acc, e_W, OP_X, OP_WX, ops), pot_linear(Rh_acc, e_R, OP_H, OP_RH, ops)


def pot_cell(
    Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, bx_z, bx_r, bx_g, br_z, br_r, br_g,
    e_bx_z, e_bx_r, e_bx_g, e_br_z, e_br_r, e_br_g, h, ops, table_z, table_r, table_g,
):  # fmt: skip
    """The results of one unit as three tuples, in the order of POT_32, POT_64 and POT_BIAS.  [SPEC GP-2 ... GP-8]"""
    z_Wx, z_Rh, z_bx, z_br, z_acc, z_pre, z = pot_gate(Wx_z, Rh_z, bx_z, br_z, e_bx_z, e_br_z, OP_Z_PRE, ops, table_z)
    r_Wx, r_Rh, r_bx, r_br, r_acc, r_pre, r = pot_gate(Wx_r, Rh_r, bx_r, br_r, e_bx_r, e_br_r, OP_R_PRE, ops, table_r)
    A_Rh, A_br, A_acc, A, P_prod, P_acc, P = pot_reset_path(Rh_g, br_g, e_br_g, r, ops)
    g_Wx, g_P, g_bx, g_acc, g_pre, g = pot_candidate(Wx_g, P, bx_g, e_bx_g, ops, table_g)
    O_prod, O_acc, O, N_prod, N_acc, N, h_O, h_N, h_acc, h_new = pot_hidden(z, g, h, ops)  # noqa: E741
    return (
        (z_pre, z, r_pre, r, A, P, g_pre, g, O, N, h_new),
        (
            z_Wx, z_Rh, z_acc, r_Wx, r_Rh, r_acc, A_Rh, A_acc, P_prod, P_acc,
            g_Wx, g_P, g_acc, O_prod, O_acc, N_prod, N_acc, h_O, h_N, h_acc,
        ),
        (z_bx, z_br, r_bx, r_br, A_br, g_bx),
    )  # fmt: skip
