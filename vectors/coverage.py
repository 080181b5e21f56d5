"""What the cases of a set meet, counted from their numbers: roundings, saturation sides, entries, segments, zero points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from golden.rescale import apply
from golden.rounding import shift_round
from golden.spec.formats import INT8, INT32, IntFormat
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable
from vectors.case import Case
from vectors.flags import zero_point_region
from vectors.marks import is_tie
from vectors.stages import Stage, stages

Point = tuple[str, ...]
SIDES = ("low", "inside", "high")
PARTS = tuple(f"{sign} {part}" for sign in ("negative", "positive") for part in ("below half", "half", "above half"))


def coverage(cases: Iterable[Any]) -> Counter[Point]:
    """Counts of every point (step, kind, place, value) that the cases meet."""
    counts: Counter[Point] = Counter()
    for case in cases:
        for stage in stages(case):
            _stage(counts, stage)
        if isinstance(case, Case) and case.params.datapath == "pot" and case.x.size:
            _products(counts, case)
    return counts


def _stage(counts: Counter[Point], s: Stage) -> None:
    for name in s.constants:
        if name.startswith("zp"):
            counts[s.step, "zero point", name, zero_point_region(s.constants, name)] += 1
    _OF_STEP.get(s.step, lambda counts, stage: None)(counts, s)


def shift(counts: Counter[Point], where: str, place: str, x: Any, amount: Any) -> None:
    """Count the parts that right shifts drop, by sign, and left shifts."""
    x, amount = np.broadcast_arrays(np.asarray(x, np.int64), np.asarray(amount, np.int64))
    counts[where, "rounding", place, "left"] += int(np.count_nonzero((amount < 0) & (x != 0)))
    k = np.clip(amount, 1, 62)
    rest, half = x & ((np.int64(1) << k) - 1), np.int64(1) << (k - 1)
    right = (amount >= 1) & (amount <= 62)
    for sign, signed in (("negative", x < 0), ("positive", x >= 0)):
        for part, hit in (("below half", (rest < half) & (rest > 0)), ("half", is_tie(x, amount)), ("above half", rest > half)):
            counts[where, "rounding", place, f"{sign} {part}"] += int(np.count_nonzero(right & signed & hit))


def side(counts: Counter[Point], where: str, place: str, raw: Any, fmt: IntFormat) -> None:
    """Count the sides on which unsaturated values lie."""
    raw = np.asarray(raw, np.int64)
    low, high = raw < fmt.qmin, raw > fmt.qmax
    for name, hit in (("low", low), ("inside", ~low & ~high), ("high", high)):
        counts[where, "saturation", place, name] += int(np.count_nonzero(hit))


def _table(counts: Counter[Point], s: Stage, q: np.ndarray) -> None:
    table: Any = s.table
    where = f"{table.function} {table.kind}" + (" wide" if table.fmt_in.bits == 16 and isinstance(table, DirectTable) else "")
    if isinstance(table, DirectTable):
        index = ((q + 32768) * 255 + 32767) // 65535 if table.fmt_in.bits == 16 else q + 128
    else:
        inside = np.clip(q, table.fmt_in.qmin, table.fmt_in.qmax)
        index = np.searchsorted(table.thresholds[:-1].astype(np.int64), inside, side="right")
    for i, count in zip(*np.unique(index, return_counts=True), strict=True):
        counts[s.step, "table", f"{where} of {len(next_array(table))}", str(int(i))] += int(count)


def next_array(table: Any) -> np.ndarray:
    """The entries or the thresholds of a table."""
    return table.entries if isinstance(table, DirectTable) else table.thresholds


def _fmt(s: Stage, suffix: str) -> IntFormat:
    return IntFormat(s.constants[f"bits{suffix}"], bool(s.constants[f"signed{suffix}"]))


def _scaled(
    counts: Counter[Point], s: Stage, place: str, v: np.ndarray, suffix: str, fmt: IntFormat | None, zp: int = 0
) -> None:
    m = MShift(s.constants[f"M{suffix}"], s.constants[f"s{suffix}"])
    shift(counts, s.step, place, v * m.multiplier, m.shift)
    if fmt is not None:
        side(counts, s.step, place, apply(v, m) + zp, fmt)


def _rounding(counts: Counter[Point], s: Stage) -> None:
    shift(counts, s.step, "y", s.columns["x"], s.columns["s"])


def _apply(counts: Counter[Point], s: Stage) -> None:
    fmt = {"apply": None, "align": INT32}.get(s.step) if s.step != "requantize" else _fmt(s, "")
    _scaled(counts, s, "q", s.columns["v"], "", fmt, s.constants.get("zp", 0))


def _mshift(counts: Counter[Point], s: Stage) -> None:
    x, fmt = s.columns, _fmt(s, "_pre")
    for name in ("Rh", "bx", "br") if s.step == "mshift_gate" else ("bx", "br"):
        _scaled(counts, s, f"{name}_aligned", x[name], f"_{name}", INT32)
    if s.step == "mshift_candidate":
        m = MShift(s.constants["M_rRh"], s.constants["s_rRh"])
        shift(counts, s.step, "c", x["rb"] * m.multiplier, m.shift)
        side(counts, s.step, "c", shift_round(x["rb"] * m.multiplier, m.shift, Rounding.TIES_UP), INT32)
        side(counts, s.step, "b", x["b_acc"], INT32)
    side(counts, s.step, "a", x["acc"], INT32)
    _scaled(counts, s, "pre", x["a"], "_pre", fmt, s.constants["zp_pre"])
    _table(counts, s, x["pre"])


def _mshift_hidden(counts: Counter[Point], s: Stage) -> None:
    _scaled(counts, s, "n", s.columns["n_acc"], "_gh", None)
    _scaled(counts, s, "h_new", s.columns["S"], "_one", INT8, s.constants["zp"])


def _pot_sum(counts: Counter[Point], s: Stage, out: str, terms: dict[str, tuple[Any, Any]]) -> None:
    name = f"{s.step} ties {'even' if s.constants['ties_even'] else 'away'}"
    for place, (x, amount) in terms.items():
        shift(counts, name, place, x, amount)
    side(counts, s.step, out, s.columns["acc" if out == "pre" else f"{out}_acc"], _fmt(s, f"_{out}"))


def _pot(counts: Counter[Point], s: Stage) -> None:
    c, x = s.constants, s.columns
    if s.step in ("pot_gate", "pot_candidate"):
        e = c["e_pre"]
        names = ("Wx", "Rh") if s.step == "pot_gate" else ("Wx", "P")
        terms: Any = {f"{k}_aligned": (x[k] - c[f"zp_{k}"], c[f"e_{k}"] - e) for k in names}
        terms |= {f"{k}_aligned": (x[k], x[f"e_{k}"] - e) for k in ("bx", "br") if k in x}
        _pot_sum(counts, s, "pre", terms)
        _table(counts, s, x["pre"])
    elif s.step == "pot_reset_path":
        terms = {"A_Rh_aligned": (x["Rh"] - c["zp_Rh"], c["e_Rh"] - c["e_A"]), "A_br_aligned": (x["br"], x["e_br"] - c["e_A"])}
        _pot_sum(counts, s, "A", terms)
        _pot_sum(counts, s, "P", {"P": (x["P_prod"], c["e_r"] + c["e_A"] - c["e_P"])})
    else:
        _pot_sum(counts, s, "O", {"O": (x["O_prod"], c["e_z"] + c["e_h"] - c["e_O"])})
        _pot_sum(counts, s, "N", {"N": (x["N_prod"], c["e_z"] + c["e_g"] - c["e_N"])})
        terms = {f"h_{k}_aligned": (x[k] - c[f"zp_{k}"], c[f"e_{k}"] - c["e_h"]) for k in ("O", "N")}
        _pot_sum(counts, s, "h", terms)


def _blend(counts: Counter[Point], s: Stage) -> None:
    shift(counts, s.step, "h", s.columns["acc"], 15)
    # a blend lies between its two codes: it never leaves their format
    counts[s.step, "saturation", "h", "inside"] += len(s.columns["acc"])


def _saturate(counts: Counter[Point], s: Stage) -> None:
    side(counts, s.step, "q", s.columns["v"], _fmt(s, ""))


def _products(counts: Counter[Point], case: Case) -> None:
    """GP-1: the scaling of the products, which is no step of its own."""
    p: Any = case.params
    for acc, weight, data, out in (("Wx_acc", "W", "input.x", "matmul.Wx"), ("Rh_acc", "R", "input.h", "matmul.Rh")):
        op = p.operators[out]
        shifts = np.asarray(p.operators[f"weight.{weight}"].exponent, np.int64) + p.operators[data].exponent - op.exponent
        shift(counts, f"GP-1 {p.rounding.value.replace('_', ' ')}", out, case.trace[acc], shifts)
        side(counts, "GP-1", out, shift_round(case.trace[acc], shifts, p.rounding) + op.zero_point, op.fmt)
        fmt = p.operators[data].fmt
        counts[
            "GP-1",
            "zero point",
            data,
            zero_point_region({"bits": fmt.bits, "signed": fmt.signed, "zp": p.operators[data].zero_point}, "zp"),
        ] += 1


_OF_STEP: dict[str, Callable[[Counter[Point], Stage], None]] = {
    "saturate": _saturate,
    "ties_up": _rounding,
    "ties_away": _rounding,
    "ties_even": _rounding,
    "apply": _apply,
    "align": _apply,
    "requantize": _apply,
    "mshift_gate": _mshift,
    "mshift_candidate": _mshift,
    "mshift_hidden": _mshift_hidden,
    "pot_gate": _pot,
    "pot_reset_path": _pot,
    "pot_candidate": _pot,
    "pot_hidden": _pot,
    "zoneout_blend": _blend,
    "direct": lambda c, s: _table(c, s, s.columns["q"]),
    "direct_wide": lambda c, s: _table(c, s, s.columns["q"]),
    "piecewise_linear": lambda c, s: _table(c, s, s.columns["q"]),
    "piecewise_quadratic": lambda c, s: _table(c, s, s.columns["q"]),
}
