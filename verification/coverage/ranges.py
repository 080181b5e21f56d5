"""The classes of moving ranges: floors, signs, zero points, multipliers at their ends.  [SPEC E, M-2, D]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.formats import IntFormat

RANGE = (
    "width floor",
    "amplitude floor",
    "wide",
    "both signs",
    "low end clipped to 0",
    "high end clipped to 0",
    "low end 0",
    "high end 0",
    "zero point at low",
    "zero point inside",
    "zero point at high",
)
MULTIPLIER = ("zero", "inside", "limit")


def range_events(rmin: Any, rmax: Any, zero_point: Any, fmt: IntFormat, symmetric: bool) -> dict[str, np.ndarray]:
    """Which events each range (rmin, rmax binary32) meets.  [SPEC E-2, E-3]"""
    rmin, rmax = np.asarray(rmin, np.float32), np.asarray(rmax, np.float32)
    zero_point = np.asarray(zero_point)
    if symmetric:
        floor = np.maximum(np.abs(rmin), np.abs(rmax)) < np.float32(2.0**-9)
        return {"amplitude floor": floor, "wide": ~floor}
    with np.errstate(all="ignore"):
        floor = np.maximum(rmax, np.float32(0)) - np.minimum(rmin, np.float32(0)) < np.float32(2.0**-8)
    return {
        "width floor": floor,
        "wide": ~floor,
        "both signs": (rmin < 0) & (rmax > 0),
        "low end clipped to 0": rmin > 0,
        "high end clipped to 0": rmax < 0,
        "low end 0": rmin == 0,
        "high end 0": rmax == 0,
        "zero point at low": zero_point == fmt.qmin,
        "zero point inside": (zero_point > fmt.qmin) & (zero_point < fmt.qmax),
        "zero point at high": zero_point == fmt.qmax,
    }


def derived(multiplier: Any, limit: int) -> np.ndarray:
    """Index into MULTIPLIER."""
    m = np.asarray(multiplier, np.int64)
    return np.where(m == 0, 0, np.where(m == limit, 2, 1))
