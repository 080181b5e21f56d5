"""The loops: each program runs over rows start...stop, the lanes of a row sharing its units.

One source for every target. On the host a row has one lane and a worker takes a range of rows; on the GPU and in the
simulator a row is a block and a lane a thread. Arguments are arrays (C-contiguous) and integers; a program returns nothing.
"""

from __future__ import annotations

from cuda_impl.cell import M_H, S_H_SHIFT, ZP_H, ZP_H_OLD, mshift_cell, pot_cell, pot_products
from cuda_impl.gates import OP_H, QMAX, QMIN, ZERO_POINT
from cuda_impl.hidden import zoneout_blend, zoneout_mask
from cuda_impl.intrinsics import barrier, first_row, int64, lane, lanes, row_step
from cuda_impl.linear import column_sums, matmul
from cuda_impl.rescale import requantize


def sum_columns(start, stop, weights, sums):
    """sums[m], int64, of weights [K, M]; one row only.  [SPEC L-1]"""
    for _ in range(first_row(start), stop, row_step()):
        column_sums(weights, sums)


def multiply_rows(start, stop, codes, weights, sums, zero_points, rows_per_zero_point, block, out):
    """out [rows, M] = codes [rows, K] less their zero point, times weights [K, M].  [SPEC L-1]

    zero_points  int64; row n uses the one at n // rows_per_zero_point
    """
    for n in range(first_row(start), stop, row_step()):
        matmul(codes[n], weights, sums, zero_points[n // rows_per_zero_point], block, out[n])


def previous_state(i, t, steps, reverse):
    """The index in h of the state before processed step i, which is time t.  [SPEC S-1, S-2]"""
    if reverse == 0:
        return t
    if i == 0:
        return 0
    return t + 2


def land_state(n, j, t, h_prev, h_new, zero_point, qmin, qmax, zoneout_k, mask, zoneout_acc, h):
    """Zoneout, then h[t + 1].  [SPEC Z]"""
    new = int64(h_new)
    if mask.shape[0] > 0:
        new = zoneout_mask(mask[t, n, j], h_prev, h_new)
    if zoneout_k >= 0:
        acc, new = zoneout_blend(zoneout_k, h_prev, h_new, zero_point, qmin, qmax)
        zoneout_acc[t, n, j] = acc
    h[t + 1, n, j] = new


def mshift_rows(
    start, stop, first, last, reverse, moving, zoneout_k, block,
    numbers, R, R_sums, bx, br, table_z, table_r, table_g,
    Wx, Rh, ints, longs, biases, h_q, h, mask, zoneout_acc, v,
):  # fmt: skip
    """Processed steps first...last of datapath M for a range of batch rows.  [SPEC GM, S]

    moving   0, or for dynamic ranges 1 (a run from its start) or 2 (a continued one): step i reads row i + 1 of numbers
             and h is first requantized into h_q, but for the very first step, where it is taken as it is  [SPEC D-2]
    numbers  int64 [1 or T + 1, COLUMNS] as cell.py lays them out
    """
    steps, hidden = h.shape[0] - 1, h.shape[2]
    for n in range(first_row(start), stop, row_step()):
        for i in range(first, last):
            t = steps - 1 - i if reverse != 0 else i
            previous = previous_state(i, t, steps, reverse)
            m = numbers[i + 1 if moving != 0 else 0]
            state = h[previous, n]
            if moving != 0:
                state = h_q[t, n]
                for j in range(lane(), hidden, lanes()):
                    if i == 0 and moving == 1:
                        state[j] = h[previous, n, j]
                    else:
                        centred = int64(h[previous, n, j]) - m[ZP_H_OLD]
                        state[j] = requantize(centred, m[M_H], m[S_H_SHIFT], m[ZP_H], -128, 127)
                barrier()
            matmul(state, R, R_sums, m[ZP_H], block, Rh[t, n])
            barrier()
            for j in range(lane(), hidden, lanes()):
                jr, jg = j + hidden, j + 2 * hidden
                a, b, c = mshift_cell(
                    Wx[t, n, j], Wx[t, n, jr], Wx[t, n, jg], Rh[t, n, j], Rh[t, n, jr], Rh[t, n, jg],
                    bx[j], bx[jr], bx[jg], br[j], br[jr], br[jg], state[j], m, table_z, table_r, table_g,
                )  # fmt: skip
                (
                    ints[0, t, n, j], ints[1, t, n, j], ints[2, t, n, j], ints[3, t, n, j],
                    ints[4, t, n, j], ints[5, t, n, j], ints[6, t, n, j], ints[7, t, n, j],
                    ints[8, t, n, j], ints[9, t, n, j], ints[10, t, n, j], ints[11, t, n, j],
                    ints[12, t, n, j], ints[13, t, n, j], ints[14, t, n, j], ints[15, t, n, j],
                ) = a  # fmt: skip
                (
                    longs[0, t, n, j], longs[1, t, n, j], longs[2, t, n, j],
                    longs[3, t, n, j], longs[4, t, n, j], longs[5, t, n, j],
                ) = b  # fmt: skip
                if n == 0:
                    (
                        biases[0, t, j], biases[1, t, j], biases[2, t, j],
                        biases[3, t, j], biases[4, t, j], biases[5, t, j],
                    ) = c  # fmt: skip
                if v.shape[0] > 0:
                    v[t, n, j], v[t, n, jr], v[t, n, jg], v[t, n, j + 3 * hidden] = a[3], a[7], a[12], a[15]
                land_state(n, j, t, state[j], a[15], m[ZP_H], -128, 127, zoneout_k, mask, zoneout_acc, h)
            barrier()


def pot_rows(
    start, stop, first, last, reverse, zoneout_k, block,
    ops, e_W, e_R, e_bx, e_br, R, R_sums, bx, br, table_z, table_r, table_g,
    Wx_acc, Wx, Rh_acc, Rh, ints, longs, biases, h, mask, zoneout_acc, v,
):  # fmt: skip
    """Processed steps first...last of datapath P for a range of batch rows.  [SPEC GP, S]

    ops   int64 [15, 4] as gates.py lays it out
    e_*   int64 [3H], exponents per channel
    """
    steps, hidden = h.shape[0] - 1, h.shape[2]
    for n in range(first_row(start), stop, row_step()):
        for i in range(first, last):
            t = steps - 1 - i if reverse != 0 else i
            state = h[previous_state(i, t, steps, reverse), n]
            matmul(state, R, R_sums, ops[OP_H, ZERO_POINT], block, Rh_acc[t, n])
            barrier()
            for k in range(lane(), 3 * hidden, lanes()):
                Wx[t, n, k], Rh[t, n, k] = pot_products(Wx_acc[t, n, k], Rh_acc[t, n, k], e_W[k], e_R[k], ops)
            barrier()
            for j in range(lane(), hidden, lanes()):
                jr, jg = j + hidden, j + 2 * hidden
                a, b, c = pot_cell(
                    Wx[t, n, j], Wx[t, n, jr], Wx[t, n, jg], Rh[t, n, j], Rh[t, n, jr], Rh[t, n, jg],
                    bx[j], bx[jr], bx[jg], br[j], br[jr], br[jg],
                    e_bx[j], e_bx[jr], e_bx[jg], e_br[j], e_br[jr], e_br[jg],
                    state[j], ops, table_z, table_r, table_g,
                )  # fmt: skip
                (
                    ints[0, t, n, j], ints[1, t, n, j], ints[2, t, n, j], ints[3, t, n, j],
                    ints[4, t, n, j], ints[5, t, n, j], ints[6, t, n, j], ints[7, t, n, j],
                    ints[8, t, n, j], ints[9, t, n, j], ints[10, t, n, j],
                ) = a  # fmt: skip
                (
                    longs[0, t, n, j], longs[1, t, n, j], longs[2, t, n, j], longs[3, t, n, j],
                    longs[4, t, n, j], longs[5, t, n, j], longs[6, t, n, j], longs[7, t, n, j],
                    longs[8, t, n, j], longs[9, t, n, j], longs[10, t, n, j], longs[11, t, n, j],
                    longs[12, t, n, j], longs[13, t, n, j], longs[14, t, n, j], longs[15, t, n, j],
                    longs[16, t, n, j], longs[17, t, n, j], longs[18, t, n, j], longs[19, t, n, j],
                ) = b  # fmt: skip
                if n == 0:
                    (
                        biases[0, t, j], biases[1, t, j], biases[2, t, j],
                        biases[3, t, j], biases[4, t, j], biases[5, t, j],
                    ) = c  # fmt: skip
                if v.shape[0] > 0:
                    v[t, n, j], v[t, n, jr], v[t, n, jg], v[t, n, j + 3 * hidden] = a[1], a[3], a[7], a[4]
                land_state(
                    n, j, t, state[j], a[10], ops[OP_H, ZERO_POINT], ops[OP_H, QMIN], ops[OP_H, QMAX],
                    zoneout_k, mask, zoneout_acc, h,
                )  # fmt: skip
            barrier()


def receive_codes(start, stop, values, qmin, qmax, codes, bad):
    """codes int32 [T,N,C] of integers of any type and layout; bad[0] becomes 1 when one is outside the format.  [SPEC F-3]"""
    for row in range(first_row(start), stop, row_step()):
        t, n = row // values.shape[1], row % values.shape[1]
        for k in range(lane(), values.shape[2], lanes()):
            q = int64(values[t, n, k])
            codes[t, n, k] = q
            if q < qmin or q > qmax:
                bad[0] = 1


def receive_reals(start, stop, values, reals):
    """reals float32 [T,N,C], a contiguous copy."""
    for row in range(first_row(start), stop, row_step()):
        t, n = row // values.shape[1], row % values.shape[1]
        for k in range(lane(), values.shape[2], lanes()):
            reals[t, n, k] = values[t, n, k]
