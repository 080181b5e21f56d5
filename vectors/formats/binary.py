"""Raw little-endian numbers, each array in the least container that holds its format, with a JSON file beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vectors.canonical import dumps
from vectors.errors import VectorError
from vectors.formats.symbols import axes
from vectors.words import container, from_integers, to_integers


def render(manifest: Mapping[str, Any], units: Sequence[tuple[Mapping[str, Any], dict[str, np.ndarray]]]) -> dict[str, bytes]:
    """<id>/<array>.bin of each array and <id>/<id>.json, which says how to read them and holds what is no array."""
    files = {}
    for entry, arrays in units:
        folder = entry["id"]
        layout = {name: _layout(entry, name) for name in arrays}
        files[f"{folder}/{folder}.json"] = dumps({**{k: v for k, v in entry.items() if k != "file"}, "files": layout})
        for name, array in arrays.items():
            files[f"{folder}/{name}.bin"] = to_integers(array).astype(layout[name]["type"]).tobytes()
    return files


def parse(entries: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> list[dict[str, np.ndarray]]:
    """The arrays of each case; VectorError for a file that is missing or of another length."""
    out = []
    for entry in entries:
        arrays = {}
        for name, claim in entry["arrays"].items():
            layout, file = _layout(entry, name), f"{entry['id']}/{name}.bin"
            if file not in files or len(files[file]) != layout["bytes"]:
                found = f"{len(files[file])} bytes" if file in files else "missing"
                raise VectorError(file, "the file", found, f"{layout['bytes']} bytes, by its shape")
            values = np.frombuffer(files[file], layout["type"]).astype(np.int64)
            arrays[name] = from_integers(values, claim["dtype"], tuple(claim["shape"]))
        out.append(arrays)
    return out


def _layout(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    claim = entry["arrays"][name]
    bits, signed = container(claim["format"])
    count = 1
    for n in claim["shape"]:
        count *= n
    kind = f"<{'i' if signed else 'u'}{bits // 8}" if bits > 8 else f"|{'i' if signed else 'u'}1"
    return {"file": f"{name}.bin", "type": kind, "bytes": count * bits // 8, "shape": claim["shape"], "axes": axes(entry, name)}
