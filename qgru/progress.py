"""A progress bar, only on a terminal and only for what takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

DELAY_SECONDS = 2.0


@contextmanager
def progress(
    label: str, total: int, *, terminal: bool | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int], None]]:
    """Yield advance(n); a bar shows on stderr from the first advance after two seconds on.

    label     what is being done
    total     how many units there are
    terminal  whether stderr is a terminal; None asks it
    clock     seconds, for tests
    """
    shown = sys.stderr.isatty() if terminal is None else terminal
    start, done = clock(), 0
    bar: Any = None
    task: Any = None

    def advance(n: int = 1) -> None:
        nonlocal bar, task, done
        done += n
        if not shown:
            return
        if bar is None:
            if clock() - start < DELAY_SECONDS:
                return
            from rich.console import Console
            from rich.progress import Progress

            bar = Progress(console=Console(stderr=True), transient=True)
            bar.start()
            task = bar.add_task(label, total=total)
        bar.update(task, completed=done)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.stop()
