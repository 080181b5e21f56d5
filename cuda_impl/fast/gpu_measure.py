"""What the fast kernels cannot beat: how long it takes blocks to meet, through the second-level cache and within a cluster;
and the rate of a large product."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast.gpu_arrays import address, empty, put
from cuda_impl.fast.gpu_products import Product

int32, int64 = np.int32, np.int64

STEPS, BLOCKS, THREADS, CLUSTER = 4096, 128, 256, 16
PATIENCE = 1 << 22


def meeting(clustered: bool) -> Any:
    """A kernel in which all blocks, or those of a cluster, meet `steps` times and do nothing else."""
    from numba import cuda

    CLUSTERED = clustered

    def kernel(steps, counter):
        tid = int32(cuda.threadIdx.x)
        for step in range(steps):
            if CLUSTERED:
                gpu.cluster_barrier()
            else:
                cuda.syncthreads()
                if tid == 0:
                    gpu.add_release(counter, int32(1))
                    looks = 0
                    while gpu.load_acquire(counter) < int32(step + 1) * BLOCKS:
                        looks += 1
                        if looks > PATIENCE:
                            break
                cuda.syncthreads()

    return kernel


def _built(clustered: bool) -> tuple[Any, Any]:
    from numba import types

    return meeting(clustered), types.void(types.int32, types.int64)


def milliseconds(call: Callable[[], None], times: int) -> float:
    """Milliseconds of a call by CUDA events, over so many in a row on the default stream."""
    from numba import cuda

    start, end = cuda.event(), cuda.event()
    start.record()
    for _ in range(times):
        call()
    end.record()
    end.synchronize()
    return float(cuda.event_elapsed_time(start, end)) / times


def measure_product(size: int) -> float:
    """int8 multiplications a second of our product of size by size codes and as many weights; the best of five runs of 20."""
    width = size // 48 * 16
    x, out = put(np.ones((size, size), np.int8)), empty(None, (size, 3 * width), np.int32)
    product = Product(np.ones((size, 3 * width), np.int8), width)
    launch = product.launch(size, address(x), address(out), 0)
    milliseconds(launch.start, 5)
    return size * size * 3 * width / min(milliseconds(launch.start, 20) for _ in range(5)) * 1e3


def measure_meetings() -> dict[str, float]:
    """Microseconds of a meeting: "grid" of 128 blocks, "cluster" of 16; the least of five runs."""
    counter = put(np.zeros(1, np.int32))
    found = {}
    for name, clustered in (("grid", False), ("cluster", True)):
        kernel = driver.loaded(
            ("meeting", clustered, STEPS),
            partial(_built, clustered),
            0,
            CLUSTER if clustered else 0,
            THREADS,
        )
        arguments = driver.Arguments([STEPS, address(counter)], [ctypes.c_int32, ctypes.c_int64])
        launch = kernel.launch(CLUSTER if clustered else BLOCKS, 0, arguments)
        times = []
        for _ in range(6):
            driver.set_words(address(counter), 0, 0)
            times.append(milliseconds(launch.start, 1))
        found[name] = min(times[1:]) / STEPS * 1e3
    return found

