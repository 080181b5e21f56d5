"""Every way to round a shift, on arrays: the three of the clauses and the ones that implementations have instead.  [SPEC R]

All of them choose between the floor of x / 2**s and the code above it. A shift may be an int or an int array, of any sign;
s <= 0 is an exact left shift, in 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from golden.spec.rounding import Rounding

Shift = Any  # int or int64 array that broadcasts
TOP = 63


class Quotient(NamedTuple):
    """x / 2**s taken apart.

    floor     int64
    side      sign of (what is dropped - half a code): -1, 0 at a tie, 1
    exact     whether nothing is dropped
    negative  x < 0
    """

    floor: np.ndarray
    side: np.ndarray
    exact: np.ndarray
    negative: np.ndarray


def left(x: np.ndarray, s: Shift) -> np.ndarray:
    """x * 2**s in 64 bits, s >= 0; bits that leave them are lost."""
    s = np.asarray(s, np.int64)
    return np.where(s > TOP, 0, np.left_shift(x, np.minimum(s, TOP)))


def divide(x: np.ndarray, s: Shift) -> Quotient:
    """x / 2**s as floor and the rest."""
    x, s = np.asarray(x, np.int64), np.asarray(s, np.int64)
    right = np.clip(s, 0, TOP)
    floor = np.right_shift(x, right)
    rest = x - np.left_shift(floor, right)  # [0, 2**right), wraps nowhere
    half = np.left_shift(np.int64(1), np.maximum(right - 1, 0))
    beyond = np.where((s == TOP + 1) & (x == np.iinfo(np.int64).min), 0, np.where(x < 0, 1, -1))  # -2**63 / 2**64 is a tie
    side = np.where(s > TOP, beyond, np.sign(rest - half))
    exact = (s <= 0) | (rest == 0)
    floor = np.where(s < 0, left(x, np.maximum(-s, 0)), floor)
    return Quotient(floor, np.where(s <= 0, -1, side), exact, x < 0)


Choice = Callable[[Quotient], np.ndarray]

CHOICES: dict[str, Choice] = {
    "ties_up": lambda q: q.side >= 0,
    "ties_down": lambda q: q.side > 0,
    "ties_away": lambda q: (q.side > 0) | ((q.side == 0) & ~q.negative),
    "ties_to_zero": lambda q: (q.side > 0) | ((q.side == 0) & q.negative),
    "ties_even": lambda q: (q.side > 0) | ((q.side == 0) & (q.floor % 2 == 1)),
    "floor": lambda q: np.zeros(q.floor.shape, bool),
    "ceiling": lambda q: ~q.exact,
    "truncate": lambda q: q.negative & ~q.exact,
    "magnitude_up": lambda q: ~q.negative & ~q.exact,
}
"""Name of a rounding -> where it takes the code above the floor."""


def shifted(x: np.ndarray, s: Shift, how: str) -> np.ndarray:
    """x / 2**s as int64 under a rounding of CHOICES."""
    q = divide(x, s)
    return q.floor + CHOICES[how](q)


def shift_round(x: np.ndarray, s: Shift, rounding: Rounding) -> np.ndarray:
    """x / 2**s under a rounding of the clauses.  [SPEC R-1 ... R-4]"""
    return shifted(x, s, rounding.value)
