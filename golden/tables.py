"""The makers of activation tables, and the statement of their quality.  [SPEC A-1 ... A-5]

A maker is not a step: what it makes is integer data that travels with the parameters, so it has no twin. The same arguments
give the same bytes on every machine. `python -m golden.tables` prints the figures of docs/tables.md.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

from golden import table_linear, table_quadratic
from golden.spec.arrays import checked_int
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, INT16, INT32, IntFormat
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT, Operator
from golden.spec.tables import FUNCTIONS, Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from golden.table_evaluate import ideal, inputs, measure, outputs
from golden.table_ideal import exact_codes, values

KINDS = ("direct", "piecewise_linear", "piecewise_quadratic")
LINEAR_EXPECTED = 96
QUADRATIC_EXPECTED = 0.5
CACHED = 256
MAX_ONE = 2**31


def direct_table(
    function: str,
    *,
    scale_in: float,
    zero_point_in: int,
    fmt_in: IntFormat,
    one: int | float | Fraction,
    zero_point_out: int,
    fmt_out: IntFormat,
) -> DirectTable:
    """256 entries: saturate(half_away(one * f((q - zero_point_in) * scale_in)) + zero_point_out, fmt_out).  [SPEC A-1, A-2]

    function        "sigmoid" or "tanh"
    scale_in        float > 0, input scale per entry; for a 16-bit input 257 times the scale of q
    zero_point_in   int32, of q; 0 for a 16-bit input
    fmt_in          signed, at most 8 bits, or 16
    one             number of codes that stand for 1.0, int, float or Fraction, > 0
    zero_point_out  int32, of the entries
    Returns         DirectTable, its quality over all inputs in meta
    Raises          ParameterError naming the argument
    Ties            decided exactly: sigmoid(0) * 127 = 63.5 -> 64, 0.5 * sigmoid(40) -> 0
    """
    _check_function(function)
    _check_formats(fmt_in, fmt_out)
    for name, value in (("scale_in", scale_in), ("one", one)):
        wrong_type = isinstance(value, bool) or not isinstance(value, (int, float, np.number, Fraction))
        if wrong_type or not isfinite(value) or not value > 0:
            raise ParameterError(name, repr(value), "a positive, finite number")
    if one > MAX_ONE:
        raise ParameterError("one", repr(one), f"at most {MAX_ONE} codes")
    return _direct(
        function, float(scale_in), _int32("zero_point_in", zero_point_in), fmt_in,
        one if isinstance(one, Fraction) else Fraction(float(one)), _int32("zero_point_out", zero_point_out), fmt_out,
    )  # fmt: skip


def gate_table(function: str, scale: float, zero_point: int, gate_bits: int) -> DirectTable:
    """The table of a gate of datapath M: int8 out, 127 for 1.0.  [SPEC A-1, A-2]

    scale       float > 0 (binary32), of the gate input
    zero_point  int32, of the gate input; 0 when gate_bits is 16
    gate_bits   8, or 16: the same 256 entries for 257 times the scale, addressed by A-2
    Raises      ParameterError naming the argument
    """
    if gate_bits not in (8, 16) or isinstance(gate_bits, bool):
        raise ParameterError("gate_bits", repr(gate_bits), "8 or 16")
    if isinstance(scale, bool) or not isinstance(scale, (int, float, np.number)):
        raise ParameterError("scale", repr(scale), "a positive, finite number")
    wide = gate_bits == 16
    return direct_table(
        function, scale_in=257.0 * float(scale) if wide else float(scale), zero_point_in=zero_point,
        fmt_in=INT16 if wide else INT8, one=127, zero_point_out=0, fmt_out=INT8,
    )  # fmt: skip


def piecewise_linear_table(
    function: str,
    *,
    exponent_in: int,
    zero_point_in: int,
    fmt_in: IntFormat,
    exponent_out: int,
    zero_point_out: int,
    fmt_out: IntFormat,
    segments: int = 16,
) -> PiecewiseLinear:
    """Piecewise linear table of least error, monotone.  [SPEC A-3, A-5]

    function        "sigmoid" or "tanh"
    exponent_*      int in [-15, 30]; the scale is 2**-exponent
    zero_point_*    int32, inside or outside the format
    fmt_in, fmt_out 2 to 16 bits
    segments        2 to 16, the most that may be used
    Returns         PiecewiseLinear, its quality over all inputs in meta; sigmoid stays within the codes of 0.0 and 1.0
    Raises          ParameterError naming the argument
    """
    arguments = _pot_arguments(function, exponent_in, zero_point_in, fmt_in, exponent_out, zero_point_out, fmt_out)
    return _linear(*arguments, checked_int("segments", segments, 2, PiecewiseLinear.max_segments))


def piecewise_quadratic_table(
    function: str,
    *,
    exponent_in: int,
    zero_point_in: int,
    fmt_in: IntFormat,
    exponent_out: int,
    zero_point_out: int,
    fmt_out: IntFormat,
    segments: int = 32,
) -> PiecewiseQuadratic:
    """Piecewise quadratic table of least error, monotone.  [SPEC A-4, A-5]

    Arguments as in piecewise_linear_table; segments is 2 to 32.
    """
    arguments = _pot_arguments(function, exponent_in, zero_point_in, fmt_in, exponent_out, zero_point_out, fmt_out)
    return _quadratic(*arguments, checked_int("segments", segments, 2, PiecewiseQuadratic.max_segments))


def pot_table(function: str, kind: str, pre: Operator, out: Operator) -> Activation:
    """The table of a gate of datapath P between its pre and out operators.  [SPEC A-1, A-3, A-4, GP-10]

    kind    "direct" (8-bit input), "piecewise_linear" or "piecewise_quadratic"
    Raises  ParameterError naming the argument
    """
    arguments = _pot_arguments(function, pre.exponent, pre.zero_point, pre.fmt, out.exponent, out.zero_point, out.fmt)
    if kind == "piecewise_linear":
        return _linear(*arguments, PiecewiseLinear.max_segments)
    if kind == "piecewise_quadratic":
        return _quadratic(*arguments, PiecewiseQuadratic.max_segments)
    if kind != "direct":
        raise ParameterError("kind", repr(kind), f"one of {', '.join(KINDS)}")
    if pre.fmt.bits > 8:
        raise ParameterError("direct table fmt_in", str(pre.fmt), "a signed format of at most 8 bits")
    _, e_in, zero_point_in, fmt_in, e_out, zero_point_out, fmt_out = arguments
    return _direct(function, 2.0**-e_in, zero_point_in, fmt_in, Fraction(2) ** e_out, zero_point_out, fmt_out)


def quality(table: Activation) -> dict[str, Any]:
    """Quality over all inputs by the clause's arithmetic: max_error_lsb (int), monotone (bool), segments, inputs.  [SPEC A-5]

    The error is |table(q) - saturate(half_away(one * f(u)) + zero_point_out, fmt_out)|, u the real value of q.
    Raises  ParameterError when a piecewise table does not say its exponents
    """
    count = 256 if isinstance(table, DirectTable) else len(table.thresholds)
    return measure(outputs(table), ideal(table), count)


@lru_cache(maxsize=CACHED)
def _direct(
    function: str, scale: float, zero_point_in: int, fmt_in: IntFormat, one: Fraction, zero_point_out: int, fmt_out: IntFormat
) -> DirectTable:
    d = inputs(INT8) - zero_point_in
    entries = exact_codes(function, d, Fraction(scale), one, zero_point_out, fmt_out)
    meta: dict[str, Any] = {}
    table = DirectTable(function, entries, fmt_in, fmt_out, zero_point_in, zero_point_out, float(one), scale, meta)
    meta.update(quality(table), method="every entry decided exactly")
    return table


@lru_cache(maxsize=CACHED)
def _linear(
    function: str,
    e_in: int,
    zero_point_in: int,
    fmt_in: IntFormat,
    e_out: int,
    zero_point_out: int,
    fmt_out: IntFormat,
    limit: int,
) -> PiecewiseLinear:
    d = inputs(fmt_in) - zero_point_in
    codes = exact_codes(function, d, Fraction(2) ** -e_in, Fraction(2) ** e_out, zero_point_out, fmt_out)
    low, high = _limits(function, e_out, zero_point_out, fmt_out)
    expected = LINEAR_EXPECTED * 256 // limit**2 >> (16 - fmt_out.bits)
    found = table_linear.fit(table_linear.Curve(codes, d, low, high, fmt_out), limit, expected)
    starts, slopes, shifts, intercepts = np.array(found, np.int64).T
    meta: dict[str, Any] = {}
    table = PiecewiseLinear(
        function, _thresholds(starts, fmt_in), slopes, shifts, intercepts, fmt_in, fmt_out,
        zero_point_in, zero_point_out, e_in, e_out, meta,
    )  # fmt: skip
    meta.update(measure(outputs(table), codes, len(found)), method="least tolerance, longest segments")
    return table


@lru_cache(maxsize=CACHED)
def _quadratic(
    function: str,
    e_in: int,
    zero_point_in: int,
    fmt_in: IntFormat,
    e_out: int,
    zero_point_out: int,
    fmt_out: IntFormat,
    limit: int,
) -> PiecewiseQuadratic:
    q = inputs(fmt_in)
    d = q - zero_point_in
    codes = exact_codes(function, d, Fraction(2) ** -e_in, Fraction(2) ** e_out, zero_point_out, fmt_out)
    reals = 2.0**e_out * values(function, d.astype(np.float64) * 2.0**-e_in) + zero_point_out
    low, high = _limits(function, e_out, zero_point_out, fmt_out)
    expected = QUADRATIC_EXPECTED * (32 / limit) ** 3 * 2.0 ** (fmt_out.bits - 16)
    found = table_quadratic.fit(table_quadratic.Curve(codes, reals, q, zero_point_in, low, high, fmt_out), limit, expected)
    starts, origins, c2, p, c1, n, c0 = np.array(found, np.int64).T
    meta: dict[str, Any] = {}
    table = PiecewiseQuadratic(
        function, _thresholds(starts, fmt_in), origins, c2, p, c1, n, c0, fmt_in, fmt_out,
        zero_point_in, zero_point_out, e_in, e_out, meta,
    )  # fmt: skip
    meta.update(measure(outputs(table), codes, len(found)), method="minimax parabolas, longest segments")
    return table


def _thresholds(starts: np.ndarray, fmt: IntFormat) -> np.ndarray:
    """Each segment ends where the next one starts; the last one decides nothing."""
    return np.append(starts[1:] + fmt.qmin, fmt.qmax + 1)


def _limits(function: str, e_out: int, zero_point: int, fmt: IntFormat) -> tuple[int, int]:
    """Saturated codes of the least and the greatest value of the function, 1.0 as in GP-6."""
    one = 1 << e_out if e_out >= 0 else int(e_out == -1)
    least = zero_point - (one if function == "tanh" else 0)
    return min(max(least, fmt.qmin), fmt.qmax), min(max(zero_point + one, fmt.qmin), fmt.qmax)


def _pot_arguments(
    function: str, e_in: Any, zero_point_in: Any, fmt_in: Any, e_out: Any, zero_point_out: Any, fmt_out: Any
) -> tuple[str, int, int, IntFormat, int, int, IntFormat]:
    """The arguments of a table of datapath P, checked, as plain integers."""
    _check_function(function)
    _check_formats(fmt_in, fmt_out)
    return (
        function, checked_int("exponent_in", e_in, MIN_EXPONENT, MAX_EXPONENT), _int32("zero_point_in", zero_point_in), fmt_in,
        checked_int("exponent_out", e_out, MIN_EXPONENT, MAX_EXPONENT), _int32("zero_point_out", zero_point_out), fmt_out,
    )  # fmt: skip


def _check_function(function: Any) -> None:
    if function not in FUNCTIONS:
        raise ParameterError("function", repr(function), "sigmoid or tanh")


def _check_formats(fmt_in: Any, fmt_out: Any) -> None:
    for name, fmt in (("fmt_in", fmt_in), ("fmt_out", fmt_out)):
        if not isinstance(fmt, IntFormat) or fmt.bits > 16:
            raise ParameterError(name, repr(fmt), "an IntFormat of 2 to 16 bits")


def _int32(name: str, value: Any) -> int:
    return checked_int(name, value, INT32.qmin, INT32.qmax)


if __name__ == "__main__":
    from golden.table_sweep import main

    main()
