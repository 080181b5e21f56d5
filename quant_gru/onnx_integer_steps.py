"""The steps of the clauses as integer operators of ONNX.  [SPEC F-2, R, Q-1 ... Q-3, M-3 ... M-5, L-1, A]

Everything is int64 and exact. Div truncates and Mod takes the sign of the divisor, so that a rounding shift is a division by
a power of two; no addition before it leaves int64. Comparisons and Where stand for Clip, Min, Max and Sign: onnxruntime
gives those wrong for some int64 values beyond 32 bits (seen with 1.31 on x86-64).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.quantize import reciprocal
from golden.spec.bounds import INT32_LIMIT, linear_bound
from golden.spec.formats import INT32, IntFormat
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from quant_gru.boundary import Point
from quant_gru.onnx_graph import Emitter, Value, cast, weights


def whole(e: Emitter, value: Any) -> Value:
    """An int64 constant."""
    return e.const(np.asarray(value, np.int64), "int64")


def plus(e: Emitter, v: Value, constant: Any) -> Value:
    """v + constant, without an operator where the constant is 0."""
    return v if not np.any(constant) else e.op("Add", v, whole(e, constant))


def times(e: Emitter, v: Value, constant: Any) -> Value:
    """v * constant, without an operator where the constant is 1."""
    return v if np.all(np.asarray(constant) == 1) else e.op("Mul", v, whole(e, constant))


def saturate(e: Emitter, v: Value, fmt: IntFormat, name: str = "") -> Value:
    """min(max(v, qmin), qmax).  [SPEC F-2]"""
    low, high = whole(e, fmt.qmin), whole(e, fmt.qmax)
    v = e.op("Where", e.op("Greater", v, high), high, v)
    return e.op("Where", e.op("Less", v, low), low, v, name=name)


def ties_up(e: Emitter, v: Value, shift: int) -> Value:
    """floor((v + 2**(s-1)) / 2**s) for |v| <= 2**62 and s <= 31.  [SPEC R-1]"""
    if shift == 0:
        return v
    raised = plus(e, v, 1 << (shift - 1))
    divisor = whole(e, 1 << shift)
    return e.op("Div", e.op("Sub", raised, e.op("Mod", raised, divisor)), divisor)


def shift_round(e: Emitter, v: Value, shift: Any, rounding: Rounding) -> Value:
    """RS with ties away or to even; shift is a constant, one for all or one for each column.  [SPEC R-2, R-3, R-4]

    With t = trunc(v / 2**(s-1)), ties away is trunc((t + sign(t)) / 2) for s > 0, and nothing leaves int64 for any s.
    A tie is where t is odd and nothing was dropped below it; to even takes 1 off its magnitude where |t| mod 4 is 1.
    """
    shift = np.asarray(shift, np.int64)
    if shift.size and (shift == shift.flat[0]).all():
        shift = shift.flat[0]
    right = np.clip(shift, 1, 63)
    left = np.where(shift >= 64, 0, np.int64(1) << np.clip(-shift, 0, 62))  # nothing is left of a value below 2**63
    half = np.where(shift > 0, np.int64(1) << (right - 1), 1)
    v = times(e, v, left)
    if not (shift > 0).any():
        return v
    up, two = whole(e, shift > 0), whole(e, np.where(shift > 0, 2, 1))
    return _half_away(e, v, whole(e, half), up, two, rounding, bool((half > 1).any()))


def _half_away(e: Emitter, v: Value, half: Value, up: Value, two: Value, rounding: Rounding, dropped: bool = True) -> Value:
    """trunc((t + sign(t) * up) / two), t = trunc(v / half), and the correction of ties to even."""
    t = e.op("Div", v, half) if dropped else v
    sign = e.op("Where", e.op("Less", t, whole(e, 0)), e.op("Neg", up), up)  # of t = 0, which has none, either does
    away = e.op("Div", e.op("Add", t, sign), two)
    if rounding is not Rounding.TIES_EVEN:
        return away
    exact = e.op("Equal", e.op("Mul", t, half), v)
    odd = e.op("Equal", e.op("Mod", e.op("Abs", t), whole(e, 4)), whole(e, 1))
    tie = cast(e, e.op("And", exact, odd), "int64")
    return e.op("Sub", away, e.op("Mul", tie, sign))


def apply(e: Emitter, v: Value, m: MShift) -> Value:
    """ties_up(v * M, s) for v in int32.  [SPEC M-3]"""
    return ties_up(e, times(e, v, m.multiplier), m.shift)


def align(e: Emitter, v: Value, m: MShift) -> Value:
    """saturate(apply(v, m), int32).  [SPEC M-4]"""
    return saturate(e, apply(e, v, m), INT32)


def requantize(e: Emitter, v: Value, m: MShift, zero_point: int, fmt: IntFormat, name: str = "") -> Value:
    """saturate(apply(v, m) + zp, fmt).  [SPEC M-5]"""
    return saturate(e, plus(e, apply(e, v, m), zero_point), fmt, name)


def matmul(e: Emitter, codes: Value, w: np.ndarray, zero_point: int, fmt: IntFormat, fmt_w: IntFormat, name: str) -> Value:
    """sum_k w[k,m] * (codes[...,k] - zp) in int64; multiplied in int32 where no sum can leave it.  [SPEC L-1, L-2]

    MatMulInteger is not used: on CPUs without VNNI its sums of 8-bit products may saturate.
    """
    centred = plus(e, codes, -zero_point)
    narrow = linear_bound(w.shape[0], fmt_w, fmt, zero_point) < INT32_LIMIT
    if not narrow:
        return e.op("MatMul", centred, weights(e, w, "int64", name))
    return cast(e, e.op("MatMul", cast(e, centred, "int32"), weights(e, w, "int32", name)), "int64")


def quantize(e: Emitter, real: Value, at: Point, name: str = "") -> Value:
    """float32 to codes in int64: Div or Mul, Add, Round, each one binary32 operation.  [SPEC Q-1, Q-2]"""
    if at.reciprocal:
        t = e.op("Mul", real, e.const(reciprocal(at.scale), "float32"))
    else:
        t = e.op("Div", real, e.const(np.float32(at.scale), "float32"))
    t = e.op("Round", e.op("Add", t, e.const(np.float32(at.zero_point), "float32")))
    t = e.op("Where", e.op("IsNaN", t), e.const(np.float32(0), "float32"), t)
    t = e.op("Clip", t, e.const(np.float32(at.fmt.qmin), "float32"), e.const(np.float32(at.fmt.qmax), "float32"))
    return cast(e, t, "int64", name)


def dequantize(e: Emitter, codes: Value, at: Point, name: str = "") -> Value:
    """f32(f32(q - zp) * scale) of codes in int64.  [SPEC Q-3]"""
    centred = cast(e, plus(e, codes, -at.zero_point), "float32")
    return e.op("Mul", centred, e.const(np.float32(at.scale), "float32"), name=name)


def activate(e: Emitter, q: Value, table: Activation, name: str) -> Value:
    """The activation of a gate by the kind of its table; q lies in the table's input format.  [SPEC A-1 ... A-4]"""
    if isinstance(table, DirectTable):
        index = plus(e, q, 128)
        if table.fmt_in.bits == 16:
            index = e.op("Div", plus(e, times(e, plus(e, q, 32768), 255), 32767), whole(e, 65535))
        return e.op("Gather", e.const(table.entries, "int64", f"{name}_table"), index, axis=0, name=name)
    segment = _Segments(e, q, table.thresholds)
    if isinstance(table, PiecewiseLinear):
        slopes = table.slopes.astype(np.int64)
        y = segment.shifted(slopes, plus(e, q, -table.zero_point_in), table.shifts)
        return saturate(e, e.op("Add", y, segment.take(table.intercepts)), table.fmt_out, name)
    assert isinstance(table, PiecewiseQuadratic)
    d = e.op("Sub", q, segment.take(table.origins))
    inner = e.op("Add", segment.shifted(table.c2.astype(np.int64), d, table.p), segment.take(table.c1))
    y = segment.shifted(np.ones(len(table.n), np.int64), e.op("Mul", inner, d), table.n)
    return saturate(e, e.op("Add", y, segment.take(table.c0)), table.fmt_out, name)


class _Segments:
    """The segment of every code, and data of segments picked by it.  [SPEC A-3]"""

    def __init__(self, e: Emitter, q: Value, thresholds: np.ndarray) -> None:
        self.e = e
        self.index: Value | None = None
        if len(thresholds) > 1:  # the first i with q < threshold_i, else the last: how many of the others are at most q
            below = e.op("GreaterOrEqual", e.op("Unsqueeze", q, whole(e, [-1])), whole(e, thresholds[:-1]))
            self.index = e.op("ReduceSum", cast(e, below, "int64"), whole(e, [-1]), keepdims=0)

    def take(self, data: Any) -> Value:
        """The entry of each code's segment, in int64."""
        data = np.asarray(data, np.int64)
        if self.index is None or (data == data[0]).all():
            return whole(self.e, data[0])
        return self.e.op("Gather", whole(self.e, data), self.index, axis=0)

    def shifted(self, factors: np.ndarray, v: Value, shifts: np.ndarray) -> Value:
        """ties_away(factor_i * v, shift_i); a left shift is part of the factor.  [SPEC R-2]"""
        shifts = shifts.astype(np.int64)
        factors = factors << np.maximum(-shifts, 0)
        half = np.where(shifts > 0, np.int64(1) << np.maximum(shifts - 1, 0), 1)
        product = self.e.op("Mul", v, self.take(factors))
        if not (shifts > 0).any():
            return product
        up, two = self.take(shifts > 0), self.take(np.where(shifts > 0, 2, 1))
        return _half_away(self.e, product, self.take(half), up, two, Rounding.TIES_AWAY, bool((half > 1).any()))
