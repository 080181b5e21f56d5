"""Checked, read-only arrays: the payload of parameter sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat


def freeze(array: np.ndarray) -> np.ndarray:
    """A contiguous copy that cannot be written."""
    copy = np.array(array, order="C", copy=True)
    copy.setflags(write=False)
    return copy


def int_array(name: str, values: Any, fmt: IntFormat, shape: tuple[int | None, ...]) -> np.ndarray:
    """values as an int32 array of the given shape, every value inside fmt.

    shape    None stands for any size
    Raises   ParameterError naming the field: floats, booleans, a wrong shape, a value outside fmt (with its index)
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise ParameterError(name, f"an array of {array.dtype}", "integers")
    check_shape(name, array, shape)
    if array.size:
        low, high = int(array.min()), int(array.max())
        if low < fmt.qmin or high > fmt.qmax:
            bad = low if low < fmt.qmin else high
            index = tuple(int(i) for i in np.argwhere(array == bad)[0])
            raise ParameterError(f"{name}{list(index)}", bad, f"a code of {fmt} in [{fmt.qmin}, {fmt.qmax}]")
    return array.astype(np.int32)


def real_array(name: str, values: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """values as a float32 array of the given shape, all finite.

    Raises   ParameterError naming the field: another dtype than float32, a wrong shape, NaN or inf (with its index)
    """
    array = np.asarray(values)
    if array.dtype != np.float32:
        raise ParameterError(name, f"an array of {array.dtype}", "float32")
    check_shape(name, array, shape)
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ParameterError(f"{name}{list(index)}", str(array[index]), "a finite number")
    return array


def check_shape(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Raise ParameterError unless array has this shape; None stands for any size."""
    if array.ndim != len(shape) or any(s is not None and s != a for s, a in zip(shape, array.shape, strict=True)):
        wanted = "[" + ", ".join("any" if s is None else str(s) for s in shape) + "]"
        raise ParameterError(name, f"an array of shape {list(array.shape)}", f"shape {wanted}")


def checked_int(name: str, value: Any, low: int, high: int) -> int:
    """value as a Python int in [low, high]; a float, a boolean or anything else is refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise ParameterError(name, repr(value), "an integer")
    if not low <= int(value) <= high:
        raise ParameterError(name, int(value), f"an integer in [{low}, {high}]")
    return int(value)


def checked_real(name: str, value: Any) -> float:
    """value as a Python float that is exactly a finite binary32 number."""
    real = isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, (bool, np.bool_))
    try:
        number = float(value) if real else float("nan")
    except OverflowError:
        number = float("inf")
    with np.errstate(over="ignore"):
        exact = np.isfinite(number) and float(np.float32(number)) == number
    if not exact:
        raise ParameterError(name, repr(value)[:80], "a finite binary32 number")
    return number


def checked_scale(name: str, value: Any) -> float:
    """value as a Python float that is exactly a positive, finite binary32 number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise ParameterError(name, repr(value), "a positive binary32 number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    with np.errstate(over="ignore"):
        exact = np.isfinite(number) and number > 0 and float(np.float32(number)) == number
    if not exact:
        raise ParameterError(name, repr(number), "a positive, finite number that binary32 holds exactly")
    return number
