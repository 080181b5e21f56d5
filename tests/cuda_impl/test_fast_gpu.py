"""The fast kernels on a GPU: states bit for bit golden's, whatever the size, the options, the stream and the library."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from cuda_impl.fast.network import DynamicRun, narrowest_dtype, prepare
from golden.sequence import forward
from golden.spec.errors import ParameterError, RangeError
from golden.spec.params import MShiftDynamicParams
from golden.tables import gate_table
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate import calibrate
from quant_gru.float_gru import from_pytorch
from tests.verification.small import mshift_set
from verification.strategies import problems

pytestmark = pytest.mark.gpu


def network(inputs: int, hidden: int, datapath: str = "mshift", bits: int = 8):
    rng = np.random.default_rng(inputs + hidden)
    bound = 2 / np.sqrt(hidden)
    shapes = ((3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,))
    gru = from_pytorch(*(rng.uniform(-bound, bound, s).astype(np.float32) for s in shapes))
    ranges = calibrate(gru, [rng.normal(size=(12, 4, inputs)).astype(np.float32)])
    return mshift_params(gru, ranges) if datapath == "mshift" else pot_params(gru, ranges, bits)


def codes(fmt, shape, seed=0):
    return np.random.default_rng(seed).integers(fmt.qmin, fmt.qmax + 1, shape).astype(narrowest_dtype(fmt))


def on_host(array):
    return array.cpu().numpy() if hasattr(array, "cpu") else array.copy_to_host() if hasattr(array, "copy_to_host") else array


@pytest.mark.parametrize("datapath", ["mshift", "pot", "mshift-dynamic"])
def test_drawn_problems(datapath):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(problems(datapath))
    def same(problem):
        made = prepare(problem.params, "gpu")
        found = problem.run(lambda _params, *arguments, **options: made.forward(*arguments, **options))
        wanted = problem.run(forward)
        h = found.h if isinstance(found, DynamicRun) else found
        assert np.array_equal(on_host(h).reshape(wanted.h.shape), wanted.h), problem.to_code()

    same()


@pytest.mark.parametrize(("hidden", "bits", "name"), [(64, 8, "pot"), (300, 8, "mshift"), (1100, 8, "pot"), (64, 16, "pot")])
def test_an_output_that_does_not_fit_is_refused(hidden, bits, name):
    torch = pytest.importorskip("torch")
    p = network(16, hidden, name, bits)
    made, x = prepare(p, "gpu"), torch.from_numpy(codes(p.fmt_x, (3, 9, 16))).cuda()
    out = torch.zeros((4, 9, hidden), dtype=getattr(torch, narrowest_dtype(p.fmt_h).name), device="cuda")
    wrong = (out[:3], out[:, :, 1:], out.to(torch.int32), out.cpu(), out.permute(1, 0, 2).contiguous().permute(1, 0, 2))
    for one in wrong:
        with pytest.raises(ParameterError, match="out is .*, expected writable, contiguous"):
            made.forward(x, out=one)
    assert np.array_equal(on_host(made.forward(x, out=out)), forward(p, on_host(x)).h)


SIZES = [(5, 7, 3, 4), (16, 60, 70, 6), (33, 100, 9, 5), (64, 320, 17, 5), (40, 1024, 30, 3), (40, 1100, 9, 3)]


@pytest.mark.parametrize(("inputs", "hidden", "batch", "steps"), SIZES)
@pytest.mark.parametrize(("datapath", "bits"), [("mshift", 8), ("pot", 8), ("pot", 5), ("pot", 16)])
def test_sizes_and_options(inputs, hidden, batch, steps, datapath, bits):
    torch = pytest.importorskip("torch")
    p = network(inputs, hidden, datapath, bits)
    made = prepare(p, "gpu")
    x, h0 = codes(p.fmt_x, (steps, batch, inputs)), codes(p.fmt_h, (batch, hidden), 1)
    mask = np.random.default_rng(2).integers(0, 2, (steps, batch, hidden))
    for options in ({}, {"reverse": True}, {"zoneout": 0.3}, {"mask": mask, "training": True}):
        wanted = forward(p, x, h0, **options).h
        found = made.forward(torch.from_numpy(x).cuda(), torch.from_numpy(h0).cuda(), **options)
        made.check()
        assert found.dtype == getattr(torch, narrowest_dtype(p.fmt_h).name)
        assert np.array_equal(on_host(found), wanted)
    assert np.array_equal(on_host(made.forward(x)), forward(p, x).h)


def test_a_long_run_gives_the_same_bytes_every_time():
    torch = pytest.importorskip("torch")
    p = network(1024, 1024)
    made, x = prepare(p, "gpu"), torch.from_numpy(codes(p.fmt_x, (256, 128, 1024))).cuda()
    first = made.forward(x).clone()
    for _ in range(20):
        assert torch.equal(made.forward(x), first)
    alone = made.forward(x[:, 5:6].contiguous())
    assert torch.equal(alone[:, 0], first[:, 5])


def test_streams_graphs_and_threads():
    torch = pytest.importorskip("torch")
    p = network(64, 256)
    made, x = prepare(p, "gpu"), torch.from_numpy(codes(p.fmt_x, (40, 32, 64))).cuda()
    wanted = made.forward(x).clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        out = made.forward(x)
        made.forward(x, out=out)
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(out, wanted)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = made.forward(x)
    captured.zero_()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured, wanted)
    bad = []

    def run():
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(10):
                got = made.forward(x)
                torch.cuda.current_stream().synchronize()
                if not torch.equal(got, wanted):
                    bad.append(1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad


def test_rows_in_any_layout_and_type():
    torch = pytest.importorskip("torch")
    p = network(48, 96)
    made, x = prepare(p, "gpu"), codes(p.fmt_x, (6, 5, 48))
    wanted = forward(p, x).h
    turned = torch.from_numpy(np.ascontiguousarray(x.transpose(1, 0, 2))).cuda().transpose(0, 1)
    for given_x in (turned, torch.from_numpy(x.astype(np.int64)).cuda(), torch.from_numpy(x), x.astype(np.int32)):
        assert np.array_equal(on_host(made.forward(given_x)), wanted)
    with pytest.raises(ParameterError, match="x is 128, expected a code in"):
        made.forward(torch.full((1, 1, 48), 128, dtype=torch.int32).cuda())
    with pytest.raises(ParameterError, match="x is an array of shape"):
        made.forward(torch.zeros((1, 1, 47), dtype=torch.int8).cuda())


def test_a_barrier_that_nobody_meets_ends_in_an_error():
    from cuda_impl.fast import gpu_grid_network as grid
    from cuda_impl.fast.gpu_driver import DeviceError

    p = network(16, 1100)
    made = prepare(p, "gpu")
    whole = grid.driver.Loaded.launch
    try:
        grid.driver.Loaded.launch = lambda self, blocks, stream, arguments: whole(
            self, blocks - 1 if self.threads == 256 and self.cluster == 0 else blocks, stream, arguments
        )
        with pytest.raises(DeviceError, match="waited in vain"):
            made.forward(codes(p.fmt_x, (4, 8, 16)))
            made.check()
    finally:
        grid.driver.Loaded.launch = whole
    made = prepare(p, "gpu")
    x = codes(p.fmt_x, (4, 8, 16))
    assert np.array_equal(on_host(made.forward(x)), forward(p, x).h)


def test_extreme_numbers_take_the_wide_arithmetic():
    p = replace(mshift_set(), zp_h=2**20, zp_x=-(2**20))
    x = codes(p.fmt_x, (5, 3, p.input_size))
    assert np.array_equal(on_host(prepare(p, "gpu").forward(x)), forward(p, x).h)


def moving_set(inputs: int, hidden: int, gate_bits: int = 8, **choices) -> MShiftDynamicParams:
    rng, bound = np.random.default_rng(inputs + hidden), 2 / np.sqrt(hidden)
    shapes = {"W": (inputs, 3 * hidden), "R": (hidden, 3 * hidden), "bx": (3 * hidden,), "br": (3 * hidden,)}
    weights = {name: rng.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()}
    scale = float(np.float32(6 / 127 if gate_bits == 8 else 6 / 32767))
    tables = {f"table_{k}": gate_table(f, scale, 0, gate_bits) for k, f in (("z", "sigmoid"), ("r", "sigmoid"), ("g", "tanh"))}
    return MShiftDynamicParams(**weights, s_z=scale, s_r_gate=scale, s_g=scale, gate_bits=gate_bits, **tables, **choices)


def reals(shape, seed=0):
    return np.random.default_rng(seed).normal(0.1, 1.0, shape).astype(np.float32)


def same_moving_run(found, wanted, first=None):
    """Codes, what each of them carries, and where the run stands, equal golden's trace bit for bit."""
    assert np.array_equal(on_host(found.h), wanted.h)
    s_h, zp_h, end = wanted.fields["s_h"], wanted.fields["zp_h"], found.state
    assert found.scales[1:].tobytes() == s_h.tobytes() and np.array_equal(found.zero_points[1:], zp_h)
    start = -1 if wanted.reverse else 0
    assert found.scales[0] == (s_h[start] if first is None else np.float32(first.s_h))
    assert found.zero_points[0] == (zp_h[start] if first is None else first.zp_h)
    assert np.array_equal(end.h, wanted.state.h)
    for name in ("s_h", "zp_h", "h_min", "h_max", "steps", "x_min", "x_max", "s_b"):
        assert getattr(end, name) == getattr(wanted.state, name), name


MOVING = [(5, 7, 1, 20), (5, 7, 9, 6), (33, 100, 9, 6), (16, 100, 40, 1), (64, 256, 40, 20), (48, 1100, 9, 6), (20, 1100, 1, 1)]
CHOICES = [
    {},
    {"gate_bits": 16, "x_symmetric": True},
    {"h_symmetric": True, "reciprocal": True},
    {"gate_bits": 16, "x_symmetric": True, "h_symmetric": True, "shift": 15, "shift_bias": 15},
]


@pytest.mark.parametrize(("inputs", "hidden", "batch", "steps"), MOVING)
@pytest.mark.parametrize("choices", CHOICES, ids=["asymmetric", "wide gates", "symmetric h", "symmetric"])
def test_moving_ranges(inputs, hidden, batch, steps, choices):
    from cuda_impl.fast.gpu_moving_network import MovingNetwork

    torch = pytest.importorskip("torch")
    p = moving_set(inputs, hidden, **choices)
    made, x = prepare(p, "gpu"), reals((steps, batch, inputs))
    assert isinstance(made, MovingNetwork)
    mask = np.random.default_rng(2).integers(0, 2, (steps, batch, hidden))
    there, h0 = torch.from_numpy(x).cuda(), 3 * reals((batch, hidden), 1)
    for options in ({}, {"reverse": True}, {"zoneout": 0.3}, {"mask": mask, "training": True}):
        found = made.forward(there, h0, **options)
        assert found.h.dtype == torch.int8 and found.h.is_cuda
        same_moving_run(found, forward(p, x, h0, **options))
    for options in ({}, {"reverse": True, "zoneout": 1.0}):
        wanted = forward(p, x, **options)
        same_moving_run(made.forward(x, **options), wanted)
        assert np.array_equal(on_host(made.forward(there, **options).h), wanted.h)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("split", [0, 1, 4])
def test_moving_ranges_go_on_from_a_state(split, reverse):
    torch = pytest.importorskip("torch")
    p = moving_set(33, 100)
    made, x = prepare(p, "gpu"), reals((6, 9, 33))
    there = torch.from_numpy(x).cuda()
    early, late = (slice(6 - split, 6), slice(0, 6 - split)) if reverse else (slice(0, split), slice(split, 6))
    first = made.forward(there[early], reverse=reverse)
    second = made.forward(there[late], first.state, reverse=reverse)
    wanted = forward(p, x, reverse=reverse)
    # a state is where a run began: in reverse it is not the whole run's
    assert np.array_equal(on_host(second.h)[1:], wanted.h[1 : 7 - split] if reverse else wanted.h[split + 1 :])
    assert np.array_equal(on_host(second.h)[0], first.state.h)
    assert second.scales[1:].tobytes() == wanted.fields["s_h"][late].tobytes()
    assert second.state.steps == 6 and np.array_equal(second.state.h, wanted.state.h)
    same_moving_run(second, forward(p, x[late], first.state, reverse=reverse), first.state)


def test_moving_ranges_are_refused_in_the_twins_words():
    p = moving_set(5, 7)
    made, x = prepare(p, "gpu"), reals((6, 3, 5))
    for step, value in ((0, np.nan), (3, np.inf), (0, 3e38)):
        bad = x.copy()
        bad[step, 1, 2] = value
        bad[step, 1, 3] = -value
        with pytest.raises(RangeError) as wanted:
            forward(p, bad)
        with pytest.raises(RangeError) as found:
            made.forward(bad)
        assert str(found.value) == str(wanted.value)
    assert np.array_equal(on_host(made.forward(x).h), forward(p, x).h)


def test_moving_ranges_give_the_same_bytes_every_time():
    torch = pytest.importorskip("torch")
    p = moving_set(128, 256)
    made, x = prepare(p, "gpu"), torch.from_numpy(reals((64, 32, 128))).cuda()
    first = made.forward(x)
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(20):
            again = made.forward(x)
            assert torch.equal(again.h, first.h) and again.scales.tobytes() == first.scales.tobytes()
    same_moving_run(first, forward(p, x.cpu().numpy()))
