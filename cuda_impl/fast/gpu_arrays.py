"""Arrays on the GPU, whoever made them: torch's tensors, or anything with __cuda_array_interface__."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from cuda_impl import launch
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat


def torch_of(x: Any) -> Any:
    """The torch module when x is one of its tensors on a GPU, else None."""
    module = type(x).__module__
    if (module != "torch" and module.partition(".")[0] != "torch") or not x.is_cuda:
        return None
    return sys.modules["torch"]


@lru_cache(maxsize=64)
def torch_dtype(torch: Any, dtype: Any) -> Any:
    """torch's type of the name that a NumPy type has."""
    return getattr(torch, np.dtype(dtype).name)


def address(array: Any) -> int:
    """Where an array on the device begins."""
    pointer = getattr(array, "data_ptr", None)
    return int(pointer()) if pointer is not None else int(array.__cuda_array_interface__["data"][0])


@lru_cache(maxsize=1)
def _raw_stream(torch: Any) -> Callable[[int], int] | None:
    """What gives torch's current stream of a device as a number without an object for it, or None.

    torch does not document it, so it is only used where it is there and agrees with the documented way.
    """
    found = getattr(torch._C, "_cuda_getCurrentRawStream", None)
    if found is None:
        return None
    device = torch.cuda.current_device()
    try:
        agrees = found(device) == torch.cuda.current_stream(device).cuda_stream
    except Exception:  # whatever it may raise that takes something else
        return None
    return found if agrees else None


def torch_stream(torch: Any, device: int) -> int:
    """torch's current stream of a device, as the driver's number."""
    raw = _raw_stream(torch)
    return int(raw(device) if raw is not None else torch.cuda.current_stream(device).cuda_stream)


def kept_plans(plans: dict[Any, Any], most: int = 8) -> dict[Any, Any]:
    """The plans to keep when another one is to be made: all below `most`, else those that a caller's CUDA graph works with."""
    return plans if len(plans) < most else {key: plan for key, plan in plans.items() if plan.captured}


def stream_of(torch: Any, x: Any) -> int:
    """The caller's stream: torch's current one, else the one that the array names, else the default."""
    if torch is not None:
        return torch_stream(torch, torch.cuda.current_device())
    named = getattr(x, "__cuda_array_interface__", {}).get("stream")
    return 0 if named in (None, 1) else int(named)


def empty(torch: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An uninitialised array on the current device, of torch where the caller uses it."""
    if torch is not None:
        return torch.empty(shape, dtype=torch_dtype(torch, dtype), device="cuda")
    from numba import cuda

    return cuda.device_array(tuple(max(1, n) for n in shape), dtype) if 0 in shape else cuda.device_array(shape, dtype)


def output_codes(torch: Any, out: Any, x: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """The caller's array for codes, or a new one where out is None.

    torch    where x is one of its tensors; out is one on the same device then
    Raises   ParameterError for an array that a kernel cannot fill: another shape or type, not contiguous, not on the GPU
    """
    if out is None:
        return empty(torch, shape, dtype)
    if torch is not None:
        fits = isinstance(out, torch.Tensor) and out.device == x.device and _is_ready(out, shape, torch_dtype(torch, dtype))
    else:
        said = getattr(out, "__cuda_array_interface__", None) or {"typestr": "", "shape": (), "data": (0, True)}
        same = said["typestr"][1:] == np.dtype(dtype).str[1:] and tuple(said["shape"]) == shape
        fits = same and said.get("strides") is None and not said["data"][1]
    if not fits:
        found = f"{out.dtype} of shape {list(out.shape)}" if hasattr(out, "dtype") else type(out).__name__
        where = "in a tensor on the device of x" if torch is not None else "on the GPU"
        raise ParameterError("out", found, f"writable, contiguous {np.dtype(dtype)} codes of shape {list(shape)} {where}")
    return out


def fill(out: Any, codes: Any) -> Any:
    """out, a tensor or another array on the device, with the codes of an array there of the same shape and type.

    A tensor is filled in the order of torch's current stream, another array before this returns.
    """
    if hasattr(out, "copy_"):
        out.copy_(codes if hasattr(codes, "copy_") else sys.modules["torch"].as_tensor(codes, device=out.device))
    else:
        from numba import cuda

        launch.gpu_array(out).copy_to_device(codes)
        cuda.default_stream().synchronize()  # a caller's stream need not wait for the default one
    return out


def put(array: np.ndarray) -> Any:
    """A copy of a host array on the current device, there when this returns; an empty one has one element there."""
    from numba import cuda

    placed = cuda.to_device(np.ascontiguousarray(array) if array.size else np.zeros(1, array.dtype))
    cuda.default_stream().synchronize()  # a caller's stream need not wait for the default one
    return placed


def _is_ready(tensor: Any, shape: tuple[int, ...], dtype: Any) -> bool:
    """Whether a tensor is contiguous, of this type and, where it is not -1, of this shape."""
    found = tensor.shape
    if tensor.dtype != dtype or len(found) != len(shape) or not tensor.is_contiguous():
        return False
    for got, want in zip(found, shape):  # no generator: this is a part of every run
        if got != want and want >= 0:
            return False
    return True


def _comparable(torch: Any, array: Any, fmt: IntFormat) -> Any:
    """A tensor of integers in a type that has the bounds of a format: torch wraps a bound that the tensor's own type has not,
    and compares no unsigned numbers of more than 8 bits."""
    own = torch.iinfo(array.dtype)
    if own.min < 0 or own.bits == 8:
        return array if own.min <= fmt.qmin and fmt.qmax <= own.max else array.to(torch.int64)
    return array.to(torch.float64 if own.bits == 64 else torch.int64)


def codes_on_device(name: str, array: Any, shape: tuple[int, ...], fmt: IntFormat, dtype: np.dtype) -> Any:
    """Codes in a type of the format's width, contiguous on the device; a device array that is so already is not copied.

    Raises   ParameterError for a wrong shape or type, or a code outside the format  [SPEC F-3]
    """
    torch, full = torch_of(array), fmt.bits == 8 * dtype.itemsize
    if torch is not None and full and _is_ready(array, shape, torch_dtype(torch, dtype)):
        return array
    if torch is None and not launch.is_gpu_array(array):
        array = np.asarray(launch.host_array(name, array))
    found = tuple(int(n) for n in array.shape)
    if len(found) != len(shape) or any(want >= 0 and got != want for got, want in zip(found, shape)):
        raise ParameterError(name, f"an array of shape {list(found)}", f"shape {[n if n >= 0 else '?' for n in shape]}")
    if torch is not None:
        wanted = torch_dtype(torch, dtype)
        if array.dtype.is_floating_point or array.dtype.is_complex or array.dtype == torch.bool:
            raise ParameterError(name, f"a tensor of {array.dtype}", "integer codes")
        if not (full and array.dtype == wanted):
            codes = _comparable(torch, array, fmt)
            outside = (codes < fmt.qmin) | (codes > fmt.qmax)
            if bool(outside.any()):
                raise ParameterError(name, int(codes[outside][0]), f"a code in [{fmt.qmin}, {fmt.qmax}]")
        return array.to(wanted).contiguous()
    if launch.is_gpu_array(array):
        view = launch.gpu_array(array)
        if full and view.dtype == dtype and view.is_c_contiguous():
            return view
        array = view.copy_to_host()
    host = np.asarray(array)
    if host.dtype.kind not in "iu":
        raise ParameterError(name, f"an array of {host.dtype}", "integer codes")
    outside = (host < fmt.qmin) | (host > fmt.qmax)
    if outside.any():
        raise ParameterError(name, int(host[outside][0]), f"a code in [{fmt.qmin}, {fmt.qmax}]")
    return put(host.astype(dtype))
