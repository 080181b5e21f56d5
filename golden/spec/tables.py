"""Activation tables: integer data that travels with the parameters.  [SPEC A-1 ... A-4]

The makers are in golden/tables.py; this file only holds what they make.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.spec.arrays import checked_int, freeze, int_array
from golden.spec.errors import ParameterError
from golden.spec.formats import INT32, IntFormat

FUNCTIONS = ("sigmoid", "tanh")
MIN_SHIFT, MAX_SHIFT = -31, 62


def _common(table: Any, kind: str) -> None:
    if table.function not in FUNCTIONS:
        raise ParameterError(f"{kind} function", repr(table.function), "sigmoid or tanh")
    for name in ("fmt_in", "fmt_out"):
        fmt = getattr(table, name)
        if not isinstance(fmt, IntFormat) or fmt.bits > 16:
            raise ParameterError(f"{kind} {name}", repr(fmt), "an IntFormat of 2 to 16 bits")
    for name in ("zero_point_in", "zero_point_out"):
        zero_point = checked_int(f"{kind} {name}", getattr(table, name), INT32.qmin, INT32.qmax)
        object.__setattr__(table, name, zero_point)


def _check_informative(table: Any, kind: str, reals: tuple[str, ...] = (), exponents: tuple[str, ...] = ()) -> None:
    """Refuse numbers that no code follows from, and that are still none of their kind."""
    for name in reals:
        value = getattr(table, name)
        is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not is_number or not -sys.float_info.max <= value <= sys.float_info.max:
            raise ParameterError(f"{kind} {name}", repr(value)[:80], "a finite number")
    for name in exponents:
        if getattr(table, name) is not None:
            checked_int(f"{kind} {name}", getattr(table, name), INT32.qmin, INT32.qmax)


@dataclass(frozen=True, eq=False)
class DirectTable:
    """256 entries, one for each 8-bit input; a 16-bit input addresses the same entries by A-2.  [SPEC A-1, A-2]

    function        "sigmoid" or "tanh"
    entries         int32 [256], entry i is for q = i - 128, codes of fmt_out
    fmt_in          signed; at most 8 bits (A-1) or 16 bits (A-2)
    fmt_out         format of the entries
    zero_point_in   of q; 0 when fmt_in has 16 bits
    zero_point_out  of the entries
    one             k, the number of codes that stand for 1.0
    scale_in        input scale per entry (float; informative, for 16 bits 257 times the scale of q)
    meta            what is known of the table: its quality over all inputs, how it was made
    """

    function: str
    entries: np.ndarray
    fmt_in: IntFormat
    fmt_out: IntFormat
    zero_point_in: int = 0
    zero_point_out: int = 0
    one: float = 127
    scale_in: float = 1 / 128
    meta: dict[str, Any] = field(default_factory=dict)

    kind = "direct"

    def __post_init__(self) -> None:
        _common(self, "direct table")
        _check_informative(self, "direct table", reals=("one", "scale_in"))
        if not self.fmt_in.signed or not (self.fmt_in.bits <= 8 or self.fmt_in.bits == 16):
            raise ParameterError("direct table fmt_in", str(self.fmt_in), "a signed format of at most 8, or 16, bits")
        if self.fmt_in.bits == 16 and self.zero_point_in != 0:
            raise ParameterError("direct table zero_point_in", self.zero_point_in, "0 for a 16-bit input")
        entries = int_array("direct table entries", self.entries, self.fmt_out, (256,))
        object.__setattr__(self, "entries", freeze(entries))


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """Up to 16 linear segments.  [SPEC A-3]

    thresholds  int32 [S], non-decreasing; segment = first i with q < threshold_i, else the last
    slopes      int32 [S]
    shifts      int32 [S], n_i in [-31, 62], positive = right
    intercepts  int32 [S], in output codes, the output zero point included
    """

    function: str
    thresholds: np.ndarray
    slopes: np.ndarray
    shifts: np.ndarray
    intercepts: np.ndarray
    fmt_in: IntFormat
    fmt_out: IntFormat
    zero_point_in: int = 0
    zero_point_out: int = 0
    exponent_in: int | None = None
    exponent_out: int | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    kind = "piecewise_linear"
    max_segments = 16

    def __post_init__(self) -> None:
        _common(self, "piecewise linear table")
        _check_informative(self, "piecewise linear table", exponents=("exponent_in", "exponent_out"))
        _segments(self, ("thresholds", "slopes", "shifts", "intercepts"), ("shifts",))


@dataclass(frozen=True, eq=False)
class PiecewiseQuadratic:
    """Up to 32 quadratic segments in Horner form.  [SPEC A-4]

    thresholds  int32 [S], as in A-3
    origins     int32 [S], d = q - origin_i
    c2, c1, c0  int32 [S]
    p, n        int32 [S], shifts in [-31, 62], positive = right
    """

    function: str
    thresholds: np.ndarray
    origins: np.ndarray
    c2: np.ndarray
    p: np.ndarray
    c1: np.ndarray
    n: np.ndarray
    c0: np.ndarray
    fmt_in: IntFormat
    fmt_out: IntFormat
    zero_point_in: int = 0
    zero_point_out: int = 0
    exponent_in: int | None = None
    exponent_out: int | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    kind = "piecewise_quadratic"
    max_segments = 32

    def __post_init__(self) -> None:
        _common(self, "piecewise quadratic table")
        _check_informative(self, "piecewise quadratic table", exponents=("exponent_in", "exponent_out"))
        _segments(self, ("thresholds", "origins", "c2", "p", "c1", "n", "c0"), ("p", "n"))


def _segments(table: Any, names: tuple[str, ...], shifts: tuple[str, ...]) -> None:
    count = np.shape(table.thresholds)[0] if np.ndim(table.thresholds) == 1 else 0
    if not 1 <= count <= table.max_segments:
        raise ParameterError(f"{table.kind} thresholds", f"{count} segments", f"1 to {table.max_segments} segments")
    for name in names:
        values = int_array(f"{table.kind} {name}", getattr(table, name), INT32, (count,))
        if name in shifts and not ((values >= MIN_SHIFT) & (values <= MAX_SHIFT)).all():
            raise ParameterError(f"{table.kind} {name}", values.tolist(), f"shifts in [{MIN_SHIFT}, {MAX_SHIFT}]")
        object.__setattr__(table, name, freeze(values))
    if (np.diff(table.thresholds.astype(np.int64)) < 0).any():
        raise ParameterError(f"{table.kind} thresholds", table.thresholds.tolist(), "non-decreasing thresholds")


Activation = DirectTable | PiecewiseLinear | PiecewiseQuadratic
ACTIVATIONS: dict[str, type[Any]] = {c.kind: c for c in (DirectTable, PiecewiseLinear, PiecewiseQuadratic)}
