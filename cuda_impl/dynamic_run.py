"""Runs with moving ranges on a target: upfront what depends on x alone, then two programs per step.  [SPEC D]"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl import cell
from cuda_impl import dynamic as d
from cuda_impl.activation import pack
from cuda_impl.intrinsics import INT32_LAST
from cuda_impl.linear import safe_block
from cuda_impl.rescale import S_ONE, derive
from cuda_impl.runs import Run, column_sums, gate_inputs, gather, multiply, used
from golden.spec.bounds import require_S
from golden.spec.errors import RangeError
from golden.spec.layout import BIAS_MULTIPLIERS, MULTIPLIERS
from golden.spec.params import MShiftDynamicParams, Params
from golden.spec.trace import DynamicState, Trace, check_state

INFINITE = float("inf")


def run_dynamic(p: MShiftDynamicParams, run: Run, h0: np.ndarray | DynamicState | None) -> Trace:
    """A run of datapath M with moving ranges.  [SPEC D]

    Raises   RangeError naming the tensor or the product of scales, and the step  [SPEC E-5, M-2]
    """
    put, target, steps = run.target.put, run.target, run.steps
    continued = isinstance(h0, DynamicState) and h0.steps > 0
    reals, numbers, weight_reals, h = _start(p, run, h0)
    W, W_codes = _weights(run, p.W, d.SCALE_W, weight_reals)
    R, R_codes = _weights(run, p.R, d.SCALE_R, weight_reals)
    codes = run.empty("TNC", "int32")
    Wx, Rh, h_q = run.empty("TNG", "int64"), run.empty("TNG", "int64"), run.empty("TNH", "int32")
    ints = run.empty("TNH", "int32", len(cell.MSHIFT_32))
    longs = run.empty("TNH", "int64", len(cell.MSHIFT_64))
    biases = run.empty("TH", "int32", len(cell.MSHIFT_BIAS))
    h, mask, acc, v = run.tail(h)
    bx, br = put(np.zeros((1, 3 * run.hidden), np.int32)), put(np.zeros((1, 3 * run.hidden), np.int32))
    if steps > 0:
        zero_points = target.empty((steps,), np.int64)
        flat = run.x.reshape(steps, run.batch * run.inputs)
        found = _extremes(run, flat)
        target.run(
            "x_trajectory", 1, found, int(run.reverse), int(p.x_symmetric), int(continued),
            reals, numbers, zero_points, weight_reals,
        )  # fmt: skip
        flat_codes = codes.reshape(steps, run.batch * run.inputs)
        target.run("quantize_steps", steps, flat, int(run.reverse), int(p.reciprocal), reals, numbers, flat_codes)
        block = safe_block(128, 128)
        multiply(run, codes, W, zero_points, run.batch, block, Wx)
    if steps > 0 or continued:
        for values, out in ((p.bx, bx), (p.br, br)):
            target.run("bias_codes", 1, put(values.reshape(1, -1)), weight_reals, out)
    if steps > 0:
        R_sums, h_flat = column_sums(run, R), h.reshape(steps + 1, run.batch * run.hidden)
        bx_flat, br_flat = bx.reshape(3 * run.hidden), br.reshape(3 * run.hidden)
        tables = [put(pack(t)) for t in (p.table_z, p.table_r, p.table_g)]
        gate_scales = put(np.array([p.s_z, p.s_r_gate, p.s_g], np.float32))
        parts = target.empty((target.lanes, 2), np.int64)
        for i in range(steps):
            previous = i if not run.reverse else (steps + 1 - i if i > 0 else 0)
            target.run(
                "h_trajectory", 1, i, previous, int(continued), int(p.h_symmetric), p.shift, p.shift_bias,
                gate_scales, weight_reals, h_flat, parts, reals, numbers,
            )  # fmt: skip
            target.run(
                "mshift_rows", run.batch, i, i + 1, int(run.reverse), 2 if continued else 1, run.zoneout_k, block,
                numbers, R, R_sums, bx_flat, br_flat, *tables, Wx, Rh, ints, longs, biases, h_q, h, mask, acc, v,
                work=run.hidden * (3 * run.hidden + 50),
            )  # fmt: skip
    reals, numbers, weight_reals = target.get(reals), target.get(numbers), target.get(weight_reals)
    check_ranges(p, reals, run.reverse, isinstance(h0, DynamicState), continued)
    found_fields = {
        "s_w": weight_reals[d.SCALE_W : d.SCALE_W + 1], "s_r": weight_reals[d.SCALE_R : d.SCALE_R + 1],
        "W": W_codes, "R": R_codes, "s_b": weight_reals[d.SCALE_B : d.SCALE_B + 1], "bx": bx, "br": br,
        **trajectory(reals, numbers, run.reverse), "h_q": h_q, "x": codes, "Wx": Wx, "Rh": Rh,
        "h": h, "h_zoneout_acc": acc, "v": v,
    }  # fmt: skip
    groups = ((cell.MSHIFT_32, ints), (cell.MSHIFT_64, longs), (cell.MSHIFT_BIAS, biases))
    trace = gather("mshift-dynamic", run, used(run, found_fields), groups)
    state = _state(trace, reals, numbers, weight_reals, h0, steps)
    return Trace(trace.datapath, trace.fields, trace.reverse, state)


def _extremes(run: Run, values: Any) -> Any:
    """float32 [rows, 2], the extremes of each row of values on the target."""
    rows = values.shape[0]
    found, parts = run.target.empty((rows, 2), np.float32), run.target.empty((rows, run.target.lanes, 2), np.float32)
    run.target.run("find_extremes", rows, values, parts, found)
    return found


def _weights(run: Run, weights: np.ndarray, which: int, weight_reals: Any) -> tuple[Any, Any]:
    """(int8, int32) codes of float32 weights on the target; their scale goes into weight_reals.  [SPEC D, E-3]"""
    placed, target = run.target.put(weights), run.target
    target.run("weight_scale", 1, _extremes(run, placed.reshape(1, weights.size)), which, weight_reals)
    codes, narrow = target.empty(weights.shape, np.int32), target.empty(weights.shape, np.int8)
    target.run("weight_codes", weights.shape[0], placed, which, weight_reals, codes, narrow)
    return narrow, codes


def _start(p: MShiftDynamicParams, run: Run, h0: np.ndarray | DynamicState | None) -> tuple[Any, Any, Any, Any]:
    """(reals, numbers, weight_reals, h) on the target, row 0 being the state before the run.  [SPEC D]"""
    reals = np.zeros((run.steps + 1, d.REALS), np.float32)
    numbers = np.zeros((run.steps + 1, cell.COLUMNS), np.int64)
    for i, name in enumerate(MULTIPLIERS):
        numbers[:, cell.S_RH_Z + i] = p.shift_bias if name in BIAS_MULTIPLIERS else p.shift
    numbers[:, cell.S_H_SHIFT] = p.shift
    gate_inputs(numbers, p)
    weight_reals = np.zeros(d.WEIGHT_REALS, np.float32)
    h, put = run.empty("SNH", "int32"), run.target.put
    if isinstance(h0, DynamicState):
        reals[0, d.H_MIN], reals[0, d.H_MAX], reals[0, d.SCALE_H] = h0.h_min, h0.h_max, h0.s_h
        numbers[0, cell.ZP_H] = h0.zp_h
        if h0.steps > 0:
            reals[0, d.X_MIN], reals[0, d.X_MAX], weight_reals[d.SCALE_B] = h0.x_min, h0.x_max, h0.s_b
        run.target.set_row(h, 0, h0.h)
        return put(reals), put(numbers), put(weight_reals), h
    values = put(np.zeros(run.shape("NH"), np.float32) if h0 is None else h0)
    placed_reals, placed_numbers = put(reals), put(numbers)
    found = _extremes(run, values.reshape(1, run.batch * run.hidden))
    run.target.run("start_state", 1, found, int(p.h_symmetric), placed_reals, placed_numbers)
    run.target.run("start_codes", run.batch, values, placed_reals, placed_numbers, h)
    return placed_reals, placed_numbers, put(weight_reals), h


def checked_state(p: Params, h0: Any, batch: int) -> Any:
    """check_state, and with the scale of a state before the first step, taken as it is, S stays in int32.  [SPEC D-2, GM-3]"""
    state = check_state(p, h0, batch)
    if isinstance(p, MShiftDynamicParams) and isinstance(state, DynamicState) and state.steps == 0:
        with np.errstate(over="ignore"):
            multiplier = derive(S_ONE, np.float32(state.s_h), p.shift, INT32_LAST)
        require_S(state.zp_h, int(multiplier), p.shift)
    return state


def check_ranges(p: MShiftDynamicParams, reals: np.ndarray, reverse: bool, given: bool, continued: bool) -> None:
    """Refuse the first range or product of scales that binary32 does not hold, in the order of the clauses.

    given      whether row 0 came with a state; only a range that is found here is checked
    continued  whether the h range moves at the first step too
    """
    steps = len(reals) - 1
    if not given:
        _check_range("h0", reals[0, d.H_MIN], reals[0, d.H_MAX], p.h_symmetric, None)
    if not _suspicious(reals[1:]):
        return
    for i in range(steps):
        row, t = reals[i + 1], steps - 1 - i if reverse else i
        _check_range("x", row[d.X_MIN], row[d.X_MAX], p.x_symmetric, t)
        if i > 0 or continued:
            _check_range("h", row[d.H_MIN], row[d.H_MAX], p.h_symmetric, t)
        for name, column in (("s_Wx", d.SCALE_WX), ("s_Rh", d.SCALE_RH), ("s_one*s_Rh", d.SCALE_RRH)):
            if not 0.0 < float(row[column]) < INFINITE:
                raise RangeError(name, str(row[column]), t)


def _suspicious(rows: np.ndarray) -> bool:
    """Whether any row could be refused, all of them at once; a look at each says whether it is, and for what."""
    ranges = rows[:, [d.X_MIN, d.X_MAX, d.H_MIN, d.H_MAX]].astype(np.float64)
    products = rows[:, [d.SCALE_WX, d.SCALE_RH, d.SCALE_RRH]]
    fine = (np.abs(ranges) < 2.0**126).all() and (products > 0).all() and (products < INFINITE).all()
    return not fine


def _check_range(name: str, low: np.float32, high: np.float32, symmetric: bool, step: int | None) -> None:
    for value in (low, high):
        if not abs(float(value)) < INFINITE:
            raise RangeError(name, str(value), step)
    with np.errstate(over="ignore"):
        width = np.float32(max(float(high), 0.0)) - np.float32(min(float(low), 0.0))
    if not symmetric and not float(width) < INFINITE:
        raise RangeError(name, str(width), step)


def trajectory(reals: np.ndarray, numbers: np.ndarray, reverse: bool) -> dict[str, np.ndarray]:
    """The fields of D-4 in time order."""
    order = slice(None, 0, -1) if reverse else slice(1, None)
    columns = {"x_min": d.X_MIN, "x_max": d.X_MAX, "s_x": d.SCALE_X, "h_min": d.H_MIN, "h_max": d.H_MAX, "s_h": d.SCALE_H}
    fields = {name: np.ascontiguousarray(reals[order, column]) for name, column in columns.items()}
    whole = {"zp_x": cell.ZP_X, "zp_h": cell.ZP_H, "m_h": cell.M_H} | {name: i for i, name in enumerate(MULTIPLIERS)}
    return fields | {name: numbers[order, column].astype(np.int32) for name, column in whole.items()}


def _state(trace: Trace, reals: Any, numbers: Any, weight_reals: Any, h0: Any, steps: int) -> DynamicState:
    """Where the run ended.  [SPEC S-1]"""
    done = h0.steps if isinstance(h0, DynamicState) else 0
    if steps == 0 and isinstance(h0, DynamicState):
        return h0
    last = reals[-1]
    ranges = {"h_min": float(last[d.H_MIN]), "h_max": float(last[d.H_MAX])}
    if done + steps > 0:
        ranges |= {"x_min": float(last[d.X_MIN]), "x_max": float(last[d.X_MAX]), "s_b": float(weight_reals[d.SCALE_B])}
    return DynamicState(trace.h_n, float(last[d.SCALE_H]), int(numbers[-1, cell.ZP_H]), steps=done + steps, **ranges)
