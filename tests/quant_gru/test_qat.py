"""Quantization-aware training: the straight-through gradient, and a training run."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from benchmarks.quantgru_qat import run as train_on_digits  # noqa: E402
from quant_gru import QuantGRU  # noqa: E402
from quant_gru.float_gru import from_pytorch  # noqa: E402
from tests.quant_gru import ste_reference  # noqa: E402


def calibrated(datapath, bits, scale=1.0, **options):
    torch.manual_seed(6)
    gru = QuantGRU(3, 4, **options)
    gru.datapath = datapath
    gru.set_all_bitwidth(bits, is_symmetric=False)
    x = torch.randn(5, 6, 3)
    gru.calibrate(x)
    gru.use_quantization = True
    return gru, x * scale


def gradients(gru, x, h0, weight):
    """Gradients of x, h0 and, in our order, of the weights, for the loss sum(weight * output) + sum(h_n ** 2)."""
    x, h0 = x.clone().requires_grad_(), h0.clone().requires_grad_()
    output, h_n = gru(x, h0)
    ((output * weight).sum() + h_n.square().sum()).backward()
    grads = [getattr(gru, f"{k}_l0").grad.numpy() for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    ours = from_pytorch(*grads)
    return {"x": x.grad, "h0": h0.grad[0], **{k: torch.tensor(getattr(ours, k)) for k in ("W", "R", "bx", "br")}}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("datapath", "bits", "scale"),
    [
        ("pot", 8, 1.0), ("pot", 8, 4.0), ("pot", 4, 1.0), ("pot", 3, 3.0), ("pot", 12, 1.0),
        ("mshift", 8, 1.0), ("mshift", 8, 30.0),
    ],  # fmt: skip
)
def test_the_gradient_is_the_straight_through_one(datapath, bits, scale, reverse):
    gru, x = calibrated(datapath, bits, scale)
    if datapath == "pot" and scale > 1:  # ranges that cut on purpose
        gru.adjust_quant_config("matmul.Rh", exponent=gru.quant_params()[0][0].operators["matmul.Rh"].exponent + 2)
        gru.adjust_quant_config("gate.g_out", exponent=gru.quant_params()[0][0].operators["gate.g_out"].exponent + 1)
    if reverse:
        gru._quantization.directions = lambda *a, plain=gru._quantization.directions: [[_reversed(d) for d in plain(*a)[0]]]
    h0, weight = torch.randn(1, 6, 4), torch.randn(5, 6, 4)
    found = gradients(gru, x, h0, weight)
    params, weights = gru.quant_params()[0][0], gru.stack().layers[0][0].gru
    h, leaves = ste_reference.run(params, x, h0[0], weights, reverse)
    ((h[1:] * weight).sum() + h[1 if reverse else -1].square().sum()).backward()
    for name, got in found.items():
        wanted = leaves[name].grad
        assert wanted.abs().max() > 0, name
        assert torch.allclose(got.double(), wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max())), name


def _reversed(d):
    from dataclasses import replace

    return replace(d, reverse=True)


def test_a_saturated_input_gets_no_gradient():
    gru, x = calibrated("pot", 8)
    x[2, 3, 1] = 1e4
    x = x.clone().requires_grad_()
    gru(x)[0].sum().backward()
    assert x.grad[2, 3, 1] == 0 and (x.grad[2, 3] != 0).sum() == 2


def test_a_saturated_weight_gets_no_gradient():
    gru, x = calibrated("pot", 8)
    gru.finalize_calibration()
    template = gru._quantization.templates[0][0]
    op = template.params.operators["weight.W"]
    op.exponent.setflags(write=True)
    op.exponent[:] += 1  # half the range that the weights have
    gru(x)[0].sum().backward()
    used, _ = gru._directions(x.device)[0][0].weights_real()[0]
    unit = 2.0 ** -op.exponent.astype(float)
    cut = from_pytorch(gru.weight_ih_l0.grad.numpy(), gru.weight_hh_l0.grad.numpy()).W == 0
    far = np.abs(gru.stack().layers[0][0].gru.W - used.numpy()) > unit * 0.6
    assert far.sum() >= 12 and not far.all() and np.array_equal(cut, far)


def test_biases_of_many_bits_that_are_not_saturated_get_their_gradient():
    gru, x = calibrated("mshift", 8, 1e-4)
    gru.reset_calibration()
    gru.calibrate(x)  # small scales, so that codes of biases are not exact in binary32
    h0, weight = torch.randn(1, 6, 4), torch.randn(5, 6, 4)
    found = gradients(gru, x, h0, weight)
    assert 2**20 < np.abs(gru.quant_params()[0][0].bx).max() < 2**30
    assert all((found[name] != 0).all() for name in ("bx", "br"))


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_in_parts_inside_autocast_and_with_frozen_weights(datapath, monkeypatch):
    gru, x = calibrated(datapath, 8, num_layers=2, bidirectional=True)
    weight = torch.randn(5, 6, 8)

    def grads():
        gru.zero_grad()
        (gru(x)[0] * weight).sum().backward()
        return [p.grad.clone() for p in gru.parameters()]

    whole = grads()
    monkeypatch.setattr("quant_gru.autograd.ROWS_AT_ONCE", 28)
    assert all(torch.equal(a, b) for a, b in zip(grads(), whole))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(torch.equal(a, b) for a, b in zip(grads(), whole))
    gru.weight_hh_l1.requires_grad_(False)
    gru.weight_hh_l1.grad = None
    (gru(x)[0] * weight).sum().backward()
    assert gru.weight_hh_l1.grad is None


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_rows_of_different_lengths_train_as_they_would_alone(datapath):
    gru, x = calibrated(datapath, 8, num_layers=2, bidirectional=True)
    lengths = [2, 5, 1, 5, 3, 4]
    weight, packed = torch.randn(5, 6, 8), pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    output, h_n = gru(packed)
    output, _ = pad_packed_sequence(output)
    ((output * weight).sum() + h_n.square().sum()).backward()
    together = [p.grad.clone() for p in gru.parameters()]
    gru.zero_grad()
    for n, steps in enumerate(lengths):
        output, h_n = gru(x[:steps, n : n + 1])
        ((output * weight[:steps, n : n + 1]).sum() + h_n.square().sum()).backward()
    for got, p in zip(together, gru.parameters()):
        assert torch.allclose(got, p.grad, rtol=1e-3, atol=1e-4 * float(p.grad.abs().max()))


def test_at_sixteen_bits_the_gradient_is_nearly_the_float_one():
    gru, x = calibrated("pot", 16, num_layers=2)
    plain = gru.to_float()
    gru(x)[0].square().sum().backward()
    plain(x)[0].square().sum().backward()
    for a, b in zip(gru.parameters(), plain.parameters()):
        assert torch.nn.functional.cosine_similarity(a.grad.flatten(), b.grad.flatten(), dim=0) > 0.999


def test_float64_parameters_are_trained():
    gru, x = calibrated("pot", 8)
    gru.double()
    gru(x.double())[0].sum().backward()
    assert all(p.grad.dtype == torch.float64 and p.grad.abs().sum() > 0 for p in gru.parameters())


def test_aware_of_quantization_digits_are_read_better():
    pytest.importorskip("sklearn")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runs = [train_on_digits(seed, (("pot", 4), ("pot", 8))) for seed in (0, 1)]
    finally:
        torch.set_num_threads(threads)
    total = {name: sum(r[name] for r in runs) for name in runs[0]}
    images = 2 * 597
    assert total["float"] > 0.93 * images
    assert total["pot 4 aware"] > total["pot 4 after"] + 0.03 * images
    assert total["pot 8 aware"] >= total["pot 8 after"]
    assert total["pot 8 aware"] >= total["float"] - 0.01 * images
