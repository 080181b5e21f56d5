"""A batch spread over real GPUs: golden's states, where x lies, from any stream, torch's tensors and Numba's arrays."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from cuda_impl import launch
from cuda_impl.fast.gpu_device import device_count, device_of, on_device
from cuda_impl.fast.gpu_spread import prepare_spread
from cuda_impl.fast.network import DynamicRun, narrowest_dtype, prepare
from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8
from tests.cuda_impl.test_fast_gpu import codes, moving_set, network, on_host, reals, same_moving_run
from verification.strategies import problems


def visible() -> int:
    return device_count() if launch.gpu_usable() else 0


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(visible() < 2, reason=f"{visible()} GPUs are visible, expected two or more"),
]


def numba_array(array: np.ndarray, number: int, stream=0):
    from numba import cuda

    with on_device(number):
        return cuda.to_device(array, stream=stream)


@pytest.mark.parametrize("datapath", ["mshift", "pot", "mshift-dynamic"])
def test_drawn_problems(datapath):
    torch = pytest.importorskip("torch")
    last = visible() - 1

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(problems(datapath, max_batch=2 * visible() + 1))
    def same(problem):
        made, wanted = prepare(problem.params, "gpus"), problem.run(forward)
        dtype = np.float32 if datapath == "mshift-dynamic" else narrowest_dtype(problem.params.fmt_x)
        x = problem.x.astype(dtype)
        for there, home in (
            (x, 0), (torch.from_numpy(x).to(f"cuda:{last}"), last), (torch.from_numpy(x).cuda(), 0),
            (numba_array(x, 1) if x.size else x, 1 if x.size else 0),
        ):  # fmt: skip
            options = {name: getattr(problem, name) for name in ("mask", "zoneout", "training", "reverse")}
            found = made.forward(there, problem.h0, **options)
            h = found.h if isinstance(found, DynamicRun) else found
            made.check()
            assert device_of(h) == home
            assert np.array_equal(on_host(h).reshape(wanted.h.shape), wanted.h), problem.to_code()

    same()


SIZES = [(16, 60, 70, 6), (33, 100, 9, 5), (40, 1024, 30, 3), (40, 1100, 9, 3)]


@pytest.mark.parametrize(("inputs", "hidden", "batch", "steps"), SIZES)
@pytest.mark.parametrize(("datapath", "bits"), [("mshift", 8), ("pot", 8), ("pot", 5), ("pot", 16)])
def test_sizes_and_options(inputs, hidden, batch, steps, datapath, bits):
    torch = pytest.importorskip("torch")
    p = network(inputs, hidden, datapath, bits)
    made = prepare(p, "gpus")
    x, h0 = codes(p.fmt_x, (steps, batch, inputs)), codes(p.fmt_h, (batch, hidden), 1)
    mask = np.random.default_rng(2).integers(0, 2, (steps, batch, hidden))
    for options in ({}, {"reverse": True}, {"zoneout": 0.3}, {"mask": mask, "training": True}):
        wanted = forward(p, x, h0, **options).h
        found = made.forward(torch.from_numpy(x).cuda(), torch.from_numpy(h0).cuda(), **options)
        assert found.dtype == getattr(torch, narrowest_dtype(p.fmt_h).name) and found.device.index == 0
        assert np.array_equal(on_host(found), wanted)
        assert np.array_equal(on_host(made.forward(numba_array(x, 1), numba_array(h0, 0), **options)), wanted)
    made.check()
    assert np.array_equal(on_host(made.forward(x)), forward(p, x).h)


def test_places_of_the_caller():
    torch = pytest.importorskip("torch")
    p = network(48, 96)
    made, x = prepare(p, "gpus"), codes(p.fmt_x, (6, 2 * visible() + 1, 48))
    wanted = forward(p, x).h
    out = torch.empty(wanted.shape, dtype=torch.int8, device="cuda:1")
    assert made.forward(torch.from_numpy(x).cuda(), out=out) is out and np.array_equal(on_host(out), wanted)
    out = numba_array(np.zeros(wanted.shape, np.int8), 1)
    assert made.forward(x, out=out) is out and np.array_equal(on_host(out), wanted)
    strided = torch.zeros((6 + 1, x.shape[1], 2 * 96), dtype=torch.int8, device="cuda")[:, :, ::2]
    assert np.array_equal(on_host(made.forward(torch.from_numpy(x).cuda(), out=strided)), wanted)


def test_devices_that_are_chosen():
    torch = pytest.importorskip("torch")
    p = network(48, 96)
    made, x = prepare_spread(p, [1]), codes(p.fmt_x, (6, 7, 48))
    assert [place.name for place in made.places] == ["GPU 1"]
    for there, home in ((x, 1), (torch.from_numpy(x).cuda(), 0), (torch.from_numpy(x).to("cuda:1"), 1)):
        found = made.forward(there)
        made.check()
        assert device_of(found) == home and np.array_equal(on_host(found), forward(p, x).h)


@pytest.mark.parametrize("home", [0, 1])
def test_non_default_streams_of_torch(home):
    torch = pytest.importorskip("torch")
    p = network(64, 256)
    made, x = prepare(p, "gpus"), torch.from_numpy(codes(p.fmt_x, (40, 32, 64))).to(f"cuda:{home}")
    h0 = torch.from_numpy(codes(p.fmt_h, (32, 256), 1)).to(x.device)
    mask = torch.from_numpy(np.random.default_rng(2).integers(0, 2, (40, 32, 256))).to(x.device)
    wanted = forward(p, x.cpu().numpy(), h0.cpu().numpy()).h
    masked = forward(p, x.cpu().numpy(), h0.cpu().numpy(), mask=mask.cpu().numpy(), training=True).h
    torch.cuda.synchronize(home)
    for _ in range(5):
        with torch.cuda.device(home), torch.cuda.stream(torch.cuda.Stream()):
            late = [torch.zeros_like(t) for t in (x, h0, mask)]
            torch.cuda._sleep(100_000_000)  # what follows is not there yet when forward is called
            for to, source in zip(late, (x, h0, mask)):
                to.copy_(source)
            found = made.forward(late[0], late[1])
            late[0].zero_()  # a caller may write behind a run in the same stream
            again = found.clone()
            late[0].copy_(x)
            other = made.forward(*late[:2], mask=late[2], training=True)
            assert np.array_equal(on_host(again), wanted) and np.array_equal(on_host(other), masked)


def test_streams_of_other_devices():
    torch = pytest.importorskip("torch")
    p = network(64, 256)
    made, x = prepare(p, "gpus"), torch.from_numpy(codes(p.fmt_x, (40, 32, 64))).cuda()
    wanted = made.forward(x).clone()
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream(device=1)), torch.cuda.device(0):
        for _ in range(10):
            assert torch.equal(made.forward(x), wanted)
    assert np.array_equal(on_host(wanted), forward(p, x.cpu().numpy()).h)


def test_a_stream_of_numba():
    from numba import cuda

    p = network(64, 256)
    made, x = prepare(p, "gpus"), codes(p.fmt_x, (40, 32, 64))
    for number in (0, 1):
        with on_device(number):
            stream = cuda.stream()
        there = numba_array(x, number, stream)
        found = made.forward(there)
        assert device_of(found) == number and np.array_equal(on_host(found), forward(p, x).h)


def test_many_threads_and_the_same_bytes_every_time():
    torch = pytest.importorskip("torch")
    p = network(128, 512)
    made, single = prepare(p, "gpus"), prepare(p, "gpu")
    x = torch.from_numpy(codes(p.fmt_x, (64, 65, 128))).cuda()
    wanted, bad = single.forward(x).clone(), []
    torch.cuda.synchronize()

    def run(number):
        with torch.cuda.device(number), torch.cuda.stream(torch.cuda.Stream()):
            mine = x.to(f"cuda:{number}")
            for _ in range(10):
                if not torch.equal(made.forward(mine).cpu(), expected):
                    bad.append(number)

    expected = wanted.cpu()
    threads = [threading.Thread(target=run, args=(i % visible(),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad
    for _ in range(20):
        assert torch.equal(made.forward(x), wanted)
    rows = forward(p, x[:, :2].cpu().numpy()).h
    assert np.array_equal(on_host(wanted)[:, :2], rows)


def test_codes_of_two_bytes_between_devices():
    torch = pytest.importorskip("torch")
    p = network(40, 300, "pot", 16)
    made, x = prepare(p, "gpus"), codes(p.fmt_x, (5, 9, 40))
    wanted = forward(p, x).h
    for there in (x, torch.from_numpy(x).to("cuda:1"), numba_array(x, 1)):
        assert np.array_equal(on_host(made.forward(there)), wanted)


@pytest.mark.parametrize("home", [0, 1])
def test_moving_ranges_stay_on_the_first_device(home):
    torch = pytest.importorskip("torch")
    p = moving_set(33, 100)
    made, x = prepare(p, "gpus"), reals((6, 9, 33))
    assert len(made.places) == 1
    found = made.forward(torch.from_numpy(x).to(f"cuda:{home}"))
    assert found.h.device.index == home
    same_moving_run(found, forward(p, x))
    found = made.forward(numba_array(x, home), reverse=True)
    assert device_of(found.h) == home
    same_moving_run(found, forward(p, x, reverse=True))


def test_a_network_of_another_device_than_the_current_one():
    torch = pytest.importorskip("torch")
    for p, bits in ((network(48, 96), 8), (network(48, 1100), 8), (network(20, 40, "pot", 16), 16)):
        with torch.cuda.device(1):
            made = prepare(p, "gpu")
        x = codes(p.fmt_x, (6, 5, p.input_size))
        found = made.forward(torch.from_numpy(x).to("cuda:1"))
        made.check()
        assert found.device.index == 1 and torch.cuda.current_device() == 0, bits
        assert np.array_equal(on_host(found), forward(p, x).h)
        assert np.array_equal(on_host(made.forward(x)), forward(p, x).h) and device_of(made.forward(x)) == 1
        for elsewhere in (torch.from_numpy(x).cuda(), numba_array(x, 0)):
            with pytest.raises(ParameterError, match="^x is an array on GPU 0, expected one on GPU 1, where the network was"):
                made.forward(elsewhere)


@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_a_module_on_another_device_than_the_current_one(datapath):
    torch = pytest.importorskip("torch")
    from quant_gru import QuantGRU

    gru, x = QuantGRU(24, 40), torch.randn(9, 5, 24)
    gru.datapath = datapath
    gru.calibrate(x)
    gru.use_quantization = True
    with torch.no_grad():
        wanted, last = gru(x)
        found, end = gru.to("cuda:1")(x.to("cuda:1"))
    assert found.device.index == 1 and torch.cuda.current_device() == 0
    assert torch.equal(found.cpu(), wanted) and torch.equal(end.cpu(), last)


def test_a_refusal_names_the_device():
    torch = pytest.importorskip("torch")
    p = network(48, 96)
    assert p.fmt_x == INT8
    made, x = prepare(p, "gpus"), torch.zeros((2, 2 * visible(), 48), dtype=torch.int32)
    x[1, -1, 3] = 128
    last = visible() - 1
    with pytest.raises(ParameterError, match=rf"^GPU {last}, rows {2 * last} to {2 * last + 1}: x is 128, expected a code in"):
        made.forward(x.cuda())
    x[1, -1, 3] = 127
    assert np.array_equal(on_host(made.forward(x.cuda())), forward(p, x.numpy()).h)
