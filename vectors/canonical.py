"""Canonical JSON: one text for one value, read back strictly.

Keys sorted, two spaces of indentation, ASCII, one newline at the end. What holds no object, and no list but of plain
values, is on one line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from vectors.errors import VectorError, shown

MAX_DEPTH = 24
MAX_DIGITS = 20  # of an integer
MAX_REAL = 32  # characters of a real


def plain(value: Any, field: str) -> Any:
    """value as what JSON has: dict, list, str, int, float, bool, None.

    Tuples become lists and NumPy scalars numbers. Raises ParameterError naming field for anything else, for a key that
    is not a string and for NaN or inf.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise ParameterError(field, repr(float(value)), "a finite number")
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ParameterError(f"{field} key", repr(key), "a string")
        return {key: plain(item, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{field}[{i}]") for i, item in enumerate(value)]
    raise ParameterError(field, f"a {type(value).__name__}", "what JSON can hold")


def dumps(value: Any) -> bytes:
    """The canonical text of a plain value."""
    parts: list[str] = []
    _write(value, "\n", parts.append)
    return "".join(parts).encode("ascii") + b"\n"


def _write(value: Any, line: str, put: Callable[[str], Any]) -> None:
    """Write a value; line is the line break and the indentation that it stands at."""
    if not isinstance(value, (dict, list)) or _short(value):
        put(json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False))
        return
    inner = f"{line}  "
    if isinstance(value, list):
        for index, item in enumerate(value):
            put(f"{',' if index else '['}{inner}")
            _write(item, inner, put)
        put(f"{line}]")
        return
    for index, key in enumerate(sorted(value)):
        put(f"{',' if index else '{'}{inner}{json.dumps(key, ensure_ascii=True)}: ")
        _write(value[key], inner, put)
    put(f"{line}}}")


def _short(value: dict[str, Any] | list[Any]) -> bool:
    """Whether a value holds no object, and no list but of plain values."""
    if isinstance(value, list):
        return not any(isinstance(item, (dict, list)) for item in value)
    return not any(isinstance(item, dict) or (isinstance(item, list) and not _short(item)) for item in value.values())


def loads(data: bytes, file: str) -> Any:
    """The value of a JSON text, read strictly.

    data    the whole file
    file    its name, for the message
    Raises  VectorError: bytes outside ASCII, no JSON, a key given twice, NaN or Infinity, an integer of more than 20
            digits, a real outside binary64, more than 24 levels
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise VectorError(file, f"byte {error.start}", f"0x{data[error.start]:02x}", "ASCII") from None

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in items:
            if key in out:
                raise VectorError(file, f"key {shown(key)}", "given twice", "each key once")
            out[key] = item
        return out

    def integer(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            raise VectorError(
                file, "an integer", f"{digits[:MAX_DIGITS]}... of {len(digits)} digits", f"at most {MAX_DIGITS} digits"
            )
        return int(digits)

    def real(digits: str) -> float:
        number = float(digits) if len(digits) <= MAX_REAL else math.inf
        if not math.isfinite(number):
            raise VectorError(file, "a number", shown(digits), "a finite number in canonical form")
        return number

    def constant(name: str) -> Any:
        raise VectorError(file, "a number", name, "a finite number")

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_int=integer, parse_float=real, parse_constant=constant)
    except json.JSONDecodeError as error:
        at = shown(text[error.pos : error.pos + 16])
        raise VectorError(file, f"line {error.lineno} column {error.colno}", at, f"JSON ({error.msg})") from None
    except RecursionError:
        raise VectorError(file, "the nesting", "too deep to read", f"at most {MAX_DEPTH} levels") from None
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise VectorError(file, "the nesting", f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH} levels")
        inner = [list(v.values()) if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list))]
        level, depth = [item for items in inner for item in items], depth + 1
    return value
