"""Worker processes with a GPU each: which ones there are, and how a process that begins takes the next.

A process sees the GPUs that CUDA_VISIBLE_DEVICES names when it first asks for one. Nothing heavy is imported here, so that a
worker can take its GPU before anything else.
"""

from __future__ import annotations

import os
from multiprocessing import get_context
from typing import Any

NAME = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> tuple[str, ...]:
    """What stands for each GPU that this process sees, as CUDA_VISIBLE_DEVICES names it."""
    from cuda_impl.launch import gpu_usable

    if not gpu_usable():
        return ()
    from cuda_impl.fast.gpu_device import device_count

    return names_of(os.environ.get(NAME), device_count())


def names_of(chosen: str | None, count: int) -> tuple[str, ...]:
    """The names of `count` visible GPUs where the variable holds chosen; None where it is not set."""
    if chosen is None:
        return tuple(str(n) for n in range(count))
    return tuple(name.strip() for name in chosen.split(","))[:count]


def turns() -> Any:
    """A counter that the workers of a pool share, for take_gpu."""
    return get_context("spawn").Value("i", 0)


def take_gpu(turn: Any, gpus: tuple[str, ...]) -> None:
    """The initializer of a worker: it sees the next of the GPUs alone, the first again after the last; () changes nothing."""
    if not gpus:
        return
    with turn.get_lock():
        number = turn.value
        turn.value += 1
    os.environ[NAME] = gpus[number % len(gpus)]
