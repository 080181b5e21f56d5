"""A step of the cell for chosen units, from their dot products; golden's own steps, on arrays of any shape."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from golden.cell import MShiftConstants
from golden.gates import mshift_candidate, mshift_gate, pot_candidate, pot_gate, pot_reset_path
from golden.hidden import mshift_hidden, pot_hidden, pot_one, zoneout_blend, zoneout_factor
from golden.rounding import saturate, shift_round
from golden.spec.formats import IntFormat
from golden.spec.layout import GATES
from golden.spec.params import PotParams

Columns = dict[str, np.ndarray]


class Data(NamedTuple):
    """Formats and zero points of what a step is free to choose."""

    fmt_x: IntFormat
    zp_x: int
    fmt_h: IntFormat
    zp_h: int


def data_of(params: Any) -> Data:
    """Formats and zero points of x and h of a static set."""
    if isinstance(params, PotParams):
        x, h = params.operators["input.x"], params.operators["input.h"]
        return Data(x.fmt, x.zero_point, h.fmt, h.zero_point)
    return Data(params.fmt_x, params.zp_x, params.fmt_h, params.zp_h)


def products(params: Any) -> tuple[str, str]:
    """The fields that hold the exact dot products."""
    return ("Wx_acc", "Rh_acc") if isinstance(params, PotParams) else ("Wx", "Rh")


def by_gate(array: Any, units: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of these units of each gate of a [..., 3H] array, int64."""
    parts = np.split(np.asarray(array, np.int64), 3, axis=-1)
    return {k: part[..., units] for k, part in zip(GATES, parts, strict=True)}


def evaluate(params: Any, wx: Columns, rh: Columns, h: np.ndarray, units: np.ndarray, zoneout: float = 0.0) -> Columns:
    """Every field of a step for some units.

    params   a static set of either datapath
    wx, rh   gate -> int64 [..., U], the exact dot products of the units' columns
    h        int64 [..., U], the previous state of the units
    units    [U]
    zoneout  probability; above 0 the blend is computed too
    Returns  field -> int64 [..., U] or [U]; a field over 3H channels is "NAME:gate"
    """
    fields = (_pot if isinstance(params, PotParams) else _mshift)(params, wx, rh, h, units)
    if zoneout > 0:
        d = data_of(params)
        acc, _ = zoneout_blend(zoneout_factor(zoneout), h, fields["h_new"], d.zp_h, d.fmt_h)
        fields["h_zoneout_acc"] = acc
    return fields


def gate_arguments(params: Any, k: str, units: np.ndarray) -> tuple[Any, ...]:
    """What mshift_gate or pot_gate takes after Wx and Rh of a gate k, z or r."""
    bx, br = by_gate(params.bx, units)[k], by_gate(params.br, units)[k]
    if isinstance(params, PotParams):
        op = params.operators
        e_bx, e_br = (by_gate(op[f"weight.{b}"].exponent, units)[k] for b in ("bx", "br"))
        ops = (op["matmul.Wx"], op["matmul.Rh"], op[f"gate.{k}_pre"])
        return (bx, br, e_bx, e_br, *ops, getattr(params, f"act_{k}"), params.rounding)
    c = MShiftConstants.of(params)
    m = (c.m[f"m_Rh_{k}"], c.m["m_bx"], c.m[f"m_br_{k}"], c.m[f"m_{k}"])
    return (bx, br, *m, c.pre[k], c.fmt_pre, c.tables[k])


def _mshift(params: Any, wx: Columns, rh: Columns, h: np.ndarray, units: np.ndarray) -> Columns:
    c = MShiftConstants.of(params)
    fields: Any = {f"Wx:{k}": wx[k] for k in GATES} | {f"Rh:{k}": rh[k] for k in GATES}
    for k in ("z", "r"):
        fields |= mshift_gate(k, wx[k], rh[k], *gate_arguments(params, k, units))
    m = (c.m["m_br_g"], c.m["m_rRh"], c.m["m_bx"], c.m["m_g"])
    biases = by_gate(c.bx, units)["g"], by_gate(c.br, units)["g"]
    fields |= mshift_candidate(wx["g"], rh["g"], *biases, fields["r"], *m, c.pre["g"], c.fmt_pre, c.tables["g"])
    return fields | mshift_hidden(fields["z"], fields["g"], h, c.m["m_gh"], c.m["m_one"], c.zp_h)


def rescaled(params: PotParams, key: str, acc: Columns, units: np.ndarray) -> Columns:
    """Wx or Rh of datapath P by gate, from the dot products.  [SPEC GP-1]"""
    op, weight, source = params.operators, {"Wx": "W", "Rh": "R"}[key], {"Wx": "input.x", "Rh": "input.h"}[key]
    out = op[f"matmul.{key}"]
    shifts = by_gate(op[f"weight.{weight}"].exponent, units)
    found = {}
    for k in GATES:
        shift = shifts[k] + op[source].exponent - out.exponent
        found[k] = saturate(shift_round(acc[k], shift, params.rounding) + out.zero_point, out.fmt)
    return found


def _pot(params: PotParams, wx_acc: Columns, rh_acc: Columns, h: np.ndarray, units: np.ndarray) -> Columns:
    op, rs = params.operators, params.rounding
    wx, rh = rescaled(params, "Wx", wx_acc, units), rescaled(params, "Rh", rh_acc, units)
    fields: Any = {"one": pot_one(op["gate.z_out"], rs)}
    for name, values in (("Wx_acc", wx_acc), ("Wx", wx), ("Rh_acc", rh_acc), ("Rh", rh)):
        fields |= {f"{name}:{k}": values[k] for k in GATES}
    for k in ("z", "r"):
        fields |= pot_gate(k, wx[k], rh[k], *gate_arguments(params, k, units))
    bx, br, e_bx, e_br = (by_gate(a, units)["g"] for a in pot_biases(params))
    ops = op["matmul.Rh"], op["op.Rh_add_br"], op["gate.r_out"], op["op.rRh"]
    fields |= pot_reset_path(rh["g"], br, e_br, fields["r"], *ops, rs)
    pre = op["matmul.Wx"], op["op.rRh"], op["gate.g_pre"]
    fields |= pot_candidate(wx["g"], fields["P"], bx, e_bx, *pre, params.act_g, rs)
    gates, out = (op["gate.z_out"], op["gate.g_out"]), (op["op.old_contrib"], op["op.new_contrib"])
    return fields | pot_hidden(fields["z"], fields["g"], h, fields["one"], *gates, op["input.h"], *out, rs)


def pot_biases(params: PotParams) -> tuple[Any, Any, Any, Any]:
    """bx, br and their exponents, [3H] each."""
    op = params.operators
    return params.bx, params.br, op["weight.bx"].exponent, op["weight.br"].exponent
