"""Calibration: what every operator of the float network reaches, over batches.  [SPEC E-4]"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import IntFormat
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru.calibrate_choice import Choice, minmax_choice, minmax_exponents
from quant_gru.float_gru import FloatGru, run
from quant_gru.observers import PERCENTILE, Observers

ROWS = 16  # of every matrix product while calibrating


@dataclass(frozen=True)
class Ranges:
    """operator -> (least, greatest) real value, for the operators of golden.spec.layout.OPERATOR_FIELDS.

    Weights and biases are not among them: their ranges come from the network itself.
    """

    operators: Mapping[str, tuple[float, float]]

    def __getitem__(self, operator: str) -> tuple[float, float]:
        return self.operators[operator]

    def union(self, other: Ranges | None) -> Ranges:
        """The least ranges that hold both."""
        if other is None:
            return self
        return Ranges({k: (min(lo, other[k][0]), max(hi, other[k][1])) for k, (lo, hi) in self.operators.items()})

    def choose(self, operator: str, fmt: IntFormat, is_symmetric: bool, *, power_of_two: bool = True) -> Choice:
        """MinMax: no value in the range is clipped."""
        return minmax_choice(*self[operator], fmt, is_symmetric)

    def channel_exponents(self, operator: str, values: np.ndarray, fmt: IntFormat) -> np.ndarray:
        """int32 [M]: MinMax for each channel of a weight [K,M] or bias [M]."""
        return minmax_exponents(operator, values, fmt)


def observe(fields: Mapping[str, np.ndarray]) -> Ranges:
    """The ranges of one run.

    fields   what quant_gru.float_gru.run returns, T > 0
    Raises   RangeError naming the operator when it is NaN or inf
    """
    found = {}
    for operator, name in OPERATOR_FIELDS.items():
        values = fields[name]
        if values.size == 0:
            raise ParameterError(operator, f"an array of shape {list(values.shape)}", "at least one step to calibrate on")
        lo, hi = float(values.min()), float(values.max())
        for value in (lo, hi):
            if not np.isfinite(value):
                raise RangeError(operator, value)
        found[operator] = (lo, hi)
    return Ranges(found)


def calibrate(gru: FloatGru, batches: Iterable[Any], *, reverse: bool = False) -> Ranges:
    """The union of the ranges over all batches and steps.

    batches  each an x [T,N,C], or a pair (x, h0) with h0 [N,H] or None
    Returns  Ranges; the range of input.h holds the initial states too
    Raises   ParameterError without a batch, RangeError for NaN or inf
    """
    ranges: Ranges | None = None
    for batch in batches:
        x, h0 = batch if isinstance(batch, tuple) else (batch, None)
        ranges = observe(run(gru, x, h0, reverse=reverse)).union(ranges)
    if ranges is None:
        raise ParameterError("calibration data", "empty", "at least one batch")
    return ranges


def collect(
    gru: FloatGru,
    batches: Iterable[Any],
    method: str = "histogram",
    *,
    percentile: float = PERCENTILE,
    ema: bool = False,
    reverse: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Observers:
    """The statistics of all operators over all batches and steps, ready for quant_gru.build.

    batches  each an x [T,N,C], or a pair (x, h0) with h0 [N,H] or None; arrays or torch tensors. A tensor on a GPU is run and
             counted there in float64, which gives the same exponents
    method, percentile, ema  as in quant_gru.observers.Observers
    advance  called with 1 after every batch, for a progress bar
    Returns  Observers; without ema the same, bit for bit, in any order of the batches and for any way of cutting the rows
             into batches
    Raises   ParameterError without a batch, RangeError naming the operator for NaN or inf
    """
    observers = Observers(method, percentile, ema)
    for batch in batches:
        x, h0 = batch if isinstance(batch, tuple) else (batch, None)
        fields = _run(gru, x, h0, reverse)
        observers.observe(by_operator(fields), reverse=reverse)
        if advance is not None:
            advance(1)
    if observers.empty:
        raise ParameterError("calibration data", "empty", "at least one batch")
    return observers


def _run(gru: FloatGru, x: Any, h0: Any, reverse: bool) -> Mapping[str, Any]:
    if hasattr(x, "detach") and x.device.type != "cpu":
        from quant_gru.calibrate_torch import run_tensor

        return run_tensor(gru, x, h0, reverse=reverse)
    x, h0 = (v.detach() if hasattr(v, "detach") else v for v in (x, h0))
    return run_rows(gru, x, h0, reverse=reverse)


def by_operator(fields: Mapping[str, Any]) -> dict[str, Any]:
    """operator -> values, from the intermediates of quant_gru.float_gru.run."""
    return {operator: fields[name] for operator, name in OPERATOR_FIELDS.items()}


def run_rows(gru: FloatGru, x: Any, h0: Any = None, *, reverse: bool = False) -> dict[str, np.ndarray]:
    """quant_gru.float_gru.run in binary64, each row with the same bits whatever the batch around it.

    A matrix product may add in another order when it has another number of rows; here all have ROWS, filled up with zeros.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 3 or x.shape[1] < 1:
        raise ParameterError("x", f"an array of shape {list(x.shape)}", "shape [T, N, C] with N > 0")
    steps, batch = x.shape[:2]
    start = np.zeros((batch, gru.hidden_size)) if h0 is None else np.asarray(h0, np.float64)
    if start.shape != (batch, gru.hidden_size):
        raise ParameterError("h0", f"an array of shape {list(start.shape)}", f"shape [{batch}, {gru.hidden_size}]")
    blocks = []
    for first in range(0, batch, ROWS):
        rows = min(ROWS, batch - first)
        block_x, block_h = np.zeros((steps, ROWS, x.shape[2])), np.zeros((ROWS, gru.hidden_size))
        block_x[:, :rows], block_h[:rows] = x[:, first : first + rows], start[first : first + rows]
        fields = run(gru, block_x, block_h, reverse=reverse)
        blocks.append({name: values[:, :rows] for name, values in fields.items()})
    return {name: np.concatenate([b[name] for b in blocks], axis=1) for name in blocks[0]}
