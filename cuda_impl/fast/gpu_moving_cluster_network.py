"""Sets with moving ranges and at most 1024 hidden units: gpu_moving_cluster's kernel where its clusters find room.  [SPEC D]"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from cuda_impl import cell, launch
from cuda_impl import dynamic as d
from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast import gpu_moving_cluster as kernels
from cuda_impl.fast import gpu_moving_x as of_x
from cuda_impl.fast import gpu_pack
from cuda_impl.fast.gpu_arrays import address, empty, put, torch_of
from cuda_impl.fast.gpu_layout import Kind, Shape, shared_layout
from cuda_impl.fast.gpu_moving_network import MovingNetwork, arguments
from cuda_impl.fast.gpu_moving_steps import MOST_OF_PRODUCT, MOST_OF_ZERO, plain_limits
from cuda_impl.fast.gpu_products import Product
from cuda_impl.fast.gpu_shape import CLUSTER_BLOCKS, shape_for
from cuda_impl.hidden import zoneout_factor
from golden.spec.params import MShiftDynamicParams
from golden.spec.trace import DynamicState, RunOptions

INT, ADDRESS, REAL = ctypes.c_int32, ctypes.c_int64, ctypes.c_float
# positions among the arguments of the kernels that differ from run to run
X_EXTREMES, X_QUANTIZE, X_MIN, ZONEOUT_K, ZP_FIRST, H_MIN, H0, OUT, MASK = 1, 4, 9, 8, 14, 19, 23, 24, 29


@lru_cache(maxsize=128)
def cluster_kernel(shape: Shape, kind: Kind, many: bool, device: int) -> driver.Loaded:
    """The compiled recurrence of a shape and a kind on a device."""
    return driver.loaded(
        ("moving cluster", shape, kind, many, launch.source_digest()),
        lambda: (kernels.recurrence(shape, kind, many), kernels.signature()),
        shared_layout(shape, kind)["total"],
        shape.blocks,
        shape.threads,
    )


X_KERNELS: dict[str, tuple[Callable[[], tuple[Any, Any]], int]] = {
    "extremes": (lambda: (of_x.extremes_kernel(), of_x.extremes_signature()), of_x.LANES),
    "ahead": (lambda: (of_x.ahead_kernel(), of_x.ahead_signature()), of_x.THREADS),
    "bias": (lambda: (of_x.bias_kernel(), of_x.bias_signature()), of_x.LANES),
} | {
    f"quantize {int(by)} {int(fours)}": (
        lambda by=by, fours=fours: (of_x.quantize_kernel(by, fours), of_x.quantize_signature()), of_x.LANES,
    )
    for by in (False, True)
    for fours in (False, True)
}  # fmt: skip


@lru_cache(maxsize=64)
def x_kernel(name: str, device: int) -> driver.Loaded:
    """A compiled kernel of X_KERNELS on a device."""
    build, threads = X_KERNELS[name]
    return driver.loaded(("moving x", name, launch.source_digest()), build, 0, 0, threads)


@lru_cache(maxsize=1024)
def moving_shape(hidden: int, batch: int, kind: Kind) -> tuple[Shape, int] | None:
    """(shape, how many clusters), or None where not all of them run at the same time: their ranges span all rows.

    One cluster where eight rows are all, because extremes that cross clusters cost more than a microsecond a step.
    """
    shape = shape_for(hidden, batch, kind, clusters=1 if batch <= 8 else None)
    clusters = -(-batch // shape.valid)
    return (shape, clusters) if clusters * shape.blocks <= CLUSTER_BLOCKS else None


@dataclass(frozen=True, eq=False)
class Placed:
    """What a shape reads of a set, on the device.

    R       fragments of its codes;  W what makes its input products
    sums    int32 [4, 3 * width]: column sums of the codes of W and of R, then the codes of bx and br of a run
    biases  float32 [2, 3 * width]
    """

    R: Any
    W: Product
    sums: Any
    biases: Any


@dataclass(eq=False)
class Plan:
    """What a run of one size needs and the next one of that size uses again.

    arrays    what the launches work on
    record    int32 on the device: reals float32 [T + 1, REALS], then at `ahead_at` what x alone decides [T, AHEAD]
    seen      the record on the host
    """

    arrays: list[Any]
    extremes: driver.Launch
    ahead: driver.Launch
    quantize: driver.Launch
    bias: driver.Launch
    product: driver.Launch
    recurrence: driver.Launch
    posts: int
    record: Any
    seen: np.ndarray
    ahead_at: int


class MovingClusterNetwork(MovingNetwork):
    """A set with moving ranges on the current device; batches whose clusters find no room take the kernel of the grid."""

    def __init__(self, params: MShiftDynamicParams) -> None:
        super().__init__(params)
        near, far, far_gates = gpu_pack.gate_tables((params.fmt_pre,) * 3, (params.table_z, params.table_r, params.table_g))
        self.kind = Kind("mshift", far_gates, packed=params.hidden_size % 16 == 0, moving=True)
        self.near, self.far = put(near), put(far)
        reach_x, reach_h = (int(np.abs(w.astype(np.int64)).sum(axis=0).max()) for w in (self.W_codes, self.R_codes))
        small = 128 * reach_x <= MOST_OF_PRODUCT and max(map(abs, (params.zp_z, params.zp_r, params.zp_g))) <= MOST_OF_ZERO
        self.may_be_plain, self.limits = small, plain_limits(255 * reach_h, params.shift)
        self._placed: dict[Any, Placed] = {}
        self._plans: dict[Any, Plan] = {}
        self._firsts: dict[int, Any] = {}

    def _run(
        self, x: Any, first: Any, options: RunOptions, reverse: bool, whole: Any, stream: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from cuda.bindings import driver as cuda

        torch = torch_of(whole)
        continued = isinstance(first, DynamicState) and first.steps > 0
        zoneout = 2 if options.mask is not None else 1 if options.blend else 0
        packed = self.kind.packed and address(whole) % 16 == 0  # a view of the caller's may begin anywhere
        key = (*x.shape, reverse, continued, zoneout, packed, stream, torch is None, address(x) % 16)
        plan = self._plans.get(key)
        if plan is None:
            kind = replace(self.kind, zoneout=zoneout, packed=packed)
            chosen = moving_shape(self.params.hidden_size, int(x.shape[1]), kind)
            if chosen is None:
                return super()._run(x, first, options, reverse, whole, stream)
            if len(self._plans) >= 8:  # each holds an input product
                self._plans.clear()
            plan = self._plans[key] = self._planned(torch, x, *chosen, reverse, continued, kind, stream)
        row, zero_point, s_b, h0 = self._first_state(first, int(x.shape[1]))
        mask = put(options.mask.astype(np.int8)) if options.mask is not None else self.none
        plan.extremes.arguments.cells[X_EXTREMES].value = address(x)
        plan.quantize.arguments.cells[X_QUANTIZE].value = address(x)
        for cells, at, values in (
            (plan.ahead.arguments.cells, X_MIN, (row[d.X_MIN], row[d.X_MAX], s_b)),
            (plan.recurrence.arguments.cells, ZP_FIRST, (zero_point,)),
            (plan.recurrence.arguments.cells, H_MIN, (row[d.H_MIN], row[d.H_MAX], row[d.SCALE_H])),
            (plan.recurrence.arguments.cells, H0, (address(h0), address(whole))),
            (plan.recurrence.arguments.cells, MASK, (address(mask),)),
            (plan.recurrence.arguments.cells, ZONEOUT_K, (int(zoneout_factor(options.zoneout)) if options.blend else 0,)),
        ):
            for n, value in enumerate(values):
                cells[at + n].value = value
        driver.set_words(plan.posts, 0, stream, 2 * kernels.POSTS)
        for launched in (plan.extremes, plan.ahead, plan.quantize, plan.bias, plan.product, plan.recurrence):
            launched.start()
        self.failure.bring(stream)
        driver.checked("cuMemcpyDtoHAsync", cuda.cuMemcpyDtoHAsync(
            plan.seen.ctypes.data, address(plan.record), plan.seen.nbytes, stream,
        ))  # fmt: skip
        driver.wait_for(stream)
        self.failure.check()
        return self._record(plan, int(x.shape[0]), row, zero_point, s_b if continued else None)

    def _record(
        self, plan: Plan, steps: int, row: np.ndarray, zero_point: int, s_b: float | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(reals, numbers, weight_reals) as the twin has them, of the numbers only h's zero points."""
        reals = plan.seen[: (steps + 1) * d.REALS].view(np.float32).reshape(steps + 1, d.REALS).copy()
        ahead = plan.seen[plan.ahead_at :].reshape(steps, of_x.AHEAD)
        reals[0] = row
        numbers = np.zeros((steps + 1, cell.COLUMNS), np.int64)
        numbers[0, cell.ZP_H], numbers[1:, cell.ZP_H] = zero_point, ahead[:, of_x.ZP_H]
        scales = self.weight_reals.copy()
        scales[d.SCALE_B] = reals[1, d.SCALE_WX] if s_b is None else s_b
        return reals, numbers, scales

    def _planned(
        self, torch: Any, x: Any, shape: Shape, clusters: int, reverse: bool, continued: bool, kind: Kind, stream: int
    ) -> Plan:
        from numba import cuda

        p, placed, hidden = self.params, self._weights(shape), self.params.hidden_size
        steps, batch, inputs = (int(n) for n in x.shape)
        count, rows, columns = batch * inputs, steps * batch, 3 * shape.width
        ahead_at = -(-(steps + 1) * d.REALS // 32) * 32
        record = empty(None, (ahead_at + steps * of_x.AHEAD,), np.int32)
        reals, ahead = address(record), address(record) + 4 * ahead_at
        found, zero_points = empty(None, (steps, 2), np.float32), empty(None, (steps,), np.int64)
        codes, wx = empty(torch, (rows, inputs), np.int8), empty(torch, (rows, columns), np.int32)
        posts, scales = empty(None, (2 * kernels.POSTS,), np.int32), put(self.weight_reals)
        device, LANES = self.device, of_x.LANES

        def launched(kernel: driver.Loaded, blocks: int, kinds: list[Any], *values: Any) -> driver.Launch:
            return kernel.launch(blocks, stream, arguments(list(values), kinds))

        extremes = launched(x_kernel("extremes", device), steps, [INT, ADDRESS, ADDRESS], count, 0, address(found))
        running = launched(
            x_kernel("ahead", device), 1, [INT] * 6 + [REAL] * 6 + [ADDRESS] * 5,
            steps, int(reverse), int(p.x_symmetric), int(continued), p.shift, p.shift_bias, p.s_z, p.s_r_gate, p.s_g,
            0.0, 0.0, 0.0, address(found), reals, address(zero_points), address(scales), ahead,
        )  # fmt: skip
        fours = count % 4 == 0 and address(x) % 16 == 0 and address(codes) % 4 == 0
        across = -(-count // of_x.STRETCH)
        quantize = launched(
            x_kernel(f"quantize {int(p.reciprocal)} {int(fours)}", device), steps * across, [INT] * 4 + [ADDRESS] * 4,
            steps, count, across, int(reverse), 0, reals, address(zero_points), address(codes),
        )  # fmt: skip
        bias = launched(
            x_kernel("bias", device), -(-2 * columns // LANES), [INT] + [ADDRESS] * 3,
            2 * columns, address(placed.biases), address(scales), address(placed.sums) + 4 * 2 * columns,
        )  # fmt: skip
        product = placed.W.launch(rows, address(codes), address(wx), stream)
        kernel = cluster_kernel(shape, kind, clusters > 1, device)
        recurrence = launched(
            kernel, shape.blocks * clusters, [INT] * 19 + [REAL] * 3 + [ADDRESS] * 13,
            steps, batch, hidden, int(reverse), int(continued), int(p.h_symmetric), p.shift, p.shift_bias, 0,
            p.zp_z, p.zp_r, p.zp_g, p.fmt_pre.qmin, p.fmt_pre.qmax, 0, int(self.may_be_plain), *self.limits,
            0.0, 0.0, 0.0, address(wx), 0, 0,
            address(placed.R), address(placed.sums), address(self.near), address(self.far), 0, ahead, reals,
            address(scales), address(posts), self.failure.address,
        )  # fmt: skip
        seen = cuda.pinned_array(record.shape, np.int32)
        held = [found, zero_points, posts, scales, placed, wx, codes]
        return Plan(held, extremes, running, quantize, bias, product, recurrence, address(posts), record, seen, ahead_at)

    def _first_state(self, first: Any, batch: int) -> tuple[np.ndarray, int, float, Any]:
        """(reals, zero point, scale of the biases, int8 codes [N,H] on the device) of the state before the run.  [SPEC D]"""
        if first is None:
            reals, numbers, code = self.rest
            if batch not in self._firsts:
                self._firsts = {batch: put(np.full((batch, self.params.hidden_size), code, np.int8))}
            return reals[0], int(numbers[0, cell.ZP_H]), 0.0, self._firsts[batch]
        reals, numbers, scales, codes = self._before(first, batch)
        return reals[0], int(numbers[0, cell.ZP_H]), float(scales[d.SCALE_B]), put(codes)

    def _weights(self, shape: Shape) -> Placed:
        """What a shape reads of the set, on the device."""
        key, width, hidden = (shape.blocks, shape.tiles, shape.splits, shape.chunks), shape.width, self.params.hidden_size
        if key not in self._placed:
            sums = np.zeros((4, 3, width), np.int32)
            biases = np.zeros((2, 3, width), np.float32)
            for n, weights in enumerate((self.W_codes, self.R_codes)):
                sums[n, :, :hidden] = weights.sum(axis=0, dtype=np.int64).reshape(3, hidden)
            for n, values in enumerate((self.params.bx, self.params.br)):
                biases[n, :, :hidden] = np.asarray(values, np.float32).reshape(3, hidden)
            self._placed[key] = Placed(
                put(gpu_pack.fragments(self.R_codes, *key)),
                Product(self.W_codes, width),
                put(sums.reshape(4, 3 * width)),
                put(biases.reshape(2, 3 * width)),
            )
        return self._placed[key]
