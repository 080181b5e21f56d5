"""The reference server: a py: or so: device behind frames on standard input and output.

    python -m verification.dut.serve py:module:callable
    python -m verification.dut.serve so:./lib.so

It is the worker that py: and so: devices run in, and it may stand behind cmd: as well.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from golden.spec.errors import QgruError
from verification.dut import frames
from verification.dut.failure import DeviceError, Failure
from verification.dut.frames import PROTOCOL, Answer, Answered


def device(spec: str) -> tuple[dict[str, Any], Answer]:
    """(capabilities, answer) of "py:..." or "so:...".

    Raises DeviceError for a device that is not there, that fails as it starts, or whose capabilities JSON does not hold
    """
    try:
        capabilities, answer = _started(spec)
    except DeviceError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise DeviceError(f"{spec} fails as it starts ({_said(error)}), expected its capabilities") from None
    for name, value in capabilities.items() if isinstance(capabilities, dict) else ():
        try:
            json.dumps({name: value}, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise DeviceError(
                f"{spec}: capabilities {name} is {' '.join(repr(value).split())}, expected what JSON holds: lists, objects, "
                "strings, plain numbers"
            ) from None
    return capabilities, answer


def _started(spec: str) -> tuple[dict[str, Any], Answer]:
    kind, _, target = spec.partition(":")
    if kind == "py":
        from verification.dut import callables

        return callables.answer_with(callables.load(target), target)
    if kind == "so":
        from verification.dut import library

        return library.answer_with(library.load(target), target)
    raise DeviceError(f"device is {spec!r}, expected py:module:callable or so:./lib.so")


def reply(answer: Answer, request: frames.Message) -> Answered:
    """The header and the arrays of the answer to a step or a sequence; nothing is raised."""
    try:
        return answer(request)
    except Failure as failure:
        return {"status": "internal", "problem": failure.kind, "message": failure.sentence}, {}
    except QgruError as error:
        return {"status": "bad input", "message": str(error)}, {}
    except Exception as error:
        traceback.print_exc()
        return {"status": "internal", "message": _said(error)}, {}


def _said(error: Exception) -> str:
    """An exception in one sentence, with its place where that is in a file."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return said if at.filename.startswith("<frozen ") else f"{said}, in {at.name} ({at.filename}, line {at.lineno})"


def serve(start: Callable[[], tuple[dict[str, Any], Answer]], source: BinaryIO, sink: BinaryIO) -> None:
    """Answer the frames of source on sink until it ends."""

    def get(count: int) -> bytes:
        parts = []
        while count:
            part = source.read(count)
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    answer: Answer | None = None
    while (request := frames.read(get)) is not None:
        arrays: dict[str, np.ndarray] = {}
        header: dict[str, Any]
        if request.header.get("kind") == "hello":
            try:
                capabilities, answer = start()
                header = {"status": "ok", "protocol": PROTOCOL, "capabilities": capabilities}
            except DeviceError as error:
                header = {"status": "bad input", "message": str(error)}
        elif answer is None:
            header = {"status": "bad input", "message": "no hello came before the request"}
        else:
            header, arrays = reply(answer, request)
        wrong = [name for name, array in arrays.items() if array.dtype.name not in frames.READABLE]
        if wrong:
            found = arrays[wrong[0]].dtype.name
            header, arrays = {"status": "internal", "problem": "dtype", "message": f"{wrong[0]} is an array of {found}"}, {}
        deep = [name for name, array in arrays.items() if array.ndim > frames.MAX_AXES]
        if deep:
            said = f"array {deep[0]} has the shape {list(arrays[deep[0]].shape)}, expected {frames.MAX_AXES} lengths at most"
            header, arrays = {"status": "internal", "problem": "shape", "message": said}, {}
        sink.write(frames.pack(header, arrays))
        sink.flush()


def main() -> None:
    """Serve the device of the first argument; what it prints goes to standard error."""
    sys.path.append(os.getcwd())  # last: its golden.py or json.py takes the place of no other module
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)
        serve(lambda: device(sys.argv[1]), sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
