"""MinMax calibration: what every operator of the float network reaches.  [SPEC E-4]"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError, RangeError
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru.float_gru import FloatGru, run


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
