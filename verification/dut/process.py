"""A device's process: started, asked over its standard input and output, killed when it does not answer."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

from verification.dut import frames
from verification.dut.failure import Failure
from verification.dut.frames import Message

CHUNK = 1 << 20
LONGEST_WAIT = 3600.0  # in one look at the pipes; a selector takes neither infinity nor the age of the world
GRACE_SECONDS = 2.0  # for a process that closed its output, or was told to go, to end
LOOK_SECONDS = 0.02  # between two looks at whether a process that writes nothing has ended
TAIL = 400  # characters of standard error in a sentence


class Process:
    """One process that answers one request after the other.

    command      argument list
    environment  of the process, or None for this one's

    It leads a session of its own, so that what it starts is killed with it. What it says on standard error goes to a
    temporary file whose end is shown when it fails.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=None if environment is None else dict(environment),
                bufsize=0,
                start_new_session=True,
            )
        except OSError:
            self._errors.close()
            raise
        assert self._child.stdin is not None and self._child.stdout is not None
        self._in, self._out = self._child.stdin, self._child.stdout
        self._asked = False
        for pipe in (self._in, self._out):
            os.set_blocking(pipe.fileno(), False)

    def exchange(self, request: bytes, seconds: float) -> Message:
        """Send a frame and give the frame that comes back.

        Raises   Failure: crash, hang, short, protocol, overrun; the process is then of no further use: kill it
        """
        stray = self._read_now() if self._asked else b""  # what comes before the first request is read as its answer
        self._asked = True
        if stray:
            raise Failure("protocol", f"{len(stray)} bytes came before the request was sent, left by the case before")
        buffer = self._answer(request, time.monotonic() + seconds, seconds)
        header, data = frames.lengths(bytes(buffer[: frames.PREFIX.size]))
        start = frames.PREFIX.size + header
        if len(buffer) > start + data:
            raise Failure("overrun", f"{len(buffer) - start - data} bytes came after the end of the answer")
        return frames.unpack(bytes(buffer[frames.PREFIX.size : start]), buffer[start:])

    def _answer(self, request: bytes, deadline: float, seconds: float) -> bytearray:
        """Write and read at once, until the request is taken, a whole frame is there and nothing more to read.

        A device may answer before it has read everything, one that does not do the case for instance: the rest still has to
        go to it, or it would take the next request for it.
        """
        rest, buffer, wanted = memoryview(request), bytearray(), 0
        with selectors.DefaultSelector() as ready:
            ready.register(self._out, selectors.EVENT_READ)
            ready.register(self._in, selectors.EVENT_WRITE)
            while not wanted or len(buffer) < wanted or (rest and len(buffer) == wanted):
                left = deadline - time.monotonic()
                if left <= 0 and self._child.poll():  # what it started holds its output open
                    raise self._ended(len(buffer), wanted)
                if left <= 0:
                    if wanted and len(buffer) == wanted:
                        sentence = f"it answered and left {len(rest)} bytes of the request unread for {seconds:g} seconds"
                    else:
                        sentence = f"no answer within {seconds:g} seconds, {len(buffer)} bytes so far"
                    raise Failure("hang", self._said(sentence))
                for key, _ in ready.select(min(left, LONGEST_WAIT)):
                    if key.fileobj is self._in:
                        try:
                            rest = rest[os.write(self._in.fileno(), rest[:CHUNK]) :]
                        except BrokenPipeError:
                            rest = rest[:0]
                        if not rest:
                            ready.unregister(self._in)
                        continue
                    chunk = self._read_now()
                    if chunk == b"":
                        if wanted and len(buffer) == wanted:
                            return buffer  # it ended after its answer, with a part of the request unread
                        raise self._ended(len(buffer), wanted)
                    buffer += chunk or b""
                    if not wanted and len(buffer) >= frames.PREFIX.size:
                        wanted = frames.PREFIX.size + sum(frames.lengths(bytes(buffer[: frames.PREFIX.size])))
                    elif not wanted and not frames.MAGIC.startswith(bytes(buffer[:4])):
                        raise Failure(
                            "protocol", self._said(f"the answer starts with {bytes(buffer)!r}, expected {frames.MAGIC!r}")
                        )
        return buffer + (self._read_now() or b"")

    def _read_now(self) -> bytes | None:
        """What can be read at once: None when nothing is there, b"" at the end."""
        try:
            return os.read(self._out.fileno(), CHUNK)
        except BlockingIOError:
            return None

    def _ended(self, got: int, wanted: int) -> Failure:
        """What the end of the output means: a crash, or an answer that was cut off."""
        try:
            status = self._child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        if status is not None and status < 0:
            return Failure("crash", self._said(f"killed by {_signal(-status)}"))
        if status:
            return Failure("crash", self._said(f"ended with exit status {status}"))
        if got:
            return Failure("short", self._said(f"the answer ends after {got} bytes, expected {wanted or 'at least 16'}"))
        return Failure(
            "crash", self._said("closed its output without an answer" + ("" if status is None else ", exit status 0"))
        )

    def _said(self, sentence: str) -> str:
        """The sentence, with the end of what the process said on standard error."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4 * TAIL))
        words = " ".join(self._errors.read().decode("utf-8", "replace").split())
        return f"{sentence}; it said: {words[-TAIL:]}" if words else sentence

    def kill(self) -> None:
        """End the process and all that it started; may be called twice."""
        for pipe in (self._in, self._out):
            pipe.close()
        try:
            os.killpg(self._child.pid, signal.SIGKILL)  # the session that this object started
        except (ProcessLookupError, PermissionError):
            pass
        self._child.wait()
        self._errors.close()

    def close(self) -> int:
        """Close its input, which tells it to end, and kill it when it does not; gives how many bytes it still wrote."""
        if self._in.closed:
            return 0
        self._in.close()
        count = self._rest(time.monotonic() + GRACE_SECONDS)
        self.kill()
        return count

    def _rest(self, deadline: float) -> int:
        """How many bytes come until it has ended, or until the deadline."""
        count = 0
        with selectors.DefaultSelector() as ready:
            ready.register(self._out, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ended = self._child.poll() is not None  # what it started may hold its output open
                if not ready.select(0.0 if ended else min(left, LOOK_SECONDS)):
                    if ended:
                        break
                    continue
                chunk = self._read_now()
                if chunk == b"":
                    try:
                        self._child.wait(max(0.0, deadline - time.monotonic()))
                    except subprocess.TimeoutExpired:
                        pass
                    break
                count += len(chunk or b"")
        return count


def _signal(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({signal.strsignal(number)})"
    except ValueError:
        return f"signal {number}"
