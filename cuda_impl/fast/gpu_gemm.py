"""Codes times weights for many rows: a product of int8 matrices by four warps' tensor cores, exact in int32.  [SPEC L-1]

A block makes 128 rows by 128 columns, or by 64 where there would be few blocks. Both operands come into shared memory by
asynchronous copies, 128 terms at a time and two such stages ahead. A row's eight pieces of 16 bytes lie there in another
order for each of eight rows (piece ^ row), so that neither the copies nor the tensor cores, which read shared memory by
themselves, find two of them in the same banks. Two blocks or three find room on a multiprocessor: one multiplies while the
other waits or stores. The sums go through shared memory, so that a warp stores whole lines. Any rows; columns and terms in
multiples of 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast import gpu_warpgroup as warpgroup

int32, int64 = np.int32, np.int64

ROWS = 128  # of a block
TERMS, STAGES, THREADS = 128, 3, 256
ALIGNED = 1024  # what the order of the pieces is counted from


def shared_bytes(columns: int) -> int:
    """Shared memory of a block with so many columns."""
    return STAGES * (ROWS + columns) * TERMS + ALIGNED


def product_kernel(width: int) -> Any:
    """out int32 [rows, columns] = x int8 [rows, length] times weights int8 [columns, length], transposed.

    width  64 or 128, the columns of a block; there are `across` of them side by side
    """
    from numba import cuda

    wait, multiply, lay_down = gpu.copy_wait(STAGES - 2), warpgroup.multiply_block(TERMS, width), warpgroup.lay_down_sums(width)
    ZERO = (int32(0),) * (width // 2)
    OPERAND, STAGE, EVERY = ROWS * TERMS, (ROWS + width) * TERMS, THREADS // 8  # a thread has every 32nd row
    LINE, AT_ONCE, LOG = 4 * width, 128 // width, width.bit_length() - 3  # a warp stores 1 row or 2 at once
    copy, ALL = warpgroup.copy_part, width == 128

    def fetch(to, piece, left, x0, x1, x2, x3, w0, w1, w2, w3):
        """Start copying this thread's part of a stage: 16 bytes of four rows 32 apart, and of as many columns as there are."""
        at, count = int32(piece * TERMS), int32(16)
        if left <= at:
            at, count = int32(0), int32(0)
        copy(to, x0 + at, count)
        copy(int32(to + EVERY * TERMS), x1 + at, count)
        copy(int32(to + 2 * EVERY * TERMS), x2 + at, count)
        copy(int32(to + 3 * EVERY * TERMS), x3 + at, count)
        copy(int32(to + OPERAND), w0 + at, count)
        copy(int32(to + OPERAND + EVERY * TERMS), w1 + at, count)
        if ALL:
            copy(int32(to + OPERAND + 2 * EVERY * TERMS), w2 + at, count)
            copy(int32(to + OPERAND + 3 * EVERY * TERMS), w3 + at, count)

    def nearest(first, row, count, length):
        """Where a row begins, or the last one for what lies behind it, of which nothing is stored."""
        return first + int64(int32(min(row, int32(count - 1)))) * length

    fetch_stage, row_at = (cuda.jit(device=True, forceinline=True)(function) for function in (fetch, nearest))

    def kernel(rows, length, columns, across, x, weights, out):
        base = int32(int32(gpu.shared_base(cuda.shared.array(0, np.int8)) + (ALIGNED - 1)) & -ALIGNED)
        tid = int32(cuda.threadIdx.x)
        lane, warp = int32(tid & 31), warpgroup.uniform(int32(tid >> 5))
        block = int32(cuda.blockIdx.x)
        if int32(block // across) * ROWS >= rows:
            return
        row0, column0 = int32(block // across) * ROWS, int32(block % across) * width
        pieces = int32(int32(length + TERMS - 1) // TERMS)
        r, c = int32(tid >> 3), int32(tid & 7)
        place = int32(base + r * TERMS + ((c ^ (r & 7)) << 4))
        left = int32(length - 16 * c)  # terms from this thread's on; a piece that has none of them counts as 0
        x_at, w_at = (x + 16 * c, weights + 16 * c) if left > 0 else (x, weights)
        near, far = int32(row0 + r), int32(column0 + r)
        x0, x1 = row_at(x_at, near, rows, length), row_at(x_at, int32(near + EVERY), rows, length)
        x2, x3 = row_at(x_at, int32(near + 2 * EVERY), rows, length), row_at(x_at, int32(near + 3 * EVERY), rows, length)
        w0, w1 = row_at(w_at, far, columns, length), row_at(w_at, int32(far + EVERY), columns, length)
        w2, w3 = row_at(w_at, int32(far + 2 * EVERY), columns, length), row_at(w_at, int32(far + 3 * EVERY), columns, length)
        rows_at, weights_at = int32(base + (warp >> 2) * 64 * TERMS), int32(base + OPERAND)
        acc = ZERO
        for first in range(STAGES - 1):
            piece = int32(first)
            if piece < pieces:
                fetch_stage(int32(place + piece * STAGE), piece, left, x0, x1, x2, x3, w0, w1, w2, w3)
            gpu.copy_commit()
        stage, ahead = int32(0), int32(STAGES - 1)  # where the stage lies, and the one that is fetched
        for index in range(pieces):
            wait()
            warpgroup.fence_state()
            cuda.syncthreads()  # this stage is there, and everyone has read the one before
            coming = int32(index + STAGES - 1)
            if coming < pieces:
                fetch_stage(int32(place + ahead * STAGE), coming, left, x0, x1, x2, x3, w0, w1, w2, w3)
            gpu.copy_commit()
            cuda.syncwarp()  # the matrix instructions need every lane at once
            acc = multiply(acc, int32(rows_at + stage * STAGE), int32(weights_at + stage * STAGE))
            stage = int32(stage + 1) if stage < STAGES - 1 else int32(0)
            ahead = int32(ahead + 1) if ahead < STAGES - 1 else int32(0)
        cuda.syncthreads()  # nobody reads the operands any more
        mine = int32(base + warp * (16 * LINE))
        lay_down(acc, mine, lane)
        cuda.syncwarp()
        part = int32(lane & (width // 4 - 1))  # the four columns of a row that this lane stores
        row, column = int32(row0 + warp * 16), int32(column0 + 4 * part)
        to_row = out + 4 * (int64(row) * columns + column)
        if column < columns:
            for i in range(16 // AT_ONCE):
                line = int32(i * AT_ONCE + (lane >> LOG))
                if row + line < rows:
                    a, b, c, d = gpu.load_shared4(int32(mine + line * LINE + ((part ^ ((line & 7) << 1)) << 4)))
                    gpu.store_words4(to_row + int64(4 * line) * columns, a, b, c, d)

    return kernel


def product_signature() -> Any:
    """The Numba types of the kernel's arguments."""
    from numba.core import types

    i, a = types.int32, types.int64
    return types.void(i, i, i, i, a, a, a)
