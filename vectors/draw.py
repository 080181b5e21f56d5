"""Numbers drawn from a seed and a name, the same on every machine and in every version of NumPy: SplitMix64."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

GAMMA = 0x9E3779B97F4A7C15
MASK = 2**64 - 1


def splitmix(start: int, count: int) -> np.ndarray:
    """The next count outputs of SplitMix64 after the state start, uint64."""
    z = np.uint64(start & MASK) + np.uint64(GAMMA) * np.arange(1, count + 1, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Draw:
    """A stream of numbers that belongs to one name.

    seed   of the set
    name   what the numbers are for: the id of a case; other names give other numbers
    """

    def __init__(self, seed: int, name: str) -> None:
        self._state = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little")

    def words(self, count: int) -> np.ndarray:
        """uint64 [count]."""
        out = splitmix(self._state, count)
        self._state = (self._state + GAMMA * count) & MASK
        return out

    def integers(self, low: int, high: int, count: int) -> np.ndarray:
        """int64 [count] in [low, high]; high - low < 2**63."""
        return (self.words(count) % np.uint64(high - low + 1)).astype(np.int64) + low

    def spread(self, bits: int, signed: bool, count: int) -> np.ndarray:
        """int64 [count] of every magnitude: each length in bits is about as likely as any other."""
        magnitude = bits - 1 if signed else min(bits, 63)
        lengths = self.integers(0, magnitude, count).astype(np.uint64)
        words = self.words(count)
        values = np.where(lengths > 0, words >> (np.uint64(64) - np.maximum(lengths, np.uint64(1))), np.uint64(0)).astype(
            np.int64
        )
        return np.where(self.integers(0, 1, count) == 1, -values - 1, values) if signed else values

    def pick(self, values: Sequence[Any] | np.ndarray, count: int) -> np.ndarray:
        """[count] of the given values."""
        return np.asarray(values)[self.integers(0, len(values) - 1, count)]

    def mixed(self, bits: int, signed: bool, count: int) -> np.ndarray:
        """int64 [count]: the corners of a width first, then corners and numbers of every magnitude."""
        edge = np.array(corners(bits, signed), np.int64)
        out = np.where(self.integers(0, 3, count) == 0, self.pick(edge, count), self.spread(bits, signed, count))
        start = int(self.integers(0, len(edge) - 1, 1)[0])
        ordered = np.roll(edge, start)[:count]
        out[: len(ordered)] = ordered
        return out

    def reals(self, low: int, high: int, count: int, signed: bool = True) -> np.ndarray:
        """float32 [count] with exponents in [low, high] and any fraction."""
        exponents = (self.integers(low, high, count) + 127) << 23
        bits = exponents | self.integers(0, 2**23 - 1, count)
        if signed:
            bits |= self.integers(0, 1, count) << 31
        return bits.astype(np.uint32).view(np.float32)


def corners(bits: int, signed: bool) -> list[int]:
    """The least and the greatest numbers of a width, those around zero and around the middle."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    middle = (low + high + 1) // 2
    return sorted({v for v in (low, low + 1, -1, 0, 1, 2, -2, middle, middle - 1, high - 1, high) if low <= v <= high})
