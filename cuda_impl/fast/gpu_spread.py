"""A batch on all visible GPUs: one network on each, blocks of rows sent there, their states brought back.  [SPEC S-3]

    network = prepare(params, device="gpus")
    h = network.forward(x)                 # as prepare(params, device="gpu") gives it

Tensors of torch go and come in the order of its current streams, of which torch makes every copy between two devices a part,
and forward returns at once. Other arrays are copied explicitly, and forward waits for the states. A set with moving ranges,
whose ranges span all rows, and one that only the twin's programs take stay whole on the first device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cuda_impl import launch
from cuda_impl.fast import gpu_device
from cuda_impl.fast.gpu_arrays import torch_of
from cuda_impl.fast.spread import Place, SpreadNetwork, Transport
from golden.spec.errors import ParameterError
from golden.spec.params import Params


def prepare_spread(params: Params, devices: Sequence[int] | None = None) -> SpreadNetwork:
    """A parameter set on several GPUs.

    devices  numbers of visible GPUs, each once; None takes all
    Raises   ParameterError for no GPU, or for a number that is none
    """
    from cuda_impl.fast.gpu import prepare_gpu

    try:
        launch.target("gpu")
    except ParameterError as error:
        raise ParameterError("device", "'gpus'", error.expected) from None
    numbers = chosen(devices, gpu_device.device_count())
    places: list[Place] = []
    for number in numbers:
        with gpu_device.on_device(number):
            places.append(Place(number, f"GPU {number}", prepare_gpu(params)))
        if waits(places[0].network):
            break
    machine = gpu_device.Machine()

    def transport(x: Any) -> Transport:
        torch = torch_of(x)
        return TorchTransport(torch, x) if torch is not None else DeviceTransport(machine, x, places[0].number)

    return SpreadNetwork(params, tuple(places), transport, gpu_device.device_count() == 1)


def chosen(devices: Sequence[int] | None, count: int) -> list[int]:
    """The numbers of the devices to use, of `count` visible ones."""
    if devices is None:
        return list(range(count))
    found = list(devices)
    plain = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and 0 <= n < count for n in found)
    if not found or not plain or len(set(found)) != len(found):
        raise ParameterError("devices", repr(found), f"numbers of visible GPUs, 0 to {count - 1}, each once")
    return [int(n) for n in found]


def waits(network: Any) -> bool:
    """Whether a network's forward waits for its states, or needs all rows at once, so that spreading it brings nothing."""
    from cuda_impl.fast.gpu_moving_network import MovingNetwork
    from cuda_impl.fast.gpu_twin import TwinNetwork

    return isinstance(network, (MovingNetwork, TwinNetwork))


def host_rows(name: str, array: Any, axis: int, start: int, stop: int) -> np.ndarray:
    """Rows of an array, on the host; a tensor is read in the order of torch's current stream."""
    host = np.asarray(launch.host_array(name, array))
    return host[start:stop] if axis == 0 else host[:, start:stop]


class TorchTransport:
    """torch's tensors: every copy is torch's own, which orders the current streams of both devices around it."""

    def __init__(self, torch: Any, x: Any) -> None:
        self.torch, self.device = torch, x.device
        self.number: int | None = x.device.index

    def entered(self, place: Place) -> Any:
        return gpu_device.on_device(place.number, self.torch)

    def there(self, place: Place) -> Any:
        """torch's device of a place."""
        return self.torch.device("cuda", place.number)

    def part(self, place: Place, array: Any, axis: int, start: int, stop: int) -> Any:
        if not isinstance(array, self.torch.Tensor):
            return host_rows("h0", array, axis, start, stop)
        rows = self._bits(array.detach()).narrow(axis, start, stop - start)
        return rows.to(self.there(place), non_blocking=True).view(array.dtype)

    def room(self, out: Any, shape: tuple[int, int, int], dtype: np.dtype) -> Any:
        wanted = getattr(self.torch, dtype.name)
        if out is None:
            return self.torch.empty(shape, dtype=wanted, device=self.device)
        if not isinstance(out, self.torch.Tensor) or out.dtype != wanted or tuple(out.shape) != shape:
            found = f"{out.dtype} of shape {list(out.shape)}" if hasattr(out, "shape") else type(out).__name__
            raise ParameterError("out", found, f"a tensor of {wanted} and shape {list(shape)}")
        return out

    def bring(self, place: Place, h: Any, whole: Any, start: int) -> None:
        self._bits(whole).narrow(1, start, h.shape[1]).copy_(self._bits(h), non_blocking=True)

    def finish(self) -> None:
        """Nothing is lent: torch gives memory of a stream back in the order of that stream."""

    def _bits(self, tensor: Any) -> Any:
        """The same bits in a type that every copy of torch takes."""
        unsigned = getattr(self.torch, "uint16", None)
        return tensor.view(self.torch.int16) if unsigned is not None and tensor.dtype == unsigned else tensor


class DeviceTransport:
    """Host arrays, and arrays with __cuda_array_interface__, as Numba's.

    A host array is uploaded by each place's network. One on a GPU is cut there, and the pieces are copied to their device.
    """

    def __init__(self, machine: Any, x: Any, first: int) -> None:
        found = machine.device_of(x)
        self.machine, self.number = machine, first if found is None else found
        self._lent: list[Any] = []  # arrays that a copy under way reads or writes
        self._used: set[int] = {self.number}

    def entered(self, place: Place) -> Any:
        self._used.add(place.number)
        return self.machine.on(place.number)

    def part(self, place: Place, array: Any, axis: int, start: int, stop: int) -> Any:
        device = self.machine.device_of(array)
        if device is None or torch_of(array) is not None:
            return host_rows("x" if axis else "h0", array, axis, start, stop)
        with self.machine.on(device):
            self._used.add(device)
            self.machine.wait()  # whoever fills it, in whatever stream
            view = self.machine.view(array)
            if 0 in view.shape or not view.is_c_contiguous():
                host = view.copy_to_host()
                return host[start:stop] if axis == 0 else host[:, start:stop]
            lines = view if axis == 1 else view.reshape((1, *view.shape))
            rows = self.machine.empty((lines.shape[0], stop - start, lines.shape[2]), view.dtype)
            self.machine.take_rows(rows, lines, start)
            self.machine.wait()
            self._lent += [view, rows]
        if device != place.number:
            rows = self._across(rows, device)
        return rows if axis == 1 else rows.reshape(rows.shape[1:])

    def room(self, out: Any, shape: tuple[int, int, int], dtype: np.dtype) -> Any:
        if out is None:
            with self.machine.on(self.number):
                return self.machine.empty(shape, dtype)
        device = self.machine.device_of(out)
        if device is None:
            raise ParameterError("out", f"a {type(out).__name__} on the host", "an array on a GPU")
        with self.machine.on(device):
            self.machine.wait()
            view = self.machine.view(out)
        if view.dtype != dtype or tuple(view.shape) != shape or not view.is_c_contiguous():
            wanted = f"contiguous {dtype} codes of shape {list(shape)}"
            raise ParameterError("out", f"an array of {view.dtype} and shape {list(view.shape)}", wanted)
        return out

    def bring(self, place: Place, h: Any, whole: Any, start: int) -> None:
        self.machine.wait()
        device = self.machine.device_of(whole)
        with self.machine.on(device):
            self._used.add(device)
            rows = h if device == place.number else self._across(h, place.number)
            self.machine.put_rows(self.machine.view(whole), rows, start)
            self._lent += [h, rows]

    def finish(self) -> None:
        for number in sorted(self._used):
            with self.machine.on(number):
                self.machine.wait()
        self._lent.clear()

    def _across(self, array: Any, device: int) -> Any:
        """A copy on the current device of an array that is ready on another one."""
        copy = self.machine.empty(array.shape, array.dtype)
        self.machine.copy_across(copy, array, device)
        self._lent.append(copy)
        return copy
