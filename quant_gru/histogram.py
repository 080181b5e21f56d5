"""Histograms of reals that can be merged exactly: what they hold depends on the values seen, not on how they were cut.

A bin is [k * 2**j, (k + 1) * 2**j). Zero is always a bin edge and always inside the window of 2048 bins. j is the least
exponent at which the window holds every value and zero; when the range grows, pairs of bins become one (k >> 1) and no count
is lost or moved. So the histogram of a union is the merge of the histograms, in any order, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError, RangeError

BINS = 2048
MIN_WIDTH_EXPONENT = -60


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of values in 2048 bins whose width is a power of two.

    counts  int64 [2048]; counts[i] values v have floor(v / 2**width_exponent) = start + i
    width_exponent  j
    start   index of the first bin, 0 or negative
    low, high  the exact extremes; inf and -inf when nothing was seen
    """

    counts: np.ndarray
    width_exponent: int
    start: int
    low: float
    high: float

    @property
    def total(self) -> int:
        """How many values were seen."""
        return int(self.counts.sum())

    @property
    def width(self) -> float:
        """2**width_exponent"""
        return 2.0**self.width_exponent

    @property
    def edges(self) -> np.ndarray:
        """float64 [2049]: the bin edges, exact."""
        with np.errstate(over="ignore"):  # the last edge of values next to the end of binary64 is inf
            return np.ldexp(np.arange(self.start, self.start + BINS + 1, dtype=np.float64), self.width_exponent)

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both sets of values."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        exponent, start = window(low, high)
        counts = _moved(self, exponent, start) + _moved(other, exponent, start)
        return Histogram(counts, exponent, start, low, high)

    def percentile(self, percent: float) -> tuple[float, float]:
        """(low, high): the range that leaves (100 - percent) % of the values outside at each end.

        An end is an edge of the bin that the quantile is in, the outer one, and no further out than the extreme that was
        seen: off by less than a bin, which is at most 1/1023 of the range (zero included). 100 gives the extremes.

        percent  in (50, 100]
        """
        percent = checked_percentile(percent)
        if not self.total:
            raise ParameterError("percentile", "asked of an empty histogram", "at least one value")
        outside = math.floor(self.total * (100 - percent) / 100)
        cumulative = np.cumsum(self.counts)
        first = int(np.searchsorted(cumulative, outside, side="right"))
        last = int(np.searchsorted(cumulative, self.total - outside, side="left"))
        edges = self.edges
        return max(float(edges[first]), self.low), min(float(edges[last + 1]), self.high)


def checked_percentile(percent: Any) -> float:
    """A number, Python's or NumPy's, in (50, 100] as a Python float.

    Raises   ParameterError for any other, or for what is no number
    """
    real = isinstance(percent, (int, float, np.integer, np.floating)) and not isinstance(percent, bool)
    if not real or not 50 < percent <= 100:
        raise ParameterError("percentile", repr(percent), "a number above 50 and at most 100")
    return float(percent)


EMPTY = Histogram(np.zeros(BINS, np.int64), MIN_WIDTH_EXPONENT, 0, math.inf, -math.inf)


def window(low: float, high: float) -> tuple[int, int]:
    """(width_exponent, start) of the bins for values in [low, high], zero included."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return MIN_WIDTH_EXPONENT, 0
    exponent = max(math.frexp(max(high, -low))[1] - 11, MIN_WIDTH_EXPONENT)
    while _bin(high, exponent) - _bin(low, exponent) >= BINS:
        exponent += 1
    return exponent, _bin(low, exponent)


def _bin(value: float, exponent: int) -> int:
    """floor(value / 2**exponent), also where the quotient underflows."""
    index = math.floor(math.ldexp(value, -exponent))
    return -1 if value < 0 and index == 0 else index


def count(values: Any, *, name: str = "values") -> Histogram:
    """The histogram of an array, taken as float64; of a torch tensor on its own device, with the same counts.

    values   real numbers of any shape; an empty array gives EMPTY
    Raises   RangeError naming name when one is NaN or inf
    """
    if type(values).__module__.partition(".")[0] == "torch":
        from quant_gru.histogram_torch import count_tensor

        return count_tensor(values, name=name)
    flat = np.asarray(values, np.float64).reshape(-1)
    if not flat.size:
        return EMPTY
    low, high = float(flat.min()), float(flat.max())
    finite_range(low, high, name)
    exponent, start = window(low, high)
    bins = np.floor(flat * 2.0**-exponent)
    if exponent > 0:
        bins[(flat < 0) & (bins == 0)] = -1  # a product that underflowed
    bins -= start
    return Histogram(np.bincount(bins.astype(np.int64), minlength=BINS), exponent, start, low, high)


def finite_range(low: float, high: float, name: str) -> None:
    """Raise RangeError naming name unless both ends, and so every value, are finite."""
    for value in (low, high):
        if not math.isfinite(value):
            raise RangeError(name, value)


def _moved(histogram: Histogram, exponent: int, start: int) -> np.ndarray:
    """The counts in wider bins."""
    out = np.zeros(BINS, np.int64)
    used = np.flatnonzero(histogram.counts)
    shift = min(exponent - histogram.width_exponent, 62)
    np.add.at(out, ((histogram.start + used) >> shift) - start, histogram.counts[used])
    return out
