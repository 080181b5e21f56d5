"""Cases of one step: a deviation is found when it changes a result of a row.

A step case stands for every stage that does its step, so a deviation is applied to it only where it is in all of them: one
that is in the r gate alone is not held against the cases of `requantize` or `mshift_gate`. What such a step cannot do (read
another row's state, reorder weights, take another table) is not held against it either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from golden.spec.errors import QgruError
from golden.spec.formats import IntFormat
from golden.spec.rounding import Rounding
from vectors.step_case import StepCase
from vectors.steps import to_bits, to_reals
from verification.deviations.deviation import Deviation
from verification.deviations.places import ALIGN, EVERY_SATURATE, REQUANTIZE, join
from verification.deviations.steps import RIGHT, Steps
from verification.kill.composite import COMPOSITE, composite

M = ("mshift", "mshift-dynamic")
DYNAMIC = ("mshift-dynamic",)
P = ("pot",)
ALL = (*M, *P)
Columns = dict[str, np.ndarray]
Where = Mapping[str, tuple[str, ...]]


class Unit(NamedTuple):
    """How the step of a case is done with other Steps.

    outputs  column -> datapath -> the fields whose stages do it; the deviation must be in all of them
    steps    the steps of `Steps` that it goes through
    compute  (steps, case) -> column -> values
    """

    outputs: Mapping[str, Where]
    steps: frozenset[str]
    compute: Callable[[Steps, StepCase], Mapping[str, Any]]


def _fmt(c: StepCase) -> IntFormat:
    return IntFormat(c.constants["bits"], bool(c.constants["signed"]))


def _shift(rounding: Rounding) -> Callable[[Steps, StepCase], Mapping[str, Any]]:
    def compute(o: Steps, c: StepCase) -> Mapping[str, Any]:
        return {"y": o.shift(c.inputs["x"], o.amount(c.inputs["s"]), rounding)}

    return compute


def _quantize(reciprocal: bool) -> Callable[[Steps, StepCase], Mapping[str, Any]]:
    def compute(o: Steps, c: StepCase) -> Mapping[str, Any]:
        v, scale = (to_reals(c.inputs[n]) for n in ("v", "scale"))
        return {"q": o.to_code(o, v, scale, c.constants["zp"], _fmt(c), reciprocal)}

    return compute


def by_row(compute: Callable[..., Any], right: np.ndarray, *columns: Any) -> np.ndarray:
    """A step one row at a time; a row on which the deviant computation has no result counts as right."""
    out = np.array(right)
    for i, row in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        try:
            out[i] = compute(*row)
        except (QgruError, OverflowError, ValueError, ZeroDivisionError):
            continue
    return out


def _bias(o: Steps, c: StepCase) -> Mapping[str, Any]:
    b, scale = (to_reals(c.inputs[n]) for n in ("b", "scale"))
    return {"q": by_row(lambda v, s: o.quantize_bias(v, s, _fmt(c)), c.outputs["q"], b, scale)}


def _derive(o: Steps, c: StepCase) -> Mapping[str, Any]:
    s, limit = c.constants["s"], c.constants["limit"]
    pairs = (to_reals(c.inputs[n]) for n in ("s_from", "s_to"))
    return {"M": by_row(lambda a, b: o.derive(a, b, s, limit, True).multiplier, c.outputs["M"], *pairs)}


def _pairs(compute: Callable[..., Any], c: StepCase, inputs: tuple[str, ...], outputs: tuple[str, str]) -> Mapping[str, Any]:
    """Two results of each row; a binary32 one as its bits."""
    right = np.stack([c.outputs[n] for n in outputs], axis=1)

    def one(*row: float) -> list[int]:
        pair = compute(*row)
        return [int(to_bits(pair[0])), int(pair[1]) if outputs[1] == "zp_out" else int(to_bits(pair[1]))]

    found = by_row(one, right, *(to_reals(c.inputs[n]) for n in inputs))
    return {outputs[0]: found[:, 0], outputs[1]: found[:, 1]}


def _ema(o: Steps, c: StepCase) -> Mapping[str, Any]:
    return _pairs(o.ema, c, ("rmin", "rmax", "cmin", "cmax"), ("rmin_out", "rmax_out"))


def _range(name: str) -> Callable[[Steps, StepCase], Mapping[str, Any]]:
    def compute(o: Steps, c: StepCase) -> Mapping[str, Any]:
        make = getattr(o, name)
        return _pairs(lambda low, high: make(low, high, _fmt(c)), c, ("rmin", "rmax"), ("scale", "zp_out"))

    return compute


def _apply(o: Steps, c: StepCase) -> Mapping[str, Any]:
    return {"y": o.apply(o, c.inputs["v"], c.constants["M"], c.constants["s"])}


def _align(o: Steps, c: StepCase) -> Mapping[str, Any]:
    return {"y": o.align(o, c.inputs["v"], c.constants["M"], c.constants["s"])}


def _requantize(o: Steps, c: StepCase) -> Mapping[str, Any]:
    k = c.constants
    return {"q": o.requantize(o, c.inputs["v"], k["M"], k["s"], k["zp"], _fmt(c))}


def _linear(o: Steps, c: StepCase) -> Mapping[str, Any]:
    codes = o.sub_zero(c.inputs["codes"], c.constants["zp"], "x")
    rows = zip(codes, c.inputs["weights"], strict=True)
    return {"acc": np.array([o.dot(row, weights[:, None])[0] for row, weights in rows], np.int64)}


def _activate(o: Steps, c: StepCase) -> Mapping[str, Any]:
    assert c.table is not None
    return {"y": o.activate(o, c.inputs["q"], c.table)}


def _blend(o: Steps, c: StepCase) -> Mapping[str, Any]:
    zp = c.constants["zp"]
    old, new = (o.sub_zero(c.inputs[n], zp, "h") for n in ("h_prev", "h_new"))
    h = o.saturate(o.add_zero(o.shift(c.outputs["acc"], 15, Rounding.TIES_UP), zp), _fmt(c))
    return {"acc": o.blend(o, c.constants["k"], old, new), "h": h}


class _Mask:
    """What the step of the mask reads of an environment."""

    times = rows = None
    run = SimpleNamespace(reverse=False)

    def __init__(self, mask: np.ndarray) -> None:
        self.values = mask

    def mask(self, times: Any, rows: Any) -> np.ndarray:
        return self.values


def _mask(o: Steps, c: StepCase) -> Mapping[str, Any]:
    kept = (o.mask(_Mask(c.inputs["mask"])) == 1) & o.zoneout
    return {"h": np.where(kept, c.inputs["h_prev"], c.inputs["h_new"])}


def _in(names: tuple[str, ...], datapaths: tuple[str, ...]) -> Where:
    return dict.fromkeys(datapaths, names)


def _of(place: Any, datapaths: tuple[str, ...]) -> Where:
    return {d: place.fields[d] for d in datapaths}


_ALIGN, _REQUANTIZE = join(ALIGN, "", ""), join(REQUANTIZE, "", "")
_SHIFT = join([_ALIGN, _REQUANTIZE], "", "")
_APPLY = frozenset({"shift", "amount", "product", "multiplier", "apply"})
_TABLE = frozenset({"index", "wide_index", "segment", "table_shift", "line", "parabola", "sub_zero", "saturate"})
_CODE = frozenset({"to_code", "scaled", "nearest", "saturate"})
_PRODUCTS = {**_in(("Wx", "Rh"), M), **_in(("Wx_acc", "Rh_acc"), P)}
_GATES = ("z", "r", "g")
UNITS: dict[str, Unit] = {
    "saturate": Unit(
        {"q": _of(EVERY_SATURATE, ALL)}, frozenset({"saturate"}), lambda o, c: {"q": o.saturate(c.inputs["v"], _fmt(c))}
    ),
    "ties_up": Unit({"y": _of(_SHIFT, M)}, frozenset({"shift", "amount"}), _shift(Rounding.TIES_UP)),
    "ties_away": Unit({"y": _of(_SHIFT, P)}, frozenset({"shift", "amount"}), _shift(Rounding.TIES_AWAY)),
    "ties_even": Unit({"y": _of(_SHIFT, P)}, frozenset({"shift", "amount"}), _shift(Rounding.TIES_EVEN)),
    "quantize": Unit({"q": _in(("x", "h0"), DYNAMIC)}, _CODE, _quantize(False)),
    "quantize_reciprocal": Unit({"q": _in(("x",), DYNAMIC)}, _CODE, _quantize(True)),
    "quantize_bias": Unit({"q": _in(("bx", "br"), DYNAMIC)}, frozenset({"quantize_bias"}), _bias),
    "derive": Unit({"M": _in(("m_h", "m_z", "m_r", "m_g", "m_gh", "m_rRh"), DYNAMIC)}, frozenset({"derive"}), _derive),
    "apply": Unit({"y": _of(_SHIFT, M)}, _APPLY, _apply),
    "align": Unit({"y": _of(_ALIGN, M)}, _APPLY | {"align", "saturate"}, _align),
    "requantize": Unit({"q": _of(_REQUANTIZE, M)}, _APPLY | {"requantize", "saturate", "add_zero"}, _requantize),
    "ema": Unit(
        {"rmin_out": _in(("x_min", "h_min"), DYNAMIC), "rmax_out": _in(("x_max", "h_max"), DYNAMIC)}, frozenset({"ema"}), _ema
    ),
    "asymmetric": Unit(
        {"scale": _in(("s_x", "s_h"), DYNAMIC), "zp_out": _in(("zp_x", "zp_h"), DYNAMIC)},
        frozenset({"asymmetric"}),
        _range("asymmetric"),
    ),
    "symmetric": Unit(
        {"scale": _in(("s_x", "s_h"), DYNAMIC), "zp_out": _in(("zp_x", "zp_h"), DYNAMIC)},
        frozenset({"symmetric"}),
        _range("symmetric"),
    ),
    "linear": Unit({"acc": _PRODUCTS}, frozenset({"sub_zero", "dot"}), _linear),
    "direct": Unit({"y": _in(_GATES, ALL)}, _TABLE, _activate),
    "direct_wide": Unit({"y": _in(_GATES, M)}, _TABLE, _activate),
    "piecewise_linear": Unit({"y": _in(_GATES, P)}, _TABLE, _activate),
    "piecewise_quadratic": Unit({"y": _in(_GATES, P)}, _TABLE, _activate),
    "zoneout_blend": Unit(
        {"acc": _in(("h_zoneout_acc",), ALL), "h": _in(("h",), ALL)},
        frozenset({"blend", "sub_zero", "shift", "add_zero", "saturate"}),
        _blend,
    ),
    "zoneout_mask": Unit({"h": _in(("h",), ALL)}, frozenset({"mask", "zoneout"}), _mask),
    **{name: Unit(outputs, steps, composite) for name, (outputs, steps) in COMPOSITE.items()},
}
"""Step -> how a deviation is applied to it. What is not here (dequantize) is one that no deviation replaces."""
WIRING = ("gate-order-r-z-g", "gate-order-z-g-r", "biases-exchanged", "reset-before-product")
"""Deviations that go through a step of a unit, but are about more than one unit."""


def found_by_step(case: StepCase, candidates: Iterable[Deviation], datapath: str) -> list[str]:
    """The names of the deviations that a step case finds in a datapath."""
    unit = UNITS.get(case.step)
    if unit is None:
        return []
    columns = {name: where[datapath] for name, where in unit.outputs.items() if datapath in where}
    found = []
    for d in candidates:
        inside = set(d.fields[datapath])
        changed = [name for name, fields in columns.items() if fields and inside >= set(fields)]
        if changed and d.changes and set(d.changes) & unit.steps and d.base not in WIRING and _differs(unit, d, case, changed):
            found.append(d.name)
    return found


def _differs(unit: Unit, d: Deviation, case: StepCase, changed: list[str]) -> bool:
    with np.errstate(all="ignore"):
        values = unit.compute(replace(RIGHT, **d.changes), case)
        return any(bool((np.asarray(values[name]).reshape(-1) != case.outputs[name]).any()) for name in changed)
