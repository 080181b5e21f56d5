"""The manifest of a set: sealed with its own hash, checked as a whole before anything else is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from golden.spec.profile import SPEC_VERSION
from vectors.canonical import dumps, loads
from vectors.errors import VectorError, shown
from vectors.files import MANIFEST, MAX_SET, checked_name
from vectors.structure import check_structure

FORMAT = "qgru-vectors"
FORMAT_VERSION = 1
BLANK = "0" * 64
FORMATS = ("npz", "hex", "c", "bin", "wycheproof")
"""The file formats; npz is the canonical one, the others are made from it."""


def format_name(form: str) -> str:
    """What the manifest of a file format calls itself."""
    return FORMAT if form == "npz" else f"{FORMAT}-{form}"


def case_file(form: str, entry: Mapping[str, Any]) -> str:
    """The file of a case to open first."""
    id, group = entry["id"], entry["group"]
    return {
        "npz": f"{id}.npz",
        "hex": f"{id}/{id}.svh",
        "c": f"{id}.h",
        "bin": f"{id}/{id}.json",
        "wycheproof": f"{group}.json",
    }[form]


def owner(form: str, entry: Mapping[str, Any]) -> str:
    """What the files of a case start with: its folder, or its one file."""
    return f"{entry['id']}/" if form in ("hex", "bin") else case_file(form, entry)


def _line(digest: str) -> bytes:
    return f'\n  "sha256": "{digest}"'.encode()


def seal(manifest: dict[str, Any]) -> bytes:
    """The text of manifest.json, with the field sha256 set: the hash of the text in which its digits are zeros."""
    text = dumps({**manifest, "sha256": BLANK})
    return text.replace(_line(BLANK), _line(hashlib.sha256(text).hexdigest()), 1)


def identity(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of what a set holds, whatever its file format, its generator's version and the way a library packs."""
    cases = [{key: value for key, value in case.items() if key != "file"} for case in manifest["cases"]]
    kept = {k: v for k, v in manifest.items() if k not in ("files", "sha256", "format", "generator", "cases")}
    return hashlib.sha256(dumps({**kept, "cases": cases})).hexdigest()


def read_manifest(data: bytes, form: str = "npz") -> dict[str, Any]:
    """The manifest in these bytes, completely checked.

    form    the file format that it must be of
    Raises  VectorError naming the place: no strict JSON, another format or version, a field too much or too few, another
            hash than its own, a text that is not canonical, a case twice, a file or a flag that only one side knows
    """
    value = loads(data, MANIFEST)
    if not isinstance(value, dict) or value.get("format") != format_name(form):
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise VectorError(MANIFEST, "format", shown(found), repr(format_name(form)))
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
    _check_references(value, form)
    return value


def _check_references(manifest: dict[str, Any], form: str) -> None:
    seen: set[str] = set()
    for index, case in enumerate(manifest["cases"]):
        at = f"cases[{index}]"
        if checked_name(case["id"], MANIFEST).lower() in seen or "/" in case["id"]:
            raise VectorError(MANIFEST, f"{at}.id", f"{case['id']!r}, given twice", "an id of its own, also in lower case")
        seen.add(case["id"].lower())
        if case["file"] != case_file(form, case) or case["file"] not in manifest["files"]:
            raise VectorError(MANIFEST, f"{at}.file", repr(case["file"]), f"{case_file(form, case)}, listed in files")
        for flag in case["flags"]:
            if flag not in manifest["flags"]:
                raise VectorError(MANIFEST, f"{at}.flags", repr(flag), "a flag that the set explains")
    owners = {owner(form, case) for case in manifest["cases"]}
    for name in manifest["files"]:
        if name not in owners and name.partition("/")[0] + "/" not in owners:
            raise VectorError(MANIFEST, "files", f"{name!r}, without a case", "only files of cases")
        checked_name(name, MANIFEST)
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    if total > MAX_SET:
        raise VectorError(MANIFEST, "files", f"{total} bytes together", f"at most {MAX_SET}")
