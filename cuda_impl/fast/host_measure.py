"""What this machine can do at most: products per second out of registers, and how long workers need to meet.

For benchmarks only: the floors under a run of the host build.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from cuda_impl.fast import host_programs
from cuda_impl.fast.host_ir import TILE, best_isa
from cuda_impl.fast.host_programs import Product
from cuda_impl.fast.host_state import Form
from cuda_impl.fast.host_sync import COUNTERS, open_next, take_ticket, was_last
from cuda_impl.fast.host_threads import run_shared

GROUPS = 128  # words of a row: 512 bytes, weights of 24 KiB, all in the first cache
REPEATS = 20000
PHASES = 20000

DOT8: Any = None


def repeat_dot(times, data, weights, start, out):
    """The kernel of eight rows on the same data, over and over."""
    for _ in range(times):
        DOT8(data.ctypes.data, data.strides[0], weights.ctypes.data, weights.shape[0], start.ctypes.data, out.ctypes.data)


def empty_phases(counters, phases, tickets):
    """Phases in which there is nothing to do but to meet."""
    shared = counters.ctypes.data
    while take_ticket(shared, phases, tickets) >= 0:
        if was_last(shared, tickets):
            open_next(shared)


def _program(name: str) -> Any:
    product = Product(best_isa(), Form("bytes" if best_isa() == "vnni" else "pairs", 1), False)
    return host_programs.measuring_programs(product)[name]


def dot_rate(workers: int = 1) -> float:
    """Products of 8-bit codes a second, on so many cores at once, operands in the first cache."""
    per = 4 if best_isa() == "vnni" else 2
    program = _program("repeat_dot")
    kind = np.uint8 if per == 4 else np.int16
    start = np.zeros(TILE, np.int32)

    def work(times: int) -> None:
        data = np.ones((8, GROUPS * per), kind)
        weights = np.ones((GROUPS, TILE, per), np.int8 if per == 4 else np.int16)
        program(times, data, weights, start, np.empty((8, TILE), np.int32))

    work(100)
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        run_shared(work, workers, REPEATS)
        best = min(best, time.perf_counter() - begin)
    return REPEATS * workers * 8 * GROUPS * per * TILE / best


def meeting_seconds(workers: int) -> float:
    """Seconds of a phase with a ticket for each worker and no work."""
    program = _program("empty_phases")
    best = float("inf")
    for _ in range(6):
        counters = np.zeros(COUNTERS, np.int64)
        begin = time.perf_counter()
        run_shared(lambda c=counters: program(c, PHASES, workers), workers)
        best = min(best, time.perf_counter() - begin)
    return best / PHASES
