"""The search for the scale and offset of least squared error, clipped values counting three times.

The error of a histogram is that of values spread evenly over each bin, integrated exactly: a bin wider than a step of the
grid costs step**2 / 12 a value, a narrower one what its place on the grid says. So the same formula serves 2 and 16 bits.
"""

from __future__ import annotations

import numpy as np

from golden.ranges import exponent_minmax
from golden.spec.formats import IntFormat
from golden.spec.params import MAX_EXPONENT
from quant_gru.histogram import Histogram

CLIP_WEIGHT = 3.0
SCALES = 16  # raw candidates: the scale that clips nothing, times 1/16 ... 16/16
FINER = 4  # power-of-two candidates: the exponent that clips nothing, and up to 4 more: down to 1/16 too
OFFSETS = 21
LEAST_SCALE, GREATEST_SCALE = 2.0**-126, 2.0**127  # of binary32, about


def cost(histogram: Histogram, scale: float, zero_points: np.ndarray, fmt: IntFormat) -> np.ndarray:
    """float64 [Z]: the weighted squared error of the codes with this scale, for each zero point [Z]."""
    u = histogram.edges / scale  # in steps of the grid
    bottom = (fmt.qmin - zero_points)[:, None].astype(np.float64)
    top = (fmt.qmax - zero_points)[:, None].astype(np.float64)
    nearest = np.rint(np.clip(u[None, :], bottom, top))
    rest = u[None, :] - nearest
    # The integral of the squared error from 0: 1/12 for every step passed, and the rest; outside, cubes of the distance.
    inside = np.clip(rest, -0.5, 0.5)
    integral = nearest / 12 + inside**3 / 3
    outside = rest - inside
    integral += CLIP_WEIGHT * ((np.abs(rest) ** 3 - 0.125) / 3) * np.sign(outside) * (outside != 0)
    return (np.diff(integral, axis=1) * histogram.counts).sum(axis=1) * (scale**3 / histogram.width)


def offsets(histogram: Histogram, scale: float, fmt: IntFormat) -> np.ndarray:
    """int64: zero points from the one that just covers the least value to the one that just covers the greatest."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    first = fmt.qmin - np.clip(np.floor(low / scale + 0.5), -(2.0**31), 0)
    last = fmt.qmax - np.clip(np.floor(high / scale + 0.5), 0, 2.0**31)
    between = np.rint(np.linspace(first, last, OFFSETS))
    return np.unique(np.clip(between, fmt.qmin, fmt.qmax).astype(np.int64))[:: 1 if first <= last else -1]


def _best(histogram: Histogram, scales: list[float], fmt: IntFormat, is_symmetric: bool) -> tuple[float, int]:
    best: tuple[float, float, int] | None = None
    for scale in scales:
        points = np.zeros(1, np.int64) if is_symmetric else offsets(histogram, scale, fmt)
        costs = cost(histogram, scale, points, fmt)
        k = int(costs.argmin())
        if best is None or costs[k] < best[0]:
            best = float(costs[k]), scale, int(points[k])
    assert best is not None
    return best[1], best[2]


def _widest(histogram: Histogram, fmt: IntFormat, is_symmetric: bool) -> float:
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    return max(-low, high) / fmt.qmax if is_symmetric else (high - low) / (fmt.qmax - fmt.qmin)


def search(histogram: Histogram, fmt: IntFormat, is_symmetric: bool) -> tuple[float, int]:
    """(scale, zero point) of least cost among SCALES scales, from the one that clips nothing down, and OFFSETS offsets.

    The zero point lies in the format, so zero is representable. Of equal costs the widest scale wins. The scale of a
    histogram of zeros, or of values next to zero, is 0; one that binary32 does not hold is given as it is, to be refused.
    """
    widest = _widest(histogram, fmt, is_symmetric)
    if not LEAST_SCALE <= widest <= GREATEST_SCALE:
        return (0.0 if widest < 1 else widest), 0 if is_symmetric else fmt.qmin
    return _best(histogram, [widest * i / SCALES for i in range(SCALES, 0, -1)], fmt, is_symmetric)


def search_power_of_two(histogram: Histogram, least: int, fmt: IntFormat, is_symmetric: bool) -> tuple[int, int]:
    """(exponent, zero point) of least cost among the exponents from least, which clips nothing, to FINER more.  [SPEC E-4]"""
    exponents = range(least, min(least + FINER, MAX_EXPONENT) + 1)
    scale, zero_point = _best(histogram, [2.0**-e for e in exponents], fmt, is_symmetric)
    return exponent_minmax(scale), zero_point


def channel_exponents(values: np.ndarray, least: np.ndarray, fmt: IntFormat) -> np.ndarray:
    """int32 [M]: for each channel of values [K,M] the exponent of least cost, of least[m] and up to FINER more."""
    wide = values.astype(np.float64)
    candidates = np.minimum(least[None, :].astype(np.int64) + np.arange(FINER + 1)[:, None], MAX_EXPONENT)
    costs = []
    for exponents in candidates:
        steps = np.ldexp(wide, exponents)
        codes = np.rint(np.clip(steps, fmt.qmin, fmt.qmax))
        clipped = (steps < fmt.qmin - 0.5) | (steps > fmt.qmax + 0.5)
        error = np.ldexp(steps - codes, -exponents) ** 2
        costs.append((error * np.where(clipped, CLIP_WEIGHT, 1.0)).sum(axis=0))
    return np.take_along_axis(candidates, np.argmin(costs, axis=0)[None, :], axis=0)[0].astype(np.int32)
