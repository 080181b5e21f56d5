"""Activation tables, addressed and evaluated in integers.  [SPEC A]

Every step takes (q, table) with the table packed by `pack`: int64 [rows, columns], row 0 the header, then the data.
"""

from __future__ import annotations

import numpy as np

from cuda_impl.intrinsics import int64
from cuda_impl.rounding import saturate, ties_away
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear

# the header: kind, how many segments, then bounds and zero point
KIND, SEGMENTS, ZERO_POINT_IN, IN_QMIN, IN_QMAX, OUT_QMIN, OUT_QMAX, HEADER = range(8)
DIRECT, DIRECT_WIDE, LINEAR, QUADRATIC = range(4)


def pack(table: Activation) -> np.ndarray:
    """A table of golden.spec.tables as int64 [rows, columns] for the steps of this file."""
    if isinstance(table, DirectTable):
        kind, rows = (DIRECT_WIDE if table.fmt_in.bits == 16 else DIRECT), [table.entries]
    elif isinstance(table, PiecewiseLinear):
        kind, rows = LINEAR, [table.thresholds, table.slopes, table.shifts, table.intercepts]
    else:
        kind, rows = QUADRATIC, [table.thresholds, table.origins, table.c2, table.p, table.c1, table.n, table.c0]
    count = len(rows[0])
    packed = np.zeros((1 + len(rows), max(HEADER, count)), np.int64)
    packed[0, KIND], packed[0, SEGMENTS], packed[0, ZERO_POINT_IN] = kind, count, table.zero_point_in
    packed[0, IN_QMIN], packed[0, IN_QMAX] = table.fmt_in.qmin, table.fmt_in.qmax
    packed[0, OUT_QMIN], packed[0, OUT_QMAX] = table.fmt_out.qmin, table.fmt_out.qmax
    for i, row in enumerate(rows):
        packed[1 + i, :count] = row
    return packed


def direct(q, table):
    """The entry of an 8-bit input, index q + 128.  [SPEC A-1]"""
    return int64(table[1, int64(q) + int64(128)])


def direct_wide(q, table):
    """The entry of a 16-bit input, index ((q + 32768) * 255 + 32767) div 65535.  [SPEC A-2]"""
    return int64(table[1, ((int64(q) + int64(32768)) * int64(255) + int64(32767)) // int64(65535)])


def segment(q, table):
    """The first i with q < threshold_i, else the last.  [SPEC A-3]"""
    last = table[0, SEGMENTS] - int64(1)
    i = int64(0)
    while i < last and q >= table[1, i]:
        i = i + int64(1)
    return i


def piecewise_linear(q, table):
    """saturate(ties_away(slope * (q - zp_in), n) + intercept, fmt), q saturated to the input format first.  [SPEC A-3]"""
    q = saturate(q, table[0, IN_QMIN], table[0, IN_QMAX])
    i = segment(q, table)
    d = q - int64(table[0, ZERO_POINT_IN])
    y = ties_away(int64(table[2, i]) * d, table[3, i]) + int64(table[4, i])
    return saturate(y, table[0, OUT_QMIN], table[0, OUT_QMAX])


def piecewise_quadratic(q, table):
    """saturate(ties_away((ties_away(c2 * d, p) + c1) * d, n) + c0, fmt) with d = q - origin.  [SPEC A-4]"""
    q = saturate(q, table[0, IN_QMIN], table[0, IN_QMAX])
    i = segment(q, table)
    d = q - int64(table[2, i])
    inner = ties_away(int64(table[3, i]) * d, table[4, i]) + int64(table[5, i])
    y = ties_away(inner * d, table[6, i]) + int64(table[7, i])
    return saturate(y, table[0, OUT_QMIN], table[0, OUT_QMAX])


def activate(q, table):
    """The activation that the table's header names.  [SPEC A, GP-10]"""
    kind = table[0, KIND]
    if kind == DIRECT:
        return direct(q, table)
    if kind == DIRECT_WIDE:
        return direct_wide(q, table)
    if kind == LINEAR:
        return piecewise_linear(q, table)
    return piecewise_quadratic(q, table)
