"""Workers of the host build: threads that stay, and one run at a time that may make its workers wait for each other."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cuda_impl.launch import workers

_pool: ThreadPoolExecutor | None = None
_making = threading.Lock()
_meeting = threading.Lock()  # held by the run whose workers meet: two such runs could starve each other of workers


def _workers() -> ThreadPoolExecutor:
    global _pool
    with _making:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, workers() - 1), thread_name_prefix="qgru-fast")
        return _pool


def _forget() -> None:
    """A forked child has no threads."""
    global _pool, _making, _meeting
    _pool, _making, _meeting = None, threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def claim_meeting() -> bool:
    """Whether this run may start workers that meet; release_meeting() gives the right back."""
    return _meeting.acquire(blocking=False)


def release_meeting() -> None:
    """The end of a run whose workers met."""
    _meeting.release()


def run_parts(function: Callable[..., Any], parts: Sequence[tuple]) -> None:
    """function(*part) for every part, all at once: the first here, the others on the workers that stay."""
    others = [_workers().submit(function, *part) for part in parts[1:]]
    try:
        function(*parts[0])
    finally:
        for other in others:
            other.result()
