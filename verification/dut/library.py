"""so: devices: a shared library with the C ABI of qgru_dut.h, called in the worker on guarded buffers."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from ctypes import c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

from verification.dut.failure import DeviceError
from verification.dut.frames import MAX_AXES, Answer, Answered, Message
from verification.dut.guarded import Guarded, guard_inputs

VERSION = 1
HEADER = Path(__file__).with_name("qgru_dut.h")
TYPES = {"int32": 1, "int64": 2, "float32": 3}
STATUS = {0: "ok", 1: "unsupported", 2: "bad input", 3: "internal"}
MESSAGE = 512
CAPABILITIES = 1 << 16


class Array(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p), ("dtype", c_int32), ("ndim", c_int32), ("shape", c_int64 * MAX_AXES), ("data", c_void_p)
    ]  # fmt: skip


class Number(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("integer", c_int64), ("real", c_double)]


class Config(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("version", c_uint32), ("id", c_char_p), ("name", c_char_p), ("json", c_char_p),
        ("number_count", c_int64), ("numbers", ctypes.POINTER(Number)),
    ]  # fmt: skip


def load(path: str) -> ctypes.CDLL:
    """The library.

    Raises DeviceError: it cannot be loaded, lacks a function, or speaks another version
    """
    file = Path(path)
    try:
        library = ctypes.CDLL(str(file.resolve() if file.exists() else path))
    except OSError as error:
        raise DeviceError(f"so:{path} cannot be loaded ({error}), expected a shared library") from None
    for name in ("qgru_dut_version", "qgru_dut_capabilities"):
        if not hasattr(library, name):
            raise DeviceError(f"so:{path} has no function {name}, expected the functions of qgru_dut.h")
    library.qgru_dut_version.restype = c_uint32
    version = int(library.qgru_dut_version())
    if version != VERSION:
        raise DeviceError(f"so:{path} has version {version}, expected {VERSION}")
    return library


def capabilities_of(library: ctypes.CDLL, path: str) -> dict[str, Any]:
    """What the library says that it does."""
    text = ctypes.create_string_buffer(CAPABILITIES)
    library.qgru_dut_capabilities.argtypes = [c_char_p, c_size_t]
    library.qgru_dut_capabilities.restype = c_int32
    status = library.qgru_dut_capabilities(text, CAPABILITIES)
    if status != 0:
        raise DeviceError(f"so:{path}: qgru_dut_capabilities returns {status}, expected 0")
    try:
        return json.loads(text.value)
    except ValueError as error:
        raise DeviceError(f"so:{path}: its capabilities are no JSON ({error}), expected an object") from None


def answer_with(library: ctypes.CDLL, path: str) -> tuple[dict[str, Any], Answer]:
    """(capabilities, answer) of a loaded library."""

    def answer(request: Message) -> Answered:
        name = f"qgru_dut_{request.header['kind']}"
        if not hasattr(library, name):
            return {"status": "unsupported", "message": f"no function {name}"}, {}
        return _call(getattr(library, name), request)

    return capabilities_of(library, path), answer


def _call(function: Any, request: Message) -> Answered:
    """Call a function of the ABI; the arrays that it did not touch at all are left out.

    Raises Failure when a guard word or an input was written
    """
    inputs = guard_inputs(request.arrays)
    outputs = {w["name"]: Guarded(w["name"], w["dtype"], w["shape"]) for w in request.header["outputs"]}
    message = Guarded("message", "uint8", [MESSAGE])
    message.array[:] = 0
    given, given_count = _arrays(inputs)
    asked, asked_count = _arrays(outputs)
    function.restype = c_int32
    function.argtypes = [
        ctypes.POINTER(Config),
        c_int64,
        ctypes.POINTER(Array),
        c_int64,
        ctypes.POINTER(Array),
        c_void_p,
        c_size_t,
    ]
    config = _config(request.header)
    status = int(function(ctypes.byref(config), given_count, given, asked_count, asked, message.array.ctypes.data, MESSAGE))
    for buffer in (*outputs.values(), *inputs.values(), message):
        buffer.check()
    text = message.array.tobytes().partition(b"\0")[0].decode("utf-8", "replace")
    if status != 0:
        return {"status": STATUS.get(status, "internal"), "message": text or f"return code {status}"}, {}
    unwritten = {name: buffer.unwritten for name, buffer in outputs.items() if buffer.unwritten}
    arrays = {name: b.array for name, b in outputs.items() if not b.array.size or b.unwritten < b.array.size}
    return {"status": "ok", "unwritten": {name: n for name, n in unwritten.items() if name in arrays}}, arrays


def _arrays(buffers: Mapping[str, Guarded]) -> tuple[Any, int]:
    out = (Array * max(1, len(buffers)))()
    for entry, (name, buffer) in zip(out, buffers.items()):
        shape = buffer.array.shape
        entry.name, entry.dtype, entry.ndim = name.encode(), TYPES[buffer.array.dtype.name], len(shape)
        entry.shape = (c_int64 * MAX_AXES)(*shape)
        entry.data = buffer.array.ctypes.data
    return out, len(buffers)


def _config(header: Mapping[str, Any]) -> Config:
    constants = header["constants"]
    numbers = (Number * max(1, len(constants)))()
    for entry, (name, value) in zip(numbers, constants.items()):
        whole = isinstance(value, int)
        entry.name, entry.integer, entry.real = name.encode(), value if whole else 0, float(value)
    text = json.dumps(header).encode()
    size = ctypes.sizeof(Config)
    return Config(size, VERSION, header["id"].encode(), header["name"].encode(), text, len(constants), numbers)
