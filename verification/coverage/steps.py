"""The places of each step of vectors.steps and their classes, from its columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.rescale import apply
from golden.rounding import ties_up
from golden.spec.formats import INT8, INT32, IntFormat
from golden.spec.params import MShift
from vectors.stages import Stage
from vectors.steps import to_reals
from verification.coverage.classes import SHIFTS, SIDES, Group, events, nearest, region, rounded, saturated
from verification.coverage.ranges import MULTIPLIER, RANGE, derived, range_events
from verification.coverage.tables import activation

MASK = ("takes", "keeps")
DROPPED = tuple(f"{sign} {part}" for sign in "+-" for part in ("below half", "half", "above half"))
COMPOUND = (
    "mshift_gate",
    "mshift_candidate",
    "mshift_hidden",
    "pot_gate",
    "pot_reset_path",
    "pot_candidate",
    "pot_hidden",
)


def groups(s: Stage) -> list[Group]:
    """Every group of the rows of a step."""
    found = values(s)
    if s.step in COMPOUND:
        found = [c for g in found if "." not in g.place for c in coarse(g)]
    return [*found, *_zero_points(s)]


def coarse(g: Group) -> list[Group]:
    """A group of a step that is itself a chain of stages: what a shift drops and where a saturation stands, each by itself.

    The full classes of these stages are those of the cells.
    """
    if g.kind == "rounding":
        part = np.where(g.index < 0, 0, g.index % 16)
        sign, guard, sticky = part // 8, part // 2 % 2, part % 2
        index = np.where((g.index >= 0) & (guard + sticky > 0), 3 * sign + 2 * guard - (1 - sticky) * guard, -1)
        return [Group(g.place, "dropped", DROPPED, index)]
    if g.kind == "saturation":
        return [Group(g.place, g.kind, SIDES, np.array([0, 1, 1, 1, 2])[g.index])]
    return [] if g.kind == "shift" else [g]


def values(s: Stage) -> list[Group]:
    """The groups of the values that pass: those of the zero points are left out."""
    return _OF_STEP[s.step](s)


def _zero_points(s: Stage) -> list[Group]:
    out = []
    for name, value in s.constants.items():
        if name.startswith("zp"):
            suffix = name[2:] if f"bits{name[2:]}" in s.constants else ""
            fmt = _fmt(s, suffix) if f"bits{suffix}" in s.constants else INT8
            out.append(region(name, int(value), fmt))
    return out


def _fmt(s: Stage, suffix: str = "") -> IntFormat:
    return IntFormat(s.constants[f"bits{suffix}"], bool(s.constants[f"signed{suffix}"]))


def _mode(s: Stage) -> str:
    return "even" if s.constants["ties_even"] else "away"


def scaled(s: Stage, place: str, v: Any, suffix: str, fmt: IntFormat | None, zero_point: int = 0) -> list[Group]:
    """A multiplier and a shift, and the saturation behind them.  [SPEC M-3 ... M-5]"""
    m = MShift(s.constants[f"M{suffix}"], s.constants[f"s{suffix}"])
    raw = None if fmt is None else apply(v, m) + zero_point
    return rounded(place, "up", np.asarray(v) * m.multiplier, m.shift, raw, fmt)


def _plain(mode: str) -> Callable[[Stage], list[Group]]:
    return lambda s: rounded("y", mode, s.columns["x"], s.columns["s"])


def _mshift_gate(s: Stage) -> list[Group]:
    x = s.columns
    out = [g for name in ("Rh", "bx", "br") for g in scaled(s, f"{name}_aligned", x[name], f"_{name}", INT32)]
    return out + _mshift_end(s)


def _mshift_candidate(s: Stage) -> list[Group]:
    x = s.columns
    m = MShift(s.constants["M_rRh"], s.constants["s_rRh"])
    product = x["rb"] * m.multiplier
    return [
        *scaled(s, "br_aligned", x["br"], "_br", INT32),
        *saturated("b", x["b_acc"], INT32),
        *rounded("c", "up", product, m.shift, ties_up(product, m.shift), INT32),
        *scaled(s, "bx_aligned", x["bx"], "_bx", INT32),
        *_mshift_end(s),
    ]


def _mshift_end(s: Stage) -> list[Group]:
    x = s.columns
    pre = scaled(s, "pre", x["a"], "_pre", _fmt(s, "_pre"), s.constants["zp_pre"])
    assert s.table is not None
    return [*saturated("a", x["acc"], INT32), *pre, *activation("gate", x["pre"], s.table)]


def _mshift_hidden(s: Stage) -> list[Group]:
    x = s.columns
    return [
        *scaled(s, "n", x["n_acc"], "_gh", INT32),
        *scaled(s, "h_new", x["S"], "_one", INT8, s.constants["zp"]),
    ]


def _terms(s: Stage, target: str, centred: tuple[str, ...], biases: tuple[str, ...], prefix: str = "") -> list[Group]:
    """Terms that are shifted to the exponent of a sum, each rounded by itself."""
    c, x, out = s.constants, s.columns, []
    for k in centred:
        out += rounded(f"{prefix}{k}_aligned", _mode(s), x[k] - c[f"zp_{k}"], c[f"e_{k}"] - c[f"e_{target}"])
    for k in biases:
        out += rounded(f"{prefix}{k}_aligned", _mode(s), x[k], x[f"e_{k}"] - c[f"e_{target}"])
    return out


def _pot_gate(s: Stage) -> list[Group]:
    second, biases = ("Rh", ("bx", "br")) if s.step == "pot_gate" else ("P", ("bx",))
    assert s.table is not None
    return [
        *_terms(s, "pre", ("Wx", second), biases),
        *saturated("pre", s.columns["acc"], _fmt(s, "_pre")),
        *activation("gate", s.columns["pre"], s.table),
    ]


def _pot_reset_path(s: Stage) -> list[Group]:
    c, x = s.constants, s.columns
    return [
        *_terms(s, "A", ("Rh",), ("br",), "A_"),
        *saturated("A", x["A_acc"], _fmt(s, "_A")),
        *rounded("P", _mode(s), x["P_prod"], c["e_r"] + c["e_A"] - c["e_P"], x["P_acc"], _fmt(s, "_P")),
    ]


def _pot_hidden(s: Stage) -> list[Group]:
    c, x = s.constants, s.columns
    return [
        *rounded("O", _mode(s), x["O_prod"], c["e_z"] + c["e_h"] - c["e_O"], x["O_acc"], _fmt(s, "_O")),
        *rounded("N", _mode(s), x["N_prod"], c["e_z"] + c["e_g"] - c["e_N"], x["N_acc"], _fmt(s, "_N")),
        *_terms(s, "h", ("O", "N"), (), "h_"),
        *saturated("h_new", x["h_acc"], _fmt(s, "_h")),
        Group("one", "shift", SHIFTS, np.array([1 - np.sign(c["e_z"])])),
    ]


def _blend(s: Stage) -> list[Group]:
    acc = s.columns["acc"]
    return rounded("h", "up", acc, 15, ties_up(acc, 15) + s.constants["zp"], _fmt(s))


def _mask(s: Stage) -> list[Group]:
    return [Group("h", "mask", MASK, s.columns["mask"])]


def _reals(s: Stage) -> list[Group]:
    x = s.columns
    with np.errstate(all="ignore"):
        if s.step == "quantize_bias":
            return nearest("q", to_reals(x["b"]) / to_reals(x["scale"]), _fmt(s))
        v, zp = to_reals(x["v"]), np.float32(s.constants["zp"])
        t = v / to_reals(x["scale"]) if s.step == "quantize" else v * to_reals(x["inv_scale"])
        return nearest("q", t + zp, _fmt(s))


def _range(s: Stage) -> list[Group]:
    x = s.columns
    met = range_events(to_reals(x["rmin"]), to_reals(x["rmax"]), x["zp_out"], _fmt(s), s.step == "symmetric")
    return events("range", "event", RANGE, met)


def _derive(s: Stage) -> list[Group]:
    return [Group("M", "multiplier", MULTIPLIER, derived(s.columns["M"], s.constants["limit"]))]


def _table(s: Stage) -> list[Group]:
    assert s.table is not None
    return activation("y", s.columns["q"], s.table)


_OF_STEP: dict[str, Callable[[Stage], list[Group]]] = {
    "saturate": lambda s: saturated("q", s.columns["v"], _fmt(s)),
    "ties_up": _plain("up"),
    "ties_away": _plain("away"),
    "ties_even": _plain("even"),
    "quantize": _reals,
    "quantize_reciprocal": _reals,
    "quantize_bias": _reals,
    "dequantize": lambda s: [],
    "derive": _derive,
    "apply": lambda s: scaled(s, "y", s.columns["v"], "", None),
    "align": lambda s: scaled(s, "y", s.columns["v"], "", INT32),
    "requantize": lambda s: scaled(s, "q", s.columns["v"], "", _fmt(s), s.constants["zp"]),
    "ema": lambda s: [],
    "asymmetric": _range,
    "symmetric": _range,
    "linear": lambda s: [],
    "direct": _table,
    "direct_wide": _table,
    "piecewise_linear": _table,
    "piecewise_quadratic": _table,
    "mshift_gate": _mshift_gate,
    "mshift_candidate": _mshift_candidate,
    "mshift_hidden": _mshift_hidden,
    "pot_gate": _pot_gate,
    "pot_reset_path": _pot_reset_path,
    "pot_candidate": _pot_gate,
    "pot_hidden": _pot_hidden,
    "zoneout_blend": _blend,
    "zoneout_mask": _mask,
}
