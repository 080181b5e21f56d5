"""Devices of host memory that work only when somebody waits: what a spread run must not get wrong is wrong here too."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from cuda_impl.fast.host import codes_of, prepare_host
from cuda_impl.fast.network import DynamicRun, narrowest_dtype


class Lying:
    """An array on a device of the machine below.  Its bytes are read by what runs there, and by who has waited."""

    def __init__(self, data: np.ndarray, device: int) -> None:
        self.data, self.device = data, device

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    def is_c_contiguous(self) -> bool:
        return bool(self.data.flags.c_contiguous)

    def copy_to_host(self) -> np.ndarray:
        return self.data.copy()

    def reshape(self, shape: tuple[int, ...]) -> Lying:
        found = Lying(self.data.reshape(shape), self.device)
        found.whole = self  # type: ignore[attr-defined]
        return found


class SlowMachine:
    """Work is queued on the current device and done when that device is waited for.

    said  ("start" or "end", device) of every network's run, in order
    """

    def __init__(self) -> None:
        self.current = [0]
        self.queues: dict[int, list[Callable[[], None]]] = {}
        self.said: list[tuple[str, int]] = []

    @contextmanager
    def on(self, number: int):
        self.current.append(number)
        try:
            yield
        finally:
            assert self.current.pop() == number

    def device_of(self, array: Any) -> int | None:
        return array.device if isinstance(array, Lying) else None

    def view(self, array: Any) -> Any:
        assert array.device == self.current[-1]
        return array

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Lying:
        return Lying(np.full(shape, 77, dtype), self.current[-1])

    def wait(self) -> None:
        for work in self.queues.pop(self.current[-1], []):
            work()

    def queue(self, work: Callable[..., None], *arrays: Any) -> None:
        """Queue work on arrays that whoever queues it has to keep until it is done."""
        kept: list[Any] = [weakref.ref(a) if isinstance(a, Lying) else a for a in arrays]

        def do() -> None:
            found = [a() if isinstance(a, weakref.ref) else a for a in kept]
            gone = [k for k, a in zip(kept, found) if isinstance(k, weakref.ref) and a is None]
            assert not gone, "an array was let go while something worked on it"
            work(*found)

        self.queues.setdefault(self.current[-1], []).append(do)

    def take_rows(self, to: Lying, source: Lying, first: int) -> None:
        assert to.device == source.device == self.current[-1] and to.is_c_contiguous() and source.is_c_contiguous()

        def take(to: Lying, source: Lying) -> None:
            to.data[:] = source.data[:, first : first + to.shape[1]]

        self.queue(take, to, source)

    def put_rows(self, to: Lying, source: Lying, first: int) -> None:
        assert to.device == source.device == self.current[-1] and to.is_c_contiguous() and source.is_c_contiguous()

        def put(to: Lying, source: Lying) -> None:
            to.data[:, first : first + source.shape[1]] = source.data

        self.queue(put, to, source)

    def copy_across(self, to: Lying, source: Lying, device: int) -> None:
        assert to.device == self.current[-1] and source.device == device != to.device and to.shape == source.shape
        assert device not in self.queues, "the source is not ready"

        def copy(to: Lying, source: Lying) -> None:
            to.data[:] = source.data

        self.queue(copy, to, source)


class SlowNetwork:
    """The host's network on a device of a SlowMachine: forward returns at once, and the states come when it is waited for."""

    def __init__(self, params: Any, machine: SlowMachine, number: int) -> None:
        self.params, self.machine, self.number, self.network = params, machine, number, prepare_host(params)

    def forward(self, x: Any, h0: Any = None, *, out: Any = None, **options: Any) -> Any:
        m, here = self.machine, self.number
        assert m.current[-1] == here, "the device of the network is not the current one"
        assert all(a.device == here for a in (x, h0, out) if isinstance(a, Lying)), "an array lies elsewhere"
        if isinstance(x, np.ndarray) and x.dtype.kind in "iu":
            codes_of(self.params, x)  # refused before anything is queued
        m.said.append(("start", here))
        if self.params.datapath == "mshift-dynamic":  # waits, as on a GPU
            m.wait()
            found = self.network.forward(*(a.data if isinstance(a, Lying) else a for a in (x, h0)), **options)
            m.said.append(("end", here))
            return DynamicRun(self._placed(found.h, out), found.scales, found.zero_points, found.state)
        h = self._placed(None, out, (x.shape[0] + 1, x.shape[1], self.params.hidden_size))

        def run(x: Any, h0: Any, h: Lying) -> None:
            states = self.network.forward(*(a.data if isinstance(a, Lying) else a for a in (x, h0)), **options)
            assert h.dtype == states.dtype
            h.data[:] = states
            m.said.append(("end", here))

        m.queue(run, x, h0, h)
        return h

    def _placed(self, states: Any, out: Any, shape: Any = None) -> Lying:
        whole = out if out is not None else self.machine.empty(shape or states.shape, narrowest_dtype(self.params.fmt_h))
        if states is not None:
            whole.data[:] = states
        return whole
