"""How a worker process begins.  Nothing heavy is imported here, so that a worker can take its GPU before anything else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
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


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
