"""The scalars of a case by names that C and SystemVerilog take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from golden.hidden import zoneout_factor
from golden.spec.errors import ParameterError
from golden.spec.layout import FIELDS
from vectors.steps import STEPS
from vectors.words import width

AXES = {
    "T": "time",
    "S": "time",
    "N": "batch",
    "C": "input",
    "H": "unit",
    "G": "gate z r g and unit",
    "V": "z r g and last, unit",
}
RENAMED = {"multiplier": "M", "shift": "S", "exponent": "E", "zero_point": "ZP"}
_FORMAT = re.compile(r"u?int[0-9]{1,2}")


class Symbol(NamedTuple):
    """A scalar: its name, its value (an integer or a text), its width and sign."""

    name: str
    value: int | str
    bits: int = 32
    signed: bool = True


def identifier(text: str) -> str:
    """text with everything but letters, digits and _ replaced by _, and a _ before a digit at its start."""
    return re.sub(r"^(?=[0-9])|[^A-Za-z0-9_]", "_", text)


def claim_name(id: str, known: dict[str, str]) -> None:
    """Enter the name of a case in C and SystemVerilog; macros are in capitals, and a name has no "-" or ".".

    known   name in capitals -> id of the case that has it
    Raises  ParameterError when another case has the name
    """
    first = known.setdefault(identifier(id).upper(), id)
    if first != id:
        raise ParameterError("case id", repr(id), f"another name in C and SystemVerilog than {first!r} has")


def symbols(entry: Mapping[str, Any]) -> list[Symbol]:
    """Every scalar of a case: sizes, constants, operators, multipliers, options, and width and sign of each array.

    Raises ParameterError when two of them would have one name
    """
    found = list(_symbols(entry))
    names = [s.name for s in found]
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise ParameterError(f"{entry['id']} name", repr(twice[0]), "a name of its own")
    return found


def array_symbol(name: str, kind: str) -> str:
    """What an array is called: the column of a step without its prefix, else its whole name."""
    return identifier(name.partition(".")[2] if kind == "step" and not name.startswith("table.") else name)


def axes(entry: Mapping[str, Any], name: str) -> str:
    """The meaning of an array's axes, outermost first."""
    shape = entry["arrays"][name]["shape"]
    if entry["kind"] == "sequence" and name.startswith("trace."):
        letters = next(f.axes for f in FIELDS[entry["datapath"]] if f.name == name.removeprefix("trace."))
        return ", ".join(AXES[letter] for letter in letters) or "none"
    known = {"input.x": "time, batch, input", "input.mask": "time, batch, unit", "input.h0": "batch, unit"}
    if entry["kind"] == "sequence" and name in known:
        return known[name]
    if entry["kind"] == "step" and not name.startswith("table."):
        return "row, lane" if len(shape) == 2 else "row"
    if name in ("params.W", "params.R"):
        return ("input" if name == "params.W" else "unit") + ", gate z r g and unit"
    return {0: "none", 1: "entry"}.get(len(shape), "row, column")


def _symbols(entry: Mapping[str, Any]) -> Iterator[Symbol]:
    kind, arrays = entry["kind"], entry["arrays"]
    if kind == "step":
        yield Symbol("ROWS", entry["rows"])
        lanes = [a["shape"][1] for n, a in arrays.items() if len(a["shape"]) == 2 and n.startswith("input.")]
        if lanes:
            yield Symbol("LANES", lanes[0])
        for column in STEPS[entry["step"]].constants:
            constants = entry["constants"]
            bits, signed = column.width(constants), column.is_signed(constants)
            yield Symbol(column.name, constants[column.name], bits, signed)
        if "table" in entry:
            segments = next(a["shape"][0] for n, a in arrays.items() if n.startswith("table."))
            yield Symbol("table_SIZE", segments)
            yield from _flat("table", entry["table"])
    if kind == "chain":
        yield Symbol("STEPS", entry["steps"], 64)
        yield Symbol("EVERY", entry["every"], 64)
        yield Symbol("CHAIN", entry["chain"])
        yield from _flat("", entry["constants"])
    if kind == "error":
        yield Symbol("ERROR", entry["error"]["type"])
    if kind in ("sequence", "chain") and "params" in entry:
        yield Symbol("C", arrays["params.W"]["shape"][0])
        yield Symbol("H", arrays["params.R"]["shape"][0])
    if kind == "sequence":
        steps, batch, _ = arrays["input.x"]["shape"]
        options = entry["options"]
        yield Symbol("T", steps)
        yield Symbol("N", batch)
        yield Symbol("TRAINING", int(options["training"]), 1, False)
        yield Symbol("REVERSE", int(options["reverse"]), 1, False)
        yield Symbol("ZONEOUT_K", 0 if options["training"] else zoneout_factor(options["zoneout"]), 16, False)
    if kind != "error" and "params" in entry:
        params = {k: v for k, v in entry["params"].items() if k != "operators"}
        yield from _flat("", params)
        for name, operator in entry["params"].get("operators", {}).items():
            yield from _flat(f"OP_{name}", operator)
    for name, array in sorted(arrays.items()):
        symbol, (bits, signed) = array_symbol(name, kind), width(array["format"])
        yield Symbol(f"{symbol}_BITS", bits)
        yield Symbol(f"{symbol}_SIGNED", int(signed), 1, False)
        yield Symbol(f"{symbol}_WORDS", int(np.prod(array["shape"], dtype=np.int64)))


def _flat(prefix: str, value: Mapping[str, Any]) -> Iterator[Symbol]:
    """The scalars inside a description; reals as the bit patterns of their binary32 numbers."""
    for key, item in value.items():
        name = identifier(f"{prefix}_{RENAMED.get(key, key)}" if prefix else key)
        if key == "meta" or item is None:
            continue
        if isinstance(item, Mapping):
            yield from _flat(f"{prefix}_{key}" if prefix else key, item)
        elif isinstance(item, bool):
            yield Symbol(name, int(item), 1, False)
        elif isinstance(item, int):
            yield Symbol(name, item, *((32, True) if -(2**31) <= item < 2**31 else (64, True)))
        elif isinstance(item, float):
            with np.errstate(over="ignore"):
                yield Symbol(f"{name}_binary32", int(np.float32(item).view(np.uint32)), 32, False)
        elif isinstance(item, str) and _FORMAT.fullmatch(item):
            base = name.removesuffix("fmt").rstrip("_") if name.endswith("fmt") else name
            bits, signed = width(item)
            yield Symbol(f"{base}_BITS", bits)
            yield Symbol(f"{base}_SIGNED", int(signed), 1, False)
        elif isinstance(item, str):
            yield Symbol(name, item)
