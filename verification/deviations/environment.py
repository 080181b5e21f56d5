"""What the stages of a run read: the problem, the states, and the other fields at the times and rows of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.layout import BIAS_MULTIPLIERS, GATES, trace_fields
from golden.spec.params import Params, check_input
from golden.spec.trace import RunOptions, check_options, check_state

Array = np.ndarray


class Block(NamedTuple):
    """Time indices and batch rows."""

    times: Array
    rows: Array


@dataclass(frozen=True, eq=False)
class Run:
    """A problem, checked, with the order of its steps.

    params   a parameter set
    x        int64 codes or float32 [T,N,C]
    h0       codes, float32, a DynamicState or None
    options  mask, zoneout, training
    reverse  whether x is read from T-1 to 0
    """

    params: Params
    x: Array
    h0: Any
    options: RunOptions
    reverse: bool
    order: Array = field(init=False)
    start: Array = field(init=False)
    before: Array = field(init=False)

    def __post_init__(self) -> None:
        steps = len(self.x)
        order = np.arange(steps)[::-1] if self.reverse else np.arange(steps)
        start = np.zeros(steps, np.int64)
        start[order[1:]] = order[:-1] + 1
        before = np.zeros(steps, np.int64)
        before[order[1:]] = start[order[:-1]]
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "start", start)  # index in h of the state that a time starts from
        object.__setattr__(self, "before", before)  # of the state one step earlier, of the initial one at the first step

    @classmethod
    def of(cls, params: Params, x: Any, h0: Any = None, *, mask: Any = None, zoneout: float = 0.0,
           training: bool = False, reverse: bool = False) -> Run:  # fmt: skip
        """The run of what forward takes; refuses what forward refuses."""
        x = check_input(params, x)
        options = check_options(mask, zoneout, training, (*x.shape[:2], params.hidden_size))
        codes = x if params.datapath == "mshift-dynamic" else x.astype(np.int64)
        return cls(params, codes, check_state(params, h0, x.shape[1]), options, bool(reverse))

    @property
    def dynamic(self) -> bool:
        """Whether the ranges move."""
        return self.params.datapath == "mshift-dynamic"

    @property
    def fmt_h(self) -> IntFormat:
        """Format of the state codes."""
        return self.params.fmt_h

    @property
    def whole(self) -> Block:
        """Every time and every row."""
        return Block(np.arange(len(self.x)), np.arange(self.x.shape[1]))

    def previous(self, t: int) -> int | None:
        """The time processed before t, or None."""
        before = t + 1 if self.reverse else t - 1
        return before if 0 <= before < len(self.x) else None

    def axes(self) -> dict[str, str]:
        """Field -> letters of its axes, in computation order; h without its initial state, which is h0."""
        layout = trace_fields(self.params.datapath, training=self.options.training, zoneout=self.options.blend)
        out = {"h0": "NH"}
        for f in layout:
            out[f.name] = "TNH" if f.name == "h" else f.axes
        return out


def cut(values: Array, axes: str, block: Block) -> Array:
    """The part of a field that a block sees."""
    if "T" in axes:
        values = values[block.times]
    return values[:, block.rows] if axes.startswith("TN") else values


class Environment(Mapping[str, Array]):
    """The fields at a block, and what else a stage reads.

    run     the problem
    states  int64 [T+1,N,H]: the initial state, then the outputs in time order
    track   field of one number a step -> [T]; empty in the static datapaths
    """

    def __init__(self, run: Run, states: Array, block: Block, values: Mapping[str, Array], track: Any = None) -> None:
        self.run, self.block = run, block
        self.params: Any = run.params
        self.times, self.rows = block
        self.states, self.held, self.track = states, values, track

    def __getitem__(self, name: str) -> Array:
        return self.held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def input(self, times: Array, rows: Array) -> Array:
        """x at these times and rows."""
        return self.run.x[times][:, rows]

    def mask(self, times: Array, rows: Array) -> Array:
        """The zoneout mask at these times and rows."""
        assert self.run.options.mask is not None
        return self.run.options.mask[times][:, rows].astype(np.int64)

    def state(self, times: Array, rows: Array) -> Array:
        """The states that these times start from."""
        return self.states[self.run.start[times]][:, rows]

    def stale(self, times: Array, rows: Array) -> Array:
        """The states one step earlier still."""
        return self.states[self.run.before[times]][:, rows]

    def first(self, axes: int = 3) -> Array:
        """Whether a time of the block is the first one processed."""
        flags = self.times == (self.run.order[0] if len(self.run.order) else -1)
        return flags.reshape((-1, *[1] * (axes - 1)))

    def final(self, axes: int = 3) -> Array:
        """Whether a time of the block is the last one processed."""
        flags = self.times == (self.run.order[-1] if len(self.run.order) else -1)
        return flags.reshape((-1, *[1] * (axes - 1)))

    def number(self, name: str, axes: int = 3) -> Any:
        """A number of the parameter set, or [T,1,...] of the moving ranges."""
        if self.run.dynamic and name in self.track:
            return np.asarray(self.track[name])[self.times].reshape((-1, *[1] * (axes - 1)))
        return getattr(self.params, name)

    def mshift(self, name: str, axes: int = 3) -> tuple[Any, int]:
        """(multiplier, shift) of datapath M."""
        p: Any = self.params
        if self.run.dynamic:
            return self.number(name, axes), p.shift_bias if name in BIAS_MULTIPLIERS else p.shift
        m = getattr(p, name)
        return m.multiplier, m.shift

    def weights(self, name: str) -> Array:
        """W or R as codes."""
        return np.asarray(self[name] if self.run.dynamic else getattr(self.params, name), np.int64)

    def bias(self, name: str) -> Array:
        """bx or br as codes."""
        return np.asarray(self[name] if self.run.dynamic else getattr(self.params, name), np.int64)

    def over_time(self, values: Array) -> Array:
        """[T,H] of a bias term."""
        return np.broadcast_to(values, (len(self.times), self.params.hidden_size))


def part(values: Array, gate: str) -> Array:
    """The block of H columns of a gate."""
    hidden_size = values.shape[-1] // 3
    i = GATES.index(gate)
    return values[..., i * hidden_size : (i + 1) * hidden_size]
