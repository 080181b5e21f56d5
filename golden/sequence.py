"""The time loop: directions, zoneout, moving ranges, continuation.  [SPEC S, Z, D]"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden import ranges
from golden.cell import Fields, MShiftConstants, mshift_cell, pot_cell
from golden.hidden import pot_one, zoneout_blend, zoneout_factor, zoneout_mask
from golden.quantize import dequantize, quantize, quantize_bias, quantize_reciprocal, reciprocal
from golden.rescale import S_ONE, derive, derive_mshifts, requantize, scale_product
from golden.rounding import saturate
from golden.spec.bounds import require_S
from golden.spec.formats import INT8, INT32
from golden.spec.layout import GATES, MULTIPLIERS, field_shape, trace_fields
from golden.spec.params import MShiftDynamicParams, Params, PotParams, check_input
from golden.spec.trace import BidirectionalTrace, DynamicState, RunOptions, Trace, check_options, check_state


def forward(
    params: Params,
    x: Any,
    h0: Any = None,
    *,
    mask: Any = None,
    zoneout: float = 0.0,
    training: bool = False,
    reverse: bool = False,
) -> Trace:
    """Run a parameter set over a sequence and keep every intermediate.  [SPEC S-1, S-2, Z, D]

    params    MShiftParams, MShiftDynamicParams or PotParams
    x         [T,N,C]: integer codes of params.fmt_x, or float32 reals in dynamic mode; T >= 0, N >= 1
    h0        [N,H]: integer codes of params.fmt_h; in dynamic mode float32 reals, or a DynamicState to go on from;
              None is real zero (GP-9, D)
    mask      [T,N,H] of 0 and 1, in time order; only when training  [SPEC Z-1]
    zoneout   probability, applied in inference  [SPEC Z-2]
    training  keep v, and allow a mask
    reverse   read x from T-1 to 0; all fields come back in time order
    Returns   Trace with the fields of golden.spec.layout.trace_fields
    Raises    ParameterError, RangeError, WidthError: one sentence with field and value
    """
    x = check_input(params, x)
    steps, batch = x.shape[:2]
    options = check_options(mask, zoneout, training, (steps, batch, params.hidden_size))
    start = check_state(params, h0, batch)
    order = range(steps - 1, -1, -1) if reverse else range(steps)
    if isinstance(params, MShiftDynamicParams):
        return _forward_dynamic(params, x, start, options, order)
    step: Callable[[np.ndarray, np.ndarray], Fields]
    if isinstance(params, PotParams):
        zero_point = params.operators["input.h"].zero_point
        constants: Fields = {"one": pot_one(params.operators["gate.z_out"], params.rounding)}

        def step(x_t: np.ndarray, h: np.ndarray) -> Fields:
            return pot_cell(params, x_t, h)

    else:
        zero_point, constants, c = params.zp_h, {}, MShiftConstants.of(params)

        def step(x_t: np.ndarray, h: np.ndarray) -> Fields:
            return mshift_cell(c, x_t, h)

    if start is None:
        start = np.full((batch, params.hidden_size), int(saturate(zero_point, params.fmt_h)))
    out = _Recorder(params, options, steps, batch, order)
    out.constant(constants)
    h = np.asarray(start, np.int64)
    out.fields["h"][0] = h
    for t in order:
        fields = step(x[t].astype(np.int64), h)
        h = _next_state(fields, h, zero_point, params, options, t)
        out.record(t, fields, h)
    return Trace(params.datapath, out.fields, reverse=bool(reverse))


def bidirectional(
    params_forward: Params,
    params_backward: Params,
    x: Any,
    h0: tuple[Any, Any] = (None, None),
    *,
    mask: tuple[Any, Any] = (None, None),
    zoneout: float = 0.0,
    training: bool = False,
) -> BidirectionalTrace:
    """Both directions over the same x; the outputs are concatenated on features, forward first.  [SPEC S-2]

    params_forward, params_backward  a parameter set for each direction
    h0, mask  a pair, forward first; otherwise as in forward
    Returns   BidirectionalTrace
    """
    return BidirectionalTrace(
        forward(params_forward, x, h0[0], mask=mask[0], zoneout=zoneout, training=training),
        forward(params_backward, x, h0[1], mask=mask[1], zoneout=zoneout, training=training, reverse=True),
    )


class _Recorder:
    """The arrays of a trace, filled step by step."""

    def __init__(self, params: Params, options: RunOptions, steps: int, batch: int, order: range) -> None:
        layout = trace_fields(params.datapath, training=options.training, zoneout=options.blend)
        sizes = {"steps": steps, "batch": batch, "inputs": params.input_size, "hidden": params.hidden_size}
        self.fields = {f.name: np.zeros(field_shape(f.axes, **sizes), f.dtype) for f in layout}
        self.stepped = [f.name for f in layout if f.axes.startswith("T") and f.name != "v"]
        self.last = "A" if params.datapath == "pot" else "h_new"

    def constant(self, fields: Fields) -> None:
        """Keep fields without a time axis."""
        for name, value in fields.items():
            self.fields[name][...] = value

    def record(self, t: int, fields: Fields, h: np.ndarray) -> None:
        """Keep the fields of time t and the state after it."""
        for name in self.stepped:
            self.fields[name][t] = fields[name]
        self.fields["h"][t + 1] = h
        if "v" in self.fields:
            self.fields["v"][t] = np.concatenate([fields[k] for k in (*GATES, self.last)], axis=-1)


def _next_state(
    fields: Fields, h: np.ndarray, zero_point: int, params: Params, options: RunOptions, t: int
) -> np.ndarray:
    """h[t + 1] from h' by the zoneout of the run; adds h_zoneout_acc to the fields.  [SPEC Z-1, Z-2]"""
    if options.mask is not None:
        return zoneout_mask(options.mask[t], h, fields["h_new"])
    if options.blend:
        k = zoneout_factor(options.zoneout)
        fields["h_zoneout_acc"], blended = zoneout_blend(k, h, fields["h_new"], zero_point, params.fmt_h)
        return blended
    return fields["h_new"]


def _forward_dynamic(p: MShiftDynamicParams, x: np.ndarray, start: Any, options: RunOptions, order: range) -> Trace:
    """Datapath M with moving ranges.  [SPEC D-1 ... D-4]"""
    if isinstance(start, DynamicState) and start.steps == 0:  # its scale is taken as it is  [SPEC D-2, GM-3]
        require_S(start.zp_h, derive(S_ONE, start.s_h, p.shift, saturating=True).multiplier, p.shift)
    s_w, W = _quantized_weights(p.W, "W")
    s_r, R = _quantized_weights(p.R, "R")
    state: Any = start if isinstance(start, DynamicState) else _initial_state(p, start, x.shape[1])
    s_b, s_x = state.s_b, 0.0
    if state.steps == 0 and len(order):
        # the bias scale is that of the first step, so its range comes before the loop
        s_x, _ = _x_scale(p, *ranges.extremes(x[order[0]], tensor="x", step=order[0]), order[0])
        s_b = scale_product(s_w, s_x, "s_Wx", order[0])
    bx, br = (np.zeros(v.shape, np.int64) if s_b is None else quantize_bias(v, s_b, INT32) for v in (p.bx, p.br))

    out = _Recorder(p, options, x.shape[0], x.shape[1], order)
    out.constant({"s_w": s_w, "s_r": s_r, "W": W, "R": R, "s_b": s_b or 0.0, "bx": bx, "br": br})
    out.fields["h"][0] = state.h
    for t in order:
        x_min, x_max = ranges.extremes(x[t], tensor="x", step=t)
        if state.steps > 0:
            x_min, x_max = ranges.ema(state.x_min, state.x_max, x_min, x_max)
        s_x, zp_x = _x_scale(p, x_min, x_max, t)
        x_q = quantize_reciprocal(x[t], reciprocal(s_x), zp_x, INT8) if p.reciprocal else quantize(x[t], s_x, zp_x, INT8)
        moved, h_q, m_h = _moved_state(p, state, t)
        m = derive_mshifts(
            s_w, s_r, s_x, moved.s_h, s_b, s_b, p.s_z, p.s_r_gate, p.s_g,
            shift=p.shift, shift_bias=p.shift_bias, saturating=True, step=t,
        )  # fmt: skip
        c = MShiftConstants(
            W, R, bx, br, zp_x, moved.zp_h,
            {k: getattr(p, f"zp_{k}") for k in GATES}, p.fmt_pre, m, {k: getattr(p, f"table_{k}") for k in GATES},
        )  # fmt: skip
        fields = mshift_cell(c, x_q, h_q)
        h = _next_state(fields, h_q, moved.zp_h, p, options, t)
        fields |= {name: m[name].multiplier for name in MULTIPLIERS}
        fields |= {"x_min": x_min, "x_max": x_max, "s_x": s_x, "zp_x": zp_x, "h_q": h_q, "m_h": m_h}
        fields |= {"h_min": moved.h_min, "h_max": moved.h_max, "s_h": moved.s_h, "zp_h": moved.zp_h}
        out.record(t, fields, h)
        state = DynamicState(
            h, moved.s_h, moved.zp_h, moved.h_min, moved.h_max, state.steps + 1, float(x_min), float(x_max), s_b
        )
    return Trace(p.datapath, out.fields, reverse=order.step < 0, state=state)


def _quantized_weights(w: np.ndarray, tensor: str) -> tuple[float, np.ndarray]:
    """Symmetric scale and codes of a weight matrix.  [SPEC D, E-3, Q-1]"""
    scale, _ = ranges.symmetric(*ranges.extremes(w, tensor=tensor), INT8, tensor=tensor)
    return scale, quantize(w, scale, 0, INT8)


def _initial_state(p: MShiftDynamicParams, h0: np.ndarray | None, batch: int) -> DynamicState:
    """Before step 0: the h range is the union of [-1, 1] and h0's extremes.  [SPEC D]"""
    real = np.zeros((batch, p.hidden_size), np.float32) if h0 is None else h0
    low, high = ranges.extremes(real, tensor="h0")
    h_min, h_max = np.minimum(low, np.float32(-1)), np.maximum(high, np.float32(1))
    s_h, zp_h = (ranges.symmetric if p.h_symmetric else ranges.asymmetric)(h_min, h_max, INT8, tensor="h0")
    return DynamicState(quantize(real, s_h, zp_h, INT8), s_h, zp_h, float(h_min), float(h_max))


def _x_scale(p: MShiftDynamicParams, x_min: Any, x_max: Any, t: int) -> tuple[float, int]:
    """(s_x, zp_x) of the x range.  [SPEC D-1]"""
    return (ranges.symmetric if p.x_symmetric else ranges.asymmetric)(x_min, x_max, INT8, tensor="x", step=t)


def _moved_state(p: MShiftDynamicParams, state: DynamicState, t: int) -> tuple[DynamicState, np.ndarray, int]:
    """(state with the h range of this step, h_q, multiplier); at the first step h is taken as it is.  [SPEC D-2]"""
    h = np.asarray(state.h, np.int64)
    if state.steps == 0:
        return state, h, 0
    real = dequantize(np.array([h.min(), h.max()]), state.s_h, state.zp_h)
    low, high = ranges.extremes(real, tensor="h", step=t)
    h_min, h_max = ranges.ema(state.h_min, state.h_max, low, high)
    s_h, zp_h = (ranges.symmetric if p.h_symmetric else ranges.asymmetric)(h_min, h_max, INT8, tensor="h", step=t)
    m = derive(state.s_h, s_h, p.shift, saturating=True)
    h_q = requantize(h - state.zp_h, m, zp_h, INT8)
    return DynamicState(h_q, s_h, zp_h, float(h_min), float(h_max), 0), h_q, m.multiplier
