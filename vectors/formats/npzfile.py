"""The canonical format: one .npz for each case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vectors.npz import Claim, read_npz, write_npz


def render(manifest: Mapping[str, Any], units: Sequence[tuple[Mapping[str, Any], dict[str, np.ndarray]]]) -> dict[str, bytes]:
    """<id>.npz of each case."""
    return {f"{entry['id']}.npz": write_npz(arrays) for entry, arrays in units}


def parse(entries: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> list[dict[str, np.ndarray]]:
    """The arrays of each case; VectorError for a file that is not what its entry claims."""
    out = []
    for entry in entries:
        claims = {name: Claim(a["dtype"], tuple(a["shape"])) for name, a in entry["arrays"].items()}
        out.append(read_npz(files[entry["file"]], entry["file"], claims))
    return out
