"""Timing: warm, in rounds, so that every contender sees the same machine; medians and ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

LEAST_REPEATS = 9
ROUNDS = 3
REST_SECONDS = 0.2  # between contenders: thread pools of the one before stop spinning
LEAST_SECONDS = 0.01  # a call shorter than this is timed in a batch, so that a timer's grain and a stray interrupt weigh little

Call = Callable[[], Any]


def time_call(call: Call, times: int) -> float:
    """Seconds of a call, over so many in a row."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def time_all(
    calls: Mapping[str, Call],
    repeat: int,
    *,
    timer: Callable[[Call, int], float] = time_call,
    rest: float = REST_SECONDS,
    advance: Callable[[int], None] = lambda n: None,
) -> dict[str, list[float]]:
    """Seconds of every call, `repeat` times each, in rounds over all of them.

    calls   name -> what is timed; everything it needs exists already
    timer   (call, times) -> seconds a call
    rest    seconds of quiet before each contender of a round
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    batch: dict[str, int] = {}
    per_round = [repeat * (i + 1) // ROUNDS - repeat * i // ROUNDS for i in range(ROUNDS)]
    for count in per_round:
        for name, call in calls.items():
            time.sleep(rest)
            call()
            if name not in batch:
                batch[name] = max(1, min(50, int(LEAST_SECONDS / max(timer(call, 1), 1e-9))))
            found[name] += [timer(call, batch[name]) for _ in range(count)]
        advance(count)
    return found


def summary(seconds: list[float], steps: int, macs: int) -> dict[str, Any]:
    """The figures of one contender: ms, us a step, GMAC a second."""
    median = statistics.median(seconds)
    return {
        "ms": {"median": figure(1e3 * median), "min": figure(1e3 * min(seconds)), "max": figure(1e3 * max(seconds))},
        "samples_ms": [figure(1e3 * s) for s in seconds],
        "us_per_step": figure(1e6 * median / max(1, steps)),
        "gmac_s": figure(macs / median / 1e9),
    }


def figure(value: float) -> float:
    """Four significant digits: more says nothing."""
    return float(f"{value:.4g}")


def gru_macs(steps: int, batch: int, inputs: int, hidden: int) -> int:
    """Multiply-accumulates of a run."""
    return steps * batch * 3 * hidden * (inputs + hidden)
