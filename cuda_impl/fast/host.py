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
from cuda_impl.fast.host_threads import claim_meeting, release_meeting, run_parts
from cuda_impl.fast.network import narrowest_dtype
from cuda_impl.hidden import zoneout_factor
from golden.spec.bounds import spread
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import MShiftDynamicParams, MShiftParams, Params, PotParams, check_input
from golden.spec.trace import check_options, check_state

SPAN_ROWS = 64  # rows of input products that are made at a time, for each worker
MAC_NS, UNIT_NS = 0.01, 0.4  # rough costs, only to decide whether threads are worth their start
THREAD_WORTH_NS = 150_000.0
STEP_WORTH_NS = 4_000.0
ROWS_TO_SHARE = 8  # rows per worker from which workers share rows, not units


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
        blocks, form = self.h_side.packed.blocks, self.h_side.product.form
        dtype = np.uint8 if form.kind == "bytes" else np.int16
        state = np.zeros((2, form.planes, batch, self.state_length), dtype)
        put_codes(state[0], h[0], self.h_side.base)
        counter = np.zeros(1, np.int64)
        cost = MAC_NS * 3 * h.shape[2] * (inputs + h.shape[2]) * batch + UNIT_NS * batch * h.shape[2]
        parts, meeting = share(batch, blocks, cost, steps, threads)
        common = (x, h, mask, numbers, reverse, state, counter)
        try:
            run_parts(self._part, [(*common, *part) for part in parts])
        finally:
            if meeting:
                release_meeting()

    @property
    def state_length(self) -> int:
        """Codes of a row of the state's operand."""
        return self.h_side.packed.length

    def _part(
        self, x: np.ndarray, h: np.ndarray, mask: np.ndarray, numbers: np.ndarray, reverse: int, state: np.ndarray,
        counter: np.ndarray, row_first: int, row_last: int, block_first: int, block_last: int, parties: int,
    ) -> None:  # fmt: skip
        """One worker's share: some rows, or some units of all rows."""
        xs, hs = self.x_side, self.h_side
        multiply, step = product_program(xs.product), step_program(hs.product, self.cell)
        steps, rows = x.shape[0], row_last - row_first
        span = min(steps, max(1, SPAN_ROWS // rows))
        operand = np.zeros((xs.product.form.planes, span * rows, xs.packed.length), _operand_type(xs.product.form))
        products = np.empty((block_last - block_first) * span * rows * xs.product.tile_bytes, np.uint8)
        parts, Rh = np.empty((8, 48), np.int32), np.empty(rows * hs.product.tile_bytes, np.uint8)
        padded = np.zeros((x.shape[1] if len(mask) else 0, self.state_length), np.uint8)
        for first in range(0, steps, span):
            last = min(steps, first + span)
            multiply(
                first, last, steps, reverse, row_first, row_last, block_first, block_last,
                xs.base, xs.packed.groups, xs.packed.chunk, xs.packed.words, xs.start, xs.correction,
                x, operand, parts, products,
            )  # fmt: skip
            step(
                first, last, steps, reverse, row_first, row_last, block_first, block_last, parties, counter,
                hs.base, hs.packed.groups, hs.packed.chunk, hs.packed.words, hs.start, hs.correction,
                self.constants, numbers, self.tables, products, xs.product.tile_bytes, Rh, parts, state, mask, padded, h,
            )  # fmt: skip


def _operand_type(form: Form) -> Any:
    return np.uint8 if form.kind == "bytes" else np.int16


def share(batch: int, blocks: int, step_ns: float, steps: int, threads: int | None) -> tuple[list[tuple[int, ...]], bool]:
    """([(row_first, row_last, block_first, block_last, parties), ...], whether the workers meet).

    step_ns  what a step costs on one core, roughly
    """
    count = launch.workers() if threads is None else max(1, threads)
    if threads is None and step_ns * steps < THREAD_WORTH_NS:
        count = 1
    by_rows = min(count, batch)
    by_blocks = min(count, blocks, launch.workers())
    if by_blocks > 1 and batch < ROWS_TO_SHARE * count and step_ns > STEP_WORTH_NS and claim_meeting():
        edges = [blocks * i // by_blocks for i in range(by_blocks + 1)]
        return [(0, batch, a, b, by_blocks) for a, b in zip(edges, edges[1:])], True
    edges = [batch * i // by_rows for i in range(by_rows + 1)]
    return [(a, b, 0, blocks, 1) for a, b in zip(edges, edges[1:])], False


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


