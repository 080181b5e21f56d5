"""Static sets of at most 8 bits with one product a step, for large batches and wide networks.  [SPEC S]

A step is a product of the state with R and one element-wise kernel. On torch's tensors a span of steps is a CUDA graph from its
second run on, at addresses that stay; what differs from run to run is passed in device memory by a launch before it. On other
arrays both are started step by step.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast import gpu_pack, gpu_steps
from cuda_impl.fast.gpu_arrays import address, codes_on_device, empty, output_codes, put, stream_of, torch_of
from cuda_impl.fast.gpu_layout import Kind
from cuda_impl.fast.gpu_options import placed_options
from cuda_impl.fast.gpu_pack_real import pot_constants
from cuda_impl.fast.gpu_products import Product, X
from cuda_impl.fast.gpu_steps_plan import SPAN_BYTES, padded_width, row_groups, span_steps, spans
from cuda_impl.fast.network import narrowest_dtype
from golden.spec.errors import ParameterError
from golden.spec.params import MShiftParams, PotParams

INT, ADDRESS = ctypes.c_int32, ctypes.c_int64
ROOMS, GRAPHS = 4, 16  # so many batch sizes and streams have their buffers kept, and so many graphs each


@lru_cache(maxsize=128)
def step_kernel(kind: Kind, each: int, count: int, device: int) -> driver.Loaded:
    """The compiled element-wise kernel of a kind on a device; `each` units of a thread."""
    return driver.loaded(
        ("step", kind, each, count),
        lambda: (gpu_steps.step_kernel(kind, each), gpu_steps.step_signature(kind, count)),
        gpu_steps.SHARED,
        0,
        gpu_steps.THREADS,
    )


@lru_cache(maxsize=8)
def begin_kernel(device: int) -> driver.Loaded:
    """The compiled kernel that begins a span, on a device."""
    return driver.loaded(("begin",), lambda: (gpu_steps.begin_kernel(), gpu_steps.begin_signature()), 0, 0, gpu_steps.THREADS)


@dataclass(eq=False)
class Room:
    """What runs of one batch and span on one stream work in, one after the other.

    wx      int32 [span * N, 3 * width], the input product of a span
    rh      int32 [N, 3 * width], the state's product
    states  two of int8 [N, width], stored codes
    words   int32 [8], see gpu_steps
    begin   the launch before the first span and the one before a later one
    inputs  the launch of an input product by its rows and where x begins, modulo 16
    product the launch of a state's product
    steps   the element-wise launch by how zoneout is done
    graphs  by (steps, reverse, zoneout); None after a first run without one
    """

    wx: Any
    rh: Any
    states: tuple[Any, Any]
    words: Any
    begin: tuple[driver.Launch, driver.Launch]
    inputs: dict[tuple[int, int], driver.Launch] = field(default_factory=dict)
    product: driver.Launch | None = None
    steps: dict[int, driver.Launch] = field(default_factory=dict)
    graphs: dict[tuple[int, bool, int], Any] = field(default_factory=dict)
    mask: Any = None


class StepNetwork:
    """A static parameter set on the current device; see cuda_impl.fast.network.prepare.

    span_bytes  of an input product that is made at a time
    each        units of a thread of the element-wise kernel, 1 or 2; 0 for 2 where its constants leave enough registers
    Raises      ParameterError for a set of more than 8 bits, or one whose intermediates need more than 62
    """

    def __init__(
        self,
        params: MShiftParams | PotParams,
        *,
        span_bytes: int = SPAN_BYTES,
        each: int = 0,
    ) -> None:
        self.params, self.span_bytes = params, span_bytes
        self.device = driver.device_number()
        if isinstance(params, MShiftParams):
            self.constants = gpu_pack.mshift_constants(params)
            kind, self.zero_point = Kind("mshift", self.constants.far_gates), params.zp_h
            self.number: Any = INT
        else:
            codes = {k: params.operators[k].fmt for k in ("weight.W", "weight.R", "input.x", "input.h")}
            for name, fmt in codes.items():
                if fmt.bits > 8:
                    raise ParameterError(name, f"a format of {fmt.bits} bits", "at most 8")
            width = gpu_pack.pot_width(params)
            if width is None:
                raise ParameterError("params", "a set whose intermediates need more than 62 bits", "a narrower one")
            self.constants = pot_constants(params, width)
            kind = Kind("pot", self.constants.far_gates, width == 64, gpu_pack.is_even(params))
            self.zero_point = params.operators["input.h"].zero_point
            self.number = ADDRESS if width == 64 else INT
        fmt = params.fmt_h
        self.kind = replace(kind, unsigned=gpu_pack.offset(fmt) != 0, **self.constants.known)
        self.flip_x = -2139062144 if gpu_pack.offset(params.fmt_x) else 0
        self.dtype_x, self.dtype_h = narrowest_dtype(params.fmt_x), narrowest_dtype(fmt)
        self.first_code = min(max(self.zero_point, fmt.qmin), fmt.qmax)
        self.each = each or gpu_steps.units_each(self.kind)
        c, self.width = self.constants, padded_width(params.hidden_size)
        self.wide = put(gpu_pack.padded_units(c.wide, self.width))
        self.narrow = put(gpu_pack.padded_units(c.narrow, self.width).astype(np.int32))
        self.tables, self.far, self.none = put(c.tables), put(c.far), put(np.zeros(8, np.int32))
        R = np.pad(np.asarray(params.R), ((0, self.width - params.hidden_size), (0, 0)))  # a state has `width` units
        self._W, self._R = Product(params.W, self.width, flip=self.flip_x), Product(R, self.width)
        self._rooms: dict[Any, Room] = {}
        self._side: Any = None  # the stream that graphs are recorded on, one for all: torch hands the same ones out again
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
    ) -> Any:
        """h [T+1,N,H] on the device, in the narrowest type of the state; see cuda_impl.fast.network.

        x        int8 or uint8 [T,N,C] on the GPU is read where it lies, anything else is checked, converted and copied there
        Capture  into a caller's graph after a run with the same options outside of one, without a mask
        Raises   ParameterError for a wrong shape or type, a code outside its format
        """
        driver.bind_thread()
        torch, p, given = torch_of(x), self.params, x
        x = codes_on_device("x", x, (-1, -1, p.input_size), p.fmt_x, self.dtype_x)
        steps, batch, hidden = int(given.shape[0]), int(given.shape[1]), p.hidden_size
        if batch < 1:
            raise ParameterError("x", f"an array of shape {list(given.shape)}", "at least one row")
        stream = stream_of(torch, x)
        if h0 is not None:
            h0 = codes_on_device("h0", h0, (batch, hidden), p.fmt_h, self.dtype_h)
        mode, factor, placed_mask = placed_options(mask, zoneout, training, (steps, batch, hidden), self.none)
        out = output_codes(torch, out, x, (steps + 1, batch, hidden), self.dtype_h)
        out_at, mask_at, plane = address(out), address(placed_mask), batch * hidden
        with self._lock:
            capturing = torch is not None and torch.cuda.is_current_stream_capturing()
            span = span_steps(steps, batch, self.width, self.span_bytes)
            room = self._room(torch, batch, span, stream, capturing)
            room.mask = placed_mask
            pieces = spans(steps, span, reverse)
            for index, (first, count) in enumerate(pieces or [(0, 0)]):
                begin = room.begin[min(index, 1)]
                cells = begin.arguments.cells
                cells[gpu_steps.H0].value, cells[gpu_steps.OUT].value = 0 if h0 is None else address(h0), out_at
                cells[gpu_steps.FIRST_OUT].value = out_at + (first + 1) * plane
                cells[gpu_steps.MASK].value, cells[gpu_steps.ZONEOUT_K].value = mask_at + first * plane, factor
                begin.start()
                if count > 0:
                    self._multiply(room, count * batch, address(x) + first * batch * p.input_size, stream)
                    if capturing or torch is None:
                        self._start_steps(room, batch, count, reverse, mode, stream)
                    else:
                        self._run_steps(torch, room, batch, count, reverse, mode, stream)
        return out

    def check(self) -> None:
        """Wait for the device; no kernel here waits for another block, so that none can give up."""
        from numba import cuda

        driver.bind_thread()
        cuda.synchronize()

    def _multiply(self, room: Room, rows: int, x_at: int, stream: int) -> None:
        """The input product of a span.  [SPEC L-1]"""
        product = room.inputs.get((rows, x_at % 16))
        if product is None:
            if len(room.inputs) >= GRAPHS:
                room.inputs.clear()
            product = room.inputs[rows, x_at % 16] = self._W.launch(rows, x_at, address(room.wx), stream)
        product.arguments.cells[X].value = x_at
        product.start()

    def _room(self, torch: Any, batch: int, span: int, stream: int, capturing: bool) -> Room:
        """The buffers of a run; a capture gets its own, which belong to the caller's graph."""
        if capturing:
            return self._furnished(torch, batch, span, stream)
        room = self._rooms.get((batch, stream))
        if room is None or room.wx.shape[0] < span * batch:
            if room is not None or len(self._rooms) >= ROOMS:
                self.check()  # a graph may be under way
                del self._rooms[(batch, stream) if room is not None else next(iter(self._rooms))]
            room = self._rooms[batch, stream] = self._furnished(torch, batch, span, stream)
        return room

    def _furnished(self, torch: Any, batch: int, span: int, stream: int) -> Room:
        columns, hidden = 3 * self.width, self.params.hidden_size
        wx = empty(torch, (span * batch, columns), np.int32)
        rh = empty(torch, (batch, columns), np.int32)
        both = empty(torch, (2, batch, self.width), np.int8)
        driver.set_words(address(both), 0, stream, 2 * batch * self.width // 4)
        words = empty(torch, (gpu_steps.WORDS,), np.int32)
        off = 128 if self.kind.unsigned else 0
        types = [INT] * 5 + [ADDRESS] * 6 + [INT]
        begins = []
        for first in (1, 0):
            values = [hidden, self.width, off, self.first_code, first, 0, 0, address(both), address(words), 0, 0, 0]
            kernel = begin_kernel(self.device)
            begins.append(kernel.launch(batch if first else 1, stream, driver.Arguments(values, types)))
        return Room(wx, rh, (both[0], both[1]), words, (begins[0], begins[1]))

    def _launch(self, room: Room, batch: int, mode: int, stream: int) -> driver.Launch:
        """The element-wise launch of a room, whose step is put in each time."""
        c, fmt = self.constants, self.params.fmt_h
        kernel = step_kernel(replace(self.kind, zoneout=mode), self.each, len(c.numbers), self.device)
        tiles = self.width // (32 * self.each)
        groups, rows = row_groups(batch, tiles, kernel.resident_blocks(), gpu_steps.WARPS)
        values = [
            batch, self.params.hidden_size, self.width, rows, tiles, 0, 0, 0, address(room.rh), 0, address(room.words),
            address(self.wide), address(self.narrow), address(self.tables), address(self.far),
            self.zero_point, fmt.qmin, fmt.qmax, *c.numbers,
        ]  # fmt: skip
        types = [INT] * 5 + [ADDRESS] * 10 + [INT] * 3 + [self.number] * len(c.numbers)
        return kernel.launch(tiles * groups, stream, driver.Arguments(values, types))

    def _run_steps(self, torch: Any, room: Room, batch: int, count: int, reverse: bool, mode: int, stream: int) -> None:
        """The steps of a span: launched one by one the first time, recorded the second, replayed from then on."""
        key = (count, reverse, mode)
        if key not in room.graphs:
            self._start_steps(room, batch, count, reverse, mode, stream)
            room.graphs[key] = None
            return
        if room.graphs[key] is None:
            if len(room.graphs) > GRAPHS:
                torch.cuda.synchronize()
                room.graphs = {key: None}
            room.graphs[key] = self._recorded(torch, room, batch, count, reverse, mode)
        room.graphs[key].replay()

    def _recorded(self, torch: Any, room: Room, batch: int, count: int, reverse: bool, mode: int) -> Any:
        """A graph of the steps of a span."""
        graph = torch.cuda.CUDAGraph()
        side = self._side = self._side or torch.cuda.Stream()
        with torch.cuda.stream(side):
            collecting = gc.isenabled()
            gc.disable()  # what it lets go of may be freed on the device, which a recording forbids this thread
            try:
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    self._start_steps(room, batch, count, reverse, mode, int(side.cuda_stream), False)
                finally:
                    graph.capture_end()
            finally:
                if collecting:
                    gc.enable()
        return graph

    def _start_steps(
        self, room: Room, batch: int, count: int, reverse: bool, mode: int, stream: int, keep: bool = True
    ) -> None:
        """Start the product and the element-wise kernel of every step of a span, on a stream; keep the launches made for it."""
        step, product = (room.steps.get(mode), room.product) if keep else (None, None)
        step = step or self._launch(room, batch, mode, stream)
        product = product or self._R.launch(batch, address(room.states[0]), address(room.rh), stream)
        if keep:
            room.steps[mode], room.product = step, product
        cells, states = step.arguments.cells, product.arguments.cells
        wx_at, wx_bytes, plane = address(room.wx), batch * 3 * self.width * 4, batch * self.params.hidden_size
        places = [address(state) for state in room.states]
        for index in range(count):
            time, now = count - 1 - index if reverse else index, index & 1
            states[X].value = places[now]
            product.start()
            cells[gpu_steps.OFFSET].value, cells[gpu_steps.WX].value = time * plane, wx_at + time * wx_bytes
            cells[gpu_steps.OLD].value, cells[gpu_steps.NEW].value = places[now], places[1 - now]
            step.start()
