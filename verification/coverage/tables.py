"""The classes of an activation: entries, segments, and the shifts inside a segment.  [SPEC A-1 ... A-4]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.rounding import saturate, ties_away
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear
from verification.coverage.classes import Group, rounded

ENTRIES = tuple(str(i) for i in range(256))
SEGMENTS = {"linear": tuple(str(i) for i in range(16)), "quadratic": tuple(str(i) for i in range(32))}


def activation(place: str, q: Any, table: Activation) -> list[Group]:
    """The groups of an activation at inputs q."""
    q = np.asarray(q, np.int64)
    if isinstance(table, DirectTable):
        if table.fmt_in.bits == 16:
            return [Group(place, "table wide", ENTRIES, ((q + 32768) * 255 + 32767) // 65535)]
        return [Group(place, "table direct", ENTRIES, q + 128)]
    inside = saturate(q, table.fmt_in)
    i = np.searchsorted(table.thresholds[:-1].astype(np.int64), inside, side="right")

    def at(values: Any) -> np.ndarray:
        return np.asarray(values, np.int64)[i]

    if isinstance(table, PiecewiseLinear):
        x, s = at(table.slopes) * (inside - table.zero_point_in), at(table.shifts)
        line = rounded(f"{place}.line", "away", x, s, ties_away(x, s) + at(table.intercepts), table.fmt_out)
        return [Group(place, "table linear", SEGMENTS["linear"], i), *line]
    d = inside - at(table.origins)
    x, s = at(table.c2) * d, at(table.p)
    inner = ties_away(x, s) + at(table.c1)
    y, n = inner * d, at(table.n)
    outer = rounded(f"{place}.parabola", "away", y, n, ties_away(y, n) + at(table.c0), table.fmt_out)
    return [
        Group(place, "table quadratic", SEGMENTS["quadratic"], i),
        *rounded(f"{place}.parabola inner", "away", x, s),
        *outer,
    ]
