"""The twin's numbers as the objects that the judge takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from golden.spec.formats import BOUNDS, IntFormat
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic
from verification.exact.gates import Op

ROUNDINGS = (Rounding.TIES_UP, Rounding.TIES_AWAY, Rounding.TIES_EVEN)


def rounding_of(number: int) -> Rounding:
    """The rounding that the twin numbers so."""
    return ROUNDINGS[int(number)]


def fmt_of(low: int, high: int) -> Any:
    """The format of these bounds, or bounds alone where no format has them."""
    for (bits, signed), bounds in BOUNDS.items():
        if bounds == (int(low), int(high)):
            return IntFormat(bits, signed)
    return SimpleNamespace(qmin=int(low), qmax=int(high))


def mshift_of(multiplier: int, shift: int) -> Any:
    """An MShift, unchecked: the bounds are the query's."""
    return SimpleNamespace(multiplier=int(multiplier), shift=int(shift))


def op_of(ops: np.ndarray, k: int) -> Op:
    """Operator k of the twin's numbers of datapath P."""
    exponent, zero_point, low, high = (int(v) for v in ops[k])
    return Op(fmt_of(low, high), exponent, zero_point)


def table_of(packed: np.ndarray, function: str = "tanh") -> Any:
    """The table that the twin's packed numbers hold."""
    kind, count, zero_point, low, high, out_low, out_high = (int(v) for v in packed[0, :7])
    fmt_in, fmt_out = fmt_of(low, high), fmt_of(out_low, out_high)
    rows = [row[:count].astype(np.int64) for row in packed[1:]]
    if kind < 2:
        return DirectTable(function, rows[0], fmt_in, fmt_out, zero_point_in=zero_point)
    made: Any = PiecewiseLinear if kind == 2 else PiecewiseQuadratic
    return made(function, *rows, fmt_in=fmt_in, fmt_out=fmt_out, zero_point_in=zero_point)
