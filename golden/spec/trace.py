"""What a run gives back: every named intermediate, and the state to go on from.  Data only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.arrays import check_shape, checked_int, checked_real, checked_scale, int_array, real_array
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8
from golden.spec.layout import TraceField, trace_fields


@dataclass(frozen=True, eq=False)
class DynamicState:
    """Where a run with moving ranges stands; given as h0 it continues bit for bit.  [SPEC S-1, D]

    h      int32 [N,H], codes of h[t]
    s_h, zp_h      scale and zero point that h carries
    h_min, h_max   the h range, binary32
    steps  how many steps were done; 0 means that the next step is the first
    x_min, x_max   the x range, binary32; None before the first step, and only there
    s_b    the bias scale of the first step; None before it, and only there
    """

    h: np.ndarray
    s_h: float
    zp_h: int
    h_min: float
    h_max: float
    steps: int = 0
    x_min: float | None = None
    x_max: float | None = None
    s_b: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "h", int_array("state h", self.h, INT8, (None, None)))
        object.__setattr__(self, "s_h", checked_scale("state s_h", self.s_h))
        object.__setattr__(self, "zp_h", checked_int("state zp_h", self.zp_h, INT8.qmin, INT8.qmax))
        object.__setattr__(self, "steps", checked_int("state steps", self.steps, 0, 2**62))
        optional = ("x_min", "x_max", "s_b")
        for name in ("h_min", "h_max", *optional):
            value = getattr(self, name)
            if self.steps > 0 or name not in optional:
                object.__setattr__(self, name, checked_real(f"state {name}", value))
            elif value is not None:
                raise ParameterError(f"state {name}", repr(value), "None before the first step")
        if self.s_b is not None:
            object.__setattr__(self, "s_b", checked_scale("state s_b", self.s_b))


@dataclass(frozen=True, eq=False)
class Trace(Mapping[str, np.ndarray]):
    """Every intermediate of a run, by the names of golden.spec.layout, in computation order.

    datapath  "mshift", "mshift-dynamic" or "pot"
    fields    name -> array, in time order also when reverse; h[0] is the initial state, h[t + 1] the output of time t
    reverse   whether x was read from T-1 to 0
    state     DynamicState after the last processed step (dynamic mode), else None
    """

    datapath: str
    fields: dict[str, np.ndarray]
    reverse: bool = False
    state: DynamicState | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    @property
    def h(self) -> np.ndarray:
        """int32 [T+1,N,H]: the initial state, then the outputs in time order."""
        return self.fields["h"]

    @property
    def output(self) -> np.ndarray:
        """int32 [T,N,H]: the outputs in time order."""
        return self.fields["h"][1:]

    @property
    def h_n(self) -> np.ndarray:
        """int32 [N,H]: the state after the last processed step; the initial state when T = 0."""
        h = self.fields["h"]
        return h[1] if self.reverse and len(h) > 1 else h[-1]

    @property
    def v(self) -> np.ndarray:
        """int32 [T,N,4H]: [z | r | g | h'] on datapath M, [z | r | g | A] on P.  [SPEC GM-4, GP-9]"""
        if "v" in self.fields:
            return self.fields["v"]
        last = "A" if self.datapath == "pot" else "h_new"
        return np.concatenate([self.fields[k] for k in ("z", "r", "g", last)], axis=-1)

    @property
    def codes(self) -> int:
        """How many numbers the trace holds."""
        return sum(int(a.size) for a in self.fields.values())

    def layout(self) -> tuple[TraceField, ...]:
        """The layout entries of the fields that this trace has, in computation order."""
        return trace_fields(self.datapath, training="v" in self.fields, zoneout="h_zoneout_acc" in self.fields)


@dataclass(frozen=True, eq=False)
class BidirectionalTrace:
    """Both directions of a run; output is [T,N,2H], forward features first.  [SPEC S-2]"""

    forward: Trace
    backward: Trace

    @property
    def output(self) -> np.ndarray:
        """int32 [T,N,2H]: outputs concatenated on features, forward first."""
        return np.concatenate([self.forward.output, self.backward.output], axis=-1)


@dataclass(frozen=True, eq=False)
class RunOptions:
    """The checked options of a run.

    mask      int32 [T,N,H] of 0 and 1 (1 keeps the previous state), or None  [SPEC Z-1]
    zoneout   probability in [0, 1], used in inference  [SPEC Z-2]
    training  whether v is kept and a mask may be given
    """

    mask: np.ndarray | None
    zoneout: float
    training: bool

    @property
    def blend(self) -> bool:
        """Whether the inference zoneout is applied."""
        return not self.training and self.zoneout > 0


def check_options(mask: Any, zoneout: Any, training: Any, shape: tuple[int, int, int]) -> RunOptions:
    """Check mask, zoneout and training of a run whose states have shape [T,N,H].

    Raises ParameterError: a mask without training, training with a probability but no mask, values that are not 0 or 1,
    a probability outside [0, 1].
    """
    if not isinstance(training, (bool, np.bool_)):
        raise ParameterError("training", repr(training), "true or false")
    real = isinstance(zoneout, (int, float, np.integer, np.floating)) and not isinstance(zoneout, (bool, np.bool_))
    if not real or not 0 <= zoneout <= 1:
        raise ParameterError("zoneout", repr(zoneout), "a probability in [0, 1]")
    if mask is None:
        if training and zoneout > 0:
            raise ParameterError("mask", "missing", "a mask [T, N, H] of 0 and 1 when training with zoneout")
        return RunOptions(None, float(zoneout), bool(training))
    if not training:
        raise ParameterError("mask", "given without training", "a mask only when training, zoneout=p in inference")
    array = np.asarray(mask)
    if array.dtype.kind not in "iub":
        raise ParameterError("mask", f"an array of {array.dtype}", "integers 0 and 1")
    check_shape("mask", array, shape)
    if array.size and not ((array == 0) | (array == 1)).all():
        bad = array[(array != 0) & (array != 1)].reshape(-1)[0]
        raise ParameterError("mask", int(bad), "0 or 1")
    return RunOptions(array.astype(np.int32), float(zoneout), bool(training))


def check_state(params: Any, h0: Any, batch: int) -> Any:
    """The initial state of a run: codes int32 [N,H], or float32 [N,H] or a DynamicState in dynamic mode; None stays None.

    Raises ParameterError for a wrong kind or shape or a code outside the format (F-3). Whether S fits with the scale of a
    state before the first step (GM-3), every implementation asks bounds.require_S with a multiplier of its own.
    """
    shape = (batch, params.hidden_size)
    if h0 is None:
        return None
    if params.datapath == "mshift-dynamic":
        if isinstance(h0, DynamicState):
            check_shape("state h", h0.h, shape)
            return h0
        return real_array("h0", h0, shape)
    return int_array("h0", h0, params.fmt_h, shape)
