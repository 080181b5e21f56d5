"""Encodings in the JSON of AIMET, out and in: the scale, offset and width of operators.

Version 1.0.0 has two lists, activation_encodings and param_encodings, whose items are

    {"name": "input.x", "enc_type": "PER_TENSOR", "dtype": "INT", "bw": 8, "is_sym": false, "scale": [0.125], "offset": [-96]}

Version 0.6.1 has two objects, name -> a list of {"bitwidth", "dtype": "int", "is_symmetric": "False", "scale", "offset", "min",
"max"}, one item for each channel. Names are the operators of golden.spec.layout.OPERATORS, behind a prefix if one is asked
for. A real is (q_aimet + offset) * scale with q_aimet in [0, 2**bw - 1], so the offset is qmin - zero_point; here a symmetric
operator is one whose zero point is 0, and its offset is qmin. Channels are in the order of the parameter set: gates z, r, g.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATORS, WEIGHT_OPERATORS
from quant_gru.files import atomic_text

VERSIONS = ("1.0.0", "0.6.1")
MAX_BYTES = 64 << 20
LARGEST = float(np.finfo(np.float64).max)
ENC_TYPES = ("PER_TENSOR", "PER_CHANNEL")


@dataclass(frozen=True)
class Encoding:
    """One operator as a file has it.  scales float64 [1] or [3H]; offsets int64, alike"""

    name: str
    bits: int
    is_symmetric: bool
    scales: np.ndarray
    offsets: np.ndarray


def to_plain(items: Sequence[Encoding], *, version: str = "1.0.0", prefix: str = "") -> dict[str, Any]:
    """Encodings as the plain values of a JSON file.

    version  "1.0.0" or "0.6.1"
    prefix   put before every name, such as "encoder."
    """
    if version not in VERSIONS:
        raise ParameterError("version", repr(version), "1.0.0 or 0.6.1")
    parts: dict[str, list[Encoding]] = {"activation_encodings": [], "param_encodings": []}
    for e in items:
        parts["param_encodings" if e.name in WEIGHT_OPERATORS else "activation_encodings"].append(e)
    if version == "1.0.0":
        return {"version": version, **{part: [_item(prefix, e) for e in found] for part, found in parts.items()}}
    return {"version": version, **{part: {prefix + e.name: _old_items(e) for e in found} for part, found in parts.items()}}


def _item(prefix: str, e: Encoding) -> dict[str, Any]:
    return {
        "name": prefix + e.name,
        "enc_type": ENC_TYPES[len(e.scales) > 1],
        "dtype": "INT",
        "bw": e.bits,
        "is_sym": e.is_symmetric,
        "scale": e.scales.tolist(),
        "offset": e.offsets.tolist(),
    }


def _old_items(e: Encoding) -> list[dict[str, Any]]:
    top = 2**e.bits - 1
    return [
        {
            "bitwidth": e.bits, "dtype": "int", "is_symmetric": str(e.is_symmetric),
            "scale": s, "offset": o, "min": s * o, "max": s * (o + top),
        }
        for s, o in zip(e.scales.tolist(), e.offsets.tolist())
    ]  # fmt: skip


def save(path: str | PathLike[str], items: Sequence[Encoding], *, version: str = "1.0.0", prefix: str = "") -> None:
    """Write encodings; the file appears complete or not at all."""
    atomic_text(path, json.dumps(to_plain(items, version=version, prefix=prefix), indent=1) + "\n")


def load(path: str | PathLike[str], *, prefix: str = "") -> dict[str, Encoding]:
    """operator -> Encoding of a file of either version, each once; other names in the file are left alone.

    Raises   ParameterError naming the file or the encoding and its field; OSError
    """
    name = Path(fspath(path)).name
    with open(path, "rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ParameterError(name, f"more than {MAX_BYTES} bytes", "a file of encodings")
    try:
        content = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ParameterError(name, "not JSON", "encodings of AIMET, version 1.0.0 or 0.6.1") from None
    return from_plain(content, prefix=prefix)


def from_plain(content: Any, *, prefix: str = "") -> dict[str, Encoding]:
    """operator -> Encoding of a parsed file; as load."""
    if not isinstance(content, Mapping):
        raise ParameterError("encodings", f"a {type(content).__name__}", "an object")
    found: dict[str, Encoding] = {}
    for part in ("activation_encodings", "param_encodings"):
        items = content.get(part)
        if not isinstance(items, (list, Mapping)):
            raise ParameterError(part, f"a {type(items).__name__}", "a list (version 1.0.0) or an object (version 0.6.1)")
        for name, item in _named(part, items):
            operator = name.removeprefix(prefix)
            if not name.startswith(prefix) or operator not in OPERATORS:
                continue
            if operator in found:
                raise ParameterError(f"encoding of {name}", "given twice", "each operator once")
            if (operator in WEIGHT_OPERATORS) != (part == "param_encodings"):
                raise ParameterError(f"encoding of {name}", f"in {part}", "weights and biases in param_encodings, the rest not")
            found[operator] = _new(name, item) if isinstance(items, list) else _old(name, item)
    return found


def _named(part: str, items: Any) -> list[tuple[str, Any]]:
    if isinstance(items, Mapping):
        return list(items.items())
    for item in items:
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            raise ParameterError(f"an item of {part}", repr(item)[:80], "an object with a name")
    return [(item["name"], item) for item in items]


def _new(name: str, item: Mapping[str, Any]) -> Encoding:
    where = f"encoding of {name}"
    if item.get("dtype") != "INT":
        raise ParameterError(f"{where} dtype", repr(item.get("dtype")), "INT")
    if item.get("enc_type") not in ENC_TYPES:
        raise ParameterError(f"{where} enc_type", repr(item.get("enc_type")), "PER_TENSOR or PER_CHANNEL")
    return _encoding(where, item.get("bw"), item.get("is_sym"), item.get("scale"), item.get("offset"))


def _old(name: str, items: Any) -> Encoding:
    where = f"encoding of {name}"
    if not isinstance(items, list) or not items or not all(isinstance(item, Mapping) for item in items):
        raise ParameterError(where, repr(items)[:80], "a list of objects, one for each channel")
    for key in ("bitwidth", "dtype", "is_symmetric"):
        if any(item.get(key) != items[0].get(key) for item in items):
            raise ParameterError(f"{where} {key}", "different from channel to channel", "the same in every channel")
    first = items[0]
    if first.get("dtype") != "int":
        raise ParameterError(f"{where} dtype", repr(first.get("dtype")), "int")
    flags = {"True": True, "False": False, True: True, False: False}
    flag = first.get("is_symmetric")
    is_symmetric = flags.get(flag) if isinstance(flag, (str, bool)) else None
    scales, offsets = [item.get("scale") for item in items], [item.get("offset") for item in items]
    return _encoding(where, first.get("bitwidth"), is_symmetric, scales, offsets)


def _encoding(where: str, bits: Any, is_symmetric: Any, scales: Any, offsets: Any) -> Encoding:
    if isinstance(bits, bool) or not isinstance(bits, int):
        raise ParameterError(f"{where} bitwidth", repr(bits), "an integer")
    if not isinstance(is_symmetric, bool):
        raise ParameterError(f"{where} symmetry", repr(is_symmetric), "true or false")
    if not isinstance(scales, list) or not scales or not all(_is_number(s) and 0 < s <= LARGEST for s in scales):
        raise ParameterError(f"{where} scale", repr(scales)[:80], "a list of positive, finite numbers")
    whole = isinstance(offsets, list) and all(_is_number(o) and abs(o) < 2**32 and int(o) == o for o in offsets)
    if not whole or len(offsets) != len(scales):
        raise ParameterError(f"{where} offset", repr(offsets)[:80], f"a list of {len(scales)} integers")
    name = where.removeprefix("encoding of ")
    return Encoding(name, bits, is_symmetric, np.array(scales, np.float64), np.array(offsets, np.int64))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
