"""Arrays from anywhere, equal bit for bit or not; differences are true integers, never wrapped in a narrow type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from verification.compare import hexadecimal
from verification.dut.foreign import to_numpy


def difference(got: Any, expected: Any, name: str = "array") -> str | None:
    """The first difference in one sentence, or None when there is none.

    got, expected  arrays of any library that verification.dut.foreign takes, or mappings of them (a Trace is one): every
                   name of expected must be there. Integers are compared as numbers, whatever their width; binary32
                   numbers by their bits; an integer never equals a real, and objects have to be integers
    """
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping):
            return f"{name} is a {type(got).__name__}, expected a mapping with {', '.join(expected)}"
        for key, value in expected.items():
            found = difference(got[key], value, str(key)) if key in got else f"{key} is missing"
            if found:
                return found
        return None
    a, b = to_numpy(name, got), to_numpy(name, expected)
    a, b = (array.astype(array.dtype.newbyteorder("="), copy=False) for array in (a, b))
    for array, what in ((a, name), (b, f"the expected {name}")):
        if not _comparable(array):
            return f"{what} is an array of {array.dtype.name}, expected integers, or reals of at most 64 bits"
    if a.shape != b.shape:
        return f"{name} has the shape {list(a.shape)}, expected {list(b.shape)}"
    if (a.dtype.kind == "f") != (b.dtype.kind == "f") or (a.dtype.kind == "f" and a.dtype != b.dtype):
        return f"{name} is {a.dtype.name}, expected {b.dtype.name}"
    bits = b.dtype.itemsize * 8
    if a.dtype.kind == "f":
        a, b = (np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}") for array in (a, b))
    wrong = np.argwhere(a.astype(object) != b.astype(object)) if a.dtype.kind != b.dtype.kind else np.argwhere(a != b)
    if not len(wrong):
        return None
    index = tuple(int(i) for i in wrong[0])
    x, y = int(a[index]), int(b[index])
    return (
        f"{name}{list(index)} is {x} ({hexadecimal(x, bits)}), expected {y} ({hexadecimal(y, bits)}), "
        f"difference {x - y}; {len(wrong)} of {a.size} differ"
    )


def _comparable(array: np.ndarray) -> bool:
    """Whether an array holds integers, be it as objects, or reals whose bits are all of the number."""
    if array.dtype.kind == "O":
        return all(isinstance(value, (int, np.integer, np.bool_)) for value in array.flat)
    return array.dtype.kind in "biu" or (array.dtype.kind == "f" and array.dtype.itemsize <= 8)
