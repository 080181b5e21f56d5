"""Buffers with guard words on both sides: what a device writes outside them is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from verification.dut.failure import Failure
from verification.dut.frames import READABLE

GUARD = 4096  # bytes on each side
GUARD_BYTE = 0xC5
UNWRITTEN_BYTE = 0xA5


class Guarded:
    """An array of the given type and shape between two guards.

    array  the caller-owned buffer; an output starts out full of UNWRITTEN_BYTE
    """

    def __init__(self, name: str, dtype: str, shape: Sequence[int], content: np.ndarray | None = None) -> None:
        self.name = name
        kind = np.dtype(READABLE[dtype])
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        self._whole = np.full(size + 2 * GUARD, GUARD_BYTE, np.uint8)
        self._inner = self._whole[GUARD : GUARD + size]
        self._inner[:] = UNWRITTEN_BYTE
        self.array = self._inner.view(kind).reshape(shape)
        self._content = None
        if content is not None:
            self.array[...] = content
            self._content = self._inner.tobytes()

    @property
    def unwritten(self) -> int:
        """How many numbers still hold nothing but UNWRITTEN_BYTE."""
        if not self.array.size:
            return 0
        per_number = self._inner.reshape(-1, self.array.dtype.itemsize)
        return int(np.count_nonzero((per_number == UNWRITTEN_BYTE).all(axis=1)))

    def check(self) -> None:
        """Raise Failure naming the buffer when a guard, or an input, is not what it was."""
        for side, guard in (("before", self._whole[:GUARD][::-1]), ("after", self._whole[-GUARD:])):
            wrong = np.flatnonzero(guard != GUARD_BYTE)
            if wrong.size:
                first = int(wrong[0])
                raise Failure(
                    "overrun", f"{self.name}: {wrong.size} bytes written {side} its buffer, the nearest {first + 1} away"
                )
        if self._content is not None and self._inner.tobytes() != self._content:
            raise Failure("overrun", f"{self.name}: an input was written to")


def guard_inputs(arrays: Mapping[str, np.ndarray]) -> dict[str, Guarded]:
    """Guarded copies of the arrays of a request."""
    return {name: Guarded(name, array.dtype.name, array.shape, array) for name, array in arrays.items()}
