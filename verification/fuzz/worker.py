"""How a worker process begins.  It is imported before NumPy, so that it can say how many threads NumPy's BLAS takes."""

from __future__ import annotations

import os
import signal
from multiprocessing.util import Finalize
from typing import Any

from verification import worker

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def begin(turn: Any = None, gpus: tuple[str, ...] = ()) -> None:
    """One BLAS thread; Ctrl-C is the parent's; devices end with the worker, and the worker with its parent.

    turn, gpus  as take_gpu wants them
    """
    worker.begin(turn, gpus)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in BLAS_THREADS:
        os.environ.setdefault(name, "1")
    Finalize(None, _close, exitpriority=10)


def _close() -> None:
    from verification.fuzz.subject import close

    close()
