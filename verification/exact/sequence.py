"""The time loop of all three datapaths, both directions, zoneout and moving ranges.  [SPEC S, D, Z]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.bounds import require_S
from golden.spec.formats import INT8, INT32, IntFormat
from golden.spec.layout import MULTIPLIERS, field_shape, trace_fields
from golden.spec.params import MShiftDynamicParams, MShiftParams, Params, PotParams, check_input
from golden.spec.trace import BidirectionalTrace, DynamicState, RunOptions, Trace, check_options, check_state
from verification.exact import ranges
from verification.exact.cell import MShiftSet, PotSet, Step, mshift_cell, pot_cell
from verification.exact.hidden import pot_one, zoneout_blend, zoneout_factor, zoneout_mask
from verification.exact.quantize import dequantize, quantize, quantize_bias, quantize_reciprocal, reciprocal
from verification.exact.rescale import S_ONE, derive, derive_mshifts, requantize, scale_product
from verification.exact.rounding import saturate

Rows = list[list[int]]
Fields = dict[str, np.ndarray]


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
    """A run over x [T,N,C]; the trace has every field of golden.spec.layout.trace_fields.  [SPEC S-1, S-2]

    x         codes of the input format (static datapaths) or float32 (dynamic ranges)
    h0        codes [N,H]; in dynamic mode float32 [N,H] or a DynamicState to continue; None is real zero
    mask      [T,N,H] of 0 and 1 in time order, training only  [SPEC Z-1]
    zoneout   probability, blended in inference  [SPEC Z-2]
    reverse   x is read from T-1 to 0
    Raises    ParameterError, and in dynamic mode RangeError naming the tensor and the time step
    """
    x = check_input(params, x)
    steps, batch, _ = x.shape
    hidden = params.hidden_size
    options = check_options(mask, zoneout, training, (steps, batch, hidden))
    h0 = check_state(params, h0, batch)
    layout = trace_fields(params.datapath, training=options.training, zoneout=options.blend)
    sizes = {"steps": steps, "batch": batch, "inputs": params.input_size, "hidden": hidden}
    fields = {f.name: np.zeros(field_shape(f.axes, **sizes), f.dtype) for f in layout}
    order = list(reversed(range(steps))) if reverse else list(range(steps))
    state: DynamicState | None = None
    if isinstance(params, PotParams):
        _pot(params, x, h0, options, order, fields)
    elif isinstance(params, MShiftParams):
        _mshift(params, x, h0, options, order, fields)
    else:
        state = _mshift_dynamic(params, x, h0, options, order, fields)
    return Trace(params.datapath, fields, bool(reverse), state)


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
    """Both directions, each with its own parameters, state and mask.  [SPEC S-2]"""
    return BidirectionalTrace(
        forward(params_forward, x, h0[0], mask=mask[0], zoneout=zoneout, training=training),
        forward(params_backward, x, h0[1], mask=mask[1], zoneout=zoneout, training=training, reverse=True),
    )


def _put(fields: Fields, name: str, t: int, values: Any) -> None:
    """Write one step of a field; a number that its dtype cannot hold is an error."""
    fields[name][t] = np.array(values, dtype=fields[name].dtype)


def _finish(
    fields: Fields, t: int, step: Step, h_prev: Rows, options: RunOptions, zero_point: int, fmt: IntFormat, last: str
) -> Rows:
    """Zoneout, v and the output of time t; returns the new state.  [SPEC Z-1, Z-2, GM-4, GP-9, S-1]

    last  the field that ends v
    """
    for name, values in step.items():
        _put(fields, name, t, values)
    h = [list(row) for row in step["h_new"]]
    if options.mask is not None:
        keep = options.mask[t].tolist()
        h = [[zoneout_mask(k, a, b) for k, a, b in zip(*rows, strict=True)] for rows in zip(keep, h_prev, h, strict=True)]
    if options.blend:
        k = zoneout_factor(options.zoneout)
        both = [
            [zoneout_blend(k, a, b, zero_point, fmt) for a, b in zip(old, new, strict=True)]
            for old, new in zip(h_prev, h, strict=True)
        ]
        _put(fields, "h_zoneout_acc", t, [[acc for acc, _ in row] for row in both])
        h = [[code for _, code in row] for row in both]
    if options.training:
        parts = zip(step["z"], step["r"], step["g"], step[last], strict=True)
        _put(fields, "v", t, [z + r + g + end for z, r, g, end in parts])
    _put(fields, "h", t + 1, h)
    return h


def _initial(fields: Fields, h0: np.ndarray | None, missing: int) -> Rows:
    """h[0]: the given codes, or the code of real zero everywhere.  [SPEC GP-9]"""
    fields["h"][0] = missing if h0 is None else h0
    return fields["h"][0].tolist()


def _pot(p: PotParams, x: np.ndarray, h0: Any, options: RunOptions, order: list[int], fields: Fields) -> None:
    s = PotSet(p)
    op_h = s.ops["input.h"]
    h = _initial(fields, h0, saturate(op_h.zero_point, op_h.fmt))
    fields["one"][()] = pot_one(s.ops["gate.z_out"], s.rounding)
    for t in order:
        step = pot_cell(s, x[t].tolist(), h)
        h = _finish(fields, t, step, h, options, op_h.zero_point, op_h.fmt, "A")


def _mshift(p: MShiftParams, x: np.ndarray, h0: Any, options: RunOptions, order: list[int], fields: Fields) -> None:
    h = _initial(fields, h0, saturate(p.zp_h, INT8))
    m = {name: getattr(p, name) for name in MULTIPLIERS}
    s = MShiftSet(
        p.W.T.tolist(), p.R.T.tolist(), p.bx.tolist(), p.br.tolist(), m,
        p.zp_x, p.zp_h, p.zp_z, p.zp_r, p.zp_g, p.fmt_pre, p.table_z, p.table_r, p.table_g,
    )  # fmt: skip
    for t in order:
        step = mshift_cell(s, x[t].tolist(), h)
        h = _finish(fields, t, step, h, options, p.zp_h, INT8, "h_new")


def _scale(symmetric: bool, rmin: float, rmax: float, tensor: str, step: int | None) -> tuple[float, int]:
    """E-3 or E-2 into int8."""
    make = ranges.symmetric if symmetric else ranges.asymmetric
    return make(rmin, rmax, INT8, tensor, step)


def _weight(w: np.ndarray, name: str) -> tuple[float, list[list[int]]]:
    """The scale of a weight matrix and its codes, row by row.  [SPEC D, E-3, Q-1]"""
    scale, _ = ranges.symmetric(*ranges.extremes(w.reshape(-1).tolist(), name), INT8, name)
    return scale, [[quantize(value, scale, 0, INT8) for value in row] for row in w.tolist()]


def _dynamic_start(p: MShiftDynamicParams, h0: Any, batch: int) -> DynamicState:
    """The state before step 0: the union of [-1, 1] and the extremes of h0, and h0 quantized with it.  [SPEC D]

    A refusal names h0 and no step, for none was begun.  [SPEC E-5]
    """
    if isinstance(h0, DynamicState):
        return h0
    rows = [[0.0] * p.hidden_size for _ in range(batch)] if h0 is None else h0.tolist()
    cmin, cmax = ranges.extremes([value for row in rows for value in row], "h0")
    h_min, h_max = min(-1.0, cmin), max(1.0, cmax)
    s_h, zp_h = _scale(p.h_symmetric, h_min, h_max, "h0", None)
    codes = [[quantize(value, s_h, zp_h, INT8) for value in row] for row in rows]
    return DynamicState(np.array(codes, dtype=np.int32), s_h, zp_h, h_min, h_max)


def _mshift_dynamic(
    p: MShiftDynamicParams, x: np.ndarray, h0: Any, options: RunOptions, order: list[int], fields: Fields
) -> DynamicState:
    if isinstance(h0, DynamicState) and h0.steps == 0:  # its scale is taken as it is  [SPEC D-2, GM-3]
        require_S(h0.zp_h, derive(S_ONE, h0.s_h, p.shift, saturating=True).multiplier, p.shift)
    s_w, W = _weight(p.W, "W")
    s_r, R = _weight(p.R, "R")
    start = _dynamic_start(p, h0, x.shape[1])
    h = _initial(fields, start.h, 0)
    s_h, zp_h, h_min, h_max = start.s_h, start.zp_h, start.h_min, start.h_max
    x_min, x_max, s_b, done = start.x_min, start.x_max, start.s_b, start.steps
    zeros = [0] * (3 * p.hidden_size)
    bx, br = zeros, zeros
    if s_b is not None:
        bx, br = _biases(p, s_b)
    for name, value in (("s_w", s_w), ("s_r", s_r), ("W", W), ("R", R)):
        fields[name][()] = value
    for t in order:
        real = x[t].tolist()
        # D-1: the range of x, its scale and its codes
        cmin, cmax = ranges.extremes([value for row in real for value in row], "x", t)
        if done == 0 or x_min is None or x_max is None:
            x_min, x_max = cmin, cmax
        else:
            x_min, x_max = ranges.ema(x_min, x_max, cmin, cmax)
        s_x, zp_x = _scale(p.x_symmetric, x_min, x_max, "x", t)
        if p.reciprocal:
            inverse = reciprocal(s_x)
            x_q = [[quantize_reciprocal(value, inverse, zp_x, INT8) for value in row] for row in real]
        else:
            x_q = [[quantize(value, s_x, zp_x, INT8) for value in row] for row in real]
        # D-2: the range of h and the state in its new scale; at the first step h is taken as it is
        m_h, h_q = 0, h
        if done > 0:
            codes = [q for row in h for q in row]
            ends = [dequantize(min(codes), s_h, zp_h), dequantize(max(codes), s_h, zp_h)]
            h_min, h_max = ranges.ema(h_min, h_max, *ranges.extremes(ends, "h", t))
            s_old, zp_old = s_h, zp_h
            s_h, zp_h = _scale(p.h_symmetric, h_min, h_max, "h", t)
            m = derive(s_old, s_h, p.shift, saturating=True)
            m_h, h_q = m.multiplier, [[requantize(q - zp_old, m, zp_h, INT8) for q in row] for row in h]
        # the biases take the scale of the first step and keep it
        if done == 0:
            s_b = scale_product(s_w, s_x, "s_Wx", t)
            bx, br = _biases(p, s_b)
        assert s_b is not None  # DynamicState refuses a continued state without it
        # D-3: every MShift from the new scales, then the cell
        ms = derive_mshifts(
            s_w, s_r, s_x, s_h, s_b, s_b, p.s_z, p.s_r_gate, p.s_g,
            shift=p.shift, shift_bias=p.shift_bias, saturating=True, step=t,
        )  # fmt: skip
        cell = MShiftSet(
            _columns(W), _columns(R), bx, br, ms,
            zp_x, zp_h, p.zp_z, p.zp_r, p.zp_g, p.fmt_pre, p.table_z, p.table_r, p.table_g,
        )  # fmt: skip
        step = mshift_cell(cell, x_q, h_q)
        # D-4: the trajectory is an output
        step |= {"x_min": x_min, "x_max": x_max, "s_x": s_x, "zp_x": zp_x}
        step |= {"h_min": h_min, "h_max": h_max, "s_h": s_h, "zp_h": zp_h, "m_h": m_h, "h_q": h_q}
        step |= {name: ms[name].multiplier for name in MULTIPLIERS}
        h = _finish(fields, t, step, h_q, options, zp_h, INT8, "h_new")
        done += 1
    fields["s_b"][()] = 0.0 if s_b is None else s_b
    fields["bx"][...] = bx
    fields["br"][...] = br
    return DynamicState(np.array(h, dtype=np.int32), s_h, zp_h, h_min, h_max, done, x_min, x_max, s_b)


def _biases(p: MShiftDynamicParams, s_b: float) -> tuple[list[int], list[int]]:
    """bx and br in the scale s_b.  [SPEC D, Q-4]"""
    return [quantize_bias(b, s_b, INT32) for b in p.bx.tolist()], [quantize_bias(b, s_b, INT32) for b in p.br.tolist()]


def _columns(matrix: list[list[int]]) -> list[list[int]]:
    return [list(column) for column in zip(*matrix, strict=True)]
