"""Reading a vector set that nobody vouches for: everything is checked, nothing is believed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import QgruError
from vectors.content import content_sha256
from vectors.errors import VectorError, located, shown
from vectors.files import MANIFEST, MAX_FILE, MAX_MANIFEST, file_size, read_file
from vectors.formats import FORMAT
from vectors.kinds import AnyCase, pack_case, unpack_case
from vectors.manifest import FORMATS, format_name, owner, read_manifest
from vectors.npz import MAX_CONTENT


class VectorSet(Mapping[str, AnyCase]):
    """A vector set on disk: case id -> case, in the order of the manifest; each case is read when it is asked for.

    path      the folder
    manifest  the checked manifest, as a dict
    form      the file format
    """

    def __init__(self, path: Path, manifest: dict[str, Any], form: str = "npz") -> None:
        self.path = path
        self.manifest = manifest
        self.form = form
        self._entries = {entry["id"]: entry for entry in manifest["cases"]}
        self._files: dict[str, list[str]] = {}
        for name in manifest["files"]:
            folder, slash, _ = name.partition("/")
            self._files.setdefault(folder + slash, []).append(name)
        self._groups: dict[str, list[dict[str, Any]]] = {}
        for entry in manifest["cases"]:
            self._groups.setdefault(entry["group"], []).append(entry)
        self._cached: tuple[str, dict[str, AnyCase]] = ("", {})

    @property
    def sha256(self) -> str:
        """The identity of the set: the hash of its manifest, which holds the hashes of its files."""
        return self.manifest["sha256"]

    def entry(self, id: str) -> dict[str, Any]:
        """The manifest's entry of a case; KeyError when there is none."""
        return self._entries[id]

    def ids(self, kind: str) -> list[str]:
        """The ids of the cases of a kind: "sequence", "step", "chain" or "error"."""
        return [id for id, entry in self._entries.items() if entry["kind"] == kind]

    def groups(self) -> dict[str, list[str]]:
        """group -> ids, both in the order of the manifest."""
        return {group: [entry["id"] for entry in entries] for group, entries in self._groups.items()}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, id: object) -> bool:
        return id in self._entries

    def __getitem__(self, id: str) -> AnyCase:
        """Read and check a case.

        Raises  KeyError for an unknown id, VectorError when its files are not what the manifest says
        """
        entry = self._entries[id]
        if not FORMAT[self.form].grouped:
            return self._read([entry])[id]
        if self._cached[0] != entry["group"]:
            self._cached = entry["group"], self._read(self._groups[entry["group"]])
        return self._cached[1][id]

    def _read(self, entries: Sequence[dict[str, Any]]) -> dict[str, AnyCase]:
        """The cases that share files."""
        form = FORMAT[self.form]
        files = {name: self._bytes(name) for name in self._files[owner(self.form, entries[0])]}
        first = entries[0]["file"]
        cases, units = {}, []
        for entry, arrays in zip(entries, form.parse(entries, files), strict=True):
            _check_claims(first, entry, arrays)
            try:
                case = unpack_case(entry, arrays)
                repacked, again = pack_case(case)
            except QgruError as error:
                raise located(first, error) from error
            _check_entry(first, entry, repacked)
            units.append((repacked, again))
            cases[entry["id"]] = case
        if form.exact:
            _check_text(files, form.render(self.manifest, units))
        return cases

    def _bytes(self, name: str) -> bytes:
        listed = self.manifest["files"][name]
        data = read_file(self.path, name, MAX_FILE)
        if len(data) != listed["bytes"]:
            raise VectorError(name, "the size", f"{len(data)} bytes", f"{listed['bytes']} as the manifest says")
        digest = hashlib.sha256(data).hexdigest()
        if digest != listed["sha256"]:
            raise VectorError(name, "sha256", digest, f"{listed['sha256']} as the manifest says")
        return data


def open_set(path: str | os.PathLike[str], form: str = "npz") -> VectorSet:
    """Open a vector set: its manifest is checked now, and that each file is there; each case when it is read.

    path    a folder with manifest.json
    form    its file format: npz, hex, c, bin or wycheproof
    Raises  VectorError, one sentence with the file, the field and the value
    """
    folder = Path(path)
    if not folder.is_dir():
        raise VectorError(str(path), "the path", "not a folder", "a folder with a manifest.json")
    manifest = read_manifest(read_file(folder, MANIFEST, MAX_MANIFEST), form)
    for name, listed in manifest["files"].items():
        size = file_size(folder, name)
        if size != listed["bytes"]:
            raise VectorError(name, "the size", f"{size} bytes", f"{listed['bytes']} as the manifest says")
    return VectorSet(folder, manifest, form)


def form_of(path: str | os.PathLike[str]) -> str:
    """The file format that the manifest of a folder claims, "npz" when it claims none; nothing else is checked."""
    folder = Path(path)
    if folder.is_dir():
        head = read_file(folder, MANIFEST, MAX_MANIFEST)
        for form in FORMATS:
            if f'\n  "format": "{format_name(form)}",\n'.encode() in head:
                return form
    return "npz"


def _check_claims(name: str, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """The arrays must be those of the manifest: names, dtypes, shapes and content."""
    for array, claim in entry["arrays"].items():
        found = arrays.get(array)
        if found is None or found.dtype.name != claim["dtype"] or list(found.shape) != claim["shape"]:
            seen = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise VectorError(name, array, seen, f"{claim['dtype']} {claim['shape']}")
    digest = content_sha256(arrays)
    if digest != entry["content_sha256"]:
        raise VectorError(name, "content_sha256", digest, f"{entry['content_sha256']} as the manifest says")


def _check_entry(name: str, entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """What the manifest says about a case must be what follows from the case itself."""
    for field, value in wanted.items():
        if field == "arrays":
            for array, claims in value.items():
                for claim, expected in claims.items():
                    found = entry["arrays"][array][claim]
                    if found != expected:
                        raise VectorError(name, f"{array} {claim}", shown(found), shown(expected))
        elif not _same(entry.get(field), value):
            raise VectorError(name, field, shown(entry.get(field)), shown(value))
    extra = sorted(set(entry) - set(wanted) - {"file"})
    if extra:
        raise VectorError(name, extra[0], "given", "nothing, for such a case")


def _same(a: Any, b: Any) -> bool:
    """Whether two JSON values are written the same way: 1 is not 1.0, and the order of keys is nothing."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b) and repr(a) == repr(b)


def _check_text(files: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> None:
    """The files must be exactly those that their content is written as."""
    for name in sorted(set(files) ^ set(wanted)):
        raise VectorError(name, "the file", "missing" if name in wanted else "one too many", "the files of the case")
    if sum(len(data) for data in files.values()) > MAX_CONTENT:
        raise VectorError(next(iter(files)), "the size", "too much", f"at most {MAX_CONTENT} bytes for a case")
    for name, data in files.items():
        if data != wanted[name]:
            line = next(
                (n for n, (a, b) in enumerate(zip(data.split(b"\n"), wanted[name].split(b"\n")), 1) if a != b), "the last"
            )
            raise VectorError(name, f"line {line}", "not as its content is written", "the text of the case")
