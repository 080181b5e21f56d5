"""$readmemh files: one word a line in exact two's complement, the packed bus beside it, and a package of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vectors.errors import VectorError, shown
from vectors.formats.symbols import Symbol, array_symbol, axes, identifier, symbols
from vectors.words import digits, from_hex, from_integers, to_hex, to_integers, width

KEYWORDS = frozenset("signed unsigned table bit int byte logic reg wire real time event input output begin end".split())


def render(manifest: Mapping[str, Any], units: Sequence[tuple[Mapping[str, Any], dict[str, np.ndarray]]]) -> dict[str, bytes]:
    """<id>/<array>.hex, <id>/<array>.packed.hex for arrays of two axes and more, and <id>/<id>.svh."""
    files = {}
    for entry, arrays in units:
        folder = entry["id"]
        files[f"{folder}/{folder}.svh"] = _package(entry).encode("ascii")
        for name, array in arrays.items():
            words = to_hex(to_integers(array), width(entry["arrays"][name]["format"])[0])
            files[f"{folder}/{name}.hex"] = _text(_header(entry, name), words)
            if array.ndim > 1:
                files[f"{folder}/{name}.packed.hex"] = _text(_packed_header(entry, name), _packed(entry, name, array))
    return files


def parse(entries: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> list[dict[str, np.ndarray]]:
    """The arrays of each case; VectorError for a file that is missing, too long, too short or no list of words."""
    out = []
    for entry in entries:
        arrays = {}
        for name, claim in entry["arrays"].items():
            file = f"{entry['id']}/{name}.hex"
            if file not in files:
                raise VectorError(file, "the file", "missing", "a file of the case")
            try:
                lines = files[file].decode("ascii").split("\n")
                words = [line for line in lines if line and not line.startswith("//")]
                values = from_hex(words, *width(claim["format"]))
            except (UnicodeDecodeError, ValueError) as error:
                wanted = f"words of {digits(claim['format'])} hexadecimal digits"
                raise VectorError(file, "a line", shown(str(error)), wanted) from None
            shape = tuple(claim["shape"])
            if len(values) != _count(shape):
                raise VectorError(file, "the number of words", len(values), str(_count(shape)))
            arrays[name] = from_integers(values, claim["dtype"], shape)
        out.append(arrays)
    return out


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for n in shape:
        count *= n
    return count


def _text(header: list[str], words: Iterable[str]) -> bytes:
    return ("".join(f"// {line}\n" for line in header) + "".join(f"{word}\n" for word in words)).encode("ascii")


def _header(entry: Mapping[str, Any], name: str) -> list[str]:
    claim = entry["arrays"][name]
    bits, signed = width(claim["format"])
    sign = "two's complement" if signed else "a binary32 bit pattern" if claim["format"] == "binary32" else "unsigned"
    return [
        f"case {entry['id']}, array {name}, clause {claim['clause']}",
        f"format {claim['format']}: {bits} bits, {sign}, {digits(claim['format'])} digits a word",
        f"{_count(tuple(claim['shape']))} words, shape {claim['shape']}, axes {axes(entry, name)}, last axis fastest",
    ]


def _packed_header(entry: Mapping[str, Any], name: str) -> list[str]:
    claim = entry["arrays"][name]
    bits, lanes = width(claim["format"])[0], claim["shape"][-1]
    rows = _count(tuple(claim["shape"][:-1]))
    return [
        f"case {entry['id']}, array {name}, clause {claim['clause']}, packed bus",
        f"{lanes} lanes of {bits} bits, lane 0 in the least significant bits, {(bits * lanes + 3) // 4} digits a word",
        f"{rows} words, one for each position in the axes but the last of shape {claim['shape']}, axes {axes(entry, name)}",
    ]


def _packed(entry: Mapping[str, Any], name: str, array: np.ndarray) -> Iterator[str]:
    bits, lanes = width(entry["arrays"][name]["format"])[0], array.shape[-1]
    mask, form = (1 << bits) - 1, f"0{(bits * lanes + 3) // 4}x"
    values = to_integers(array).tolist()
    for start in range(0, len(values), lanes) if lanes else ():
        word = 0
        for value in reversed(values[start : start + lanes]):
            word = word << bits | value & mask
        yield format(word, form)


def _package(entry: Mapping[str, Any]) -> str:
    """The text of the .svh: a package, so that any number of modules of one compilation may import it."""
    name = identifier(entry["id"])
    guard = f"QGRU_{name.upper()}_SVH"
    lines = [
        f"// case {entry['id']}, group {entry['group']}: {entry['comment']}",
        f"// flags: {', '.join(f'{flag} {count}' for flag, count in sorted(entry['flags'].items())) or 'none'}",
        f"`ifndef {guard}",
        f"`define {guard}",
        f"package {name}_pkg;",
        f'  localparam CASE_ID = "{entry["id"]}";',
        *(f"  {_localparam(s)}" for s in symbols(entry)),
        *(f'  localparam {array_symbol(array, entry["kind"])}_FILE = "{array}.hex";' for array in sorted(entry["arrays"])),
        "endpackage",
        "`endif",
    ]
    return "\n".join(lines) + "\n"


def _localparam(s: Symbol) -> str:
    name = f"{s.name}_" if s.name in KEYWORDS else s.name
    if isinstance(s.value, str):
        return f'localparam {name} = "{s.value}";'
    sign, top = ("signed ", "s") if s.signed else ("", "")
    span = f"[{s.bits - 1}:0] " if s.bits > 1 else ""
    if s.signed and s.value == -(1 << (s.bits - 1)):
        return f"localparam logic {sign}{span}{name} = {s.bits}'{top}h{1 << (s.bits - 1):x};"
    minus = "-" if s.value < 0 else ""
    return f"localparam logic {sign}{span}{name} = {minus}{s.bits}'{top}d{abs(s.value)};"
