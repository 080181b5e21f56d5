"""Running deviations: forward, or on what an implementation recorded.

`forward` is a whole run. `predict` computes fields at a block of times and rows from recorded operands where they are
recorded, else from computed ones; the states are always recorded, so that every step is computed at once. A deviation whose
predictions agree everywhere with what was recorded gives, by induction over the stages, exactly the recorded run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from golden.spec.layout import FIELDS, field_shape, trace_fields
from golden.spec.trace import Trace
from verification.dependencies import DEPENDS
from verification.deviations import mshift, pot, trajectory
from verification.deviations.deviation import Deviation, steps_of
from verification.deviations.environment import Block, Environment, Run, cut
from verification.exact.rounding import saturate

Array = np.ndarray
Fields = dict[str, Array]
Names = frozenset[str]
DTYPES = {datapath: {f.name: f.dtype for f in fields} for datapath, fields in FIELDS.items()}


def affected(run: Run, deviations: Iterable[Deviation], known: Iterable[str]) -> Names:
    """The fields that deviations can change when these fields are recorded."""
    datapath, recorded = run.params.datapath, set(known)
    axes = run.axes()
    out = {f for d in deviations for f in d.fields.get(datapath, ()) if f in axes}
    grown = True
    while grown:
        grown = False
        for name in axes:
            if name not in out and any(s in out and s not in recorded for s in sources(datapath, name)):
                out.add(name)
                grown = True
    return frozenset(out)


def sources(datapath: str, name: str) -> set[str]:
    """The fields that a field is computed from, the initial state among them."""
    if name == "h0":
        return set()
    found = set()
    for operand in DEPENDS[datapath][name]:
        source, *how = operand.split(":")
        found.add("h0" if "prev" in how else source)
    extra = {"s_b": {"s_x"}, "h_min": {"h0"}, "h_max": {"h0"}, "s_h": {"h0"}, "zp_h": {"h0"}}
    return found | (extra.get(name, set()) if datapath == "mshift-dynamic" else set())


def stages(run: Run) -> dict[str, mshift.Stage]:
    """Field -> the stage that computes it, for the fields with a stage of their own."""
    return pot.STAGES if run.params.datapath == "pot" else mshift.STAGES


def stored(run: Run, name: str, values: Any) -> Array:
    """A result as its field holds it: in 32 bits where the trace has 32, whatever a deviation made of it."""
    array = np.asarray(values, np.int64)
    return array if DTYPES[run.params.datapath][name] == "int64" else array.astype(np.int32).astype(np.int64)


def _initial(run: Run, o: Any, moving: trajectory.Trajectory | None) -> Array:
    """h[0].  [SPEC GM-4, GP-9, D]"""
    if moving is not None:
        codes = np.asarray(moving.start.h, np.int64)
    elif run.h0 is not None:
        codes = np.asarray(run.h0, np.int64)
    else:
        p: Any = run.params
        zero_point = p.operators["input.h"].zero_point if p.datapath == "pot" else p.zp_h
        codes = np.full((run.x.shape[1], p.hidden_size), saturate(zero_point, run.fmt_h), np.int64)
    return o.initial(codes, run)


def predict(
    run: Run,
    deviations: tuple[Deviation, ...],
    known: Mapping[str, Array],
    base: Mapping[str, Array],
    names: Names,
    block: Block,
) -> Iterable[tuple[str, Array]]:
    """(field, computed values at the block) for each of names, in computation order.

    known  recorded fields: "h0" [N,H], "h" [T,N,H] (the outputs) and any others, whole
    base   what the clauses compute from the recorded fields, whole; read for what is neither recorded nor in names
    names  the fields that the deviations affect
    """
    datapath, axes = run.params.datapath, run.axes()

    def of(name: str) -> Any:
        return steps_of(deviations, datapath, name)

    whole: dict[str, Array] = {}
    track: dict[str, Any] = {}
    moving: trajectory.Trajectory | None = None
    if run.dynamic:
        if names & {"h0", *trajectory.FIELDS} or not base:
            moving = trajectory.Trajectory(run, of, known, base, names)
            track = moving.track()
        else:
            track = {n: known.get(n, base[n]) for n in trajectory.FIELDS}
            track |= {n: base[n] for n in ("zp_old", "fresh")}
    if "h0" in names:
        whole["h0"] = _initial(run, of("h0"), moving)
    h0 = known["h0"] if "h0" in known else whole.get("h0", base.get("h0"))
    assert h0 is not None
    states = np.concatenate([h0[None], known["h"]]).astype(np.int64)
    if moving is not None:
        for t in run.order.tolist():
            moving.step(t, states[run.start[t]])
        track = moving.track()
        whole |= {n: np.asarray(moving.found[n]) for n in trajectory.FIELDS}
        whole |= moving.extra
    if "h0" in names:
        yield "h0", whole["h0"]
    values = _Values(run, known, base, axes, block, track)
    e = Environment(run, states, block, values, track)
    for name in axes:
        if name not in names or name == "h0":
            continue
        if run.dynamic and name in trajectory.FIELDS:
            yield name, whole[name]
            continue
        found = stored(run, name, stages(run)[name](of(name), e))
        if name not in known:
            values.computed[name] = found
        yield name, found
    for name in ("zp_old", "fresh"):
        if moving is not None and not base:
            yield name, whole[name]


class _Values(Mapping[str, Array]):
    """What a stage reads: recorded, else computed now, else what the clauses give."""

    def __init__(self, run: Run, known: Any, base: Any, axes: dict[str, str], block: Block, track: Any) -> None:
        self.run, self.known, self.base, self.axes, self.block, self.track = run, known, base, axes, block, track
        self.computed: Fields = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self.computed:
            whole = self.known[name] if name in self.known else self.track[name] if name in self.track else self.base[name]
            self.computed[name] = cut(whole, self.axes[name], self.block)
        return self.computed[name]

    def __iter__(self) -> Any:
        return iter(self.axes)

    def __len__(self) -> int:
        return len(self.axes)


def forward(params: Any, x: Any, h0: Any = None, *, deviations: tuple[Deviation, ...] = (), **options: Any) -> Trace:
    """A run of an implementation with these deviations; without any it is the judge's run.

    params ... options  as verification.exact.sequence.forward takes them
    Returns             Trace, without a final state
    """
    run = Run.of(params, x, h0, **options)
    datapath, axes = run.params.datapath, run.axes()

    def of(name: str) -> Any:
        return steps_of(deviations, datapath, name)

    moving = trajectory.Trajectory(run, of, {}) if run.dynamic else None
    initial = _initial(run, of("h0"), moving)
    steps, batch = run.x.shape[:2]
    sizes = {"steps": steps, "batch": batch, "inputs": params.input_size, "hidden": params.hidden_size}
    layout = trace_fields(datapath, training=run.options.training, zoneout=run.options.blend)
    fields = {f.name: np.zeros(field_shape(f.axes, **sizes), f.dtype) for f in layout}
    fields["h"][0] = initial
    states = np.zeros((steps + 1, batch, params.hidden_size), np.int64)
    states[0] = initial
    fixed: Fields = {}
    if datapath == "pot":
        empty = Environment(run, states, run.whole, {})
        fixed["one"] = np.asarray(pot.STAGES["one"](of("one"), empty))
    for t in run.order.tolist():
        block = Block(np.array([t]), np.arange(batch))
        track: dict[str, Any] = {}
        if moving is not None:
            moving.step(t, states[run.start[t]])
            track = moving.track()
            fixed = {n: np.asarray(track[n]) for n in ("W", "R", "bx", "br")}
        values = dict(fixed)
        e = Environment(run, states, block, values, track)
        for name in axes:
            if name in fixed or name == "h0" or (run.dynamic and name in trajectory.FIELDS):
                continue
            values[name] = stored(run, name, stages(run)[name](of(name), e))
            fields[name][t + 1 if name == "h" else t] = values[name][0]
        states[t + 1] = values["h"][0]
    if moving is not None:
        fixed = {n: np.asarray(moving.found[n]) for n in trajectory.FIELDS}
    for name, whole in fixed.items():
        fields[name][...] = whole
    return Trace(datapath, fields, run.reverse)
