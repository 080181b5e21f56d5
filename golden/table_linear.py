"""Piecewise linear tables: the least error that fits into the segments.  [SPEC A-3, A-5]

For a tolerance E every input leaves room for outputs in [ideal - E, ideal + E]. Segments are laid from left to right, each
as long as some rising line stays in that room; E is bisected for the least one that needs no more than the segments given.
A segment starts no lower than the one before it ended, so the table is monotone by construction.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from math import floor, frexp

import numpy as np

from golden.spec.formats import INT32, IntFormat
from golden.table_evaluate import line

OVERSHOOT = 1 << 18
FINE_BITS = 12
MARGIN = 2.0**-46
Segment = tuple[int, int, int, int]


@dataclass(frozen=True)
class Curve:
    """The codes to approximate: codes[i] is wanted at d[i], with outputs never outside [floor, ceiling]."""

    codes: np.ndarray
    d: np.ndarray
    floor: int
    ceiling: int
    fmt: IntFormat


@dataclass(frozen=True)
class Room:
    """Twice the least and the greatest real value that a line may take before rounding, at the inputs that decide.

    keys         int64, ascending indices: where the codes enter and leave a step of tolerance / 4
    points       (d, low, high) at each key, in Python integers
    """

    keys: np.ndarray
    low: np.ndarray
    high: np.ndarray
    key_list: list[int]
    points: list[tuple[int, int, int]]


def fit(c: Curve, limit: int, expected: int) -> list[Segment]:
    """(first index, slope, shift, intercept) of at most limit segments with the least tolerance."""
    best = lay(c, 0, limit)
    if best is not None:
        return best
    infeasible, tolerance = 0, max(1, expected)
    while True:
        best = lay(c, tolerance, limit)
        if best is not None:
            break
        infeasible, tolerance = tolerance, 2 * tolerance
    while tolerance - infeasible > 1 + tolerance // 64:
        middle = (tolerance + infeasible) // 2
        found = lay(c, middle, limit)
        if found is None:
            infeasible = middle
        else:
            best, tolerance = found, middle
    return best


def lay(c: Curve, tolerance: int, limit: int) -> list[Segment] | None:
    """Segments within the tolerance, or None when limit does not suffice."""
    room = _room(c, tolerance)
    out: list[Segment] = []
    start, reached = 0, c.fmt.qmin
    while start < len(c.codes):
        if len(out) == limit:
            return None
        last, segment = _segment(c, room, tolerance, start, reached)
        out.append(segment)
        y = int(line(c.d[last : last + 1], *segment[1:])[0])
        reached = min(max(y, c.fmt.qmin), c.fmt.qmax)
        start = last + 1
    return out


def _room(c: Curve, tolerance: int) -> Room:
    """A rising line inside the room at the first and the last input of a step is off by less than a step between them."""
    steps = c.codes >> min(max(0, c.fmt.bits - FINE_BITS), max(0, tolerance.bit_length() - 3))
    change = np.flatnonzero(np.diff(steps))
    keys = np.unique(np.concatenate([[0], change, change + 1, [len(c.codes) - 1]]))
    codes = c.codes[keys]
    low, high = np.maximum(codes - tolerance, c.floor), np.minimum(codes + tolerance, c.ceiling)
    low = np.where(low <= c.fmt.qmin, c.fmt.qmin - OVERSHOOT, low)
    high = np.where(high >= c.fmt.qmax, c.fmt.qmax + OVERSHOOT, high)
    low, high = 2 * low - 1, 2 * high + 1
    return Room(keys, low, high, keys.tolist(), list(zip(c.d[keys].tolist(), low.tolist(), high.tolist())))


def _segment(c: Curve, room: Room, tolerance: int, start: int, reached: int) -> tuple[int, Segment]:
    """The last index and the line of the longest segment from start whose outputs are at least reached."""
    wanted = int(c.codes[start])
    low = max(wanted - tolerance, c.floor, reached)
    high = min(wanted + tolerance, c.ceiling)
    lowest = c.fmt.qmin - OVERSHOOT if low <= c.fmt.qmin else low
    highest = c.fmt.qmax + OVERSHOOT if high >= c.fmt.qmax else high
    first = (int(c.d[start]), 2 * lowest - 1, 2 * highest + 1)
    next_key = bisect_right(room.key_list, start)
    count, least, most = _reach(first, room.points, next_key)
    index = np.concatenate([[start], room.keys[next_key : next_key + count]])
    d = c.d[index]
    lows = np.concatenate([[first[1]], room.low[next_key : next_key + count]])
    highs = np.concatenate([[first[2]], room.high[next_key : next_key + count]])

    codes = c.codes[index]
    chord = float(codes[-1] - codes[0]) / float(d[-1] - d[0]) if count else 0.0
    slope = min(max(chord, 0.0, least), most)
    over = lows - 2.0 * slope * d
    under = highs - 2.0 * slope * d
    middle = (float(over.max()) + float(under.min())) / 4.0
    best: tuple[int, int, int, int] | None = None
    near = floor(middle)
    for intercept in (near, near + 1, near - 1, near + 2):
        if INT32.qmin <= intercept <= INT32.qmax:
            length, s, n = _slope(d, lows - 2 * intercept, highs - 2 * intercept, codes)
            if length and (best is None or length > best[0]):
                best = length, s, n, intercept
                if length == len(index):
                    break
    if best is None:
        return start, (start, 0, 0, min(max(wanted, low), high))
    length, s, n, intercept = best
    return int(index[length - 1]), (start, s, n, intercept)


def _reach(first: tuple[int, int, int], points: list[tuple[int, int, int]], begin: int) -> tuple[int, float, float]:
    """How many points from begin one line can serve after first, and the least and greatest slope of such a line.

    A point (x, low, high) is served when low <= line(x) <= high. The two extreme lines are kept, each through one point of
    the upper and one of the lower hull; everything is exact in Python integers. Slopes are in units of half a code.
    """
    x0, low0, high0 = first
    if begin >= len(points):
        return 0, 0.0, 0.0
    upper, lower = [(x0, high0)], [(x0, low0)]
    x, low, high = points[begin]
    ax, ay, bx, by = x0, high0, x, low
    cx, cy, ex, ey = x0, low0, x, high
    upper.append((x, high))
    lower.append((x, low))
    upper_start = lower_start = 0
    count = 1
    for x, low, high in islice(points, begin + 1, None):
        if (high - by) * (bx - ax) < (by - ay) * (x - bx) or (low - ey) * (ex - cx) > (ey - cy) * (x - ex):
            break
        count += 1
        if (high - cy) * (ex - cx) < (ey - cy) * (x - cx):
            i = lower_start
            best = lower[i]
            for j in range(i + 1, len(lower)):
                other = lower[j]
                if (high - other[1]) * (x - best[0]) > (high - best[1]) * (x - other[0]):
                    break
                best, i = other, j
            cx, cy, ex, ey = *best, x, high
            lower_start = i
            while len(upper) >= upper_start + 2:
                (ox, oy), (px, py) = upper[-2], upper[-1]
                if (px - ox) * (high - oy) - (py - oy) * (x - ox) > 0:
                    break
                upper.pop()
            upper.append((x, high))
        if (low - ay) * (bx - ax) > (by - ay) * (x - ax):
            i = upper_start
            best = upper[i]
            for j in range(i + 1, len(upper)):
                other = upper[j]
                if (low - other[1]) * (x - best[0]) < (low - best[1]) * (x - other[0]):
                    break
                best, i = other, j
            ax, ay, bx, by = *best, x, low
            upper_start = i
            while len(lower) >= lower_start + 2:
                (ox, oy), (px, py) = lower[-2], lower[-1]
                if (px - ox) * (low - oy) - (py - oy) * (x - ox) < 0:
                    break
                lower.pop()
            lower.append((x, low))
    return count, (by - ay) / (2 * (bx - ax)), (ey - cy) / (2 * (ex - cx))


def _slope(d: np.ndarray, low: np.ndarray, high: np.ndarray, codes: np.ndarray) -> tuple[int, int, int]:
    """For a fixed intercept: how many points a slope S * 2**-n >= 0 serves from the first on, with S and n.

    low, high  twice the bounds of S * 2**-n * d, odd, so that a bound is the tie between two codes
    """
    safe = 2.0 * np.where(d == 0, 1, d)
    at_low, at_high = low / safe, high / safe
    least = np.where(d > 0, at_low, at_high)
    most = np.where(d > 0, at_high, at_low)
    zero = d == 0
    if zero.any():
        served = (low < 0) & (high > 0)
        least = np.where(zero, np.where(served, -np.inf, np.inf), least)
        most = np.where(zero, np.inf, most)
    least = np.maximum.accumulate(np.maximum(least, 0.0))
    most = np.minimum.accumulate(most)
    open_to = most > least
    length = len(d) if open_to.all() else int(np.argmin(open_to))
    step = 1
    while length > 0:
        a, b = float(least[length - 1]), float(most[length - 1])
        chord = 0.0
        if length > 1:
            chord = float(codes[length - 1] - codes[0]) / float(d[length - 1] - d[0])
        found = _representable(a, b, chord, bool((d[:length] != 0).any()))
        if found is not None:
            return length, *found
        length, step = length - step, 2 * step
    return 0, 0, 0


def _representable(least: float, most: float, wanted: float, needed: bool) -> tuple[int, int] | None:
    """S and n with S * 2**-n strictly between least and most, near wanted; least = 0 allows 0 itself."""
    if not needed or (least == 0.0 and wanted == 0.0 and most > 0.0):
        return 0, 0
    quarter = (most - least) / 4 if most != np.inf else 1.0
    slope = min(max(wanted, least + quarter), most - quarter)
    n = min(31 - frexp(slope)[1], 62)
    s = round(slope * 2.0**n)
    if s >= 2**31:
        n, s = n - 1, round(slope * 2.0 ** (n - 1))
    value = s * 2.0**-n
    if least * (1 + MARGIN) < value < most * (1 - MARGIN) or (s == 0 and least == 0.0):
        return s, n
    return None
