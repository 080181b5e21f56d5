"""Marks on rows: where a shift meets a tie, where a value saturates.  All exact, on int64 columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.formats import IntFormat

Marks = dict[str, np.ndarray]


def add(marks: Marks, name: str, mask: np.ndarray) -> None:
    """Join a mask to those of the same name."""
    marks[name] = marks[name] | mask if name in marks else np.asarray(mask)


def is_tie(x: Any, s: Any) -> np.ndarray:
    """Where x / 2**s lies exactly half way between two integers; s of any size, no tie for s <= 0."""
    x, s = np.asarray(x, np.int64), np.asarray(s, np.int64)
    k = np.minimum(np.maximum(s, 1), 63).astype(np.int64)
    rest = x & np.where(k == 63, np.int64(2**63 - 1), (np.int64(1) << np.minimum(k, 62)) - 1)
    half = np.int64(1) << (k - 1)
    return np.where((s >= 1) & (s <= 63), rest == half, (s == 64) & (x == np.int64(-(2**63))))


def shift_marks(x: Any, s: Any, upward: bool = False) -> Marks:
    """tie, negative_tie, left_shift, zero_shift and wide_shift of a rounding shift of x by s."""
    x, s = np.broadcast_arrays(np.asarray(x, np.int64), np.asarray(s, np.int64))
    tie = is_tie(x, s)
    marks = {"tie": tie, "negative_tie": tie & (x < 0), "zero_shift": s == 0, "wide_shift": s > 31}
    if not upward:
        marks["left_shift"] = (s < 0) & (x != 0)
    return marks


def bound_marks(raw: Any, fmt: IntFormat) -> Marks:
    """saturates_low, saturates_high and at_bound of an unsaturated result."""
    raw = np.asarray(raw, np.int64)
    return {
        "saturates_low": raw < fmt.qmin,
        "saturates_high": raw > fmt.qmax,
        "at_bound": (raw == fmt.qmin) | (raw == fmt.qmax),
    }


def merge(*several: Marks) -> Marks:
    """One set of marks; masks of the same name are joined."""
    out: Marks = {}
    for marks in several:
        for name, mask in marks.items():
            add(out, name, mask)
    return out
