"""What the hardware does, and its stand-ins: the only file of the twin that knows hardware.

The functions here are the plain versions: they hold on the host (under Numba's njit), in the simulator and in plain
Python. `gpu_names()` gives what replaces them on a GPU: every binary32 operation becomes a separately rounded
instruction (`add.rn`, `mul.rn`, `div.rn`), never a fused one. `cuda` and `libdevice` are bound by launch.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

int32 = np.int32
int64 = np.int64
float32 = np.float32
float64 = np.float64

cuda: Any = None  # numba.cuda where there is one
libdevice: Any = None  # numba.cuda.libdevice on a GPU

INT32_FIRST = -2147483648
INT32_LAST = 2147483647
TWO_31 = np.float32(2147483648.0)


def fadd(a, b):
    """f32(a + b)"""
    return float32(float32(a) + float32(b))


def fsub(a, b):
    """f32(a - b)"""
    return float32(float32(a) - float32(b))


def fmul(a, b):
    """f32(a * b)"""
    return float32(float32(a) * float32(b))


def fdiv(a, b):
    """f32(a / b)"""
    return float32(float32(a) / float32(b))


def nearest_even(t):
    """The nearest-even integer of a binary32 number, saturating to int32, NaN to 0.  [SPEC Q-1]

    t        float32
    Returns  int64 in the range of int32
    Ties     0.5 -> 0, 1.5 -> 2, -0.5 -> 0, -1.5 -> -2
    """
    t = float32(t)
    if t != t:
        return int64(0)
    if t >= TWO_31:
        return int64(INT32_LAST)
    if t <= -TWO_31:
        return int64(INT32_FIRST)
    whole = int64(t)  # toward zero
    rest = float64(t) - float64(whole)  # exact
    if rest > 0.5 or (rest == 0.5 and (whole & int64(1)) == 1):
        return whole + int64(1)
    if rest < -0.5 or (rest == -0.5 and (whole & int64(1)) == 1):
        return whole - int64(1)
    return whole


def first_row(start):
    """The first row of this worker; on the GPU a row is a block."""
    return start


def row_step():
    """How far the next row of this worker is."""
    return 1


def lane():
    """Which of the workers on this row this one is."""
    return 0


def lanes():
    """How many workers share a row."""
    return 1


def barrier():
    """Wait until every worker of the row is here and its writes are seen."""
    return


def _gpu_fadd(a, b):
    return libdevice.fadd_rn(float32(a), float32(b))


def _gpu_fsub(a, b):
    return libdevice.fsub_rn(float32(a), float32(b))


def _gpu_fmul(a, b):
    return libdevice.fmul_rn(float32(a), float32(b))


def _gpu_fdiv(a, b):
    return libdevice.fdiv_rn(float32(a), float32(b))


def _gpu_nearest_even(t):
    # cvt.rni.s32.f32 saturates and takes NaN to 0
    return int64(libdevice.float2int_rn(float32(t)))


def _grid_first_row(start):
    return start + cuda.blockIdx.x


def _grid_row_step():
    return cuda.gridDim.x


def _grid_lane():
    return cuda.threadIdx.x


def _grid_lanes():
    return cuda.blockDim.x


def _grid_barrier():
    cuda.syncthreads()


def grid_names() -> dict[str, Any]:
    """The names that a grid of blocks replaces, on a GPU and in the simulator."""
    from numba import cuda as module

    return {
        "cuda": module,
        "first_row": _grid_first_row,
        "row_step": _grid_row_step,
        "lane": _grid_lane,
        "lanes": _grid_lanes,
        "barrier": _grid_barrier,
    }


def gpu_names() -> dict[str, Any]:
    """The names that a GPU replaces: the grid's, and IEEE float operations as single instructions."""
    from numba.cuda import libdevice as module

    return grid_names() | {
        "libdevice": module,
        "fadd": _gpu_fadd,
        "fsub": _gpu_fsub,
        "fmul": _gpu_fmul,
        "fdiv": _gpu_fdiv,
        "nearest_even": _gpu_nearest_even,
    }
