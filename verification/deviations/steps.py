"""The steps that a deviation can replace, each as the clauses have it, on int64 arrays.

A deviation is `dataclasses.replace(RIGHT, <one step>=<something else>)`. A step that uses others takes the Steps as its
first argument and calls them through it, so that two deviations together are both seen. A step of the wiring takes the
environment of the stage (see `environment`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.formats import INT32, IntFormat
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from verification.deviations import quotients
from verification.exact import hidden, quantize, ranges, rescale

Array = np.ndarray
Step = Callable[..., Any]


def product(v: Array, multiplier: Any) -> Array:
    """v * M, exact.  [SPEC M-3]"""
    return v * multiplier


def saturate(v: Array, fmt: IntFormat) -> Array:
    """[SPEC F-2]"""
    return np.clip(v, fmt.qmin, fmt.qmax)


def apply(o: Steps, v: Array, multiplier: Any, s: Any) -> Array:
    """[SPEC M-3]"""
    return o.shift(o.product(v, o.multiplier(multiplier)), o.amount(s), Rounding.TIES_UP)


def align(o: Steps, v: Array, multiplier: Any, s: Any) -> Array:
    """[SPEC M-4]"""
    return o.saturate(o.apply(o, v, multiplier, s), INT32)


def requantize(o: Steps, v: Array, multiplier: Any, s: Any, zero_point: Any, fmt: IntFormat) -> Array:
    """[SPEC M-5]"""
    return o.saturate(o.add_zero(o.apply(o, v, multiplier, s), zero_point), fmt)


def rescale_pot(o: Steps, v: Array, s: Any, rounding: Rounding, zero_point: int, fmt: IntFormat | None) -> Array:
    """A shift into an operator of datapath P, saturated unless fmt is None.  [SPEC GP-1, GP-4, GP-7]"""
    q = o.add_zero(o.shift(v, o.amount(s), rounding), zero_point)
    return q if fmt is None else o.saturate(q, fmt)


def matmul(o: Steps, codes: Array, weights: Array, zero_point: Any, name: str, fmt: IntFormat) -> Array:
    """[SPEC L-1]"""
    return o.dot(o.sub_zero(o.codes(codes, fmt), zero_point, name), weights)


def dot(codes: Array, weights: Array) -> Array:
    """The exact sums of products: L-2 keeps them below 2**47, so binary64 holds every partial sum.  [SPEC L-1, L-2]

    Of what a device gave outside every format the sums may be anything; they are nobody's codes then.
    """
    with np.errstate(invalid="ignore"):
        return np.matmul(codes.astype(np.float64), weights.astype(np.float64)).astype(np.int64)


def total(terms: Sequence[Array], limit: IntFormat | None) -> Array:
    """The exact sum of the terms; limit is what it is saturated to afterwards, if anything.  [SPEC GM-1, GP-2]"""
    out = terms[0]
    for term in terms[1:]:
        out = out + term
    return out


def activate(o: Steps, q: Array, table: Activation) -> Array:
    """[SPEC A-1 ... A-4, GP-10]"""
    if isinstance(table, DirectTable):
        index = o.wide_index(q) if table.fmt_in.bits == 16 else o.index(q)
        return np.asarray(table.entries, np.int64)[index & 255]
    q = o.table_input(q, table)
    i = o.segment(q, np.asarray(table.thresholds, np.int64))
    if isinstance(table, PiecewiseLinear):
        return o.line(o, q, table, i)
    return o.parabola(o, q, table, i)


def _at(values: Array, i: Array) -> Array:
    return np.asarray(values, np.int64)[i]


def line(o: Steps, q: Array, t: PiecewiseLinear, i: Array) -> Array:
    """[SPEC A-3]"""
    product = _at(t.slopes, i) * o.sub_zero(q, t.zero_point_in, "pre")
    y = o.table_shift(product, _at(t.shifts, i), Rounding.TIES_AWAY) + _at(t.intercepts, i)
    return o.saturate(y, t.fmt_out)


def parabola(o: Steps, q: Array, t: PiecewiseQuadratic, i: Array) -> Array:
    """[SPEC A-4]"""
    d = o.sub_zero(q, _at(t.origins, i), "origin")
    inner = o.table_shift(_at(t.c2, i) * d, _at(t.p, i), Rounding.TIES_AWAY) + _at(t.c1, i)
    y = o.table_shift(inner * d, _at(t.n, i), Rounding.TIES_AWAY) + _at(t.c0, i)
    return o.saturate(y, t.fmt_out)


def segment(q: Array, thresholds: Array) -> Array:
    """The first i with q < threshold_i, else the last.  [SPEC A-3]"""
    return np.minimum(np.searchsorted(thresholds, q, side="right"), len(thresholds) - 1)


def blend(o: Steps, k: int, old: Array, new: Array) -> Array:
    """The exact sum of the zoneout, zero points taken off already.  [SPEC Z-2]"""
    return k * old + (2**15 - k) * new


# --- the float boundary, on arrays: every operation is one binary32 operation


def to_code(o: Steps, v: Array, scale: Array, zero_point: Any, fmt: IntFormat, reciprocal: bool) -> Array:
    """[SPEC Q-1, Q-2]"""
    with np.errstate(all="ignore"):
        t = o.scaled(v, np.asarray(scale, np.float32), reciprocal)
        t = t + np.asarray(zero_point, np.float32)
        return o.saturate(saturate(o.nearest(t), INT32), fmt)


def scaled(v: Array, scale: Array, reciprocal: bool) -> Array:
    """f32(v / scale), or by the reciprocal where the parameter set says so.  [SPEC Q-1, Q-2]"""
    return v * (np.float32(1.0) / scale) if reciprocal else v / scale


def nearest(t: Array) -> Array:
    """Nearest-even integer, NaN as 0, infinities far outside int32.  [SPEC Q-1]"""
    return integer(np.rint(t))


def integer(t: Array) -> Array:
    """An integral float as int64, kept within 40 bits."""
    wide = np.nan_to_num(t.astype(np.float64), nan=0.0, posinf=2.0**40, neginf=-(2.0**40))
    return np.clip(wide, -(2.0**40), 2.0**40).astype(np.int64)


def x_range(x: Array, t: int) -> tuple[float, float]:
    """The extremes of x[t], all rows and units.  [SPEC E-1]"""
    return ranges.extremes([float(x[t].min()), float(x[t].max())], "x", t)


def h_range(h: Array, s_h: float, zp_h: int, t: int) -> tuple[float, float]:
    """The dequantized extremes of the codes h [N,H].  [SPEC D-2, Q-3]"""
    ends = [quantize.dequantize(int(q), s_h, zp_h) for q in (h.min(), h.max())]
    return ranges.extremes(ends, "h", t)


@dataclass(frozen=True)
class Steps:
    """All replaceable steps."""

    # M-3 ... M-5, R
    shift: Step = quotients.shift_round
    amount: Step = lambda s: s
    product: Step = product
    multiplier: Step = lambda m: m
    saturate: Step = saturate
    add_zero: Step = lambda q, zero_point: q + zero_point
    sub_zero: Step = lambda q, zero_point, name: q - zero_point
    apply: Step = apply
    align: Step = align
    requantize: Step = requantize
    rescale_pot: Step = rescale_pot
    # L-1
    codes: Step = lambda q, fmt: q
    weights: Step = lambda w, name, params: w
    dot: Step = dot
    matmul: Step = matmul
    bias: Step = lambda b, name, params: b
    bias_of: Step = lambda name: name
    total: Step = total
    # A
    table: Step = lambda table, gate, params: table
    activate: Step = activate
    index: Step = lambda q: q + 128
    wide_index: Step = lambda q: ((q + 32768) * 255 + 32767) // 65535
    table_input: Step = lambda q, table: saturate(q, table.fmt_in)
    segment: Step = segment
    table_shift: Step = quotients.shift_round
    line: Step = line
    parabola: Step = parabola
    # gates and state; these read the environment
    input: Step = lambda e: e.input(e.times, e.rows)
    state: Step = lambda e: e.state(e.times, e.rows)
    initial: Step = lambda codes, run: codes
    gate: Step = lambda e, name: e[name]
    one: Step = lambda code, e: code
    update: Step = lambda keep, rest: (keep, rest)
    moved: Step = lambda old, new: new
    reset: Step | None = None
    joined: Step | None = None
    result: Step = lambda e, h: h
    # Z
    mask: Step = lambda e: e.mask(e.times, e.rows)
    factor: Step = hidden.zoneout_factor
    blend: Step = blend
    zoneout: bool = True
    # Q, on arrays; E, M-2 and D, one number at a time
    to_code: Step = to_code
    scaled: Step = scaled
    nearest: Step = nearest
    x_range: Step = x_range
    h_range: Step = h_range
    first: Step = lambda done: done == 0
    ema: Step = ranges.ema
    asymmetric: Step = ranges.asymmetric
    symmetric: Step = ranges.symmetric
    start_range: Step = lambda low, high: (min(-1.0, low), max(1.0, high))
    derive: Step = rescale.derive
    scale_of_one: float = rescale.S_ONE
    quantize_bias: Step = quantize.quantize_bias


RIGHT = Steps()
