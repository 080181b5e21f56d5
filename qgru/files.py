"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what a write fails with, without a name


def _mode(base: int) -> int:
    """base less the umask of the process."""
    mask = os.umask(0)
    os.umask(mask)
    return base & ~mask


def _parent(target: Path) -> Path:
    """The folder of target; an error names it and not the temporary name in it."""
    if not target.parent.is_dir():
        raise NotADirectoryError(20, "is no folder, expected one that exists", str(target.parent))
    return target.parent


def _prefix(target: Path) -> str:
    """Of a temporary name beside target, short enough where the name of target is as long as a name may be."""
    return f".{target.name[:40]}."


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An error inside names path, and not the temporary name beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


@contextmanager
def _full(path: Path) -> Iterator[None]:
    """A write inside that the disk had no room for, or that failed on it, names path; other errors are left as they are."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in DISK:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


@contextmanager
def _inside(fresh: Path, target: Path) -> Iterator[None]:
    """An error inside that names a file of the folder fresh names it in target, which fresh will be."""
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, (str, Path)) or not Path(error.filename).is_relative_to(fresh):
            raise
        named = target / Path(error.filename).relative_to(fresh)
        raise OSError(error.errno, error.strerror or str(error), str(named)) from None


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise OSError where atomic_file could not write path; asked before long work whose result goes there."""
    target = Path(path)
    parent = _parent(Path(os.path.realpath(target)))
    if target.is_dir():
        raise IsADirectoryError(21, "is a folder, expected a file", str(target))
    if target.exists() and not target.is_file():
        raise OSError(22, "is a device or a pipe, expected a file", str(target))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(13, "may not be written to", str(parent))


@contextmanager
def atomic_file(path: str | os.PathLike[str], text: bool = True) -> Iterator[IO[Any]]:
    """A file to write into; it takes its name when the block ends well, and an old one stays otherwise.

    text     UTF-8 with "\\n" line ends, else binary
    Raises   OSError as check_file does; a link stays, and what it leads to is written
    """
    check_file(path)
    target = Path(os.path.realpath(path))
    with _naming(Path(path)):
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target))
    try:
        options: dict[str, Any] = {"mode": "wb"}
        if text:
            options = {"mode": "w", "encoding": "utf-8", "errors": "backslashreplace", "newline": "\n"}
        with _full(Path(path)), os.fdopen(handle, **options) as file:
            yield file
            with _naming(Path(path)):
                file.flush()
                os.fsync(file.fileno())
        with _naming(Path(path)):
            os.chmod(name, _mode(0o666))
            os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: str | os.PathLike[str], replace: bool = False) -> Iterator[Path]:
    """An empty folder to fill; it takes its name when the block ends well.

    replace  whether a folder that is already there is replaced; it is moved aside first and removed afterwards
    Raises   FileExistsError when path exists and replace is not set; NotADirectoryError when path is a file
    """
    target = Path(path)
    _refuse_existing(target, replace)
    parent = _parent(target)
    with _naming(target):
        work = Path(tempfile.mkdtemp(dir=parent, prefix=_prefix(target)))
    try:
        fresh = work / "new"
        fresh.mkdir()
        with _full(target), _inside(fresh, target):
            yield fresh
        fresh.chmod(_mode(0o777))
        _refuse_existing(target, replace)
        if target.exists():
            os.replace(target, work / "old")
            try:
                os.replace(fresh, target)
            except OSError:
                os.replace(work / "old", target)
                raise
        else:
            os.replace(fresh, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_existing(target: Path, replace: bool) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise NotADirectoryError(20, "exists and is not a folder", str(target))
    if target.exists() and not replace:
        raise FileExistsError(17, "exists already", str(target))
