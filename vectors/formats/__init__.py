"""The file formats of a set.  Each renders cases to files and parses the files back; the manifest holds what is no array.

A text format is read by parsing it and rendering what was found again: the bytes must be the same, so every header,
constant and comment in a file is checked as well as its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vectors.formats import binary, cheader, hexfile, npzfile, wycheproof
from vectors.manifest import FORMATS

Arrays = dict[str, np.ndarray]
Entry = Mapping[str, Any]
Files = dict[str, bytes]


@dataclass(frozen=True)
class Format:
    """A file format.

    name     as --format takes it
    grouped  whether the cases of a group share a file; else each case has its own
    exact    whether a file has one text only, so that rendering its content again must give its bytes
    render   (manifest without cases and files, [(entry, arrays), ...]) -> file name -> bytes
    parse    ([entry, ...], file name -> bytes) -> arrays of each; VectorError for anything that is not the format
    """

    name: str
    grouped: bool
    exact: bool
    render: Callable[[Mapping[str, Any], Sequence[tuple[Entry, Arrays]]], Files]
    parse: Callable[[Sequence[Entry], Mapping[str, bytes]], list[Arrays]]


_MODULES: dict[str, Any] = {"npz": npzfile, "hex": hexfile, "c": cheader, "bin": binary, "wycheproof": wycheproof}
FORMAT: dict[str, Format] = {
    name: Format(name, name == "wycheproof", name != "npz", _MODULES[name].render, _MODULES[name].parse) for name in FORMATS
}
"""Every format by name."""
