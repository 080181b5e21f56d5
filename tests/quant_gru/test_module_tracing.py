"""A QuantGRU where torch compiles, traces or parametrizes it: the same codes, or one sentence that says what to do instead."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402
from torch.nn.utils.rnn import pack_sequence  # noqa: E402

from quant_gru import QuantGRU  # noqa: E402

X = torch.linspace(-1, 1, 9 * 4 * 3).view(9, 4, 3)


def made(datapath="pot"):
    torch.manual_seed(0)
    module = QuantGRU(3, 5, bidirectional=True)
    module.datapath = datapath
    module.calibrate(X)
    module.use_quantization = True
    return module


class Model(nn.Module):
    def __init__(self, gru):
        super().__init__()
        self.gru, self.head = gru, nn.Linear(10, 2)

    def forward(self, x):
        return self.head(self.gru(x * 2)[0]).relu()


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_a_compiled_model_gives_the_same_values_and_gradients(datapath):
    torch._dynamo.reset()
    model = Model(made(datapath))
    compiled = torch.compile(model, backend="aot_eager")
    plain = model(X)
    plain.sum().backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    found = compiled(X)
    found.sum().backward()
    assert torch.equal(found, plain)
    assert all(torch.equal(p.grad, wanted[name]) for name, p in model.named_parameters())
    with torch.no_grad():
        model.gru.weight_ih_l0.mul_(2)
    assert torch.equal(compiled(X), model(X)) and not torch.equal(model(X), plain)


def test_a_compiled_module_takes_packed_sequences_and_calibrates():
    torch._dynamo.reset()
    module = made()
    compiled = torch.compile(module, backend="eager")
    rows = pack_sequence([X[:n, 0] for n in (3, 9, 5)], enforce_sorted=False)
    assert torch.equal(compiled(rows)[0].data, module(rows)[0].data)
    module.calibrating = True
    compiled(X * 3)
    module.calibrating = False
    assert not module.is_calibrated() and module._quantization.observers[0][0]["input.x"] == (-3.0, 3.0)


def test_tracing_is_refused_but_in_export_mode(tmp_path):
    module = made()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trace in (
            lambda: torch.jit.trace(module, X, check_trace=False),
            lambda: torch.onnx.export(module, X, tmp_path / "model.onnx", dynamo=False),
        ):
            with pytest.raises(RuntimeError, match="is recorded by torch.jit.trace, expected export_onnx"):
                trace()
    module.use_quantization = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(torch.jit.trace(module, X)(X)[0], module(X)[0])


@pytest.mark.skipif(not hasattr(torch.compiler, "is_exporting"), reason="this torch does not say that it exports")
def test_torch_export_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match="is recorded by torch.export, expected export_onnx"):
            torch.export.export(made().eval(), (X,))


@pytest.mark.parametrize("form", ["qdq", "integer"])
@pytest.mark.skipif(not hasattr(torch.compiler, "is_exporting"), reason="this torch does not say that it exports")
def test_torch_export_is_refused_in_export_mode_too(form):
    module = made().eval()
    module.export_mode, module.export_format = True, form
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match=r"is recorded by torch.export, expected .* with dynamo=False"):
            torch.export.export(module, (X,))
        module.export_format = "float"
        assert torch.equal(torch.export.export(module, (X,)).module()(X)[0], torch.nn.GRU.forward(module, X)[0])


def test_parametrized_weights_go_to_and_fro():
    plain = parametrizations.weight_norm(nn.GRU(3, 5), "weight_hh_l0")
    with torch.no_grad():
        plain.parametrizations.weight_hh_l0.original0.mul_(2)
    module = QuantGRU.from_float(plain)
    assert torch.equal(module.weight_hh_l0, plain.weight_hh_l0) and torch.equal(module(X)[0], plain(X)[0])
    module = parametrizations.weight_norm(module, "weight_ih_l0")
    with torch.no_grad():
        module.parametrizations.weight_ih_l0.original0.mul_(2)
    assert torch.equal(module.to_float()(X)[0], module(X)[0])
    assert isinstance(module.to_float().weight_ih_l0, nn.Parameter)


def test_parametrized_weights_run_and_train_in_quantized_mode():
    module = parametrizations.weight_norm(made(), "weight_hh_l0")
    assert torch.equal(module(X)[0], made()(X)[0])
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    module(X)[0].square().sum().backward()
    optimizer.step()
    other = QuantGRU.from_float(module.to_float())
    other.calibrate(X)
    other.use_quantization = True
    other._quantization.templates, other._quantization.pending = module._quantization.templates, False
    assert torch.equal(module(X)[0], other(X)[0]) and not torch.equal(module(X)[0], made()(X)[0])
