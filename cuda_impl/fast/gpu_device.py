"""Which GPU something is on: the current device for a while, the device of an array, and copies from one to another.

Numba and torch both work on the driver's current context. Everything of a network (its arrays, its kernels, its streams)
belongs to one device, so its methods make that device current first, and take only arrays that lie there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache, wraps
from typing import Any

import numpy as np

from cuda_impl import launch
from cuda_impl.fast.gpu_arrays import address, torch_of
from golden.spec.errors import ParameterError

ARRAYS = ("x", "h0", "mask", "out")  # the arguments of forward that are arrays, in their order


@lru_cache(maxsize=1)
def device_count() -> int:
    """How many GPUs this process sees."""
    from numba import cuda

    return len(cuda.gpus)


@lru_cache(maxsize=64)
def _context(number: int) -> Any:
    """The primary context of a device, kept for as long as the process runs."""
    from cuda.bindings import driver

    from cuda_impl.fast.gpu_driver import checked

    return checked("cuDevicePrimaryCtxRetain", driver.cuDevicePrimaryCtxRetain(number))


@contextmanager
def on_device(number: int, torch: Any = None) -> Iterator[None]:
    """Make a device the current one of this thread, for Numba and the driver, and for torch where it is given.

    What was current before is so again afterwards. Numba's own `cuda.gpus[number]` leaves a thread without any context when it
    enters a device for the first time while another one is current.
    """
    from cuda.bindings import driver

    from cuda_impl.fast.gpu_driver import checked

    device_count()  # Numba initialises the driver
    with torch.cuda.device(number) if torch is not None else nullcontext():
        checked("cuCtxPushCurrent", driver.cuCtxPushCurrent(_context(number)))
        try:
            yield
        finally:
            checked("cuCtxPopCurrent", driver.cuCtxPopCurrent())


def device_of(array: Any) -> int | None:
    """The device that an array lies on; None on the host, and for an empty array, which lies nowhere."""
    if torch_of(array) is not None:
        return int(array.device.index)
    if not launch.is_gpu_array(array) or address(array) == 0:
        return None
    from cuda.bindings import driver

    from cuda_impl.fast.gpu_driver import device_number

    device_number()  # the driver answers only where some context is current
    number = ctypes.c_int(-1)
    wanted = int(driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
    status = _pointer_attribute()(ctypes.addressof(number), wanted, address(array))
    return number.value if status == int(driver.CUresult.CUDA_SUCCESS) else None


@lru_cache(maxsize=1)
def _pointer_attribute() -> Callable[[int, int, int], int]:
    """The driver's cuPointerGetAttribute itself: the one of cuda-bindings 13.3 says 0 for the ordinal of any device."""
    from cuda.bindings import driver

    from cuda_impl.fast.gpu_driver import checked

    found = checked("cuGetProcAddress", driver.cuGetProcAddress(b"cuPointerGetAttribute", 7000, 0))
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64)(int(found[0]))


def at_home(network: Any, number: int) -> Any:
    """A network whose methods make its device current first; where one GPU is visible, it is left as it is.

    network  made on that device, with forward, and start and check where it has them
    Raises   ParameterError, when one is called with an array that lies on another device
    """
    if device_count() > 1:
        for name in ("forward", "start", "check"):
            if hasattr(network, name):
                setattr(network, name, _there(getattr(network, name), number))
    return network


def _there(method: Callable[..., Any], number: int) -> Callable[..., Any]:
    @wraps(method)
    def run(*given: Any, **named: Any) -> Any:
        arrays = dict(zip(ARRAYS, given)) | {name: named[name] for name in ARRAYS if name in named}
        for name, array in arrays.items():
            found = device_of(array)
            if found not in (None, number):
                raise ParameterError(name, f"an array on GPU {found}", f"one on GPU {number}, where the network was prepared")
        with on_device(number, torch_of(arrays.get("x"))):
            return method(*given, **named)

    return run


class Machine:
    """What moving Numba's arrays between devices takes; the tests have one of host arrays in its place."""

    def on(self, number: int) -> Any:
        """The context in which a device is the current one."""
        return on_device(number)

    def device_of(self, array: Any) -> int | None:
        """The device of an array, None for one on the host."""
        return device_of(array)

    def view(self, array: Any) -> Any:
        """A Numba array of the same memory, whose device is current; what its stream was doing is done."""
        return launch.gpu_array(array)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An uninitialised array on the current device."""
        from numba import cuda

        return cuda.device_array(shape, dtype)

    def wait(self) -> None:
        """Wait for everything on the current device, in every stream."""
        from numba import cuda

        cuda.synchronize()

    def take_rows(self, to: Any, source: Any, first: int) -> None:
        """to [L,n,W] = rows first ... first + n - 1 of source [L,N,W], both contiguous and on the current device."""
        _copy_rows(to, source, 0, first)

    def put_rows(self, to: Any, source: Any, first: int) -> None:
        """Rows first ... first + n - 1 of to [L,N,W] = source [L,n,W], both contiguous and on the current device."""
        _copy_rows(to, source, first, 0)

    def copy_across(self, to: Any, source: Any, device: int) -> None:
        """to = source, both contiguous; to lies on the current device, source on another one."""
        from cuda.bindings import driver

        from cuda_impl.fast.gpu_driver import checked

        with on_device(device):
            there = checked("cuCtxGetCurrent", driver.cuCtxGetCurrent())
        here = checked("cuCtxGetCurrent", driver.cuCtxGetCurrent())
        size = int(np.prod(to.shape)) * np.dtype(to.dtype).itemsize
        checked("cuMemcpyPeerAsync", driver.cuMemcpyPeerAsync(address(to), here, address(source), there, size, 0))


def block(to: Any, source: Any, to_row: int, source_row: int) -> tuple[int, int, int, int, int, int]:
    """Bytes of a copy of rows: (offset, pitch) in to, (offset, pitch) in source, width of a line, lines."""
    line = int(to.shape[2]) * np.dtype(to.dtype).itemsize
    width = line * min(int(to.shape[1]), int(source.shape[1]))
    return to_row * line, int(to.shape[1]) * line, source_row * line, int(source.shape[1]) * line, width, int(to.shape[0])


def _copy_rows(to: Any, source: Any, to_row: int, source_row: int) -> None:
    """One copy within the current device, in its default stream."""
    from cuda.bindings import driver

    from cuda_impl.fast.gpu_driver import checked

    skip, pitch, source_skip, source_pitch, width, lines = block(to, source, to_row, source_row)
    copy = driver.CUDA_MEMCPY2D()
    copy.srcMemoryType = copy.dstMemoryType = driver.CUmemorytype.CU_MEMORYTYPE_DEVICE
    copy.srcDevice, copy.srcPitch = address(source) + source_skip, source_pitch
    copy.dstDevice, copy.dstPitch = address(to) + skip, pitch
    copy.WidthInBytes, copy.Height = width, lines
    checked("cuMemcpy2DUnaligned", driver.cuMemcpy2DUnaligned(copy))
