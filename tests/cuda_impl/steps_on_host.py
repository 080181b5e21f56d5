"""gpu_steps' kernels run by Python in this machine's memory, thread after thread, under the real network.

What is replaced: the machine operations (by loads and stores at real addresses), the products (by NumPy's), the launch, and
torch.cuda (streams do nothing, a graph keeps what is started while it records and starts it again). The kernels, the cell,
the plan, the buffers and the order of launches are the real ones. Where a block meets a barrier, all its threads are run up
to there first.
"""

from __future__ import annotations

import ctypes
from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_arrays, gpu_cells, gpu_options, gpu_products, gpu_steps, gpu_steps_network, gpu_units
from tests.cuda_impl.real_on_host import replace_operations

int32, int64 = np.int32, np.int64
SHARED = np.zeros(gpu_steps.SHARED, np.uint8)
PLACE = SimpleNamespace(x=0, through=False)
BLOCK = SimpleNamespace(x=0)


def read(number: Any) -> Any:
    return lambda at: int32(number.from_address(int(at)).value)


def write(number: Any) -> Any:
    return lambda at, value: setattr(number.from_address(int(at)), "value", int(value))


def many(number: Any, count: int) -> Any:
    return lambda at: tuple(int32(v) for v in (number * count).from_address(int(at)))


def load_words(count: int, wide: bool) -> Any:
    number, kind = (ctypes.c_int64, int64) if wide else (ctypes.c_int32, int32)
    return lambda at, step: tuple(kind(number.from_address(int(at) + i * int(step)).value) for i in range(count))


def store_words2(at: int, a: int, b: int) -> None:
    write(ctypes.c_int32)(at, a)
    write(ctypes.c_int32)(at + 4, b)


OPERATIONS = SimpleNamespace(
    shared_base=lambda array: int32(0),
    load_shared=lambda at: SHARED[at : at + 4].view(int32)[0],
    store_shared=lambda at, value: SHARED[at : at + 4].view(int32).__setitem__(0, value),
    load_once=read(ctypes.c_int32),
    load_far=read(ctypes.c_int32),
    load_once2=many(ctypes.c_int32, 2),
    load_once_byte=read(ctypes.c_int8),
    load_once_short=read(ctypes.c_int16),
    load_once_long=lambda at: int64(ctypes.c_int64.from_address(int(at)).value),
    store_byte=write(ctypes.c_int8),
    store_short=write(ctypes.c_int16),
    store_word=write(ctypes.c_int32),
    store_words2=store_words2,
    half_of=lambda shift: int32((1 << int(shift)) >> 1),
    multiply_add=lambda a, b, c: int64(int(a) * int(b) + int(c)),
    shift_down=lambda value, shift: int64(int(value) >> int(shift)).astype(int32),
)


def array_at(number: Any, at: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.ctypeslib.as_array((number * int(np.prod(shape))).from_address(int(at))).reshape(shape)


def set_words(address: int, value: int, stream: int, count: int = 1) -> None:
    array_at(ctypes.c_int32, address, (count,))[:] = value


class Met(Exception):
    """A thread has come to the block's barrier, and the others have not."""


def meet() -> None:
    if not PLACE.through:
        raise Met


class Started:
    """A launch: what it runs is read when it is started, and kept when a graph records."""

    def __init__(self, machine: Machine, kernel: Any, blocks: int, threads: int, arguments: Any, numbers: int) -> None:
        self.machine, self.kernel, self.blocks, self.threads = machine, kernel, blocks, threads
        self.arguments, self.numbers = arguments, numbers

    def start(self) -> None:
        kinds = {ctypes.c_int32: int32, ctypes.c_int64: int64}
        values = [kinds[type(cell)](cell.value) for cell in self.arguments.cells]
        if self.numbers:
            values = [*values[: -self.numbers], tuple(values[-self.numbers :])]
        self.machine.do(lambda: self.run(values))

    def run(self, values: list[Any]) -> None:
        with np.errstate(over="ignore"):
            for BLOCK.x in range(self.blocks):
                for PLACE.through in (False, True):
                    for PLACE.x in range(self.threads):
                        with suppress(Met):
                            self.kernel(*values)


class Machine:
    """torch with stand-ins for torch.cuda and for where tensors lie, and the loader of kernels."""

    def __init__(self, torch: Any) -> None:
        self.torch, self.recording, self.replays = torch, None, 0
        self.int32, self.int8, self.uint8, self.Tensor = torch.int32, torch.int8, torch.uint8, torch.Tensor
        self.cuda = SimpleNamespace(
            current_device=lambda: 0,
            current_stream=lambda *_: SimpleNamespace(cuda_stream=7),
            is_current_stream_capturing=lambda: False,
            synchronize=lambda: None,
            Stream=lambda: SimpleNamespace(cuda_stream=8, wait_stream=lambda _: None, synchronize=lambda: None),
            CUDAGraph=lambda: Graph(self),
            stream=lambda _: nullcontext(),
        )

    def do(self, action: Any) -> None:
        action() if self.recording is None else self.recording.append(action)

    def multiply(self, rows: int, length: int, columns: int, across: int, x: int, weights: int, out: int) -> None:
        """What gpu_gemm's kernel does."""
        assert BLOCK.x == PLACE.x == 0 and across * 128 >= columns and x % 16 == weights % 16 == out % 16 == 0
        a, b = (array_at(ctypes.c_int8, at, (n, length)) for at, n in ((x, rows), (weights, columns)))
        array_at(ctypes.c_int32, out, (rows, columns))[:] = a.astype(np.int64) @ b.T.astype(np.int64)

    def loaded(self, key: Any, build: Any, shared: int, cluster: int, threads: int) -> Any:
        if key[0] == "product":
            return SimpleNamespace(
                launch=lambda blocks, stream, arguments: Started(self, self.multiply, 1, 1, arguments, 0)
            )
        kernel, count = build()[0], key[-1] if key[0] == "step" else 0
        return SimpleNamespace(
            resident_blocks=lambda: 3,
            launch=lambda blocks, stream, arguments: Started(self, kernel, blocks, threads, arguments, count),
        )


class Graph:
    """What was started between its two ends, to be started again."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.actions = machine, []

    def capture_begin(self, capture_error_mode: str) -> None:
        assert capture_error_mode == "thread_local"
        self.machine.recording = self.actions

    def capture_end(self) -> None:
        self.machine.recording = None

    def replay(self) -> None:
        self.machine.replays += 1
        for action in self.actions:
            action()


def host_machine(monkeypatch: Any, torch: Any) -> Machine:
    """Everything replaced for the length of a test."""
    from numba import cuda

    machine = Machine(torch)
    for module in (gpu_steps, gpu_units):
        monkeypatch.setattr(module, "gpu", OPERATIONS)
    for name in ("half_of", "load_far", "load_shared", "multiply_add", "shift_down"):
        monkeypatch.setattr(gpu_cells, name, getattr(OPERATIONS, name))
    replace_operations(monkeypatch, OPERATIONS.load_shared)
    monkeypatch.setattr(gpu_steps, "load_words", load_words)
    monkeypatch.setattr(cuda, "jit", lambda **_: lambda function: function)
    monkeypatch.setattr(cuda, "threadIdx", PLACE)
    monkeypatch.setattr(cuda, "blockIdx", BLOCK)
    monkeypatch.setattr(cuda, "syncthreads", meet)
    monkeypatch.setattr(cuda.shared, "array", lambda *_: None)
    network, driver = gpu_steps_network, gpu_steps_network.driver
    for cached in (network.step_kernel, network.begin_kernel, gpu_products.block_kernel):
        cached.cache_clear()
    monkeypatch.setattr(gpu_products, "WORTH", 0)
    monkeypatch.setattr(driver, "loaded", machine.loaded)
    monkeypatch.setattr(driver, "device_number", lambda: 0)
    monkeypatch.setattr(driver, "bind_thread", lambda: None)
    monkeypatch.setattr(driver, "set_words", set_words)
    monkeypatch.setattr(cuda, "synchronize", lambda: None)
    monkeypatch.setattr(network, "torch_of", lambda x: machine)
    monkeypatch.setattr(network, "stream_of", lambda *_: 7)
    for module in (network, gpu_options, gpu_products):
        monkeypatch.setattr(module, "put", lambda array: torch.from_numpy(array.copy()) if array.size else torch.zeros(1))
    monkeypatch.setattr(network, "codes_on_device", lambda name, x, *_: torch.as_tensor(x).contiguous())
    for module in (network, gpu_arrays):
        monkeypatch.setattr(
            module, "empty", lambda _, shape, dtype: torch.full(shape, 77, dtype=getattr(torch, np.dtype(dtype).name))
        )
    return machine
