"""The networks of moving ranges and of the grid with every kernel run by Python, so that drawn problems need no GPU.

The networks, their plans, their packing, their launches' arguments and their kernels are the real ones; threads_on_host says
what stands in for the machine. The input product is launches_on_host's NumPy, and the twin's programs run on the host.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda

from cuda_impl import launch
from cuda_impl.fast import (
    gpu_arrays,
    gpu_begin,
    gpu_cells,
    gpu_cluster,
    gpu_driver,
    gpu_grid,
    gpu_grid_network,
    gpu_moving,
    gpu_moving_cluster,
    gpu_moving_cluster_network,
    gpu_moving_network,
    gpu_moving_steps,
    gpu_moving_x,
    gpu_options,
    gpu_products,
    gpu_twin,
    gpu_units,
)
from tests.cuda_impl.launches_on_host import Launches
from tests.cuda_impl.tensor_on_host import TENSOR
from tests.cuda_impl.threads_on_host import OPERATIONS, PLACES, by_threads, run

KINDS = {ctypes.c_int32: np.int32, ctypes.c_int64: np.int64, ctypes.c_float: np.float32}
PRODUCTS = ("input", "limbs")  # launches_on_host's NumPy
LANES, THREADS, STRETCH = 32, 40, 16
"""Threads of the kernels that go over x, and how much a block quantizes: little, so that short runs need more than one turn."""


DEFAULT: list[Callable[[], None]] = []  # copies on the default stream that nobody has waited for


class Placed(np.ndarray):
    """An array on what stands in for a device."""

    def data_ptr(self) -> int:
        return int(self.ctypes.data)

    def copy_to_host(self) -> np.ndarray:
        return np.array(self)

    def copy_to_device(self, array: Any) -> None:
        DEFAULT.append(lambda: self.__setitem__(..., array))


def copied() -> None:
    while DEFAULT:
        DEFAULT.pop(0)()


def placed(array: np.ndarray) -> Any:
    room = np.full(array.nbytes + 64, 85, np.uint8)  # begins where a device's arrays do
    at = -room.ctypes.data % 32
    kept = room[at : at + max(1, array.nbytes)] if array.nbytes else room[at : at + array.dtype.itemsize]
    PLACES.add(kept)
    made = kept.view(array.dtype)
    return (made if not array.nbytes else made.reshape(array.shape)).view(Placed)


def put(array: np.ndarray) -> Any:
    made = placed(np.ascontiguousarray(array))
    made[...] = array if array.size else 0
    return made


def empty(torch: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    assert torch is None
    return placed(np.empty(tuple(max(1, n) for n in shape), dtype))


class Machine:
    """In the place of gpu_driver.loaded: kernels by their keys, as the driver keeps them, and what was started.

    What a stream that is not the default one has to do is done when somebody waits for it, no sooner.
    """

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.kernels: dict[Any, Any] = {}
        self.seen: list[str] = []
        self.products = object.__new__(Launches)
        self.runs = 0

    def loaded(self, key: Any, build: Any, shared: int, cluster: int, threads: int) -> Any:
        if key[0] not in PRODUCTS and key not in self.kernels:
            self.kernels[key] = build()[0], shared, cluster, threads
        return SimpleNamespace(launch=lambda *given: Started(self, key, *given), resident_blocks=lambda: 1 << 20)

    def do(self, stream: int, action: Callable[[], None]) -> None:
        self.waiting.append(action) if stream else action()

    def wait(self, stream: int = 0) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def bring(self, to: int, at: int, count: int, stream: int) -> None:
        self.do(stream, lambda: ctypes.memmove(to, at, count))

    def set_words(self, address: int, value: int, stream: int, count: int = 1) -> None:
        PLACES.check(address, 4), PLACES.check(address + 4 * count - 4, 4)
        words = (ctypes.c_int32 * count).from_address(address)
        self.do(stream, lambda: words.__setitem__(slice(None), [value] * count))


class Started:
    held: Any = None

    def __init__(self, machine: Machine, key: Any, blocks: int, stream: int, arguments: Any) -> None:
        self.machine, self.key, self.blocks, self.arguments = machine, key, blocks, arguments
        self.stream = stream

    def start(self) -> None:
        values = [KINDS[type(cell)](cell.value) for cell in self.arguments.cells]
        self.machine.do(self.stream, lambda: self.run(values))

    def run(self, values: list[Any]) -> None:
        self.machine.seen.append(" ".join(str(part) for part in self.key[: 2 if self.key[0] == "moving x" else 1]))
        with np.errstate(all="ignore"):
            if self.key[0] in PRODUCTS:
                getattr(self.machine.products, self.key[0])(self.key, *values)
                return
            kernel, shared, cluster, threads = self.machine.kernels[self.key]
            if self.key[0] == "grid":
                count = self.key[-1]
                values = [*values[:-count], tuple(values[-count:])]
            self.machine.runs += 1
            run(kernel, self.blocks, threads, cluster, shared, values, self.machine.runs)


@lru_cache(maxsize=1)
def copies() -> dict[str, Any]:
    """The modules of the kernels, by threads."""
    names = launch.plain_names("host")
    plain = SimpleNamespace(namespace=lambda kind: names)
    cells = by_threads(gpu_cells, **{
        name: getattr(OPERATIONS, name) for name in ("half_of", "load_far", "load_shared", "multiply_add", "shift_down")
    })  # fmt: skip
    units = by_threads(gpu_units, gpu=OPERATIONS, mshift_cell=cells.mshift_cell, mshift_plain_cell=cells.mshift_plain_cell,
                       pot_cell=cells.pot_cell)  # fmt: skip
    steps = by_threads(gpu_moving_steps, gpu=OPERATIONS, launch=plain, shifted_up=cells.shifted_up)
    of_x = by_threads(gpu_moving_x, gpu=OPERATIONS, launch=plain, LANES=LANES, THREADS=THREADS, STRETCH=STRETCH)
    begin = by_threads(gpu_begin, gpu=OPERATIONS)
    grid = by_threads(
        gpu_grid, gpu=OPERATIONS, tensor=TENSOR, copy_constants=begin.copy_constants, finisher=units.finisher,
        zoneout_step=units.zoneout_step,
    )  # fmt: skip
    cluster = by_threads(
        gpu_moving_cluster, gpu=OPERATIONS, tensor=TENSOR, mshift_cell=cells.mshift_cell,
        mshift_plain_cell=cells.mshift_plain_cell, barrier_wait=by_threads(gpu_cluster, gpu=OPERATIONS).barrier_wait,
        **{name: getattr(steps, name) for name in vars(steps) if name in vars(gpu_moving_cluster) and name.islower()
           and getattr(vars(gpu_moving_cluster)[name], "__module__", "") == gpu_moving_steps.__name__},
        **{name: getattr(units, name) for name in ("gather_units", "sixteen_out", "sum_splits", "zoneout_step")},
    )  # fmt: skip
    moving = by_threads(gpu_moving, gpu=OPERATIONS, tensor=TENSOR, launch=plain, fetch_state=grid.fetch_state)
    return {"of_x": of_x, "kernels": cluster, "gpu_moving": moving, "gpu_grid": grid}


def host_moving(monkeypatch: Any) -> Iterator[Machine]:
    """A generator for a fixture: the machine, everything replaced for the length of a test."""
    from cuda.bindings import driver as bindings

    made, machine, clusters = copies(), Machine(), gpu_moving_cluster_network
    for module in (clusters, gpu_moving_network, gpu_grid_network):
        for name, replaced in made.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, replaced)
    kernels = {name: (build, THREADS if name == "ahead" else LANES) for name, (build, _) in clusters.X_KERNELS.items()}
    monkeypatch.setattr(clusters, "X_KERNELS", kernels)
    for module in (gpu_arrays, clusters, gpu_moving_network, gpu_grid_network, gpu_options, gpu_products, gpu_twin):
        for name, replaced in (("put", put), ("empty", empty)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, replaced)
    host = launch.target("host")
    monkeypatch.setattr(launch, "target", lambda device: host)
    monkeypatch.setattr(launch, "gpu_array", lambda array: array)

    def start_program(self: Any, program: str, rows: int, queue: Any, *given: Any) -> None:
        arrays = [np.asarray(a) if isinstance(a, np.ndarray) else a for a in given]
        machine.do(queue.stream, lambda: launch.namespace("host")[program](0, rows, *arrays))

    monkeypatch.setattr(gpu_moving_network.MovingNetwork, "_start_program", start_program)
    monkeypatch.setattr(cuda, "default_stream", lambda: SimpleNamespace(stream=0, synchronize=copied))
    monkeypatch.setattr(cuda, "external_stream", lambda stream: SimpleNamespace(stream=stream, synchronize=machine.wait))
    monkeypatch.setattr(cuda, "synchronize", machine.wait)
    monkeypatch.setattr(cuda, "pinned_array", np.zeros)
    monkeypatch.setattr(bindings, "cuMemcpyDtoHAsync", machine.bring)
    monkeypatch.setattr(bindings, "cuStreamSynchronize", machine.wait)
    monkeypatch.setattr(gpu_driver, "checked", lambda what, result: None)
    monkeypatch.setattr(gpu_driver, "device_number", lambda: 0)
    monkeypatch.setattr(gpu_driver, "set_words", machine.set_words)
    monkeypatch.setattr(gpu_driver, "loaded", machine.loaded)
    monkeypatch.setattr(gpu_driver, "Failure", Failure)
    cached = (
        clusters.cluster_kernel, clusters.x_kernel, clusters.moving_shape, gpu_moving_network.moving_kernel,
        gpu_grid_network.grid_kernel, gpu_grid_network.product_kernel, gpu_products.input_kernel, gpu_products.block_kernel,
    )  # fmt: skip
    for kernel in cached:
        kernel.cache_clear()
    yield machine
    for kernel in cached:
        kernel.cache_clear()
    PLACES.clear()


class Failure:
    def __init__(self) -> None:
        self.word = put(np.zeros(1, np.int32))
        self.address = self.word.data_ptr()

    def bring(self, stream: int) -> None:
        pass

    def check(self) -> None:
        assert self.word[0] == 0, "a wait was given up"
