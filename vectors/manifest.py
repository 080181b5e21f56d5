"""The manifest of a set: sealed with its own hash, checked as a whole before anything else is read."""

from __future__ import annotations

import hashlib
from typing import Any

from golden.spec.profile import SPEC_VERSION
from vectors.canonical import dumps, loads
from vectors.errors import VectorError, shown
from vectors.files import MANIFEST, MAX_SET, checked_name
from vectors.structure import check_structure

FORMAT = "qgru-vectors"
FORMAT_VERSION = 1
BLANK = "0" * 64


def _line(digest: str) -> bytes:
    return f'\n  "sha256": "{digest}"'.encode()


def seal(manifest: dict[str, Any]) -> bytes:
    """The text of manifest.json, with the field sha256 set: the hash of the text in which its digits are zeros."""
    text = dumps({**manifest, "sha256": BLANK})
    return text.replace(_line(BLANK), _line(hashlib.sha256(text).hexdigest()), 1)


def read_manifest(data: bytes) -> dict[str, Any]:
    """The manifest in these bytes, completely checked.

    Raises VectorError naming the place: no strict JSON, another format or version, a field too much or too few, another
    hash than its own, a text that is not canonical, a case twice, a file or a flag that only one side knows
    """
    value = loads(data, MANIFEST)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise VectorError(MANIFEST, "format", shown(found), repr(FORMAT))
    for field, known in (("format_version", FORMAT_VERSION), ("spec_version", SPEC_VERSION)):
        found = value.get(field)
        if type(found) is not type(known) or found != known:
            raise VectorError(MANIFEST, field, shown(found), f"{known!r}, the version that is understood here")
    check_structure(value, MANIFEST)
    if dumps(value) != data:
        raise VectorError(
            MANIFEST, "the text", "not canonical", "sorted keys, two spaces of indentation, one newline at the end"
        )
    digest = hashlib.sha256(data.replace(_line(value["sha256"]), _line(BLANK), 1)).hexdigest()
    if digest != value["sha256"]:
        raise VectorError(MANIFEST, "sha256", value["sha256"], f"{digest}, the hash of the manifest")
    _check_references(value)
    return value


def _check_references(manifest: dict[str, Any]) -> None:
    seen: set[str] = set()
    for index, case in enumerate(manifest["cases"]):
        at = f"cases[{index}]"
        if checked_name(case["id"], MANIFEST).lower() in seen:
            raise VectorError(MANIFEST, f"{at}.id", f"{case['id']!r}, given twice", "an id of its own, also in lower case")
        seen.add(case["id"].lower())
        if case["file"] != f"{case['id']}.npz" or case["file"] not in manifest["files"]:
            raise VectorError(MANIFEST, f"{at}.file", repr(case["file"]), f"{case['id']}.npz, listed in files")
        for flag in case["flags"]:
            if flag not in manifest["flags"]:
                raise VectorError(MANIFEST, f"{at}.flags", repr(flag), "a flag that the set explains")
    unused = set(manifest["files"]) - {case["file"] for case in manifest["cases"]}
    if unused:
        raise VectorError(MANIFEST, "files", f"{sorted(unused)[0]!r}, without a case", "only files of cases")
    for name in manifest["files"]:
        checked_name(name, MANIFEST)
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    if total > MAX_SET:
        raise VectorError(MANIFEST, "files", f"{total} bytes together", f"at most {MAX_SET}")
