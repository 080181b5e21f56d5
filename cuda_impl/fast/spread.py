"""A batch cut into blocks of rows that run side by side in several places: who gets which rows, and what starts when.

Rows are independent in the static datapaths (S-3), so the states are those of one network, bit for bit. Nothing here knows
CUDA: a place has a network, and a Transport moves arrays to places and back.  [SPEC S]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from cuda_impl import launch
from cuda_impl.fast.network import DynamicRun, Network, narrowest_dtype
from golden.spec.errors import ParameterError, QgruError
from golden.spec.params import Params
from golden.spec.trace import DynamicState, check_options


@dataclass(frozen=True, eq=False)
class Place:
    """Where a network was prepared: its number, its name in sentences, and the network."""

    number: int
    name: str
    network: Network


class Transport(Protocol):
    """How the arrays of one run get to places and back.  number is the place where the caller's arrays lie, or None."""

    number: int | None

    def entered(self, place: Place) -> AbstractContextManager[Any]:
        """The context in which a place's network is called."""
        ...

    def part(self, place: Place, array: Any, axis: int, start: int, stop: int) -> Any:
        """array[start:stop] of x (axis 1) or h0 (axis 0) for a place; does not wait for what a network does."""
        ...

    def room(self, out: Any, shape: tuple[int, int, int], dtype: np.dtype) -> Any:
        """Where the states go: the caller's array, checked, or a new one where the caller's arrays lie."""
        ...

    def bring(self, place: Place, h: Any, whole: Any, start: int) -> None:
        """Put a place's states h [T+1,n,H] into whole [T+1,N,H] from row start on, in the order of what runs there."""
        ...

    def finish(self) -> None:
        """The last call of a run: what was lent to it may be let go."""
        ...


def cuts(batch: int, places: int) -> list[tuple[int, int]]:
    """Contiguous (start, stop) of all rows, none empty, their lengths at most one apart."""
    count = min(batch, places)
    edges = [batch * i // count for i in range(count + 1)]
    return list(zip(edges, edges[1:]))


class SpreadNetwork:
    """The network of cuda_impl.fast.network.Network on several places.

    places     one for each device; a single one runs alone, as if it were not wrapped
    transport  gives the Transport for a run from its x
    """

    def __init__(self, params: Params, places: tuple[Place, ...], transport: Callable[[Any], Transport], alone: bool) -> None:
        """alone: no other place could hold the arrays, so that they need no transport."""
        self.params, self.places, self.transport, self.alone = params, places, transport, alone

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
        """h [T+1,N,H] where x lies, in the narrowest type of the state, or for moving ranges a DynamicRun.

        x, h0, mask, zoneout, training, reverse, out  as in cuda_impl.fast.network; every place is started before any is
                 waited for
        Raises   ParameterError for a bad argument; what one place raises names it and its rows
        """
        options: dict[str, Any] = {"zoneout": zoneout, "training": training, "reverse": reverse}
        if self.alone:
            return self.places[0].network.forward(x, h0, mask=mask, out=out, **options)
        x = x if hasattr(x, "shape") else np.asarray(x)
        steps, batch, _ = self._shape("x", x, (-1, -1, self.params.input_size))
        if batch < 1:
            raise ParameterError("x", f"an array of shape {list(x.shape)}", "at least one row")
        hidden = self.params.hidden_size
        if h0 is not None and not isinstance(h0, DynamicState):
            h0 = h0 if hasattr(h0, "shape") else np.asarray(h0)
            self._shape("h0", h0, (batch, hidden))
        masks = check_options(launch.host_array("mask", mask), zoneout, training, (steps, batch, hidden)).mask
        move = self.transport(x)
        shape, dtype = (steps + 1, batch, hidden), narrowest_dtype(self.params.fmt_h)
        whole = None if out is None else move.room(out, shape, dtype)
        places = sorted(self.places, key=lambda place: place.number != move.number)  # rows stay where they are
        parts = [_Part(place, start, stop, batch) for place, (start, stop) in zip(places, cuts(batch, len(places)))]
        if len(parts) == 1 and parts[0].place.number == move.number and out is None:
            with parts[0].named(), move.entered(parts[0].place):
                return parts[0].place.network.forward(x, h0, mask=masks, **options)
        try:
            for part in parts:
                with part.named(), move.entered(part.place):
                    part.x = move.part(part.place, x, 1, part.start, part.stop)
                    part.h0 = h0 if not hasattr(h0, "shape") else move.part(part.place, h0, 0, part.start, part.stop)
                    part.mask = None if masks is None else masks[:, part.start : part.stop]
            for part in reversed(parts):  # the caller's own place last: its stream still carries the others' inputs
                with part.named(), move.entered(part.place):
                    part.finish = _start(part.place.network, part.x, part.h0, mask=part.mask, **options)
            if whole is None:
                whole = move.room(None, shape, dtype)
            for part in parts:
                with part.named(), move.entered(part.place):
                    found = part.finish()
                    move.bring(part.place, found.h if isinstance(found, DynamicRun) else found, whole, part.start)
        finally:
            move.finish()
        return replace(found, h=whole) if isinstance(found, DynamicRun) else whole

    def check(self) -> None:
        """Wait for every place, and raise DeviceError, naming it, when a wait inside a kernel was given up."""
        for place in self.places:
            check = getattr(place.network, "check", None)  # a network without one has waited already
            if check is not None:
                with _Part(place, 0, 0, 0).named():
                    check()

    def _shape(self, name: str, array: Any, wanted: tuple[int, ...]) -> tuple[int, ...]:
        found = tuple(int(n) for n in array.shape)
        if len(found) != len(wanted) or any(want >= 0 and got != want for got, want in zip(found, wanted)):
            shape = f"shape {[n if n >= 0 else '?' for n in wanted]}"
            raise ParameterError(name, f"an array of shape {list(found)}", shape)
        return found


def _start(network: Any, *arguments: Any, **options: Any) -> Callable[[], Any]:
    """Start a network; what is called for its states, which may wait for them."""
    start = getattr(network, "start", None)
    if start is not None:
        return start(*arguments, **options)
    found = network.forward(*arguments, **options)
    return lambda: found


@dataclass(eq=False)
class _Part:
    """The rows start ... stop - 1 of a batch, at a place, and what is on its way there."""

    place: Place
    start: int
    stop: int
    batch: int
    x: Any = None
    h0: Any = None
    mask: Any = None
    finish: Callable[[], Any] = lambda: None

    @contextmanager
    def named(self) -> Iterator[None]:
        """What is raised in it names the place, and the rows where they are not all."""
        where = self.place.name
        if self.stop - self.start < self.batch:
            where += f", rows {self.start} to {self.stop - 1}"
        try:
            yield
        except QgruError as error:
            error.args = (f"{where}: {error}",)
            raise
        except Exception as error:
            error.add_note(where)
            raise
