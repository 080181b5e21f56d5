"""The hidden-state update of both datapaths, and zoneout.  [SPEC GM-3, GP-6 ... GP-8, Z-1, Z-2]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.rescale import align, apply
from golden.rounding import saturate, shift_round, ties_up
from golden.spec.formats import INT8, IntFormat
from golden.spec.params import MShift, Operator
from golden.spec.rounding import Rounding

CODE_OF_ONE = 127  # of the gate outputs of datapath M
ZONEOUT_BITS = 15


def mshift_hidden(
    z: np.ndarray, g: np.ndarray, h: np.ndarray, m_gh: MShift, m_one: MShift, zero_point: int
) -> dict[str, np.ndarray]:
    """h' of datapath M.  [SPEC GM-3]

    n = align((127 - z)*g, m_gh);  S = z*(h - zp_h) + n;  h' = saturate(apply(S, m_one) + zp_h, int8)

    z, g     int64 [N,H], gate codes; z in [0, 127]
    h        int64 [N,H], codes of the previous state
    Returns  n_acc, n, S, h_new
    """
    n_acc = (CODE_OF_ONE - z) * g
    n = align(n_acc, m_gh)
    S = z * (h - zero_point) + n
    return {"n_acc": n_acc, "n": n, "S": S, "h_new": saturate(apply(S, m_one) + zero_point, INT8)}


def pot_one(op_z: Operator, rounding: Rounding) -> np.ndarray:
    """The code of 1.0 in gate.z_out: RS(1, -e) + zp, not saturated.  [SPEC GP-6]"""
    return shift_round(1, -op_z.exponent, rounding) + op_z.zero_point


def pot_hidden(
    z: np.ndarray,
    g: np.ndarray,
    h: np.ndarray,
    one: np.ndarray,
    op_z: Operator,
    op_g: Operator,
    op_h: Operator,
    op_O: Operator,
    op_N: Operator,
    rounding: Rounding,
) -> dict[str, np.ndarray]:
    """h' of datapath P.  [SPEC GP-7, GP-8]

    z, g, h  int64 [N,H], codes of gate.z_out, gate.g_out, input.h
    one      GP-6
    op_O     op.old_contrib;  op_N  op.new_contrib
    Returns  O_prod, O_acc, O, N_prod, N_acc, N, h_O_aligned, h_N_aligned, h_acc, h_new
    """
    O_prod = (z - op_z.zero_point) * (h - op_h.zero_point)
    O_acc = shift_round(O_prod, op_z.exponent + op_h.exponent - op_O.exponent, rounding) + op_O.zero_point
    old = saturate(O_acc, op_O.fmt)
    N_prod = (one - z) * (g - op_g.zero_point)
    N_acc = shift_round(N_prod, op_z.exponent + op_g.exponent - op_N.exponent, rounding) + op_N.zero_point
    new = saturate(N_acc, op_N.fmt)
    O_aligned = shift_round(old - op_O.zero_point, op_O.exponent - op_h.exponent, rounding)
    N_aligned = shift_round(new - op_N.zero_point, op_N.exponent - op_h.exponent, rounding)
    h_acc = O_aligned + N_aligned + op_h.zero_point
    return {
        "O_prod": O_prod,
        "O_acc": O_acc,
        "O": old,
        "N_prod": N_prod,
        "N_acc": N_acc,
        "N": new,
        "h_O_aligned": O_aligned,
        "h_N_aligned": N_aligned,
        "h_acc": h_acc,
        "h_new": saturate(h_acc, op_h.fmt),
    }


def zoneout_factor(p: float) -> int:
    """k = nearest-even integer of f32(p * 2**15), p in [0, 1].  [SPEC Z-2]"""
    return int(np.rint(np.float32(p) * np.float32(2**ZONEOUT_BITS)))


def zoneout_blend(
    k: int, h_prev: Any, h_new: Any, zero_point: int, fmt: IntFormat
) -> tuple[np.ndarray, np.ndarray]:
    """Inference zoneout.  [SPEC Z-2]

    acc = k*(h_prev - zp) + (2**15 - k)*(h_new - zp);  h = saturate(ties_up(acc, 15) + zp, fmt)

    k              zoneout_factor(p), 0 ... 2**15
    h_prev, h_new  int64 [N,H], codes of fmt
    Returns        (acc, h), int64 [N,H]
    """
    old, new = np.asarray(h_prev, np.int64) - zero_point, np.asarray(h_new, np.int64) - zero_point
    acc = k * old + (2**ZONEOUT_BITS - k) * new
    return acc, saturate(ties_up(acc, ZONEOUT_BITS) + zero_point, fmt)


def zoneout_mask(mask: Any, h_prev: Any, h_new: Any) -> np.ndarray:
    """Training zoneout: where the mask is 1 the previous state stays, where it is 0 h' is taken.  [SPEC Z-1]"""
    return np.where(np.asarray(mask) == 1, h_prev, h_new)
