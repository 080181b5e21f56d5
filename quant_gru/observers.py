"""Statistics of every operator over batches, and the ranges that each calibration method makes of them.

The statistics are kept whole, so a method may be chosen or changed after the data has passed. They do not depend on the
order of the batches or on how the data was cut into them; only the moving ranges of method "minmax" with ema=True do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.ranges import ema as moving_average
from golden.ranges import extremes
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru import sqnr
from quant_gru.calibrate_choice import Choice, minmax_choice, minmax_exponents
from quant_gru.histogram import EMPTY, Histogram, checked_percentile, count

METHODS = ("minmax", "histogram", "percentile")
SPELLINGS = {"sqnr": "histogram"}
PERCENTILE = 99.99
MOVING = ("input.x", "input.h")


def checked_method(method: Any) -> str:
    """The method under its first name; "sqnr" is "histogram".

    Raises   ParameterError for any other
    """
    name = SPELLINGS.get(method, method) if isinstance(method, str) else method
    if name not in METHODS:
        raise ParameterError("calibration method", repr(method), "histogram (or sqnr), minmax or percentile")
    return str(name)


@dataclass
class Observers:
    """What was seen of the operators of golden.spec.layout.OPERATOR_FIELDS, and the method that makes ranges of it.

    method      "histogram" (least squared error, clipped values counting three times), "minmax" or "percentile"
    percentile  of method "percentile": in (50, 100], how much of the values lies inside at each end
    ema         of method "minmax": input.x and input.h by the moving average of E-1 over steps, not by plain extremes
    histograms  operator -> Histogram
    moving      operator -> (rmin, rmax) of E-1, for input.x and input.h
    """

    method: str = "histogram"
    percentile: float = PERCENTILE
    ema: bool = False
    histograms: dict[str, Histogram] = field(default_factory=lambda: dict.fromkeys(OPERATOR_FIELDS, EMPTY))
    moving: dict[str, tuple[np.float32, np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.method = checked_method(self.method)
        self.percentile = checked_percentile(self.percentile)
        if not isinstance(self.ema, (bool, np.bool_)):
            raise ParameterError("ema", repr(self.ema), "true or false")
        self.ema = bool(self.ema)

    def observe(
        self, values: Mapping[str, Any], *, reverse: bool = False, steps: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Take in the values of a run; nothing is taken when one of them is refused.

        values   operator -> real values of any shape, NumPy arrays or torch tensors; every operator of OPERATOR_FIELDS.
                 For ema input.x is [T,...] and input.h [T+1,...], as quant_gru.float_gru.run gives them, reverse included
        steps    for ema, where values do not show their steps: what step_extremes gives of input.x and input.h
        Raises   ParameterError: an operator is missing or has no values; RangeError naming the operator: NaN or inf
        """
        for name in OPERATOR_FIELDS:
            if name not in values:
                raise ParameterError("observed values", f"without {name}", "values of every operator")
            if 0 in values[name].shape:
                raise ParameterError(name, f"an array of shape {list(values[name].shape)}", "at least one step to calibrate on")
        found = {name: count(values[name], name=name) for name in OPERATOR_FIELDS}
        if self.ema:
            self.observe_steps({n: step_extremes(n, values[n], reverse=reverse) for n in MOVING} if steps is None else steps)
        self.histograms = {name: self.histograms[name].merge(found[name]) for name in OPERATOR_FIELDS}

    def observe_steps(self, steps: Mapping[str, np.ndarray]) -> None:
        """Carry the moving ranges on.  [SPEC E-1]

        steps    operator -> float32 [S,2], least and greatest value of each step in the order of processing
        """
        for name, ends in steps.items():
            for low, high in ends:
                known = self.moving.get(name)
                self.moving[name] = (low, high) if known is None else moving_average(*known, low, high)

    def merge(self, other: Observers) -> Observers:
        """The statistics of both, under the method of self; moving averages have an order and are refused."""
        if self.moving or other.moving:
            raise ParameterError("merge", "asked of moving ranges", "observers without ema, an average over steps has an order")
        both = {name: self.histograms[name].merge(other.histograms[name]) for name in OPERATOR_FIELDS}
        return Observers(self.method, self.percentile, self.ema, both)

    def using(self, method: str, percentile: float | None = None, *, ema: bool | None = None) -> Observers:
        """The same statistics under another method; None leaves a setting as it is."""
        percentile = self.percentile if percentile is None else percentile
        ema = self.ema if ema is None else ema
        return Observers(method, percentile, ema, dict(self.histograms), dict(self.moving))

    @property
    def empty(self) -> bool:
        """Whether nothing was seen."""
        return not any(h.total for h in self.histograms.values())

    @property
    def operators(self) -> dict[str, tuple[float, float]]:
        """operator -> the extremes that were seen."""
        return {name: self[name] for name in OPERATOR_FIELDS}

    def __getitem__(self, operator: str) -> tuple[float, float]:
        seen = self._seen(operator)
        return seen.low, seen.high

    def choose(self, operator: str, fmt: IntFormat, is_symmetric: bool, *, power_of_two: bool = True) -> Choice:
        """The range of an operator in a format, by the method.  [SPEC E-4]

        power_of_two  method "histogram": whether the scales that are tried are powers of two, as the builder of datapath P
                      wants them, or sixteenths of the scale that clips nothing
        Raises        ParameterError when nothing was seen
        """
        seen = self._seen(operator)
        if self.method == "minmax":
            low, high = (seen.low, seen.high)
            if self.ema and operator in MOVING:
                if operator not in self.moving:
                    raise ParameterError(f"moving range of {operator}", "missing", "data that was taken in with ema")
                low, high = (float(end) for end in self.moving[operator])
            return minmax_choice(float(low), float(high), fmt, is_symmetric)
        if self.method == "percentile":
            return minmax_choice(*seen.percentile(self.percentile), fmt, is_symmetric)
        if power_of_two:
            least, _ = minmax_choice(seen.low, seen.high, fmt, is_symmetric).power_of_two(operator, fmt, is_symmetric)
            exponent, zero_point = sqnr.search_power_of_two(seen, least, fmt, is_symmetric)
            scale = 2.0**-exponent
        else:
            scale, zero_point = sqnr.search(seen, fmt, is_symmetric)
        bottom = -fmt.qmax if is_symmetric and fmt.signed else fmt.qmin
        return Choice((bottom - zero_point) * scale, (fmt.qmax - zero_point) * scale, scale, nearest=True)

    def channel_exponents(self, operator: str, values: np.ndarray, fmt: IntFormat) -> np.ndarray:
        """int32 [M]: the exponents of a weight [K,M] or bias [M].  [SPEC E-4]

        Method "histogram" searches the weights of a channel as they are; biases have one value a channel, which only MinMax
        cannot clip, and method "percentile" leaves weights to MinMax too.
        """
        least = minmax_exponents(operator, values, fmt)
        if self.method != "histogram" or values.ndim != 2:
            return least
        return sqnr.channel_exponents(values, least, fmt)

    def state(self) -> dict[str, np.ndarray]:
        """Everything as arrays, for a state dict or an .npz file; from_state is its inverse."""
        seen = [self.histograms[name] for name in OPERATOR_FIELDS]
        return {
            "method": np.array(METHODS.index(self.method), np.int64),
            "percentile": np.array(self.percentile, np.float64),
            "ema": np.array(int(self.ema), np.int64),
            "counts": np.stack([h.counts for h in seen]),
            "width_exponents": np.array([h.width_exponent for h in seen], np.int64),
            "starts": np.array([h.start for h in seen], np.int64),
            "extremes": np.array([(h.low, h.high) for h in seen], np.float64),
            "moving": np.array([self.moving.get(name, (np.nan, np.nan)) for name in MOVING], np.float32),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Observers:
        """The observers of a state; arrays, or anything that NumPy takes for one.

        Raises   ParameterError naming the entry: missing, of another shape or kind, or not what state() gives
        """
        from quant_gru.observers_state import read_state

        return cls(**read_state(state))

    def _seen(self, operator: str) -> Histogram:
        if operator not in self.histograms:
            raise ParameterError("operator", repr(operator), "an operator of golden.spec.layout.OPERATOR_FIELDS")
        if not self.histograms[operator].total:
            raise ParameterError(operator, "without calibration data", "at least one batch to calibrate on")
        return self.histograms[operator]


def step_extremes(name: str, values: Any, *, reverse: bool = False, valid: np.ndarray | None = None) -> np.ndarray:
    """float32 [S,2]: the least and greatest value of each step, in the order in which a run processes them.

    name     input.x with values [T,N,C], or input.h with values [T+1,N,H], the initial state first, as quant_gru.float_gru.run
             gives them
    reverse  whether the run goes from T-1 to 0
    valid    bool [T,N]: the rows of each step that count, at least one; the initial state counts whole
    Raises   RangeError naming the operator and step for NaN or inf
    """
    with np.errstate(over="ignore"):  # beyond binary32 is inf, and refused
        array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, np.float32)
    if valid is not None:
        valid = np.concatenate([np.ones_like(valid[:1]), valid]) if name == "input.h" else valid
    order = np.arange(len(array))
    if reverse:
        order = np.concatenate([order[:1], order[:0:-1]]) if name == "input.h" else order[::-1]
    rows = (array[t] if valid is None else array[t][valid[t]] for t in order)
    return np.array([extremes(step, tensor=name, step=i) for i, step in enumerate(rows)], np.float32).reshape(-1, 2)
