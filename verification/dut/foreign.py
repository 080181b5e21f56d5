"""Arrays of other libraries as NumPy arrays: DLPack, __cuda_array_interface__, or whatever NumPy takes.  No type is changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from verification.dut.failure import Failure

DLPACK_CPU = 1


def to_numpy(name: str, value: Any) -> np.ndarray:
    """value as a NumPy array on the host, with its own type and shape.

    value    a NumPy array or number, an array with __dlpack__ (torch, CuPy, JAX) on any device, an array with
             __cuda_array_interface__ (Numba, CuPy), a list of integers
    Raises   Failure (dtype) for what is none of these
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a tensor that may have a gradient or lie on a GPU
        value = value.detach().cpu()
    for convert in (_host_copy, _dlpack, _cuda):
        found = convert(name, value)
        if found is not None:
            return found
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise Failure("dtype", f"{name} is a {type(value).__name__} ({error}), expected an array of numbers") from None
    if array.dtype.kind not in "iufb":
        raise Failure("dtype", f"{name} is a {type(value).__name__}, expected an array of numbers")
    return array


def _host_copy(name: str, value: Any) -> np.ndarray | None:
    """By the method that the device libraries have: copy_to_host of Numba, get of CuPy."""
    if not hasattr(value, "__cuda_array_interface__"):
        return None
    for method in ("copy_to_host", "get"):
        if callable(getattr(value, method, None)):
            return np.asarray(getattr(value, method)())
    return None


def _dlpack(name: str, value: Any) -> np.ndarray | None:
    if not hasattr(value, "__dlpack__"):
        return None
    if value.__dlpack_device__()[0] == DLPACK_CPU:
        try:
            return np.from_dlpack(value)
        except (RuntimeError, BufferError, TypeError) as error:  # bfloat16, for one, which NumPy does not have
            kind = getattr(value, "dtype", "an unknown type")
            raise Failure("dtype", f"{name} is an array of {kind} ({error}), expected a type that NumPy has") from None
    return np.from_dlpack(value, device="cpu", copy=True)


def _cuda(name: str, value: Any) -> np.ndarray | None:
    if not hasattr(value, "__cuda_array_interface__"):
        return None
    from numba import cuda

    return cuda.as_cuda_array(value).copy_to_host()
