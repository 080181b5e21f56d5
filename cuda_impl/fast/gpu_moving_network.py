"""Sets with moving ranges on a GPU: what depends on x alone by the twin's programs, then every step in one launch.  [SPEC D]"""

from __future__ import annotations

import ctypes
import threading
from functools import lru_cache
from typing import Any

import numpy as np

from cuda_impl import cell, dynamic_run, launch
from cuda_impl import dynamic as d
from cuda_impl.activation import pack
from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast import gpu_grid, gpu_moving, gpu_pack
from cuda_impl.fast.gpu_arrays import address, empty, fill, output_codes, put, stream_of, torch_of
from cuda_impl.fast.gpu_grid import UNITS, GridShape
from cuda_impl.fast.gpu_grid_network import BLOCKS, LARGEST
from cuda_impl.fast.gpu_products import Product
from cuda_impl.fast.gpu_twin import TwinNetwork
from cuda_impl.fast.network import DynamicRun
from cuda_impl.hidden import zoneout_factor
from cuda_impl.runs import Run
from golden.spec.params import MShiftDynamicParams, check_input
from golden.spec.trace import DynamicState, RunOptions, check_options

INT, ADDRESS, REAL = ctypes.c_int32, ctypes.c_int64, ctypes.c_float
LONGEST = (2**31 - 1) // (127 * 128)  # inputs whose raw product fits int32


@lru_cache(maxsize=64)
def moving_kernel(shape: GridShape, zoneout: int, device: int) -> driver.Loaded:
    """The compiled recurrence of a shape on a device."""
    return driver.loaded(
        ("moving", shape, zoneout, launch.source_digest()),
        lambda: (gpu_moving.recurrence(shape, zoneout), gpu_moving.signature()),
        gpu_moving.moving_layout(shape)["total"],
        0,
        gpu_grid.THREADS,
    )


def takes_moving(params: MShiftDynamicParams) -> bool:
    """Whether the kernel takes a set: one block per 16 units must run at the same time, and sums must fit int32."""
    return params.hidden_size <= LARGEST and params.input_size <= LONGEST


class MovingNetwork:
    """A set with moving ranges on the current device; forward waits for the result, since its ranges belong to the answer.

    narrow  int32 [4, 3H] on the device: column sums of the codes of W and of R, then the codes of bx and br of a run
    rest    (reals, numbers, code) of a missing h0
    """

    def __init__(self, params: MShiftDynamicParams) -> None:
        self.params, self.device = params, driver.device_number()
        self.target = launch.target("gpu")
        hidden = params.hidden_size
        blocks, chunks = -(-hidden // UNITS), -(-hidden // 512)
        self.shape = GridShape(blocks, chunks, 1, 1)
        self.failure, self.none = driver.Failure(), put(np.zeros(4, np.int32))
        nothing = self._nothing(1)
        scales = put(np.zeros(d.WEIGHT_REALS, np.float32))
        W = self.target.get(dynamic_run._weights(nothing, np.asarray(params.W), d.SCALE_W, scales)[0])
        R = self.target.get(dynamic_run._weights(nothing, np.asarray(params.R), d.SCALE_R, scales)[0])
        self.weight_reals = self.target.get(scales)
        self.W_codes, self.R_codes = W, R
        self.R = put(gpu_pack.fragments(R, blocks, 1, gpu_grid.SPLITS, chunks))
        self.product = Product(W, self.shape.width)
        sums = np.zeros((4, 3 * hidden), np.int32)
        sums[0], sums[1] = W.sum(axis=0, dtype=np.int64), R.sum(axis=0, dtype=np.int64)
        self.narrow = put(sums)
        self.biases = put(np.stack([np.asarray(params.bx, np.float32), np.asarray(params.br, np.float32)]))
        self.tables = put(np.stack([pack(t)[:, :256] for t in (params.table_z, params.table_r, params.table_g)]))
        reals, numbers, _scales, codes = dynamic_run._start(params, nothing, None)
        get = self.target.get
        self.rest = (get(reals), get(numbers), int(get(codes)[0, 0, 0]))
        self._space: dict[str, Any] = {}
        self._lock = threading.RLock()

    def forward(
        self,
        x: Any,
        h0: Any = None,
        *,
        mask: Any = None,
        zoneout: float = 0.0,
        training: bool = False,
        reverse: bool = False,
        out: Any = None,
    ) -> DynamicRun:
        """h codes int8 [T+1,N,H] on the device, the scale and zero point that each carries, and the state to go on from.

        x, h0, mask, zoneout, training, reverse  as in cuda_impl.sequence.forward
        out      int8 [T+1,N,H] on the device, contiguous, to be filled
        Raises   ParameterError for a bad argument, RangeError naming tensor and step  [SPEC E-5, M-2]
        """
        self.failure.check()
        p, torch = self.params, torch_of(x)
        stream = stream_of(torch, x)
        placed = self._input(x)
        steps, batch, hidden = int(placed.shape[0]), int(placed.shape[1]), p.hidden_size
        whole = output_codes(torch, out, x, (steps + 1, batch, hidden), np.int8)
        if steps == 0:
            found = TwinNetwork(p).forward(placed, h0, mask=mask, zoneout=zoneout, training=training, reverse=reverse)
            return _moved_to(torch, found, out)
        options = check_options(launch.host_array("mask", mask), zoneout, training, (steps, batch, hidden))
        first = dynamic_run.checked_state(p, h0 if isinstance(h0, DynamicState) else launch.host_array("h0", h0), batch)
        with self._lock:
            reals, numbers, scales = self._run(placed, first, options, bool(reverse), whole, stream)
        given = isinstance(first, DynamicState)
        dynamic_run.check_ranges(p, reals, bool(reverse), given, given and first.steps > 0)
        return self._result(whole, reals, numbers, scales, first, bool(reverse))

    def check(self) -> None:
        """Raise DeviceError when a wait inside a kernel was given up; forward has waited already."""
        self.failure.check()

    def _run(
        self, x: Any, first: Any, options: RunOptions, reverse: bool, whole: Any, stream: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fill whole; (reals, numbers, weight_reals) as the twin has them, from the device."""
        from numba import cuda

        p, hidden, shape = self.params, self.params.hidden_size, self.shape
        steps, batch, inputs = (int(n) for n in x.shape)
        continued = isinstance(first, DynamicState) and first.steps > 0
        row, number_row, scales_row, codes = self._before(first, batch)
        host_reals = np.zeros((steps + 1, d.REALS), np.float32)
        host_reals[0] = row[0]
        reals, numbers = put(host_reals), put(np.repeat(number_row, steps + 1, axis=0))
        scales, h0 = put(scales_row), put(codes)
        mask = put(options.mask.astype(np.int8)) if options.mask is not None else self.none
        x_codes = self._kept("codes", (steps, batch * inputs), np.int8)
        found = self._kept("found", (steps, 2), np.float32)
        parts = self._kept("parts", (steps, launch.GPU_LANES, 2), np.float32)
        zero_points = self._kept("zero points", (steps,), np.int64)
        wx = self._kept("wx", (steps * batch, 3 * shape.width), np.int32)
        state = self._kept("state", (2, batch, shape.length), np.int8)
        extremes = self._kept("extremes", (steps + 1, 2), np.int32)
        counter = self._kept("counter", (32,), np.int32)
        queue = cuda.external_stream(stream) if stream else cuda.default_stream()
        cuda.default_stream().synchronize()  # what was put there may still be under way
        driver.set_words(address(counter), 0, stream, 32)
        driver.set_words(address(extremes), 0, stream, 2 * (steps + 1))
        driver.set_words(address(state), 0, stream, 2 * batch * shape.length // 4)
        flat = x.reshape(steps, batch * inputs)
        self._start_program("find_extremes", steps, queue, flat, parts, found)
        self._start_program(
            "x_trajectory", 1, queue, found, int(reverse), int(p.x_symmetric), int(continued),
            reals, numbers, zero_points, scales,
        )  # fmt: skip
        self._start_program("quantize_steps", steps, queue, flat, int(reverse), int(p.reciprocal), reals, numbers, x_codes)
        self._start_program("bias_codes", 2, queue, self.biases, scales, self.narrow[2:4])
        self.product.launch(steps * batch, address(x_codes), address(wx), stream).start()  # their zero points left out
        groups = max(1, min(BLOCKS // shape.blocks, -(-batch // 8)))
        rows = -(-batch // groups)
        groups = -(-batch // rows)
        cut = GridShape(shape.blocks, shape.chunks, 2 if rows > 8 else 1, 1)
        kernel = moving_kernel(cut, 2 if options.mask is not None else 1 if options.blend else 0, self.device)
        total = groups * shape.blocks
        room = kernel.resident_blocks()
        if room < total:
            raise driver.DeviceError(f"the device runs {room} blocks at the same time, expected {total}")
        values = [
            steps, batch, hidden, int(reverse), rows, total, int(continued), int(p.h_symmetric), p.shift, p.shift_bias,
            int(zoneout_factor(options.zoneout)) if options.blend else 0, p.s_z, p.s_r_gate, p.s_g,
            *(address(a) for a in (wx, h0, state, whole, self.R, self.narrow, self.tables, mask, reals, numbers, scales)),
            address(extremes), address(counter), self.failure.address,
        ]  # fmt: skip
        kernel.launch(total, stream, arguments(values, [INT] * 11 + [REAL] * 3 + [ADDRESS] * 14)).start()
        self.failure.bring(stream)
        queue.synchronize()
        self.failure.check()
        return reals.copy_to_host(), numbers.copy_to_host(), scales.copy_to_host()

    def _input(self, x: Any) -> Any:
        """x float32 [T,N,C], contiguous on the device; one that is so already is not copied."""
        torch = torch_of(x)
        if torch is not None:
            if x.dtype == torch.float32 and x.dim() == 3 and 0 not in x.shape and x.shape[2] == self.params.input_size:
                return launch.gpu_array(x.detach().contiguous())
            x = x.detach().cpu()
        elif launch.is_gpu_array(x):
            view = launch.gpu_array(x)
            if view.dtype == np.float32 and view.ndim == 3 and 0 not in view.shape and view.is_c_contiguous():
                if view.shape[2] == self.params.input_size:
                    return view
        host = np.ascontiguousarray(check_input(self.params, launch.host_array("x", x)))
        return put(host) if host.size else host

    def _nothing(self, batch: int) -> Run:
        """A run of no steps on the device, for the twin's functions that need a run's sizes."""
        p = self.params
        none = np.zeros((0, batch, p.input_size), np.float32)
        return Run(self.target, none, RunOptions(None, 0.0, False), False, p.input_size, p.hidden_size)

    def _before(self, first: Any, batch: int) -> tuple[Any, Any, Any, Any]:
        """(reals, numbers, weight_reals, int8 codes [N,H]) of the state before the run, on the host.  [SPEC D]"""
        scales = self.weight_reals.copy()
        if first is None:
            row, number_row, code = self.rest
            return row, number_row, scales, np.full((batch, self.params.hidden_size), code, np.int8)
        get = self.target.get
        row, number_row, given, codes = dynamic_run._start(self.params, self._nothing(batch), first)
        scales[d.SCALE_B] = get(given)[d.SCALE_B]
        return get(row), get(number_row), scales, get(codes)[0].astype(np.int8)

    def _start_program(self, program: str, rows: int, queue: Any, *given: Any) -> None:
        """Start one of the twin's programs on so many rows, on the caller's stream."""
        import warnings

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*under-utilization")
            launch.namespace("gpu")[program][rows, launch.GPU_LANES, queue](0, rows, *given)

    def _kept(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array that is kept for the next run of the same size."""
        found = self._space.get(name)
        if found is None or tuple(found.shape) != shape:
            found = self._space[name] = empty(None, shape, dtype)
        return found

    def _result(
        self, h: Any, reals: np.ndarray, numbers: np.ndarray, scales: np.ndarray, first: Any, reverse: bool
    ) -> DynamicRun:
        """The record of a run of at least one step.  [SPEC D-3, S-1]"""
        steps = len(reals) - 1
        order = np.r_[0, np.arange(steps, 0, -1)] if reverse else np.arange(steps + 1)
        carried, zero_points = reals[order, d.SCALE_H], numbers[order, cell.ZP_H].astype(np.int32)
        done = first.steps if isinstance(first, DynamicState) else 0
        last, end = reals[-1], h[1 if reverse else steps]
        codes = end.cpu().numpy() if hasattr(end, "cpu") else launch.gpu_array(end).copy_to_host()
        state = DynamicState(
            codes, float(last[d.SCALE_H]), int(numbers[-1, cell.ZP_H]),
            h_min=float(last[d.H_MIN]), h_max=float(last[d.H_MAX]), steps=done + steps,
            x_min=float(last[d.X_MIN]), x_max=float(last[d.X_MAX]), s_b=float(scales[d.SCALE_B]),
        )  # fmt: skip
        return DynamicRun(h, carried, zero_points, state)


def _moved_to(torch: Any, found: DynamicRun, out: Any) -> DynamicRun:
    """A run whose codes are a torch tensor where the caller uses torch, or in the caller's array."""
    h = found.h
    if torch is not None:
        h = torch.from_numpy(h.copy_to_host()).cuda()
    if out is not None:
        h = fill(out, h)
    return DynamicRun(h, found.scales, found.zero_points, found.state)


def arguments(values: list[Any], kinds: list[Any]) -> driver.Arguments:
    """Arguments of a launch of which some are real numbers."""
    made = driver.Arguments([0 if kind is REAL else value for value, kind in zip(values, kinds, strict=True)], kinds)
    for kept, value, kind in zip(made.cells, values, kinds, strict=True):
        if kind is REAL:
            kept.value = float(value)
    return made
