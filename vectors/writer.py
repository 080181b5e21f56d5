"""Writing a vector set: the same cases give the same bytes, and the folder appears complete or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from golden.spec.errors import ParameterError, QgruError
from golden.spec.profile import SPEC_VERSION
from vectors.canonical import plain
from vectors.errors import VectorError
from vectors.files import MANIFEST, MAX_FILE, MAX_MANIFEST, read_file
from vectors.formats import FORMAT as FORMS
from vectors.formats.symbols import claim_name
from vectors.kinds import AnyCase, pack_case
from vectors.manifest import FORMAT_VERSION, FORMATS, case_file, format_name, read_manifest, seal
from vectors.notes import notes, sentence
from vectors.npz import MAX_CONTENT, MAX_MEMBERS
from vectors.reader import VectorSet

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def write_set(
    path: str | os.PathLike[str],
    cases: Iterable[AnyCase],
    *,
    seed: int,
    version: str,
    generator: str = "qgru",
    flags: Mapping[str, str] | None = None,
    level: int = 0,
    datapath: str = "all",
) -> str:
    """Write the cases, in their order, as a vector set, and return its sha256.

    path       the folder; it may be missing, empty or an earlier vector set with nothing else in it, which is replaced
    cases      taken one by one: a generator need not hold them all
    seed       what the cases were drawn from, 0...2**53-1
    version, generator  the version and the name of what made the set
    flags      flag -> sentence, for every flag of a case that vectors/notes.json does not explain
    level, datapath  what the set promises to cover; level 0 promises nothing
    Raises     ParameterError for a bad case or argument, VectorError when path holds something else; path is then as
               it was before
    """

    def fill(folder: Path) -> dict[str, Any]:
        entries, files = _write_cases(folder, cases)
        known = {name: sentence(name) for name in notes()} | dict(flags or {})
        used = {flag for entry in entries for flag in entry["flags"]} | set(flags or {})
        return {
            "generator": {"name": generator, "version": version},
            "seed": plain(seed, "seed"),
            "scope": {"level": plain(level, "level"), "datapath": datapath},
            "flags": {name: text for name, text in plain(known, "flags").items() if name in used},
            "files": files,
            "cases": entries,
        }

    return _write_folder(path, "npz", fill)


def export_set(source: VectorSet, path: str | os.PathLike[str], form: str) -> str:
    """Write a set in another file format, or in its own again, and return the sha256 of the new manifest.

    source  an open set of any format; each case is read and checked on the way
    path    as in write_set, for a set of this format
    form    npz, hex, c, bin or wycheproof
    Raises  VectorError when the source is damaged or path holds something else, ParameterError for two ids with one name in C
    """
    if form not in FORMATS:
        raise ParameterError("format", repr(form), f"one of {', '.join(FORMATS)}")
    known: dict[str, str] = {}
    for id in source if form in ("hex", "c") else ():
        claim_name(id, known)

    def fill(folder: Path) -> dict[str, Any]:
        kept = {k: v for k, v in source.manifest.items() if k not in ("cases", "files", "sha256", "format")}
        files: dict[str, dict[str, Any]] = {}
        for ids in source.groups().values():
            for unit in [ids] if FORMS[form].grouped else [[id] for id in ids]:
                units = [pack_case(source[id]) for id in unit]
                for entry, _ in units:
                    entry["file"] = case_file(form, entry)
                _write_files(folder, FORMS[form].render(kept, units), files, durable=form == "npz")
        cases = [{**entry, "file": case_file(form, entry)} for entry in source.manifest["cases"]]
        return {**kept, "files": files, "cases": cases}

    return _write_folder(path, form, fill)


def _write_folder(path: str | os.PathLike[str], form: str, fill: Callable[[Path], dict[str, Any]]) -> str:
    """Fill a temporary folder beside path and put it in path's place; the sha256 of its manifest."""
    target = Path(os.path.abspath(path))
    check_target(target, form)
    parent = target.parent
    if not parent.is_dir():
        raise ParameterError("path", repr(str(path)), "a folder whose parent exists")
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=parent))
    except OSError as error:  # names path, and not the temporary name beside it
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    try:
        content = fill(temporary)
        head = {"format": format_name(form), "format_version": FORMAT_VERSION, "spec_version": SPEC_VERSION}
        text = seal({**content, **head})
        try:
            digest = read_manifest(text, form)["sha256"]
        except VectorError as error:
            raise ParameterError(error.field, error.found, error.expected) from None
        _write(temporary / MANIFEST, text)
        os.chmod(temporary, 0o777 & ~_umask())
        _exchange(temporary, target, form)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.filename is None:  # a write that failed names no file by itself
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        raise
    return digest


def _write_cases(folder: Path, cases: Iterable[AnyCase]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    entries: list[dict[str, Any]] = []
    files: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for case in cases:
        if not isinstance(case.id, str) or not _ID.fullmatch(case.id) or ".." in case.id:
            raise ParameterError("case id", repr(case.id), "at most 96 letters, digits, '.', '_' and '-', without '..'")
        if case.id.lower() in seen:
            raise ParameterError("case id", repr(case.id), "an id of its own, also in lower case")
        seen.add(case.id.lower())
        entry, arrays = pack_case(case)
        content = sum(a.nbytes + 128 for a in arrays.values())
        if content > MAX_CONTENT or len(arrays) > MAX_MEMBERS:
            raise ParameterError(f"case {case.id}", f"{content} bytes in {len(arrays)} arrays", f"at most {MAX_CONTENT} bytes")
        entry["file"] = case_file("npz", entry)
        _write_files(folder, FORMS["npz"].render({}, [(entry, arrays)]), files)
        entries.append(entry)
    return entries, files


def _write_files(folder: Path, rendered: Mapping[str, bytes], files: dict[str, dict[str, Any]], durable: bool = True) -> None:
    """Write the files of a case and enter their sizes and hashes; what can be made again need not reach the disk at once."""
    for name, data in rendered.items():
        if len(data) > MAX_FILE:
            raise ParameterError(f"file {name}", f"{len(data)} bytes", f"at most {MAX_FILE} bytes")
        (folder / name).parent.mkdir(exist_ok=True)
        _write(folder / name, data, durable)
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _write(path: Path, data: bytes, durable: bool = True) -> None:
    with open(path, "xb") as stream:
        stream.write(data)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_target(target: Path, form: str = "npz") -> None:
    """Raise VectorError unless target is missing, an empty folder or a vector set of this format and nothing else.

    A canonical set may hold the other formats made from it, each in a folder of its name.
    Raises   PermissionError too, as check_parent does
    """
    check_parent(target)
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return
    wanted = "nothing, an empty folder or a vector set"
    if not stat.S_ISDIR(mode):
        raise VectorError(str(target), "the path", f"taken by {stat.filemode(mode)}", wanted)
    names = set(os.listdir(target))
    if not names:
        return
    if MANIFEST not in names:
        raise VectorError(str(target), "the folder", f"one that holds {sorted(names)[0]!r} and no {MANIFEST}", wanted)
    try:
        files = {MANIFEST, *read_manifest(read_file(target, MANIFEST, MAX_MANIFEST), form)["files"]}
    except QgruError as error:
        raise VectorError(str(target), "the folder", f"not a vector set that can be replaced ({error})", wanted) from None
    folders = {name.partition("/")[0] for name in files if "/" in name}
    for name in names - files - folders:
        if form != "npz" or name not in FORMATS or name == "npz":
            raise VectorError(str(target), "the folder", f"a vector set that also holds {name!r}", wanted)
        check_target(target / name, name)
    for folder in folders & names:
        other = {f"{folder}/{name}" for name in os.listdir(target / folder)} - files
        if other:
            raise VectorError(str(target), "the folder", f"a vector set that also holds {sorted(other)[0]!r}", wanted)


def check_parent(target: Path) -> None:
    """Raise PermissionError where target's folder, or the first one above it that is there, takes no new name."""
    above = next((folder for folder in target.absolute().parents if folder.exists()), None)
    if above is not None and above.is_dir() and not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(13, "may not be written to", str(above))


def _exchange(temporary: Path, target: Path, form: str) -> None:
    """Put temporary in target's place; an earlier set is moved aside first, put back on failure and removed at the end."""
    if not target.exists():
        os.rename(temporary, target)
        return
    check_target(target, form)
    aside = temporary.with_suffix(".old")
    os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except BaseException:
        os.rename(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
