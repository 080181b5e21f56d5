"""Reading a vector set that nobody vouches for: everything is checked, nothing is believed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from golden.spec.errors import QgruError
from golden.spec.profile import profile, profile_hash
from vectors.canonical import dumps
from vectors.case import Case, unpack
from vectors.describe import describe
from vectors.errors import VectorError, located, shown
from vectors.files import MANIFEST, MAX_FILE, MAX_MANIFEST, file_size, read_file
from vectors.manifest import read_manifest
from vectors.npz import Claim, read_npz


class VectorSet(Mapping[str, Case]):
    """A vector set on disk: case id -> Case, in the order of the manifest; each case is read when it is asked for.

    path      the folder
    manifest  the checked manifest, as a dict
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self._entries = {entry["id"]: entry for entry in manifest["cases"]}

    @property
    def sha256(self) -> str:
        """The identity of the set: the hash of its manifest, which holds the hashes of its files."""
        return self.manifest["sha256"]

    def entry(self, id: str) -> dict[str, Any]:
        """The manifest's entry of a case; KeyError when there is none."""
        return self._entries[id]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, id: object) -> bool:
        return id in self._entries

    def __getitem__(self, id: str) -> Case:
        """Read and check a case.

        Raises  KeyError for an unknown id, VectorError when its file is not what the manifest says
        """
        entry = self._entries[id]
        name = entry["file"]
        listed = self.manifest["files"][name]
        data = read_file(self.path, name, MAX_FILE)
        if len(data) != listed["bytes"]:
            raise VectorError(name, "the size", f"{len(data)} bytes", f"{listed['bytes']} as the manifest says")
        digest = hashlib.sha256(data).hexdigest()
        if digest != listed["sha256"]:
            raise VectorError(name, "sha256", digest, f"{listed['sha256']} as the manifest says")
        claims = {n: Claim(a["dtype"], tuple(a["shape"])) for n, a in entry["arrays"].items()}
        arrays = read_npz(data, name, claims)
        try:
            case = unpack(entry, arrays)
        except QgruError as error:
            raise located(name, error) from error
        _check_entry(name, entry, case, describe(case.params, arrays))
        return case


def open_set(path: str | os.PathLike[str]) -> VectorSet:
    """Open a vector set: its manifest is checked now, and that each file is there; each case when it is read.

    path    a folder with manifest.json
    Raises  VectorError, one sentence with the file, the field and the value
    """
    folder = Path(path)
    if not folder.is_dir():
        raise VectorError(str(path), "the path", "not a folder", "a folder with a manifest.json")
    manifest = read_manifest(read_file(folder, MANIFEST, MAX_MANIFEST))
    for name, listed in manifest["files"].items():
        size = file_size(folder, name)
        if size != listed["bytes"]:
            raise VectorError(name, "the size", f"{size} bytes", f"{listed['bytes']} as the manifest says")
    return VectorSet(folder, manifest)


def _check_entry(name: str, entry: dict[str, Any], case: Case, described: dict[str, dict[str, Any]]) -> None:
    """What the manifest says about a case must be what follows from the case itself."""
    if entry["profile_sha256"] != profile_hash(case.params):
        raise VectorError(name, "profile_sha256", entry["profile_sha256"], f"{profile_hash(case.params)}, by the parameter set")
    if dumps(entry["profile"]) != dumps(profile(case.params)):
        raise VectorError(name, "profile", "another one than the parameter set has", "the choices of the parameter set")
    for array, wanted in described.items():
        found = entry["arrays"][array]
        for field in wanted:
            if found[field] != wanted[field]:
                raise VectorError(name, f"{array} {field}", shown(found[field]), shown(wanted[field]))
