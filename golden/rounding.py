"""Saturation and the three rounding right shifts.  [SPEC F-2, R-1 ... R-4]

All of them take int64 arrays and are exact for every int64 value and every shift: nothing is added before the shift, the
bit that is dropped last and the bits below it decide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from golden.spec.errors import WidthError
from golden.spec.formats import IntFormat
from golden.spec.rounding import Rounding


def saturate(v: ArrayLike, fmt: IntFormat) -> np.ndarray:
    """min(max(v, qmin), qmax).  [SPEC F-2]

    v        int64 [...]
    Returns  int64 [...] in [fmt.qmin, fmt.qmax]
    """
    return np.minimum(np.maximum(np.asarray(v, np.int64), fmt.qmin), fmt.qmax)


def ties_up(x: ArrayLike, s: ArrayLike) -> np.ndarray:
    """floor((x + 2**(s-1)) / 2**s), for s = 0 the identity.  [SPEC R-1]

    x        int64 [...]
    s        int or int array that broadcasts, any s >= 0
    Returns  int64 [...]
    Ties     -1.5 -> -1, -0.5 -> 0, 0.5 -> 1, 1.5 -> 2
    Raises   ValueError for s < 0
    """
    x, s = np.asarray(x, np.int64), np.asarray(s, np.int64)
    if (s < 0).any():
        raise ValueError("ties_up takes shifts of 0 and more")
    floor = x >> np.minimum(s, 63)
    half = (x >> np.minimum(np.maximum(s - 1, 0), 63)) & 1
    return np.where(s == 0, x, floor + half)


def ties_away(x: ArrayLike, s: ArrayLike) -> np.ndarray:
    """sign(x) * floor((|x| + 2**(s-1)) / 2**s); for s <= 0 exactly x * 2**-s.  [SPEC R-2]

    x        int64 [...]
    s        int or int array that broadcasts, any value
    Returns  int64 [...]
    Ties     -1.5 -> -2, -0.5 -> -1, 0.5 -> 1
    Raises   WidthError when a left shift leaves int64
    """
    x, s = np.asarray(x, np.int64), np.asarray(s, np.int64)
    right = np.maximum(s, 1)
    magnitude, half = _shifted_magnitude(x, right), _dropped_bit(x, right)
    rounded = (magnitude + half).astype(np.int64)
    return np.where(s > 0, np.where(x < 0, -rounded, rounded), _left(x, s))


def ties_even(x: ArrayLike, s: ArrayLike) -> np.ndarray:
    """The nearest integer to x / 2**s, a tie to the even quotient; for s <= 0 exactly x * 2**-s.  [SPEC R-3]

    x        int64 [...]
    s        int or int array that broadcasts, any value
    Returns  int64 [...]
    Ties     0.5 -> 0, 1.5 -> 2, -0.5 -> 0, -1.5 -> -2
    Raises   WidthError when a left shift leaves int64
    """
    x, s = np.asarray(x, np.int64), np.asarray(s, np.int64)
    right = np.maximum(s, 1)
    magnitude, half = _shifted_magnitude(x, right), _dropped_bit(x, right)
    below = _bits_below(x, right)
    odd_or_above = (magnitude & np.uint64(1)) | (below != 0).astype(np.uint64)
    rounded = (magnitude + (half & odd_or_above)).astype(np.int64)
    return np.where(s > 0, np.where(x < 0, -rounded, rounded), _left(x, s))


def shift_round(x: ArrayLike, s: ArrayLike, rounding: Rounding) -> np.ndarray:
    """RS of datapath P: the shift with the rounding that the parameter set names.  [SPEC R-1, R-2, R-3]

    x, s      as the rounding takes them
    rounding  TIES_UP, TIES_AWAY or TIES_EVEN
    Returns   int64 [...]
    """
    return {Rounding.TIES_UP: ties_up, Rounding.TIES_AWAY: ties_away, Rounding.TIES_EVEN: ties_even}[rounding](x, s)


def _magnitude(x: np.ndarray) -> np.ndarray:
    """|x| as uint64, right also for -2**63."""
    return np.abs(x).astype(np.uint64)


def _shifted_magnitude(x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """floor(|x| / 2**s) for s >= 1."""
    return np.where(s < 64, _magnitude(x) >> np.minimum(s, 63).astype(np.uint64), np.uint64(0))


def _dropped_bit(x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Bit s - 1 of |x|, the one worth a half after the shift."""
    bit = (_magnitude(x) >> np.minimum(s - 1, 63).astype(np.uint64)) & np.uint64(1)
    return np.where(s <= 64, bit, np.uint64(0))


def _bits_below(x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The bits of |x| below bit s - 1."""
    mask = (np.uint64(1) << np.minimum(s - 1, 63).astype(np.uint64)) - np.uint64(1)
    return _magnitude(x) & np.where(s <= 64, mask, np.uint64(2**64 - 1))


def _left(x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """x * 2**-s where s <= 0; 0 where s > 0."""
    k = np.minimum(np.maximum(-s, 0), 63)
    kept = np.where(s > 0, 0, x)
    shifted = kept << k
    if ((shifted >> k) != kept).any() or ((s < -63) & (kept != 0)).any():
        raise WidthError("left shift", int(max(abs(int(kept.max())), abs(int(kept.min())))) << int(k.max()), 2**63)
    return shifted
