"""Arrays in a zip file: written to the same bytes every time, read without trusting what a header claims.

The file is what NumPy calls .npz. Nothing is ever unpickled.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from golden.spec.errors import ParameterError
from vectors.errors import VectorError, shown

NAME = re.compile(r"[A-Za-z0-9._-]+")
MAX_MEMBERS = 512
MAX_CONTENT = 1 << 29  # bytes of all arrays of a file together
MAX_HEADER = 512
MAX_AXES = 4
DTYPES = {"<i4": "int32", "<i8": "int64", "<f4": "float32", "|i1": "int8", "<i2": "int16", "|u1": "uint8", "<u2": "uint16"}
WRITTEN = {"int32": "<i4", "int64": "<i8", "float32": "<f4"}
LEVEL = 6  # of deflate

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(r"\{'descr': '([^']{1,8})', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), \} *\n")
_AXIS = re.compile(r"(?:[0-9]{1,10}, )*[0-9]{1,10},?")
_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")


def write_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a .npz file with these arrays, in this order; the same arrays give the same bytes.

    arrays  int32, int64 or float32, at most four axes
    Raises  ParameterError naming the array for a name or a dtype that the format does not have
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            if not NAME.fullmatch(name):
                raise ParameterError("array name", repr(name), "letters, digits, '.', '_' and '-'")
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, npy_bytes(name, array), compresslevel=LEVEL)
    return out.getvalue()


def npy_bytes(name: str, array: np.ndarray) -> bytes:
    """An array as .npy 1.0, little-endian, C order.

    Raises  ParameterError naming the array for another dtype than int32, int64, float32 or more than four axes
    """
    if array.dtype.name not in WRITTEN or array.ndim > MAX_AXES:
        raise ParameterError(
            name, f"{array.dtype} with {array.ndim} axes", f"int32, int64 or float32 with at most {MAX_AXES} axes"
        )
    descr = WRITTEN[array.dtype.name]
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple(int(n) for n in array.shape)}, }}"
    header += " " * (-(len(_MAGIC) + 2 + len(header) + 1) % 64) + "\n"
    return _MAGIC + struct.pack("<H", len(header)) + header.encode("ascii") + array.astype(descr).tobytes(order="C")


class Claim(NamedTuple):
    """What an array is expected to be: the name of its dtype and its shape."""

    dtype: str
    shape: tuple[int, ...]


class _Member(NamedTuple):
    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int  # of the packed bytes


def read_npz(
    data: bytes, file: str, expected: Mapping[str, Claim] | None = None, limit: int = MAX_CONTENT
) -> dict[str, np.ndarray]:
    """The arrays of a .npz file, in the order of the file.

    data      the whole file
    file      its name, for the message
    expected  name -> (dtype, shape); exactly these arrays must be there. None takes any array of a dtype in DTYPES
    limit     most bytes of all arrays together
    Raises    VectorError: no zip, an entry twice or overlapping, a size, checksum, dtype, shape or name that is not the
              expected one, object arrays, Fortran order, NaN or inf
    """
    members = _directory(data, file)
    names = {m.name for m in members}
    if expected is not None and names != set(expected):
        missing, unknown = sorted(set(expected) - names), sorted(names - set(expected))
        raise VectorError(
            file, "the list of arrays", f"missing {shown(missing)} and unknown {shown(unknown)}", "the arrays of the manifest"
        )
    total = sum(m.size for m in members)
    if total > limit:
        raise VectorError(file, "the size of the arrays", f"{total} bytes", f"at most {limit}")
    for m in members:
        if expected is not None:
            _plausible(m, expected[m.name], file)
    arrays = {}
    for m in members:
        array = _npy(_inflate(data, file, m), file, m.name)
        if expected is not None and Claim(array.dtype.name, array.shape) != expected[m.name]:
            claim = expected[m.name]
            raise VectorError(file, m.name, f"{array.dtype} {list(array.shape)}", f"{claim.dtype} {list(claim.shape)}")
        arrays[m.name] = array
    return arrays


def _plausible(m: _Member, claim: Claim, file: str) -> None:
    """Raise VectorError unless the declared size of an entry is the array's and that of a header."""
    content = _count(claim.shape) * np.dtype(claim.dtype).itemsize
    if not content + len(_MAGIC) + 2 <= m.size <= content + MAX_HEADER:
        raise VectorError(file, f"the size of {m.name}", f"{m.size} bytes", f"{content} bytes and a header, by its shape")


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for n in shape:
        count *= n
    return count


def _directory(data: bytes, file: str) -> list[_Member]:
    """The entries of the central directory, each checked against its local header; none overlap."""

    def refuse(field: str, found: object, wanted: str) -> VectorError:
        return VectorError(file, field, found, wanted)

    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\x05\x06":
        raise refuse("the end of the file", shown(data[-_END.size :][:4]), "the end record of a zip file without a comment")
    _, disk, first, here, count, length, offset, comment = _END.unpack(data[-_END.size :])
    if disk or first or comment or here != count or not 1 <= count <= MAX_MEMBERS:
        raise refuse("the zip end record", f"{count} entries on disk {disk}", f"1 to {MAX_MEMBERS} entries on one disk")
    if offset + length != len(data) - _END.size:
        raise refuse("the zip directory", f"{length} bytes at {offset}", "a directory that ends where the end record starts")
    members: list[_Member] = []
    at, spans = offset, []
    for index in range(count):
        if at + _CENTRAL.size > offset + length or data[at : at + 4] != b"PK\x01\x02":
            raise refuse(f"zip entry {index}", shown(data[at : at + 4]), "an entry of the zip directory")
        (_, _, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment, part, _, _, local) = _CENTRAL.unpack_from(
            data, at
        )
        raw = data[at + _CENTRAL.size : at + _CENTRAL.size + n_name]
        at += _CENTRAL.size + n_name + n_extra + n_comment
        name = raw.decode("latin-1")
        if not name.endswith(".npy") or not NAME.fullmatch(name[:-4]) or ".." in name:
            raise refuse(f"the name of zip entry {index}", shown(name), "letters, digits, '.', '_' and '-', ending in .npy")
        if any(m.name == name[:-4] for m in members):
            raise refuse(f"zip entry {name}", "given twice", "each array once")
        if flags & ~0x0806 or method not in (0, 8) or part:  # 2, 4: how hard deflate tried; 0x800: UTF-8
            raise refuse(
                f"zip entry {name}", f"flags {flags}, method {method}", "a stored or deflated entry without encryption"
            )
        if local + _LOCAL.size > offset or data[local : local + 4] != b"PK\x03\x04":
            raise refuse(f"the place of {name}", local, "the place of a local zip header")
        n_local, n_local_extra = _LOCAL.unpack_from(data, local)[-2:]
        start = local + _LOCAL.size + n_local + n_local_extra
        if data[local + _LOCAL.size : local + _LOCAL.size + n_local] != raw:
            raise refuse(f"the local zip header of {name}", "under another name", "the name in the directory")
        if start + packed > offset:
            raise refuse(f"the packed size of {name}", packed, "bytes that the file has")
        spans.append((local, start + packed, name))
        members.append(_Member(name[:-4], method, crc, packed, size, start))
    if at != offset + length:
        raise refuse("the zip directory", f"{offset + length - at} bytes longer than its entries", f"{count} entries")
    spans.sort()
    for (_, end, _), (begin, _, name) in zip(spans, spans[1:]):
        if begin < end:
            raise refuse(f"the place of {name}", begin, f"at least {end}, after the entry before it")
    return members


def _inflate(data: bytes, file: str, m: _Member) -> bytes:
    """The bytes of an entry: never more than it declares, exactly as many, with its checksum."""
    packed = data[m.start : m.start + m.packed]
    if m.method == 0:
        content = packed
    else:
        engine = zlib.decompressobj(-15)
        try:
            content = engine.decompress(packed, m.size + 1)
        except zlib.error as error:
            raise VectorError(file, m.name, f"not deflated data ({error})", "deflated data") from None
        if len(content) <= m.size and (not engine.eof or engine.unused_data):
            raise VectorError(file, m.name, "cut short or followed by other bytes", "one complete deflated stream")
    if len(content) != m.size:
        raise VectorError(file, f"the size of {m.name}", f"not the declared {m.size} bytes", "the declared size")
    if zlib.crc32(content) != m.crc:
        raise VectorError(file, f"the checksum of {m.name}", f"{zlib.crc32(content):08x}", f"{m.crc:08x}")
    return content


def _npy(content: bytes, file: str, name: str) -> np.ndarray:
    """The array of a .npy 1.0 file whose length is exactly what its header says; a native, writable copy."""
    if content[: len(_MAGIC)] != _MAGIC or len(content) < len(_MAGIC) + 2:
        raise VectorError(file, name, f"{shown(content[:8])} at its start", "an array in .npy format 1.0")
    (length,) = struct.unpack_from("<H", content, len(_MAGIC))
    start = len(_MAGIC) + 2 + length
    header = content[len(_MAGIC) + 2 : start].decode("latin-1")
    match = _HEADER.fullmatch(header) if start <= min(len(content), MAX_HEADER) else None
    if match is None:
        raise VectorError(file, f"the header of {name}", shown(header[:80]), "a plain .npy header")
    descr, fortran, axes = match.groups()
    if descr not in DTYPES:
        raise VectorError(file, f"the dtype of {name}", shown(descr), f"one of {', '.join(DTYPES)}")
    if fortran == "True":
        raise VectorError(file, f"the order of {name}", "Fortran", "C")
    if axes and not _AXIS.fullmatch(axes):
        raise VectorError(file, f"the shape of {name}", shown(axes), "sizes of at most ten digits")
    shape = tuple(int(n) for n in re.findall("[0-9]+", axes))
    dtype = np.dtype(descr)
    if len(shape) > MAX_AXES or _count(shape) * dtype.itemsize != len(content) - start:
        raise VectorError(file, f"the shape of {name}", list(shape), f"{len(content) - start} bytes of {DTYPES[descr]}")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=True)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise VectorError(file, name, "an array with NaN or inf", "finite numbers")
    return array
