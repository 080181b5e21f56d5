"""Frames: how a request and its answer travel.  Byte by byte in docs/dut.md.

4 bytes  "QGRU"
4 bytes  length of the header, unsigned, little-endian
8 bytes  length of the data, unsigned, little-endian
the header, JSON in UTF-8, an object; its "arrays" lists name, dtype, shape and the offset into the data
the data, little-endian numbers in C order
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from verification.dut.failure import Failure

MAGIC = b"QGRU"
PREFIX = struct.Struct("<4sIQ")
PROTOCOL = 1
DTYPES = {"int32": "<i4", "int64": "<i8", "float32": "<f4"}
"""The types of the protocol."""
READABLE = {
    **DTYPES, "int8": "|i1", "uint8": "|u1", "int16": "<i2", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8",
    "float16": "<f2", "float64": "<f8", "bool": "|b1",
}  # fmt: skip
"""Types that an answer may name, so that a wrong one is reported as such."""
ALIGNMENT = 8
MAX_HEADER = 1 << 26
MAX_DATA = 1 << 32
MAX_AXES = 4


@dataclass(frozen=True)
class Message:
    """A frame that was read: its header without "arrays", and the arrays by name."""

    header: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


Answered = tuple[dict[str, Any], dict[str, np.ndarray]]
"""The header and the arrays of an answer."""
Answer = Callable[[Message], Answered]


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The frame of a header and named arrays; each array starts at a multiple of 8 bytes of the data."""
    entries, parts, offset = [], [], 0
    for name, array in arrays.items():
        data = array.astype(READABLE[array.dtype.name], copy=False).tobytes(order="C")
        entries.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "offset": offset})
        padding = -len(data) % ALIGNMENT
        parts += [data, bytes(padding)]
        offset += len(data) + padding
    text = json.dumps({**header, "arrays": entries}, separators=(",", ":"), allow_nan=False).encode()
    return b"".join([PREFIX.pack(MAGIC, len(text), offset), text, *parts])


def lengths(prefix: bytes) -> tuple[int, int]:
    """(header, data) lengths of a frame from its first 16 bytes.

    Raises Failure: another magic number, a length beyond the limits
    """
    magic, header, data = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise Failure("protocol", f"the answer starts with {bytes(prefix)!r}, expected the four bytes {MAGIC!r} of a frame")
    if header > MAX_HEADER or data > MAX_DATA:
        raise Failure("protocol", f"the frame says {header} and {data} bytes, expected at most {MAX_HEADER} and {MAX_DATA}")
    return header, data


def unpack(text: bytes, data: bytes | bytearray) -> Message:
    """The message of a frame's header and data; the arrays are copies.

    Raises Failure naming what is wrong: no JSON object, an array without a name, twice, of an unknown type, outside the data
    """
    try:
        header = json.loads(text)
    except RecursionError:
        raise Failure("protocol", "the header is nested too deeply") from None
    except ValueError as error:
        raise Failure("protocol", f"the header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise Failure("protocol", f"the header is a {type(header).__name__}, expected an object")
    entries = header.pop("arrays", [])
    if not isinstance(entries, list):
        raise Failure("protocol", f"arrays is a {type(entries).__name__}, expected a list")
    arrays: dict[str, np.ndarray] = {}
    for entry in entries:
        name, array = _array(entry, data)
        if name in arrays:
            raise Failure("protocol", f"array {name} is given twice")
        arrays[name] = array
    return Message(header, arrays)


def _array(entry: Any, data: bytes | bytearray) -> tuple[str, np.ndarray]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise Failure("protocol", "an array without a name")
    name, dtype = entry["name"], entry.get("dtype")
    shape: Any = entry.get("shape")
    offset: Any = entry.get("offset")
    if dtype not in list(READABLE):
        raise Failure("dtype", f"array {name} is of type {dtype!r}, expected one of {', '.join(DTYPES)}")
    sizes = [*shape, offset] if isinstance(shape, list) else [None]
    if any(type(n) is not int or not 0 <= n <= MAX_DATA for n in sizes) or len(sizes) > MAX_AXES + 1:
        raise Failure(
            "protocol", f"array {name} has the shape {shape!r} at {offset!r}, expected four lengths at most and a place"
        )
    count = 1
    for n in shape:
        count *= n
    size = count * np.dtype(READABLE[dtype]).itemsize
    if size and offset + size > len(data):  # where nothing begins does not matter
        raise Failure("short", f"array {name} has {max(0, len(data) - offset)} bytes, expected {size} for {dtype} {shape}")
    flat = np.frombuffer(bytes(data[offset : offset + size]), READABLE[dtype])
    try:
        return name, flat.astype(dtype).reshape(shape)
    except ValueError:  # no numbers, and lengths beside the 0 that no array can have
        raise Failure("protocol", f"array {name} has the shape {shape!r}, expected lengths that an array can have") from None


def read(get: Callable[[int], bytes]) -> Message | None:
    """The next message of a stream, or None at its end; get(n) gives n bytes, fewer only at the end.

    Raises Failure for what is no frame
    """
    prefix = get(PREFIX.size)
    if not prefix:
        return None
    if len(prefix) < PREFIX.size:
        raise Failure("short", f"the stream ends after {len(prefix)} bytes of a frame")
    header, data = lengths(prefix)
    text, payload = get(header), get(data)
    if len(text) + len(payload) < header + data:
        raise Failure("short", f"the stream ends after {len(text) + len(payload)} of {header + data} bytes")
    return unpack(text, payload)
