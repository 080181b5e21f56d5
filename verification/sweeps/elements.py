"""The twin's steps on one index of a sweep, as scalar functions that compile for the host and for a GPU.

Every function takes (i, k, v, c, f, table): the index, the number of the output, the real input, int64 and float32
constants, and an int64 table or the operators. `verification.sweeps.twin` binds the names of the twin to a target.
"""

from __future__ import annotations

from cuda_impl.activation import direct, direct_wide, piecewise_linear, piecewise_quadratic
from cuda_impl.gates import mshift_candidate, pot_reset_path
from cuda_impl.hidden import mshift_hidden, pot_hidden, zoneout_blend
from cuda_impl.intrinsics import int64
from cuda_impl.quantize import quantize, quantize_reciprocal
from cuda_impl.rescale import requantize
from cuda_impl.rounding import ties_away, ties_even, ties_up


def int32_of(i):
    """The int32 of an index."""
    return int64(i) - int64(2147483648)


def ties_up_at(i, k, v, c, f, table):
    """y"""
    return ties_up(int32_of(i), c[0])


def ties_away_at(i, k, v, c, f, table):
    """y"""
    return ties_away(int32_of(i), c[0])


def ties_even_at(i, k, v, c, f, table):
    """y"""
    return ties_even(int32_of(i), c[0])


def requantize_at(i, k, v, c, f, table):
    """q; c = M, s, zp, qmin, qmax"""
    return requantize(int32_of(i), c[0], c[1], c[2], c[3], c[4])


def quantize_at(i, k, v, c, f, table):
    """q; f = scale; c = zp, qmin, qmax"""
    return quantize(v, f[0], c[0], c[1], c[2])


def quantize_reciprocal_at(i, k, v, c, f, table):
    """q; f = inv_scale; c = zp, qmin, qmax"""
    return quantize_reciprocal(v, f[0], c[0], c[1], c[2])


def direct_at(i, k, v, c, f, table):
    """y"""
    return direct(int64(i) - int64(128), table)


def direct_wide_at(i, k, v, c, f, table):
    """y"""
    return direct_wide(int64(i) - int64(32768), table)


def piecewise_linear_at(i, k, v, c, f, table):
    """y"""
    return piecewise_linear(int64(i) - int64(32768), table)


def piecewise_quadratic_at(i, k, v, c, f, table):
    """y"""
    return piecewise_quadratic(int64(i) - int64(32768), table)


def matmul_at(i, k, v, c, f, table):
    """acc, which multiply_rows has put into the table: row x, column W"""
    return table[int64(i) >> int64(8), int64(i) & int64(255)]


def mshift_candidate_at(i, k, v, c, f, table):
    """g_rb, g_c, g_a, g_pre; c = Wx, bx, br, m_br, s_b, m_rRh, s, m_bx, m_g, zp, qmin, qmax"""
    r = int64(i) >> int64(25)
    Rh = (int64(i) & int64(33554431)) - int64(16777216)
    found = mshift_candidate(c[0], Rh, c[1], c[2], r, c[3], c[4], c[5], c[6], c[7], c[4], c[8], c[6], c[9], c[10], c[11], table)
    if k == 0:
        return found[3]
    if k == 1:
        return found[4]
    if k == 2:
        return found[7]
    return found[8]


def mshift_hidden_at(i, k, v, c, f, table):
    """n_acc, n, S, h_new; c = m_gh, s_gh, m_one, s_one, zp"""
    z = int64(i) >> int64(16)
    g = ((int64(i) >> int64(8)) & int64(255)) - int64(128)
    h = (int64(i) & int64(255)) - int64(128)
    n_acc, n, S, h_new = mshift_hidden(z, g, h, c[0], c[1], c[2], c[3], c[4])
    if k == 0:
        return n_acc
    if k == 1:
        return n
    if k == 2:
        return S
    return h_new


def pot_reset_path_at(i, k, v, c, f, table):
    """A, P_prod, P_acc, P; table = the operators; c = br, e_br"""
    r = int64(i) >> int64(8)
    Rh = (int64(i) & int64(255)) - int64(128)
    _, _, _, A, product, P_acc, P = pot_reset_path(Rh, c[0], c[1], r, table)
    if k == 0:
        return A
    if k == 1:
        return product
    if k == 2:
        return P_acc
    return P


def pot_hidden_at(i, k, v, c, f, table):
    """O_prod, O, N_prod, N, h_acc, h_new; table = the operators"""
    z = int64(i) >> int64(16)
    g = ((int64(i) >> int64(8)) & int64(255)) - int64(128)
    h = (int64(i) & int64(255)) - int64(128)
    O_prod, _, old, N_prod, _, new, _, _, h_acc, h_new = pot_hidden(z, g, h, table)
    if k == 0:
        return O_prod
    if k == 1:
        return old
    if k == 2:
        return N_prod
    if k == 3:
        return new
    if k == 4:
        return h_acc
    return h_new


def zoneout_blend_at(i, k, v, c, f, table):
    """acc, h; c = zp, qmin, qmax"""
    share = int64(i) >> int64(16)
    if share == 0:
        share = int64(32768)
    old = ((int64(i) >> int64(8)) & int64(255)) - int64(128)
    new = (int64(i) & int64(255)) - int64(128)
    acc, h = zoneout_blend(share, old, new, c[0], c[1], c[2])
    if k == 0:
        return acc
    return h
