"""The loops of a run with moving ranges on the host: what host_loops.py has, and between two steps the next scales.  [SPEC D]

Compiled by host_programs.py. `reals` and `numbers` are laid out as in cuda_impl/dynamic.py: row 0 is the state before the run,
row i + 1 belongs to processed step i. The scalar steps are the twin's.
"""

from __future__ import annotations

import numpy as np

from cuda_impl.cell import (
    M_BR_G,
    M_BR_R,
    M_BR_Z,
    M_BX,
    M_G,
    M_GH,
    M_H,
    M_ONE,
    M_R,
    M_RH_R,
    M_RH_Z,
    M_RRH,
    M_Z,
    S_BR_G,
    S_BR_R,
    S_BR_Z,
    S_BX,
    S_H_SHIFT,
    ZP_H,
    ZP_H_OLD,
    ZP_X,
)
from cuda_impl.dynamic import H_MAX, H_MIN, SCALE_H, SCALE_X, derive_step, scale_of
from cuda_impl.fast.host_cell_mshift import AT_ZP_H
from cuda_impl.fast.host_loops import multiply_share, share_of_step
from cuda_impl.fast.host_sync import open_next, take_ticket, was_last
from cuda_impl.intrinsics import INT32_FIRST, INT32_LAST, fadd, fdiv, float32, fmul, int64
from cuda_impl.quantize import dequantize, reciprocal
from cuda_impl.ranges import ema
from cuda_impl.rescale import derive

FAR = np.float32(1000.0)  # beyond every code
EVEN = np.float32(12582912.0)  # 1.5 * 2^23: adding and taking it off rounds to the nearest even integer
ZERO_REAL = np.float32(0.0)
CELL_MULTIPLIERS = (M_RH_Z, M_RH_R, M_Z, M_R, M_G, M_RRH, M_GH, M_ONE)  # in the order of host_cell_mshift.MSHIFTS


def nearest_code(t):
    """The nearest-even integer of a binary32 number, saturated to int8, plus 128; NaN gives 128.  [SPEC Q-1, F-2]"""
    t = ZERO_REAL if t != t else t
    t = -FAR if t < -FAR else t
    t = FAR if t > FAR else t
    q = np.int32(fadd(t, EVEN) - EVEN)
    q = -128 if q < -128 else q
    q = 127 if q > 127 else q
    return q + 128


def quantize_rows(first_row, last_row, first, steps, reverse, by_reciprocal, x, reals, numbers, operand):
    """Rows of the operand [1, steps * N, K] from float32 x [T,N,C], each step with its own scale.  [SPEC D-1, Q-1, Q-2]"""
    batch, inputs = x.shape[1], x.shape[2]
    for m in range(first_row, last_row):
        i, n = first + m // batch, m % batch
        t = steps - 1 - i if reverse != 0 else i
        values, codes = x[t, n], operand[0, m]
        scale, offset = reals[i + 1, SCALE_X], float32(numbers[i + 1, ZP_X])
        if by_reciprocal != 0:
            inverse = reciprocal(scale)
            for k in range(inputs):
                codes[k] = nearest_code(fadd(fmul(values[k], inverse), offset))
        else:
            for k in range(inputs):
                codes[k] = nearest_code(fadd(fdiv(values[k], scale), offset))


def dynamic_products(
    counters, phase, units, row_groups, first, last, steps, reverse, by_reciprocal,
    groups, chunk, W, start, correction, x, reals, numbers, operand, parts, products,
):  # fmt: skip
    """input_products of float32 x; the zero points are not taken off.  [SPEC D-1, L-1]"""
    tickets, count = units * row_groups, (last - first) * x.shape[1]
    shared = counters.ctypes.data
    while True:
        ticket = take_ticket(shared, phase + 2, tickets)
        if ticket < 0:
            return
        share = ticket - phase * tickets
        if share < tickets:
            low, high = count * share // tickets, count * (share + 1) // tickets
            quantize_rows(low, high, first, steps, reverse, by_reciprocal, x, reals, numbers, operand)
        else:
            multiply_share(
                share - tickets, units, row_groups, count, groups, chunk, W, start, correction, operand, parts, products
            )  # fmt: skip
        if was_last(shared, tickets):
            open_next(shared)


def operand_extremes(state, hidden):
    """(least, greatest) of the codes of a state, int64, from its operand [N, K].  [SPEC D-2]"""
    low, high = np.uint8(255), np.uint8(0)
    for n in range(state.shape[0]):
        row = state[n]
        for j in range(hidden):
            low = min(low, row[j])
            high = max(high, row[j])
    return int64(low) - int64(128), int64(high) - int64(128)


def prepare_step(
    i, continued, is_symmetric, shift, shift_bias, gate_scales, weight_reals, bx, br, W_sums, R_sums,
    state, hidden, reals, numbers, cell_numbers, constants, start,
):  # fmt: skip
    """Scales, multipliers, constants and the requantized state of processed step i.  [SPEC D-2, D-3]

    state         [2, 1, N, K]; state[i & 1] becomes h_q of this step
    cell_numbers  constants, start  of this step, as the cell and the product of h want them
    """
    old, new, m = reals[i], reals[i + 1], numbers[i + 1]
    new[H_MIN], new[H_MAX], new[SCALE_H] = old[H_MIN], old[H_MAX], old[SCALE_H]
    m[ZP_H] = numbers[i, ZP_H]
    m[ZP_H_OLD] = numbers[i, ZP_H]
    m[M_H] = 0
    now = state[i & 1, 0]
    if i > 0 or continued != 0:
        low, high = operand_extremes(now, hidden)
        cmin = dequantize(low, old[SCALE_H], m[ZP_H_OLD])
        cmax = dequantize(high, old[SCALE_H], m[ZP_H_OLD])
        new[H_MIN], new[H_MAX] = ema(old[H_MIN], old[H_MAX], cmin, cmax)
        scale, zero_point = scale_of(new[H_MIN], new[H_MAX], is_symmetric)
        new[SCALE_H] = scale
        m[ZP_H] = zero_point
        m[M_H] = derive(old[SCALE_H], scale, shift, INT32_LAST)
        requantize_state(now, m)
    derive_step(new, m, shift, shift_bias, gate_scales, weight_reals)
    for k in range(len(CELL_MULTIPLIERS)):
        cell_numbers[3 * k] = m[CELL_MULTIPLIERS[k]]
    cell_numbers[AT_ZP_H] = m[ZP_H]
    step_constants(m, bx, br, W_sums, R_sums, constants, start)


def half_of(shift):
    """2^(s - 1), 0 for s = 0.  [SPEC R-1]"""
    return (int64(1) << shift) >> 1


def requantize_state(state, m):
    """The operand [N, K] of a state in its new scale; of a large one by a table of all 256 codes.  [SPEC D-2, M-5]"""
    multiplier, half, shift = m[M_H], half_of(m[S_H_SHIFT]), m[S_H_SHIFT]
    first, zero_point = int64(128) + m[ZP_H_OLD], m[ZP_H]
    if state.shape[0] * state.shape[1] <= 512:
        for n in range(state.shape[0]):
            row = state[n]
            for j in range(row.shape[0]):
                q = (((int64(row[j]) - first) * multiplier + half) >> shift) + zero_point
                row[j] = min(max(q, int64(-128)), int64(127)) + 128
        return
    table = np.empty(256, np.uint8)
    for u in range(256):
        q = (((int64(u) - first) * multiplier + half) >> shift) + zero_point
        table[u] = min(max(q, int64(-128)), int64(127)) + 128
    for n in range(state.shape[0]):
        row = state[n]
        for j in range(row.shape[0]):
            row[j] = table[row[j]]


def aligned(v, multiplier, half, shift):
    """align without a branch, for lanes.  [SPEC M-4]"""
    return min(max((v * multiplier + half) >> shift, int64(INT32_FIRST)), int64(INT32_LAST))


def step_constants(m, bx, br, W_sums, R_sums, constants, start):
    """constants: aligned biases [blocks, 4, 16] less the zero point's part of Wx; start: that of Rh.  [SPEC GM-1, GM-2]

    bx, br  int64 [blocks, 48]
    """
    x_off, h_off = m[ZP_X] + 128, m[ZP_H] + 128
    m_x, half_x, s_x = m[M_BX], half_of(m[S_BX]), m[S_BX]
    m_z, half_z, s_z = m[M_BR_Z], half_of(m[S_BR_Z]), m[S_BR_Z]
    m_r, half_r, s_r = m[M_BR_R], half_of(m[S_BR_R]), m[S_BR_R]
    m_g, half_g, s_g = m[M_BR_G], half_of(m[S_BR_G]), m[S_BR_G]
    for block in range(W_sums.shape[0]):
        x, h, sums, out = bx[block], br[block], W_sums[block], constants[block]
        for i in range(16):
            out[0, i] = aligned(x[i], m_x, half_x, s_x) + aligned(h[i], m_z, half_z, s_z) - x_off * sums[i]
        for i in range(16):
            k = 16 + i
            out[1, i] = aligned(x[k], m_x, half_x, s_x) + aligned(h[k], m_r, half_r, s_r) - x_off * sums[k]
        for i in range(16):
            out[2, i] = aligned(h[32 + i], m_g, half_g, s_g)
        for i in range(16):
            out[3, i] = aligned(x[32 + i], m_x, half_x, s_x) - x_off * sums[32 + i]
        for k in range(48):
            start[block, k] = -h_off * R_sums[block, k]


def run_dynamic_steps(
    counters, phase, units, row_groups, first, last, steps, reverse,
    groups, chunk, R, start, constants, cell_numbers, tables, products, x_bytes, Rh, parts, state, mask, padded, h,
    is_symmetric, shift, shift_bias, gate_scales, weight_reals, bx, br, W_sums, R_sums, reals, numbers,
):  # fmt: skip
    """run_steps with moving ranges: the last worker of a step prepares the next one.  [SPEC D, S]"""
    tickets, blocks, batch = units * row_groups, R.shape[0], h.shape[1]
    shared = counters.ctypes.data
    while True:
        ticket = take_ticket(shared, phase + last - first, tickets)
        if ticket < 0:
            return
        i = first + ticket // tickets - phase
        unit, group = ticket % tickets % units, ticket % tickets // units
        share_of_step(
            i, first, last, steps - 1 - i if reverse != 0 else i,
            batch * group // row_groups, batch * (group + 1) // row_groups,
            blocks * unit // units, blocks * (unit + 1) // units,
            -128, groups, chunk, R, start, start, constants, cell_numbers, tables,
            products, x_bytes, Rh, parts, state, mask, padded, h,
        )  # fmt: skip
        if was_last(shared, tickets):
            if i + 1 < steps:
                prepare_step(
                    i + 1, 1, is_symmetric, shift, shift_bias, gate_scales, weight_reals, bx, br, W_sums, R_sums,
                    state, h.shape[2], reals, numbers, cell_numbers, constants, start,
                )  # fmt: skip
            open_next(shared)
