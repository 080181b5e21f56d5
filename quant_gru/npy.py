"""NumPy files read with care: nothing is unpickled, and nothing is allocated because a header claims it.

An array that cannot be taken (objects, records, text) is refused or, in an archive, given back as the name of its dtype.
"""

from __future__ import annotations

import ast
import io
import os
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy_format

from golden.spec.errors import ParameterError, QgruError

MAX_BYTES = 2**32
DEFLATE_LIMIT = 1032  # deflate never packs more than about this many bytes into one
MAX_HEADER = 10_000
MANY = 0xFFFF  # members that the end record of a zip archive stands for with "that many or more"
DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, struct.error, MemoryError, LookupError, TypeError
)  # fmt: skip
_END = struct.Struct("<4s4H2LH")


def opened(path: Path) -> IO[bytes]:
    """A file to read in; a pipe or a device, which has no end to seek to, is refused before it is opened.

    Raises   ParameterError naming the file, OSError
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # of a folder the system says what it is
        raise ParameterError(path.name, "a pipe or a device", "a regular file")
    return open(path, "rb")


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file.

    Raises   ParameterError naming the file: damaged, truncated, longer than its header says, an object array (a pickle)
    """
    with opened(path) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        array = _array(path.name, file, size)
    if isinstance(array, str):
        raise ParameterError(path.name, f"an array of {array}", "an array of numbers")
    return array


def read_npz(path: Path) -> dict[str, np.ndarray | str]:
    """name -> array of a .npz file; the name of the dtype in place of an array that is not of numbers.

    Raises   ParameterError naming the file, or the member as file[member]: not a zip archive, damaged, truncated,
             encrypted, given twice, larger than 4 GiB in all, an object array (a pickle)
    """
    with opened(path) as file:
        try:
            return _members(path.name, file)
        except QgruError:
            raise
        except (*DAMAGED, OSError) as error:  # a seek to a place that cannot be is an OSError
            raise ParameterError(path.name, f"damaged ({_reason(error)})", "a complete .npz archive") from None


def label(file: str, member: str) -> str:
    """file[member], for the one sentence of an error; what cannot be printed is escaped."""
    return f"{file}[{member if member.isprintable() else ascii(member)}]"


def number_of_bytes(size: int) -> str:
    """size, for the one sentence of an error; Python writes no number of more than 4300 digits."""
    return f"{size} bytes" if size < 2**64 else "2**64 bytes or more"


def _members(name: str, file: IO[bytes]) -> dict[str, np.ndarray | str]:
    arrays: dict[str, np.ndarray | str] = {}
    with zipfile.ZipFile(file) as archive:
        check_members(name, archive, file)
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                raise ParameterError(label(name, info.filename), "no .npy member", "members written by numpy.savez")
            key = info.filename.removesuffix(".npy")
            with archive.open(info) as member:
                arrays[key] = _array(label(name, key), member, info.file_size)
    return arrays


def check_members(name: str, archive: zipfile.ZipFile, file: IO[bytes], stored_only: bool = False) -> None:
    """Refuse an archive whose members claim more bytes than it can hold, or are not those that its end record counts.

    file         what the archive was opened on; it is left at its end
    stored_only  whether compressed members are refused too
    Raises       ParameterError naming the file or the member
    """
    packed_size = file.seek(0, io.SEEK_END)
    _check_count(name, archive, file, packed_size)
    total = packed = 0
    names: set[str] = set()
    for info in archive.infolist():
        where = label(name, info.filename)
        if info.filename in names:
            raise ParameterError(label(name, info.filename.removesuffix(".npy")), "given twice", "each array once")
        names.add(info.filename)
        if info.flag_bits & 1:
            raise ParameterError(where, "encrypted", "a plain member")
        if info.compress_type not in ((zipfile.ZIP_STORED,) if stored_only else (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)):
            raise ParameterError(where, f"compressed by method {info.compress_type}", "a stored or deflated member")
        room = info.compress_size * (1 if info.compress_type == zipfile.ZIP_STORED else DEFLATE_LIMIT)
        total, packed = total + info.file_size, packed + info.compress_size
        if info.file_size > room or packed > packed_size:
            raise ParameterError(where, f"said to hold {info.file_size} bytes", "no more than the archive can hold")
        if total > MAX_BYTES:
            raise ParameterError(name, f"said to hold {total} bytes or more", f"at most {MAX_BYTES} bytes")


def _check_count(name: str, archive: zipfile.ZipFile, file: IO[bytes], size: int) -> None:
    """Refuse a directory that hides members: zipfile reads on to its end, whatever number of them it should have."""
    found = len(archive.infolist())
    file.seek(max(0, size - _END.size - len(archive.comment)))
    end = file.read(_END.size)
    file.seek(0, io.SEEK_END)
    if len(end) != _END.size or not end.startswith(b"PK\x05\x06"):
        raise ParameterError(name, "an archive with other bytes at its end", "a zip archive that ends with its end record")
    counted = _END.unpack(end)[4]
    if counted != min(found, MANY):
        raise ParameterError(name, f"an archive of {found} members", f"{counted} members, as its end record says")


def _array(where: str, file: IO[bytes], size: int) -> np.ndarray | str:
    """The array in size bytes of a file; the size that its header claims must be the one that is there."""
    try:
        version = npy_format.read_magic(file)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ParameterError(where, f"of .npy version {version[0]}.{version[1]}", "version 1.0, 2.0 or 3.0")
        shape, fortran, dtype = _header(file, version[0])
    except QgruError:
        raise
    except (*DAMAGED, SyntaxError, RecursionError) as error:
        raise ParameterError(where, f"damaged ({_reason(error)})", "a .npy array") from None
    if dtype.hasobject:
        raise ParameterError(where, "an object array (a pickle)", "an array of numbers; pickles are never read")
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in shape):
        raise ParameterError(where, f"an array of shape {list(shape)}", "sizes of at least 0")
    claimed, there = prod(shape) * dtype.itemsize, size - file.tell()
    if claimed != there:
        raise ParameterError(where, f"{there} bytes of data", f"{number_of_bytes(claimed)} for {dtype} of shape {list(shape)}")
    try:
        data = file.read(claimed)
    except DAMAGED as error:
        raise ParameterError(where, f"damaged ({_reason(error)})", "a complete .npy array") from None
    if len(data) != claimed:
        raise ParameterError(where, f"{len(data)} bytes of data", f"{claimed} bytes for {dtype} of shape {list(shape)}")
    if dtype.kind not in "biuf":
        return str(dtype)
    return shaped(where, data, dtype, shape, "F" if fortran else "C")


def shaped(
    where: str, data: bytes | memoryview, dtype: np.dtype, shape: Sequence[int], order: Literal["C", "F"] = "C"
) -> np.ndarray:
    """The array of these bytes, as many as the shape needs.

    Raises   ParameterError for a shape that NumPy has none of: too many axes, or sizes too large for an index beside a 0
    """
    try:
        return np.frombuffer(data, dtype).reshape(tuple(shape), order=order)
    except ValueError as error:
        raise ParameterError(where, f"an array of shape {list(shape)}", f"a shape of NumPy ({_reason(error)})") from None


def _header(file: IO[bytes], version: int) -> tuple[tuple[Any, ...], bool, np.dtype]:
    """(shape, Fortran order, dtype) of the header that follows the magic; NumPy's own reader would also repair old ones."""
    width = 2 if version == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > MAX_HEADER:
        raise ValueError(f"a header of {length} bytes")
    text = file.read(length)
    if len(text) != length:
        raise EOFError(f"a header of {length} bytes that ends after {len(text)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler, which says on stderr what it thinks of an unknown escape
        header = ast.literal_eval(text.decode("utf-8" if version == 3 else "latin1").strip())
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError("a header without descr, fortran_order and shape")
    if not isinstance(header["shape"], tuple) or not isinstance(header["fortran_order"], bool):
        raise ValueError("a header whose shape is no tuple or whose fortran_order is no boolean")
    return header["shape"], header["fortran_order"], npy_format.descr_to_dtype(header["descr"])


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
