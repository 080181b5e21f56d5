"""Ways to spoil a vector set on purpose."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from golden.spec.errors import QgruError
from vectors.content import content_sha256
from vectors.manifest import seal
from vectors.npz import read_npz
from vectors.reader import open_set


def refusal(folder: Path) -> str:
    """The sentence with which the set, or a case of it, is refused; fails when everything is accepted."""
    with pytest.raises(QgruError) as caught:
        for _ in open_set(folder).values():
            pass
    text = str(caught.value)
    assert "\n" not in text and ", expected " in text and len(text) < 1000, text
    return text


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and seal it again, as someone would who wants to be believed."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_bytes(seal(manifest))


def replace_file(folder: Path, name: str, data: bytes) -> None:
    """Replace a file of the set and enter its hash and size in the manifest."""
    (folder / name).write_bytes(data)
    edit(folder, lambda m: m["files"].update({name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}}))


def members(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def zipped(entries: Iterable[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def replace_member(folder: Path, file: str, member: str, content: bytes) -> None:
    """Replace one array of a case's file by these bytes, hashes included."""
    entries = [(n, content if n == f"{member}.npy" else c) for n, c in members((folder / file).read_bytes())]
    assert any(n == f"{member}.npy" for n, _ in entries)
    replace_file(folder, file, zipped(entries))
    try:
        digest = content_sha256(read_npz((folder / file).read_bytes(), file))
    except QgruError:
        return
    edit(folder, lambda m: next(c for c in m["cases"] if c["file"] == file).update(content_sha256=digest))


def header(descr: str, shape: str, order: str = "False") -> bytes:
    """A .npy 1.0 header as it claims to be."""
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def bomb(size: int) -> bytes:
    """The deflated bytes of size zeros."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = bytes(1 << 20)
    return b"".join(engine.compress(block) for _ in range(size >> 20)) + engine.flush()
