"""Weights, constants, numbers and tables as the host build wants them: blocks of sixteen units, three gates together.

Plain NumPy and Python integers, done once when a network is prepared; the twin's scalar steps give every derived number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl.fast.host_ir import GATES, LANES, TILE
from cuda_impl.fast.host_state import Form

INT32_LIMIT = 2**31
PAD = 16  # codes of a row come in multiples of this


@dataclass(frozen=True, eq=False)
class Packed:
    """The weights of one product.

    words      [blocks, groups, 3, 16, codes per word] int8 or int16
    sums       int64 [blocks, 48], column sums
    magnitude  the largest column sum of |weights|
    length     K, padded
    chunk      groups whose products of unsigned bytes an int32 holds
    """

    words: np.ndarray
    sums: np.ndarray
    magnitude: int
    length: int
    chunk: int

    @property
    def groups(self) -> int:
        """Words of a row."""
        return int(self.words.shape[1])

    @property
    def blocks(self) -> int:
        """Blocks of sixteen units."""
        return int(self.words.shape[0])


def padded(count: int) -> int:
    """The next multiple of sixteen."""
    return -(-count // PAD) * PAD


def pack_weights(weights: np.ndarray, form: Form) -> Packed:
    """Codes [K, 3H] for the dot products of a form; the padding is zero."""
    length, columns = weights.shape
    hidden = columns // GATES
    blocks, per = padded(hidden) // LANES, 4 if form.kind == "bytes" else 2
    full = np.zeros((padded(length), GATES, blocks * LANES), np.int8 if form.kind == "bytes" else np.int16)
    full[:length, :, :hidden] = weights.reshape(length, GATES, hidden)
    words = full.reshape(-1, per, GATES, blocks, LANES).transpose(3, 0, 2, 4, 1)
    magnitude = int(np.abs(weights.astype(np.int64)).sum(axis=0).max())
    safe = (INT32_LIMIT - 1) // (255 * max(1, int(np.abs(weights.astype(np.int64)).max()))) // PAD * PAD
    return Packed(
        np.ascontiguousarray(words), by_block(weights.astype(np.int64).sum(axis=0)), magnitude, padded(length), safe // per
    )


def by_block(values: np.ndarray, dtype: Any = np.int64) -> np.ndarray:
    """[3H] as [blocks, 48]: z, r and g of sixteen units."""
    hidden = len(values) // GATES
    full = np.zeros((GATES, padded(hidden)), dtype)
    full[:, :hidden] = values.reshape(GATES, hidden)
    return np.ascontiguousarray(full.reshape(GATES, -1, LANES).transpose(1, 0, 2).reshape(-1, TILE))


def units_by_block(rows: np.ndarray, dtype: Any = np.int64) -> np.ndarray:
    """[rows, H] as [blocks, rows, 16]."""
    count, hidden = rows.shape
    full = np.zeros((count, padded(hidden)), np.int64)
    full[:, :hidden] = rows
    return np.ascontiguousarray(full.reshape(count, -1, LANES).transpose(1, 0, 2), dtype)


def modulo_int32(values: np.ndarray) -> np.ndarray:
    """int64 as int32 modulo 2^32."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def corrections(packed: Packed, zero_point: int, base: int, wide: bool) -> tuple[np.ndarray, np.ndarray]:
    """(start, correction), [blocks, 48] each: what (zero point - base) times the column sums takes off.  [SPEC L-1]

    start       int32, less the correction modulo 2^32
    correction  int64 when wide, else int32 modulo 2^32
    """
    off = (zero_point - base) * packed.sums
    return modulo_int32(-off), off if wide else modulo_int32(off)
