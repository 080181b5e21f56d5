"""Inputs and states that push a field to its ends: corners in every direction of the three gates, then ascent code by code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.layout import GATES
from verification.widths.columns import Columns, Data, data_of, evaluate
from verification.widths.linear import corners, directions, dots

CHUNK = 2**16  # grid points of all units that are evaluated at once
FINE = 16  # hidden sizes up to this one get more directions
ROUNDS, STARTS = 40, 6


class Reached(NamedTuple):
    """The end of a field that was attained, and how.

    value  int
    unit   in [0, H)
    gate   of a field over 3H channels, else ""
    x, h   int64 [C], [H]
    """

    value: int
    unit: int
    gate: str
    x: np.ndarray
    h: np.ndarray


@dataclass(eq=False)
class Found:
    """What a search attained of a field: ends for each unit, int64 [2, H], and the first input at each end."""

    ends: np.ndarray
    least: Reached
    greatest: Reached


class Grid(NamedTuple):
    """Candidates for some units: x [Dx, C, U], h [Dh, H, U], and every field of all pairs, [Dx, Dh, U]."""

    x: np.ndarray
    h: np.ndarray
    fields: Columns


def grid(params: Any, units: np.ndarray, fine: bool, zoneout: float) -> Grid:
    """The corner candidates of some units, with the unit's own state at both of its ends."""
    d = data_of(params)
    along = directions(2 if fine else 1)
    x = corners(params.W, units, d.fmt_x, along)
    low = corners(params.R, units, d.fmt_h, along)
    high = low.copy()
    own = np.arange(len(units))
    low[:, units, own], high[:, units, own] = d.fmt_h.qmin, d.fmt_h.qmax
    h = np.concatenate([low, high])
    wx, rh = dots(x, params.W, units, d.zp_x), dots(h, params.R, units, d.zp_h)
    state = h[:, units, own]
    fields = evaluate(
        params, {k: v[:, None] for k, v in wx.items()}, {k: v[None] for k, v in rh.items()}, state[None], units, zoneout
    )
    return Grid(x, h, fields)


def search(params: Any, zoneout: float = 0.0) -> dict[str, Found]:
    """Field -> what the corner candidates attain; every value is of golden's own steps."""
    hidden = params.hidden_size
    fine = hidden <= FINE
    points = 2 * len(directions(2 if fine else 1)) ** 2
    step = max(1, CHUNK // points) if fine else max(1, 16 * CHUNK // points)
    found: dict[str, Found] = {}
    for start in range(0, hidden, step):
        units = np.arange(start, min(start + step, hidden))
        _collect(found, grid(params, units, fine, zoneout), units, hidden)
    return found


def _collect(found: dict[str, Found], g: Grid, units: np.ndarray, hidden: int) -> None:
    for name, values in g.fields.items():
        full = np.atleast_1d(values)
        if full.shape[-1] != len(units):
            full = np.broadcast_to(full, (len(units),))
        full = full.reshape((1,) * (3 - full.ndim) + full.shape)
        flat = full.reshape(-1, len(units))
        places = (flat.argmin(axis=0), flat.argmax(axis=0))
        ends = np.stack([np.take_along_axis(flat, p[None], 0)[0] for p in places])
        reached = []
        for side, choose in ((0, np.argmin), (1, np.argmax)):
            u = int(choose(ends[side]))
            i, j, _ = np.unravel_index(int(places[side][u]) * len(units) + u, full.shape)
            gate = name.partition(":")[2]
            reached.append(Reached(int(ends[side, u]), int(units[u]), gate, g.x[i, :, u].copy(), g.h[j, :, u].copy()))
        if name not in found:
            found[name] = Found(np.zeros((2, hidden), np.int64), *reached)
        f = found[name]
        f.ends[:, units] = ends
        if reached[0].value < f.least.value:
            f.least = reached[0]
        if reached[1].value > f.greatest.value:
            f.greatest = reached[1]


def rows(params: Any, x: np.ndarray, h: np.ndarray, unit: int, zoneout: float = 0.0) -> Columns:
    """Every field of one unit, int64 [N], for rows x [N, C] and h [N, H]."""
    d, H = data_of(params), params.hidden_size
    units = np.array([unit])
    wx = {k: ((x - d.zp_x) @ np.asarray(params.W[:, i * H + unit], np.int64))[:, None] for i, k in enumerate(GATES)}
    rh = {k: ((h - d.zp_h) @ np.asarray(params.R[:, i * H + unit], np.int64))[:, None] for i, k in enumerate(GATES)}
    fields = evaluate(params, wx, rh, h[:, units], units, zoneout)
    return {name: np.broadcast_to(np.reshape(v, -1), (len(x),)) for name, v in fields.items()}


def pool(params: Any, unit: int, zoneout: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows x [N, C] and h [N, H] for one unit: its corner candidates in pairs, some on their way to zero, random codes."""
    d = data_of(params)
    g = grid(params, np.array([unit]), params.hidden_size <= FINE, zoneout)
    i, j = np.divmod(np.arange(len(g.x) * len(g.h)), len(g.h))
    rng = np.random.default_rng(seed)
    count = 256
    some = rng.choice(len(i), min(len(i), 2 * count), replace=False)
    part = rng.random((2, len(some), 1)) ** 2
    out = []
    for codes, pairs, fmt, zp, way in ((g.x, i, d.fmt_x, d.zp_x, part[0]), (g.h, j, d.fmt_h, d.zp_h, part[1])):
        free = rng.integers(fmt.qmin, fmt.qmax, (count, codes.shape[1]), endpoint=True)
        out.append(np.concatenate([codes[pairs, :, 0], _toward(codes[pairs[some], :, 0], fmt, zp, way), free]))
    return out[0], out[1]


def near(params: Any, reached: Reached, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows around an input: x, h or both stay close to it, and what does not is drawn between zero and anything."""
    d = data_of(params)
    rng = np.random.default_rng(seed)
    out = []
    for codes, fmt, zp, kept in ((reached.x, d.fmt_x, d.zp_x, (0, 2)), (reached.h, d.fmt_h, d.zp_h, (1, 2))):
        shape = (count, len(codes))
        free = rng.integers(fmt.qmin, fmt.qmax, shape, endpoint=True)
        free = _toward(free, fmt, zp, rng.random((count, 1)))
        part = 1 - rng.random((count, 1)) ** 4 * (rng.random(shape) < 0.5)
        close = _toward(np.broadcast_to(codes, shape), fmt, zp, part)
        out.append(np.where(np.isin(np.arange(count) % 3, kept)[:, None], close, free))
    return out[0], out[1]


def _toward(codes: np.ndarray, fmt: IntFormat, zero_point: int, part: np.ndarray) -> np.ndarray:
    """A part of the way from the zero point to these codes."""
    zero = min(max(zero_point, fmt.qmin), fmt.qmax)
    return zero + np.trunc((codes - zero) * part).astype(np.int64)


def ascend(params: Any, name: str, side: int, unit: int, enough: int, zoneout: float = 0.0, seed: int = 0) -> Reached:
    """Push one end of a field of a unit further: every code of x and h in turn to its ends, its neighbours and elsewhere.

    side     0 for the least value, 1 for the greatest
    enough   stop where this value is reached
    """
    d, sign = data_of(params), 2 * side - 1
    rng = np.random.default_rng(seed)
    x, h = pool(params, unit, zoneout, seed)
    values = sign * rows(params, x, h, unit, zoneout)[name]
    order = np.argsort(-values, kind="stable")
    starts = order[: STARTS // 2].tolist() + order[-1:].tolist() + rng.choice(len(order), STARTS // 2).tolist()
    best = (int(values[order[0]]), x[order[0]], h[order[0]])
    for start in starts:
        value, now_x, now_h = int(values[start]), x[start], h[start]
        for _ in range(ROUNDS):
            if best[0] >= sign * enough:
                break
            tried_x, tried_h = _moves(now_x, now_h, d, rng)
            got = sign * rows(params, tried_x, tried_h, unit, zoneout)[name]
            top = int(got.argmax())
            if int(got[top]) <= value:
                break
            value, now_x, now_h = int(got[top]), tried_x[top], tried_h[top]
        if value > best[0]:
            best = (value, now_x, now_h)
    return Reached(sign * best[0], unit, name.partition(":")[2], best[1], best[2])


def _moves(x: np.ndarray, h: np.ndarray, d: Data, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The row with one code changed, or two at random."""
    now = np.concatenate([x, h])
    low = np.concatenate([np.full(len(x), d.fmt_x.qmin), np.full(len(h), d.fmt_h.qmin)])
    high = np.concatenate([np.full(len(x), d.fmt_x.qmax), np.full(len(h), d.fmt_h.qmax)])
    size = len(now)
    elsewhere = rng.integers(low, high, endpoint=True)
    tried = []
    beside = np.maximum(now - 1, low), np.minimum(now + 1, high), (now + low) // 2, (now + high) // 2
    for values in (low, high, *beside, elsewhere):
        block = np.repeat(now[None], size, axis=0)
        block[np.arange(size), np.arange(size)] = values
        tried.append(block)
    pairs = np.repeat(now[None], 2 * size, axis=0)
    for row in pairs:
        for at in rng.integers(0, size, 2):
            row[at] = (low[at], high[at])[int(rng.integers(2))]
    both = np.concatenate([*tried, pairs])
    return both[:, : len(x)], both[:, len(x) :]
