"""Short runs that meet the corners of every stage.  Their frames and units were searched for; the numbers stand for draws.

They do not depend on the seed of the set, so that every set of level 1 meets what the search found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.params import Params
from golden.spec.trace import DynamicState
from vectors.case import Case, case_from_trace
from vectors.draw import Draw
from vectors.plan import corner_sets
from vectors.plan.corner_numbers import CHOSEN
from vectors.plan.corner_sets import among, near, one
from vectors.plan.planned import DYNAMIC, P_ONLY, STATIC_M, Plan, Planned

BATCH = 4
KEEPING = {("mshift", 9738), ("pot", 9309)}
"""Runs that keep every state, whatever was drawn."""
LATER = 5
"""Steps behind the first one of a run with moving ranges."""
ONE_ROW = 9000
"""Frames from this number on have one row, and one step."""
INPUTS = {"mshift": 2, "dynamic": 8, "pot": 2}
DATAPATHS = {"mshift": STATIC_M, "dynamic": DYNAMIC, "pot": P_ONLY}
SETS: dict[str, Callable[..., Params]] = {
    "mshift": corner_sets.static,
    "dynamic": corner_sets.dynamic,
    "pot": corner_sets.pot,
}
REAL_ENDS = ((-2.0, 127 / 64), (-1.0, 1.0), (-431 / 256, 431 / 256), (float.fromhex("-0x1.f9c948p+1"), 1.0))
"""Extremes of a real state; the last two round their greatest number above the format."""
KEEP_OLD, KEEP_NEW = np.float32(0.9), np.float32(0.1)  # E-1
COMMENT = "Ties, ends of accumulators and formats, and zero points in every region, in one step."


def cases() -> Plan:
    """The runs that were chosen."""
    for name, frames in CHOSEN.items():
        for frame, units in frames.items():
            id = f"corner-{name}-{frame:05d}"
            yield Planned(id, 1, DATAPATHS[name], partial(_case, id, name, frame, units))


def drawn(name: str, frame: int, units: Sequence[int]) -> tuple[Params, np.ndarray, Any, dict[str, Any]]:
    """(params, x, h0, options) of a run: "mshift", "dynamic" or "pot"; units 0 and 1 come first, whatever else is chosen."""
    draw = Draw(0, f"corner frame {name} {frame}")
    several = [Draw(0, f"corner unit {name} {frame} {u}") for u in (0, 1, *units)]
    params = SETS[name](draw, INPUTS[name], several)
    options: dict[str, Any] = {"reverse": bool(one(draw, 0, 1))}
    if one(draw, 0, 1):
        options["zoneout"] = among(draw, (0.5, 0.25, 0.375, 0.125, 0.9375, 1.0))
    if (name, frame) in KEEPING:
        options["zoneout"] = 1.0
    fmt, rows = params.fmt_h, BATCH if frame < ONE_ROW else 1
    h = np.stack([u.mixed(fmt.bits, fmt.signed, rows) for u in several], axis=-1)
    if name == "dynamic":
        x, h0 = _reals(draw, params, h, several)
        return params, _time_order(draw, x, options["reverse"]) if rows > 1 else x, h0, options
    x = draw.mixed(params.fmt_x.bits, params.fmt_x.signed, rows * INPUTS[name]).reshape(1, rows, -1)
    return params, x.astype(np.int32), h.astype(np.int32), options


def _reals(draw: Draw, params: Any, h: np.ndarray, units: Sequence[Draw]) -> tuple[np.ndarray, Any]:
    """x float32 of a power-of-two scale at the first step, and a state that is real, or goes on from ranges of any size."""
    exponent = among(draw, (-7, -7, -7, -7, -20))
    zero_point = 0 if params.x_symmetric else among(draw, (0, -128, 127, 40, -77))
    low, high = (-127, 127) if params.x_symmetric else (-128 - zero_point, 127 - zero_point)
    codes = draw.integers(low, high, len(h) * params.input_size).reshape(1, len(h), -1)
    unit = np.float32(2.0**exponent)
    x = np.clip(near(draw, codes, exponent), np.float32(low) * unit, np.float32(high) * unit)
    x[0, 0, 0], x[0, -1, -1] = np.float32(low) * unit, np.float32(high) * unit
    kind = one(draw, 0, 4)
    h[0, 0], h[-1, 1] = -128, 127
    if kind == 0:
        ends = np.array(among(draw, REAL_ENDS), np.float32)
        real = np.stack([near(u, column, -6) for u, column in zip(units, h.T, strict=True)], axis=-1)
        real[0, 0], real[-1, 1] = ends
        return x, np.clip(real, *ends)
    s_h = 2.0 ** among(draw, (-7, -6, -4, 0, -20))
    if kind == 1:
        return x, DynamicState(h, s_h, among(draw, (0, -128, 127, 5, -40)), -1.0, 1.0)
    low_h, high_h = among(draw, ((-1, 1), (-1, 0.5), (0, 0), (0, 1), (-1, 0), (0.5, 1), (-1, -0.5)))
    zp_h = 127 if high_h <= 0 else -128 if low_h >= 0 else among(draw, (0, -128, 127, 5, -40))
    span = among(draw, (0.25, 1.0, 3.0)) * s_h * 127
    size = among(draw, (1.0, 2.0**-12, 2.0**-24, 2.0**8))
    known = {"h_min": low_h * span, "h_max": high_h * span, "x_min": -1.0 * size, "x_max": 0.5 * size}
    if one(draw, 0, 1):
        x *= np.float32(4)
        known["x_max"] = before(float(np.float32(127) * unit), float(x.max()))
        known["x_min"] = before(float(np.float32(-127 - (not params.x_symmetric)) * unit), float(x.min()))
    state: dict[str, Any] = {k: float(np.float32(v)) for k, v in known.items()}
    return x, DynamicState(h, s_h, zp_h, **state, steps=3, s_b=2.0 ** among(draw, (-14, -13, -11, -24, -4)))


def _time_order(draw: Draw, first: np.ndarray, reverse: bool) -> np.ndarray:
    """x [T,N,C]: the first step and five more of other sizes, some of one sign or 0."""
    sizes = np.ldexp(np.float32(1), draw.integers(-12, 12, LATER)).astype(np.float32)
    signs = draw.pick((1, 1, 0, 2, 3), LATER)
    later = [np.roll(first[0], i + 1, 0) * size for i, size in enumerate(sizes)]
    kinds = (lambda v: np.zeros_like(v), lambda v: v, np.abs, lambda v: -np.abs(v))
    steps = [first[0], *(kinds[k](v) for k, v in zip(signs.tolist(), later, strict=True))]
    return np.ascontiguousarray(np.stack(steps[::-1] if reverse else steps).astype(np.float32))


def before(wanted: float, now: float) -> float:
    """The end of a range before a step that moves to wanted when the step's own end is now; the nearest where none does."""
    near_it = np.float32((np.float64(wanted) - np.float64(KEEP_NEW) * now) / np.float64(KEEP_OLD))
    for _ in range(8):
        near_it = np.nextafter(near_it, np.float32(-np.inf))
    for _ in range(17):
        if float(KEEP_OLD * near_it + KEEP_NEW * np.float32(now)) == wanted:
            break
        near_it = np.nextafter(near_it, np.float32(np.inf))
    return float(near_it)


def _case(id: str, name: str, frame: int, units: Sequence[int], draw: Draw) -> Case:
    return run(id, name, frame, units)


def run(id: str, name: str, frame: int, units: Sequence[int]) -> Case:
    """The case of a frame and its units."""
    params, x, h0, options = drawn(name, frame, units)
    trace = forward(params, x, h0, **options)
    given = {k: v for k, v in options.items() if k != "reverse"}
    return case_from_trace(id, params, x, h0, trace, group=f"corner-{name}", comment=COMMENT, **given)
