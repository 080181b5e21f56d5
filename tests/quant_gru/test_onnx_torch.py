"""torch.onnx.export(..., dynamo=False) of QuantGRU and of a module of one's own: T and N dynamic, golden's codes."""

import warnings

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from quant_gru.build import mshift_params, pot_params
from tests.quant_gru.test_stack import reals, stack

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from quant_gru import QuantGRU  # noqa: E402
from quant_gru.onnx_torch import export_stack  # noqa: E402
from tests.quant_gru.onnx_drawn import session  # noqa: E402

SIZES = ((1, 1), (7, 32), (500, 1))


def write(module, arguments, path, batch_first=False, **options):
    """Export at T = 50, N = 3 with T and N dynamic."""
    time = {0: "N", 1: "T"} if batch_first else {0: "T", 1: "N"}
    names = ["x", "h0"][: len(arguments)]
    axes = {"x": time, "h0": {1: "N"}, "y": time, "h_n": {1: "N"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the old one, and that a GRU node has a batch of any size
        torch.onnx.export(
            module.eval(), arguments, path, dynamo=False, input_names=names, output_names=["y", "h_n"],
            dynamic_axes={k: axes[k] for k in (*names, "y", "h_n")}, **options,
        )  # fmt: skip
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model


class Own(torch.nn.Module):
    def __init__(self, stack, format):
        super().__init__()
        self.stack, self.format = stack, format

    def forward(self, x, h0=None):
        return export_stack(self.stack, self.format, x, h0)


@pytest.mark.parametrize("build", [mshift_params, lambda g, r: pot_params(g, r, 16, activation="piecewise_quadratic")])
@pytest.mark.parametrize(("layers", "directions", "batch_first"), [(1, 1, True), (2, 2, False)])
def test_a_module_of_ones_own(tmp_path, build, layers, directions, batch_first):
    s = stack(layers, directions, build=build, batch_first=batch_first)
    for given in (1, 2):
        inputs = (reals(*((3, 50) if batch_first else (50, 3)), 3), reals(layers * directions, 3, 4))[:given]
        model = write(Own(s, "integer"), tuple(map(torch.from_numpy, inputs)), tmp_path / "own.onnx", batch_first)
        assert sum(n.op_type == "Scan" for n in model.graph.node) == layers * directions
        run = session(tmp_path / "own.onnx")
        for steps, batch in SIZES if (given, layers) != (2, 2) else SIZES[:2]:
            x, h0 = reals(*((batch, steps) if batch_first else (steps, batch)), 3), reals(layers * directions, batch, 4, seed=5)
            found = run.run(None, {"x": x, "h0": h0} if given == 2 else {"x": x})
            for a, b in zip(found, s.run(x, h0 if given == 2 else None), strict=True):
                assert a.shape == b.shape and a.tobytes() == b.tobytes()


def quantized(datapath="pot", **options):
    torch.manual_seed(1)
    gru = QuantGRU(3, 5, use_quantization=True, **options)
    gru.datapath = datapath
    gru.calibrate(torch.randn(50, 4, 3))
    gru.finalize_calibration()
    return gru.eval()


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}])
def test_quantgru_in_all_three_formats(tmp_path, datapath, options):
    gru = quantized(datapath, **options)
    batch_first = gru.batch_first
    x = torch.randn(*((3, 50) if batch_first else (50, 3)), 3)
    for format in ("float", "qdq", "integer"):
        gru.export_mode, gru.export_format = True, format
        model = write(gru, (x,), tmp_path / "gru.onnx", batch_first)
        gru.export_mode, gru.use_quantization = False, format == "integer"
        kinds = [n.op_type for n in model.graph.node]
        assert kinds.count("GRU") == (gru.num_layers if format == "float" else 0)
        assert ("QuantizeLinear" in kinds) == (format == "qdq")
        run = session(tmp_path / "gru.onnx")
        for steps, batch in SIZES:
            v = torch.randn(*((batch, steps) if batch_first else (steps, batch)), 3)
            found = run.run(None, {"x": v.numpy()})
            with torch.no_grad():
                wanted = gru(v)
            for a, b in zip(found, wanted, strict=True):
                assert a.shape == b.shape
                if format == "integer":
                    assert (a == b.numpy()).all()
                elif format == "float":
                    assert np.allclose(a, b.numpy(), atol=1e-5)
        gru.use_quantization = True


def test_inside_a_larger_model(tmp_path):
    class Larger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.gru = torch.nn.Linear(2, 3), quantized(bidirectional=True)

        def forward(self, x):
            y, h_n = self.gru(self.inner(x))
            return y * 2, h_n

    model = Larger()
    model.inner.weight.data.copy_(torch.eye(3)[:, :2])  # so that the layer in front gives the same floats everywhere
    model.inner.bias.data.zero_()
    model.gru.export_mode, model.gru.export_format = True, "integer"
    write(model, (torch.randn(50, 3, 2),), tmp_path / "model.onnx")
    model.gru.export_mode = False
    run = session(tmp_path / "model.onnx")
    for steps, batch in SIZES:
        x = torch.randn(steps, batch, 2)
        with torch.no_grad():
            wanted = model(x)
        for a, b in zip(run.run(None, {"x": x.numpy()}), wanted, strict=True):
            assert (a == b.numpy()).all()


def test_export_mode_outside_the_exporter():
    gru = quantized(num_layers=2, bidirectional=True)
    x, h0 = torch.randn(6, 2, 3), torch.randn(4, 2, 5)
    with torch.no_grad():
        wanted = gru(x, h0)
        gru.export_mode, gru.export_format = True, "integer"
        assert all(torch.equal(a, b) for a, b in zip(gru(x, h0), wanted))
        one = gru(x[:, 0], h0[:, 0])
    assert torch.equal(one[0], wanted[0][:, 0]) and torch.equal(one[1], wanted[1][:, 0])
    with pytest.raises(ParameterError, match="input is a PackedSequence, expected a tensor in export mode"):
        gru(torch.nn.utils.rnn.pack_padded_sequence(x, [6, 4]))
    with pytest.raises(ParameterError, match="input is a tensor of torch.float64, expected float32 in export mode"):
        gru(x.double())


def test_without_a_calibration_it_says_what_to_call(tmp_path):
    gru = QuantGRU(3, 5).eval()
    sentence = r"QuantGRU is not calibrated, call calibrate\(data\)"
    for format in ("qdq", "integer"):
        with pytest.raises(RuntimeError, match=sentence):
            gru.export_onnx(tmp_path / "gru.onnx", format=format)
        gru.export_mode, gru.export_format = True, format
        with pytest.raises(RuntimeError, match=sentence):
            gru(torch.randn(2, 2, 3))
        gru.export_mode = False
    assert list(tmp_path.iterdir()) == []
    assert gru.export_onnx(tmp_path / "gru.onnx", format="float").path.is_file()


def test_without_a_batch(tmp_path):
    gru = quantized(bidirectional=True)
    gru.export_mode, gru.export_format = True, "integer"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            gru, (torch.randn(50, 3),), tmp_path / "gru.onnx", dynamo=False, input_names=["x"], output_names=["y", "h_n"],
            dynamic_axes={"x": {0: "T"}, "y": {0: "T"}},
        )  # fmt: skip
    gru.export_mode = False
    run = session(tmp_path / "gru.onnx")
    for steps in (1, 7, 100):
        x = torch.randn(steps, 3)
        with torch.no_grad():
            wanted = gru(x)
        for a, b in zip(run.run(None, {"x": x.numpy()}), wanted, strict=True):
            assert a.shape == b.shape and (a == b.numpy()).all()


def test_16_bit_qdq_asks_for_opset_21(tmp_path):
    s = stack(1, 1, build=lambda g, r: pot_params(g, r, 16))
    x = torch.from_numpy(reals(50, 3, 3))
    with pytest.raises(ParameterError, match="opset is 17, expected 21 or more for qdq of more than 8 bits"):
        write(Own(s, "qdq"), (x,), tmp_path / "own.onnx", opset_version=17)
    write(Own(s, "qdq"), (x,), tmp_path / "own.onnx", opset_version=21)
    y = session(tmp_path / "own.onnx").run(["y"], {"x": reals(7, 2, 3)})[0]
    assert y.shape == (7, 2, 4)


def test_quantgru_export_onnx(tmp_path):
    gru = quantized(num_layers=2, bidirectional=True)
    for format in ("float", "qdq", "integer"):
        made = gru.export_onnx(tmp_path / f"{format}.onnx", format=format)
        assert made.path.is_file() and len(list(made.test_data.iterdir())) == (3 if format == "float" else 5)
    x = torch.randn(9, 2, 3)
    with torch.no_grad():
        wanted = gru(x)
    for a, b in zip(session(tmp_path / "integer.onnx").run(["y", "h_n"], {"x": x.numpy()}), wanted):
        assert (a == b.numpy()).all()
