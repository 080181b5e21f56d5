"""Whole problems: shape, parameters, data, options.  Small and plain first, so that they shrink to a readable case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from golden.spec.formats import INT8
from golden.spec.params import MShiftDynamicParams, MShiftParams, PotParams
from golden.spec.trace import DynamicState
from verification.problem import Problem
from verification.strategies import mshift, pot
from verification.strategies.numbers import int_array, real_array

if TYPE_CHECKING:
    from verification.coverage.record import Record

DATAPATHS = ("mshift", "mshift-dynamic", "pot")
_BOOL = st.booleans()
_MODE = st.sampled_from(("plain", "plain", "zoneout", "mask", "training"))
_ZONEOUT = st.sampled_from((0.5, 0.1, 1.0, 2**-16, 3 * 2**-16, 0.25, 0.9999, 1 - 2**-15, 1e-9))
_HIGH = st.sampled_from((1, 1, 20, 60, 125))
_FRAME = st.integers(0, 2**20)
_UNITS = st.integers(0, 12)
_EXPONENT_SUM = 120  # of a weight and its data, so that every product of scales is finite


@st.composite
def problems(
    draw: Any,
    datapath: str | None = None,
    *,
    max_steps: int = 6,
    max_batch: int = 4,
    max_inputs: int = 6,
    max_hidden: int = 6,
    options: bool = True,
    min_steps: int = 0,
    toward: Record | None = None,
) -> Problem:
    """Problems of a datapath (None: any), always valid.

    max_*    the greatest T, N, C, H; a problem that is drawn toward a record has its own sizes
    options  whether zoneout, masks, training and the reverse direction are drawn too
    toward   a coverage record: every other problem is the one of a few corner runs that meets the most of what it lacks
    """
    kind = datapath or draw(st.sampled_from(DATAPATHS))
    if toward is not None and draw(_BOOL):
        return aimed(draw, kind, toward)
    inputs, hidden = draw(st.integers(1, max_inputs)), draw(st.integers(1, max_hidden))
    batch, steps = draw(st.integers(1, max_batch)), draw(st.integers(min_steps, max_steps))
    lively = draw(_BOOL)
    params: MShiftParams | MShiftDynamicParams | PotParams
    if kind == "mshift-dynamic":
        high_w = 1 if lively else draw(_HIGH)
        params = mshift.dynamic_params(draw, inputs, hidden, high_w, lively)
        x, h0 = _reals(draw, steps, batch, inputs, hidden, min(125, _EXPONENT_SUM - high_w), lively)
    else:
        make = mshift.static_params if kind == "mshift" else pot.params
        params = make(draw, inputs, hidden, lively)
        x = int_array(draw, (steps, batch, inputs), params.fmt_x.qmin, params.fmt_x.qmax, lively)
        h0 = int_array(draw, (batch, hidden), params.fmt_h.qmin, params.fmt_h.qmax, lively) if draw(_BOOL) else None
    mode = draw(_MODE) if options else "plain"
    mask = int_array(draw, (steps, batch, hidden), 0, 1) if mode == "mask" else None
    return Problem(
        params,
        x,
        h0,
        mask,
        zoneout=draw(_ZONEOUT) if mode == "zoneout" else 0.0,
        training=mode in ("mask", "training"),
        reverse=draw(_BOOL) if options else False,
    )


def aimed(draw: Any, datapath: str, toward: Record) -> Problem:
    """A corner run that meets points which the record lacks."""
    from verification.coverage.bias import best, targets

    frames = draw(st.lists(_FRAME, min_size=1, max_size=4))
    return best(targets(toward, datapath), datapath, [(frame, range(2, 2 + draw(_UNITS))) for frame in frames])


def _reals(draw: Any, steps: int, batch: int, inputs: int, hidden: int, high: int, lively: bool) -> tuple[np.ndarray, Any]:
    """x float32 [T,N,C], each step of its own magnitude or all of one, and an initial state of any kind."""
    if draw(_BOOL):
        x = real_array(draw, (steps, batch, inputs), -149, high, lively)
    else:
        parts = [real_array(draw, (1, batch, inputs), -149, high, lively) for _ in range(steps)]
        x = np.concatenate([np.zeros((0, batch, inputs), np.float32), *parts])
    start = draw(st.sampled_from(("missing", "real", "state")))
    if start == "missing":
        return x, None
    if start == "real":
        return x, real_array(draw, (batch, hidden), -149, high, lively)
    return x, dynamic_state(draw, batch, hidden, min(high, 20))


def dynamic_state(draw: Any, batch: int, hidden: int, high: int = 20) -> DynamicState:
    """A state to continue from: codes, ranges and scales of some earlier run."""
    bounds = real_array(draw, (2, 2), -30, high)
    low, up = np.minimum(bounds.min(axis=1), 0), np.maximum(bounds.max(axis=1), 0)
    scales = [float(np.ldexp(np.float32(draw(st.sampled_from((1.0, 1.5, 1.1)))), draw(st.integers(-24, 6)))) for _ in range(2)]
    return DynamicState(
        int_array(draw, (batch, hidden), INT8.qmin, INT8.qmax),
        scales[0],
        draw(st.integers(INT8.qmin, INT8.qmax)),
        float(low[0]),
        float(up[0]),
        draw(st.integers(1, 5)),
        float(low[1]),
        float(up[1]),
        scales[1],
    )
