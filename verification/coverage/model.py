"""Every coverpoint: stage -> kind -> classes.  Data, made from the names of the stages."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from golden.spec.layout import MULTIPLIERS, SCALAR_OPERATORS
from vectors.steps import STEPS
from verification.coverage.classes import BOUNDS, CROSS16, CROSS48, REGIONS, SHIFTS, SIDES, TIES
from verification.coverage.ranges import MULTIPLIER, RANGE
from verification.coverage.runs import OPTIONS
from verification.coverage.steps import DROPPED, MASK
from verification.coverage.tables import ENTRIES, SEGMENTS

Kinds = dict[str, tuple[str, ...]]
BOTH = ("away", "even")
RIGHT = ("zero", "right")
ASYMMETRIC = tuple(name for name in RANGE if name != "amplitude floor")
SYMMETRIC = ("amplitude floor", "wide")


class Point(NamedTuple):
    """One coverpoint."""

    stage: str
    kind: str
    label: str

    def __str__(self) -> str:
        return f"{self.stage}: {self.kind}: {self.label}"


def _rounded(modes: tuple[str, ...], side: bool, shifts: tuple[str, ...] = SHIFTS) -> Kinds:
    out: Kinds = {"rounding": CROSS48 if side else CROSS16, "shift": shifts}
    out |= {f"tie {m}": TIES for m in modes if m != "up"}
    return out | ({"saturation": BOUNDS} if side else {})


M_SHIFT, M_PLAIN = _rounded(("up",), True, RIGHT), _rounded(("up",), False, RIGHT)
BLEND = _rounded(("up",), True, ("right",))
POT_TERM, POT_SCALED = _rounded(BOTH, False), _rounded(BOTH, True)
SATURATED: Kinds = {"saturation": BOUNDS}
NEAREST: Kinds = {"rounding": CROSS48, "saturation": BOUNDS}
LINE, INNER = _rounded(("away",), True), _rounded(("away",), False)
M_TABLE: Kinds = {"table direct": ENTRIES, "table wide": ENTRIES}
ZERO: Kinds = {"zero point": REGIONS}
ONE: Kinds = {"shift": SHIFTS}


def _pot_activation(place: str) -> dict[str, Kinds]:
    table = {"table direct": ENTRIES, "table linear": SEGMENTS["linear"], "table quadratic": SEGMENTS["quadratic"]}
    return {place: table}


def _inner(place: str) -> dict[str, Kinds]:
    return {f"{place}.line": LINE, f"{place}.parabola inner": INNER, f"{place}.parabola": LINE}


def _mshift_cell() -> dict[str, Kinds]:
    out: dict[str, Kinds] = {}
    for k in "zr":
        out |= {f"{k}_{t}_aligned": M_SHIFT for t in ("Rh", "bx", "br")}
        out |= {f"{k}_a": SATURATED, f"{k}_pre": M_SHIFT, k: M_TABLE}
    out |= {"g_br_aligned": M_SHIFT, "g_b": SATURATED, "g_c": M_SHIFT, "g_bx_aligned": M_SHIFT, "g_a": SATURATED}
    out |= {"g_pre": M_SHIFT, "g": M_TABLE, "n": M_SHIFT, "h_new": M_SHIFT, "h": BLEND | {"mask": MASK}}
    return out | {f"zp_{k}": ZERO for k in "zrg"}


def _options(*without: str) -> dict[str, Kinds]:
    return {"run": {"option": tuple(o for o in OPTIONS if o not in without)}}


def _dynamic() -> dict[str, Kinds]:
    out = _options()
    reciprocal = {"rounding reciprocal": CROSS48, "saturation reciprocal": BOUNDS}
    out |= {"x": NEAREST | reciprocal, "h_q": M_SHIFT}
    out |= {name: NEAREST for name in ("W", "R", "bx", "br", "h0")}
    out |= {f"range of {k}": {"event": RANGE, "step": ("first", "moved")} for k in "xh"}
    return out | {name: {"multiplier": MULTIPLIER} for name in (*MULTIPLIERS, "m_h")}


def _pot() -> dict[str, Kinds]:
    out: dict[str, Kinds] = {"Wx": POT_SCALED, "Rh": POT_SCALED, "one": ONE}
    for k in "zr":
        out |= {f"{k}_{t}_aligned": POT_TERM for t in ("Wx", "Rh", "bx", "br")}
    out |= {f"g_{t}_aligned": POT_TERM for t in ("Wx", "P", "bx")}
    out |= {f"A_{t}_aligned": POT_TERM for t in ("Rh", "br")} | {f"h_{t}_aligned": POT_TERM for t in ("O", "N")}
    for k in "zrg":
        out |= {f"{k}_pre": SATURATED, **_pot_activation(k)}
    out |= _inner("activation") | {"A": SATURATED, "h_new": SATURATED, "P": POT_SCALED, "O": POT_SCALED, "N": POT_SCALED}
    out |= {"h": BLEND | {"mask": MASK}} | {name: ZERO for name in SCALAR_OPERATORS}
    return out | _options("continued state")


def _step_places(name: str) -> dict[str, Kinds]:
    terms = {
        "pot_gate": ("Wx", "Rh", "bx", "br"),
        "pot_candidate": ("Wx", "P", "bx"),
        "pot_reset_path": ("A_Rh", "A_br"),
        "pot_hidden": ("h_O", "h_N"),
    }.get(name, ())
    m: Kinds = {"dropped": DROPPED, "saturation": SIDES}
    away_even: Kinds = {"dropped": DROPPED} | {f"tie {mode}": TIES for mode in BOTH}
    sides: Kinds = {"saturation": SIDES}
    pot: dict[str, Kinds] = {f"{t}_aligned": away_even for t in terms}
    gate = {"a": sides, "pre": m, "gate": M_TABLE}
    places: dict[str, dict[str, Kinds]] = {
        "saturate": {"q": SATURATED},
        "ties_up": {"y": M_PLAIN},
        "ties_away": {"y": INNER},
        "ties_even": {"y": _rounded(("even",), False)},
        **{k: {"q": NEAREST} for k in ("quantize", "quantize_reciprocal", "quantize_bias")},
        "derive": {"M": {"multiplier": MULTIPLIER}},
        "apply": {"y": M_PLAIN},
        "align": {"y": M_SHIFT},
        "requantize": {"q": M_SHIFT},
        "asymmetric": {"range": {"event": ASYMMETRIC}},
        "symmetric": {"range": {"event": SYMMETRIC}},
        "direct": {"y": {"table direct": ENTRIES}},
        "direct_wide": {"y": {"table wide": ENTRIES}},
        "piecewise_linear": {"y": {"table linear": SEGMENTS["linear"]}, "y.line": LINE},
        "piecewise_quadratic": {
            "y": {"table quadratic": SEGMENTS["quadratic"]},
            "y.parabola inner": INNER,
            "y.parabola": LINE,
        },
        "mshift_gate": {**{f"{t}_aligned": m for t in ("Rh", "bx", "br")}, **gate},
        "mshift_candidate": {"br_aligned": m, "b": sides, "c": m, "bx_aligned": m, **gate},
        "mshift_hidden": {"n": m, "h_new": m},
        "pot_gate": {**pot, "pre": sides, **_pot_activation("gate")},
        "pot_candidate": {**pot, "pre": sides, **_pot_activation("gate")},
        "pot_reset_path": {**pot, "A": sides, "P": away_even | sides},
        "pot_hidden": {**pot, "O": away_even | sides, "N": away_even | sides, "h_new": sides},
        "zoneout_blend": {"h": BLEND},
        "zoneout_mask": {"h": {"mask": MASK}},
    }
    zero = {c.name: ZERO for c in STEPS[name].constants if c.name.startswith("zp")}
    return places.get(name, {}) | zero


@cache
def model() -> dict[str, Kinds]:
    """Stage -> kind -> classes, of every step and every datapath."""
    parts: dict[str, dict[str, Kinds]] = {f"step {name}": _step_places(name) for name in STEPS}
    parts["mshift"] = _mshift_cell() | {"zp_x": ZERO, "zp_h": ZERO} | _options("continued state")
    parts["mshift-dynamic"] = _dynamic()
    parts["pot"] = _pot()
    return {f"{part}/{place}": kinds for part, places in parts.items() for place, kinds in places.items()}


@cache
def points() -> tuple[Point, ...]:
    """Every point, in the order of the model."""
    return tuple(
        Point(stage, kind, label) for stage, kinds in model().items() for kind, labels in kinds.items() for label in labels
    )
