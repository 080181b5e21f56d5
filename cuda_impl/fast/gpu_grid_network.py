"""Static sets that are too wide for a cluster: more than 1024 hidden units, or codes of more than 8 bits.  [SPEC S]"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from cuda_impl.fast import gpu_driver as driver
from cuda_impl.fast import gpu_grid, gpu_limbs, gpu_pack
from cuda_impl.fast.gpu_arrays import address, codes_on_device, empty, fill, kept_plans, output_codes, put, stream_of, torch_of
from cuda_impl.fast.gpu_grid import UNITS, GridShape
from cuda_impl.fast.gpu_layout import Kind
from cuda_impl.fast.gpu_options import placed_options, stepped
from cuda_impl.fast.gpu_products import Product, X
from cuda_impl.fast.gpu_steps_plan import worth_steps
from cuda_impl.fast.network import narrowest_dtype
from golden.spec.errors import ParameterError
from golden.spec.params import MShiftParams, PotParams

INT, ADDRESS = ctypes.c_int32, ctypes.c_int64
LARGEST = 2048
BLOCKS = 128  # that a device certainly runs at the same time
H0, OUT, MASK, ZONEOUT_K = 6, 8, 14, 15  # among the arguments of the recurrence; both products have X at the same place


@lru_cache(maxsize=128)
def grid_kernel(shape: GridShape, kind: Kind, count: int, device: int) -> driver.Loaded:
    """The compiled recurrence of a shape and a kind on a device."""
    return driver.loaded(
        ("grid", shape, kind, count),
        lambda: (gpu_grid.recurrence(shape, kind), gpu_grid.signature(kind, count)),
        gpu_grid.grid_layout(shape, kind)["total"],
        0,
        gpu_grid.THREADS,
    )


@lru_cache(maxsize=8)
def product_kernel(device: int) -> driver.Loaded:
    """The compiled input product of two-byte codes on a device."""
    return driver.loaded(
        ("limbs",),
        lambda: (gpu_limbs.product_kernel(), gpu_limbs.product_signature()),
        gpu_limbs.SHARED,
        0,
        gpu_limbs.THREADS,
    )


@dataclass(eq=False)
class Plan:
    """What a run of one size needs and the next one of that size uses again: its launches and the arrays that they work on.

    product   whose address of x is put in at every run; None for no step
    captured  whether a CUDA graph of the caller works on them too
    """

    recurrence: driver.Launch
    product: driver.Launch | None
    wx: Any
    state: Any
    counters: Any
    captured: bool = False


class GridNetwork:
    """A static parameter set on the current device; see cuda_impl.fast.network.prepare."""

    def __init__(self, params: MShiftParams | PotParams, limbs: int) -> None:
        hidden = params.hidden_size
        if hidden > LARGEST:
            raise ParameterError("H", hidden, f"at most {LARGEST}")
        self.params, self.limbs, self.device = params, limbs, driver.device_number()
        if isinstance(params, MShiftParams):
            self.constants = gpu_pack.mshift_constants(params)
            kind, self.zero_point = Kind("mshift", self.constants.far_gates), params.zp_h
            self.number: Any = INT
        else:
            width = 64 if limbs == 2 else gpu_pack.pot_width(params) or 64
            self.constants = gpu_pack.pot_constants(params, width, limbs)
            kind = Kind("pot", self.constants.far_gates, width == 64, gpu_pack.is_even(params))
            self.zero_point = params.operators["input.h"].zero_point
            self.number = ADDRESS if width == 64 else INT
        fmt = params.fmt_h
        self.kind = replace(kind, unsigned=unsigned(fmt, limbs), **self.constants.known)
        self.dtype_h = narrowest_dtype(fmt)
        self.code_type = np.dtype(np.int8 if limbs == 1 else np.int16)
        self.blocks, chunks = -(-hidden // UNITS), -(-hidden // 512)
        self.shape = GridShape(self.blocks, chunks, 1, limbs)
        self.failure, self.none = driver.Failure(), put(np.zeros(4, np.int32))
        c, width = self.constants, self.shape.width
        R, W = np.asarray(params.R), np.asarray(params.W)
        if limbs == 1:
            self.R = put(gpu_pack.fragments(R, self.blocks, 1, gpu_grid.SPLITS, chunks))
            self.product = Product(W, width, flip=-2139062144 if gpu_pack.offset(params.fmt_x) else 0)
        else:
            self.R, self.W = put(gpu_pack.state_fragments(R, self.blocks, chunks)), put(gpu_pack.product_fragments(W, width))
        self.wide = put(gpu_pack.padded_units(c.wide, width))
        self.narrow = put(gpu_pack.padded_units(c.narrow, width).astype(np.int32))
        self.tables, self.far = put(c.tables), put(c.far)
        self._steps: Any = None
        self._first: dict[int, Any] = {}
        self._plans: dict[Any, Plan] = {}
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
        """h [T+1,N,H] on the device, in the narrowest type of the state; see cuda_impl.fast.network."""
        return self.start(x, h0, mask=mask, zoneout=zoneout, training=training, reverse=reverse, out=out)()

    def start(
        self,
        x: Any,
        h0: Any = None,
        *,
        mask: Any = None,
        zoneout: float = 0.0,
        training: bool = False,
        reverse: bool = False,
        out: Any = None,
    ) -> Callable[[], Any]:
        """forward, as far as it does not wait; what is called for h, on the device, may wait for the run."""
        self.failure.check()
        torch, p = torch_of(x), self.params
        given = x
        x = codes_on_device("x", x, (-1, -1, p.input_size), p.fmt_x, self._data_type(p.fmt_x))
        steps, batch, hidden = int(given.shape[0]), int(given.shape[1]), p.hidden_size
        if batch < 1:
            raise ParameterError("x", f"an array of shape {list(given.shape)}", "at least one row")
        if self.limbs == 1 and torch is not None and worth_steps(batch, hidden):
            found = stepped(self).forward(x, h0, mask=mask, zoneout=zoneout, training=training, reverse=reverse, out=out)
            return lambda: found
        stream = stream_of(torch, x)
        dtype = self._data_type(p.fmt_h)
        if h0 is None:
            first = self._first_state(batch, dtype)
        else:
            first = codes_on_device("h0", h0, (batch, hidden), p.fmt_h, dtype)
        mode, factor, placed_mask = placed_options(mask, zoneout, training, (steps, batch, hidden), self.none)
        size = steps + 1, batch, hidden
        out = None if out is None else output_codes(torch, out, x, size, self.dtype_h)
        whole = out if out is not None and dtype == self.dtype_h else empty(torch, size, dtype)
        with self._lock:
            plan = self._plan(torch, steps, batch, reverse, mode, stream, address(x))
            cells = plan.recurrence.arguments.cells
            cells[H0].value, cells[OUT].value = address(first), address(whole)
            cells[MASK].value, cells[ZONEOUT_K].value = address(placed_mask), factor
            driver.set_words(address(plan.counters), 0, stream, plan.counters.shape[0])
            if plan.product is not None:
                plan.product.arguments.cells[X].value = address(x)
                plan.product.start()
            plan.recurrence.start()
            self.failure.bring(stream)
        return (lambda: whole) if dtype == self.dtype_h else partial(self._narrowed, torch, whole, out, stream)

    def _narrowed(self, torch: Any, whole: Any, out: Any, stream: int) -> Any:
        """States of two bytes in the type that is given back."""
        if torch is not None:
            narrow = whole.to(getattr(torch, self.dtype_h.name))
        else:
            driver.wait_for(stream)  # they are read on the default one
            narrow = put(whole.copy_to_host().astype(self.dtype_h))
        return narrow if out is None else fill(out, narrow)

    def check(self) -> None:
        """Wait for the device, and raise DeviceError when a wait inside a kernel was given up."""
        from numba import cuda

        cuda.synchronize()
        self.failure.check()

    def _data_type(self, fmt: Any) -> np.dtype:
        """The type in which codes of a format are read: two bytes each where any operand needs them."""
        narrow = narrowest_dtype(fmt)
        return narrow if self.limbs == 1 or narrow.itemsize == 2 else np.dtype(np.int16)

    def _first_state(self, batch: int, dtype: np.dtype) -> Any:
        """The missing initial state.  [SPEC GM-4, GP-9]"""
        if batch not in self._first:
            fmt = self.params.fmt_h
            code = min(max(self.zero_point, fmt.qmin), fmt.qmax)
            self._first[batch] = put(np.full((batch, self.params.hidden_size), code, dtype))
        return self._first[batch]

    def _plan(self, torch: Any, steps: int, batch: int, reverse: bool, mode: int, stream: int, x_at: int) -> Plan:
        key = (steps, batch, reverse, mode, stream, torch is None, x_at % 16)
        plan = self._plans.get(key)
        if plan is None:
            self._plans = kept_plans(self._plans)  # each holds an input product
            plan = self._plans[key] = self._planned(torch, steps, batch, reverse, mode, stream, x_at)
        plan.captured = plan.captured or (torch is not None and torch.cuda.is_current_stream_capturing())
        return plan

    def _planned(self, torch: Any, steps: int, batch: int, reverse: bool, mode: int, stream: int, x_at: int) -> Plan:
        groups = max(1, min(BLOCKS // self.blocks, -(-batch // 8)))
        rows = -(-batch // groups)
        groups = -(-batch // rows)
        tiles = 2 if rows > 8 and (self.limbs == 1 or self.shape.chunks <= 2) else 1
        shape, kind = replace(self.shape, groups=tiles), replace(self.kind, zoneout=mode)
        c, fmt = self.constants, self.params.fmt_h
        kernel = grid_kernel(shape, kind, len(c.numbers), self.device)
        room = kernel.resident_blocks()
        if room < groups * self.blocks:
            raise driver.DeviceError(f"the device runs {room} blocks at the same time, expected {groups * self.blocks}")
        wx = empty(torch, (steps * batch, 3 * shape.width), np.int32 if self.limbs == 1 else np.int64)
        state = empty(torch, (2, self.limbs, batch, shape.length), np.int8)
        counters = empty(torch, (32 * groups,), np.int32)
        driver.set_words(address(state), 0, stream, 2 * self.limbs * batch * shape.length // 4)  # the padding stays 0
        values = [
            steps, batch, self.params.hidden_size, int(reverse), rows, address(wx), 0, address(state), 0,
            address(self.R), address(self.wide), address(self.narrow), address(self.tables), address(self.far),
            0, 0, self.zero_point, fmt.qmin, fmt.qmax, self.failure.address, address(counters), *c.numbers,
        ]  # fmt: skip
        types = [INT] * 5 + [ADDRESS] * 10 + [INT] * 4 + [ADDRESS] * 2 + [self.number] * len(c.numbers)
        launched = kernel.launch(groups * self.blocks, stream, driver.Arguments(values, types))
        product = self._product(steps * batch, x_at, address(wx), stream) if steps > 0 else None
        return Plan(launched, product, wx, state, counters)

    def _product(self, rows: int, x_at: int, wx_at: int, stream: int) -> driver.Launch:
        """The input product of all steps.  [SPEC L-1]"""
        if self.limbs == 1:
            return self.product.launch(rows, x_at, wx_at, stream)
        off = gpu_pack.offset(self.params.fmt_x, 2)
        columns = 3 * self.shape.width
        kernel, across = product_kernel(self.device), gpu_limbs.blocks_across(columns)
        high, half = address(self.W), int(np.prod(self.W.shape[1:]))
        values = [rows, self.params.input_size, columns, across, x_at, high, high + half, wx_at, off, int(off > 128)]
        arguments = driver.Arguments(values, [INT] * 4 + [ADDRESS] * 4 + [INT] * 2)
        return kernel.launch(across * -(-rows // gpu_limbs.ROWS), stream, arguments)


def unsigned(fmt: Any, limbs: int) -> bool:
    """Whether codes of the state need the offset of an unsigned format."""
    return fmt.qmax > (127 if limbs == 1 else 32767)
