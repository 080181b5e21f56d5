"""A file that appears complete or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_target(path: Path) -> None:
    """Raise OSError naming path where it is a folder, or its folder where that does not exist."""
    if not path.parent.is_dir():
        raise NotADirectoryError(20, "is no folder, expected one that exists", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder, expected the name of a file", str(path))


@contextmanager
def naming(path: Path, temporary: Path) -> Iterator[None]:
    """An OSError inside that names no file, as that of a full disk does, or one of the name temporary or in it, names path."""
    try:
        yield
    except OSError as error:
        named = error.filename if isinstance(error.filename, int) or error.filename is None else os.fsdecode(error.filename)
        if isinstance(named, str) and not Path(named).absolute().is_relative_to(temporary.absolute()):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new path beside path to write to; it takes the name of path when the block ends well, and an old file stays otherwise.

    Raises   OSError, naming path or its folder and not the temporary name; the folder must exist, and path must be none
    """
    target = Path(path)
    check_target(target)
    with naming(target, target.parent):
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.", suffix=target.suffix[-20:])
    os.close(handle)
    try:
        with naming(target, Path(name)):
            yield Path(name)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def atomic_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8 with "\\n" line ends."""
    with atomic_path(path) as fresh:
        fresh.write_text(text, encoding="utf-8", newline="\n")
