"""The safetensors format, read with NumPy alone: eight bytes of length, a JSON header, the data."""

from __future__ import annotations

import io
import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError, QgruError
from quant_gru.npy import label, number_of_bytes, opened, shaped

MAX_HEADER = 100_000_000
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip


def read_safetensors(path: Path) -> dict[str, np.ndarray | str]:
    """name -> array; the name of the dtype in place of an array that NumPy has no dtype for (BF16, F8_E4M3, ...).

    Raises   ParameterError naming the file, or the tensor as file[tensor]: damaged, truncated, sizes that do not agree
    """
    with opened(path) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        length = int.from_bytes(file.read(8), "little") if size >= 8 else -1
        if not 2 <= length <= min(size - 8, MAX_HEADER):
            raise ParameterError(path.name, f"{size} bytes with a header of {length}", "a complete .safetensors file")
        header = _header(path.name, file.read(length))
        data = memoryview(file.read())
    return {name: _tensor(label(path.name, name), entry, data) for name, entry in header.items() if name != "__metadata__"}


def _header(name: str, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) != len(pairs):
            raise ParameterError(name, "a header that gives a name twice", "each tensor once")
        return out

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except QgruError:
        raise
    except (ValueError, RecursionError):
        raise ParameterError(name, "a header that is not JSON", "a .safetensors file") from None
    if not isinstance(header, dict):
        raise ParameterError(name, f"a header that is a {type(header).__name__}", "a JSON object")
    return header


def _tensor(where: str, entry: Any, data: memoryview) -> np.ndarray | str:
    described: dict[str, Any] = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = (described.get(k, ()) for k in ("dtype", "shape", "data_offsets"))
    if not (isinstance(dtype, str) and _sizes(shape) and _sizes(offsets) and len(offsets) == 2):
        raise ParameterError(where, "described incompletely", "dtype, shape and data_offsets")
    begin, end = offsets
    if not begin <= end <= len(data):
        raise ParameterError(where, f"at bytes {begin} to {end} of {len(data)}", "a place inside the file")
    if dtype not in DTYPES:
        return dtype if dtype.isprintable() else ascii(dtype)
    item = np.dtype(DTYPES[dtype])
    size = prod(shape) * item.itemsize
    if size != end - begin:
        raise ParameterError(where, f"{end - begin} bytes of data", f"{number_of_bytes(size)} for {item} of shape {shape}")
    return shaped(where, data[begin:end], item, shape)


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in values)
