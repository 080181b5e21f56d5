"""The loops of the host build: input products of a span of steps, then the steps.  [SPEC L-1, S-1, S-2]

Compiled by host_programs.py, which binds the names in capitals: DOT8 ... DOT1, JOIN, CELL, PLANES, SIMPLE and TILE_BYTES.
Every worker of a run calls the same program; they share it by tickets, each some blocks of sixteen units for some rows. A
program returns when all of it is done, by whomever. Everything is in place before the first step; nothing is allocated here.
"""

from __future__ import annotations

from typing import Any

from cuda_impl.fast.host_sync import open_next, take_ticket, was_last

DOT8: Any = None
DOT4: Any = None
DOT2: Any = None
DOT1: Any = None
JOIN: Any = None
CELL: Any = None
PLANES = 1
SIMPLE = True
TILE_BYTES = 192
PART_BYTES = 192  # the int32 sums of a row and block


def dot_rows(rows, data, row_step, weights, groups, start, out):
    """The kernel for 8, 4, 2 or 1 rows."""
    if rows == 8:
        DOT8(data, row_step, weights, groups, start, out)
    elif rows == 4:
        DOT4(data, row_step, weights, groups, start, out)
    elif rows == 2:
        DOT2(data, row_step, weights, groups, start, out)
    else:
        DOT1(data, row_step, weights, groups, start, out)


def multiply_block(data, plane_step, row_step, rows, weights, groups, chunk, start, correction, parts, out):
    """out [rows, 48] of one block of columns: int32 modulo 2^32, or int64.  All addresses.  [SPEC L-1]

    chunk       groups whose sum an int32 holds
    start       int32 [48] that the sums start from: less the correction when SIMPLE, else zeros
    correction  [48], what the zero point takes off
    """
    done = 0
    while done < rows:
        left = rows - done
        count = 8 if left >= 8 else (4 if left >= 4 else (2 if left >= 2 else 1))
        at = data + done * row_step
        if SIMPLE:
            dot_rows(count, at, row_step, weights, groups, start, out + done * PART_BYTES)
        else:
            first = 1
            for plane in range(PLANES):
                group = 0
                while group < groups:
                    some = min(chunk, groups - group)
                    word = at + plane * plane_step + 4 * group
                    dot_rows(count, word, row_step, weights + PART_BYTES * group, some, start, parts)
                    for r in range(count):
                        JOIN(parts + r * PART_BYTES, plane, correction, out + (done + r) * TILE_BYTES, first)
                    first = 0
                    group += some
        done += count


def convert_rows(first_row, last_row, first, steps, reverse, base, x, operand):
    """Rows of the operand [PLANES, steps * N, K] from codes x [T,N,C], viewed as unsigned."""
    batch, inputs = x.shape[1], x.shape[2]
    for m in range(first_row, last_row):
        i, n = first + m // batch, m % batch
        t = steps - 1 - i if reverse != 0 else i
        if PLANES == 1:
            for k in range(inputs):
                operand[0, m, k] = (x[t, n, k] - base) & 255
        else:
            for k in range(inputs):
                u = x[t, n, k] - base
                operand[0, m, k] = u & 255
                operand[1, m, k] = (u >> 8) & 255


def multiply_share(share, units, row_groups, count, groups, chunk, W, start, correction, operand, parts, products):
    """Some blocks of columns and rows of products [blocks, count, 48]; share in 0...units * row_groups - 1.  [SPEC L-1]"""
    blocks, row_step = W.shape[0], operand.strides[1]
    unit, group = share % units, share // units
    row, stop = count * group // row_groups, count * (group + 1) // row_groups
    for block in range(blocks * unit // units, blocks * (unit + 1) // units):
        multiply_block(
            operand.ctypes.data + row * row_step, operand.strides[0], row_step, stop - row,
            W.ctypes.data + block * groups * PART_BYTES, groups, chunk,
            start.ctypes.data + block * PART_BYTES if SIMPLE else start.ctypes.data,
            correction.ctypes.data + block * TILE_BYTES, parts.ctypes.data,
            products.ctypes.data + (block * count + row) * TILE_BYTES,
        )  # fmt: skip


def input_products(
    counters, phase, units, row_groups, first, last, steps, reverse,
    base, groups, chunk, W, start, correction, x, operand, parts, products,
):  # fmt: skip
    """products [blocks, steps, N, 48] of processed steps first...last, in two phases.  [SPEC L-1, S-2]

    counters  int64, the run's; phase is the first of the two; units * row_groups tickets
    x         [T,N,C], viewed as unsigned; a code less base is unsigned too
    operand   [PLANES, steps * N, K]; parts int32 [8, 48], this worker's
    """
    tickets, count = units * row_groups, (last - first) * x.shape[1]
    shared = counters.ctypes.data
    while True:
        ticket = take_ticket(shared, phase + 2, tickets)
        if ticket < 0:
            return
        share = ticket - phase * tickets
        if share < tickets:
            convert_rows(
                count * share // tickets, count * (share + 1) // tickets, first, steps, reverse, base, x, operand
            )  # fmt: skip
        else:
            multiply_share(
                share - tickets, units, row_groups, count, groups, chunk, W, start, correction, operand, parts, products
            )  # fmt: skip
        if was_last(shared, tickets):
            open_next(shared)


def one_step(
    old, new, plane_step, row_step, rows, block_first, block_last, groups, chunk, R, start, correction,
    constants, constants_step, numbers, tables, Wx, Wx_step, x_bytes, Rh, parts, mask, mask_step, unit_bytes,
):  # fmt: skip
    """The next state of some rows and blocks from the old one, all by address.  [SPEC S-1]

    Wx    products of this step: [rows, 48], the next block Wx_step further
    mask  address of bytes, rows mask_step apart, or 0
    """
    for block in range(block_first, block_last):
        multiply_block(
            old, plane_step, row_step, rows, R + block * groups * PART_BYTES, groups, chunk,
            start + block * PART_BYTES if SIMPLE else start, correction + block * TILE_BYTES, parts, Rh,
        )  # fmt: skip
        at = block * 16 * unit_bytes
        for n in range(rows):
            CELL(
                Wx + (block - block_first) * Wx_step + n * x_bytes, Rh + n * TILE_BYTES, constants + block * constants_step,
                numbers, tables, old + n * row_step + at, new + n * row_step + at, plane_step,
                mask + n * mask_step + 16 * block if mask != 0 else 0,
            )  # fmt: skip


def copy_out(state, row_first, row_last, unit_first, unit_last, base, out):
    """out [N,H], viewed as unsigned, from the operand [PLANES, N, K]."""
    for n in range(row_first, row_last):
        if PLANES == 1:
            for j in range(unit_first, unit_last):
                out[n, j] = state[0, n, j] + base
        else:
            for j in range(unit_first, unit_last):
                out[n, j] = state[0, n, j] + 256 * state[1, n, j] + base


def pad_mask(mask, row_first, row_last, unit_first, unit_last, padded):
    """padded [N,K] = mask [N,H]."""
    for n in range(row_first, row_last):
        for j in range(unit_first, unit_last):
            padded[n, j] = mask[n, j]


def run_steps(
    counters, phase, units, row_groups, first, last, steps, reverse,
    base, groups, chunk, R, start, correction, constants, numbers, tables,
    products, x_bytes, Rh, parts, state, mask, padded, h,
):  # fmt: skip
    """Processed steps first...last with constant numbers, a phase each: h [T+1,N,H], viewed as unsigned.  [SPEC S-1, S-2]

    state      [2, PLANES, N, K]; the state before step i is state[i & 1]
    mask       uint8 [T,N,H], or no elements; padded uint8 [N,K]
    Rh, parts  this worker's
    """
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
            base, groups, chunk, R, start, correction, constants, numbers, tables,
            products, x_bytes, Rh, parts, state, mask, padded, h,
        )  # fmt: skip
        if was_last(shared, tickets):
            open_next(shared)


def share_of_step(
    i, first, last, t, row_first, row_last, block_first, block_last,
    base, groups, chunk, R, start, correction, constants, numbers, tables,
    products, x_bytes, Rh, parts, state, mask, padded, h,
):  # fmt: skip
    """Some rows and blocks of processed step i, which is time t: the state, and h[t + 1].  [SPEC S-1]"""
    row_step, batch = state.strides[2], h.shape[1]
    unit_first, unit_last = 16 * block_first, min(16 * block_last, h.shape[2])
    masked = 0
    if mask.shape[0] > 0:
        pad_mask(mask[t], row_first, row_last, unit_first, unit_last, padded)
        masked = padded.ctypes.data + row_first * padded.strides[0]
    now, after = state[i & 1], state[(i + 1) & 1]
    Wx_step = (last - first) * batch * x_bytes
    one_step(
        now.ctypes.data + row_first * row_step, after.ctypes.data + row_first * row_step, state.strides[1], row_step,
        row_last - row_first, block_first, block_last, groups, chunk, R.ctypes.data, start.ctypes.data, correction.ctypes.data,
        constants.ctypes.data, constants.strides[0], numbers.ctypes.data, tables.ctypes.data,
        products.ctypes.data + block_first * Wx_step + ((i - first) * batch + row_first) * x_bytes, Wx_step, x_bytes,
        Rh.ctypes.data, parts.ctypes.data, masked, padded.strides[0], state.strides[3],
    )  # fmt: skip
    copy_out(after, row_first, row_last, unit_first, unit_last, base, h[t + 1])
