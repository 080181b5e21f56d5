"""Edge-biased integers, reals and arrays.

A bulk array is drawn as a pattern, a seed and a few explicit elements: it costs a handful of choices however large it is,
and it shrinks to a plain pattern ("zero" first) with few elements that matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from golden.spec.formats import BOUNDS, IntFormat

PATTERNS = ("zero", "low", "high", "alternate", "small", "edges", "uniform", "uniform", "ramp")
LIVELY = ("uniform", "uniform", "edges", "ramp")
REAL_PATTERNS = ("zero", "ones", "alternate", "signed_zero", "normal", "normal", "lattice", "one_sided", "spike")
LIVELY_REAL = ("normal", "normal", "lattice", "one_sided")

_SEED = st.integers(0, 2**20)
_PATTERN = {False: st.sampled_from(PATTERNS), True: st.sampled_from(LIVELY)}
_REAL_PATTERN = {False: st.sampled_from(REAL_PATTERNS), True: st.sampled_from(LIVELY_REAL)}
_EVERYDAY = st.integers(-3, 1)
_COUNT = st.integers(0, 3)
_BOOL = st.booleans()


def formats(
    bits: tuple[int, ...] = (8, 16, 4, 2, 3, 5, 6, 7, 9, 12, 15), signed: bool | None = None
) -> st.SearchStrategy[IntFormat]:
    """Tensor formats, 8 and 16 bits first; signed None draws both.  [SPEC F-1]"""
    return st.sampled_from([IntFormat(b, s) for b in bits for s in (True, False) if signed in (None, s) and (b, s) in BOUNDS])


def edge_integers(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers in [low, high], half of them at or beside an end, zero, one or a power of two."""
    beside = {low, low + 1, high - 1, high, 0, 1, -1, 2, -2}
    beside |= {s * (2**k) + d for k in range(1, 34) for s in (1, -1) for d in (-1, 0, 1)}
    edges = sorted((v for v in beside if low <= v <= high), key=lambda v: (abs(v), v < 0))
    return st.one_of(st.sampled_from(edges), st.integers(low, high))


_FAR = edge_integers(-(2**31), 2**31 - 1)
_NEAR = st.integers(-300, 300)
_ZERO_POINT_KIND = {
    False: st.sampled_from(("zero", "inside", "inside", "end", "beside", "far")),
    True: st.sampled_from(("zero", "inside", "inside", "beside")),
}


def zero_point(draw: Any, fmt: IntFormat, limit: int = 2**31 - 1, lively: bool = False) -> int:
    """A zero point: 0, inside fmt, at an end, just outside, or far outside, |zp| <= limit.  [SPEC F-3]"""
    kind = draw(_ZERO_POINT_KIND[lively])
    if kind == "zero":
        value = 0
    elif kind == "inside":
        value = draw(st.integers(fmt.qmin, fmt.qmax))
    elif kind == "end":
        value = fmt.qmax if draw(_BOOL) else fmt.qmin
    elif kind == "beside":
        near = draw(_NEAR)
        value = fmt.qmax + near if near > 0 else fmt.qmin + near
    else:
        value = draw(_FAR)
    return max(-limit, min(limit, value))


def int_array(draw: Any, shape: tuple[int, ...], low: int, high: int, lively: bool = False) -> np.ndarray:
    """An int32 array of codes in [low, high]; lively leaves the constant patterns out."""
    pattern = draw(_PATTERN[lively])
    size = int(np.prod(shape))
    at_zero = max(low, min(high, 0))
    if pattern == "zero" or size == 0:
        flat = np.full(size, at_zero, np.int64)
    elif pattern == "low":
        flat = np.full(size, low, np.int64)
    elif pattern == "high":
        flat = np.full(size, high, np.int64)
    elif pattern == "alternate":
        flat = np.where(np.arange(size) % 2 == 0, low, high)
    elif pattern == "ramp":
        flat = low + np.arange(size, dtype=np.int64) * max(1, (high - low) // max(1, size - 1)) % (high - low + 1)
    else:
        rng = np.random.default_rng(draw(_SEED))
        if pattern == "small":
            flat = rng.integers(max(low, at_zero - 2), min(high, at_zero + 2) + 1, size)
        elif pattern == "edges":
            choice = [v for v in (low, low + 1, at_zero - 1, at_zero, at_zero + 1, high - 1, high) if low <= v <= high]
            flat = np.asarray(choice, np.int64)[rng.integers(0, len(choice), size)]
        else:
            flat = rng.integers(low, high + 1, size)
    flat = flat.astype(np.int64)
    if size:
        for _ in range(draw(_COUNT)):
            flat[draw(st.integers(0, size - 1))] = draw(edge_integers(low, high))
    return flat.reshape(shape).astype(np.int32)


def real_array(draw: Any, shape: tuple[int, ...], low: int = -40, high: int = 20, lively: bool = False) -> np.ndarray:
    """A float32 array, all finite, magnitudes below 2**(high + 1); "lattice" values lie on ties of a power-of-two grid.

    low, high  bounds of the binary exponent of the magnitudes; low may be as small as -149
    lively     values of everyday size, no constant patterns
    """
    pattern = draw(_REAL_PATTERN[lively])
    size = int(np.prod(shape))
    if pattern == "zero" or size == 0:
        return np.zeros(shape, np.float32)
    if pattern == "signed_zero":
        return np.where(np.arange(size) % 2 == 0, np.float32(-0.0), np.float32(0)).reshape(shape)
    common = draw(_EVERYDAY) if lively else draw(st.one_of(st.integers(max(low, -6), min(high, 3)), st.integers(low, high)))
    if pattern == "ones":
        flat = np.full(size, 1.0)
    elif pattern == "alternate":
        flat = np.where(np.arange(size) % 2 == 0, -1.0, 1.0)
    else:
        rng = np.random.default_rng(draw(_SEED))
        flat = np.clip(rng.standard_normal(size) / 2, -1.9, 1.9)
        if pattern == "lattice":
            flat = np.round(flat * 64) / 64
        elif pattern == "one_sided":
            flat = np.abs(flat) * (1 if draw(_BOOL) else -1)
        elif pattern == "spike":
            flat = np.where(np.arange(size) == draw(st.integers(0, size - 1)), 1.5, 0.0)
    return np.ldexp(flat, common).astype(np.float32).reshape(shape)
