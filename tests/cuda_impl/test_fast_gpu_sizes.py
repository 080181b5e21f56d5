"""Sizes at which the GPU's fast build takes another kernel: many rows, many units, cold starts, ranges far from ordinary."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from cuda_impl.fast.network import prepare
from golden.sequence import forward
from golden.spec.trace import DynamicState
from tests.cuda_impl.test_fast_gpu import codes, moving_set, network, on_host, reals, same_moving_run
from tests.meta.house import ROOT

pytestmark = pytest.mark.gpu

COLD = """
import numpy as np, torch
from cuda_impl.fast.gpu_shape import share_before, shape_for
from cuda_impl.fast.network import prepare
from tests.verification.small import mshift_set
T, N, C, H = 2048, 32, 512, 512
rng = np.random.default_rng(0)
W, R = (rng.integers(-20, 21, (K, 3 * H)).astype(np.int8) for K in (C, H))
made = prepare(mshift_set(W=W, R=R, bx=np.zeros(3 * H, np.int32), br=np.zeros(3 * H, np.int32)), "gpu")
shape = shape_for(H, N, made.kind, N * C * 3 * H)
assert share_before(shape, -(-N // shape.valid), T, T * N * C * 3 * shape.width) == 0  # nothing of it is done before
h = made.forward(torch.zeros((T, N, C), dtype=torch.int8, device="cuda"))
made.check()
print(tuple(h.shape))
"""


def test_a_product_beside_the_recurrence_may_be_the_first_of_its_process():
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", COLD], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout == "(2049, 32, 512)\n", done.stderr


SIZES = [(1024, 1100), (1000, 520), (1024, 512), (300, 4000), (2048, 130), (2100, 40), (50, 9000)]


@pytest.mark.parametrize(("hidden", "batch"), SIZES)
@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_many_rows_and_many_units(hidden, batch, datapath):
    torch = pytest.importorskip("torch")
    p = network(32, hidden, datapath)
    made, x, h0 = prepare(p, "gpu"), codes(p.fmt_x, (3, batch, 32)), codes(p.fmt_h, (batch, hidden), 1)
    rows = np.unique(np.random.default_rng(0).integers(0, batch, 4))
    wanted = forward(p, x[:, rows], h0[rows]).h  # rows are independent: S-3
    there = torch.from_numpy(x).cuda()
    for _ in range(3):
        found = on_host(made.forward(there, torch.from_numpy(h0).cuda()))
        assert np.array_equal(found[:, rows], wanted)
    if hidden <= 1024 or hidden > 2048:  # without torch one kernel takes any number of rows, in waves of clusters, or steps
        assert np.array_equal(on_host(made.forward(x, h0)), found)
    made.check()


def test_moving_ranges_of_rows_that_no_clusters_hold(monkeypatch):
    from cuda_impl.fast import gpu_moving_cluster_network as clusters

    torch = pytest.importorskip("torch")
    kind = clusters.Kind("mshift", (False,) * 3, moving=True)
    assert clusters.moving_shape(1024, 5000, kind) is None and clusters.moving_shape(1024, 128, kind) is not None
    p, x = moving_set(20, 100), reals((7, 12, 20))
    there = torch.from_numpy(x).cuda()
    by_clusters = prepare(p, "gpu").forward(there)
    monkeypatch.setattr(clusters, "moving_shape", lambda *_: None)
    same_moving_run(prepare(p, "gpu").forward(there), forward(p, x))
    same_moving_run(by_clusters, forward(p, x))


@pytest.mark.parametrize("rows", [1, 30])
@pytest.mark.parametrize("change", ["biases", "weights", "quiet", "loud", "quiet start"])
def test_moving_ranges_far_from_ordinary(change, rows):
    """Numbers with which intermediates leave int32, so that the cell must saturate, and others at either end of the ranges."""
    torch = pytest.importorskip("torch")
    p, x = moving_set(20, 100), reals((12, rows, 20))
    if change == "biases":
        p = replace(p, bx=p.bx * np.float32(3e5), br=p.br * np.float32(3e5))
    elif change == "weights":
        p = replace(p, R=p.R * np.float32(2e4))
    elif change == "quiet start":
        x[:3] *= np.float32(1e-6)
    else:
        x = x * np.float32(1e-4 if change == "quiet" else 1e4)
    made, wanted = prepare(p, "gpu"), forward(p, x)
    assert (change == "biases") == bool((np.abs(wanted.fields["r_a"].astype(np.int64)) >= 2**31 - 1).any())
    same_moving_run(made.forward(torch.from_numpy(x).cuda()), wanted)
    far = DynamicState(codes(p.fmt_h, (rows, 100), 3), 0.25, -3, h_min=-30.0, h_max=31.0, steps=0)
    same_moving_run(made.forward(x, far), forward(p, x, far), far)
