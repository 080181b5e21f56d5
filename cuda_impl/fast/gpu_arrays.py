"""Arrays on the GPU, whoever made them: torch's tensors, or anything with __cuda_array_interface__."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from cuda_impl import launch
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat


def torch_of(x: Any) -> Any:
    """The torch module when x is one of its tensors on a GPU, else None."""
    if type(x).__module__.partition(".")[0] != "torch" or not x.is_cuda:
        return None
    return sys.modules["torch"]


def address(array: Any) -> int:
    """Where an array on the device begins."""
    return int(array.data_ptr()) if hasattr(array, "data_ptr") else int(array.__cuda_array_interface__["data"][0])


def stream_of(torch: Any, x: Any) -> int:
    """The caller's stream: torch's current one, else the one that the array names, else the default."""
    if torch is not None:
        return int(torch.cuda.current_stream().cuda_stream)
    named = getattr(x, "__cuda_array_interface__", {}).get("stream")
    return 0 if named in (None, 1) else int(named)


def empty(torch: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An uninitialised array on the current device, of torch where the caller uses it."""
    if torch is not None:
        return torch.empty(shape, dtype=getattr(torch, np.dtype(dtype).name), device="cuda")
    from numba import cuda

    return cuda.device_array(tuple(max(1, n) for n in shape), dtype) if 0 in shape else cuda.device_array(shape, dtype)


def put(array: np.ndarray) -> Any:
    """A copy of a host array on the current device, there when this returns; an empty one has one element there."""
    from numba import cuda

    placed = cuda.to_device(np.ascontiguousarray(array) if array.size else np.zeros(1, array.dtype))
    cuda.default_stream().synchronize()  # a caller's stream need not wait for the default one
    return placed


def codes_on_device(name: str, array: Any, shape: tuple[int, ...], fmt: IntFormat, dtype: np.dtype) -> Any:
    """Codes in a type of the format's width, contiguous on the device; a device array that is so already is not copied.

    Raises   ParameterError for a wrong shape or type, or a code outside the format  [SPEC F-3]
    """
    torch = torch_of(array)
    if torch is None and not launch.is_gpu_array(array):
        array = np.asarray(launch.host_array(name, array))
    found = tuple(int(n) for n in array.shape)
    if len(found) != len(shape) or any(want >= 0 and got != want for got, want in zip(found, shape)):
        raise ParameterError(name, f"an array of shape {list(found)}", f"shape {[n if n >= 0 else '?' for n in shape]}")
    full = fmt.bits == 8 * dtype.itemsize
    if torch is not None:
        wanted = getattr(torch, dtype.name)
        if array.dtype.is_floating_point or array.dtype == torch.bool:
            raise ParameterError(name, f"a tensor of {array.dtype}", "integer codes")
        if not (full and array.dtype == wanted) and bool(((array < fmt.qmin) | (array > fmt.qmax)).any()):
            bad = int(array[(array < fmt.qmin) | (array > fmt.qmax)][0])
            raise ParameterError(name, bad, f"a code in [{fmt.qmin}, {fmt.qmax}]")
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
