"""Files of a set: opened without following links, read whole, never more than their size."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from vectors.errors import VectorError, shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MANIFEST = "manifest.json"
MAX_MANIFEST = 1 << 26
MAX_FILE = 1 << 28  # bytes of one case's file
MAX_SET = 1 << 34  # bytes of all files of a set


def checked_name(name: str, file: str) -> str:
    """name, or VectorError when it could lead out of the folder or is not a portable file name."""
    if not NAME.fullmatch(name) or ".." in name or len(name) > 128:
        raise VectorError(file, "a file name", shown(name), "letters, digits, '.', '_' and '-', without '..'")
    return name


def file_size(folder: Path, name: str) -> int:
    """The size of a regular file in the folder; VectorError for a missing one, a link, a folder, a device."""
    try:
        found = os.lstat(folder / checked_name(name, name))
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
        with open(os.open(folder / name, flags), "rb") as stream:
            opened = os.fstat(stream.fileno())
            if not stat.S_ISREG(opened.st_mode) or opened.st_size != size:
                raise VectorError(name, "the file", "changed while it was opened", f"a regular file of {size} bytes")
            data = stream.read(size + 1)
    except OSError as error:
        raise VectorError(name, "the file", error.strerror or "unreadable", "a regular file that can be read") from None
    if len(data) != size:
        raise VectorError(name, "the size", "changed while it was read", f"{size} bytes")
    return data
