"""How a worker process begins.  It is imported before NumPy, so that it can say how many threads NumPy's BLAS takes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait
from multiprocessing.util import Finalize
from typing import Any

from verification.gpus import take_gpu

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def begin(turn: Any = None, gpus: tuple[str, ...] = ()) -> None:
    """One BLAS thread; Ctrl-C is the parent's; devices end with the worker, and the worker with its parent.

    turn, gpus  as take_gpu wants them
    """
    take_gpu(turn, gpus)
    for name in BLAS_THREADS:
        os.environ.setdefault(name, "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Finalize(None, _close, exitpriority=10)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _close() -> None:
    from verification.fuzz.subject import close

    close()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
