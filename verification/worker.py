"""How a worker process begins.  Nothing heavy is imported here, so that a worker can take its GPU before anything else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from verification.gpus import take_gpu


def begin(turn: Any = None, gpus: tuple[str, ...] = ()) -> None:
    """The initializer of a worker: Ctrl-C ends it without a word, and it ends with its parent, however that ends.

    turn, gpus  as take_gpu wants them
    """
    take_gpu(turn, gpus)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # what the parent ignores, it ignores too
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def workers(processes: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of worker processes; where the block is left by an exception they are ended, and what waits is not run.

    Futures are left to the pool: one that its thread gives a fate must not be cancelled by another at that moment.
    """
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=begin)
    try:
        yield pool
    except BaseException:
        for child in multiprocessing.active_children():
            if child not in others:
                child.terminate()
        _end_of_results(pool)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _end_of_results(pool: ProcessPoolExecutor) -> None:
    """Let the pool's thread see the end of its results where a worker died in the middle of one.

    The end of a pipe comes when everyone has closed it; the pool holds it open itself, and its thread would wait for ever.
    """
    writer = getattr(getattr(pool, "_result_queue", None), "_writer", None)
    if writer is not None:
        writer.close()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
