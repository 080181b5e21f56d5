"""One resolver for all devices under test, and the handle that runs a request on one."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from verification.dut import frames
from verification.dut.capabilities import Capabilities, read_capabilities
from verification.dut.failure import FAILURES, DeviceError, Failure, NotSupported
from verification.dut.process import Process
from verification.dut.request import Request

START_SECONDS = 120.0  # imports and the elaboration of a design count here, not in a case
TIMEOUT_SECONDS = 60.0
FORMS = "py:module:callable, so:./lib.so or cmd:program and its arguments"


@dataclass(frozen=True)
class Answer:
    """What a device returned.

    arrays     name -> array, as they came
    unwritten  name -> how many numbers of a caller-owned buffer were left untouched
    refusal    what the device said when it refused the case as bad input, else None
    seconds    from the request to the last byte of the answer
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    unwritten: Mapping[str, int] = field(default_factory=dict)
    refusal: str | None = None
    seconds: float = 0.0


class Device:
    """A device under test in a process of its own, started again after it failed.

    spec          as it was given
    capabilities  what it says that it does
    timeout       seconds for a case
    """

    def __init__(self, spec: str, command: list[str], environment: Mapping[str, str] | None, timeout: float) -> None:
        self.spec = spec
        self.timeout = timeout
        self._command, self._environment = command, environment
        self._process: Process | None = None
        try:
            self.capabilities: Capabilities = read_capabilities(self._start(), spec)
        except Failure as failure:
            self.close()
            raise DeviceError(f"{spec}: {failure.sentence}, expected its capabilities") from None
        except BaseException:
            self.close()
            raise

    def _start(self) -> Any:
        """Start the process and say hello; gives the plain capabilities."""
        try:
            self._process = Process(self._command, self._environment)
        except OSError as error:
            raise DeviceError(f"{self.spec} cannot be started ({error.strerror}), expected {FORMS}") from None
        hello = {"protocol": frames.PROTOCOL, "kind": "hello"}
        answer = self._process.exchange(frames.pack(hello, {}), START_SECONDS).header
        if answer.get("status") != "ok":
            raise DeviceError(str(answer.get("message", f"{self.spec} answers {answer.get('status')!r}, expected 'ok'")))
        return answer.get("capabilities")

    def run(self, request: Request) -> Answer:
        """Send a request and give the answer.

        Raises   Failure: how the device failed; the next run starts it again
                 NotSupported: the device says that it does not do this case
        """
        start = time.monotonic()
        try:
            if self._process is None:
                self._start()
                start = time.monotonic()
            assert self._process is not None
            message = self._process.exchange(frames.pack(request.plain(), request.arrays), self.timeout)
        except (Failure, DeviceError) as error:
            self._kill()
            if isinstance(error, Failure):
                raise
            raise Failure("crash", f"it does not start again: {error}") from None
        return self._answer(message, time.monotonic() - start)

    def _answer(self, message: frames.Message, seconds: float) -> Answer:
        header = message.header
        status, sentence = header.get("status"), str(header.get("message", ""))
        problem = header.get("problem")
        if problem is not None:
            if problem == "overrun":
                self._kill()  # its memory is no longer what it was
            raise Failure(problem if isinstance(problem, str) and problem in FAILURES else "error", sentence)
        if status == "unsupported":
            raise NotSupported(sentence)
        if status == "bad input":
            return Answer(refusal=sentence, seconds=seconds)
        if status == "internal":
            raise Failure("error", sentence or "the device failed inside")
        if status != "ok":
            raise Failure("protocol", f"status is {status!r}, expected ok, unsupported, bad input or internal")
        unwritten = header.get("unwritten", {})
        if not isinstance(unwritten, dict):
            raise Failure("protocol", f"unwritten is {unwritten!r}, expected an object")
        return Answer(message.arrays, unwritten, None, seconds)

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def close(self) -> int:
        """End the process; gives how many bytes it wrote after its last answer.  A further run starts it again."""
        process, self._process = self._process, None
        return 0 if process is None else process.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def resolve(spec: str, timeout: float = TIMEOUT_SECONDS) -> Device:
    """The device of a spec, started, its capabilities read.

    spec     "py:module:callable" or "py:file.py:callable"; "so:./lib.so"; "cmd:program arguments", split as a shell does
             but run without one
    timeout  seconds for a case
    Raises   DeviceError, one sentence: another form, a device that is not there, does not start or says nothing
    """
    kind, colon, target = spec.partition(":")
    if not colon or not target.strip() or kind not in ("py", "so", "cmd"):
        raise DeviceError(f"--dut is {spec!r}, expected {FORMS}")
    if not timeout > 0:
        raise DeviceError(f"--timeout is {timeout!r}, expected a positive number of seconds")
    if kind != "cmd":
        command = [sys.executable, "-P", "-m", "verification.dut.serve", spec]  # without this folder before all modules
        return Device(spec, command, _worker_environment(), timeout)
    try:
        command = shlex.split(target)
    except ValueError as error:
        raise DeviceError(f"--dut is {spec!r} ({error}), expected {FORMS}") from None
    return Device(spec, command, None, timeout)


def _worker_environment() -> dict[str, str]:
    """This environment, with this process's module path for the worker."""
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys([root, *(p for p in sys.path if p)]))}
