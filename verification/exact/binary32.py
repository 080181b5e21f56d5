"""IEEE binary32, done exactly: every operation on fractions, then one rounding to nearest, ties to even.

A binary32 number is held in a Python float, which contains it exactly (infinities, NaN and the sign of zero too). The
operands of the operations must be binary32 numbers already, anything else is refused. No operation uses the machine's own float
arithmetic: the operands are taken apart into integers, the exact result is a ratio of integers, and `round_ratio` rounds it.
"""

from __future__ import annotations

import math
from fractions import Fraction

from golden.spec.errors import ParameterError

PRECISION = 24  # bits of a normal significand
MIN_QUANTUM = -149  # exponent of the least subnormal
MAX_EXPONENT = 128  # 2**128 and above is infinity
INF = math.inf
NAN = math.nan


def round_ratio(numerator: int, denominator: int, negative: bool = False) -> float:
    """The binary32 number nearest to numerator / denominator, ties to even; subnormals kept, overflow to infinity.

    numerator, denominator  non-negative and positive integers: the magnitude
    negative                the sign of the result, of a zero too
    """
    sign = -1.0 if negative else 1.0
    if numerator == 0:
        return math.copysign(0.0, sign)
    exponent = numerator.bit_length() - denominator.bit_length()
    if _scaled(numerator, -exponent) < _scaled(denominator, exponent):
        exponent -= 1  # now 2**exponent <= numerator / denominator < 2**(exponent + 1)
    quantum = max(exponent - (PRECISION - 1), MIN_QUANTUM)
    den = _scaled(denominator, quantum)
    quotient, rest = divmod(_scaled(numerator, -quantum), den)
    if 2 * rest > den or (2 * rest == den and quotient % 2 == 1):
        quotient += 1
    if quotient.bit_length() + quantum > MAX_EXPONENT:
        return math.copysign(INF, sign)
    return math.copysign(math.ldexp(quotient, quantum), sign)  # ldexp of at most 25 bits is exact


def _scaled(value: int, power: int) -> int:
    """value * 2**power when power > 0, else value: one side of a fraction that is scaled by a power of two."""
    return value << power if power > 0 else value


def nearest(value: Fraction | int | float) -> float:
    """The binary32 number nearest to any exact number; NaN, infinities and -0.0 stay what they are."""
    if isinstance(value, float):
        if not math.isfinite(value) or value == 0.0:
            return value
    numerator, denominator = value.as_integer_ratio()
    return round_ratio(abs(numerator), denominator, numerator < 0)


def is_binary32(value: float) -> bool:
    """Whether a Python float is a binary32 number (NaN counts as one)."""
    return math.isnan(value) or nearest(value) == value


def _check(a: float, b: float) -> None:
    for value in (a, b):
        if not isinstance(value, float) or not is_binary32(value):
            raise ParameterError("operand", repr(value), "a Python float that is exactly a binary32 number")


def add(a: float, b: float) -> float:
    """f32(a + b).  An exact zero is +0.0 unless both operands are -0.0."""
    _check(a, b)
    if math.isnan(a) or math.isnan(b):
        return NAN
    if math.isinf(a) or math.isinf(b):
        if math.isinf(a) and math.isinf(b) and a != b:
            return NAN
        return a if math.isinf(a) else b
    if a == 0.0 and b == 0.0:
        both_negative = math.copysign(1.0, a) < 0 and math.copysign(1.0, b) < 0
        return -0.0 if both_negative else 0.0
    a_num, a_den = a.as_integer_ratio()
    b_num, b_den = b.as_integer_ratio()
    numerator = a_num * b_den + b_num * a_den
    return round_ratio(abs(numerator), a_den * b_den, numerator < 0)


def sub(a: float, b: float) -> float:
    """f32(a - b)."""
    return add(a, -b)


def mul(a: float, b: float) -> float:
    """f32(a * b).  Infinity times zero is NaN."""
    _check(a, b)
    if math.isnan(a) or math.isnan(b):
        return NAN
    negative = math.copysign(1.0, a) != math.copysign(1.0, b)
    if math.isinf(a) or math.isinf(b):
        if a == 0.0 or b == 0.0:
            return NAN
        return -INF if negative else INF
    a_num, a_den = a.as_integer_ratio()
    b_num, b_den = b.as_integer_ratio()
    return round_ratio(abs(a_num * b_num), a_den * b_den, negative)


def div(a: float, b: float) -> float:
    """f32(a / b).  0/0 and inf/inf are NaN, a non-zero number over zero is an infinity."""
    _check(a, b)
    if math.isnan(a) or math.isnan(b):
        return NAN
    negative = math.copysign(1.0, a) != math.copysign(1.0, b)
    if math.isinf(a) or b == 0.0:
        if (math.isinf(a) and math.isinf(b)) or (a == 0.0 and b == 0.0):
            return NAN
        return -INF if negative else INF
    if math.isinf(b):
        return -0.0 if negative else 0.0
    a_num, a_den = a.as_integer_ratio()
    b_num, b_den = b.as_integer_ratio()
    return round_ratio(abs(a_num * b_den), a_den * abs(b_num), negative)


def from_int(value: int) -> float:
    """f32(value) of an integer."""
    return round_ratio(abs(value), 1, value < 0)
