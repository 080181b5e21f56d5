"""Looking up the activation tables.  [SPEC A-1 ... A-4]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.rounding import saturate, ties_away
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic


def direct(q: Any, table: DirectTable) -> np.ndarray:
    """entries[q + 128].  [SPEC A-1]

    q        integers [...], codes of the table's input format (signed, at most 8 bits)
    Returns  int64 [...], codes of the output format
    """
    return table.entries.astype(np.int64)[np.asarray(q, np.int64) + 128]


def direct_wide(q: Any, table: DirectTable) -> np.ndarray:
    """The 256 entries addressed by int16: index = ((q + 32768) * 255 + 32767) div 65535.  [SPEC A-2]

    q        integers [...], int16 codes
    Returns  int64 [...], codes of the output format
    """
    index = ((np.asarray(q, np.int64) + 32768) * 255 + 32767) // 65535
    return table.entries.astype(np.int64)[index]


def piecewise_linear(q: Any, table: PiecewiseLinear) -> np.ndarray:
    """saturate(ties_away(slope_i * (q - zp_in), n_i) + intercept_i, fmt).  [SPEC A-3]

    q        integers [...]; saturated to the input format
    Returns  int64 [...], codes of the output format
    """
    q = saturate(q, table.fmt_in)
    i = _segment(q, table.thresholds)
    product = table.slopes.astype(np.int64)[i] * (q - table.zero_point_in)
    return saturate(ties_away(product, table.shifts[i]) + table.intercepts[i], table.fmt_out)


def piecewise_quadratic(q: Any, table: PiecewiseQuadratic) -> np.ndarray:
    """saturate(ties_away((ties_away(c2_i * d, p_i) + c1_i) * d, n_i) + c0_i, fmt), d = q - origin_i.  [SPEC A-4]

    q        integers [...]; saturated to the input format
    Returns  int64 [...], codes of the output format
    """
    q = saturate(q, table.fmt_in)
    i = _segment(q, table.thresholds)
    d = q - table.origins[i]
    inner = ties_away(table.c2.astype(np.int64)[i] * d, table.p[i]) + table.c1[i]
    return saturate(ties_away(inner * d, table.n[i]) + table.c0[i], table.fmt_out)


def activate(q: Any, table: Activation) -> np.ndarray:
    """The activation of a gate by the kind of its table.  [SPEC A-1 ... A-4, GP-10]"""
    if isinstance(table, DirectTable):
        return direct_wide(q, table) if table.fmt_in.bits == 16 else direct(q, table)
    if isinstance(table, PiecewiseLinear):
        return piecewise_linear(q, table)
    return piecewise_quadratic(q, table)


def _segment(q: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The first i with q < threshold_i, else the last."""
    return np.searchsorted(thresholds[:-1], q, side="right")
