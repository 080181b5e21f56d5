"""One unit of one row in registers: what follows the two products, for the fast GPU kernels.  [SPEC GM, GP]

`mshift_cell()` and `pot_cell(...)` build scalar functions that compile into a kernel. Bounds that the parameter set
guarantees are used: where every intermediate of datapath P fits 32 bits, the arithmetic is 32 bits wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast.gpu_intrinsics import half_of, load_far, load_shared, multiply_add, shift_down
from cuda_impl.fast.gpu_layout import SHIFTED, STILL_A, STILL_SUM, STILL_Wx

int32 = np.int32
int64 = np.int64
INT32_FIRST, INT32_LAST = -2147483648, 2147483647
FAR_BYTES = 4 * 65536  # of a gate's table for inputs of up to 16 bits


def _device(function: Any) -> Any:
    from numba import cuda

    return cuda.jit(device=True, forceinline=True)(function)


def clamped(wide: bool) -> Any:
    """clamp(v, low, high) in 32 or 64 bits."""
    number = int64 if wide else int32

    def clamp(v, low, high):
        v = number(v)
        if v < low:
            v = number(low)
        if v > high:
            v = number(high)
        return v

    return _device(clamp)


def shifted_up(plain: bool) -> Any:
    """ties_up(v * M, s) of int32 v: as it is where it fits int32 for certain (plain), else saturated.  [SPEC M-3, M-4]"""

    if plain:

        def shifted(v, multiplier, half, shift):
            return shift_down(multiply_add(v, multiplier, int64(half)), shift)
    else:

        def shifted(v, multiplier, half, shift):
            q = multiply_add(v, multiplier, int64(half)) >> shift
            if q < INT32_FIRST:
                q = int64(INT32_FIRST)
            if q > INT32_LAST:
                q = int64(INT32_LAST)
            return int32(q)

    return _device(shifted)


def looked_up(far: bool) -> Any:
    """The gate's code for an input: an int32 in shared memory up to 8 bits, else (far) in global memory."""
    if not far:

        def lookup(q, first, shared, wide):
            return load_shared(int32(int32(shared - int32(first * 4)) + int32(q * 4)))
    else:

        def lookup(q, first, shared, wide):
            return load_far(wide + int64(q - first) * int64(4))

    return _device(lookup)


def mshift_cell(far_table: bool) -> Any:
    """The new state of a unit of datapath M, int32 before zoneout.  [SPEC GM]

    units    int64: what is added to Wx_z, Wx_r, Wx_g and Rh_g;  more  int32: to the raw Rh_z and Rh_r
    Wx, Rh   int32 raw products
    h        int32 code
    shared   shared address of the three tables, 1024 bytes apart;  far  global address of the wide ones
    m        the numbers
    """
    up, lookup, clamp = shifted_up(False), looked_up(far_table), clamped(True)

    def moved(v, multiplier, half, shift):  # not saturated before a zero point is added  [SPEC M-5]
        return multiply_add(v, multiplier, int64(half)) >> int64(shift)

    moved = _device(moved)

    def cell(units, more, Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, h, shared, far, m):
        a = clamp(int64(Wx_z) + units[0] + int64(up(int32(Rh_z + more[0]), m[0], m[1], m[2])), INT32_FIRST, INT32_LAST)
        z_pre = clamp(moved(int32(a), m[6], m[7], m[8]) + int64(m[24]), m[28], m[29])
        a = clamp(int64(Wx_r) + units[1] + int64(up(int32(Rh_r + more[1]), m[3], m[4], m[5])), INT32_FIRST, INT32_LAST)
        r_pre = clamp(moved(int32(a), m[9], m[10], m[11]) + int64(m[25]), m[28], m[29])
        z = lookup(int32(z_pre), m[28], shared, far)
        r = lookup(int32(r_pre), m[28], int32(shared + 1024), far + int64(FAR_BYTES))
        b = clamp(int64(Rh_g) + units[3], INT32_FIRST, INT32_LAST)
        c = (int64(r) * b * int64(m[15]) + int64(m[16])) >> m[17]
        c = clamp(c, INT32_FIRST, INT32_LAST)
        a = clamp(int64(Wx_g) + units[2] + c, INT32_FIRST, INT32_LAST)
        g_pre = clamp(moved(int32(a), m[12], m[13], m[14]) + int64(m[26]), m[28], m[29])
        g = lookup(int32(g_pre), m[28], int32(shared + 2048), far + int64(2 * FAR_BYTES))
        n = up(int32(int32(127 - z) * g), m[18], m[19], m[20])
        S = int32(int32(z * int32(h - m[27])) + n)
        return int32(clamp(moved(S, m[21], m[22], m[23]) + int64(m[27]), -128, 127))

    return _device(cell)


def mshift_plain_cell(far_table: bool) -> Any:
    """mshift_cell where no intermediate can leave int32, so that only the formats saturate.  [SPEC GM]

    units  int32: what is added to Wx_z, Wx_r, Wx_g, Rh_g, Rh_z and Rh_r, modulo 2^32
    """
    up, lookup, clamp = shifted_up(True), looked_up(far_table), clamped(False)

    def cell(units, more, Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, h, shared, far, m):
        a = int32(int32(Wx_z + units[0]) + up(int32(Rh_z + units[4]), m[0], m[1], m[2]))
        z_pre = clamp(int32(up(a, m[6], m[7], m[8]) + m[24]), m[28], m[29])
        a = int32(int32(Wx_r + units[1]) + up(int32(Rh_r + units[5]), m[3], m[4], m[5]))
        r_pre = clamp(int32(up(a, m[9], m[10], m[11]) + m[25]), m[28], m[29])
        z = lookup(z_pre, m[28], shared, far)
        r = lookup(r_pre, m[28], int32(shared + 1024), far + int64(FAR_BYTES))
        c = up(int32(Rh_g + units[3]), int32(r * m[15]), m[16], m[17])  # r * M < 2^31
        a = int32(int32(Wx_g + units[2]) + c)
        g_pre = clamp(int32(up(a, m[12], m[13], m[14]) + m[26]), m[28], m[29])
        g = lookup(g_pre, m[28], int32(shared + 2048), far + int64(2 * FAR_BYTES))
        n = up(int32(int32(127 - z) * g), m[18], m[19], m[20])
        S = int32(int32(z * int32(h - m[27])) + n)
        return clamp(int32(up(S, m[21], m[22], m[23]) + m[27]), -128, 127)

    return _device(cell)


def right_shift(wide: bool, even: bool, left: bool, always: bool = False) -> Any:
    """RS by (left, half, right, dropped): ties away, or to even.  [SPEC R-2, R-3]

    left   whether any shift of the set goes to the left;  always  whether bits are dropped for certain
    half   2^(right - 1), 0 where right is 0;  dropped  1 where right > 0, else 0;  |x| < 2^30, 2^62 when wide
    """
    number = int64 if wide else int32
    sign = number(63 if wide else 31)

    if even:

        def shifted(x, by_left, half, right, dropped):
            if left:
                x = number(x << by_left)
            odd = number(number(x >> right) & dropped)
            return number(number(number(x + half) - number(dropped - odd)) >> right)
    elif always:

        def shifted(x, by_left, half, right, dropped):
            return number(number(x + number(number(x >> sign) + half)) >> right)
    else:

        def shifted(x, by_left, half, right, dropped):
            if left:
                x = number(x << by_left)
            return number(number(number(x + half) + number(number(x >> sign) * dropped)) >> right)

    return _device(shifted)


def product_shift(wide: bool, even: bool, plain: bool) -> Any:
    """RS of a raw product by a shift of its own: 1...30 where plain, else any up to 31 (63 when wide).  [SPEC R-2, R-3]"""
    number = int64 if wide else int32
    zero, unit = number(0), number(1)
    shift = right_shift(wide, even, not plain, plain)
    if plain and not wide:

        def shifted(x, s):
            return shift(x, zero, half_of(s), s, unit)
    elif plain:

        def shifted(x, s):
            return shift(x, zero, number(unit << number(s - unit)), s, unit)
    else:

        def shifted(x, s):
            if s > zero:
                return shift(x, zero, number(unit << number(s - unit)), s, unit)
            return shift(x, number(-s), zero, zero, zero)

    return _device(shifted)


def pot_cell(far_tables: tuple[bool, bool, bool], wide: bool, even: bool, left: bool, plain: bool, still: int = 0) -> Any:
    """The new code of a unit of datapath P, before zoneout.  [SPEC GP]

    still   what is known of the shifts, as Kind has it
    units   as POT_UNIT, of the width of the arithmetic;  k  POT_MOVES by four, then POT_BOUNDS
    """
    number = int64 if wide else int32
    rs, rs_product, clamp = right_shift(wide, even, left, still & SHIFTED != 0), product_shift(wide, even, plain), clamped(wide)

    def as_it_is(x, by_left, half, right, dropped):
        return number(x)

    rs_Wx, rs_A, rs_sum = (_device(as_it_is) if still & bit else rs for bit in (STILL_Wx, STILL_A, STILL_SUM))
    look_z, look_r, look_g = (looked_up(b) for b in far_tables)

    def cell(units, more, Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, h, shared, far, k):
        Wx = clamp(rs_product(number(number(Wx_z) + units[0]), units[6]), k[48], k[49])
        z_term = number(rs_Wx(Wx, k[0], k[1], k[2], k[3]) + units[12])
        Wx = clamp(rs_product(number(number(Wx_r) + units[1]), units[7]), k[48], k[49])
        r_term = number(rs_Wx(Wx, k[4], k[5], k[6], k[7]) + units[13])
        Wx = clamp(rs_product(number(number(Wx_g) + units[2]), units[8]), k[48], k[49])
        g_term = number(rs_Wx(Wx, k[8], k[9], k[10], k[11]) + units[15])
        Rh = clamp(rs_product(number(number(Rh_z) + units[3]), units[9]), k[50], k[51])
        z_pre = clamp(number(z_term + rs(Rh, k[12], k[13], k[14], k[15])), k[52], k[53])
        Rh = clamp(rs_product(number(number(Rh_r) + units[4]), units[10]), k[50], k[51])
        r_pre = clamp(number(r_term + rs(Rh, k[16], k[17], k[18], k[19])), k[54], k[55])
        Rh = clamp(rs_product(number(number(Rh_g) + units[5]), units[11]), k[50], k[51])
        A = clamp(number(rs_A(Rh, k[20], k[21], k[22], k[23]) + units[14]), k[58], k[59])
        z = number(look_z(int32(z_pre), int32(k[52]), shared, far))
        r = number(look_r(int32(r_pre), int32(k[54]), int32(shared + 1024), far + int64(FAR_BYTES)))
        P = clamp(rs(number(number(r - k[69]) * A), k[24], k[25], k[26], k[27]), k[60], k[61])
        g_pre = clamp(number(g_term + rs(P, k[28], k[29], k[30], k[31])), k[56], k[57])
        g = number(look_g(int32(g_pre), int32(k[56]), int32(shared + 2048), far + int64(2 * FAR_BYTES)))
        O = clamp(rs(number(number(z - k[68]) * number(number(h) - k[72])), k[32], k[33], k[34], k[35]), k[62], k[63])  # noqa: E741
        N = clamp(rs(number(number(k[71] - z) * number(g - k[70])), k[36], k[37], k[38], k[39]), k[64], k[65])
        new = number(rs_sum(O, k[40], k[41], k[42], k[43]) + rs_sum(N, k[44], k[45], k[46], k[47]))
        return int32(clamp(new, k[66], k[67]) + k[72])

    return _device(cell)
