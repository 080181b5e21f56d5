"""Activation lookups and segments, one code at a time.  [SPEC A-1 ... A-4]"""

from __future__ import annotations

from golden.spec.errors import ParameterError
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from verification.exact.rounding import saturate, ties_away


def direct(q: int, table: DirectTable) -> int:
    """Entry q + 128 of the table.  [SPEC A-1, X-3]"""
    return int(table.entries[_code(q, table) + 128])


def direct_wide(q: int, table: DirectTable) -> int:
    """Entry ((q + 32768) * 255 + 32767) div 65535 of the table, q int16.  [SPEC A-2]"""
    return int(table.entries[((_code(q, table) + 32768) * 255 + 32767) // 65535])


def _code(q: int, table: DirectTable) -> int:
    if not table.fmt_in.qmin <= q <= table.fmt_in.qmax:
        raise ParameterError("q", q, f"a code of {table.fmt_in}")
    return q


def segment(q: int, table: PiecewiseLinear | PiecewiseQuadratic) -> int:
    """The first i with q < threshold_i, else the last.  [SPEC A-3]"""
    thresholds = table.thresholds.tolist()
    for i, threshold in enumerate(thresholds):
        if q < threshold:
            return i
    return len(thresholds) - 1


def piecewise_linear(q: int, table: PiecewiseLinear) -> int:
    """saturate(ties_away(slope * (q - zp_in), n) + intercept, fmt) of q's segment.  [SPEC A-3]"""
    q = saturate(q, table.fmt_in)
    i = segment(q, table)
    line = ties_away(int(table.slopes[i]) * (q - table.zero_point_in), int(table.shifts[i]))
    return saturate(line + int(table.intercepts[i]), table.fmt_out)


def piecewise_quadratic(q: int, table: PiecewiseQuadratic) -> int:
    """saturate(ties_away((ties_away(c2 * d, p) + c1) * d, n) + c0, fmt) of q's segment, d = q - origin.  [SPEC A-4]"""
    q = saturate(q, table.fmt_in)
    i = segment(q, table)
    d = q - int(table.origins[i])
    inner = ties_away(int(table.c2[i]) * d, int(table.p[i])) + int(table.c1[i])
    return saturate(ties_away(inner * d, int(table.n[i])) + int(table.c0[i]), table.fmt_out)


def activate(q: int, table: Activation) -> int:
    """The activation of one code by whatever kind of table it is.  [SPEC A-1 ... A-4, GP-10]"""
    if isinstance(table, DirectTable):
        return direct_wide(q, table) if table.fmt_in.bits == 16 else direct(q, table)
    if isinstance(table, PiecewiseLinear):
        return piecewise_linear(q, table)
    if isinstance(table, PiecewiseQuadratic):
        return piecewise_quadratic(q, table)
    raise ParameterError("table", type(table).__name__, "a DirectTable, PiecewiseLinear or PiecewiseQuadratic")
