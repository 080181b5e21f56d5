"""Writing a vector set: the same cases give the same bytes, and the folder appears complete or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from golden.spec.errors import ParameterError, QgruError
from golden.spec.profile import SPEC_VERSION, profile, profile_hash
from vectors.canonical import plain
from vectors.case import Case, pack
from vectors.describe import describe
from vectors.errors import VectorError
from vectors.files import MANIFEST, MAX_FILE, MAX_MANIFEST, read_file
from vectors.manifest import FORMAT, FORMAT_VERSION, read_manifest, seal
from vectors.npz import MAX_CONTENT, MAX_MEMBERS, write_npz

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def write_set(
    path: str | os.PathLike[str],
    cases: Iterable[Case],
    *,
    seed: int,
    version: str,
    generator: str = "qgru",
    flags: Mapping[str, str] | None = None,
) -> str:
    """Write the cases, in their order, as a vector set, and return its sha256.

    path       the folder; it may be missing, empty or an earlier vector set with nothing else in it, which is replaced
    cases      taken one by one: a generator need not hold them all
    seed       what the cases were drawn from, 0...2**53-1
    version, generator  the version and the name of what made the set
    flags      flag -> sentence, for every flag that a case has
    Raises     ParameterError for a bad case or argument, VectorError when path holds something else; path is then as
               it was before
    """
    target = Path(os.path.abspath(path))
    check_target(target)
    parent = target.parent
    if not parent.is_dir():
        raise ParameterError("path", repr(str(path)), "a folder whose parent exists")
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=parent))
    try:
        entries, files = _write_cases(temporary, cases)
        text = seal(
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "spec_version": SPEC_VERSION,
                "generator": {"name": generator, "version": version},
                "seed": plain(seed, "seed"),
                "flags": plain(dict(flags or {}), "flags"),
                "files": files,
                "cases": entries,
            }
        )
        try:
            digest = read_manifest(text)["sha256"]
        except VectorError as error:
            raise ParameterError(error.field, error.found, error.expected) from None
        _write(temporary / MANIFEST, text)
        os.chmod(temporary, 0o777 & ~_umask())
        _exchange(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return digest


def _write_cases(folder: Path, cases: Iterable[Case]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    entries: list[dict[str, Any]] = []
    files: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for case in cases:
        if not isinstance(case.id, str) or not _ID.fullmatch(case.id) or ".." in case.id:
            raise ParameterError("case id", repr(case.id), "at most 96 letters, digits, '.', '_' and '-', without '..'")
        if case.id.lower() in seen:
            raise ParameterError("case id", repr(case.id), "an id of its own, also in lower case")
        seen.add(case.id.lower())
        description, arrays = pack(case)
        content = sum(a.nbytes + 128 for a in arrays.values())
        if content > MAX_CONTENT or len(arrays) > MAX_MEMBERS:
            raise ParameterError(f"case {case.id}", f"{content} bytes in {len(arrays)} arrays", f"at most {MAX_CONTENT} bytes")
        data = write_npz(arrays)
        if len(data) > MAX_FILE:
            raise ParameterError(f"case {case.id}", f"{len(data)} bytes packed", f"at most {MAX_FILE} bytes")
        name = f"{case.id}.npz"
        _write(folder / name, data)
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        entries.append(
            {
                "id": case.id,
                "group": case.group,
                "comment": case.comment,
                "flags": list(case.flags),
                "datapath": case.params.datapath,
                "options": {"zoneout": case.zoneout, "training": case.training, "reverse": case.reverse},
                "params": description,
                "profile": profile(case.params),
                "profile_sha256": profile_hash(case.params),
                "file": name,
                "arrays": describe(case.params, arrays),
            }
        )
    return entries, files


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_target(target: Path) -> None:
    """Raise VectorError unless target is missing, an empty folder or a vector set and nothing else."""
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
        listed = {MANIFEST, *read_manifest(read_file(target, MANIFEST, MAX_MANIFEST))["files"]}
    except QgruError as error:
        raise VectorError(str(target), "the folder", f"not a vector set that can be replaced ({error})", wanted) from None
    if names - listed:
        raise VectorError(str(target), "the folder", f"a vector set that also holds {sorted(names - listed)[0]!r}", wanted)


def _exchange(temporary: Path, target: Path) -> None:
    """Put temporary in target's place; an earlier set is moved aside first, put back on failure and removed at the end."""
    if not target.exists():
        os.rename(temporary, target)
        return
    check_target(target)
    aside = temporary.with_suffix(".old")
    os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except BaseException:
        os.rename(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
