"""gpu_real's operations in NumPy, on numbers or arrays, each rounded as IEEE 754 has it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_real
from cuda_impl.fast.gpu_layout import REAL_TABLE

float32, float64, int32 = np.float32, np.float64, np.int32


def fused(a: Any, b: Any, c: Any) -> Any:
    """a * b + c of binary32, rounded once: binary64 has the product, the sum is rounded to odd there and then to binary32."""
    product, added = float64(a) * float64(b), float64(c)
    total = product + added
    part = total - product
    error = (product - (total - part)) + (added - part)
    even = np.asarray(total).view(np.int64) & 1 == 0
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return float32(np.where((error != 0) & even, odd, total))


def to_unit(v: Any) -> Any:
    return float32(np.minimum(np.maximum(v, float32(0)), float32(1)))


def operations(read: Any) -> SimpleNamespace:
    """What takes the place of gpu_real's operations; read(byte address) gives int32 from shared memory."""
    return SimpleNamespace(
        real_of=lambda value: float32(int32(value)),
        as_real=lambda bits: int32(bits).view(float32),
        bits_of=lambda value: float32(value).view(int32),
        fused=fused,
        plus=lambda a, b: float32(a + b),
        minus=lambda a, b: float32(a - b),
        plus_unit=lambda a, b: to_unit(float32(a + b)),
        minus_unit=lambda a, b: to_unit(float32(a - b)),
        load_table=lambda gate: lambda at: int32(read(at + 4 * REAL_TABLE * gate)).view(float32),
    )


def replace_operations(monkeypatch: Any, read: Any) -> None:
    """For the length of a test."""
    for name, operation in vars(operations(read)).items():
        monkeypatch.setattr(gpu_real, name, operation)
