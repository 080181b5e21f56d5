"""How many whole problems a second: drawn, run on golden and on the twin on the host, every trace field compared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import count
from typing import Any

from verification.fuzz.campaign import Campaign
from verification.fuzz.farm import local_farm
from verification.fuzz.shard import run_shard
from verification.fuzz.subject import Subject

SHARD = 50
WARM = 40  # problems that each worker runs first: imports and compiled programs are not what is measured


def measure(
    seconds: float | None = None, examples: int | None = None, workers: int = 2, campaign: Campaign | None = None
) -> dict[str, Any]:
    """Run a campaign of golden against the twin and count.

    seconds, examples  when to stop; 10 seconds when neither is given
    workers            processes; 0 is this one
    Returns            problems, seconds, rate (problems a second), compared (codes), failures, workers, campaign
    """
    if seconds is None and examples is None:
        seconds = 10.0
    chosen, subject = campaign or Campaign(), Subject()
    farm = local_farm(workers)
    totals = {"problems": 0, "compared": 0, "failures": 0}
    if workers == 0:
        run_shard(chosen.name, subject, 0, WARM)
        start = time.monotonic()
        for first, stop in _ranges(start, seconds, examples):
            _add(totals, run_shard(chosen.name, subject, first, stop))
    else:
        pool = farm.open()
        try:
            wait([pool.submit(run_shard, chosen.name, subject, WARM * i, WARM * (i + 1)) for i in range(workers)])
            start = time.monotonic()
            flying: set[Future[dict[str, Any]]] = set()
            for first, stop in _ranges(start, seconds, examples):
                flying.add(pool.submit(run_shard, chosen.name, subject, first, stop))
                if len(flying) > workers:
                    done, flying = wait(flying, return_when=FIRST_COMPLETED)
                    for future in done:
                        _add(totals, future.result())
            for future in flying:
                _add(totals, future.result())
        finally:
            farm.end(pool)
    elapsed = time.monotonic() - start
    rate = totals["problems"] / elapsed
    return {**totals, "seconds": elapsed, "rate": rate, "workers": workers, "campaign": chosen.name}


def _ranges(start: float, seconds: float | None, examples: int | None) -> Iterator[tuple[int, int]]:
    for first in count(0, SHARD):
        if examples is not None and first >= examples:
            return
        if seconds is not None and time.monotonic() - start >= seconds:
            return
        yield first, first + SHARD if examples is None else min(first + SHARD, examples)


def _add(totals: dict[str, int], shard: dict[str, Any]) -> None:
    totals["problems"] += shard["stop"] - shard["start"]
    totals["compared"] += shard["compared"]
    totals["failures"] += len(shard["findings"])
