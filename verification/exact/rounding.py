"""Saturation and the three roundings of a shift, on Python integers.  [SPEC F-2, R-1 ... R-4]"""

from __future__ import annotations

from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.rounding import Rounding


def saturate(v: int, fmt: IntFormat) -> int:
    """v, brought into [qmin, qmax] of fmt.  [SPEC F-2]"""
    return min(max(v, fmt.qmin), fmt.qmax)


def ties_up(x: int, s: int) -> int:
    """floor((x + 2**(s-1)) / 2**s); s = 0 is the identity.  -1.5 -> -1, 0.5 -> 1.  [SPEC R-1]"""
    if s < 0:
        raise ParameterError("shift", s, "a shift of at least 0 for ties_up")
    if s == 0:
        return x
    return (x + 2 ** (s - 1)) // 2**s


def ties_away(x: int, s: int) -> int:
    """sign(x) * floor((|x| + 2**(s-1)) / 2**s) for s > 0; x * 2**-s for s <= 0.  -0.5 -> -1.  [SPEC R-2]"""
    if s <= 0:
        return x * 2**-s
    magnitude = (abs(x) + 2 ** (s - 1)) // 2**s
    return -magnitude if x < 0 else magnitude


def ties_even(x: int, s: int) -> int:
    """Nearest integer of x / 2**s, a tie to the even one; x * 2**-s for s <= 0.  0.5 -> 0, 1.5 -> 2.  [SPEC R-3]"""
    if s <= 0:
        return x * 2**-s
    quotient, rest = divmod(x, 2**s)
    twice = 2 * rest
    if twice > 2**s or (twice == 2**s and quotient % 2 == 1):
        return quotient + 1
    return quotient


def shift_round(x: int, s: int, rounding: Rounding) -> int:
    """x / 2**s under a named rounding.  [SPEC R-1 ... R-3]"""
    if rounding is Rounding.TIES_UP:
        return ties_up(x, s)
    if rounding is Rounding.TIES_AWAY:
        return ties_away(x, s)
    if rounding is Rounding.TIES_EVEN:
        return ties_even(x, s)
    raise ParameterError("rounding", repr(rounding), "a Rounding")
