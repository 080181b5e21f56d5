"""What an activation table should hold: the exact code of every input.  [SPEC A-1, A-5]

float64 finds the code of nearly every input; where it lies too close to a tie, exact arithmetic decides. Only elementary
IEEE operations are used (no libm), so every machine finds the same numbers.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from golden.spec.formats import IntFormat

INV_LN2 = float.fromhex("0x1.71547652b82fep+0")
LN2_HIGH = float.fromhex("0x1.62e42feep-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
EXP_UNDERFLOW = 600.0
TAYLOR_DEGREE = 14
NEAR_TIE = 2.0**-30
FLOAT_ERROR = 2.0**-48


def exp_negative(x: np.ndarray) -> np.ndarray:
    """exp(-x) for float64 x >= 0, to about 2 units in the last place; x beyond 600 counts as 600."""
    x = np.minimum(x, EXP_UNDERFLOW)
    k = np.rint(x * INV_LN2)
    r = (k * LN2_HIGH - x) + k * LN2_LOW
    y = np.full(x.shape, 1.0)
    for i in range(TAYLOR_DEGREE, 0, -1):
        y = 1.0 + y * r / float(i)
    return np.ldexp(y, (-k).astype(np.int32))


def values(function: str, u: np.ndarray) -> np.ndarray:
    """sigmoid or tanh of float64 u, absolute error below 2**-50."""
    if function == "sigmoid":
        t = exp_negative(np.abs(u))
        return np.where(u >= 0, 1.0, t) / (1.0 + t)
    t = exp_negative(2.0 * np.abs(u))
    return np.copysign((1.0 - t) / (1.0 + t), u)


def exact_codes(function: str, d: np.ndarray, scale: Fraction, one: Fraction, zero_point: int, fmt: IntFormat) -> np.ndarray:
    """saturate(half_away(one * f(d * scale)) + zero_point, fmt), decided exactly.  [SPEC A-1]

    function    "sigmoid" or "tanh"
    d           int64 [...], q - zero_point_in, |d| < 2**33
    scale, one  positive, exact; one <= 2**31
    zero_point  of the output, int32
    Returns     int64 [...] in fmt
    Ties        half away from zero; for u != 0 a true tie does not exist, for u = 0 it is taken exactly
    """
    size = np.abs(d) if function == "tanh" else d
    real_scale = min(max(float(scale), 2.0**-200), 2.0**60)
    y = float(one) * values(function, size.astype(np.float64) * real_scale)
    below = np.floor(y)
    margin = NEAR_TIE + float(one) * FLOAT_ERROR
    rounded = np.floor(y + 0.5).astype(np.int64)
    low = below.astype(np.int64)
    sign = np.sign(d) if function == "tanh" else np.int64(1)
    ends = [np.clip(sign * (low + step) + zero_point, fmt.qmin, fmt.qmax) for step in (0, 1)]
    near = (np.abs(y - below - 0.5) <= margin) & (ends[0] != ends[1])
    if near.any():
        rounded[near] = low[near] + _reaches_tie(function, size[near], low[near], scale, one)
    return np.clip(sign * rounded + zero_point, fmt.qmin, fmt.qmax)


def _reaches_tie(function: str, d: np.ndarray, low: np.ndarray, scale: Fraction, one: Fraction) -> np.ndarray:
    """Whether one * f(d * scale) >= low + 1/2, as int64 0 or 1.

    Both functions are tanh inside: tanh(u) >= T is u >= atanh(T), sigmoid(u) >= T is u/2 >= atanh(2T - 1). The sign, or
    |w| <= |x| < |atanh(x)|, settles most of w >= atanh(x); what is left is compared in decimal arithmetic.
    """
    out = np.zeros(d.shape, np.int64)
    if 2 * int(low.min()) + 1 >= 2 * one:  # the function stays below 1
        return out
    for i, (q, m) in enumerate(zip(d.tolist(), low.tolist())):
        target = (m + Fraction(1, 2)) / one
        w, x = (q * scale, target) if function == "tanh" else (q * scale / 2, 2 * target - 1)
        if x >= 1:
            continue
        if w * x <= 0:
            out[i] = w >= x
        elif abs(w) <= abs(x):
            out[i] = x < 0
        else:
            out[i] = _at_least_atanh(w, x)
    return out


def _at_least_atanh(w: Fraction, x: Fraction) -> bool:
    """w >= atanh(x) for 0 < |x| < 1; never equal, because atanh of such a number is transcendental."""
    precision = 40
    while True:
        with localcontext() as context:
            context.prec = precision
            ratio = (1 + x) / (1 - x)
            root = (Decimal(ratio.numerator) / Decimal(ratio.denominator)).ln() / 2
            difference = Decimal(w.numerator) / Decimal(w.denominator) - root
            if abs(difference) > Decimal(10) ** (6 - precision) * (1 + abs(root)):
                return difference > 0
        precision *= 2
