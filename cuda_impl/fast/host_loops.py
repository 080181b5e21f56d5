"""The loops of the host build: input products of a span of steps, then the steps.  [SPEC L-1, S-1, S-2]

Compiled by host_programs.py, which binds the names in capitals: DOT8 ... DOT1, JOIN, CELL, PLANES, SIMPLE and TILE_BYTES.
A run works on rows row_first...row_last and on blocks of sixteen units block_first...block_last; several runs share the rows
or the blocks of one network. Everything is in place before the first step; nothing is allocated here.
"""

from __future__ import annotations

from typing import Any

from cuda_impl.fast.host_sync import meet

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


def input_products(
    first, last, steps, reverse, row_first, row_last, block_first, block_last,
    base, groups, chunk, W, start, correction, x, operand, parts, products,
):  # fmt: skip
    """products [blocks, steps, rows, 48] of processed steps first...last.  [SPEC L-1, S-2]

    x        [T,N,C], viewed as unsigned; a code less base is unsigned too
    operand  [PLANES, steps * rows, K] for these rows; parts int32 [8, 48]
    """
    rows, inputs = row_last - row_first, x.shape[2]
    for i in range(first, last):
        t = steps - 1 - i if reverse != 0 else i
        for n in range(rows):
            m = (i - first) * rows + n
            if PLANES == 1:
                for k in range(inputs):
                    operand[0, m, k] = (x[t, row_first + n, k] - base) & 255
            else:
                for k in range(inputs):
                    u = x[t, row_first + n, k] - base
                    operand[0, m, k] = u & 255
                    operand[1, m, k] = (u >> 8) & 255
    count = (last - first) * rows
    plane_step, row_step = operand.strides[0], operand.strides[1]
    data = operand.ctypes.data
    for block in range(block_first, block_last):
        multiply_block(
            data, plane_step, row_step, count, W.ctypes.data + block * groups * PART_BYTES, groups, chunk,
            start.ctypes.data + block * PART_BYTES if SIMPLE else start.ctypes.data,
            correction.ctypes.data + block * TILE_BYTES, parts.ctypes.data,
            products.ctypes.data + (block - block_first) * count * TILE_BYTES,
        )  # fmt: skip


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
    first, last, steps, reverse, row_first, row_last, block_first, block_last, parties, counter,
    base, groups, chunk, R, start, correction, constants, numbers, tables,
    products, x_bytes, Rh, parts, state, mask, padded, h,
):  # fmt: skip
    """Processed steps first...last with constant numbers: h [T+1,N,H], viewed as unsigned.  [SPEC S-1, S-2]

    counter  int64 [1] where the parties meet after each step, when they share rows
    state    [2, PLANES, N, K]; the state before step i is state[i & 1]
    mask     uint8 [T,N,H], or no elements; padded uint8 [N,K]
    """
    rows, hidden = row_last - row_first, h.shape[2]
    unit_first, unit_last = 16 * block_first, min(16 * block_last, hidden)
    row_step = state.strides[2]
    for i in range(first, last):
        t = steps - 1 - i if reverse != 0 else i
        masked = 0
        if mask.shape[0] > 0:
            pad_mask(mask[t], row_first, row_last, unit_first, unit_last, padded)
            masked = padded.ctypes.data + row_first * padded.strides[0]
        now, after = state[i & 1], state[(i + 1) & 1]
        one_step(
            now.ctypes.data + row_first * row_step, after.ctypes.data + row_first * row_step, state.strides[1], row_step, rows,
            block_first, block_last, groups, chunk, R.ctypes.data, start.ctypes.data, correction.ctypes.data,
            constants.ctypes.data, constants.strides[0], numbers.ctypes.data, tables.ctypes.data,
            products.ctypes.data + (i - first) * rows * x_bytes, (last - first) * rows * x_bytes, x_bytes,
            Rh.ctypes.data, parts.ctypes.data, masked, padded.strides[0], state.strides[3],
        )  # fmt: skip
        copy_out(after, row_first, row_last, unit_first, unit_last, base, h[t + 1])
        meet(counter.ctypes.data, parties)
