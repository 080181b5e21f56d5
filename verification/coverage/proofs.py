"""Checks of the arguments why some coverpoints cannot be met.  Each returns True, or the argument is wrong.

They enumerate what is small and bound what is not; none looks at vectors.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from golden import ranges
from golden.hidden import zoneout_blend
from golden.quantize import quantize
from golden.rescale import MAX_MULTIPLIER, S_ONE, derive
from golden.rounding import ties_away, ties_even, ties_up
from golden.spec.bounds import INT32_LIMIT, spread
from golden.spec.formats import BOUNDS, INT8, IntFormat


def rounding_keeps_the_sign() -> bool:
    """Every 10-bit x and every shift up to 12: what a rounding gives is at most 0 for x < 0 and at least 0 for x >= 0.

    All three are monotone in x and give 0 for 0, so this holds for every x; every format holds 0, so without a zero point a
    negative value is never above its format and the others never below it.
    """
    x = np.arange(-512, 512, dtype=np.int64)
    for s in range(13):
        for rounding in (ties_up, ties_away, ties_even):
            y = rounding(x, s)
            if (y[x < 0] > 0).any() or (y[x >= 0] < 0).any() or (np.diff(y) < 0).any() or y[512] != 0:
                return False
    return all(low <= 0 <= high for low, high in BOUNDS.values())


def a_zero_point_inside_keeps_the_side() -> bool:
    """D-2: a negative difference, rounded, is at most 0, so with a zero point in int8 at most 127; the other way round too."""
    return rounding_keeps_the_sign() and all(0 + zp <= INT8.qmax and 0 + zp >= INT8.qmin for zp in range(-128, 128))


def the_aligned_candidate_stays_in_int32() -> bool:
    """GM-3: a static set is refused unless B_n + 127*max|h - zp| < 2**31; moving ranges give s_h a floor and m_gh a ceiling."""
    least_spread = min(spread(INT8, zp) for zp in range(-1000, 1001))
    static = INT32_LIMIT - 1 - 127 * least_spread < INT32_LIMIT - 1  # B_n stays below the end of int32
    floor = min(Fraction(1, 2**8) / 255, Fraction(1, 2**9) / 127) * (1 - Fraction(1, 2**20))  # s_h by E-2 and E-3, rounded
    reach = 127 * 128 * Fraction(S_ONE) / floor * (1 + Fraction(1, 2**20))  # M is at most the ratio and a half
    moving = reach + 127 * 128 + 1 < INT32_LIMIT - 1
    return static and bool(moving)


def a_blend_stays_between_its_codes() -> bool:
    """Z-2: every pair of 3-bit codes, zero points inside and outside, every k of a grid and both ends.

    The sum is 2**15 times a number between the two codes; ties_up is monotone and keeps whole numbers, so the result lies
    between the codes, in every format.
    """
    fmt = IntFormat(3, True)
    a, b = (v.reshape(-1) for v in np.meshgrid(np.arange(-4, 4), np.arange(-4, 4)))
    for k in (*range(0, 2**15 + 1, 127), 1, 2**15 - 1, 2**15):
        for zp in (-9, -4, 0, 3, 11):
            acc, _ = zoneout_blend(k, a, b, zp, fmt)
            raw = ties_up(acc, 15) + zp
            if (raw < np.minimum(a, b)).any() or (raw > np.maximum(a, b)).any():
                return False
    return True


def great_binary32_numbers_are_whole() -> bool:
    """From 2**31 on binary32 numbers are multiples of 2**8: even, without a fraction; and 2**31 - 1 is none of them."""
    top = np.float32(2.0**31)
    below = np.nextafter(top, np.float32(0))
    return bool(np.spacing(top) == 2**8 and float(below) == 2**31 - 2**7 and float(np.rint(below)) < 2**31 - 1)


def symmetric_weights_stay_inside() -> bool:
    """E-3 and Q-1: every mantissa of amax: f32(amax / f32(amax / 127)) stays below 127.5, so codes lie in [-127, 127].

    Another exponent changes nothing: amax is at least 2**-9, so no scale is subnormal.
    """
    for start in range(0, 2**23, 2**20):
        bits = (np.uint32(0x3F800000) + np.arange(start, start + 2**20, dtype=np.uint32)).view(np.float32)
        if not (bits / (bits / np.float32(127)) < np.float32(127.5)).all():
            return False
    return True


def a_real_state_fits_its_own_range() -> bool:
    """The initial range holds every value of h0.  With q = f32(lo / scale), zp is the integer nearest to -128 - q.

    The least t is f32(q + zp), which the same q makes at least -128.5; it goes to -128. The greatest, f32(hi / scale) + zp, is
    below 128, and 128 needs at least 127.5: its floor is 127. Drawn ranges are asked too; symmetric ones are as those of W.
    """
    rng = np.random.Generator(np.random.PCG64(1))
    for low, high in [(-1.0, 1.0), (-431 / 256, 431 / 256), *(-1 - rng.random((400, 2)) * (2.0, -2.0) * 3).tolist()]:
        low, high = np.float32(min(low, -1.0)), np.float32(max(high, 1.0))
        scale, zp = ranges.asymmetric(low, high, INT8)
        least, most = (np.float32(v / np.float32(scale)) + np.float32(zp) for v in (low, high))
        if not (least >= -128.5 and most < 128 and quantize(low, scale, zp, INT8) >= -128):
            return False
    return symmetric_weights_stay_inside()


def the_multiplier_of_one_stays_below_its_limit() -> bool:
    """m_one = derive(1/127, 1): every shift."""
    return all(0 <= derive(S_ONE, 1.0, s).multiplier < MAX_MULTIPLIER for s in range(32))
