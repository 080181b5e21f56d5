"""Tighter bounds of one unit: the dot products of a gate are cut into cells, and in each cell the other gates follow.

The gates of a unit read the same x and h. Where one dot product is known to lie in a cell, another one is bounded by Lagrange
multipliers, q*t <= max(q*t - p*s) + max(p*s) for integers p and q > 0; the best ones are ratios of two weights of one input.
The bounds of a field over all cells together are bounds of the field.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.layout import GATES
from verification.widths.bound import Bounds, bounds
from verification.widths.columns import data_of
from verification.widths.least import fits
from verification.widths.linear import terms

Cut = tuple[str, bool]
CELLS = 48  # of each of the two products
SPLIT = 4  # of each side of a cell that leaves a width open
ROUNDS, MOST = 4, 30000
MULTIPLIERS = 257
CUTS = (*((k, False) for k in GATES), ("z", True))  # (gate, whether the unit's own state is cut in place of its product with R)


def refined(params: Any, unit: int, zoneout: float = 0.0) -> Bounds:
    """Field -> int64 [2], the least and the greatest value of one unit; the tightest of all cuts."""
    found: Bounds = {}
    for cut in CUTS:
        limits = _limits(params, unit, cut, zoneout, *_pairs(*_sides(params, unit, cut)))
        for name, v in limits.items():
            known = found.get(name, np.array([v[0].min(), v[1].max()]))
            found[name] = np.array([max(known[0], v[0].min()), min(known[1], v[1].max())])
    return found


def pursued(params: Any, unit: int, name: str, bits: int, zoneout: float = 0.0) -> np.ndarray:
    """int64 [2], the ends of one field of one unit, cut again where a cell may need more than these bits."""
    found = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max])
    for cut in CUTS:
        ends = _pursued(params, unit, name, bits, zoneout, cut)
        found = np.array([max(found[0], ends[0]), min(found[1], ends[1])])
        if fits(found, bits).all():
            break
    return found


def _pursued(params: Any, unit: int, name: str, bits: int, zoneout: float, cut: Cut) -> np.ndarray:
    x, h = _pairs(*_sides(params, unit, cut))
    done: list[np.ndarray] = []
    for _ in range(ROUNDS):
        v = _limits(params, unit, cut, zoneout, x, h)[name]
        wide = ~fits(v, bits).all(axis=0)
        done.append(v[:, ~wide])
        if not wide.any() or np.count_nonzero(wide) * SPLIT**2 > MOST:
            done.append(v[:, wide])
            break
        x, h = (np.concatenate(parts, axis=1) for parts in zip(*_split(x[:, wide], h[:, wide]), strict=True))
    else:
        done.append(v[:, wide])
    every = np.concatenate(done, axis=1)
    return np.array([every[0].min(), every[1].max()])


def _split(x: np.ndarray, h: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cells of x and h, each in SPLIT by SPLIT smaller ones."""
    return [(a[:, keep], b[:, keep]) for a in _parts(x) for b in _parts(h) if (keep := (a[0] <= a[1]) & (b[0] <= b[1])).any()]


def _parts(cells: np.ndarray) -> list[np.ndarray]:
    """Each cell in SPLIT parts; a part of a small cell may be empty, with its ends the wrong way round."""
    low, size = cells[0], cells[1] + 1 - cells[0]
    return [np.stack([low + size * i // SPLIT, low + size * (i + 1) // SPLIT - 1]) for i in range(SPLIT)]


def _sides(params: Any, unit: int, cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """Cells of the product with W, and of the product with R or of the unit's own state."""
    d, (gate, own) = data_of(params), cut
    column = GATES.index(gate) * params.hidden_size + unit
    sides = []
    for matrix, fmt, zp in ((params.W, d.fmt_x, d.zp_x), (params.R, d.fmt_h, d.zp_h)):
        low, high = (int(t.sum()) for t in terms(np.asarray(matrix[:, column]), fmt, zp))
        sides.append(_cells(low, high))
    return sides[0], _cells(d.fmt_h.qmin, d.fmt_h.qmax) if own else sides[1]


def _pairs(x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every cell of x with every cell of h, [2, K]."""
    i, j = (a.ravel() for a in np.meshgrid(np.arange(x.shape[1]), np.arange(h.shape[1]), indexing="ij"))
    return x[:, i], h[:, j]


def _limits(params: Any, unit: int, cut: Cut, zoneout: float, x: np.ndarray, h: np.ndarray) -> Bounds:
    """Field -> int64 [2, K], bounds of one unit in each pair of cells."""
    d, hidden, (gate, own) = data_of(params), params.hidden_size, cut
    W, R = ({k: np.asarray(m[:, i * hidden + unit], np.int64) for i, k in enumerate(GATES)} for m in (params.W, params.R))
    wx = {k: x if k == gate else follow(W[gate], W[k], d.fmt_x, d.zp_x, x) for k in GATES}
    if own:
        rh = {k: _with_own(R[k], unit, d.fmt_h, d.zp_h, h) for k in GATES}
    else:
        rh = {k: h if k == gate else follow(R[gate], R[k], d.fmt_h, d.zp_h, h) for k in GATES}
    limits = bounds(params, wx, rh, np.full(x.shape[1], unit), zoneout, h if own else None)
    return {name: np.asarray(v) for name, v in limits.items()}


def _with_own(w: np.ndarray, unit: int, fmt: IntFormat, zero_point: int, state: np.ndarray) -> np.ndarray:
    """int64 [2, K]: the dot product while the unit's own code lies in each cell."""
    low, high = (np.delete(t, unit).sum() for t in terms(w, fmt, zero_point))
    part = w[unit] * (state - zero_point)
    return np.stack([low + part.min(axis=0), high + part.max(axis=0)])


def _cells(low: int, high: int) -> np.ndarray:
    """int64 [2, K]: intervals of integers that cover low ... high."""
    count = min(CELLS, high - low + 1)
    edges = [low + (high + 1 - low) * i // count for i in range(count + 1)]
    return np.array([edges[:-1], [e - 1 for e in edges[1:]]], np.int64)


def follow(source: np.ndarray, target: np.ndarray, fmt: IntFormat, zero_point: int, cells: np.ndarray) -> np.ndarray:
    """int64 [2, K]: what a dot product can be while another one, of the same codes, lies in each cell.

    source, target  int64 [C], the weights of the one that is cut and of the one that follows
    """
    cells, place = np.unique(cells, axis=1, return_inverse=True)
    nonzero = np.flatnonzero(source)[: MULTIPLIERS - 1]
    p = np.concatenate([[0], target[nonzero] * np.sign(source[nonzero])])
    q = np.concatenate([[1], np.abs(source[nonzero])])
    rest_low, rest_high = (t.sum(axis=1) for t in terms(q[:, None] * target - p[:, None] * source, fmt, zero_point))
    part = p[:, None, None] * cells[None]  # [L, 2, K]
    high = (rest_high[:, None] + part.max(axis=1)) // q[:, None]
    low = -((-rest_low[:, None] - part.min(axis=1)) // q[:, None])
    low, high = low.max(axis=0), high.min(axis=0)
    return np.stack([low, np.maximum(low, high)])[:, place.reshape(-1)]  # a cell that no input reaches keeps one value
