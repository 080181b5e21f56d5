"""Proven bounds of every field over all inputs and states: intervals through monotone steps, joined over the codes of z.

Steps that are monotone in each operand are golden's own, applied to the ends. Where two operands share what they depend on, the
bound treats them as independent, which can only widen it; z, which scales both terms of the new state, is enumerated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.activation import activate
from golden.cell import MShiftConstants
from golden.gates import mshift_gate, pot_gate
from golden.hidden import CODE_OF_ONE, ZONEOUT_BITS, pot_one, zoneout_factor
from golden.rescale import align, apply, requantize
from golden.rounding import saturate, shift_round, ties_up
from golden.spec.formats import INT8, INT32, IntFormat
from golden.spec.layout import GATES
from golden.spec.params import PotParams
from verification.widths.columns import by_gate, data_of, gate_arguments, pot_biases, rescaled

Interval = np.ndarray  # int64 [2, U]: least, greatest
Bounds = dict[str, np.ndarray]


class Codes:
    """What a table gives over an interval of its input: the extremes, and the codes themselves."""

    def __init__(self, table: Any) -> None:
        self.fmt: IntFormat = table.fmt_in
        self.values = activate(np.arange(self.fmt.qmin, self.fmt.qmax + 1), table)
        self._known: dict[tuple[int, int], np.ndarray] = {}

    def over(self, low: int, high: int) -> np.ndarray:
        """The codes over low ... high, each once, ascending."""
        if (low, high) not in self._known:
            self._known[low, high] = np.unique(self.values[low - self.fmt.qmin : high - self.fmt.qmin + 1])
        return self._known[low, high]

    def hull(self, pre: Interval) -> Interval:
        """The extremes for each unit."""
        found = [self.over(int(a), int(b))[[0, -1]] for a, b in pre.T]
        return np.stack(found, axis=1)


def bounds(
    params: Any, wx: dict[str, Interval], rh: dict[str, Interval], units: np.ndarray, zoneout: float = 0.0, h: Any = None
) -> Bounds:
    """Field -> int64 [2, U] that no x and h of the formats leaves; names as columns.evaluate has them.

    wx, rh  gate -> intervals [2, U] that hold the dot products of these units
    h       an interval [2, U] of the units' own states, or None for their format
    """
    d = data_of(params)
    own = np.repeat([[d.fmt_h.qmin], [d.fmt_h.qmax]], len(units), axis=1) if h is None else h
    found = (_pot if isinstance(params, PotParams) else _mshift)(params, wx, rh, units, own - d.zp_h)
    if zoneout > 0:
        k = zoneout_factor(zoneout)
        found["h_zoneout_acc"] = k * (own - d.zp_h) + (2**ZONEOUT_BITS - k) * (found["h_new"] - d.zp_h)
    return {name: v if np.ndim(v) == 2 else np.broadcast_to(v, (2, len(units))) for name, v in found.items()}


def _hull(*values: Any) -> Interval:
    """The interval of the corner values."""
    stacked = np.stack(np.broadcast_arrays(*values))
    return np.stack([stacked.min(axis=0), stacked.max(axis=0)])


def _product(a: Interval, b: Interval) -> Interval:
    return _hull(*(a[i] * b[j] for i in (0, 1) for j in (0, 1)))


def _mshift(p: Any, wx: dict[str, Interval], rh: dict[str, Interval], units: np.ndarray, h: Interval) -> Bounds:
    c = MShiftConstants.of(p)
    f: Any = {f"Wx:{k}": wx[k] for k in GATES} | {f"Rh:{k}": rh[k] for k in GATES}
    codes = {k: Codes(c.tables[k]) for k in GATES}
    for k in ("z", "r"):
        f |= mshift_gate(k, wx[k], rh[k], *gate_arguments(p, k, units))
        f[k] = codes[k].hull(f[f"{k}_pre"])
    f["g_br_aligned"], f["g_bx_aligned"] = (
        align(by_gate(b, units)["g"], c.m[m]) for b, m in ((c.br, "m_br_g"), (c.bx, "m_bx"))
    )
    f["g_b_acc"] = rh["g"] + f["g_br_aligned"]
    f["g_b"] = saturate(f["g_b_acc"], INT32)
    f["g_rb"] = _product(f["r"], f["g_b"])
    m = c.m["m_rRh"]
    f["g_c"] = saturate(ties_up(f["g_rb"] * m.multiplier, m.shift), INT32)
    f["g_acc"] = wx["g"] + f["g_c"] + f["g_bx_aligned"]
    f["g_a"] = saturate(f["g_acc"], INT32)
    f["g_pre"] = requantize(f["g_a"], c.m["m_g"], c.pre["g"], c.fmt_pre)
    f["g"] = codes["g"].hull(f["g_pre"])
    n_acc, total = [], []
    for i in range(len(units)):
        z = codes["z"].over(*(int(v) for v in f["z_pre"][:, i]))
        n = (CODE_OF_ONE - z) * f["g"][:, i : i + 1]
        n_acc.append([n.min(), n.max()])
        S = z * h[:, i : i + 1] + align(n, c.m["m_gh"])  # both terms grow with h and g, for 0 <= z <= 127
        total.append([S[0].min(), S[1].max()])
    f["n_acc"] = np.array(n_acc).T
    f["n"] = align(f["n_acc"], c.m["m_gh"])
    f["S"] = np.array(total).T
    f["h_new"] = saturate(apply(f["S"], c.m["m_one"]) + p.zp_h, INT8)
    return f


def _pot(p: PotParams, wx_acc: dict[str, Interval], rh_acc: dict[str, Interval], units: np.ndarray, h: Interval) -> Bounds:
    op, rs = p.operators, p.rounding
    wx, rh = rescaled(p, "Wx", wx_acc, units), rescaled(p, "Rh", rh_acc, units)
    one = pot_one(op["gate.z_out"], rs)
    f: Any = {"one": one}
    for name, values in (("Wx_acc", wx_acc), ("Wx", wx), ("Rh_acc", rh_acc), ("Rh", rh)):
        f |= {f"{name}:{k}": values[k] for k in GATES}
    codes = {k: Codes(getattr(p, f"act_{k}")) for k in GATES}
    for k in ("z", "r"):
        f |= pot_gate(k, wx[k], rh[k], *gate_arguments(p, k, units))
        f[k] = codes[k].hull(f[f"{k}_pre"])
    bx, br, e_bx, e_br = (by_gate(a, units)["g"] for a in pot_biases(p))

    def term(v: Any, source: str, target: str) -> np.ndarray:
        return shift_round(v - op[source].zero_point, op[source].exponent - op[target].exponent, rs)

    A, P, pre = op["op.Rh_add_br"], op["op.rRh"], op["gate.g_pre"]
    f["A_Rh_aligned"] = term(rh["g"], "matmul.Rh", "op.Rh_add_br")
    f["A_br_aligned"] = shift_round(br, e_br - A.exponent, rs)
    f["A_acc"] = f["A_Rh_aligned"] + f["A_br_aligned"] + A.zero_point
    f["A"] = saturate(f["A_acc"], A.fmt)
    r = op["gate.r_out"]
    f["P_prod"] = _product(f["r"] - r.zero_point, f["A"] - A.zero_point)
    f["P_acc"] = shift_round(f["P_prod"], r.exponent + A.exponent - P.exponent, rs) + P.zero_point
    f["P"] = saturate(f["P_acc"], P.fmt)
    f["g_Wx_aligned"], f["g_P_aligned"] = term(wx["g"], "matmul.Wx", "gate.g_pre"), term(f["P"], "op.rRh", "gate.g_pre")
    f["g_bx_aligned"] = shift_round(bx, e_bx - pre.exponent, rs)
    f["g_acc"] = f["g_Wx_aligned"] + f["g_P_aligned"] + f["g_bx_aligned"] + pre.zero_point
    f["g_pre"] = saturate(f["g_acc"], pre.fmt)
    f["g"] = codes["g"].hull(f["g_pre"])
    return f | _pot_new_state(p, codes["z"], f, int(one), h)


def _pot_new_state(p: PotParams, codes: Codes, f: Bounds, one: int, h: Interval) -> Bounds:
    """GP-7 and GP-8 for each code of z, with h and g at their ends."""
    op, rs = p.operators, p.rounding
    z_op, g_op, h_op = (op[n] for n in ("gate.z_out", "gate.g_out", "input.h"))
    known: dict[tuple[int, ...], dict[str, list[int]]] = {}
    columns = []
    for pre, g, own in zip(f["z_pre"].T.tolist(), f["g"].T.tolist(), h.T.tolist(), strict=True):
        key = (*pre, *g, *own)
        if key not in known:
            z = codes.over(*pre)
            v: dict[str, np.ndarray] = {"O_prod": (z - z_op.zero_point) * np.array(own)[:, None]}
            v["N_prod"] = (one - z) * (np.array(g)[:, None] - g_op.zero_point)
            for k, out, e in (("O", op["op.old_contrib"], h_op.exponent), ("N", op["op.new_contrib"], g_op.exponent)):
                v[f"{k}_acc"] = shift_round(v[f"{k}_prod"], z_op.exponent + e - out.exponent, rs) + out.zero_point
                v[k] = saturate(v[f"{k}_acc"], out.fmt)
                v[f"h_{k}_aligned"] = shift_round(v[k] - out.zero_point, out.exponent - h_op.exponent, rs)
            old, new = v["h_O_aligned"], v["h_N_aligned"]
            v["h_acc"] = np.stack([old.min(axis=0) + new.min(axis=0), old.max(axis=0) + new.max(axis=0)]) + h_op.zero_point
            v["h_new"] = saturate(v["h_acc"], h_op.fmt)
            known[key] = {name: [int(a.min()), int(a.max())] for name, a in v.items()}
        columns.append(known[key])
    return {name: np.array([c[name] for c in columns], np.int64).T for name in columns[0]}
