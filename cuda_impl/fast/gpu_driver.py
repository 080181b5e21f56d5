"""Kernels of the fast GPU build: compiled once, kept on disk as PTX, loaded per device, started on any stream."""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import QgruError

CAPABILITY = (9, 0)
DIGEST = "\n// sha256 "  # before the last line of PTX that is kept
_LOCK = threading.RLock()
_HERE = threading.local()
_LOADED: dict[tuple[Any, int], Loaded] = {}


class DeviceError(QgruError):
    """The driver refused something; the sentence says what and why."""


@lru_cache(maxsize=1)
def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("gpu*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:20]


def cache_folder() -> Path:
    """Where compiled kernels are kept: NUMBA_CACHE_DIR when it is set, else the user's cache folder."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return Path(named) / "qgru-ptx"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qgru" / "ptx"


def for_this_chip(text: str) -> str:
    """PTX whose instructions of compute capability 9.0 alone are allowed: those of four warps together."""
    return text.replace(".target sm_90\n", ".target sm_90a\n") if "wgmma." in text else text


def compiled(key: str, build: Callable[[], tuple[Any, Any]]) -> str:
    """The PTX of a kernel: from disk, else compiled from build() -> (function, signature) and kept."""
    import numba
    from numba import cuda

    versions = (_source_digest(), numba.__version__, getattr(cuda, "__version__", ""), np.__version__)
    name = hashlib.sha256(repr((key, versions, CAPABILITY)).encode()).hexdigest()[:32]
    path = cache_folder() / f"{name}.ptx"
    with suppress(OSError, UnicodeDecodeError):
        text, _, digest = path.read_text().rpartition(DIGEST)
        if digest == hashlib.sha256(text.encode()).hexdigest():  # whole, whatever happened to the disk
            return text
    function, signature = build()
    text = for_this_chip(cuda.compile(function, signature, cc=CAPABILITY, device=False, abi="numba")[0])
    with suppress(OSError):  # nowhere to write; it is compiled again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        _put_in_place(path, text + DIGEST + hashlib.sha256(text.encode()).hexdigest())
    return text


def _put_in_place(path: Path, text: str) -> None:
    """Write a file as a whole, or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        try:
            file.write(text)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def checked(what: str, result: Any) -> Any:
    """The values of a driver call, or DeviceError."""
    from cuda.bindings import driver

    status, *values = result
    if status != driver.CUresult.CUDA_SUCCESS:
        raise DeviceError(f"{what} gave {status.name}, expected CUDA_SUCCESS")
    return values[0] if len(values) == 1 else values


def device_number() -> int:
    """The current device; its primary context is made current."""
    from cuda.bindings import driver
    from numba import cuda

    cuda.current_context()
    return int(checked("cuCtxGetDevice", driver.cuCtxGetDevice()))


def bind_thread() -> None:
    """Give this thread a current context once: torch does so only when it launches something itself, and memory that it
    has kept is handed out without a launch."""
    if not getattr(_HERE, "bound", False):
        device_number()
        _HERE.bound = True


class Loaded:
    """A kernel on one device."""

    def __init__(self, text: str, shared: int, cluster: int, threads: int) -> None:
        from cuda.bindings import driver

        options = [driver.CUjit_option.CU_JIT_MAX_REGISTERS]
        limit = min(255, 65536 // threads // 8 * 8)
        self.module = checked(
            "cuModuleLoadDataEx",
            driver.cuModuleLoadDataEx(text.encode() + b"\0", 1, options, [limit]),
        )
        name = text[text.index(".entry") :].split("(")[0].split()[-1]
        self.function = checked("cuModuleGetFunction", driver.cuModuleGetFunction(self.module, name.encode()))
        self.cluster, self.threads, self.shared = cluster, threads, shared
        attribute = driver.CUfunction_attribute
        self._set(attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
        if cluster > 8:
            self._set(attribute.CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1)
        self.registers = self._get(attribute.CU_FUNC_ATTRIBUTE_NUM_REGS)
        self.local_bytes = self._get(attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)

    def _set(self, name: Any, value: int) -> None:
        from cuda.bindings import driver

        checked(f"{name.name} = {value}", driver.cuFuncSetAttribute(self.function, name, value))

    def _get(self, name: Any) -> int:
        from cuda.bindings import driver

        return int(checked(name.name, driver.cuFuncGetAttribute(name, self.function)))

    def configuration(self, blocks: int, stream: int) -> Any:
        """A launch configuration for blocks of this kernel."""
        from cuda.bindings import driver

        config = driver.CUlaunchConfig()
        config.gridDimX, config.gridDimY, config.gridDimZ = blocks, 1, 1
        config.blockDimX, config.blockDimY, config.blockDimZ = self.threads, 1, 1
        config.sharedMemBytes, config.hStream = self.shared, stream
        if self.cluster > 0:
            value = driver.CUlaunchAttribute()
            value.id = driver.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
            value.value.clusterDim.x, value.value.clusterDim.y, value.value.clusterDim.z = self.cluster, 1, 1
            config.attrs, config.numAttrs = [value], 1
        return config

    def resident_clusters(self) -> int:
        """How many clusters run at the same time on an idle device."""
        from cuda.bindings import driver

        config = self.configuration(self.cluster, 0)
        return int(checked("cuOccupancyMaxActiveClusters", driver.cuOccupancyMaxActiveClusters(self.function, config)))

    def resident_blocks(self) -> int:
        """How many blocks run at the same time on an idle device."""
        from cuda.bindings import driver

        each = checked(
            "cuOccupancyMaxActiveBlocksPerMultiprocessor",
            driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(self.function, self.threads, self.shared),
        )
        count = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
        return int(each) * int(checked("cuDeviceGetAttribute", driver.cuDeviceGetAttribute(count, device_number())))

    def launch(self, blocks: int, stream: int, arguments: Arguments) -> Launch:
        """A launch of so many blocks, ready to be started again and again."""
        return Launch(self.function, self.configuration(blocks, stream), arguments)


def set_words(address: int, value: int, stream: int, count: int = 1) -> None:
    """So many int32 from a device address become value, in the order of the stream."""
    from cuda.bindings import driver

    checked("cuMemsetD32Async", driver.cuMemsetD32Async(address, value, count, stream))


def wait_for(stream: int) -> None:
    """Wait for all that a stream has to do; what is read on the default stream afterwards is there."""
    from cuda.bindings import driver

    checked("cuStreamSynchronize", driver.cuStreamSynchronize(stream))


def tensor_map(address: int, rows: int, columns: int, tile_rows: int, tile_columns: int) -> np.ndarray:
    """The 128 bytes by which a kernel copies tiles of int32 [rows, columns] at a device address; what is outside reads as 0."""
    from cuda.bindings import driver as d

    long, word = d.cuuint64_t, d.cuuint32_t
    made = checked(
        "cuTensorMapEncodeTiled",
        d.cuTensorMapEncodeTiled(
            d.CUtensorMapDataType.CU_TENSOR_MAP_DATA_TYPE_INT32,
            2,
            address,
            [long(columns), long(rows)],
            [long(4 * columns)],
            [word(tile_columns), word(tile_rows)],
            [word(1), word(1)],
            d.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE,
            d.CUtensorMapSwizzle.CU_TENSOR_MAP_SWIZZLE_NONE,
            d.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            d.CUtensorMapFloatOOBfill.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        ),
    )
    return np.frombuffer(ctypes.string_at(int(made.getPtr()), 128), np.int64).copy()


class Maps:
    """Copies tensor maps to the device in the order of a stream; those that a recorded graph copies again at every replay come
    from page-locked room that is kept."""

    def __init__(self) -> None:
        self.rooms, self.used = [self._room()], 0

    @staticmethod
    def _room() -> np.ndarray:
        from numba import cuda

        return cuda.pinned_array((64, 16), np.int64)

    def bring(self, tensor: np.ndarray, address: int, stream: int, recorded: bool) -> None:
        """Copy a map to a device address; what is not page-locked has been read when the driver returns."""
        from cuda.bindings import driver

        place = self._kept(tensor) if recorded else tensor
        checked("cuMemcpyHtoDAsync", driver.cuMemcpyHtoDAsync(address, place.ctypes.data, 128, stream))

    def _kept(self, tensor: np.ndarray) -> np.ndarray:
        """A map in a place of its own."""
        if self.used == len(self.rooms[-1]):
            self.rooms.append(self._room())
            self.used = 0
        place = self.rooms[-1][self.used]
        place[:] = tensor
        self.used += 1
        return place


class Failure:
    """A word that a kernel sets when it gave up waiting, and its copy on the host, brought along after every run."""

    def __init__(self) -> None:
        from numba import cuda

        self.word = cuda.to_device(np.zeros(1, np.int32))
        self.seen = cuda.pinned_array(1, np.int32)
        self.seen[0] = 0
        self.address = int(self.word.__cuda_array_interface__["data"][0])

    def bring(self, stream: int) -> None:
        """Copy the word to the host behind what the stream has to do."""
        from cuda.bindings import driver

        checked("cuMemcpyDtoHAsync", driver.cuMemcpyDtoHAsync(self.seen.ctypes.data, self.address, 4, stream))

    def check(self) -> None:
        """Raise DeviceError when a run that has ended had given up; the next run starts afresh.

        Every run begins with this, in a thread that may have launched nothing before.
        """
        bind_thread()
        if self.seen[0] != 0:
            self.seen[0] = 0
            self.word.copy_to_device(np.zeros(1, np.int32))
            raise DeviceError("a block waited in vain for the others, expected every block to run at the same time")


class Arguments:
    """The arguments of a launch, in memory as the driver wants them."""

    def __init__(self, values: Sequence[int], types: Sequence[Any]) -> None:
        self.cells = [kind(int(value)) for kind, value in zip(types, values, strict=True)]
        self.pointers = (ctypes.c_void_p * len(self.cells))(*[ctypes.addressof(c) for c in self.cells])
        self.address = ctypes.addressof(self.pointers)


class Launch:
    """A kernel, its grid, its stream and its arguments; `held` is what must live as long."""

    held: Any = None

    def __init__(self, function: Any, configuration: Any, arguments: Arguments) -> None:
        from cuda.bindings import driver

        self.call, self.success = driver.cuLaunchKernelEx, driver.CUresult.CUDA_SUCCESS
        self.function, self.configuration, self.arguments = function, configuration, arguments

    def start(self) -> None:
        """Start it; returns at once."""
        (status,) = self.call(self.configuration, self.function, self.arguments.address, 0)
        if status != self.success:
            raise DeviceError(f"cuLaunchKernelEx gave {status.name}, expected CUDA_SUCCESS")


def loaded(key: tuple[Any, ...], build: Callable[[], tuple[Any, Any]], shared: int, cluster: int, threads: int) -> Loaded:
    """The kernel of a key on the current device, compiled and loaded when first asked for."""
    device = device_number()
    with _LOCK:
        found = _LOADED.get((key, device))
        if found is None:
            found = _LOADED[key, device] = Loaded(compiled(repr(key), build), shared, cluster, threads)
        return found
