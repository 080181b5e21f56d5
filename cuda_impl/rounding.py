"""Saturation and the three roundings of a right shift.  [SPEC F-2, R]

All integers are int64. floor(x / 2^s + 1/2) is taken as (x >> s) + bit s-1 of x, which cannot overflow.
"""

from __future__ import annotations

from cuda_impl.intrinsics import int64

TIES_UP, TIES_AWAY, TIES_EVEN = 0, 1, 2
INT64_FIRST = -(2**63)


def saturate(v, qmin, qmax):
    """min(max(v, qmin), qmax), int64.  [SPEC F-2]"""
    v = int64(v)
    if v < qmin:
        return int64(qmin)
    if v > qmax:
        return int64(qmax)
    return v


def ties_up(x, s):
    """floor((x + 2^(s-1)) / 2^s); s = 0 is the identity; any s >= 0.  [SPEC R-1, R-4]

    Ties     -1.5 -> -1, -0.5 -> 0, 0.5 -> 1, 1.5 -> 2
    """
    x = int64(x)
    s = int64(s)
    if s <= 0:
        return x
    if s > 63:
        return int64(0)
    return (x >> s) + ((x >> (s - int64(1))) & int64(1))


def shift_left(x, s):
    """x * 2^s for s >= 0; the parameter check keeps it inside int64.  [SPEC R-4]"""
    x = int64(x)
    s = int64(s)
    if s > 63:
        return int64(0)
    return x << s


def is_tie(x, s):
    """Whether x / 2^s lies halfway between two integers, 1 <= s <= 63."""
    dropped = x - ((x >> s) << s)
    return dropped == (int64(1) << (s - int64(1)))


def ties_away(x, s):
    """Nearest, a tie away from zero; s <= 0 is x * 2^(-s).  [SPEC R-2]

    Ties     -1.5 -> -2, -0.5 -> -1, 0.5 -> 1, 1.5 -> 2
    """
    x = int64(x)
    s = int64(s)
    if s <= 0:
        return shift_left(x, -s)
    if s > 63:
        if s == 64 and x == INT64_FIRST:  # -0.5
            return int64(-1)
        return int64(0)
    q = ties_up(x, s)
    if x < 0 and is_tie(x, s):
        q = q - int64(1)
    return q


def ties_even(x, s):
    """Nearest, a tie to the even quotient; s <= 0 is x * 2^(-s).  [SPEC R-3]

    Ties     -1.5 -> -2, -0.5 -> 0, 0.5 -> 0, 1.5 -> 2
    """
    x = int64(x)
    s = int64(s)
    if s <= 0:
        return shift_left(x, -s)
    if s > 63:
        return int64(0)
    q = ties_up(x, s)
    if (q & int64(1)) == 1 and is_tie(x, s):
        q = q - int64(1)
    return q


def shift_round(x, s, rounding):
    """The rounding by its number: TIES_UP, TIES_AWAY or TIES_EVEN of this file.  [SPEC R]"""
    if rounding == TIES_AWAY:
        return ties_away(x, s)
    if rounding == TIES_EVEN:
        return ties_even(x, s)
    return ties_up(x, s)
