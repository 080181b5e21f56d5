"""Dot products with a free vector: their exact extremes, in any order of summation, and inputs that lead there.  [SPEC L-1]"""

from __future__ import annotations

from itertools import product

import numpy as np

from golden.spec.formats import IntFormat


def terms(weights: np.ndarray, fmt: IntFormat, zero_point: int) -> tuple[np.ndarray, np.ndarray]:
    """(least, greatest) of weights * (q - zero_point) over the codes q of fmt, element by element, int64."""
    w = np.asarray(weights, np.int64)
    a, b = w * (fmt.qmin - zero_point), w * (fmt.qmax - zero_point)
    return np.minimum(a, b), np.maximum(a, b)


def extremes(weights: np.ndarray, fmt: IntFormat, zero_point: int) -> np.ndarray:
    """int64 [2, M]: the least and the greatest sum_k weights[k,m] * (q[k] - zero_point); both are attained."""
    low, high = terms(weights, fmt, zero_point)
    return np.stack([low.sum(axis=0), high.sum(axis=0)])


def any_order(weights: np.ndarray, fmt: IntFormat, zero_point: int) -> np.ndarray:
    """int64 [2, M]: the least and the greatest partial sum, whatever the order of the terms: any subset may come first."""
    low, high = terms(weights, fmt, zero_point)
    return np.stack([np.minimum(low, 0).sum(axis=0), np.maximum(high, 0).sum(axis=0)])


def directions(steps: int = 1) -> np.ndarray:
    """float64 [D, 3]: what to weigh the gates z, r, g with; every combination of signs and, for steps > 1, of sizes."""
    sizes = [4.0**-i for i in range(steps)]
    values = (0.0, *sizes, *(-s for s in sizes))
    return np.array([d for d in product(values, repeat=3) if max(map(abs, d)) == 1.0])


def corners(weights: np.ndarray, units: np.ndarray, fmt: IntFormat, along: np.ndarray) -> np.ndarray:
    """Codes, each qmin or qmax, that push the dot products of a unit along a direction.

    weights  integers [K, 3H]
    along    float64 [D, 3]
    Returns  int64 [D, K, U]
    """
    w = np.stack([part[:, units] for part in np.split(np.asarray(weights, np.float64), 3, axis=1)])  # [3, K, U]
    size = np.maximum(np.abs(w).sum(axis=1, keepdims=True), 1)
    score = np.einsum("dg,gku->dku", along, w / size)
    return np.where(score >= 0, fmt.qmax, fmt.qmin).astype(np.int64)


def dots(codes: np.ndarray, weights: np.ndarray, units: np.ndarray, zero_point: int) -> dict[str, np.ndarray]:
    """gate -> int64 [D, U], the dot product of codes [D, K, U] with the unit's own column of each gate."""
    centred = codes - zero_point
    parts = np.split(np.asarray(weights, np.int64), 3, axis=1)
    return {k: np.einsum("dku,ku->du", centred, part[:, units]) for k, part in zip("zrg", parts, strict=True)}
