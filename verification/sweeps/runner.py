"""Running sweeps: pieces of index ranges, what each gave, and the journal that a later run goes on from."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from verification.gpus import turns
from verification.naming import naming
from verification.sweeps.cupy_arrays import cupy_arrays
from verification.sweeps.golden_side import golden_outputs, reals
from verification.sweeps.sweep import STEPS, Sweep
from verification.sweeps.twin import NOWHERE, arguments, compare_gpu, compare_host, twin_value
from verification.worker import begin

HOST_CHUNK, GPU_CHUNK = 1 << 14, 1 << 26  # inputs at a time: what the caches hold, what fills a GPU
HOST_PIECE, GPU_PIECE = 1 << 24, 1 << 32  # inputs of a line of the journal
SAMPLE = 1 << 16
_SAMPLED: set[str] = set()  # steps, by this process on its GPU
MAX_BYTES = 1 << 30  # of a journal
DEVICES = ("host", "gpu")
BEGIN = b'{"compared": '  # of every line
KEY = re.compile(r"(?P<step>[a-z_]+)(?: .*)? \[(?P<start>[0-9]{1,12}):(?P<stop>[0-9]{1,12})\]")  # Piece.key


@dataclass(frozen=True)
class Piece:
    """Inputs start ... stop - 1 of a sweep."""

    sweep: Sweep
    start: int
    stop: int

    @property
    def key(self) -> str:
        """What stands for it in a journal."""
        return f"{self.sweep.name} [{self.start}:{self.stop}]"


@dataclass(frozen=True)
class Outcome:
    """What a piece gave.

    compared    codes compared, an input's outputs one by one
    mismatches  codes that differ
    first       (index, output) of the first mismatch: the least index, then the first output
    seconds     the time it took
    """

    piece: Piece
    compared: int
    mismatches: int
    first: tuple[int, int] | None
    seconds: float

    def plain(self) -> dict[str, Any]:
        """A line of the journal."""
        return {
            "piece": self.piece.key,
            "compared": self.compared,
            "mismatches": self.mismatches,
            "first": list(self.first) if self.first else None,
            "seconds": round(self.seconds, 6),
        }


def pieces(sweeps: Iterable[Sweep], size: int, first: int = 0, last: int | None = None) -> list[Piece]:
    """The pieces of sweeps, each of at most size inputs, between first and last."""
    found = []
    for sweep in sweeps:
        stop = sweep.size if last is None else min(last, sweep.size)
        found += [Piece(sweep, a, min(a + size, stop)) for a in range(first, stop, size)]
    return found


def _earliest(first: tuple[int, int] | None, index: int, k: int) -> tuple[int, int] | None:
    if index == NOWHERE:
        return first
    return (index, k) if first is None else min(first, (index, k))


def run_host(piece: Piece, chunk: int = HOST_CHUNK) -> Outcome:
    """Golden in NumPy, the twin compiled for the host, compared."""
    begin = time.perf_counter()
    sweep, wrong, compared = piece.sweep, 0, 0
    first: tuple[int, int] | None = None
    given, none = arguments(sweep), np.zeros(1, np.float32)
    with_reals = sweep.step.startswith("quantize")
    for start in range(piece.start, piece.stop, chunk):
        stop = min(start + chunk, piece.stop)
        v = reals(np, start, stop) if with_reals else none
        outputs = golden_outputs(np, sweep, start, stop, v if with_reals else None)
        for k, golden in enumerate(outputs):
            differ, where = compare_host(sweep, start, k, np.ascontiguousarray(golden), v, given)
            wrong, compared, first = wrong + differ, compared + golden.size, _earliest(first, where, k)
    return Outcome(piece, compared, wrong, first, time.perf_counter() - begin)


def run_gpu(piece: Piece, chunk: int = GPU_CHUNK, plant: int | None = None, kind: str = "gpu") -> Outcome:
    """Golden in CuPy, the twin on the same GPU, compared there.

    plant  an index whose golden code is changed first, to see that it is found
    kind   "simulator": NumPy in place of CuPy, and the simulator that NUMBA_ENABLE_CUDASIM=1 selects
    """
    cp = cupy_arrays() if kind == "gpu" else np
    begin = time.perf_counter()
    sweep, compared = piece.sweep, 0
    given = tuple(cp.asarray(a) for a in arguments(sweep, kind))
    none = cp.zeros(1, dtype=np.float32)
    found = [cp.asarray(np.array([0, NOWHERE], np.int64)) for _ in sweep.outputs]
    with_reals = sweep.step.startswith("quantize")
    for start in range(piece.start, piece.stop, chunk):
        stop = min(start + chunk, piece.stop)
        v = reals(cp, start, stop) if with_reals else none
        outputs = golden_outputs(cp, sweep, start, stop, v if with_reals else None)
        for k, golden in enumerate(outputs):
            golden = cp.ascontiguousarray(golden)
            if plant is not None and start <= plant < stop:
                golden[plant - start] ^= 1
            compare_gpu(kind, sweep, start, k, golden, v, given, found[k])
            compared += golden.size
    totals = [f.tolist() for f in found]
    first: tuple[int, int] | None = None
    for k, (_, where) in enumerate(totals):
        first = _earliest(first, where, k)
    return Outcome(piece, compared, sum(n for n, _ in totals), first, time.perf_counter() - begin)


def same_on_gpu(sweep: Sweep, size: int = SAMPLE, xp: Any = None) -> int:
    """Golden in CuPy against golden in NumPy on spread-out inputs of a sweep; how many codes were equal.

    Raises   ParameterError naming the first index that differs
    """
    cp, compared = cupy_arrays() if xp is None else xp, 0
    with_reals = sweep.step.startswith("quantize")
    for part in range(8):
        length = min(size // 8, sweep.size)
        start = (sweep.size - length) * part // 7
        want = golden_outputs(np, sweep, start, start + length, reals(np, start, start + length) if with_reals else None)
        have = golden_outputs(cp, sweep, start, start + length, reals(cp, start, start + length) if with_reals else None)
        for name, a, b in zip(sweep.outputs, want, have, strict=True):
            b = b if isinstance(b, np.ndarray) else cp.asnumpy(b)
            if a.dtype != b.dtype or not np.array_equal(a, b):
                wrong = int(np.argmax(a != b)) if a.shape == b.shape else 0
                field = f"golden's {name} of {sweep.name} in CuPy, index {start + wrong}"
                raise ParameterError(field, f"another {b.dtype}", "NumPy's result")
            compared += a.size
    return compared


def run_one_gpu(piece: Piece) -> Outcome:
    """run_gpu in a worker with a GPU of its own, after golden in CuPy was golden in NumPy there on a sample of the step."""
    if piece.sweep.step not in _SAMPLED:
        same_on_gpu(piece.sweep)
        _SAMPLED.add(piece.sweep.step)
    return run_gpu(piece)


def both_codes(sweep: Sweep, index: int, k: int) -> tuple[int, int, float | None]:
    """(golden, twin, real input or None) of output k on one input, both on the host."""
    with_reals = sweep.step.startswith("quantize")
    v = reals(np, index, index + 1) if with_reals else None
    golden = int(golden_outputs(np, sweep, index, index + 1, v)[k][0])
    real = float(v[0]) if v is not None else None
    return golden, twin_value(sweep, index, k, 0.0 if v is None else v[0]), real


class Journal:
    """Lines of JSON, each on the disk before it counts; a torn last line is dropped.

    path    the file
    device  "host" or "gpu": where the pieces are run; lines of the other one stay in the file and stand for nothing here
    done    the lines of a run before, by piece
    """

    def __init__(self, path: Path, resume: bool, device: str) -> None:
        self.path = path
        self.device = device
        self.done: dict[str, dict[str, Any]] = {}
        if not resume and path.exists():
            raise ParameterError("--journal", repr(str(path)), "a file that is not there yet, or --resume")
        self._file = open(path, "ab")  # noqa: SIM115 - closed by close
        try:
            self._read(path)
        except BaseException:
            self.close()
            raise

    def _read(self, path: Path) -> None:
        """Take what is there, and keep other runs out, which would do the same again and might cut off a line."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ParameterError("--resume", repr(str(path)), "a file that no other qgru sweep writes to") from None
        except OSError:
            pass  # a file system without locks
        good = 0
        if path.is_file():
            if path.stat().st_size > MAX_BYTES:
                raise ParameterError(str(path), f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
            known: dict[tuple[str | None, str], dict[str, Any]] = {}
            for line in BytesIO(path.read_bytes()):  # cut at b"\n" alone: a line without one is the last
                if not line.endswith(b"\n") and (line.startswith(BEGIN) or BEGIN.startswith(line)):
                    break
                entry = _entry(path, line)
                where = entry.get("device"), entry["piece"]
                if _said(known.setdefault(where, entry)) != _said(entry):
                    raise ParameterError(f"{path}, {entry['piece']}", "there twice, and not alike", "one outcome of a piece")
                good += len(line)
            self.done = {piece: entry for (device, piece), entry in known.items() if device == self.device}
            self._file.truncate(good)

    def add(self, outcome: Outcome) -> None:
        """Add a piece."""
        entry = outcome.plain() | {"device": self.device}
        with naming(self.path):
            self._file.write(json.dumps(entry, sort_keys=True).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self.done[entry["piece"]] = entry

    def close(self) -> None:
        """Close the file."""
        with naming(self.path):
            self._file.close()


def _entry(path: Path, line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
        first = entry["first"]
        good = (
            isinstance(entry["piece"], str)
            and all(type(entry[k]) is int and 0 <= entry[k] < 2**62 for k in ("compared", "mismatches"))
            and (entry["mismatches"] == 0 if first is None else [type(n) for n in first] == [int, int])
            and type(entry["seconds"]) in (int, float)
            and 0 <= entry["seconds"] < 2**62
            and entry.get("device") in (None, *DEVICES)  # None: from before lines said it
            and _of_its_piece(entry)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise ParameterError(str(path), repr(line[:60]), "a line of a sweep's journal")
    return entry


def _of_its_piece(entry: dict[str, Any]) -> bool:
    """Whether the counts and the place of a line are those that its piece can give."""
    key = KEY.fullmatch(entry["piece"])
    if key is None or key["step"] not in STEPS:
        return False
    start, stop, outputs = int(key["start"]), int(key["stop"]), len(STEPS[key["step"]][3])
    if entry["compared"] != (stop - start) * outputs or entry["mismatches"] > entry["compared"]:
        return False
    if not entry["mismatches"]:
        return entry["first"] is None
    index, output = entry["first"]
    return start <= index < stop and 0 <= output < outputs


def _said(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry["compared"], entry["mismatches"], entry["first"]


def run_all(
    todo: list[Piece], jobs: int, run: Callable[[Piece], Outcome] = run_host, gpus: tuple[str, ...] = ()
) -> Iterator[Outcome]:
    """The outcomes of pieces as they come, on `jobs` processes (one: this one), each with the next of the GPUs, if any."""
    if jobs == 1:
        yield from map(run, todo)
        return
    waiting = iter(todo)
    with ProcessPoolExecutor(jobs, get_context("spawn"), begin, (turns() if gpus else None, gpus)) as pool:
        running: set[Future[Outcome]] = {pool.submit(run, piece) for piece in islice(waiting, 2 * jobs)}
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
                    running |= {pool.submit(run, piece) for piece in islice(waiting, 1)}
        finally:  # the pool's own thread drops what waits: cancelled here, a future may at that moment be given its fate there
            pool.shutdown(wait=False, cancel_futures=True)
