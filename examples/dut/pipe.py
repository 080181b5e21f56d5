"""A device behind cmd:, with nothing but the standard library:  qgru check --dut "cmd:python3 examples/dut/pipe.py"

The frames of docs/dut.md, read and written byte by byte, and three steps in Python integers. Any language can do the same.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

FORMS = {"int32": "i", "int64": "q", "float32": "f"}
Columns = dict[str, list[Any]]


def read_frame(source: BinaryIO) -> tuple[dict[str, Any], Columns] | None:
    """The header and the flat arrays of the next frame, or None at the end."""
    prefix = source.read(16)
    if len(prefix) < 16:
        return None
    magic, header_length, data_length = struct.unpack("<4sIQ", prefix)
    if magic != b"QGRU":
        raise SystemExit(f"the frame starts with {magic!r}")
    header, data = json.loads(source.read(header_length)), source.read(data_length)
    arrays = {}
    for entry in header["arrays"]:
        count = 1
        for length in entry["shape"]:
            count *= length
        arrays[entry["name"]] = list(struct.unpack_from(f"<{count}{FORMS[entry['dtype']]}", data, entry["offset"]))
    return header, arrays


def write_frame(sink: BinaryIO, header: dict[str, Any], outputs: list[dict[str, Any]], columns: Columns) -> None:
    """A frame whose arrays have the types and shapes that the request asked for."""
    entries, data = [], b""
    for wanted in outputs:
        values = columns[wanted["name"]]
        entries.append({"name": wanted["name"], "dtype": wanted["dtype"], "shape": wanted["shape"], "offset": len(data)})
        data += struct.pack(f"<{len(values)}{FORMS[wanted['dtype']]}", *values)
        data += bytes(-len(data) % 8)
    text = json.dumps({**header, "arrays": entries}).encode()
    sink.write(struct.pack("<4sIQ", b"QGRU", len(text), len(data)) + text + data)
    sink.flush()


def serve(capabilities: dict[str, Any], step: Callable[[str, dict[str, int], Columns], Columns]) -> None:
    """Answer until the input ends; prints go to standard error, the frames keep the real output."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        header, arrays = frame
        if header["kind"] == "hello":
            write_frame(sink, {"status": "ok", "protocol": 1, "capabilities": capabilities}, [], {})
        elif header["kind"] != "step" or header["name"] not in capabilities["steps"]:
            write_frame(sink, {"status": "unsupported", "message": header["name"]}, [], {})
        else:
            write_frame(sink, {"status": "ok"}, header["outputs"], step(header["name"], header["constants"], arrays))


def bounds(c: dict[str, int]) -> tuple[int, int]:
    """[SPEC F-1]"""
    return (-(1 << (c["bits"] - 1)), (1 << (c["bits"] - 1)) - 1) if c["signed"] else (0, (1 << c["bits"]) - 1)


def ties_up(x: int, s: int) -> int:
    """[SPEC R-1]"""
    return (x + (1 << s >> 1)) >> s


def integer_step(name: str, c: dict[str, int], columns: Columns) -> Columns:
    """saturate, ties_up and requantize, row by row."""
    if name == "ties_up":
        return {"y": [ties_up(x, s) for x, s in zip(columns["x"], columns["s"])]}
    low, high = bounds(c)
    values = columns["v"] if name == "saturate" else [ties_up(v * c["M"], c["s"]) + c["zp"] for v in columns["v"]]
    return {"q": [min(max(v, low), high) for v in values]}


if __name__ == "__main__":
    serve({"name": "pipe", "steps": ["saturate", "ties_up", "requantize"]}, integer_step)
