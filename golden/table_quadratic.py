"""Piecewise quadratic tables: minimax parabolas on the integer grid.  [SPEC A-4, A-5]

The ends of the curve, where the code no longer changes, are constant segments. Between them the curve is smooth, and
segments are laid from left to right, each as long as its minimax parabola (exchange algorithm) stays within a tolerance e
of the real curve, rises, and starts where its code is at least the last one of the segment before. e is bisected for the
least one that needs no more than the segments given. The origin of a segment is the input at which its parabola comes
closest to an integer, so that the integer c0 costs nothing. Every segment is checked with the clause's own arithmetic
before it is taken; what fails is made shorter, down to a single input. Where parabolas do not suffice, because there are
only a few segments, the lines of table_linear serve.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp

import numpy as np

from golden import table_linear
from golden.spec.formats import IntFormat
from golden.spec.tables import MAX_SHIFT
from golden.table_evaluate import parabola

SAMPLES = 48
EXCHANGES = 10
FINEST = 2.0**-6
SLACK = 2.0**-7
OUTER_SHIFT = 40
_T = np.arange(SAMPLES + 1, dtype=np.float64) / SAMPLES
SPREAD = _T * _T * (3.0 - 2.0 * _T)
Segment = tuple[int, int, int, int, int, int, int]
Fit = tuple[float, float, float]


@dataclass(frozen=True)
class Curve:
    """codes[i], and the real value reals[i] before rounding, wanted at input q[i]; outputs stay inside [floor, ceiling]."""

    codes: np.ndarray
    reals: np.ndarray
    q: np.ndarray
    zero_point: int
    floor: int
    ceiling: int
    fmt: IntFormat


def fit(c: Curve, limit: int, expected: float) -> list[Segment]:
    """(first index, origin, c2, p, c1, n, c0) of at most limit segments with the least tolerance."""
    change = np.flatnonzero(np.diff(c.codes)) + 1
    if len(change) < limit:
        return [_constant(c, i, int(c.codes[i])) for i in [0, *change.tolist()]]
    inner = np.flatnonzero((c.codes != c.codes[0]) & (c.codes != c.codes[-1]))
    start, stop = int(inner[0]), int(inner[-1]) + 1
    found = _search(c, start, stop, limit - 2, expected)
    if found is None:
        return _lines(c, limit)
    return [_constant(c, 0, int(c.codes[0])), *found, _constant(c, stop, int(c.codes[-1]))]


def _lines(c: Curve, limit: int) -> list[Segment]:
    curve = table_linear.Curve(c.codes, c.q - c.zero_point, c.floor, c.ceiling, c.fmt)
    return [(start, c.zero_point, 0, 0, slope, n, y) for start, slope, n, y in table_linear.fit(curve, limit, 1)]


def _search(c: Curve, start: int, stop: int, limit: int, expected: float) -> list[Segment] | None:
    """Segments of [start, stop) for the least tolerance, to about 4 %, or None when none below the format suffices."""
    found = lay(c, FINEST, start, stop, limit)
    if found is not None:
        return found
    infeasible, tolerance = FINEST, max(expected, 2 * FINEST)
    while found is None:
        if tolerance > 2.0**c.fmt.bits:
            return None
        found = lay(c, tolerance, start, stop, limit)
        if found is None:
            infeasible, tolerance = tolerance, 2 * tolerance
    while tolerance > 1.04 * infeasible:
        middle = min(0.5 * (tolerance + infeasible), 4 * infeasible)
        shorter = lay(c, middle, start, stop, limit)
        if shorter is None:
            infeasible = middle
        else:
            found, tolerance = shorter, middle
    return found


def lay(c: Curve, tolerance: float, start: int, stop: int, limit: int) -> list[Segment] | None:
    """Segments of [start, stop) within the tolerance, or None when limit does not suffice."""
    out: list[Segment] = []
    reached, length = int(c.codes[0]), 16
    while start < stop:
        if len(out) == limit:
            return None
        length, segment, reached = _longest(c, tolerance, start, stop, reached, length)
        out.append(segment)
        start += length
    return out


def _longest(c: Curve, tolerance: float, start: int, stop: int, reached: int, guess: int) -> tuple[int, Segment, int]:
    """The longest segment from start: its length, coefficients and last code.  guess is a length to begin with."""
    most = stop - start
    good, bad, step = 1, most + 1, min(max(guess, 2), most)
    best: Fit | None = None
    while bad - good > max(1, good // 64):
        found = _parabola(c, tolerance, start, step, reached)
        if found is not None:
            good, best = step, found
        else:
            bad = step
        step = min(2 * good, most) if bad > most else (good + bad) // 2
        if good == most:
            break
    while good > 1 and best is not None:
        segment = _integers(c, start, good, best)
        last = _last_code(c, tolerance, start, good, reached, segment)
        if last is not None:
            return good, segment, last
        good -= max(1, good // 16)
        best = _parabola(c, tolerance, start, good, reached) if good > 1 else None
        while best is None and good > 1:
            good -= max(1, good // 16)
            best = _parabola(c, tolerance, start, good, reached) if good > 1 else None
    code = max(int(c.codes[start]), reached)
    return 1, _constant(c, start, code), code


def _constant(c: Curve, start: int, code: int) -> Segment:
    return start, int(c.q[start]), 0, 0, 0, 0, code


def _parabola(c: Curve, tolerance: float, start: int, length: int, reached: int) -> Fit | None:
    """a0 + a1*t + a2*t*t, t = i - start, within the tolerance on the segment, rising, and rounding to >= reached at t = 0."""
    last = length - 1
    x = np.arange(length, dtype=np.float64) if length <= SAMPLES else np.rint(SPREAD * last)
    y = c.reals[start + x.astype(np.int64)]
    base = float(y[0])
    t, y = x / last, y - base
    least = reached - 0.5 + SLACK - base
    found = _exchange(t, y, tolerance, None)
    if found is None:
        return None
    if found[0] < least:
        found = _exchange(t, y, tolerance + SLACK, least)
        if found is None:
            return None
    a0, a1, a2 = found[0] + base, found[1] / last, found[2] / last / last
    if a1 + a2 < 0 or a1 + a2 * (2 * last - 1) < 0 or a0 + (a1 + a2 * last) * last > float(c.codes[-1]) + 0.5 - SLACK:
        return None
    return a0, a1, a2


def _exchange(t: np.ndarray, y: np.ndarray, tolerance: float, pinned: float | None) -> Fit | None:
    """The minimax parabola of y on t (t[0] = 0), or None when it misses the tolerance; pinned fixes its value at 0."""
    unknowns = 3 if pinned is None else 2
    if pinned is not None:
        if abs(pinned) > tolerance:
            return None
        t, y = t[1:], y[1:] - pinned
    count = len(t)
    level = count > unknowns
    size = unknowns + 1 if level else count
    refs = [0, count // 4, count - 1 - count // 4, count - 1] if size == 4 else [count // 4, (3 * count) // 5, count - 1]
    if not level or len(set(refs)) != size:
        refs = list(range(size))
    for _ in range(EXCHANGES):
        terms = list(range(3) if pinned is None else range(1, 3))[: size - 1 if level else size]
        rows = []
        for k, i in enumerate(refs):
            ti = float(t[i])
            row = [1.0, ti, ti * ti]
            rows.append([row[j] for j in terms] + ([-1.0 if k % 2 else 1.0] if level else []) + [float(y[i])])
        solution = _solve(rows)
        a = [0.0, 0.0, 0.0]
        for j, value in zip(terms, solution):
            a[j] = value
        reference = abs(solution[-1]) if level else 0.0
        if reference > tolerance:
            return None
        residual = y - (a[0] + t * (a[1] + t * a[2]))
        size_of = np.abs(residual)
        worst = int(np.argmax(size_of))
        if float(size_of[worst]) <= max(tolerance, 1.01 * reference):
            if float(size_of[worst]) > tolerance:
                return None
            return (a[0] if pinned is None else pinned), a[1], a[2]
        if not level:
            return None
        refs = _replace(refs, residual, worst)
    return None


def _replace(refs: list[int], residual: np.ndarray, worst: int) -> list[int]:
    """The references with worst taken in, signs still alternating."""
    positive = residual[worst] > 0
    signs = [residual[i] > 0 for i in refs]
    place = sum(i < worst for i in refs)
    if place == 0:
        return [worst, *refs[1:]] if signs[0] == positive else [worst, *refs[:-1]]
    if place == len(refs):
        return [*refs[:-1], worst] if signs[-1] == positive else [*refs[1:], worst]
    out = list(refs)
    out[place - 1 if signs[place - 1] == positive else place] = worst
    return out


def _solve(rows: list[list[float]]) -> list[float]:
    """Gaussian elimination with pivoting; each row ends with its right-hand side."""
    n = len(rows)
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(i + 1, n):
            factor = rows[k][i] / rows[i][i]
            rows[k] = [b - factor * a for a, b in zip(rows[i], rows[k])]
    out = [0.0] * n
    for i in reversed(range(n)):
        rest = rows[i][n]
        for k in range(i + 1, n):
            rest -= rows[i][k] * out[k]
        out[i] = rest / rows[i][i]
    return out


def _integers(c: Curve, start: int, length: int, found: Fit) -> Segment:
    """The parabola in Horner form with integers, its origin where it is closest to an integer.  [SPEC A-4]"""
    a0, a1, a2 = found
    t = np.arange(length, dtype=np.float64)
    real = a0 + t * (a1 + t * a2)
    o = int(np.argmin(np.abs(real - np.rint(real))))
    c0 = int(np.rint(real[o]))
    b1 = a1 + 2.0 * a2 * o
    reach = abs(b1) + abs(a2) * length
    n = min(OUTER_SHIFT, 30 - frexp(reach)[1])
    p = max(-31, min(MAX_SHIFT, 30 - frexp(a2)[1] - n)) if a2 else 0
    c2, c1 = round(a2 * 2.0 ** (n + p)), round(b1 * 2.0**n)
    return start, int(c.q[start + o]), c2, p, c1, n, c0


def _last_code(c: Curve, tolerance: float, start: int, length: int, reached: int, segment: Segment) -> int | None:
    """The code at the end of the segment, or None when it misses a code by too much or would not be monotone."""
    part = slice(start, start + length)
    codes = parabola(c.q[part] - segment[1], *segment[2:])
    error = int(np.abs(codes - c.codes[part]).max())
    if (np.diff(codes) < 0).any() or error > tolerance + 1.0 + SLACK:
        return None
    if codes[0] < reached or codes[-1] > c.codes[-1]:
        return None
    return int(codes[-1])
