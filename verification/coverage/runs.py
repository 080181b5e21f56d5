"""The classes that a run meets at every stage, each with the place in the run where it is met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from golden.rounding import shift_round
from golden.spec.formats import INT8, INT32
from golden.spec.layout import MULTIPLIERS, SCALAR_OPERATORS
from golden.spec.params import MAX_RRH_MULTIPLIER
from golden.spec.rounding import Rounding
from golden.spec.trace import DynamicState
from vectors.case import Case
from vectors.stages import stages
from verification.coverage.classes import Group, events, nearest, region, rounded
from verification.coverage.ranges import MULTIPLIER, RANGE, derived, range_events
from verification.coverage.steps import values

OPTIONS = (
    "no step",
    "one step",
    "many steps",
    "one row",
    "many rows",
    "forward",
    "reverse",
    "missing h0",
    "given h0",
    "continued state",
    "training",
    "mask",
    "zoneout",
    "zoneout 1",
)
MAX_MULTIPLIER = 2**31 - 1
INNER = ("line", "parabola inner", "parabola")


class Met(NamedTuple):
    """A group of a run.

    stage  "datapath/place"; the inner shifts of the activations of the three gates are one stage
    axes   letters of index: TNH, TNG, TNC, NH, T, CG, HG, G, or "" for what is met by the run as a whole
    place  whose code stands there
    """

    stage: str
    kind: str
    labels: tuple[str, ...]
    index: np.ndarray  # type: ignore[assignment]
    axes: str
    place: str


def met(case: Case) -> Iterator[Met]:
    """Every group of a run."""
    datapath = case.params.datapath
    for group in _options(case):
        yield _met(datapath, group, "")
    yield from _zero_points(case)
    if not case.x.size:
        return
    yield from _cells(case)
    if datapath == "pot":
        yield from _products(case)
    if datapath == "mshift-dynamic":
        yield from _moving(case)


def _cell(case: Case) -> str:
    """The datapath whose cell a run goes through: moving ranges run the stages of datapath M.  [SPEC D-3]"""
    return "pot" if case.params.datapath == "pot" else "mshift"


def _met(datapath: str, group: Group, axes: str) -> Met:
    place, _, inner = group.place.partition(".")
    stage = f"activation.{inner}" if inner in INNER else group.place
    return Met(f"{datapath}/{stage}", group.kind, group.labels, group.index, axes, place)


def name_of(step: str, place: str, gate: str) -> str:
    """The stage of a run that a place of a step is."""
    if step in ("mshift_gate", "mshift_candidate", "pot_gate", "pot_candidate"):
        return gate + place.removeprefix("gate") if place.startswith("gate") else f"{gate}_{place}"
    return place


def _cells(case: Case) -> Iterator[Met]:
    shape = case.trace["z"].shape
    parts: dict[tuple[str, str], list[Group]] = {}
    gate = ""
    for s in stages(case):
        if s.step in ("mshift_gate", "pot_gate"):
            gate = "r" if gate == "z" else "z"
        elif s.step in ("mshift_candidate", "pot_candidate"):
            gate = "g"
        for group in values(s):
            name = name_of(s.step, group.place, gate)
            parts.setdefault((name, group.kind), []).append(group)
    for (name, kind), several in parts.items():
        index = np.concatenate([g.index.reshape(-1) for g in several])
        whole = index.size == int(np.prod(shape))
        named = Group(name, kind, several[0].labels, index.reshape(shape) if whole else index)
        yield _met(_cell(case), named, "TNH" if whole else "")


def _products(case: Case) -> Iterator[Met]:
    """GP-1: the scaling of the products."""
    p: Any = case.params
    mode = "even" if p.rounding.value == "ties_even" else "away"
    for name, weight, data in (("Wx", "weight.W", "input.x"), ("Rh", "weight.R", "input.h")):
        op, acc = p.operators[f"matmul.{name}"], case.trace[f"{name}_acc"]
        s = np.asarray(p.operators[weight].exponent, np.int64) + p.operators[data].exponent - op.exponent
        raw = shift_round(acc, s, p.rounding) + op.zero_point
        for group in rounded(name, mode, acc, s, raw, op.fmt):
            yield _met("pot", group, "TNG")


def _zero_points(case: Case) -> Iterator[Met]:
    p: Any = case.params
    if p.datapath == "pot":
        for name in SCALAR_OPERATORS:
            op = p.operators[name]
            yield _met("pot", region(name, op.zero_point, op.fmt), "")
        return
    names = [f"zp_{k}" for k in ("z", "r", "g")] if p.gate_bits == 8 else []
    for name in [*names, *(("zp_x", "zp_h") if p.datapath == "mshift" else ())]:
        yield _met("mshift", region(name, getattr(p, name), INT8), "")


def _options(case: Case) -> list[Group]:
    steps, batch = case.x.shape[:2]
    has: dict[str, Any] = {
        "no step": steps == 0,
        "one step": steps == 1,
        "many steps": steps > 1,
        "one row": batch == 1,
        "many rows": batch > 1,
        "forward": not case.reverse,
        "reverse": case.reverse,
        "missing h0": case.h0 is None,
        "given h0": isinstance(case.h0, np.ndarray),
        "training": case.training,
        "mask": case.mask is not None,
        "zoneout": 0 < case.zoneout < 1 and not case.training,
        "zoneout 1": case.zoneout == 1 and not case.training,
    }
    if case.params.datapath == "mshift-dynamic":
        has["continued state"] = isinstance(case.h0, DynamicState)
    return events("run", "option", OPTIONS, has)


def _real(name: str, v: Any, scale: Any, zero_point: Any, fmt: Any, reciprocal: bool = False) -> list[Group]:
    with np.errstate(all="ignore"):
        scale = np.asarray(scale, np.float32)
        t = v * (np.float32(1) / scale) if reciprocal else v / scale
        return nearest(name, t + np.asarray(zero_point, np.float32), fmt)


def _column(values: Any) -> np.ndarray:
    return np.asarray(values)[:, None, None]


def _moving(case: Case) -> Iterator[Met]:
    """The float boundary, the ranges and the multipliers of a run with moving ranges.  [SPEC D]"""
    p: Any = case.params
    trace, name = case.trace, p.datapath
    s_x, zp_x = _column(trace["s_x"]), _column(trace["zp_x"])
    for group in _real("x", case.x, s_x, zp_x, INT8, p.reciprocal):
        yield _met(name, Group("x", group.kind + (" reciprocal" if p.reciprocal else ""), *group[2:]), "TNC")
    for matrix, scale, fmt, axes in (
        ("W", "s_w", INT8, "CG"),
        ("R", "s_r", INT8, "HG"),
        ("bx", "s_b", INT32, "G"),
        ("br", "s_b", INT32, "G"),
    ):
        if float(trace[scale]) > 0:
            for group in _real(matrix, getattr(p, matrix), trace[scale], 0, fmt):
                yield _met(name, group, axes)
    order = np.arange(len(case.x))[::-1] if case.reverse else np.arange(len(case.x))
    if isinstance(case.h0, np.ndarray):
        first = order[0]
        for group in _real("h0", case.h0, trace["s_h"][first], trace["zp_h"][first], INT8):
            yield _met(name, group, "NH")
    fresh = not (isinstance(case.h0, DynamicState) and case.h0.steps > 0)
    yield from _requantized(case, order, fresh)
    for k, symmetric in (("x", p.x_symmetric), ("h", p.h_symmetric)):
        found = range_events(trace[f"{k}_min"], trace[f"{k}_max"], trace[f"zp_{k}"], INT8, symmetric)
        for group in events(f"range of {k}", "event", RANGE, found):
            yield _met(name, group, "T")
        steps = {"first": order[:1] if fresh else order[:0], "moved": order[1:] if fresh else order}
        flags = {label: np.isin(np.arange(len(order)), at) for label, at in steps.items()}
        for group in events(f"range of {k}", "step", ("first", "moved"), flags):
            yield _met(name, group, "T")
    for m in (*MULTIPLIERS, "m_h"):
        limit = MAX_RRH_MULTIPLIER if m == "m_rRh" else MAX_MULTIPLIER
        index = derived(trace[m], limit)
        if m == "m_h" and fresh:
            index[order[0]] = -1
        yield _met(name, Group(m, "multiplier", MULTIPLIER, index), "T")


def _requantized(case: Case, order: np.ndarray, fresh: bool) -> Iterator[Met]:
    """D-2: the state in its new range."""
    p: Any = case.params
    trace = case.trace
    h = trace["h"].astype(np.int64)
    start = np.concatenate([h[2:], h[:1]]) if case.reverse else h[:-1]
    zp_old = np.zeros(len(order), np.int64)
    zp_old[order[1:]] = trace["zp_h"][order[:-1]]
    if isinstance(case.h0, DynamicState):
        zp_old[order[0]] = case.h0.zp_h
    x = (start - _column(zp_old)) * _column(trace["m_h"]).astype(np.int64)
    raw = shift_round(x, p.shift, Rounding.TIES_UP) + _column(trace["zp_h"])
    for group in rounded("h_q", "up", x, p.shift, raw, INT8):
        index = np.array(np.broadcast_to(group.index, h[1:].shape))
        if fresh:
            index[order[0]] = -1
        yield _met(p.datapath, Group(*group[:3], index), "TNH")
