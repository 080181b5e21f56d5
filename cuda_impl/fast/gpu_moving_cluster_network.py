"""Sets with moving ranges and at most 1024 hidden units: gpu_moving_cluster's kernel where its clusters find room.  [SPEC D]"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from cuda_impl import cell, launch
from cuda_impl import dynamic as d
from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast import gpu_moving_cluster as kernels
from cuda_impl.fast import gpu_moving_steps, gpu_pack
from cuda_impl.fast.gpu_arrays import address, put, torch_of
from cuda_impl.fast.gpu_layout import Kind, Shape
from cuda_impl.fast.gpu_moving_network import MovingNetwork, arguments
from cuda_impl.fast.gpu_network import TORCH_WORK
from cuda_impl.fast.gpu_shape import CLUSTER_BLOCKS, shape_for, step_microseconds
from cuda_impl.hidden import zoneout_factor
from golden.spec.errors import ParameterError
from golden.spec.params import MShiftDynamicParams
from golden.spec.trace import DynamicState, RunOptions

INT, ADDRESS, REAL = ctypes.c_int32, ctypes.c_int64, ctypes.c_float
MEETING = 1.3  # microseconds that a step takes longer when its extremes cross clusters


@lru_cache(maxsize=128)
def cluster_kernel(shape: Shape, kind: Kind, many: bool, device: int) -> driver.Loaded:
    """The compiled recurrence of a shape and a kind on a device."""
    return driver.loaded(
        ("moving cluster", shape, kind, many, launch.source_digest()),
        lambda: (kernels.recurrence(shape, kind, many), kernels.signature()),
        kernels.dynamic_bytes(shape, kind),
        shape.blocks,
        shape.threads,
    )


@lru_cache(maxsize=8)
def ahead_kernel(device: int) -> driver.Loaded:
    """The compiled kernel of the x ranges on a device."""
    return driver.loaded(
        ("moving ahead", launch.source_digest()),
        lambda: (gpu_moving_steps.ahead_kernel(), gpu_moving_steps.ahead_signature()),
        0,
        0,
        gpu_moving_steps.THREADS,
    )


@lru_cache(maxsize=1024)
def moving_shape(hidden: int, batch: int, kind: Kind) -> tuple[Shape, int] | None:
    """(shape, how many clusters), or None where not all of them run at the same time: their ranges span all rows."""
    found: list[tuple[float, Shape, int]] = []
    for clusters in (1, None):
        try:
            shape = shape_for(hidden, batch, kind, clusters=clusters)
        except ParameterError:
            continue
        count = -(-batch // shape.valid)
        if count * shape.blocks <= CLUSTER_BLOCKS:
            found.append((step_microseconds(shape) + (MEETING if count > 1 else 0.0), shape, count))
    return min(found, key=lambda item: item[0])[1:] if found else None


@dataclass(frozen=True, eq=False)
class Placed:
    """What a shape reads of a set, on the device.

    R       fragments of its codes;  W the input product's
    sums    int32 [4, 3 * width]: column sums of the codes of W and of R, then the codes of bx and br of a run
    biases  float32 [2, 3 * width]
    """

    R: Any
    W: Any
    sums: Any
    biases: Any


class MovingClusterNetwork(MovingNetwork):
    """A set with moving ranges on the current device; batches whose clusters find no room take the kernel of the grid."""

    def __init__(self, params: MShiftDynamicParams) -> None:
        super().__init__(params)
        near, far, far_gates = gpu_pack.gate_tables((params.fmt_pre,) * 3, (params.table_z, params.table_r, params.table_g))
        self.kind = Kind("mshift", far_gates, packed=params.hidden_size % 16 == 0, moving=True)
        self.near, self.far = put(near), put(far)
        self._shapes: dict[Any, Placed] = {}
        self._torch_W: dict[int, Any] = {}
        self._firsts: dict[int, Any] = {}

    def _run(
        self, x: Any, first: Any, options: RunOptions, reverse: bool, whole: Any, stream: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from numba import cuda

        p, hidden = self.params, self.params.hidden_size
        steps, batch, inputs = (int(n) for n in x.shape)
        kind = replace(self.kind, zoneout=2 if options.mask is not None else 1 if options.blend else 0)
        chosen = moving_shape(hidden, batch, kind)
        if chosen is None:
            return super()._run(x, first, options, reverse, whole, stream)
        shape, clusters = chosen
        placed, torch = self._shape(shape), torch_of(whole)
        continued = isinstance(first, DynamicState) and first.steps > 0
        row, zero_point, s_b, h0 = self._first_state(first, batch)
        mask = put(options.mask.astype(np.int8)) if options.mask is not None else self.none
        reals, ahead = self._kept("reals", (steps + 1, d.REALS), np.float32), self._kept("ahead", (steps, 8), np.int32)
        numbers = self._kept("numbers", (steps + 1, cell.COLUMNS), np.int64)
        scales = self._kept("scales", (d.WEIGHT_REALS,), np.float32)
        found = self._kept("found", (steps, 2), np.float32)
        parts = self._kept("parts", (steps, launch.GPU_LANES, 2), np.float32)
        zero_points = self._kept("zero points", (steps,), np.int64)
        x_codes = self._kept("codes", (steps, batch * inputs), np.int8)
        wx = self._kept("wx", (steps * batch, 3 * shape.width), np.int32)
        posts = self._kept("posts", (2 * kernels.POSTS,), np.int32)
        queue = cuda.external_stream(stream) if stream else cuda.default_stream()
        for at, value in ((d.SCALE_W, self.weight_reals[d.SCALE_W]), (d.SCALE_R, self.weight_reals[d.SCALE_R])):
            driver.set_words(address(scales) + 4 * at, int(np.float32(value).view(np.int32)), stream)
        driver.set_words(address(posts), 0, stream, 2 * kernels.POSTS)
        flat = x.reshape(steps, batch * inputs)
        self._start_program("find_extremes", steps, queue, flat, parts, found)
        values = [
            steps, int(reverse), int(p.x_symmetric), int(continued), p.shift, p.shift_bias, p.s_z, p.s_r_gate, p.s_g,
            row[d.X_MIN], row[d.X_MAX], s_b, *(address(a) for a in (found, reals, numbers, zero_points, scales, ahead)),
        ]  # fmt: skip
        given = arguments(values, [INT] * 6 + [REAL] * 6 + [ADDRESS] * 6)
        ahead_kernel(self.device).launch(1, stream, given).start()
        self._start_program("quantize_steps", steps, queue, flat, int(reverse), int(p.reciprocal), reals, numbers, x_codes)
        self._start_program("bias_codes", 2, queue, placed.biases, scales, placed.sums[2:4])
        self._products(torch, x_codes, steps * batch, shape, placed, wx, stream)
        kernel = cluster_kernel(shape, kind, clusters > 1, self.device)
        values = [
            steps, batch, hidden, int(reverse), int(continued), int(p.h_symmetric), p.shift, p.shift_bias,
            int(zoneout_factor(options.zoneout)) if options.blend else 0,
            p.zp_z, p.zp_r, p.zp_g, p.fmt_pre.qmin, p.fmt_pre.qmax, zero_point,
            row[d.H_MIN], row[d.H_MAX], row[d.SCALE_H],
            *(address(a) for a in (wx, h0, whole, placed.R, placed.sums, self.near, self.far, mask, ahead, reals, scales)),
            address(posts), self.failure.address,
        ]  # fmt: skip
        given = arguments(values, [INT] * 15 + [REAL] * 3 + [ADDRESS] * 13)
        kernel.launch(shape.blocks * clusters, stream, given).start()
        self.failure.bring(stream)
        queue.synchronize()
        self.failure.check()
        host_reals, host_ahead = reals.copy_to_host(), ahead.copy_to_host()
        host_reals[0] = row
        host_numbers = np.zeros((steps + 1, cell.COLUMNS), np.int64)
        host_numbers[0, cell.ZP_H], host_numbers[1:, cell.ZP_H] = zero_point, host_ahead[:, 6]
        weight_reals = self.weight_reals.copy()
        weight_reals[d.SCALE_B] = s_b if continued else host_reals[1, d.SCALE_WX]
        return host_reals, host_numbers, weight_reals

    def _first_state(self, first: Any, batch: int) -> tuple[np.ndarray, int, float, Any]:
        """(reals, zero point, scale of the biases, int8 codes [N,H] on the device) of the state before the run.  [SPEC D]"""
        if first is None:
            reals, _numbers, code = self.rest
            if batch not in self._firsts:
                self._firsts = {batch: put(np.full((batch, self.params.hidden_size), code, np.int8))}
            return reals[0], int(self.rest[1][0, cell.ZP_H]), 0.0, self._firsts[batch]
        reals, numbers, scales, codes = self._before(first, batch)
        return reals[0], int(numbers[0, cell.ZP_H]), float(scales[d.SCALE_B]), put(codes)

    def _shape(self, shape: Shape) -> Placed:
        """Weights for a shape, on the device."""
        key, width, hidden = (shape.blocks, shape.tiles, shape.splits, shape.chunks), shape.width, self.params.hidden_size
        if key not in self._shapes:
            sums = np.zeros((4, 3, width), np.int32)
            biases = np.zeros((2, 3, width), np.float32)
            for n, weights in enumerate((self.W_codes, self.R_codes)):
                sums[n, :, :hidden] = weights.sum(axis=0, dtype=np.int64).reshape(3, hidden)
            for n, values in enumerate((self.params.bx, self.params.br)):
                biases[n, :, :hidden] = np.asarray(values, np.float32).reshape(3, hidden)
            self._shapes[key] = Placed(
                put(gpu_pack.fragments(self.R_codes, *key)),
                put(gpu_pack.input_fragments(self.W_codes, width)),
                put(sums.reshape(4, 3 * width)),
                put(biases.reshape(2, 3 * width)),
            )
        return self._shapes[key]

    def _products(self, torch: Any, codes: Any, rows: int, shape: Shape, placed: Placed, wx: Any, stream: int) -> None:
        """The raw products of all steps, their zero points left out.  [SPEC L-1]"""
        length, width = self.params.input_size, shape.width
        if torch is not None and rows > 16 and length % 16 == 0 and rows * length * 3 * width >= TORCH_WORK:
            if width not in self._torch_W:
                full = np.zeros((3, width, length), np.int8)
                full[:, : self.params.hidden_size] = self.W_codes.T.reshape(3, -1, length)
                self._torch_W[width] = torch.from_numpy(full.reshape(3 * width, length)).cuda()
            left, product = (torch.as_tensor(a, device="cuda") for a in (codes, wx))
            torch._int_mm(left.view(rows, length), self._torch_W[width].t(), out=product)
            return
        self._multiply(codes, rows, wx, stream, placed.W, 3 * width)
