"""Files of a set: opened without following links, read whole, never more than their size."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from vectors.errors import VectorError, shown

NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*")  # at most one folder deep
MANIFEST = "manifest.json"
MAX_MANIFEST = 1 << 26
MAX_FILE = 1 << 28  # bytes of one case's file
MAX_SET = 1 << 34  # bytes of all files of a set


def checked_name(name: str, file: str) -> str:
    """name, or VectorError when it could lead out of the folder or is not a portable file name."""
    if not NAME.fullmatch(name) or ".." in name or len(name) > 224:
        raise VectorError(file, "a file name", shown(name), "letters, digits, '.', '_' and '-', without '..'")
    return name


def _check_folder(folder: Path, name: str) -> None:
    """Raise VectorError when the folder inside the set that name lies in is a link or no folder."""
    inner, slash, _ = name.rpartition("/")
    if slash and not stat.S_ISDIR(os.lstat(folder / inner).st_mode):
        raise VectorError(name, "its folder", "a link or a file", "a folder of the set")


def file_size(folder: Path, name: str) -> int:
    """The size of a regular file in the folder; VectorError for a missing one, a link, a folder, a device."""
    try:
        checked_name(name, name)
        _check_folder(folder, name)
        found = os.lstat(folder / name)
    except OSError as error:
        raise VectorError(name, "the file", error.strerror or "unreadable", "a regular file") from None
    if not stat.S_ISREG(found.st_mode):
        raise VectorError(name, "the file", stat.filemode(found.st_mode), "a regular file, not a link or a folder")
    return found.st_size


def read_file(folder: Path, name: str, limit: int) -> bytes:
    """The bytes of a regular file in the folder.

    Raises VectorError: a name that leads elsewhere, a link, no regular file, more than limit bytes, a change meanwhile
    """
    size = file_size(folder, name)
    if size > limit:
        raise VectorError(name, "the size", f"{size} bytes", f"at most {limit}")
    flags = os.O_RDONLY
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    try:
        with open(_opened(folder, name, flags), "rb") as stream:
            opened = os.fstat(stream.fileno())
            if not stat.S_ISREG(opened.st_mode) or opened.st_size != size:
                raise VectorError(name, "the file", "changed while it was opened", f"a regular file of {size} bytes")
            data = stream.read(size + 1)
    except OSError as error:
        raise VectorError(name, "the file", error.strerror or "unreadable", "a regular file that can be read") from None
    if len(data) != size:
        raise VectorError(name, "the size", "changed while it was read", f"{size} bytes")
    return data


def _opened(folder: Path, name: str, flags: int) -> int:
    """A descriptor of the file; the folder inside the set that it lies in is opened first, without following a link."""
    inner, slash, leaf = name.rpartition("/")
    if not slash or os.open not in os.supports_dir_fd:
        return os.open(folder / name, flags)
    above = os.open(folder / inner, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.open(leaf, flags, dir_fd=above)
    finally:
        os.close(above)
