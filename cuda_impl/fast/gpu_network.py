"""Static sets of at most 8 bits and 1024 hidden units on a GPU: one input product, one launch for all steps.  [SPEC S]"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_cluster, gpu_group, gpu_pack
from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast.gpu_arrays import address, codes_on_device, empty, kept_plans, output_codes, put, stream_of, torch_of
from cuda_impl.fast.gpu_cluster import signature
from cuda_impl.fast.gpu_layout import Kind, Shape, shared_layout
from cuda_impl.fast.gpu_options import placed_options, stepped
from cuda_impl.fast.gpu_pack_real import pot_constants
from cuda_impl.fast.gpu_products import OUT as PRODUCTS
from cuda_impl.fast.gpu_products import ROWS, Product, X
from cuda_impl.fast.gpu_shape import piece_steps, shape_for, share_before
from cuda_impl.fast.gpu_steps_plan import worth_steps
from cuda_impl.fast.network import narrowest_dtype
from golden.spec.errors import ParameterError
from golden.spec.params import MShiftParams, PotParams

INT, ADDRESS = ctypes.c_int32, ctypes.c_int64
# positions among the arguments of the recurrence
H0, OUT, MASK, ZONEOUT_K = 5, 6, 12, 13
_LAST_OVERLAP: dict[int, Any] = {}


@lru_cache(maxsize=512)
def recurrence_kernel(shape: Shape, kind: Kind, count: int, device: int) -> driver.Loaded:
    """The compiled recurrence of a shape and a kind on a device."""
    return driver.loaded(
        ("recurrence", shape, kind, count),
        lambda: ((gpu_group if shape.grouped else gpu_cluster).recurrence(shape, kind), signature(kind, count)),
        shared_layout(shape, kind)["total"],
        shape.blocks,
        shape.threads,
    )


@dataclass(eq=False)
class Plan:
    """What a run of one size needs and the next one of that size uses again.

    wx         int32 [T * N, 3 * width], the input product
    recurrence, product  launches whose addresses of arrays are put in at every run; product None for no step
    share      of the input product that is finished before the recurrence starts; the rest runs beside it, piece by piece in
               product's own stream `side`; None: all
    tiles      the tensor map of wx, where the recurrence fetches tiles
    captured   whether a CUDA graph of the caller works on its arrays
    """

    shape: Shape
    wx: Any
    recurrence: driver.Launch
    product: driver.Launch | None
    share: float | None
    ready: Any
    tiles: Any
    side: Any = None
    captured: bool = False


def recorded(torch: Any) -> bool:
    """Whether torch records a CUDA graph on its current stream."""
    return torch is not None and bool(torch.cuda.is_current_stream_capturing())


class ClusterNetwork:
    """A static parameter set on the current device; see cuda_impl.fast.network.prepare."""

    def __init__(self, params: MShiftParams | PotParams) -> None:
        self.params = params
        self.device = driver.device_number()
        if isinstance(params, MShiftParams):
            self.constants = gpu_pack.mshift_constants(params)
            self.kind = Kind("mshift", self.constants.far_gates)
            self.zero_point = params.zp_h
            self.number: Any = INT
        else:
            width = gpu_pack.pot_width(params)
            if width is None:
                raise ParameterError("params", "a set whose intermediates need more than 62 bits", "a narrower one")
            self.constants = pot_constants(params, width)
            self.kind = Kind("pot", self.constants.far_gates, width == 64, gpu_pack.is_even(params))
            self.zero_point = params.operators["input.h"].zero_point
            self.number = ADDRESS if width == 64 else INT
        fmt = params.fmt_h
        self.kind = replace(
            self.kind,
            unsigned=gpu_pack.offset(fmt) != 0,
            packed=params.hidden_size % 16 == 0,
            **self.constants.known,
        )
        self.flip_x = -2139062144 if gpu_pack.offset(params.fmt_x) else 0
        self.dtype_x, self.dtype_h = narrowest_dtype(params.fmt_x), narrowest_dtype(fmt)
        self.failure, self.maps, self.none = driver.Failure(), driver.Maps(), put(np.zeros(4, np.int32))
        self._none_at = address(self.none)
        self._placed: dict[Any, dict[str, Any]] = {}
        self._first: dict[int, tuple[Any, int]] = {}
        self._products: dict[tuple[int, int], Product] = {}
        self._plans: dict[Any, Plan] = {}
        self._sides: dict[int, Any] = {}
        self._steps: Any = None
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
        shape: Shape | None = None,
    ) -> Any:
        """h [T+1,N,H] on the device, in the narrowest type of the state; see cuda_impl.fast.network.

        x      int8 or uint8 [T,N,C] on the device is read where it lies; anything else is checked and copied there
        shape  how the work is cut up; chosen by the sizes when it is not given
        """
        self.failure.check()
        torch = torch_of(x)
        p = self.params
        given = x
        x = codes_on_device("x", x, (-1, -1, p.input_size), p.fmt_x, self.dtype_x)
        steps, batch = int(given.shape[0]), int(given.shape[1])
        hidden = p.hidden_size
        if batch < 1:
            raise ParameterError("x", f"an array of shape {list(given.shape)}", "at least one row")
        if shape is None and torch is not None and worth_steps(batch, hidden):
            return stepped(self).forward(x, h0, mask=mask, zoneout=zoneout, training=training, reverse=reverse, out=out)
        stream = stream_of(torch, x)
        if h0 is not None:
            h0 = codes_on_device("h0", h0, (batch, hidden), p.fmt_h, self.dtype_h)
        mode, factor, mask_on_device = placed_options(mask, zoneout, training, (steps, batch, hidden), self.none)
        out = output_codes(torch, out, x, (steps + 1, batch, hidden), self.dtype_h)
        x_at, out_at = address(x), address(out)
        packed = self.kind.packed and out_at % 16 == 0  # a view of the caller's may begin anywhere
        kind = replace(self.kind, zoneout=mode, packed=packed) if mode or packed != self.kind.packed else self.kind
        # kinds of one network differ in these two alone, and hashing a whole one would cost more than starting a kernel
        key = (shape, mode, steps, batch, reverse, stream, torch is None, x_at % 16, packed)
        with self._lock:
            plan = self._plans.get(key)
            if plan is None:
                self._plans = kept_plans(self._plans)  # each holds an input product
                plan = self._plans[key] = self._planned(torch, shape, kind, steps, batch, x, reverse, stream)
            plan.captured = plan.captured or recorded(torch)
            cells = plan.recurrence.arguments.cells
            cells[H0].value = address(h0) if h0 is not None else self._first_state(batch)
            cells[OUT].value, cells[ZONEOUT_K].value = out_at, factor
            cells[MASK].value = self._none_at if mask_on_device is self.none else address(mask_on_device)
            if steps > 0 and plan.share is not None:
                self._multiply_beside(torch, plan, plan.share, x_at, steps, batch, reverse)
            else:
                if plan.product is not None:
                    plan.product.arguments.cells[X].value = x_at
                    plan.product.start()
                plan.recurrence.start()
            if plan.share is not None:  # only then a block waits for something outside its own cluster
                self.failure.bring(stream)
        return out

    def check(self) -> None:
        """Wait for the device, and raise DeviceError when a wait inside a kernel was given up."""
        from numba import cuda

        cuda.synchronize()
        self.failure.check()

    def _planned(
        self, torch: Any, shape: Shape | None, kind: Kind, steps: int, batch: int, x: Any, reverse: bool, stream: int
    ) -> Plan:
        hidden, inputs = self.params.hidden_size, self.params.input_size
        shape = shape or shape_for(hidden, batch, kind, batch * inputs * 3 * hidden if torch is not None else 0)
        c, placed, fmt = self.constants, self._weights(shape), self.params.fmt_h
        clusters = -(-batch // shape.valid)
        work = steps * batch * inputs * 3 * shape.width
        share = share_before(shape, clusters, steps, work) if torch is not None else 1.0
        beside = share < 0.75
        ready = empty(torch, (4,), np.int32) if beside else None
        wx = empty(torch, (steps * batch, 3 * shape.width), np.int32)
        tiles = None
        if shape.grouped and steps > 0:
            tiles = empty(torch, (16,), np.int64)
            tensor = driver.tensor_map(address(wx), steps * batch, 3 * shape.width, shape.pass_rows, 3 * shape.units)
            self.maps.bring(tensor, address(tiles), stream, recorded(torch))
        values = [
            steps, batch, hidden, int(reverse), address(wx if tiles is None else tiles), 0, 0, address(placed["R"]),
            address(placed["wide"]), address(placed["narrow"]), address(placed["tables"]), address(placed["far"]),
            0, 0, self.zero_point, fmt.qmin, fmt.qmax, self.failure.address,
            address(ready) if beside else 0, piece_steps(steps, batch).bit_length() - 1, *c.numbers,
        ]  # fmt: skip
        types = [INT] * 4 + [ADDRESS] * 9 + [INT] * 4 + [ADDRESS, ADDRESS, INT] + [self.number] * len(c.numbers)
        kernel = recurrence_kernel(shape, kind, len(c.numbers), self.device)
        recurrence = kernel.launch(shape.blocks * clusters, stream, driver.Arguments(values, types))
        side = self._side(torch, stream) if beside else None
        product = None
        if steps > 0:
            rows, where = steps * batch, stream
            if side is not None:
                rows, where = min(piece_steps(steps, batch), steps) * batch, int(side.cuda_stream)
            product = self._product(shape).launch(rows, address(x), address(wx), where)
        return Plan(shape, wx, recurrence, product, share if beside else None, ready, tiles, side)

    def _product(self, shape: Shape) -> Product:
        """What makes a shape's input products."""
        key = shape.width, shape.units if shape.grouped else 0
        if key not in self._products:
            self._products[key] = Product(self.params.W, *key, self.flip_x)
        return self._products[key]

    def _side(self, torch: Any, stream: int) -> Any:
        """The stream for what runs beside a recurrence in this one."""
        if stream not in self._sides:
            self._sides[stream] = torch.cuda.Stream()
        return self._sides[stream]

    def _weights(self, shape: Shape) -> dict[str, Any]:
        """Weights and constants for a shape, on the device."""
        key = (shape.blocks, shape.tiles, shape.splits, shape.chunks, shape.grouped)
        if key not in self._placed:
            c, width = self.constants, shape.width
            self._placed[key] = {
                "R": put(gpu_pack.fragments(np.asarray(self.params.R), *key)),
                "wide": put(gpu_pack.padded_units(c.wide, width)),
                "narrow": put(gpu_pack.padded_units(c.narrow, width).astype(np.int32)),
                "tables": put(c.tables),
                "far": put(c.far),
            }
        return self._placed[key]

    def _multiply_beside(self, torch: Any, plan: Plan, share: float, x_at: int, steps: int, batch: int, reverse: bool) -> None:
        """Start the recurrence, and the input product piece by piece on a stream of its own, in the order it is needed."""
        main, side, product = torch.cuda.current_stream(), plan.side, plan.product
        assert product is not None
        cells = product.arguments.cells
        chunk, wx_at, ready_at = piece_steps(steps, batch), address(plan.wx), address(plan.ready)
        row, wx_row = self.params.input_size, 3 * plan.shape.width * 4
        capturing = torch.cuda.is_current_stream_capturing()
        if not capturing and self.device in _LAST_OVERLAP:
            main.wait_event(_LAST_OVERLAP[self.device])  # two at once could take each other's room
        driver.set_words(ready_at, 0, int(main.cuda_stream))
        side.wait_stream(main)
        begun = share <= 0
        if begun:
            plan.recurrence.start()
        for piece, first in enumerate(range(0, steps, chunk)):
            last = min(first + chunk, steps)
            begin = (steps - last if reverse else first) * batch
            cells[ROWS].value = (last - first) * batch
            cells[X].value, cells[PRODUCTS].value = x_at + begin * row, wx_at + begin * wx_row
            product.start()
            driver.set_words(ready_at, piece + 1, int(side.cuda_stream))
            if not begun and last >= share * steps:
                main.wait_stream(side)
                plan.recurrence.start()
                begun = True
        main.wait_stream(side)
        if not capturing:
            _LAST_OVERLAP[self.device] = main.record_event()

    def _first_state(self, batch: int) -> int:
        """Where the missing initial state lies; made when first needed, which a capture is not.  [SPEC GM-4, GP-9]"""
        found = self._first.get(batch)
        if found is None:
            fmt = self.params.fmt_h
            code = min(max(self.zero_point, fmt.qmin), fmt.qmax)
            placed = put(np.full((batch, self.params.hidden_size), code, self.dtype_h))
            found = self._first[batch] = placed, address(placed)
        return found[1]
