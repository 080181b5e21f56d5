"""Flags of the integer steps: shifts, saturations, products, tables, gates, the hidden update, zoneout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.rescale import apply
from golden.rounding import shift_round, ties_away
from golden.spec.formats import INT8, INT32, IntFormat
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear
from vectors.marks import Marks, bound_marks, merge, shift_marks
from vectors.stages import Stage

ONE = 127
HALF_ONE = 2**14


def _fmt(s: Stage, suffix: str = "") -> IntFormat:
    return IntFormat(s.constants[f"bits{suffix}"], bool(s.constants[f"signed{suffix}"]))


def _m(s: Stage, suffix: str = "") -> MShift:
    return MShift(s.constants[f"M{suffix}"], s.constants[f"s{suffix}"])


def _scaled(v: np.ndarray, m: MShift) -> Marks:
    """A product with a multiplier, shifted; v int32."""
    product = v * m.multiplier
    marks = shift_marks(product, np.int64(m.shift), upward=True)
    marks["wide_product"] = np.abs(product) >= 2**31
    marks["beyond_float64"] = np.abs(product) >= 2**53
    marks["multiplier_zero"] = np.full(v.shape, m.multiplier == 0) & (v != 0)
    return marks


def _renamed(marks: Marks, stem: str) -> Marks:
    return {f"{stem}_low": marks["saturates_low"], f"{stem}_high": marks["saturates_high"]}


def _saturate(s: Stage) -> Marks:
    return bound_marks(s.columns["v"], _fmt(s))


def _ties_up(s: Stage) -> Marks:
    x, k = s.columns["x"], s.columns["s"]
    half = np.int64(1) << np.minimum(np.maximum(k - 1, 0), 62)
    return {**shift_marks(x, k, upward=True), "addend_overflow": (k > 0) & ((k > 63) | (x > np.int64(2**63 - 1) - half))}


def _ties(s: Stage) -> Marks:
    return shift_marks(s.columns["x"], s.columns["s"])


def _apply(s: Stage) -> Marks:
    return _scaled(s.columns["v"], _m(s))


def _align(s: Stage) -> Marks:
    return merge(_scaled(s.columns["v"], _m(s)), bound_marks(apply(s.columns["v"], _m(s)), INT32))


def _requantize(s: Stage) -> Marks:
    raw = apply(s.columns["v"], _m(s)) + s.constants["zp"]
    return merge(_scaled(s.columns["v"], _m(s)), bound_marks(raw, _fmt(s)))


def _linear(s: Stage) -> Marks:
    acc, codes = s.columns["acc"], s.columns["codes"]
    return {
        "wide_accumulator": np.abs(acc) >= 2**31,
        "zero_point_matters": acc != (codes * s.columns["weights"]).sum(axis=-1),
    }


def _activation(s: Stage, q: np.ndarray) -> Marks:
    """What a table meets: its edges, its addressing, its segments."""
    table: Any = s.table
    if isinstance(table, DirectTable):
        if table.fmt_in.bits == 16:
            index = ((q + 32768) * 255 + 32767) // 65535
            marks = {"address_rounding": index != (q >> 8) + 128}
        else:
            index = q + 128
            marks = {}
        return {**marks, "table_edge": (index == 0) | (index == 255), "negative_index": q < 0}
    low, high = table.fmt_in.qmin, table.fmt_in.qmax
    inside = np.minimum(np.maximum(q, low), high)
    inner = table.thresholds[:-1].astype(np.int64)
    segment = np.searchsorted(inner, inside, side="right")
    boundary = np.isin(inside, inner) | np.isin(inside + 1, inner)
    marks = {
        "segment_boundary": boundary,
        "table_edge": (segment == 0) | (segment == len(table.thresholds) - 1),
        "input_outside": q != inside,
    }
    if isinstance(table, PiecewiseLinear):
        product = table.slopes.astype(np.int64)[segment] * (inside - table.zero_point_in)
        shifts = table.shifts[segment]
        raw = ties_away(product, shifts) + table.intercepts[segment]
        return merge(marks, shift_marks(product, shifts), bound_marks(raw, table.fmt_out))
    d = inside - table.origins[segment]
    first = table.c2.astype(np.int64)[segment] * d
    inner_sum = ties_away(first, table.p[segment]) + table.c1[segment]
    second = inner_sum * d
    raw = ties_away(second, table.n[segment]) + table.c0[segment]
    shifts = [shift_marks(first, table.p[segment]), shift_marks(second, table.n[segment])]
    return merge(marks, *shifts, bound_marks(raw, table.fmt_out))


def _table(s: Stage) -> Marks:
    return _activation(s, s.columns["q"])


def _pre(s: Stage) -> Marks:
    """From the int32 accumulator to the gate's input and through its table, datapath M."""
    m, fmt = _m(s, "_pre"), _fmt(s, "_pre")
    raw = apply(s.columns["a"], m) + s.constants["zp_pre"]
    sums = _renamed(bound_marks(s.columns["acc"], INT32), "accumulator_saturates")
    return merge(_scaled(s.columns["a"], m), bound_marks(raw, fmt), _activation(s, s.columns["pre"]), sums)


def _aligned(s: Stage, name: str, v: np.ndarray) -> Marks:
    raw = apply(v, _m(s, f"_{name}"))
    return merge(_scaled(v, _m(s, f"_{name}")), _renamed(bound_marks(raw, INT32), "align_saturates"))


def _mshift_gate(s: Stage) -> Marks:
    return merge(_pre(s), *(_aligned(s, name, s.columns[name]) for name in ("Rh", "bx", "br")))


def _mshift_candidate(s: Stage) -> Marks:
    m, rb, r = _m(s, "_rRh"), s.columns["rb"], s.columns["r"]
    product = rb * m.multiplier
    raw = shift_round(product, np.int64(m.shift), Rounding.TIES_UP)
    path = merge(
        shift_marks(product, np.int64(m.shift), upward=True), _renamed(bound_marks(raw, INT32), "reset_path_saturates")
    )
    b = _renamed(bound_marks(s.columns["b_acc"], INT32), "accumulator_saturates")
    gates = {"reset_closed": r == 0, "reset_open": r == ONE}
    return merge(_pre(s), path, b, gates, *(_aligned(s, name, s.columns[name]) for name in ("bx", "br")))


def _mshift_hidden(s: Stage) -> Marks:
    m = _m(s, "_one")
    raw = apply(s.columns["S"], m) + s.constants["zp"]
    gates = {"update_closed": s.columns["z"] == ONE, "update_open": s.columns["z"] == 0}
    return merge(_scaled(s.columns["S"], m), bound_marks(raw, INT8), _aligned(s, "gh", s.columns["n_acc"]), gates)


def _rounding(s: Stage) -> Rounding:
    return Rounding.TIES_EVEN if s.constants["ties_even"] else Rounding.TIES_AWAY


def _terms(s: Stage, out: str, terms: list[tuple[np.ndarray, Any]]) -> Marks:
    """Terms that are rounded one by one: where rounding their sum once gives another number."""
    c = s.constants
    shifts = [np.broadcast_to(np.asarray(k, np.int64), v.shape) for v, k in terms]
    marks = merge(*(shift_marks(v, k) for (v, _), k in zip(terms, shifts, strict=True)))
    common = np.maximum(np.max(shifts, axis=0), 0)
    room = np.ones(common.shape, bool)
    for (v, _), k in zip(terms, shifts, strict=True):
        room &= np.abs(v) < np.int64(1) << np.maximum(60 - (common - k), 0)
    total = sum(np.where(room, v, 0) << np.where(room, common - k, 0) for (v, _), k in zip(terms, shifts, strict=True))
    once = shift_round(total, common, _rounding(s)) + c[f"zp_{out}"]
    apart = sum(shift_round(v, k, _rounding(s)) for (v, _), k in zip(terms, shifts, strict=True)) + c[f"zp_{out}"]
    return {**marks, "rounded_term_by_term": room & (once != apart)}


def _pot_gate(s: Stage) -> Marks:
    c, x = s.constants, s.columns
    e = c["e_pre"]
    terms: list[Any] = [(x["Wx"] - c["zp_Wx"], c["e_Wx"] - e), (x["Rh"] - c["zp_Rh"], c["e_Rh"] - e)]
    terms += [(x["bx"], x["e_bx"] - e), (x["br"], x["e_br"] - e)]
    return merge(_terms(s, "pre", terms), bound_marks(x["acc"], _fmt(s, "_pre")), _activation(s, x["pre"]))


def _pot_reset_path(s: Stage) -> Marks:
    c, x = s.constants, s.columns
    terms: list[Any] = [(x["Rh"] - c["zp_Rh"], c["e_Rh"] - c["e_A"]), (x["br"], x["e_br"] - c["e_A"])]
    product = shift_marks(x["P_prod"], np.int64(c["e_r"] + c["e_A"] - c["e_P"]))
    gates = {"reset_closed": x["r"] == c["zp_r"]}
    return merge(
        _terms(s, "A", terms), product, bound_marks(x["A_acc"], _fmt(s, "_A")), bound_marks(x["P_acc"], _fmt(s, "_P")), gates
    )


def _pot_candidate(s: Stage) -> Marks:
    c, x = s.constants, s.columns
    e = c["e_pre"]
    terms: list[Any] = [(x["Wx"] - c["zp_Wx"], c["e_Wx"] - e), (x["P"] - c["zp_P"], c["e_P"] - e), (x["bx"], x["e_bx"] - e)]
    return merge(_terms(s, "pre", terms), bound_marks(x["acc"], _fmt(s, "_pre")), _activation(s, x["pre"]))


def _pot_hidden(s: Stage) -> Marks:
    c, x = s.constants, s.columns
    products = [
        shift_marks(x["O_prod"], np.int64(c["e_z"] + c["e_h"] - c["e_O"])),
        shift_marks(x["N_prod"], np.int64(c["e_z"] + c["e_g"] - c["e_N"])),
    ]
    terms: list[Any] = [(x["O"] - c["zp_O"], c["e_O"] - c["e_h"]), (x["N"] - c["zp_N"], c["e_N"] - c["e_h"])]
    sums = [bound_marks(x[f"{k}_acc"], _fmt(s, f"_{k}")) for k in ("O", "N", "h")]
    one = x["one"]
    gates = {
        "update_closed": x["z"] == one,
        "update_open": x["z"] == c["zp_z"],
        "one_outside": (one < _fmt(s, "_z").qmin) | (one > _fmt(s, "_z").qmax),
        "beyond_one": x["z"] > one,
    }
    return merge(*products, _terms(s, "h", terms), *sums, gates)


def _zoneout_blend(s: Stage) -> Marks:
    k, acc = s.constants["k"], s.columns["acc"]
    raw = shift_round(acc, np.int64(15), Rounding.TIES_UP) + s.constants["zp"]
    every = np.ones(acc.shape, bool)
    ends = {"zoneout_never": every & (k == 0), "zoneout_always": every & (k == 2 * HALF_ONE)}
    return merge(shift_marks(acc, np.int64(15), upward=True), bound_marks(raw, _fmt(s)), ends)


def _zoneout_mask(s: Stage) -> Marks:
    x = s.columns
    differ = x["h_prev"] != x["h_new"]
    return {"mask_keeps": differ & (x["mask"] == 1), "mask_takes": differ & (x["mask"] == 0)}


OF_STEP: dict[str, Callable[[Stage], Marks]] = {
    "saturate": _saturate,
    "ties_up": _ties_up,
    "ties_away": _ties,
    "ties_even": _ties,
    "apply": _apply,
    "align": _align,
    "requantize": _requantize,
    "linear": _linear,
    "direct": _table,
    "direct_wide": _table,
    "piecewise_linear": _table,
    "piecewise_quadratic": _table,
    "mshift_gate": _mshift_gate,
    "mshift_candidate": _mshift_candidate,
    "mshift_hidden": _mshift_hidden,
    "pot_gate": _pot_gate,
    "pot_reset_path": _pot_reset_path,
    "pot_candidate": _pot_candidate,
    "pot_hidden": _pot_hidden,
    "zoneout_blend": _zoneout_blend,
    "zoneout_mask": _zoneout_mask,
}
