"""The input product of all steps at once, by tensor cores: what the recurrence reads step by step.  [SPEC L-1]"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast import gpu_intrinsics as gpu
from cuda_impl.fast import gpu_tensor as tensor
from cuda_impl.fast.gpu_layout import TERMS

int32, int64 = np.int32, np.int64

ROWS, THREADS = 64, 256
STAGES = 3
TILE_BYTES = ROWS * TERMS
SHARED = STAGES * TILE_BYTES


def input_kernel(aligned: bool) -> Any:
    """out int32 [rows, columns] = x int8 [rows, C] times the weights; aligned when C is a multiple of 16."""
    from numba import cuda

    multiply, store = tensor.multiply_tile(4, TERMS), tensor.store_tile(4)
    wait = gpu.copy_wait(STAGES - 2)
    ZERO = (int32(0),) * 32
    ALIGNED = aligned

    def fetch(place, x, row0, piece, rows, length, tid):
        if ALIGNED:
            r, k = int32(tid >> 2), int32(tid & 3) * 16
            if row0 + r < rows and piece * TERMS + k < length:
                gpu.copy_async(int32(place + 16 * tid), x + int64(row0 + r) * length + piece * TERMS + k)
            else:
                gpu.store_shared4(int32(place + 16 * tid), int32(0), int32(0), int32(0), int32(0))
        else:
            for i in range(tid, TILE_BYTES, THREADS):
                r, k = i >> 6, piece * TERMS + (i & 63)
                code = int32(0)
                if row0 + r < rows and k < length:
                    code = gpu.load_once_byte(x + int64(row0 + r) * length + k)
                gpu.store_shared_byte(int32(place + i), code)

    fetched = cuda.jit(device=True, forceinline=True)(fetch)

    def kernel(rows, length, columns, blocks_x, x, weights, out, flip):
        base = gpu.shared_base(cuda.shared.array(0, np.int8))
        tid = int32(cuda.threadIdx.x)
        lane, warp = int32(tid & 31), int32(tid >> 5)
        block = int32(cuda.blockIdx.x)
        row0 = int32(block // blocks_x) * ROWS
        pair = int32(block % blocks_x) * 4 + (warp & 3)
        pieces = (length + TERMS - 1) // TERMS
        mine = weights + int64(pair) * pieces * 2048 + 16 * lane
        from_lane = int32(((warp >> 2) * 32 + (lane >> 2)) * TERMS + (lane & 3) * 16)
        acc = ZERO
        for piece in range(STAGES - 1):
            if piece < pieces:
                fetched(int32(base + piece * TILE_BYTES), x, row0, piece, rows, length, tid)
            gpu.copy_commit()
        for piece in range(pieces):
            wait()
            cuda.syncthreads()
            ahead = piece + STAGES - 1
            if ahead < pieces:
                fetched(int32(base + (ahead % STAGES) * TILE_BYTES), x, row0, ahead, rows, length, tid)
            gpu.copy_commit()
            cuda.syncwarp()
            acc = multiply(acc, mine + int64(piece) * 2048, int32(base + (piece % STAGES) * TILE_BYTES + from_lane), flip)
        row, column = int32(row0 + (warp >> 2) * 32 + 2 * (lane & 3)), int32(pair * 32 + (lane >> 2))
        store(acc, out, row, int32(rows), column, int32(columns))

    return kernel


def input_signature() -> Any:
    """The Numba types of the kernel's arguments."""
    from numba.core import types

    i, a = types.int32, types.int64
    return types.void(i, i, i, i, a, a, a, i)
