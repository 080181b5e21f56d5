"""The exact entries of a direct table: sigma and tanh enclosed between fractions until the code is certain.  [SPEC A-1, A-2]

At a rational u other than 0, exp(u) is transcendental, so sigma(u) and tanh(u) are never a tie and narrowing the enclosure
always ends. At u = 0 the values are 1/2 and 0 and a tie is decided exactly, away from zero.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, INT16, IntFormat
from golden.spec.tables import DirectTable
from verification.exact.rounding import saturate

HALF = Fraction(1, 2)
FAR = 1000  # beyond it exp(-u) < 2**-1400 and only the side of the limit matters


def exp_minus(u: Fraction, bits: int) -> tuple[Fraction, Fraction]:
    """(lo, hi) with lo <= exp(-u) <= hi for 0 <= u; the width is a small multiple of 2**-bits.

    exp(-u) = exp(-r)**(2**halvings) with r <= 1/2. Two successive partial sums of the alternating series enclose exp(-r);
    each squaring rounds lo down and hi up to a multiple of 2**-precision.
    """
    halvings = 0
    while u > HALF * 2**halvings:
        halvings += 1
    precision = bits + halvings + 8
    one = 1 << precision
    r = u / 2**halvings
    r_lo, r_hi = math.floor(r * one), math.ceil(r * one)
    lo, hi = _series(r_hi, precision)[0], _series(r_lo, precision)[1]  # exp(-r) falls as r grows
    for _ in range(halvings):
        lo, hi = (lo * lo) >> precision, -((-hi * hi) >> precision)
    return Fraction(lo, one), Fraction(hi, one)


def _series(r: int, precision: int) -> tuple[int, int]:
    """(lo, hi) around 2**precision * exp(-r / 2**precision), 0 <= r <= 2**(precision-1) + 1, in integers.

    Every term is known to lie in [term_lo, term_hi]; the terms fall, so the error of a partial sum is at most the next term.
    """
    term_lo = term_hi = sum_lo = sum_hi = 1 << precision
    n = 0
    while term_hi > 1:
        n += 1
        term_lo = (term_lo * r) // (n << precision)
        term_hi = -((-term_hi * r) // (n << precision))
        if n % 2:
            sum_lo, sum_hi = sum_lo - term_hi, sum_hi - term_lo
        else:
            sum_lo, sum_hi = sum_lo + term_lo, sum_hi + term_hi
    return max(sum_lo - term_hi, 0), sum_hi + term_hi


def enclose(function: str, u: Fraction, bits: int) -> tuple[Fraction, Fraction]:
    """(lo, hi) around sigma(u), or around tanh(u) for u >= 0."""
    e_lo, e_hi = exp_minus(abs(u) if function == "sigmoid" else 2 * u, bits)
    if function == "tanh":
        return (1 - e_hi) / (1 + e_hi), (1 - e_lo) / (1 + e_lo)
    if u >= 0:
        return 1 / (1 + e_hi), 1 / (1 + e_lo)
    return e_lo / (1 + e_lo), e_hi / (1 + e_hi)


def half_away(v: Fraction) -> int:
    """Nearest integer, ties away from zero."""
    magnitude = math.floor(abs(v) + HALF)
    return -magnitude if v < 0 else magnitude


def _rounded(function: str, u: Fraction, one: Fraction) -> int:
    """half_away(one * f(u)), exactly."""
    if function == "tanh" and u < 0:
        return -_rounded(function, -u, one)  # tanh is odd and so is half_away
    if u == 0:
        return half_away(one * HALF) if function == "sigmoid" else 0
    if u > FAR:
        return math.ceil(one - HALF)  # just below one: half_away of one, but a tie at one itself is not reached
    if u < -FAR:
        return 0  # just above zero
    bits = 64
    while True:
        lo, hi = enclose(function, u, bits)
        code = half_away(one * lo)
        if code == half_away(one * hi):
            return code
        bits *= 2


def ideal_code(
    function: str,
    q: int,
    scale_in: Fraction | float,
    zero_point_in: int,
    one: Fraction | int | float,
    zero_point_out: int,
    fmt_out: IntFormat,
) -> int:
    """saturate(half_away(one * f((q - zp_in) * scale_in)) + zp_out, fmt_out), f sigma or tanh, exactly.  [SPEC A-1]"""
    if function not in ("sigmoid", "tanh"):
        raise ParameterError("function", repr(function), "sigmoid or tanh")
    k = Fraction(one)
    if not 0 < k <= 2**31:
        raise ParameterError("one", one, "a positive number of codes, at most 2**31")
    u = (q - zero_point_in) * Fraction(scale_in)
    return saturate(_rounded(function, u, k) + zero_point_out, fmt_out)


def direct_table(
    function: str,
    *,
    scale_in: Fraction | float,
    zero_point_in: int,
    fmt_in: IntFormat,
    one: Fraction | int | float,
    zero_point_out: int,
    fmt_out: IntFormat,
) -> DirectTable:
    """The 256 exact entries as a table; scale_in is the input scale of one entry.  [SPEC A-1]"""
    entries = [ideal_code(function, i - 128, scale_in, zero_point_in, one, zero_point_out, fmt_out) for i in range(256)]
    return DirectTable(function, np.array(entries), fmt_in, fmt_out, zero_point_in, zero_point_out, float(one), float(scale_in))


def gate_table(function: str, scale: float, zero_point: int, gate_bits: int) -> DirectTable:
    """The table of a gate of datapath M; for a 16-bit input one entry stands for 257 codes.  [SPEC A-1, A-2]"""
    if gate_bits not in (8, 16):
        raise ParameterError("gate_bits", gate_bits, "8 or 16")
    wide = gate_bits == 16
    return direct_table(
        function,
        scale_in=Fraction(scale) * (257 if wide else 1),
        zero_point_in=zero_point,
        fmt_in=INT16 if wide else INT8,
        one=127,
        zero_point_out=0,
        fmt_out=INT8,
    )
