"""Codes of all rows times weights: which kernel multiplies, how the weights lie on the device, and its launch.  [SPEC L-1]"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast import gpu_gemm, gpu_input, gpu_pack
from cuda_impl.fast.gpu_arrays import address, put
from cuda_impl.fast.gpu_layout import COLUMNS

INT, ADDRESS = ctypes.c_int32, ctypes.c_int64
ROWS, X, OUT = 0, 4, 6  # among the arguments of a product
WORTH = 1 << 30  # multiplications from which blocks of 128 rows are the quicker ones
FEW = 96  # fewer blocks of 128 columns leave too many multiprocessors without one


@lru_cache(maxsize=16)
def input_kernel(aligned: bool, device: int) -> driver.Loaded:
    """The compiled product of any codes on a device; aligned when rows of codes begin at multiples of 16 bytes."""
    return driver.loaded(
        ("input", aligned),
        lambda: (gpu_input.input_kernel(aligned), gpu_input.input_signature()),
        gpu_input.SHARED,
        1,
        gpu_input.THREADS,
    )


@lru_cache(maxsize=16)
def block_kernel(width: int, device: int) -> driver.Loaded:
    """The compiled product in blocks of 128 rows and `width` columns on a device."""
    return driver.loaded(
        ("product", width),
        lambda: (gpu_gemm.product_kernel(width), gpu_gemm.product_signature()),
        gpu_gemm.shared_bytes(width),
        0,
        gpu_gemm.THREADS,
    )


class Product:
    """Weights on the current device, and the launches that multiply rows of codes with them.

    weights       int8 [C, 3H]
    width, units  the columns of the result are gate * width + unit, or as gpu_pack.columns_by_block has them for `units`
    flip          what is exclusive-ored into every four codes before they are multiplied
    """

    def __init__(self, weights: Any, width: int, units: int = 0, flip: int = 0) -> None:
        self.weights, self.width, self.units, self.flip = np.asarray(weights), width, units, flip
        self.device = driver.device_number()
        self._fragments: Any = None
        self._rows: Any = None

    def launch(self, rows: int, x: int, out: int, stream: int) -> driver.Launch:
        """out int32 [rows, 3 * width] = x int8 [rows, C] times the weights, for device addresses, out's 16-byte aligned.

        Its arguments ROWS, X and OUT may be changed before a start: to fewer rows, and to addresses that are aligned as these.
        """
        length, columns = self.weights.shape[0], 3 * self.width
        aligned = length % 16 == 0 and x % 16 == 0
        if aligned and not self.flip and rows * length * columns >= WORTH:
            if self._rows is None:
                self._rows = put(gpu_pack.product_rows(self.weights, self.width, length, self.units))
            weights, height, more = self._rows, gpu_gemm.ROWS, []
            wide = COLUMNS if -(-rows // height) * -(-columns // COLUMNS) >= FEW else COLUMNS // 2
            kernel = block_kernel(wide, self.device)
        else:
            if self._fragments is None:
                self._fragments = put(gpu_pack.input_fragments(self.weights, self.width, self.units))
            weights, height, more, wide = self._fragments, gpu_input.ROWS, [self.flip], COLUMNS
            kernel = input_kernel(aligned, self.device)
        across = -(-columns // wide)
        values = [rows, length, columns, across, x, address(weights), out, *more]
        arguments = driver.Arguments(values, [INT] * 4 + [ADDRESS] * 3 + [INT] * len(more))
        launch = kernel.launch(across * -(-rows // height), stream, arguments)
        launch.held = weights
        return launch
