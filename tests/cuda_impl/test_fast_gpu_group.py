"""Four warps multiplying together on a GPU: states bit for bit golden's, and waits that end."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_impl.fast import gpu_network
from cuda_impl.fast.gpu_driver import DeviceError
from cuda_impl.fast.gpu_network import ClusterNetwork
from cuda_impl.fast.gpu_shape import shape_for
from golden.sequence import forward
from tests.cuda_impl.test_fast_gpu import codes, network, on_host
from tests.cuda_impl.test_fast_gpu_steps import FORMS, built

pytestmark = pytest.mark.gpu

SIZES = [
    (16, 1024, 5, 3, 1), (33, 600, 15, 4, 1), (20, 129, 60, 9, 3), (16, 1000, 37, 6, 2), (64, 1024, 64, 5, 2),
    (9, 300, 90, 4, 2),
]  # fmt: skip
CASES = [(*size, name) for n, size in enumerate(SIZES) for name in (FORMS if n < 3 else ("mshift", "pot"))]


@pytest.mark.parametrize(("inputs", "hidden", "batch", "steps", "clusters", "name"), CASES)
def test_sizes_and_options(inputs, hidden, batch, steps, clusters, name):
    torch = pytest.importorskip("torch")
    p = built(inputs, hidden, name)
    made = ClusterNetwork(p)
    shape = shape_for(hidden, batch, made.kind, units=64, clusters=clusters, grouped=True)
    x, h0 = codes(p.fmt_x, (steps, batch, inputs)), codes(p.fmt_h, (batch, hidden), 1)
    mask = np.random.default_rng(2).integers(0, 2, (steps, batch, hidden))
    there, first = torch.from_numpy(x).cuda(), torch.from_numpy(h0).cuda()
    for options in ({}, {"reverse": True}, {"zoneout": 0.3}, {"mask": mask, "training": True, "reverse": True}):
        found = made.forward(there, first, **options, shape=shape)
        made.check()
        assert np.array_equal(on_host(found), forward(p, x, h0, **options).h)
    assert np.array_equal(on_host(made.forward(there[:1], shape=shape)), forward(p, x[:1]).h)
    assert np.array_equal(on_host(made.forward(there[:0], first, shape=shape))[0], h0)
    assert np.array_equal(on_host(made.forward(x, h0, shape=shape)), forward(p, x, h0).h)


@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_a_product_beside_a_long_run_and_the_same_bytes_every_time(datapath):
    torch = pytest.importorskip("torch")
    p = network(512, 1024, datapath)
    made = ClusterNetwork(p)
    shape = shape_for(1024, 128, made.kind, 128 * 512 * 3072, grouped=True)
    x = codes(p.fmt_x, (200, 128, 512))
    there = torch.from_numpy(x).cuda()
    first = made.forward(there, shape=shape)
    assert next(iter(made._plans.values())).share is not None  # part of it runs beside
    rows = [0, 31, 32, 127]
    assert np.array_equal(on_host(first)[:, rows], forward(p, np.ascontiguousarray(x[:, rows])).h)
    back = made.forward(there, shape=shape, reverse=True)
    assert np.array_equal(on_host(back)[:, rows], forward(p, np.ascontiguousarray(x[:, rows]), reverse=True).h)
    for _ in range(20):
        assert torch.equal(made.forward(there, shape=shape), first)
    made.check()


def test_a_graph_that_is_recorded_before_anything_else_ran_on_its_stream():
    torch = pytest.importorskip("torch")
    p = network(64, 1024)
    made, x = ClusterNetwork(p), codes(p.fmt_x, (20, 64, 64))
    shape = shape_for(1024, 64, made.kind, grouped=True)
    given = torch.from_numpy(x).cuda()
    first = made.forward(given, shape=shape)
    assert [plan.shape.grouped for plan in made._plans.values()] == [True]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = made.forward(given, shape=shape)
    for seed in (1, 2):
        other = codes(p.fmt_x, x.shape, seed)
        given.copy_(torch.from_numpy(other))
        graph.replay()
        torch.cuda.synchronize()
        assert np.array_equal(on_host(captured), forward(p, other).h)
    assert [plan.shape.grouped for plan in made._plans.values()] == [True, True]
    assert np.array_equal(on_host(first), forward(p, x).h)


@pytest.mark.parametrize(("hidden", "batch"), [(1024, 64), (256, 3), (64, 9)])
def test_an_output_may_begin_anywhere(hidden, batch):
    torch = pytest.importorskip("torch")
    p = network(16, hidden)
    made, x = ClusterNetwork(p), codes(p.fmt_x, (4, batch, 16))
    room, wanted = torch.zeros(5 * batch * hidden + 16, dtype=torch.int8, device="cuda"), forward(p, x).h
    for first in (0, 1, 8, 0):
        out = room[first:][: 5 * batch * hidden].view(5, batch, hidden)
        assert np.array_equal(on_host(made.forward(torch.from_numpy(x).cuda(), out=out)), wanted)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_product_that_never_comes_ends_in_an_error(grouped, monkeypatch):
    torch = pytest.importorskip("torch")
    p = network(512, 1024)
    made = ClusterNetwork(p)
    shape = shape_for(1024, 128, made.kind, 128 * 512 * 3072, grouped=grouped)
    x = codes(p.fmt_x, (200, 128, 512))
    there = torch.from_numpy(x).cuda()
    wanted = made.forward(there, shape=shape)
    made.check()
    whole = gpu_network.driver.set_words
    with monkeypatch.context() as patched:
        patched.setattr(gpu_network.driver, "set_words", lambda at, value, stream: whole(at, min(value, 2), stream))
        made.forward(there, shape=shape)
        with pytest.raises(DeviceError, match="waited in vain"):
            made.check()
    assert torch.equal(made.forward(there, shape=shape), wanted)
    made.check()
