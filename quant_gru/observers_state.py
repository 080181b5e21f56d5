"""The state of observers, read back and checked entry by entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.spec.arrays import check_shape, checked_int
from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru.histogram import BINS, EMPTY, Histogram, window
from quant_gru.observers import METHODS, MOVING

_N = len(OPERATOR_FIELDS)
SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "method": ("iu", ()),
    "percentile": ("f", ()),
    "ema": ("iu", ()),
    "counts": ("iu", (_N, BINS)),
    "width_exponents": ("iu", (_N,)),
    "starts": ("iu", (_N,)),
    "extremes": ("f", (_N, 2)),
    "moving": ("f", (len(MOVING), 2)),
}


def read_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of Observers from what Observers.state gave.

    Raises   ParameterError naming the entry
    """
    arrays: dict[str, np.ndarray] = {}
    for name, (kinds, shape) in SHAPES.items():
        if name not in state:
            raise ParameterError(f"calibration {name}", "missing", "an array as Observers.state gives it")
        array = np.asarray(state[name])
        if array.dtype.kind not in kinds:
            raise ParameterError(f"calibration {name}", f"an array of {array.dtype}", "integers" if kinds == "iu" else "reals")
        check_shape(f"calibration {name}", array, shape)
        arrays[name] = array
    moving = {}
    for name, pair in zip(MOVING, arrays["moving"].astype(np.float32)):
        if np.isfinite(pair).all():
            moving[name] = (pair[0], pair[1])
        elif not np.isnan(pair).all():
            raise ParameterError("calibration moving", str(pair.tolist()), "two finite numbers, or NaN for none")
    return {
        "method": METHODS[checked_int("calibration method", arrays["method"][()], 0, len(METHODS) - 1)],
        "percentile": float(arrays["percentile"]),
        "ema": bool(checked_int("calibration ema", arrays["ema"][()], 0, 1)),
        "histograms": {name: _histogram(name, arrays, i) for i, name in enumerate(OPERATOR_FIELDS)},
        "moving": moving,
    }


def _histogram(name: str, arrays: Mapping[str, np.ndarray], i: int) -> Histogram:
    counts = arrays["counts"][i].astype(np.int64)
    low, high = (float(v) for v in arrays["extremes"][i])
    exponent, start = int(arrays["width_exponents"][i]), int(arrays["starts"][i])
    if counts.min() < 0:
        raise ParameterError(f"calibration counts of {name}", int(counts.min()), "counts of at least 0")
    if not counts.any():
        return EMPTY
    if not (np.isfinite((low, high)).all() and low <= high):
        raise ParameterError(f"calibration extremes of {name}", f"[{low}, {high}]", "two finite numbers in order")
    if (exponent, start) != window(low, high):
        raise ParameterError(f"calibration bins of {name}", f"2**{exponent} from {start}", f"those of [{low}, {high}]")
    return Histogram(counts, exponent, start, low, high)
