"""Whether a code that is one off at a stage reaches an output.

Behind the products every stage works unit by unit. So one evaluation with a field one off everywhere, from recorded operands,
tells for each time, row and unit whether the output of that time changes. What goes through a product (x, W, R, the
state) is moved one input or one row of the matrix at a time, gate by gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.trace import DynamicState
from vectors.case import Case
from vectors.describe import field_format
from vectors.words import bounds
from verification.coverage.runs import Met
from verification.deviations.environment import Environment, Run
from verification.deviations.evaluate import sources, stages, stored
from verification.deviations.steps import RIGHT
from verification.deviations.trajectory import FIELDS as TRAJECTORY

Array = np.ndarray
LANES = 32
"""How many inputs, states and rows of a matrix are moved one by one; of wider runs the others count as not reaching."""
CONTINUED = 4
"""How many hits of a point are run on to the last state before it counts as never reaching it."""


class Consequences:
    """The outputs that change when a stage of a run is one off."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.run = Run.of(case.params, case.x, case.h0, **case.options)
        self.axes = self.run.axes()
        self.known: dict[str, Array] = {name: np.asarray(a) for name, a in case.trace.items()}
        self.states = case.trace["h"].astype(np.int64)
        self._found: dict[str, Array | None] = {}
        self._end: dict[str, Array] = {}

    def of(self, met: Met) -> Array | None:
        """Where the output of the same time changes, bool in the axes of met; None for what is no code at a place."""
        place = met.place
        if place not in self._found:
            self._found[place] = self._reached(place, met.axes)
        found = self._found[place]
        return None if found is None or not met.axes else found

    def _reached(self, place: str, axes: str) -> Array | None:
        name = field_of(place, self.case.params.datapath)
        shape = self.case.trace["z"].shape
        if name == "h":
            return np.ones(shape, bool)
        if name in ("W", "R"):
            return self._matrix(name)
        if name in ("bx", "br"):
            changed: Array = np.concatenate([self._block(name, slice(None), g) for g in range(3)], axis=-1)
            self._end[place] = changed[self.run.order[-1]].any(0)
            return np.asarray(changed.any((0, 1)))
        if name in ("Wx", "Rh") and axes == "TNG":
            return np.concatenate([self._block(name, slice(None), g) for g in range(3)], axis=-1)
        if name in ("x", "h_q", "h0"):
            found = self._inputs("x" if name == "x" else "h_q")
            return found[self.run.order[0]] if name == "h0" else found
        return self._changed(name, np.ones(shape, np.int64)) if axes == "TNH" else None

    def _changed(self, name: str, step: Array) -> Array:
        """bool [T,N,H]: where the output changes when name is off by step, or by -step, where its format holds it."""
        whole = self.known[name].astype(np.int64)
        out = np.zeros(self.case.trace["z"].shape, bool)
        for sign in (1, -1):
            out |= self._outputs(name, self._kept(name, whole + sign * step)) != self.states[1:]
        return out

    def _kept(self, name: str, moved: Array) -> Array:
        """Codes, kept inside the format of their field."""
        fmt = field_format(self.case.params, name)
        return np.clip(moved, *bounds(fmt)) if fmt.startswith(("int", "uint")) else moved

    def _outputs(self, name: str, moved: Array) -> Array:
        """The outputs [T,N,H] with a field replaced, every step from its recorded state."""
        run, datapath = self.run, self.run.params.datapath
        values = {name: moved}
        held = _Held(values, self.known)
        e = Environment(run, self.states, run.whole, held, self.known if run.dynamic else None)
        changed = {name}
        for field in self.axes:
            if field in ("v", "h0") or field in values or (run.dynamic and field in TRAJECTORY):
                continue
            if not (sources(datapath, field) & changed):
                continue
            values[field] = stored(run, field, stages(run)[field](RIGHT, e))
            changed.add(field)
        return values["h"] if "h" in values else self.states[1:]

    def _block(self, name: str, rows: Any, gate: int) -> Array:
        """As _changed, with one gate's columns of a field off by one."""
        step = np.zeros(self.known[name].shape, np.int64)
        hidden = self.case.params.hidden_size
        columns = slice(gate * hidden, (gate + 1) * hidden)
        if name in ("W", "R"):
            step[rows, columns] = 1
        else:
            step[..., columns] = 1
        return self._changed(name, step)

    def _matrix(self, name: str) -> Array:
        out: Array = np.zeros(self.known[name].shape, bool)
        end: Array = np.zeros(self.known[name].shape, bool)
        for row in range(min(len(out), LANES)):
            changed = np.concatenate([self._block(name, row, g) for g in range(3)], axis=-1)
            out[row], end[row] = changed.any((0, 1)), changed[self.run.order[-1]].any(0)
        self._end[name] = end
        return out

    def _inputs(self, name: str) -> Array:
        """bool in the shape of x or of the state: whether any unit of the row changes."""
        out: Array = np.zeros(self.known[name].shape, bool)
        for lane in range(min(int(out.shape[-1]), LANES)):
            step = np.zeros(self.known[name].shape, np.int64)
            step[..., lane] = 1
            out[..., lane] = self._changed(name, step).any(-1)
        return out

    def at_end(self, met: Met) -> Array | None:
        """As `of`, for a weight or a bias: where the output of the last step changes, every state as recorded."""
        self.of(met)
        return self._end.get(met.place)

    def last(self, met: Met, place: tuple[int, ...]) -> bool:
        """Whether the last state changes when the code at a time, row and unit (or input) is one off.

        The run goes on from the output that the changed step gives.
        """
        case, name = self.case, field_of(met.place, self.case.params.datapath)
        t, row = place[0], place[1]
        rest = np.sort(self.run.order[int(np.flatnonzero(self.run.order == t)[0]) + 1 :])
        whole = self.known[name].astype(np.int64)
        for sign in (1, -1):
            moved = whole.copy()
            moved[place] += sign
            h = self.states[t + 1].copy()
            if name == "h":
                h[row, place[2]] = np.clip(h[row, place[2]] + sign, case.params.fmt_h.qmin, case.params.fmt_h.qmax)
            else:
                h[row] = self._outputs(name, self._kept(name, moved))[t, row]
            if (h == self.states[t + 1]).all():
                continue
            if not len(rest) or bool((_rest(case, rest, t, h) != case.trace.h_n).any()):
                return True
        return False


class _Held(Mapping[str, Array]):
    """What the stages read: replaced fields, else the recorded ones."""

    def __init__(self, moved: dict[str, Array], known: Mapping[str, Array]) -> None:
        self.moved, self.known = moved, known

    def __getitem__(self, name: str) -> Array:
        return self.moved[name] if name in self.moved else self.known[name].astype(np.int64)

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def _rest(case: Case, rest: Array, t: int, h: Array) -> Array:
    """The last state of a run that goes on after time t from the codes h."""
    options = case.options | {"mask": None if case.mask is None else case.mask[rest]}
    start: Any = h
    if case.params.datapath == "mshift-dynamic":
        real = {k: float(case.trace[k][t]) for k in ("s_h", "h_min", "h_max", "x_min", "x_max")}
        start = DynamicState(h, zp_h=int(case.trace["zp_h"][t]), steps=1, s_b=float(case.trace["s_b"]), **real)
    return forward(case.params, case.x[rest], start, **options).h_n


def field_of(place: str, datapath: str) -> str:
    """The trace field to move for a place: a term of a sum moves the sum."""
    if place.endswith("_aligned"):
        first = place.split("_")[0]
        if datapath == "pot":
            return f"{first}_acc"
        return "g_b_acc" if place == "g_br_aligned" else f"{first}_acc"
    return place


