"""The identity of what a case holds, whatever file format it travels in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

LITTLE = {"int32": "<i4", "int64": "<i8", "float32": "<f4"}


def content_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over name, dtype, shape and little-endian numbers of every array, sorted by name.

    Unlike the hash of a .npz it does not depend on how a library packs.
    """
    whole = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        shape = ",".join(str(n) for n in array.shape)
        whole.update(f"{name} {array.dtype.name} [{shape}]\n".encode("ascii"))
        whole.update(array.astype(LITTLE[array.dtype.name]).tobytes(order="C"))
    return whole.hexdigest()
