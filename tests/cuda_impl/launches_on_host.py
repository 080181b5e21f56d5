"""The cluster and grid networks with NumPy in the place of their launches, so that drawn problems need no GPU.

A launch is replaced as a whole: what it reads and writes, and in which order, follows its kernel, and the products are
NumPy's. What is packed, the constants, offsets and addresses that a launch is given, and the cells with the roundings and
tables in them are the real ones.
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np

from cuda_impl.fast import (
    gpu_arrays,
    gpu_begin,
    gpu_cells,
    gpu_driver,
    gpu_grid_network,
    gpu_network,
    gpu_options,
    gpu_products,
    gpu_units,
)
from cuda_impl.fast.gpu_layout import TERMS
from cuda_impl.fast.gpu_units import finisher, zoneout_step
from tests.cuda_impl.real_on_host import replace_operations
from tests.cuda_impl.steps_on_host import OPERATIONS, array_at, set_words

int32, int64 = np.int32, np.int64
SHARED = np.zeros(1 << 17, np.uint8)


def load_shared(at: int) -> Any:
    return SHARED[at : at + 4].view(int32)[0]


def store_shared(at: int, value: int) -> None:
    SHARED[at : at + 4].view(int32)[0] = value


class Placed:
    """An array that a kernel gets by its address."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def data_ptr(self) -> int:
        return self.array.ctypes.data

    def copy_to_host(self) -> np.ndarray:
        return self.array


def put(array: np.ndarray) -> Placed:
    return Placed(np.array(array) if array.size else np.zeros(1, array.dtype))


def empty(torch: Any, shape: tuple[int, ...], dtype: Any) -> Placed:
    assert torch is None
    return Placed(np.full(shape, 77, dtype))


def as_columns(address: int, columns: int, length: int) -> np.ndarray:
    """int8 [length, columns] of the fragments that gpu_pack.input_fragments made."""
    pairs, pieces = -(-columns // 128) * 4, -(-length // TERMS)
    cut = array_at(ctypes.c_int8, address, (pairs, pieces, 2, 2, 8, 4, 2, 2, 4))
    rows = cut.transpose(np.argsort((0, 4, 1, 6, 3, 5, 7, 2, 8))).reshape(32 * pairs, TERMS * pieces)
    return rows[:columns, :length].T


class Launches:
    """In the place of gpu_driver.loaded; the weights of the recurrence are those of the set.

    made, seen   launches by name as they were made, and as they were started
    """

    def __init__(self, params: Any) -> None:
        self.R = np.asarray(params.R).astype(int64)
        self.made: list[str] = []
        self.seen: list[str] = []

    def loaded(self, key: Any, build: Any, shared: int, cluster: int, threads: int) -> Any:
        def launch(blocks: int, stream: int, arguments: Any) -> Any:
            self.made.append(key[0])
            return SimpleNamespace(arguments=arguments, start=lambda: self.start(key, arguments))

        return SimpleNamespace(launch=launch, resident_blocks=lambda: 1 << 20)

    def start(self, key: Any, arguments: Any) -> None:
        self.seen.append(key[0])
        kinds = {ctypes.c_int32: int32, ctypes.c_int64: int64}
        with np.errstate(over="ignore"):
            getattr(self, key[0])(key, *(kinds[type(cell)](cell.value) for cell in arguments.cells))

    def input(
        self, key: Any, rows: int, length: int, columns: int, across: int, x: int, weights: int, out: int, flip: int
    ) -> None:
        codes = array_at(ctypes.c_uint8, x, (rows, length)) ^ np.uint8(flip & 255)
        assert flip in (0, -2139062144)  # the same in all four bytes
        W = as_columns(weights, columns, length).astype(int64)
        array_at(ctypes.c_int32, out, (rows, columns))[:] = codes.view(np.int8).astype(int64) @ W

    def limbs(
        self, key: Any, rows: int, length: int, columns: int, across: int, x: int, high: int, low: int, out: int,
        offset: int, unsigned: int,
    ) -> None:  # fmt: skip
        codes = array_at(ctypes.c_uint16 if unsigned else ctypes.c_int16, x, (rows, length)).astype(int64) - int(offset)
        assert codes.min(initial=0) >= -128 * 257 and codes.max(initial=0) <= 127 * 257  # two signed bytes
        c, d = as_columns(high, columns, length).astype(int64), as_columns(low, columns, length).view(np.uint8).astype(int64)
        b = codes.astype(np.int8).astype(int64)
        a = (codes - b) >> 8
        sums = [each.astype(int32).astype(int64) for each in (a @ c, a @ d + b @ c, b @ d)]  # as the tensor cores hold them
        array_at(ctypes.c_int64, out, (rows, columns))[:] = (sums[0] << 16) + (sums[1] << 8) + sums[2]

    def recurrence(
        self, key: Any, T: int, N: int, H: int, reverse: int, wx: int, h0: int, out: int, fragments: int, *more: Any
    ) -> None:
        _, shape, kind, count = key
        assert not shape.grouped  # its input products lie block by block, behind a tensor map
        self.run(kind, 1, shape.width, T, N, H, reverse, wx, h0, out, more[:9], more[12:])

    def grid(
        self, key: Any, T: int, N: int, H: int, reverse: int, rows: int, wx: int, h0: int, state: int, out: int,
        fragments: int, *more: Any,
    ) -> None:  # fmt: skip
        _, shape, kind, count = key
        assert not array_at(ctypes.c_int32, state, (2 * shape.limbs * int(N) * shape.length // 4,)).any()
        self.run(kind, shape.limbs, shape.width, T, N, H, reverse, wx, h0, out, more[:9], more[11:])

    def run(
        self, kind: Any, limbs: int, width: int, T: int, N: int, H: int, reverse: int, wx: int, h0: int, out: int,
        given: tuple, numbers: tuple,
    ) -> None:  # fmt: skip
        wide, narrow, tables, far, mask, factor, zero, qmin, qmax = given
        places = {"tables": 0, "wide": 4096, "narrow": 4096 + 8 * kind.wide_units * width}
        assert places["narrow"] + 4 * kind.narrow_units * width <= SHARED.size
        gpu_begin.copy_constants(kind, 1, width, width, places)(0, int32(0), int32(0), wide, narrow, tables)
        w64 = SHARED[places["wide"] :][: 8 * kind.wide_units * width].view(int64).reshape(-1, width)
        w32 = SHARED[places["narrow"] :][: 4 * kind.narrow_units * width].view(int32).reshape(-1, width)
        byte, number = (ctypes.c_uint16, ctypes.c_int64) if limbs == 2 else (ctypes.c_uint8, ctypes.c_int32)
        off = (32768 + 128 if kind.unsigned else 128) if limbs == 2 else 128 if kind.unsigned else 0
        kept = np.uint16 if limbs == 2 else np.uint8
        signed = np.int16 if limbs == 2 else np.int8
        products = array_at(number, wx, (int(T) * int(N), 3, width)).reshape(int(T), int(N), 3, width)
        codes = array_at(byte, out, (int(T) + 1, int(N), int(H)))
        codes[0] = array_at(byte, h0, (int(N), int(H)))
        finish, zoned = finisher(kind), zoneout_step(kind.zoneout)
        of = int64 if limbs == 2 else int32

        def code_of(stored: np.ndarray) -> np.ndarray:
            return (stored if kind.unsigned else stored.view(signed)).astype(int64)

        now = code_of(codes[0])
        for step in range(int(T)):
            t = int(T) - 1 - step if reverse else step
            rh = ((now - off) @ self.R).astype(of).reshape(int(N), 3, int(H))
            after = np.zeros_like(now)
            for row in range(int(N)):
                for unit in range(int(H)):
                    old = int32(now[row, unit])
                    new = finish(
                        tuple(w64[:, unit]), tuple(w32[:, unit]), *(of(products[t, row, gate, unit]) for gate in range(3)),
                        *rh[row, :, unit], old, int32(0), far, numbers,
                    )  # fmt: skip
                    at = mask + (int64(t) * N + row) * int64(H) + unit
                    after[row, unit] = zoned(factor, at, old, new, zero, qmin, qmax)
            codes[t + 1] = after.astype(kept)
            assert np.array_equal(code_of(codes[t + 1]), after)  # what is given back is what the next step reads
            now = after


def host_launches(monkeypatch: Any) -> Any:
    """A generator for a fixture: prepared(params) -> (network, launches), everything replaced for the length of a test."""
    from numba import cuda

    operations = SimpleNamespace(**{**vars(OPERATIONS), "load_shared": load_shared, "store_shared": store_shared})
    for module in (gpu_begin, gpu_units):
        monkeypatch.setattr(module, "gpu", operations)
    for name in ("half_of", "load_far", "load_shared", "multiply_add", "shift_down"):
        monkeypatch.setattr(gpu_cells, name, getattr(operations, name))
    replace_operations(monkeypatch, load_shared)
    monkeypatch.setattr(cuda, "jit", lambda **_: lambda function: function)
    for module in (gpu_arrays, gpu_network, gpu_grid_network, gpu_options, gpu_products):
        for name, replaced in (("put", put), ("empty", empty)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, replaced)
    monkeypatch.setattr(gpu_driver, "device_number", lambda: 0)
    monkeypatch.setattr(gpu_driver, "set_words", set_words)
    monkeypatch.setattr(gpu_driver, "wait_for", lambda stream: None)
    failure = SimpleNamespace(address=0, check=lambda: None, bring=lambda stream: None)
    monkeypatch.setattr(gpu_driver, "Failure", lambda: failure)
    monkeypatch.setattr(gpu_driver, "Maps", lambda: None)
    cached = (
        gpu_network.recurrence_kernel, gpu_grid_network.grid_kernel, gpu_grid_network.product_kernel,
        gpu_products.input_kernel, gpu_products.block_kernel,
    )  # fmt: skip

    def prepared(params: Any) -> tuple[Any, Launches]:
        from cuda_impl.fast.gpu import _prepared

        launches = Launches(params)
        for kernel in cached:
            kernel.cache_clear()
        monkeypatch.setattr(gpu_driver, "loaded", launches.loaded)
        return _prepared(params), launches

    yield prepared
    for kernel in cached:
        kernel.cache_clear()
