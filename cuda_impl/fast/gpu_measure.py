"""What the fast kernels cannot beat: how long it takes blocks to meet, through the second-level cache and within a cluster."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast.gpu_arrays import address, put

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


def measure_meetings() -> dict[str, float]:
    """Microseconds of a meeting: "grid" of 128 blocks, "cluster" of 16; the least of five runs."""
    from numba import cuda

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
            start, end = cuda.event(), cuda.event()
            start.record()
            launch.start()
            end.record()
            end.synchronize()
            times.append(cuda.event_elapsed_time(start, end))
        found[name] = min(times[1:]) / STEPS * 1e3
    return found

