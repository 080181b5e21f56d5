"""How every subcommand ends: its exit code, its one sentence on stderr, its JSON on stdout."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import click

EXACT = 0  # everything compared is equal
MISMATCH = 1  # at least one code differs
REFUSED = 2  # bad input, or a part that is not installed
DEFECT = 70  # qgru itself failed; the traceback is shown
INTERRUPTED = 130
PIPE_CLOSED = 141  # the reader of stdout went away

MAX_SENTENCE = 2000  # characters of an error; of a longer one the middle is left out

EXTRAS: dict[str, str] = {
    "numba_cuda": "cuda",
    "torch": "torch",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "distributed": "farm",
    "jinja2": "report",
    "matplotlib": "report",
    "g2p_en": "examples",
    "safetensors": "examples",
    "z3": "proofs",
    "jsonschema": "test",
    "hypothesis": "test",
}
"""Optional package -> the extra of qgru that installs it."""


def need(module: str) -> ModuleType:
    """Import an optional package, or refuse with the extra that brings it.

    Raises   click.ClickException (exit code 2) when the package is not installed
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        sentence = missing_part(error)
        if sentence is None:
            raise
        raise refusal(sentence) from None


def missing_part(error: ModuleNotFoundError) -> str | None:
    """The sentence for a missing optional package, or None when the missing module is none of them."""
    package = (error.name or "").split(".")[0]
    if package not in EXTRAS:
        return None
    return f'{package} is not installed, expected it for this command: pip install "qgru[{EXTRAS[package]}]"'


class _Refusal(click.ClickException):
    exit_code = REFUSED

    def show(self, file: Any = None) -> None:
        complain(self.message)


def refusal(sentence: str) -> click.ClickException:
    """An exception that ends the command with `qgru: <sentence>` on stderr and exit code 2."""
    return _Refusal(sentence)


def complain(sentence: str) -> None:
    """Print `qgru: <sentence>` on stderr, on one line, with control characters escaped."""
    line = " ".join(sentence.split())
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    if len(safe) > MAX_SENTENCE:
        safe = f"{safe[: MAX_SENTENCE - 300]} ... {safe[-300:]}"
    try:
        click.echo(f"qgru: {safe}", err=True)
    except OSError:  # a stderr that takes nothing changes no exit code
        _let_go(sys.stderr)


def os_sentence(error: OSError) -> str:
    """One sentence for an operating system error, naming the file where there is one."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return reason
    return f"{os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename}: {reason}"


def guarded(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a click command and return its exit code.

    A subcommand returns its exit code (None is 0). QgruError, OSError, MemoryError and a missing optional package become one
    sentence and 2; usage errors are click's and 2; Ctrl-C is 130, SIGTERM 143, SIGHUP 129; anything else is a defect: traceback
    and 70.
    """
    _lenient_streams()
    if "_QGRU_COMPLETE" in os.environ:  # the shell asks for completions; click answers and exits
        command.main(prog_name="qgru")
    try:
        with _terminable(), command.make_context("qgru", list(sys.argv[1:] if arguments is None else arguments)) as context:
            code = command.invoke(context)
        sys.stdout.flush()
        return code if isinstance(code, int) else EXACT
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except _Told as told:
        return 128 + told.number
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        return _pipe_closed()
    except Exception as error:
        return _refused_or_defect(error)


class _Told(BaseException):
    """SIGTERM or SIGHUP came."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as Ctrl-C does: what it began to write and what it started go with it."""
    usual = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    taken = usual if threading.current_thread() is threading.main_thread() else []
    for number in taken:
        signal.signal(number, _tell)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _tell(number: int, frame: Any) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
    raise _Told(number)


def _lenient_streams() -> None:
    """Escape what the terminal's encoding cannot show; stand in for a stdout or stderr that is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refused_or_defect(error: Exception) -> int:
    from golden.spec.errors import QgruError

    sentence = None
    if isinstance(error, QgruError):
        sentence = str(error)
    elif isinstance(error, OSError):
        sentence = os_sentence(error)
    elif isinstance(error, ModuleNotFoundError):
        sentence = missing_part(error)
    elif isinstance(error, MemoryError):
        sentence = f"memory is used up ({str(error) or 'no size is known'}), expected a smaller input"
    if sentence is None:
        traceback.print_exception(error)
        return DEFECT
    complain(sentence)
    return REFUSED


def _pipe_closed() -> int:
    _let_go(sys.stdout)
    return PIPE_CLOSED


def _let_go(stream: Any) -> None:
    """Python flushes a stream once more at exit, and exits with 120 where that fails; give it somewhere to go."""
    with suppress(OSError, ValueError):  # a stream without a file descriptor has nothing to flush there
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def canonical_json(value: Any) -> str:
    """value as JSON with sorted keys, no spaces, ASCII only, no NaN; NumPy numbers and arrays are taken as they are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_json(value: Any) -> None:
    """Print value on stdout as one line of canonical JSON."""
    click.echo(canonical_json(value))
