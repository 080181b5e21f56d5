"""The host build: a static parameter set packed for this CPU, and its runs.  [SPEC G-M, G-P, S, Z]"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl import launch
from cuda_impl.fast import host_cell_mshift, host_cell_pot, pack, pack_mshift, pack_pot
from cuda_impl.fast.host_ir import best_isa
from cuda_impl.fast.host_programs import Cell, Product, permute_on, product_program, step_program
from cuda_impl.fast.host_state import BYTE, FULL, WIDE_ADDRESS, Form
from cuda_impl.fast.host_sync import COUNTERS
from cuda_impl.fast.host_threads import run_shared
from cuda_impl.fast.network import narrowest_dtype
from cuda_impl.hidden import zoneout_factor
from golden.spec.bounds import spread
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import MShiftDynamicParams, MShiftParams, Params, PotParams, check_input
from golden.spec.trace import check_options, check_state

SPAN_ROWS, SPAN_STEPS = 128, 8  # input products are made for at least so many rows or steps at a time
MAC_NS, UNIT_NS = 0.005, 0.3  # rough costs on one core, only to decide whether workers are worth it
RUN_WORTH_NS, STEP_WORTH_NS = 200_000.0, 10_000.0
PIECES, LEAST_ROWS = 4, 8  # pieces of a phase for each worker; rows of a piece


@dataclass(frozen=True)
class Split:
    """How a run is shared: units * row_groups tickets a phase; span steps of input products at a time."""

    workers: int
    units: int
    row_groups: int
    span: int


@dataclass(frozen=True, eq=False)
class Side:
    """One product of a network: of x or of h."""

    product: Product
    packed: pack.Packed
    start: np.ndarray
    correction: np.ndarray
    base: int


@dataclass(frozen=True, eq=False)
class HostNetwork:
    """A static parameter set on the host; forward may be called from several threads.

    constants, numbers, tables  as the cell wants them
    """

    params: Params
    x_side: Side
    h_side: Side
    cell: Cell
    constants: np.ndarray
    numbers: np.ndarray
    tables: np.ndarray
    zoneout_at: int

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
    ) -> np.ndarray:
        """h codes [T+1,N,H] in time order, h[0] the initial state, in narrowest_dtype(fmt_h).  [SPEC S]

        x, h0, mask, zoneout, training, reverse  as in cuda_impl.sequence.forward
        out      where to put h: a C-contiguous array of that shape and type
        threads  at most this many; None takes what the machine has and the work is worth
        Raises   ParameterError for a bad argument
        """
        p: Any = self.params
        codes = codes_of(p, x)
        steps, batch, _ = codes.shape
        options = check_options(launch.host_array("mask", mask), zoneout, training, (steps, batch, p.hidden_size))
        first = check_state(p, launch.host_array("h0", h0), batch)
        h = output(out, (steps + 1, batch, p.hidden_size), narrowest_dtype(p.fmt_h))
        zero_point = p.zp_h if p.datapath == "mshift" else p.operators["input.h"].zero_point
        h[0] = min(max(zero_point, p.fmt_h.qmin), p.fmt_h.qmax) if first is None else first
        if steps == 0:
            return h
        numbers = self.numbers
        if options.blend:
            numbers = numbers.copy()
            numbers[self.zoneout_at] = int(zoneout_factor(options.zoneout))
        masks = np.zeros((0, 0, 0), np.uint8) if options.mask is None else options.mask.astype(np.uint8)
        self._run(unsigned(codes), unsigned(h), masks, numbers, int(reverse), threads)
        return h

    def _run(self, x: np.ndarray, h: np.ndarray, mask: np.ndarray, numbers: np.ndarray, reverse: int, threads: Any) -> None:
        steps, batch, inputs = x.shape
        xs, form, hidden = self.x_side, self.h_side.product.form, h.shape[2]
        state = np.zeros((2, form.planes, batch, self.state_length), operand_type(form))
        put_codes(state[0], h[0], self.h_side.base)
        split = share(batch, self.h_side.packed.blocks, inputs, hidden, steps, threads)
        rows = split.span * batch
        operand = np.zeros((xs.product.form.planes, rows, xs.packed.length), operand_type(xs.product.form))
        products = np.empty(xs.packed.blocks * rows * xs.product.tile_bytes, np.uint8)
        padded = np.zeros((batch if len(mask) else 0, self.state_length), np.uint8)
        counters = np.zeros(COUNTERS, np.int64)
        run_shared(
            self._work, split.workers, split, counters, x, h, mask, numbers, reverse, state, operand, products, padded
        )  # fmt: skip

    @property
    def state_length(self) -> int:
        """Codes of a row of the state's operand."""
        return self.h_side.packed.length

    def _work(
        self, split: Split, counters: np.ndarray, x: np.ndarray, h: np.ndarray, mask: np.ndarray, numbers: np.ndarray,
        reverse: int, state: np.ndarray, operand: np.ndarray, products: np.ndarray, padded: np.ndarray,
    ) -> None:  # fmt: skip
        """What every worker does: take tickets until the run is done."""
        xs, hs = self.x_side, self.h_side
        multiply, step = product_program(xs.product), step_program(hs.product, self.cell)
        steps, batch, _ = x.shape
        parts, Rh = np.empty((8, 48), np.int32), np.empty(batch * hs.product.tile_bytes, np.uint8)
        phase = 0
        for first in range(0, steps, split.span):
            last = min(steps, first + split.span)
            multiply(
                counters, phase, split.units, split.row_groups, first, last, steps, reverse,
                xs.base, xs.packed.groups, xs.packed.chunk, xs.packed.words, xs.start, xs.correction,
                x, operand, parts, products,
            )  # fmt: skip
            step(
                counters, phase + 2, split.units, split.row_groups, first, last, steps, reverse,
                hs.base, hs.packed.groups, hs.packed.chunk, hs.packed.words, hs.start, hs.correction,
                self.constants, numbers, self.tables, products, xs.product.tile_bytes, Rh, parts, state, mask, padded, h,
            )  # fmt: skip
            phase += 2 + last - first


def operand_type(form: Form) -> Any:
    return np.uint8 if form.kind == "bytes" else np.int16


def share(batch: int, blocks: int, inputs: int, hidden: int, steps: int, threads: int | None) -> Split:
    """How a run is cut: one piece a phase on one worker, else a few for each."""
    step_ns = batch * hidden * (3 * MAC_NS * (inputs + hidden) + UNIT_NS)
    count = launch.workers() if threads is None else max(1, threads)
    if threads is None and (step_ns * steps < RUN_WORTH_NS or step_ns < STEP_WORTH_NS):
        count = 1
    span = min(steps, max(SPAN_STEPS, SPAN_ROWS // batch))
    if count == 1:
        return Split(1, 1, 1, span)
    units = min(blocks, PIECES * count)
    row_groups = max(1, min(PIECES * count // units, batch // LEAST_ROWS))
    return Split(count, units, row_groups, span)


def codes_of(p: Any, x: Any) -> np.ndarray:
    """x as a contiguous array of the narrowest type, checked.  [SPEC F-3]"""
    array, wanted, fmt = launch.host_array("x", x), narrowest_dtype(p.fmt_x), p.fmt_x
    given = isinstance(array, np.ndarray) and array.ndim == 3 and array.dtype == wanted
    if given and array.shape[1] > 0 and array.shape[2] == p.input_size:
        if fmt.bits in (8, 16) or not array.size or (array.min() >= fmt.qmin and array.max() <= fmt.qmax):
            return np.ascontiguousarray(array)
    return np.ascontiguousarray(check_input(p, array), wanted)


def unsigned(codes: np.ndarray) -> np.ndarray:
    """The same bits as unsigned numbers."""
    return codes.view(np.uint8 if codes.dtype.itemsize == 1 else np.uint16)


def put_codes(state: np.ndarray, codes: np.ndarray, base: int) -> None:
    """state [planes, N, K] = the operand of codes [N, H], given as unsigned numbers."""
    mask = 0xFF if codes.dtype == np.uint8 else 0xFFFF
    offset = (codes.astype(np.int64) - base) & mask
    for plane in range(state.shape[0]):
        state[plane, :, : codes.shape[1]] = (offset >> (8 * plane)) & 255


def output(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """out, checked, or a new array."""
    if out is None:
        return np.empty(shape, dtype)
    fits = isinstance(out, np.ndarray) and out.shape == shape and out.dtype == dtype
    if not fits or not out.flags.c_contiguous or not out.flags.writeable:
        found = f"{out.dtype} of shape {list(out.shape)}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ParameterError("out", found, f"a contiguous, writable {dtype} array of shape {list(shape)}")
    return out


def form_of(isa: str, fmt_w: IntFormat, fmt: IntFormat) -> Form:
    """The form of data of one format against weights of another."""
    kind = "bytes" if isa == "vnni" and fmt_w.bits <= 8 else "pairs"
    return Form(kind, 1 if fmt.bits <= 8 else 2)


def side(isa: str, weights: np.ndarray, fmt_w: IntFormat, fmt: IntFormat, zero_point: int, wide: bool | None = None) -> Side:
    """A product of weights with codes of a format; wide None: only where int32 might not hold the result."""
    form = form_of(isa, fmt_w, fmt)
    packed = pack.pack_weights(weights, form)
    if wide is None:
        wide = packed.magnitude * spread(fmt, zero_point) >= pack.INT32_LIMIT
    product = Product(isa, form, wide)
    start, correction = pack.corrections(packed, zero_point, fmt.qmin, wide)
    return Side(product, packed, start if product.simple else np.zeros_like(start), correction, fmt.qmin)


def prepare_host(params: Params, isa: str | None = None) -> Any:
    """A network on the host.

    isa  of host_ir.ISAS; None takes the best of this CPU
    """
    isa = best_isa() if isa is None else isa
    if isinstance(params, MShiftDynamicParams):
        from cuda_impl.fast.host_dynamic import prepare_dynamic

        return prepare_dynamic(params, isa)
    if isinstance(params, MShiftParams):
        return _prepare_mshift(params, isa)
    return _prepare_pot(params, isa)


def _prepare_mshift(p: MShiftParams, isa: str) -> HostNetwork:
    x_side = side(isa, p.W, p.fmt_x, p.fmt_x, p.zp_x)
    h_side = side(isa, p.R, p.fmt_h, p.fmt_h, p.zp_h, wide=False)
    mode = BYTE if p.gate_bits == 8 else WIDE_ADDRESS
    cell = Cell("mshift", mode, wide_x=x_side.product.wide, permute=permute_on(isa))
    return HostNetwork(
        p, x_side, h_side, cell, pack_mshift.bias_constants(p), pack_mshift.static_numbers(p), pack_mshift.byte_tables(p),
        host_cell_mshift.AT_ZONEOUT,
    )  # fmt: skip


def _prepare_pot(p: PotParams, isa: str) -> HostNetwork:
    ops = p.operators
    W = pack.pack_weights(p.W, form_of(isa, ops["weight.W"].fmt, p.fmt_x))
    R = pack.pack_weights(p.R, form_of(isa, ops["weight.R"].fmt, p.fmt_h))
    wide = pack_pot.pot_reach(p, W, R) >= pack.INT32_LIMIT
    x_side = side(isa, p.W, ops["weight.W"].fmt, p.fmt_x, ops["input.x"].zero_point, wide)
    h_side = side(isa, p.R, ops["weight.R"].fmt, p.fmt_h, ops["input.h"].zero_point, wide)
    mode = BYTE if pack_pot.table_is_small(p) else FULL
    to_even = pack_pot.rounding_of(p) == pack_pot.TIES_EVEN
    cell = Cell("pot", mode, to_even=to_even, permute=permute_on(isa) and mode == BYTE)
    return HostNetwork(
        p, x_side, h_side, cell, pack_pot.pot_constants(p, wide), pack_pot.pot_numbers(p, wide), pack_pot.pot_tables(p),
        host_cell_pot.AT_ZONEOUT,
    )  # fmt: skip


