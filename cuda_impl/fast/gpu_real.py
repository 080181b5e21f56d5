"""One unit of datapath P in binary32 that is exact, for the fast GPU kernels of sets of at most 8 bits.  [SPEC GP]

A multiprocessor does twice as many operations on binary32 as on integers, and saturates to [0, 1] for nothing. A code less its
zero point is held as a multiple of 1/256. No operation rounds but one, which is RS: gpu_pack_real.py says why, of which sets.

RS      x * f + 1.5 * 2^15, where f is 2^-s, and a little more where ties go away from zero: binary32 has steps of 1/256 there
sat     a = max(0, min(1, v - low)), b = max(0, min(1, span - a)), and the code is high - b; span = high - low is below 1
tables  are read at an address that is computed as binary32: to add e to a number whose bits are the address of the first entry
        adds 4 to the bits for every step of 1/256, where e is 1024 times what adds 1 to them. A gate's input above its upper
        bound finds one more entry, so that a alone is enough
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.cuda.extending import intrinsic

from cuda_impl.fast.gpu_intrinsics import I32, value_of
from cuda_impl.fast.gpu_layout import REAL_TABLE, STILL_A, STILL_SUM, STILL_Wx

F32 = ir.FloatType()
f32, i32 = types.float32, types.int32
int32 = np.int32

REAL_NUMBERS = (
    "Wx_low", "Wx_span", "Rh_low", "Rh_span", "A_span", "P_low", "P_span",
    "O_low", "O_span", "N_low", "N_span", "h_low", "h_span",
    "Wx_high", "Rh_high", "A_high", "P_high", "O_high", "N_high",
    "Wx_z", "Wx_r", "Wx_g", "Rh_z", "Rh_r", "A", "P_g", "O_h", "N_h",  # factors of RS
    "old", "old_zero",  # h times the one plus the other: h less its zero point, times the factor of RS for O
    "one",  # less the zero point of z
    "count", "first",  # int32: h_span * 256, and qmin of the state
)  # fmt: skip
"""What a kernel reads beside the constants of the units, in this order: binary32 by their bits, in steps of 1/256. A low is
what is added for the lower bound to become 0, a span the distance of the bounds, a high the upper bound less the zero point."""
BIG, LESS_BIG = 0x47400000, -0x38C00000  # the bits of 1.5 * 2^15 and of -1.5 * 2^15
ENTRY, UNIT = 0x44800000, 256 - 2**31  # of 1024 and of -2^-141: 1/256 becomes 4, and less 2^-149, whose bits are those of 1


@intrinsic
def real_of(typing, value):
    """The binary32 number nearest to an int32."""
    return f32(i32), value_of("cvt.rn.f32.s32 $0, $1;", "=f,r", F32, pure=True)


@intrinsic
def as_real(typing, bits):
    """The binary32 number with these bits."""
    return f32(i32), value_of("mov.b32 $0, $1;", "=f,r", F32, pure=True)


@intrinsic
def bits_of(typing, value):
    """The bits of a binary32 number."""
    return i32(f32), value_of("mov.b32 $0, $1;", "=r,f", I32, pure=True)


@intrinsic
def fused(typing, a, b, c):
    """a * b + c, rounded once, subnormal numbers too."""
    return f32(f32, f32, f32), value_of("fma.rn.f32 $0, $1, $2, $3;", "=f,f,f,f", F32, pure=True)


@intrinsic
def plus(typing, a, b):
    """a + b, rounded once."""
    return f32(f32, f32), value_of("add.rn.f32 $0, $1, $2;", "=f,f,f", F32, pure=True)


@intrinsic
def minus(typing, a, b):
    """a - b, rounded once."""
    return f32(f32, f32), value_of("sub.rn.f32 $0, $1, $2;", "=f,f,f", F32, pure=True)


@intrinsic
def plus_unit(typing, a, b):
    """a + b, rounded once, saturated to [0, 1]."""
    return f32(f32, f32), value_of("add.rn.sat.f32 $0, $1, $2;", "=f,f,f", F32, pure=True)


@intrinsic
def minus_unit(typing, a, b):
    """a - b, rounded once, saturated to [0, 1]."""
    return f32(f32, f32), value_of("sub.rn.sat.f32 $0, $1, $2;", "=f,f,f", F32, pure=True)


def load_table(gate: int) -> Any:
    """An operation: the binary32 number of a gate's table, at a shared address less where the first gate's begins."""

    @intrinsic
    def load(typing, address):
        return f32(i32), value_of(f"ld.shared.f32 $0, [$1+{4 * REAL_TABLE * gate}];", "=f,r,~{memory}", F32)

    return load


def real_cell(still: int) -> Any:
    """The new code of a unit of datapath P, before zoneout.  [SPEC GP]

    still   what is known of the shifts, as Kind has it
    units   as POT_UNIT: int32 up to the shifts, then binary32 by their bits: factors of RS, and what is added to aligned terms
    shared  shared address of the three tables, REAL_TABLE entries each: z less its zero point, r likewise times the factor
            of RS for P, g likewise times that for N
    k       REAL_NUMBERS
    """
    from numba import cuda

    def device(function: Any) -> Any:
        return cuda.jit(device=True, forceinline=True)(function)

    (
        WX_LOW, WX_SPAN, RH_LOW, RH_SPAN, A_SPAN, P_LOW, P_SPAN, O_LOW, O_SPAN, N_LOW, N_SPAN, H_LOW, H_SPAN,
        WX_HIGH, RH_HIGH, A_HIGH, P_HIGH, O_HIGH, N_HIGH, WX_Z, WX_R, WX_G, RH_Z, RH_R, RH_A, P_G, O_H, N_H,
        OLD, OLD_ZERO, ONE, COUNT, FIRST,
    ) = range(len(REAL_NUMBERS))  # fmt: skip
    load_z, load_r, load_g = (load_table(gate) for gate in range(3))

    @device
    def moved(b, high, factor):  # RS of a saturated code, plus BIG
        return fused(minus(as_real(high), b), as_real(factor), as_real(BIG))

    @device
    def saturated(v, low, span):
        return minus_unit(as_real(span), plus_unit(v, as_real(low)))

    @device
    def product(total, factor, low, span):
        return saturated(fused(real_of(total), as_real(factor), as_real(BIG)), low, span)

    if still & STILL_Wx:

        def term(b, high, factor, unit):
            return minus(as_real(unit), b)
    else:

        def term(b, high, factor, unit):
            return plus(plus(moved(b, high, factor), as_real(LESS_BIG)), as_real(unit))

    if still & STILL_A:

        def operand(b, high, factor, unit):
            return minus_unit(as_real(unit), b)
    else:

        def operand(b, high, factor, unit):
            return plus_unit(moved(b, high, factor), as_real(unit))

    if still & STILL_SUM:

        def total_of(O, N, O_high, N_high, O_h, N_h, low):  # noqa: E741
            return minus_unit(as_real(low), plus(O, N))
    else:

        def total_of(O, N, O_high, N_high, O_h, N_h, low):  # noqa: E741
            old = plus(moved(O, O_high, O_h), as_real(LESS_BIG))
            return plus_unit(old, plus(moved(N, N_high, N_h), as_real(low)))

    term, operand, total_of = device(term), device(operand), device(total_of)

    @device
    def place(a, shared):  # the address of an entry, from that of the first: in a cluster its upper bits are not 0
        first = as_real(shared)
        one = minus(as_real(int32(shared + 1)), first)  # what is added for the bits to grow by 1
        return bits_of(fused(a, fused(one, as_real(ENTRY), as_real(0)), first))

    def cell(units, more, Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, h, shared, far, k):
        W_z = product(int32(Wx_z + units[0]), units[6], k[WX_LOW], k[WX_SPAN])
        W_r = product(int32(Wx_r + units[1]), units[7], k[WX_LOW], k[WX_SPAN])
        W_g = product(int32(Wx_g + units[2]), units[8], k[WX_LOW], k[WX_SPAN])
        R_z = product(int32(Rh_z + units[3]), units[9], k[RH_LOW], k[RH_SPAN])
        R_r = product(int32(Rh_r + units[4]), units[10], k[RH_LOW], k[RH_SPAN])
        R_g = product(int32(Rh_g + units[5]), units[11], k[RH_LOW], k[RH_SPAN])
        z_in = plus_unit(moved(R_z, k[RH_HIGH], k[RH_Z]), term(W_z, k[WX_HIGH], k[WX_Z], units[12]))
        r_in = plus_unit(moved(R_r, k[RH_HIGH], k[RH_R]), term(W_r, k[WX_HIGH], k[WX_R], units[13]))
        A = minus_unit(as_real(k[A_SPAN]), operand(R_g, k[RH_HIGH], k[RH_A], units[14]))
        z = load_z(place(z_in, shared))
        r = load_r(place(r_in, shared))
        P = saturated(fused(r, minus(as_real(k[A_HIGH]), A), as_real(BIG)), k[P_LOW], k[P_SPAN])
        g_in = plus_unit(moved(P, k[P_HIGH], k[P_G]), term(W_g, k[WX_HIGH], k[WX_G], units[15]))
        g = load_g(place(g_in, shared))
        old = fused(real_of(h), as_real(k[OLD]), as_real(k[OLD_ZERO]))
        O = saturated(fused(z, old, as_real(BIG)), k[O_LOW], k[O_SPAN])  # noqa: E741
        N = saturated(fused(minus(as_real(k[ONE]), z), g, as_real(BIG)), k[N_LOW], k[N_SPAN])
        new = minus_unit(as_real(k[H_SPAN]), total_of(O, N, k[O_HIGH], k[N_HIGH], k[O_H], k[N_H], k[H_LOW]))
        return int32(bits_of(fused(new, as_real(UNIT), as_real(k[COUNT]))) + k[FIRST])

    return device(cell)
