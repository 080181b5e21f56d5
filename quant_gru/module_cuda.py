"""The float boundary on a GPU in one kernel each way, where torch's own operations would be six.  [SPEC Q-1 ... Q-3]

A kernel is compiled for each type of codes, and once compared with torch's operations before it is used; where it cannot be
compiled or started, or differs, torch's operations stay in use and one warning says why.
"""

from __future__ import annotations

import ctypes
import threading
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cuda_impl.fast.gpu_arrays import torch_stream

THREADS = 256
POINTER, LONG, FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
_BOUND = threading.local()
_LOCK = threading.Lock()


def quantize_source(multiply: bool) -> Callable:
    """codes[i] of v[i], every float operation one instruction; scale is its reciprocal when multiply.  [SPEC Q-1, Q-2]"""
    from numba import cuda, int32, int64
    from numba.cuda import libdevice

    def quantize(v, codes, count, scale, zero_point, qmin, qmax, nan):
        i = int64(cuda.blockIdx.x) * int64(THREADS) + int64(cuda.threadIdx.x)
        if i < count:
            t = libdevice.fmul_rn(v[i], scale) if multiply else libdevice.fdiv_rn(v[i], scale)
            t = libdevice.rintf(libdevice.fadd_rn(t, zero_point))
            if t != t:
                t = nan
            elif t < qmin:
                t = qmin
            elif t > qmax:
                t = qmax
            codes[i] = int32(t)

    return quantize


def dequantize_source() -> Callable:
    """reals[i] = f32(f32(q - zp) * scale); `length` of them, from i = first on, go to last[] too.  [SPEC Q-3]"""
    from numba import cuda, float32, int64
    from numba.cuda import libdevice

    def dequantize(codes, reals, last, count, first, length, scale, zero_point):
        i = int64(cuda.blockIdx.x) * int64(THREADS) + int64(cuda.threadIdx.x)
        if i < count:
            real = libdevice.fmul_rn(float32(int64(codes[i]) - zero_point), scale)
            reals[i] = real
            if i >= first and i - first < length:
                last[i - first] = real

    return dequantize


def ptx(kind: str, dtype: str, cc: tuple[int, int]) -> str:
    """The PTX of a kernel: "divide" and "multiply" make codes of a type such as "int8", "dequantize" reals of them."""
    from numba import cuda, types

    codes, real = types.CPointer(getattr(types, dtype)), types.float32
    if kind == "dequantize":
        reals, number = types.CPointer(real), types.int64
        source, signature = dequantize_source(), types.void(codes, reals, reals, number, number, number, real, number)
    else:
        source = quantize_source(kind == "multiply")
        signature = types.void(types.CPointer(real), codes, types.int64, real, real, real, real, real)
    return cuda.compile(source, signature, cc=cc, device=False, abi="numba")[0]


def argument_types(kind: str) -> tuple[Any, ...]:
    """What the arguments of a kernel are in C."""
    if kind == "dequantize":
        return (POINTER, POINTER, POINTER, LONG, LONG, LONG, FLOAT, LONG)
    return (POINTER, POINTER, LONG, *(FLOAT,) * 5)


class Cells(threading.local):
    """The arguments of a kernel in memory as the driver wants them; every thread has its own.

    numbers  what stands in the last cells
    """

    def __init__(self, types: tuple[Any, ...]) -> None:
        self.cells = [kind(0) for kind in types]
        self.pointers = (ctypes.c_void_p * len(types))(*[ctypes.addressof(cell) for cell in self.cells])
        self.address = ctypes.addressof(self.pointers)
        self.numbers: tuple[Any, ...] | None = None

    def take(self, sizes: tuple[int, ...], numbers: tuple[Any, ...]) -> int:
        """Put arguments in, numbers only when they are not the same tuple as before; gives the address for the driver."""
        for cell, size in zip(self.cells, sizes):
            cell.value = size
        if self.numbers is not numbers:
            for cell, number in zip(self.cells[len(sizes) :], numbers, strict=True):
                cell.value = number
            self.numbers = numbers
        return self.address


class Kernel:
    """A loaded kernel; start() puts it on torch's current stream."""

    def __init__(self, kind: str, dtype: str, device: int) -> None:
        import torch
        from cuda.bindings import driver

        text = ptx(kind, dtype, torch.cuda.get_device_capability(device))
        bind(device)
        self.driver = driver
        self.module = self._value(driver.cuModuleLoadData(text.encode() + b"\0"))
        name = text[text.index(".entry") :].split("(")[0].split()[-1]
        self.function = self._value(driver.cuModuleGetFunction(self.module, name.encode()))
        self.prepare(kind, device)

    def prepare(self, kind: str, device: int) -> None:
        """What every start uses again."""
        import torch

        self.device, self.torch = device, torch
        self.call, self.success = self.driver.cuLaunchKernel, self.driver.CUresult.CUDA_SUCCESS
        self.cells = Cells(argument_types(kind))

    def _value(self, result: Any) -> Any:
        if result[0] != self.driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"the CUDA driver gave {result[0].name}, expected CUDA_SUCCESS")
        return result[1] if len(result) > 1 else None

    def start(self, count: int, sizes: tuple[int, ...], numbers: tuple[Any, ...]) -> None:
        """The kernel over `count` elements.

        sizes    its arguments as far as they are addresses and counts
        numbers  the others; the same tuple object has the same numbers in every call
        """
        bind(self.device)
        address, stream = self.cells.take(sizes, numbers), torch_stream(self.torch, self.device)
        result = self.call(self.function, -(-count // THREADS), 1, 1, THREADS, 1, 1, 0, stream, address, 0)
        if result[0] != self.success:
            self._value(result)


def bind(device: int) -> None:
    """Make torch's context the current one of this thread."""
    if getattr(_BOUND, "device", None) != device:
        import torch

        torch.zeros(1, device=f"cuda:{device}")
        _BOUND.device = device


Pair = tuple[Kernel, Kernel]


@lru_cache(maxsize=64)
def _pair(reciprocal: bool, dtype: str, device: int, check: Callable[[Pair], bool]) -> Pair | None:
    try:
        pair = Kernel("multiply" if reciprocal else "divide", dtype, device), Kernel("dequantize", dtype, device)
        reason = None if check(pair) else "the kernels gave other bits"
    except Exception as error:  # whatever a driver, a compiler or an import may raise
        reason = f"{type(error).__name__}: {error}"
    if reason is None:
        return pair
    warnings.warn(f"the float boundary runs by torch's own operations: {reason}", RuntimeWarning, stacklevel=4)
    return None


def kernels(reciprocal: bool, dtype: str, device: int, check: Callable[[Pair], bool]) -> Pair | None:
    """(to codes, to reals) for a type of codes, loaded and checked once; None where torch's operations stay in use.

    check  a function of the two kernels, the same object in every call: whether they give the bits of torch's operations
    """
    with _LOCK:
        return _pair(reciprocal, dtype, device, check)
