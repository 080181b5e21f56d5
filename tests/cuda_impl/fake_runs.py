"""Runs on the three GPUs of fake_driver.c: python -m tests.cuda_impl.fake_runs copies | networks."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numba import cuda

from cuda_impl.fast.gpu_arrays import codes_on_device, put
from cuda_impl.fast.gpu_device import Machine, at_home, device_count, device_of, on_device
from cuda_impl.fast.gpu_driver import device_number
from cuda_impl.fast.gpu_spread import DeviceTransport
from cuda_impl.fast.host import prepare_host
from cuda_impl.fast.network import prepare
from cuda_impl.fast.spread import Place, SpreadNetwork
from golden.sequence import forward
from golden.spec.errors import ParameterError
from tests.verification.small import R, W, mshift_set

INT8 = np.dtype(np.int8)


class HostOnDevice:
    """The host's network between an upload and a download."""

    def __init__(self, params: Any) -> None:
        self.params, self.network, self.device = params, prepare_host(params), device_number()

    def forward(self, x: Any, h0: Any = None, **options: Any) -> Any:
        assert device_number() == self.device
        batch = x.shape[1]
        if x.shape[0]:
            x = codes_on_device("x", x, (-1, -1, 2), self.params.fmt_x, INT8)
            assert device_of(x) == self.device
            x = x.copy_to_host()
        if h0 is not None:
            h0 = codes_on_device("h0", h0, (batch, 2), self.params.fmt_h, INT8)
            assert device_of(h0) == self.device
            h0 = h0.copy_to_host()
        return put(self.network.forward(x, h0, **options))


def on(number: int | None, array: np.ndarray) -> Any:
    """A copy on a device, or the array itself for None."""
    if number is None:
        return array
    with on_device(number):
        return cuda.to_device(array)


def read(array: Any) -> np.ndarray:
    """The array on the host."""
    with on_device(device_of(array) or 0):
        return array.copy_to_host()


def copies() -> None:
    """Every place of x, h0 and out, against golden."""
    with on_device(2):
        with on_device(1):
            assert device_number() == 1
        assert device_number() == 2  # entering one for the first time leaves the other where it was
    params, machine, places = mshift_set(), Machine(), []
    for number in range(device_count()):
        with on_device(number):
            places.append(Place(number, f"GPU {number}", at_home(HostOnDevice(params), number)))
    network = SpreadNetwork(params, tuple(places), lambda x: DeviceTransport(machine, x, 0), False)
    rng, homes, runs = np.random.default_rng(0), (None, 0, 1, 2), 0
    for steps, batch in ((5, 7), (3, 2), (1, 9), (0, 4), (4, 3)):
        x, h0 = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((steps, batch, 2), (batch, 2)))
        mask = rng.integers(0, 2, (steps, batch, 2))
        wanted, masked = forward(params, x, h0).h, forward(params, x, h0, mask=mask, training=True, reverse=True).h
        for home in homes if steps else (None,):
            for state in homes:
                found = network.forward(on(home, x), on(state, h0))
                assert device_of(found) == (home or 0) and np.array_equal(read(found), wanted)
                out = on(((home or 0) + 1) % 3, np.zeros(wanted.shape, np.int8))
                options = {"mask": mask, "training": True, "reverse": True, "out": out}
                assert network.forward(on(home, x), on(state, h0), **options) is out
                assert np.array_equal(read(out), masked) and device_number() == 0
                runs += 2
        with on_device(1):
            turned = cuda.to_device(np.repeat(x, 2, axis=2))[:, :, ::2] if steps else on(1, x)
        assert np.array_equal(read(network.forward(turned, h0)), wanted)
    try:
        places[1].network.forward(on(0, x))
    except ParameterError as error:
        print(error)
    print(f"{runs} runs on {device_count()} devices")


def networks() -> None:
    """The networks of real GPUs, whose kernels do nothing here: what is launched where, and where the states are."""
    wide = mshift_set(W=np.tile(W[:, :1], (1, 3 * 1040)), R=np.tile(R[:1, :1], (1040, 3 * 1040)), bx=[0] * 3120, br=[0] * 3120)
    for params in (mshift_set(), wide):
        network = prepare(params, "gpus")
        print(type(network.places[0].network).__name__, [place.network.device for place in network.places])
        for home in (None, 2):
            h = network.forward(on(home, np.zeros((3, 7, 2), np.int8)), zoneout=0.5)
            print(h.shape, "on", device_of(h), flush=True)
        network.check()
    with on_device(1):
        network = prepare(mshift_set(), "gpu")
    h = network.forward(np.zeros((3, 7, 2), np.int8))
    print("alone on", device_of(h), "with", device_number(), "current")


if __name__ == "__main__":
    {"copies": copies, "networks": networks}[sys.argv[1]]()
