"""The new state of one unit, and zoneout.  [SPEC GM-3, GP-6 ... GP-8, Z-1, Z-2]"""

from __future__ import annotations

from golden.spec.formats import INT8, IntFormat
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from verification.exact import binary32
from verification.exact.gates import Op
from verification.exact.quantize import nearest_even
from verification.exact.rescale import align, apply
from verification.exact.rounding import saturate, shift_round, ties_up

ONE_M = 127  # the code of one on datapath M  [SPEC X-4]


def mshift_hidden(z: int, g: int, h: int, zp_h: int, m_gh: MShift, m_one: MShift) -> dict[str, int]:
    """h' of datapath M.  [SPEC GM-3]"""
    f = {"n_acc": (ONE_M - z) * g}
    f["n"] = align(f["n_acc"], m_gh)
    f["S"] = z * (h - zp_h) + f["n"]
    f["h_new"] = saturate(apply(f["S"], m_one) + zp_h, INT8)
    return f


def pot_one(op_z: Op, rounding: Rounding) -> int:
    """The code of 1.0 at the update gate, not saturated.  [SPEC GP-6]"""
    return shift_round(1, -op_z.exponent, rounding) + op_z.zero_point


def pot_hidden(
    z: int,
    g: int,
    h: int,
    one: int,
    op_z: Op,
    op_g: Op,
    op_h: Op,
    op_O: Op,
    op_N: Op,
    rounding: Rounding,
) -> dict[str, int]:
    """O, N and h' of datapath P.  [SPEC GP-7, GP-8]"""
    f = {"O_prod": (z - op_z.zero_point) * (h - op_h.zero_point)}
    f["O_acc"] = shift_round(f["O_prod"], op_z.exponent + op_h.exponent - op_O.exponent, rounding) + op_O.zero_point
    f["O"] = saturate(f["O_acc"], op_O.fmt)
    f["N_prod"] = (one - z) * (g - op_g.zero_point)
    f["N_acc"] = shift_round(f["N_prod"], op_z.exponent + op_g.exponent - op_N.exponent, rounding) + op_N.zero_point
    f["N"] = saturate(f["N_acc"], op_N.fmt)
    f["h_O_aligned"] = shift_round(f["O"] - op_O.zero_point, op_O.exponent - op_h.exponent, rounding)
    f["h_N_aligned"] = shift_round(f["N"] - op_N.zero_point, op_N.exponent - op_h.exponent, rounding)
    f["h_acc"] = f["h_O_aligned"] + f["h_N_aligned"] + op_h.zero_point
    f["h_new"] = saturate(f["h_acc"], op_h.fmt)
    return f


def zoneout_mask(mask: int, h_prev: int, h_new: int) -> int:
    """1 keeps the previous state, 0 takes the new one.  [SPEC Z-1]"""
    return h_prev if mask == 1 else h_new


def zoneout_factor(p: float) -> int:
    """k = nearest-even of f32(p * 2**15), 0 <= p <= 1.  [SPEC Z-2]"""
    return nearest_even(binary32.mul(binary32.nearest(p), 2.0**15))


def zoneout_blend(k: int, h_prev: int, h_new: int, zero_point: int, fmt: IntFormat) -> tuple[int, int]:
    """(acc, h): the exact sum k*(h_prev - zp) + (2**15 - k)*(h' - zp), and the blended state.  [SPEC Z-2]"""
    acc = k * (h_prev - zero_point) + (2**15 - k) * (h_new - zero_point)
    return acc, saturate(ties_up(acc, 15) + zero_point, fmt)
