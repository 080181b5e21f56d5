"""A batch spread over places that stand for devices: golden's states, whatever the cut, the order and the arrays."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuda_impl.fast import gpu_device
from cuda_impl.fast.gpu_spread import DeviceTransport, TorchTransport, chosen
from cuda_impl.fast.host import prepare_host
from cuda_impl.fast.network import DynamicRun, narrowest_dtype, prepare
from cuda_impl.fast.spread import Place, SpreadNetwork, cuts
from golden.sequence import forward
from golden.spec.errors import ParameterError, QgruError, RangeError
from golden.spec.params import MShiftDynamicParams
from tests.cuda_impl.spread_places import Lying, SlowMachine, SlowNetwork
from tests.golden.sweep import examples
from tests.verification.small import dynamic_set, mshift_set, pot_set
from verification.strategies import problems


def slow_spread(params, count: int) -> tuple[SpreadNetwork, SlowMachine]:
    """A spread over `count` devices of a SlowMachine; moving ranges stay on the first."""
    machine = SlowMachine()
    numbers = range(1 if isinstance(params, MShiftDynamicParams) else count)
    places = tuple(Place(n, f"GPU {n}", SlowNetwork(params, machine, n)) for n in numbers)
    return SpreadNetwork(params, places, lambda x: DeviceTransport(machine, x, 0), False), machine


def codes(shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize(("batch", "places"), [(1, 1), (1, 4), (3, 4), (4, 4), (5, 4), (7, 3), (64, 8), (1000, 7)])
def test_blocks_are_all_rows_once_and_even(batch, places):
    found = cuts(batch, places)
    assert [row for start, stop in found for row in range(start, stop)] == list(range(batch))
    lengths = [stop - start for start, stop in found]
    assert len(lengths) == min(batch, places) and max(lengths) - min(lengths) <= 1 and min(lengths) >= 1


def test_blocks_of_ten_rows_on_four_places():
    assert cuts(10, 4) == [(0, 2), (2, 5), (5, 7), (7, 10)]


@pytest.mark.parametrize(("datapath", "count"), [("mshift", 40), ("pot", 5), ("mshift-dynamic", 8)])
def test_drawn_problems(datapath, count):
    @settings(max_examples=examples(count))
    @given(problems(datapath, max_batch=9), st.integers(1, 5), st.sampled_from([None, 0, 1, 6]), st.booleans())
    def same(problem, places, home, given_out):
        network, machine = slow_spread(problem.params, places)
        at = 0 if home is None else home
        wanted = problem.run(forward)
        out = Lying(np.zeros(wanted.h.shape, narrowest_dtype(problem.params.fmt_h)), at) if given_out else None
        x = problem.x.astype(narrowest_dtype(problem.params.fmt_x)) if datapath != "mshift-dynamic" else problem.x
        there = x if home is None else Lying(x, home)
        h0 = problem.h0
        if home is not None and isinstance(h0, np.ndarray):
            h0 = Lying(np.ascontiguousarray(h0), home)
        found = network.forward(
            there, h0, mask=problem.mask, zoneout=problem.zoneout, training=problem.training, reverse=problem.reverse, out=out
        )
        h = found.h if isinstance(found, DynamicRun) else found
        single = len(network.places) == 1 or problem.x.shape[1] == 1
        if single:  # one device alone does not wait, and whoever reads its states does
            with machine.on(h.device):
                machine.wait()
        assert h.device == at and (out is None or h is out)
        assert h.dtype == narrowest_dtype(problem.params.fmt_h)
        assert not machine.queues and machine.current == [0]
        assert np.array_equal(h.data, wanted.h), problem.to_code()
        if datapath == "mshift-dynamic":
            assert found.scales[1:].tobytes() == wanted["s_h"].tobytes()
            assert np.array_equal(found.state.h, wanted.state.h)
        assert {n for _, n in machine.said} <= set(range(places))

    same()


@pytest.mark.parametrize("make", [mshift_set, pot_set])
@pytest.mark.parametrize("home", [None, 0, 2, 9])
def test_every_device_is_started_before_one_is_waited_for(make, home):
    network, machine = slow_spread(make(), 4)
    x = codes((5, 7, 2))
    found = network.forward(x if home is None else Lying(x, home))
    assert np.array_equal(found.data, forward(make(), x).h)
    assert [what for what, _ in machine.said] == ["start"] * 4 + ["end"] * 4
    assert {n for what, n in machine.said if what == "start"} == {0, 1, 2, 3}
    if home in (0, 2):  # whose stream the others' inputs are in
        assert machine.said[3] == ("start", home)


class SlowStart(SlowNetwork):
    """One whose states are only made, by a copy, when they are asked for; as those of two bytes that become one."""

    def start(self, *arguments, **options):
        wide = super().forward(*arguments, **options)

        def narrow() -> Lying:
            self.machine.wait()
            return Lying(wide.data.copy(), wide.device)

        return narrow

    def forward(self, *arguments, **options):
        raise AssertionError("forward waits, start does not")


def test_a_network_that_waits_for_its_states_is_only_started_first():
    machine = SlowMachine()
    places = tuple(Place(n, f"GPU {n}", SlowStart(mshift_set(), machine, n)) for n in range(3))
    network = SpreadNetwork(mshift_set(), places, lambda x: DeviceTransport(machine, x, 0), False)
    x = codes((5, 7, 2))
    found = network.forward(Lying(x, 1))
    assert [what for what, _ in machine.said] == ["start"] * 3 + ["end"] * 3
    assert found.device == 1 and np.array_equal(found.data, forward(mshift_set(), x).h)


def test_rows_stay_on_the_device_where_they_lie():
    network, machine = slow_spread(mshift_set(), 4)
    x = Lying(codes((3, 1, 2)), 2)
    found = network.forward(x)
    assert machine.said == [("start", 2)] and found.device == 2
    with machine.on(2):
        machine.wait()
    assert np.array_equal(found.data, forward(mshift_set(), x.data).h)


def test_fewer_rows_than_devices_leave_devices_idle():
    network, machine = slow_spread(mshift_set(), 5)
    found = network.forward(codes((3, 2, 2)))
    assert np.array_equal(found.data, forward(mshift_set(), codes((3, 2, 2))).h)
    assert sorted(n for what, n in machine.said if what == "start") == [0, 1]


def test_moving_ranges_stay_whole():
    network, machine = slow_spread(dynamic_set(), 4)
    x = np.random.default_rng(2).standard_normal((9, 4, 2)).astype(np.float32)
    first = network.forward(Lying(x[:4], 3))
    second = network.forward(Lying(x[4:], 3), first.state)
    wanted = forward(dynamic_set(), x)
    assert first.h.device == second.h.device == 3 and [n for _, n in machine.said] == [0] * 4
    assert np.array_equal(np.concatenate([first.h.data, second.h.data[1:]]), wanted.h)
    assert np.array_equal(second.state.h, wanted.state.h)


def test_arrays_in_any_layout_and_type():
    network, _ = slow_spread(mshift_set(), 3)
    x, h0 = codes((4, 5, 2)), codes((5, 2), 1)
    wanted = forward(mshift_set(), x, h0).h
    turned = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    for given_x in (x, x.tolist(), turned, x.astype(np.int64), Lying(turned, 1), Lying(x.astype(np.int32), 1)):
        for given_h0 in (h0, h0.tolist(), Lying(h0, 2)):
            assert np.array_equal(network.forward(given_x, given_h0).data, wanted)


def test_a_refusal_names_the_device_and_its_rows():
    network, machine = slow_spread(mshift_set(), 3)
    x = np.zeros((2, 7, 2), np.int16)
    x[1, 3, 0] = 128
    with pytest.raises(ParameterError, match=r"^GPU 1, rows 2 to 3: x\[1, 1, 0\] is 128, expected a code of int8"):
        network.forward(x)
    assert machine.said == [("start", 2), ("end", 2)] and not machine.queues
    network, _ = slow_spread(dynamic_set(), 3)
    bad = np.zeros((3, 1, 2), np.float32)
    bad[1, 0, 1] = np.inf
    with pytest.raises(RangeError, match="^GPU 0: x at step 1 is inf"):
        network.forward(bad)


def test_what_a_library_raises_has_the_device_in_a_note():
    network, machine = slow_spread(mshift_set(), 3)
    machine.take_rows = None
    with pytest.raises(TypeError) as raised:
        network.forward(Lying(codes((2, 7, 2)), 0))
    assert raised.value.__notes__ == ["GPU 0, rows 0 to 1"]


class Failing:
    """A network that can only be asked whether it failed."""

    def __init__(self, failed: bool) -> None:
        self.failed = failed

    def check(self) -> None:
        if self.failed:
            raise QgruError("a block waited in vain")


def test_check_asks_every_device():
    places = tuple(Place(n, f"GPU {n}", Failing(n == 2)) for n in range(3))
    with pytest.raises(QgruError, match="^GPU 2: a block waited in vain$"):
        SpreadNetwork(mshift_set(), places, None, False).check()
    assert SpreadNetwork(mshift_set(), places[:2], None, False).check() is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"x": np.zeros((1, 4, 3), np.int8)}, r"^x is an array of shape \[1, 4, 3\], expected shape \['\?', '\?', 2\]"),
        ({"x": np.zeros((4, 2), np.int8)}, r"^x is an array of shape \[4, 2\]"),
        ({"x": np.zeros((1, 0, 2), np.int8)}, "^x is .*, expected at least one row"),
        ({"h0": np.zeros((5, 2), np.int8)}, r"^h0 is an array of shape \[5, 2\], expected shape \[4, 2\]"),
        ({"mask": np.ones((1, 5, 2), int), "training": True}, "^mask is an array of shape"),
        ({"zoneout": 2.0}, "^zoneout is 2.0"),
        ({"out": Lying(np.zeros((2, 5, 2), np.int8), 0)}, r"^out is an array of int8 and shape \[2, 5, 2\]"),
        ({"out": Lying(np.zeros((2, 4, 2), np.int16), 0)}, "^out is an array of int16"),
        ({"out": Lying(np.zeros((2, 4, 4), np.int8)[:, :, ::2], 0)}, "^out is an array of .* expected contiguous int8 codes"),
        ({"out": np.zeros((2, 4, 2), np.int8)}, "^out is a ndarray on the host, expected an array on a GPU"),
    ],
)
def test_bad_arguments_are_refused_before_anything_starts(arguments, sentence):
    network, machine = slow_spread(mshift_set(), 2)
    with pytest.raises(ParameterError, match=sentence):
        network.forward(**({"x": np.zeros((1, 4, 2), np.int8)} | arguments))
    assert machine.said == [] and machine.queues == {}


def test_one_device_is_the_network_itself():
    host = prepare_host(mshift_set())
    network = SpreadNetwork(mshift_set(), (Place(0, "GPU 0", host),), None, True)
    x, out = codes((3, 4, 2)), np.empty((4, 4, 2), np.int8)
    assert network.forward(x, out=out, reverse=True) is out
    assert np.array_equal(out, forward(mshift_set(), x, reverse=True).h)


@pytest.mark.parametrize("devices", [[], [0, 0], [4], [-1], [True], ["0"], [1.0]])
def test_devices_that_are_not_there_are_refused(devices):
    with pytest.raises(ParameterError, match="^devices is .*, expected numbers of visible GPUs, 0 to 3, each once"):
        chosen(devices, 4)


def test_devices_in_the_order_they_are_given():
    assert chosen([3, 1], 4) == [3, 1] and chosen(None, 3) == [0, 1, 2] and chosen((np.int64(2),), 3) == [2]


def test_without_a_gpu_it_is_refused(monkeypatch):
    from cuda_impl import launch

    monkeypatch.setattr(launch, "_cuda_installed", lambda: True)
    monkeypatch.setattr(launch, "_simulated", lambda: False)
    monkeypatch.setattr(launch, "gpu_usable", lambda: False)
    with pytest.raises(ParameterError, match="^device is 'gpus', expected a machine with a usable CUDA GPU"):
        prepare(mshift_set(), "gpus")


def test_the_bytes_of_a_copy_of_rows():
    whole, rows = np.zeros((5, 9, 3), np.int16), np.zeros((5, 2, 3), np.int16)
    assert gpu_device.block(rows, whole, 0, 4) == (0, 12, 24, 54, 12, 5)
    assert gpu_device.block(whole, rows, 7, 0) == (42, 54, 0, 12, 12, 5)
    found, flat = rows.view(np.uint8).reshape(-1), np.arange(270, dtype=np.uint8)
    to, to_pitch, source, pitch, width, lines = gpu_device.block(rows, whole, 0, 4)
    for line in range(lines):
        found[to + line * to_pitch :][:width] = flat[source + line * pitch :][:width]
    assert np.array_equal(rows, flat.view(np.int16).reshape(5, 9, 3)[:, 4:6])


class HostTensors:
    """The host's network as one that takes and gives torch's tensors."""

    def __init__(self, params, torch) -> None:
        self.network, self.torch = prepare_host(params), torch

    def forward(self, x, h0=None, *, out=None, **options):
        found = self.network.forward(x.numpy(), None if h0 is None else np.asarray(h0), **options)
        return self.torch.from_numpy(found) if out is None else out.copy_(self.torch.from_numpy(found))


class OnTheHost(TorchTransport):
    """torch's tensors of the CPU in the place of those of GPUs."""

    def entered(self, place):
        return nullcontext()

    def there(self, place):
        return self.torch.device("cpu")


def test_tensors_of_torch():
    torch = pytest.importorskip("torch")

    @settings(max_examples=examples(30))
    @given(problems("mshift", max_batch=9), st.integers(1, 4))
    def same(problem, count):
        p = problem.params
        places = tuple(Place(n, f"GPU {n}", HostTensors(p, torch)) for n in range(count))
        network = SpreadNetwork(p, places, lambda x: OnTheHost(torch, x), False)
        x = torch.from_numpy(problem.x.astype(narrowest_dtype(p.fmt_x)))
        wanted = problem.run(forward)
        h0 = None if problem.h0 is None else torch.from_numpy(np.asarray(problem.h0).astype(narrowest_dtype(p.fmt_h)))
        options = {k: getattr(problem, k) for k in ("mask", "zoneout", "training", "reverse")}
        found = network.forward(x, h0, **options)
        assert found.dtype == getattr(torch, narrowest_dtype(p.fmt_h).name)
        assert np.array_equal(found.numpy(), wanted.h)
        out = torch.zeros((2, *found.shape), dtype=found.dtype)[1]
        assert network.forward(x, problem.h0, out=out, **options) is out
        assert np.array_equal(out.numpy(), wanted.h)
        with pytest.raises(ParameterError, match="^out is torch.* expected a tensor of torch"):
            network.forward(x, h0, out=out[:, :, :0], **options)

    same()


class Recorded:
    """A network that says on which device it is called."""

    def __init__(self, current: list[int]) -> None:
        self.current = current

    def forward(self, x, h0=None, *, out=None):
        return self.current[-1], x, h0, out

    def check(self):
        return self.current[-1]


def test_a_network_runs_on_its_own_device(monkeypatch):
    machine = SlowMachine()
    monkeypatch.setattr(gpu_device, "device_count", lambda: 2)
    monkeypatch.setattr(gpu_device, "device_of", machine.device_of)
    monkeypatch.setattr(gpu_device, "on_device", lambda number, torch=None: machine.on(number))
    network = gpu_device.at_home(Recorded(machine.current), 1)
    here, there = Lying(np.zeros(2), 1), Lying(np.zeros(2), 0)
    assert network.forward(here, None, out=here) == (1, here, None, here) and network.check() == 1
    assert network.forward(x=np.zeros(2).tolist())[0] == 1 and machine.current == [0]
    for name, arguments, named in (("x", (there,), {}), ("h0", (here, there), {}), ("out", (here,), {"out": there})):
        with pytest.raises(ParameterError, match=f"^{name} is an array on GPU 0, expected one on GPU 1, where the network was"):
            network.forward(*arguments, **named)


def test_on_one_gpu_a_network_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(gpu_device, "device_count", lambda: 1)
    network = Recorded([0])
    assert gpu_device.at_home(network, 0) is network and vars(network) == {"current": network.current}
