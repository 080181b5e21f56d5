"""How an array's numbers become words: the width, sign and container of a number format."""

from __future__ import annotations

import re

import numpy as np

from golden.spec.errors import ParameterError

WIDTHS: dict[str, tuple[int, bool]] = {
    "acc": (64, True),
    "count": (64, True),
    "bit": (1, False),
    "mixed": (17, True),
    "binary32": (32, False),
}
"""(bits, signed) of the formats that are no plain integer format; binary32 travels as its bit pattern."""
_CODE = re.compile(r"(u?)int([0-9]{1,2})")
CONTAINERS = (8, 16, 32, 64)


def width(fmt: str) -> tuple[int, bool]:
    """(bits, signed) of a word of a number format such as "int8", "acc" or "binary32".

    Raises ParameterError for a format that there is not
    """
    if fmt in WIDTHS:
        return WIDTHS[fmt]
    match = _CODE.fullmatch(fmt)
    if match is None or not 1 <= int(match[2]) <= 64 or (match[1] and int(match[2]) > 63):
        raise ParameterError("format", repr(fmt), "int1 to int64, uint1 to uint63, acc, count, bit, mixed or binary32")
    return int(match[2]), not match[1]


def bounds(fmt: str) -> tuple[int, int]:
    """The least and the greatest number of a format."""
    bits, signed = width(fmt)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def storage(fmt: str) -> str:
    """The dtype that an array of this format has in a .npz: the narrower of int32 and int64 that holds it."""
    bits, signed = width(fmt)
    return "int32" if bits + (not signed) <= 32 else "int64"


def container(fmt: str) -> tuple[int, bool]:
    """(bits, signed) of the least C type that holds a word: 8, 16, 32 or 64 bits."""
    bits, signed = width(fmt)
    return next(c for c in CONTAINERS if c >= bits), signed


def to_integers(array: np.ndarray) -> np.ndarray:
    """An array's numbers as int64, flat; reals as their bit patterns."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint32).astype(np.int64) if flat.dtype == np.float32 else flat.astype(np.int64)


def from_integers(values: np.ndarray, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array of int64 numbers; the opposite of to_integers.

    Raises ParameterError when a number does not fit the dtype
    """
    low, high = {"float32": (0, 2**32 - 1), "int32": (-(2**31), 2**31 - 1)}.get(dtype, (-(2**63), 2**63 - 1))
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        raise ParameterError("a number", int(values.max()), f"one that {dtype} holds")
    if dtype == "float32":
        return values.astype(np.uint32).view(np.float32).reshape(shape)
    return values.astype(dtype).reshape(shape)


def digits(fmt: str) -> int:
    """Hexadecimal digits of a word."""
    return (width(fmt)[0] + 3) // 4


def to_hex(values: np.ndarray, bits: int) -> list[str]:
    """int64 numbers as two's complement words of ceil(bits / 4) lower-case digits."""
    mask, form = (1 << bits) - 1, f"0{(bits + 3) // 4}x"
    return [format(v & mask, form) for v in values.tolist()]


def from_hex(words: list[str], bits: int, signed: bool) -> np.ndarray:
    """int64 numbers of hexadecimal words; ValueError for anything else or a bit above the width."""
    top, full = 1 << (bits - 1), 1 << bits
    out = []
    for word in words:
        value = int(word, 16)
        if not 0 <= value < full:
            raise ValueError(f"{word} does not fit {bits} bits")
        out.append(value - full if signed and value >= top else value)
    return np.array(out, np.int64)
