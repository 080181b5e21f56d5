"""Where a difference between two traces only follows from differences in its operands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from golden.spec.layout import GATES, TraceField, trace_fields
from golden.spec.trace import Trace
from verification.dependencies import DEPENDS

Layout = Mapping[str, TraceField]
Operand = tuple[str, str, tuple[str, ...], Any]  # as written, field, how, columns of the target


def layout_of(trace: Trace) -> dict[str, TraceField]:
    """The layout entries of the kind of run that a trace is of, by name, in computation order."""
    fields = trace_fields(trace.datapath, training="v" in trace, zoneout="h_zoneout_acc" in trace)
    return {f.name: f for f in fields}


def operands(datapath: str, name: str, layout: Layout) -> Iterator[Operand]:
    """What a field of this run is computed from; v takes its operands block by block."""
    names = DEPENDS[datapath][name]
    if name == "h":  # from h' alone, from the blend of the zoneout, or by the mask of a training run
        wanted = {"h_zoneout_acc", "zp_h"} if "h_zoneout_acc" in layout else {"h_new"}
        if "v" in layout:
            wanted |= {"h:prev", "h_q"}
        names = tuple(operand for operand in names if operand in wanted)
    for i, operand in enumerate(names):
        source, *how = operand.split(":")
        if source in layout:
            yield operand, source, tuple(how), i if name == "v" else None


class TimeOrder:
    """The steps of a run in the order in which they were processed."""

    def __init__(self, trace: Trace) -> None:
        self.steps = len(trace["h"]) - 1
        self.reverse = trace.reverse

    def rank(self, t: int) -> int:
        """When time t was processed; the initial state, t = -1, comes before all."""
        if t < 0:
            return -1
        return self.steps - 1 - t if self.reverse else t

    def previous(self, t: int) -> int | None:
        """The time processed before t, or None."""
        before = t + 1 if self.reverse else t - 1
        return before if 0 <= before < self.steps else None

    def state_index(self, t: int) -> int:
        """Index in h of the state that time t starts from."""
        before = self.previous(t)
        return 0 if before is None else before + 1

    def starting(self, states: np.ndarray) -> np.ndarray:
        """[T, ...] of an [S, ...] array: the state that each time starts from."""
        return states[[self.state_index(t) for t in range(self.steps)]]

    def earlier(self, values: np.ndarray) -> np.ndarray:
        """[T, ...] of a [T, ...] mask: its value one step earlier, False at the first step."""
        out = np.zeros_like(values)
        if self.reverse:
            out[:-1] = values[1:]
        else:
            out[1:] = values[:-1]
        return out

    def from_then_on(self, values: np.ndarray) -> np.ndarray:
        """[T, ...] of a [T, ...] mask: whether it was True at this step or before."""
        along = values[::-1] if self.reverse else values
        out = np.logical_or.accumulate(along, axis=0)
        return out[::-1] if self.reverse else out


def follows(datapath: str, name: str, layout: Layout, differs: Mapping[str, np.ndarray], order: TimeOrder) -> np.ndarray:
    """Where an operand of the field differs, as a mask of the field's shape.

    differs  field -> mask, for the fields with a difference
    """
    axes = layout[name].axes
    out = np.zeros(differs[name].shape, bool)
    at = out[1:] if axes.startswith("S") else out
    for _, source, how, block in operands(datapath, name, layout):
        if source not in differs:
            continue
        mask, given = _brought(differs[source], layout[source].axes, how, order)
        columns = at
        if block is not None:
            hidden = at.shape[-1] // 4
            columns = at[..., block * hidden : (block + 1) * hidden]
        columns |= _fitted(mask, given, axes.replace("S", "T"))
    return out


def with_unrecorded(
    trace: Trace, layout: Layout, differs: Mapping[str, np.ndarray], recorded: Collection[str], order: TimeOrder
) -> dict[str, np.ndarray]:
    """differs, and a mask of each field that was not recorded: where one of its own operands differs, itself recorded or not.

    trace  of the run, for the shapes
    """
    known = dict(differs)
    for _ in range(2):  # a range reads the scale of the step before, which comes after it in the layout
        for name in layout:
            if name in recorded:
                continue
            mask = follows(trace.datapath, name, layout, {**known, name: np.zeros(trace[name].shape, bool)}, order)
            if f"{name}:last" in DEPENDS[trace.datapath][name]:
                mask = order.from_then_on(mask)
            if mask.any():
                known[name] = mask
    return known


def _brought(mask: np.ndarray, axes: str, how: tuple[str, ...], order: TimeOrder) -> tuple[np.ndarray, str]:
    """The mask of an operand as the field reads it, and the letters of its axes."""
    if axes.startswith("S"):
        mask, axes = order.starting(mask) if "prev" in how else mask[1:], "T" + axes[1:]
    if "last" in how:
        mask = order.earlier(mask)
    if "all" in how:
        mask, axes = np.asarray(mask.any(axis=tuple(range(1, mask.ndim)))), "T"
    if "row" in how:
        mask, axes = np.asarray(mask.any(axis=-1, keepdims=True)), axes[:-1] + "1"
    if "column" in how:
        mask, axes = np.asarray(mask.any(axis=0)), axes[1:]
    for i, gate in enumerate(GATES):
        if gate in how:
            hidden = mask.shape[-1] // 3
            mask, axes = mask[..., i * hidden : (i + 1) * hidden], axes[:-1] + "H"
    return mask, axes


def _fitted(mask: np.ndarray, axes: str, target: str) -> np.ndarray:
    """mask with an axis of length 1 wherever only the target has one."""
    index: list[Any] = []
    for letter in target:
        ours = bool(axes) and (axes[0] in (letter, "1") or {axes[0], letter} == {"H", "V"})
        index.append(slice(None) if ours else None)
        axes = axes[1:] if ours else axes
    return mask[tuple(index)]
