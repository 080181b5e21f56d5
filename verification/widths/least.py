"""Two's-complement widths: the least one, and what a register of fewer bits holds."""

from __future__ import annotations

from typing import Any

import numpy as np


def bits_of(low: int, high: int) -> int:
    """The least b >= 1 with -2**(b-1) <= low and high < 2**(b-1)."""
    return 1 + max(int(high).bit_length() if high >= 0 else 0, (-int(low) - 1).bit_length() if low < 0 else 0)


def unsigned_bits_of(low: int, high: int) -> int | None:
    """The least b >= 1 with high < 2**b where nothing is negative, else None."""
    return max(1, int(high).bit_length()) if low >= 0 else None


def bits_each(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """bits_of for each channel, int64 of the same shape."""
    pairs = zip(np.ravel(low).tolist(), np.ravel(high).tolist(), strict=True)
    return np.array([bits_of(a, b) for a, b in pairs], np.int64).reshape(np.shape(low))


def wrap(v: Any, bits: int) -> np.ndarray:
    """What a register of this many bits holds: v modulo 2**bits, in two's complement; 0 for a register without bits."""
    v = np.asarray(v, np.int64)
    if bits == 0:
        return np.zeros_like(v)
    if bits >= 64:
        return v
    half, mask = np.int64(2 ** (bits - 1)), np.int64(2**bits - 1)
    return ((v + half) & mask) - half


def fits(v: Any, bits: int) -> np.ndarray:
    """Whether a register of this many bits holds v."""
    v = np.asarray(v, np.int64)
    return wrap(v, bits) == v
