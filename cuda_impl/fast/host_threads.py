"""Workers of the host build: threads that stay.  A run never needs its workers, they only make it faster."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cuda_impl.launch import workers

_pool: ThreadPoolExecutor | None = None
_making = threading.Lock()


def _workers() -> ThreadPoolExecutor:
    global _pool
    with _making:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, workers() - 1), thread_name_prefix="qgru-fast")
        return _pool


def _forget() -> None:
    """A forked child has no threads."""
    global _pool, _making
    _pool, _making = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_shared(function: Callable[..., Any], count: int, *arguments: Any) -> None:
    """function(*arguments) here and on count - 1 workers; all of them have left it when this returns.

    A worker that has not come when the work is done is not waited for.
    """
    others = [_workers().submit(function, *arguments) for _ in range(count - 1)]
    try:
        function(*arguments)
    finally:
        for other in others:
            if not other.cancel():
                other.result()
