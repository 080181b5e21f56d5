"""C headers in the manner of CMSIS-NN's test data: constants as macros, arrays as static const of the least type."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vectors.errors import VectorError, shown
from vectors.formats.symbols import array_symbol, axes, identifier, symbols
from vectors.words import container, from_integers, to_integers

_ARRAY = re.compile(r"^static const u?int[0-9]+_t ([A-Za-z0-9_]+)\[[0-9]+\] = \{\n([^}]*)\};$", re.M)
PER_LINE = 12


def render(manifest: Mapping[str, Any], units: Sequence[tuple[Mapping[str, Any], dict[str, np.ndarray]]]) -> dict[str, bytes]:
    """<id>.h of each case."""
    return {f"{entry['id']}.h": _header(entry, arrays).encode("ascii") for entry, arrays in units}


def parse(entries: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> list[dict[str, np.ndarray]]:
    """The arrays of each case; VectorError for a header without them or with other numbers of elements."""
    return [_arrays(entry, f"{entry['id']}.h", files) for entry in entries]


def array_name(entry: Mapping[str, Any], name: str) -> str:
    """The C name of an array of a case."""
    return f"{identifier(entry['id'])}_{array_symbol(name, entry['kind'])}"


def _header(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    macro = identifier(entry["id"]).upper()
    lines = [
        f"/* case {entry['id']}, group {entry['group']}: {entry['comment'].replace('*/', '* /')} */",
        f"/* flags: {', '.join(f'{flag} {count}' for flag, count in sorted(entry['flags'].items())) or 'none'} */",
        f"#ifndef QGRU_{macro}_H",
        f"#define QGRU_{macro}_H",
        "#include <stdint.h>",
        f'#define {macro}_CASE_ID "{entry["id"]}"',
    ]
    for s in symbols(entry):
        value = f'"{s.value}"' if isinstance(s.value, str) else _literal(s.value, max(s.bits, 32), s.signed)
        lines.append(f"#define {macro}_{s.name} {value}")
    for name, array in arrays.items():
        claim = entry["arrays"][name]
        bits, signed = container(claim["format"])
        values = [_literal(v, bits, signed) for v in to_integers(array).tolist()]
        kind = f"{'int' if signed else 'uint'}{bits}_t"
        note = f"{claim['format']}, shape {claim['shape']}, axes {axes(entry, name)}, clause {claim['clause']}"
        lines.append(f"/* {name}: {note}{'' if values else '; empty, the one element stands for none'} */")
        lines.append(f"static const {kind} {array_name(entry, name)}[{max(len(values), 1)}] = {{")
        shown_values = values or ["0"]
        for start in range(0, len(shown_values), PER_LINE):
            lines.append("    " + ", ".join(shown_values[start : start + PER_LINE]) + ",")
        lines.append("};")
    lines.append("#endif")
    return "\n".join(lines) + "\n"


def _literal(value: int, bits: int, signed: bool) -> str:
    if not signed:
        return f"{value}{'ULL' if bits > 32 else 'U' if bits == 32 else ''}"
    suffix = "LL" if bits > 32 else ""
    if bits >= 32 and value == -(1 << (bits - 1)):
        return f"(-{(1 << (bits - 1)) - 1}{suffix} - 1)"
    return f"{value}{suffix}"


def _number(text: str) -> int:
    least = re.fullmatch(r"\(-([0-9]{1,20})(?:LL)? - 1\)", text)
    if least is not None:
        return -int(least[1]) - 1
    plain = re.fullmatch(r"(-?[0-9]{1,20})(?:U|LL|ULL)?", text)
    if plain is None:
        raise ValueError(text)
    return int(plain[1])


def _arrays(entry: Mapping[str, Any], file: str, files: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    if file not in files:
        raise VectorError(file, "the file", "missing", "the header of the case")
    try:
        text = files[file].decode("ascii")
    except UnicodeDecodeError:
        raise VectorError(file, "the text", "not ASCII", "ASCII") from None
    found = {match[1]: match[2] for match in _ARRAY.finditer(text)}
    out = {}
    for name, claim in entry["arrays"].items():
        known, shape = array_name(entry, name), tuple(claim["shape"])
        if known not in found:
            raise VectorError(file, known, "missing", "an array of the case")
        try:
            values = np.array([_number(t.strip()) for t in re.split(r",\s*", found[known].strip().rstrip(","))], np.int64)
        except (ValueError, OverflowError) as error:
            raise VectorError(file, known, shown(str(error)), "integers") from None
        count = int(np.prod(shape, dtype=object)) if shape else 1
        if count == 0 and values.tolist() == [0]:
            values = values[:0]
        if len(values) != count:
            raise VectorError(file, f"the length of {known}", len(values), str(count))
        out[name] = from_integers(values, claim["dtype"], shape)
    return out
