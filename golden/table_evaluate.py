"""The arithmetic of a table over all its inputs, for the makers and for the statement of quality.  [SPEC A-1 ... A-5]"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear
from golden.table_ideal import exact_codes


def shift_away(x: np.ndarray, n: int) -> np.ndarray:
    """ties_away(x, n) of int64 x, n in [-31, 62].  [SPEC R-2]"""
    if n <= 0:
        return x << -n
    return np.sign(x) * ((np.abs(x) + (1 << (n - 1))) >> n)


def line(d: np.ndarray, slope: int, n: int, intercept: int) -> np.ndarray:
    """One segment before saturation, d = q - zero_point_in.  [SPEC A-3]"""
    return shift_away(slope * d, n) + intercept


def parabola(d: np.ndarray, c2: int, p: int, c1: int, n: int, c0: int) -> np.ndarray:
    """One segment before saturation, d = q - origin.  [SPEC A-4]"""
    return shift_away((shift_away(c2 * d, p) + c1) * d, n) + c0


def inputs(fmt: IntFormat) -> np.ndarray:
    """All codes of a format, int64, ascending."""
    return np.arange(fmt.qmin, fmt.qmax + 1, dtype=np.int64)


def outputs(table: Activation) -> np.ndarray:
    """The codes that the clause gives for all inputs of fmt_in, int64, in the order of inputs(fmt_in)."""
    q = inputs(table.fmt_in)
    if isinstance(table, DirectTable):
        index = q + 128 if table.fmt_in.bits <= 8 else ((q + 32768) * 255 + 32767) // 65535
        return table.entries.astype(np.int64)[index]
    out = np.empty(q.shape, np.int64)
    count = len(table.thresholds)
    bounds = np.clip(table.thresholds[:-1].astype(np.int64) - table.fmt_in.qmin, 0, len(q)).tolist()
    for i, (start, stop) in enumerate(zip([0, *bounds], [*bounds, len(q)])):
        if start >= stop or i >= count:
            continue
        if isinstance(table, PiecewiseLinear):
            d = q[start:stop] - int(table.zero_point_in)
            out[start:stop] = line(d, int(table.slopes[i]), int(table.shifts[i]), int(table.intercepts[i]))
        else:
            d = q[start:stop] - int(table.origins[i])
            coefficients = (int(getattr(table, name)[i]) for name in ("c2", "p", "c1", "n", "c0"))
            out[start:stop] = parabola(d, *coefficients)
    return np.clip(out, table.fmt_out.qmin, table.fmt_out.qmax)


def ideal(table: Activation) -> np.ndarray:
    """The exact codes of all inputs of fmt_in.  [SPEC A-5]

    Raises ParameterError when a piecewise table does not say what its exponents are.
    """
    if isinstance(table, DirectTable):
        scale, one = Fraction(table.scale_in), Fraction(table.one)
        scale = scale / 257 if table.fmt_in.bits == 16 else scale
    else:
        for name in ("exponent_in", "exponent_out"):
            if getattr(table, name) is None:
                raise ParameterError(f"{table.kind} {name}", None, "an exponent, to know the ideal code of an input")
        scale, one = Fraction(2) ** -(table.exponent_in or 0), Fraction(2) ** (table.exponent_out or 0)
    d = inputs(table.fmt_in) - int(table.zero_point_in)
    return exact_codes(table.function, d, scale, one, int(table.zero_point_out), table.fmt_out)


def measure(codes: np.ndarray, exact: np.ndarray, segments: int) -> dict[str, Any]:
    """Quality of codes against the exact ones, as plain JSON values.  [SPEC A-5]"""
    return {
        "max_error_lsb": int(np.abs(codes - exact).max()),
        "monotone": bool((np.diff(codes) >= 0).all()),
        "segments": segments,
        "inputs": len(codes),
    }
