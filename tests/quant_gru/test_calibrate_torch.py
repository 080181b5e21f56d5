"""Calibration with torch: on the CPU here, on a GPU where there is one."""

import itertools

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru.build import format_of
from quant_gru.calibrate import by_operator, collect
from quant_gru.float_gru import FloatGru, run
from quant_gru.histogram import count
from quant_gru.observers import METHODS, Observers

torch = pytest.importorskip("torch")


def drawn(seed, C=5, H=7):
    rng = np.random.Generator(np.random.PCG64(seed))
    shapes = (C, 3 * H), (H, 3 * H), (3 * H,), (3 * H,)
    gru = FloatGru(*(rng.uniform(-1, 1, shape).astype(np.float32) for shape in shapes))
    return gru, rng.standard_normal((9, 33, C)), rng.standard_normal((33, H))


def points(observers):
    """Exponent and zero point of every operator, by every method, at some widths."""
    found = []
    for method, bits, name in itertools.product(METHODS, (4, 8, 16), OPERATOR_FIELDS):
        fmt = format_of(name, bits)
        found.append(observers.using(method, 99).choose(name, fmt, False).power_of_two(name, fmt, False))
    return found


@pytest.mark.parametrize("reverse", [False, True])
def test_the_torch_run_has_the_fields_of_the_numpy_run(reverse):
    from quant_gru.calibrate_torch import run_tensor

    gru, x, h0 = drawn(1)
    expected = run(gru, x, h0, reverse=reverse)
    found = run_tensor(gru, torch.from_numpy(x), torch.from_numpy(h0), reverse=reverse)
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].shape == values.shape and found[name].dtype == torch.float64
        assert np.abs(found[name].numpy() - values).max() < 1e-12  # binary64 sums in another order
    for seed in range(2, 5):
        gru, x, h0 = drawn(seed)
        there = Observers()
        there.observe(by_operator(run_tensor(gru, torch.from_numpy(x), torch.from_numpy(h0), reverse=reverse)))
        assert points(there) == points(collect(gru, [(x, h0)], reverse=reverse))


def test_shapes_are_checked():
    from quant_gru.calibrate_torch import run_tensor

    gru, x, h0 = drawn(1)
    with pytest.raises(ParameterError, match="^x is an array of shape"):
        run_tensor(gru, torch.zeros(3, 2, 4))
    with pytest.raises(ParameterError, match="^h0 is an array of shape"):
        run_tensor(gru, torch.from_numpy(x), torch.zeros(2, 7))
    assert run_tensor(gru, torch.zeros(0, 2, 5))["h"].shape == (1, 2, 7)


def test_tensors_of_the_cpu_are_arrays():
    gru, x, h0 = drawn(9)
    a, b = collect(gru, [(x, h0)]), collect(gru, [(torch.from_numpy(x).requires_grad_(), torch.from_numpy(h0))])
    assert all(a.state()[k].tobytes() == b.state()[k].tobytes() for k in a.state())


@pytest.mark.gpu
def test_a_gpu_gives_the_same_counts_and_exponents():
    values = np.random.Generator(np.random.PCG64(3)).standard_normal((50, 60)) * 1e3
    here, there = count(values), count(torch.from_numpy(values).cuda())
    assert here.counts.tolist() == there.counts.tolist() and (here.low, here.high) == (there.low, there.high)
    for seed in range(20, 30):
        gru, x, h0 = drawn(seed, 40, 50)
        on_device = torch.from_numpy(x).cuda(), torch.from_numpy(h0).cuda()
        assert points(collect(gru, [(x, h0)])) == points(collect(gru, [on_device]))
