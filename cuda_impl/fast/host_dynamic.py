"""Moving ranges on the host: a set of float weights, quantized once, and its runs.  [SPEC D]"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl import cell, dynamic_run, launch
from cuda_impl import dynamic as d
from cuda_impl.fast import pack, pack_mshift
from cuda_impl.fast.host import Split, form_of, operand_type, output, put_codes, share, unsigned
from cuda_impl.fast.host_cell_mshift import AT_ZONEOUT, MSHIFTS
from cuda_impl.fast.host_programs import Cell, Product, dynamic_programs, permute_on
from cuda_impl.fast.host_state import BYTE, WIDE_ADDRESS
from cuda_impl.fast.host_sync import COUNTERS
from cuda_impl.fast.host_threads import run_shared
from cuda_impl.fast.network import DynamicRun
from cuda_impl.hidden import zoneout_factor
from cuda_impl.runs import Run
from golden.spec.formats import INT8
from golden.spec.params import MShiftDynamicParams, check_input
from golden.spec.trace import DynamicState, RunOptions, check_options

BASE = INT8.qmin


@dataclass(frozen=True, eq=False)
class HostDynamicNetwork:
    """A set with moving ranges on the host; forward may be called from several threads.

    W, R         packed codes; weight_reals float32 [3] holds their scales
    x_product, h_product  how x and h are multiplied; the zero point of x goes into the constants of a step
    biases       float32 [2 * blocks, 48], bx then br
    rest         (reals, numbers, code) of a missing h0
    """

    params: MShiftDynamicParams
    W: pack.Packed
    R: pack.Packed
    weight_reals: np.ndarray
    x_product: Product
    h_product: Product
    cell: Cell
    numbers: np.ndarray
    tables: np.ndarray
    biases: np.ndarray
    rest: tuple[np.ndarray, np.ndarray, int]

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
        threads: int | None = None,
    ) -> DynamicRun:
        """h codes int8 [T+1,N,H], the scale and zero point that each carries, and the state to go on from.  [SPEC D, S]

        x, h0, mask, zoneout, training, reverse  as in cuda_impl.sequence.forward
        out, threads  as for a static set
        Raises   ParameterError for a bad argument, RangeError naming tensor and step  [SPEC E-5, M-2]
        """
        p = self.params
        reals_in = np.ascontiguousarray(check_input(p, launch.host_array("x", x)))
        steps, batch, _ = reals_in.shape
        options = check_options(launch.host_array("mask", mask), zoneout, training, (steps, batch, p.hidden_size))
        first = dynamic_run.checked_state(p, h0 if isinstance(h0, DynamicState) else launch.host_array("h0", h0), batch)
        continued = isinstance(first, DynamicState) and first.steps > 0
        h = output(out, (steps + 1, batch, p.hidden_size), np.dtype(np.int8))
        reals, numbers, weight_reals = self._start(reals_in, options, first, h, steps)
        if steps > 0:
            cell_numbers = self.numbers.copy()
            cell_numbers[AT_ZONEOUT] = int(zoneout_factor(options.zoneout)) if options.blend else -1
            masks = np.zeros((0, 0, 0), np.uint8) if options.mask is None else options.mask.astype(np.uint8)
            biases = self._before(reals_in, reverse, continued, reals, numbers, weight_reals)
            found = (reals, numbers, weight_reals, biases)
            self._run(reals_in, h, masks, cell_numbers, int(reverse), int(continued), *found, threads)
        if not _all_hold(reals):
            dynamic_run.check_ranges(p, reals, reverse, isinstance(first, DynamicState), continued)
        return _result(h, reals, numbers, weight_reals, first, reverse)

    def _start(self, x: np.ndarray, options: Any, first: Any, h: np.ndarray, steps: int) -> tuple[Any, Any, Any]:
        """(reals, numbers, weight_reals), row 0 being the state before the run; h[0] is filled."""
        p = self.params
        weight_reals = self.weight_reals.copy()
        if first is None:
            row, number_row, code = self.rest
            h[0] = code
        else:
            row, number_row, given, codes = _state_before(p, options, first, x[:0])
            weight_reals[d.SCALE_B], h[0] = given[d.SCALE_B], codes
        reals, numbers = np.zeros((steps + 1, d.REALS), np.float32), np.repeat(number_row, steps + 1, axis=0)
        reals[0] = row[0]
        return reals, numbers, weight_reals

    def _before(
        self, x: np.ndarray, reverse: bool, continued: bool, reals: np.ndarray, numbers: np.ndarray, weight_reals: np.ndarray
    ) -> np.ndarray:
        """What depends on x alone: its ranges and scales, and the codes of bx and br [2, blocks, 48].  [SPEC D-1, Q-4]"""
        p, target, steps = self.params, launch.target("host"), len(x)
        flat = x.reshape(steps, -1)
        found = np.stack([flat.min(axis=1), flat.max(axis=1)], axis=1)
        found[found == 0] = 0  # a zero extreme is +0.0
        zero_points = np.empty(steps, np.int64)
        target.run(
            "x_trajectory", 1, found, int(reverse), int(p.x_symmetric), int(continued),
            reals, numbers, zero_points, weight_reals,
        )  # fmt: skip
        codes = np.empty(self.biases.shape, np.int32)
        target.run("bias_codes", 2 * self.R.blocks, self.biases, weight_reals, codes)
        return codes.astype(np.int64).reshape(2, self.R.blocks, -1)

    def _run(
        self, x: np.ndarray, h: np.ndarray, mask: np.ndarray, cell_numbers: np.ndarray, reverse: int, continued: int,
        reals: np.ndarray, numbers: np.ndarray, weight_reals: np.ndarray, biases: np.ndarray, threads: int | None,
    ) -> None:  # fmt: skip
        p, batch = self.params, x.shape[1]
        kind = operand_type(self.h_product.form)
        state = np.zeros((2, 1, batch, self.R.length), kind)
        put_codes(state[0], unsigned(h)[0], BASE)
        split = share(batch, self.R.blocks, p.input_size, p.hidden_size, len(x), threads)
        rows = split.span * batch
        operand = np.zeros((1, rows, self.W.length), kind)
        products = np.empty(self.W.blocks * rows * self.x_product.tile_bytes, np.uint8)
        padded = np.zeros((batch if len(mask) else 0, self.R.length), np.uint8)
        constants, start = np.zeros((self.R.blocks, 4, 16), np.int64), np.zeros((self.R.blocks, 48), np.int32)
        scales = np.array([p.s_z, p.s_r_gate, p.s_g], np.float32)
        moving = (
            int(p.h_symmetric), p.shift, p.shift_bias, scales, weight_reals, *biases, self.W.sums, self.R.sums,
        )  # fmt: skip
        programs = dynamic_programs(self.h_product, self.cell)
        programs["prepare_step"](
            0, continued, *moving, state, p.hidden_size, reals, numbers, cell_numbers, constants, start
        )  # fmt: skip
        shared = (state, operand, products, padded, constants, start, np.zeros(COUNTERS, np.int64))
        run_shared(
            self._work, split.workers, split, x, unsigned(h), mask, cell_numbers, reverse, reals, numbers, moving, *shared
        )  # fmt: skip

    def _work(
        self, split: Split, x: np.ndarray, h: np.ndarray, mask: np.ndarray, cell_numbers: np.ndarray, reverse: int,
        reals: np.ndarray, numbers: np.ndarray, moving: tuple, state: np.ndarray, operand: np.ndarray, products: np.ndarray,
        padded: np.ndarray, constants: np.ndarray, start: np.ndarray, counters: np.ndarray,
    ) -> None:  # fmt: skip
        """What every worker does: take tickets until the run is done."""
        p, steps, batch = self.params, len(x), x.shape[1]
        multiply = dynamic_programs(self.x_product, self.cell)["dynamic_products"]
        step = dynamic_programs(self.h_product, self.cell)["run_dynamic_steps"]
        none = np.zeros((self.W.blocks, 48), np.int64 if self.x_product.wide else np.int32)
        zeros = np.zeros((self.W.blocks, 48), np.int32)
        parts, Rh = np.empty((8, 48), np.int32), np.empty(batch * self.h_product.tile_bytes, np.uint8)
        phase = 0
        for first in range(0, steps, split.span):
            last = min(steps, first + split.span)
            multiply(
                counters, phase, split.units, split.row_groups, first, last, steps, reverse, int(p.reciprocal),
                self.W.groups, self.W.chunk, self.W.words, zeros, none, x, reals, numbers, operand, parts, products,
            )  # fmt: skip
            step(
                counters, phase + 2, split.units, split.row_groups, first, last, steps, reverse,
                self.R.groups, self.R.chunk, self.R.words, start, constants, cell_numbers, self.tables,
                products, self.x_product.tile_bytes, Rh, parts, state, mask, padded, h, *moving, reals, numbers,
            )  # fmt: skip
            phase += 2 + last - first


def _state_before(p: MShiftDynamicParams, options: Any, first: Any, nothing: np.ndarray) -> tuple[Any, Any, Any, Any]:
    """(reals, numbers, weight_reals, codes) of the state before the run, by the twin.  [SPEC D]"""
    run = Run(launch.target("host"), nothing, options, False, p.input_size, p.hidden_size)
    row, number_row, weight_reals, codes = dynamic_run._start(p, run, first)
    return row, number_row, weight_reals, codes[0]


def _all_hold(reals: np.ndarray) -> bool:
    """Whether binary32 holds every range, width and scale, so that nothing is left to refuse.  [SPEC E-5, M-2]"""
    with np.errstate(over="ignore", invalid="ignore"):
        widths = reals[:, [d.X_MAX, d.H_MAX]] - reals[:, [d.X_MIN, d.H_MIN]]
    products = reals[1:, [d.SCALE_WX, d.SCALE_RH, d.SCALE_RRH]]
    return bool(np.isfinite(reals).all() and np.isfinite(widths).all() and (products > 0).all())


def _result(h: np.ndarray, reals: np.ndarray, numbers: np.ndarray, weight_reals: np.ndarray, first: Any, reverse: bool) -> Any:
    """The record of a run.  [SPEC D-3, S-1]"""
    steps = len(h) - 1
    order = np.r_[0, np.arange(steps, 0, -1)] if reverse else np.arange(steps + 1)
    scales, zero_points = reals[order, d.SCALE_H], numbers[order, cell.ZP_H].astype(np.int32)
    done = first.steps if isinstance(first, DynamicState) else 0
    if steps == 0 and isinstance(first, DynamicState):
        return DynamicRun(h, scales, zero_points, first)
    last, ranges = reals[-1], {"h_min": float(reals[-1, d.H_MIN]), "h_max": float(reals[-1, d.H_MAX])}
    if done + steps > 0:
        ranges |= {"x_min": float(last[d.X_MIN]), "x_max": float(last[d.X_MAX]), "s_b": float(weight_reals[d.SCALE_B])}
    end = h[1] if reverse and steps > 0 else h[-1]
    state = DynamicState(end, float(last[d.SCALE_H]), int(numbers[-1, cell.ZP_H]), steps=done + steps, **ranges)
    return DynamicRun(h, scales, zero_points, state)


def prepare_dynamic(p: MShiftDynamicParams, isa: str) -> HostDynamicNetwork:
    """A network with moving ranges on the host: weights to codes, once.  [SPEC D]"""
    target = launch.target("host")
    weight_reals = np.zeros(d.WEIGHT_REALS, np.float32)
    packed = []
    for which, weights in ((d.SCALE_W, p.W), (d.SCALE_R, p.R)):
        found, parts = np.empty((1, 2), np.float32), np.empty((1, 1, 2), np.float32)
        target.run("find_extremes", 1, weights.reshape(1, -1).copy(), parts, found)
        target.run("weight_scale", 1, found, which, weight_reals)
        codes, narrow = np.empty(weights.shape, np.int32), np.empty(weights.shape, np.int8)
        target.run("weight_codes", len(weights), weights.copy(), which, weight_reals, codes, narrow)
        packed.append(pack.pack_weights(codes, form_of(isa, INT8, INT8)))
    W, R = packed
    form = form_of(isa, INT8, INT8)
    x_product = Product(isa, form, 255 * W.magnitude >= pack.INT32_LIMIT)
    mode = BYTE if p.gate_bits == 8 else WIDE_ADDRESS
    numbers = pack_mshift.fixed_numbers(p)
    for i in range(len(MSHIFTS)):
        numbers[3 * i + 1 : 3 * i + 3] = pack_mshift.half_of(p.shift), p.shift
    cell_kind = Cell("mshift", mode, x_product.wide, permute=permute_on(isa))
    biases = np.concatenate([pack.by_block(p.bx, np.float32), pack.by_block(p.br, np.float32)])
    nothing = np.zeros((0, 1, p.input_size), np.float32)
    row, number_row, _, codes = _state_before(p, RunOptions(None, 0.0, False), None, nothing)
    return HostDynamicNetwork(
        p, W, R, weight_reals, x_product, Product(isa, form, False), cell_kind, numbers, pack_mshift.byte_tables(p),
        biases, (row, number_row, int(codes[0, 0])),
    )  # fmt: skip
