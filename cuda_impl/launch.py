"""Where code runs: the host, a GPU or the CUDA simulator.  The only file of the twin that knows.

The step files hold plain Python functions. `namespace(kind)` builds one dictionary per target in which every function of
the step files is compiled for that target and finds the others by name: njit on the host, cuda.jit on the GPU, as they
are in the simulator. Nothing is compiled before it is called. The entries of PROGRAMS are the loops that are started.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import threading
import types
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError

DEVICES = ("auto", "gpu", "host", "simulator")
STEP_MODULES = (
    "intrinsics", "rounding", "quantize", "rescale", "ranges", "linear", "activation",
    "gates", "hidden", "cell", "programs", "dynamic", "elementwise",
)  # fmt: skip
PROGRAM_MODULES = ("programs", "dynamic", "elementwise")
GPU_LANES = 256
SIMULATOR_LANES = 3
SMALL_WORK = 200_000  # operations below which a host program is not spread over threads


@lru_cache(maxsize=1)
def source_digest() -> str:
    """A hash of every source file of the twin: compiled programs on disk are only found by the sources they came from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _simulated() -> bool:
    from numba import config

    return bool(config.ENABLE_CUDASIM)


def _cuda_installed() -> bool:
    return importlib.util.find_spec("numba_cuda") is not None


def gpu_usable() -> bool:
    """Whether a GPU can be used: the extra is installed, the simulator is off, and a device answers."""
    if not _cuda_installed() or _simulated():
        return False
    from numba import cuda

    return bool(cuda.is_available())


@dataclass(frozen=True)
class Target:
    """Where a run takes place.

    kind   "host", "gpu" or "simulator"
    lanes  how many workers share a row
    """

    kind: str
    lanes: int

    def put(self, array: np.ndarray) -> Any:
        """A contiguous copy of a host array on the target."""
        if self.kind == "host":
            return np.array(array, order="C", copy=True)
        # a copy: NumPy calls an array with an axis of one contiguous whatever that axis' stride, the device array does not
        return namespace(self.kind)["cuda"].to_device(np.array(array, order="C", copy=True))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An uninitialised array on the target."""
        if self.kind == "host":
            return np.empty(shape, dtype)
        if 0 in shape:
            return self.put(np.empty(shape, dtype))
        return namespace(self.kind)["cuda"].device_array(shape, dtype)

    def get(self, array: Any) -> np.ndarray:
        """The array on the host."""
        return array if isinstance(array, np.ndarray) else array.copy_to_host()

    def set_row(self, array: Any, index: int, values: np.ndarray) -> None:
        """array[index] = values, from the host or, with the dtype of array, from the target."""
        if self.kind == "host":
            array[index] = values
        else:
            on_host = isinstance(values, np.ndarray)
            array[index].copy_to_device(np.ascontiguousarray(values, array.dtype) if on_host else values)

    def run(self, program: str, rows: int, *arguments: Any, work: int = 0) -> None:
        """Start a program on `rows` rows; on the host, spread over threads where the work of a row is worth it."""
        function = namespace(self.kind)[program]
        if self.kind == "host":
            _run_host(function, rows, arguments, work)
        elif rows > 0:
            with warnings.catch_warnings():
                # small grids are meant; an overflow of the simulator's float32 is a result here, not an accident
                warnings.filterwarnings("ignore", message=".*under-utilization")
                warnings.simplefilter("ignore", RuntimeWarning)
                function[rows, self.lanes](0, rows, *arguments)


def target(device: str) -> Target:
    """The target of a device name.

    Raises   ParameterError in one sentence when it is not there
    """
    if device not in DEVICES:
        raise ParameterError("device", repr(device), f"one of {', '.join(DEVICES)}")
    if device == "host" or (device == "auto" and not gpu_usable()):
        return Target("host", 1)
    if not _cuda_installed():
        raise ParameterError("device", repr(device), "the package numba-cuda, which the extra qgru[cuda] installs")
    if device == "simulator":
        if not _simulated():
            raise ParameterError("device", repr(device), "NUMBA_ENABLE_CUDASIM=1 in the environment before Python starts")
        return Target("simulator", SIMULATOR_LANES)
    if _simulated():
        raise ParameterError("device", repr(device), "a GPU, not the simulator that NUMBA_ENABLE_CUDASIM=1 selects")
    if not gpu_usable():
        raise ParameterError("device", repr(device), "a machine with a usable CUDA GPU and driver")
    return Target("gpu", GPU_LANES)


def plain_names(kind: str) -> dict[str, Any]:
    """Every name of the step files, with what the target replaces; a name stands for one thing only."""
    names: dict[str, Any] = {}
    for module in STEP_MODULES:
        for name, value in vars(importlib.import_module(f"cuda_impl.{module}")).items():
            if name.startswith("__"):
                continue
            if name in names and names[name] is not value and names[name] != value:
                raise RuntimeError(f"{name} has two meanings in the step files, expected one")
            names[name] = value
    if kind != "host":
        from cuda_impl import intrinsics, linear

        names |= intrinsics.grid_names() if kind == "simulator" else intrinsics.gpu_names()
        names["matmul"] = linear.grid_matmul
    return names


@cache
def namespace(kind: str) -> dict[str, Any]:
    """The step files and programs of a target by name, compiled when first called."""
    if kind == "simulator":
        wrap_step, wrap_program = _as_is, _cuda_program
    elif kind == "gpu":
        wrap_step, wrap_program = _cuda_step, _cuda_program
    else:
        wrap_step, wrap_program = _host_step, _host_program
    names = plain_names(kind)
    ours = {f"cuda_impl.{m}" for m in STEP_MODULES}
    for name, value in list(names.items()):
        if isinstance(value, types.FunctionType) and value.__module__ in ours:
            wrap = wrap_program if is_program(value) else wrap_step
            names[name] = wrap(_rebind(value, names, kind))
    return names


def is_program(function: Any) -> bool:
    """Whether a function is a program: a loop over rows start...stop."""
    code = function.__code__
    return function.__module__.removeprefix("cuda_impl.") in PROGRAM_MODULES and code.co_varnames[:2] == ("start", "stop")


def _rebind(function: types.FunctionType, names: dict[str, Any], kind: str) -> types.FunctionType:
    """The same function with its globals looked up in names; its qualified name carries target and source digest."""
    bound = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    bound.__module__ = function.__module__
    bound.__qualname__ = f"{function.__name__}.{kind}.{source_digest()}"
    bound.__doc__ = function.__doc__
    return bound


def _as_is(function: Callable) -> Callable:
    return function


def _host_step(function: Callable) -> Callable:
    from numba import njit

    return njit(error_model="numpy", nogil=True)(function)


def kept_on_disk(program: Any) -> Any:
    """A program of Numba with cache=True, which is compiled again where the disk is full or holds damaged code."""
    store = getattr(program, "_cache", None)
    if store is None:  # NUMBA_DISABLE_JIT
        return program
    load, save = store.load_overload, store.save_overload

    def load_overload(signature: Any, context: Any) -> Any:
        try:
            return load(signature, context)
        except Exception:  # a damaged pickle may raise anything
            with suppress(OSError):
                store.flush()
            return None

    def save_overload(signature: Any, compiled: Any) -> None:
        with suppress(OSError):
            save(signature, compiled)

    store.load_overload, store.save_overload = load_overload, save_overload
    return program


def _host_program(function: Callable) -> Callable:
    from numba import njit

    try:
        return kept_on_disk(njit(error_model="numpy", nogil=True, cache=True)(function))
    except RuntimeError:  # nowhere to write compiled code
        return njit(error_model="numpy", nogil=True)(function)


def _cuda_step(function: Callable) -> Callable:
    from numba import cuda

    return cuda.jit(device=True, forceinline=True)(function)


def _cuda_program(function: Callable) -> Callable:
    from numba import cuda

    if _simulated():
        return cuda.jit(function)
    try:
        return kept_on_disk(cuda.jit(lto=False, cache=True)(function))
    except RuntimeError:  # nowhere to write compiled code
        return cuda.jit(lto=False)(function)


def ptx(program: str, signature: Any, cc: tuple[int, int] = (9, 0)) -> str:
    """The PTX that a GPU of this compute capability runs for a program.

    signature  Numba types of all arguments, start and stop included
    """
    from numba import cuda

    return cuda.compile(namespace("gpu")[program].py_func, signature, cc=cc, device=False, abi="numba")[0]


def workers() -> int:
    """How many threads a host program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_host(function: Callable, rows: int, arguments: tuple, work: int) -> None:
    count = min(workers(), rows) if rows * work >= SMALL_WORK else 1
    if count <= 1:
        function(0, rows, *arguments)
        return
    edges = [rows * i // count for i in range(count + 1)]
    threads = [threading.Thread(target=function, args=(a, b, *arguments)) for a, b in zip(edges[1:-1], edges[2:])]
    for thread in threads:
        thread.start()
    function(edges[0], edges[1], *arguments)
    for thread in threads:
        thread.join()


def is_gpu_array(array: Any) -> bool:
    """Whether an array lies on a GPU and says so by __cuda_array_interface__."""
    return not isinstance(array, np.ndarray) and getattr(array, "__cuda_array_interface__", None) is not None


def gpu_array(array: Any) -> Any:
    """A view of a GPU array, without a copy."""
    return namespace("gpu")["cuda"].as_cuda_array(array)


def host_array(name: str, array: Any) -> Any:
    """What NumPy can read of an argument: a CPU tensor through DLPack without a copy, a GPU array copied.

    Raises   ParameterError for an array on a device that is neither
    """
    if isinstance(array, np.ndarray) or array is None:
        return array
    if type(array).__module__.partition(".")[0] == "torch" and getattr(array, "is_cuda", False):
        return array.detach().cpu().numpy()  # on its own device, in the order of torch's current stream
    if is_gpu_array(array):
        return gpu_array(array).copy_to_host()
    if hasattr(array, "__dlpack_device__") and hasattr(array, "__dlpack__"):
        device = int(array.__dlpack_device__()[0])
        if device != 1:
            raise ParameterError(name, f"an array on DLPack device {device}", "a CPU array or a CUDA array interface")
        return np.from_dlpack(array)
    return array
