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
from verification.widths.linear import terms

CELLS = (48, 144)  # of each of the two products, coarse and fine
MULTIPLIERS = 257


def refined(params: Any, unit: int, zoneout: float = 0.0, fine: bool = False) -> Bounds:
    """Field -> int64 [2], the least and the greatest value of one unit.

    Cut along z, r and g, and along z and the unit's own state; the tightest of all.
    """
    found: Bounds = {}
    for gate, own in (*((k, False) for k in GATES), ("z", True)):
        along = _along(params, unit, gate, own, zoneout, CELLS[fine])
        for name, ends in along.items():
            known = found.get(name, ends)
            found[name] = np.array([max(known[0], ends[0]), min(known[1], ends[1])])
    return found


def _along(params: Any, unit: int, gate: str, own: bool, zoneout: float, most: int) -> Bounds:
    d, hidden = data_of(params), params.hidden_size
    products = []
    for matrix, fmt, zp in ((params.W, d.fmt_x, d.zp_x), (params.R, d.fmt_h, d.zp_h)):
        w = {k: np.asarray(matrix[:, i * hidden + unit], np.int64) for i, k in enumerate(GATES)}
        if own and matrix is params.R:
            state = _cells(fmt.qmin, fmt.qmax, most)
            products.append({k: _with_own(w[k], unit, fmt, zp, state) for k in GATES})
            continue
        low, high = (int(t.sum()) for t in terms(w[gate], fmt, zp))
        cells = _cells(low, high, most)
        products.append({k: cells if k == gate else follow(w[gate], w[k], fmt, zp, cells) for k in GATES})
    x, h = products
    i, j = (a.ravel() for a in np.meshgrid(np.arange(x["z"].shape[1]), np.arange(h["z"].shape[1]), indexing="ij"))
    wx, rh = ({k: v[:, at] for k, v in values.items()} for values, at in ((x, i), (h, j)))
    limits = bounds(params, wx, rh, np.full(len(i), unit), zoneout, state[:, j] if own else None)
    return {name: np.array([v[0].min(), v[1].max()]) for name, v in limits.items()}


def _with_own(w: np.ndarray, unit: int, fmt: IntFormat, zero_point: int, state: np.ndarray) -> np.ndarray:
    """int64 [2, K]: the dot product while the unit's own code lies in each cell."""
    low, high = (np.delete(t, unit).sum() for t in terms(w, fmt, zero_point))
    part = w[unit] * (state - zero_point)
    return np.stack([low + part.min(axis=0), high + part.max(axis=0)])


def _cells(low: int, high: int, most: int) -> np.ndarray:
    """int64 [2, K]: intervals of integers that cover low ... high."""
    count = min(most, high - low + 1)
    edges = [low + (high + 1 - low) * i // count for i in range(count + 1)]
    return np.array([edges[:-1], [e - 1 for e in edges[1:]]], np.int64)


def follow(source: np.ndarray, target: np.ndarray, fmt: IntFormat, zero_point: int, cells: np.ndarray) -> np.ndarray:
    """int64 [2, K]: what a dot product can be while another one, of the same codes, lies in each cell.

    source, target  int64 [C], the weights of the one that is cut and of the one that follows
    """
    nonzero = np.flatnonzero(source)[: MULTIPLIERS - 1]
    p = np.concatenate([[0], target[nonzero] * np.sign(source[nonzero])])
    q = np.concatenate([[1], np.abs(source[nonzero])])
    rest_low, rest_high = (t.sum(axis=1) for t in terms(q[:, None] * target - p[:, None] * source, fmt, zero_point))
    part = p[:, None, None] * cells[None]  # [L, 2, K]
    high = (rest_high[:, None] + part.max(axis=1)) // q[:, None]
    low = -((-rest_low[:, None] - part.min(axis=1)) // q[:, None])
    return np.stack([low.max(axis=0), high.min(axis=0)])
