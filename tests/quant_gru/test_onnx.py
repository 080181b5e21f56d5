"""Exports on disk: layout, test data, metadata, the float node, refusals."""

import os

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.profile import profile_hash
from quant_gru.build import dynamic_params, mshift_params, pot_params
from quant_gru.stack import Direction, Stack
from tests.quant_gru.test_stack import reals, stack

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import numpy_helper  # noqa: E402

from quant_gru.onnx import FORMATS, build, export  # noqa: E402
from tests.quant_gru.onnx_drawn import LEVELS, session  # noqa: E402


def arrays(folder, kind):
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda p: int(p.stem.split("_")[1]))
    return {t.name: numpy_helper.to_array(t) for t in (onnx.TensorProto.FromString(p.read_bytes()) for p in files)}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("with_state", [False, True])
def test_the_test_data_replays(tmp_path, format, with_state):
    s = stack(2, 2, batch_first=True)
    made = export(s, tmp_path / "model.onnx", format, initial_state=with_state)
    assert made == (tmp_path / "model.onnx", tmp_path / "test_data_set_0")
    run = session(made.path)
    inputs, outputs = arrays(made.test_data, "input"), arrays(made.test_data, "output")
    assert list(inputs) == ["x", "h0"][: 1 + with_state] == [i.name for i in run.get_inputs()]
    assert list(outputs) == [o.name for o in run.get_outputs()]
    assert list(outputs) == ["y", "h_n", "y_codes", "h_n_codes"][: 2 if format == "float" else 4]
    assert inputs["x"].shape == (2, 5, 3) and outputs["y"].shape == (2, 5, 8) and outputs["h_n"].shape == (4, 2, 4)
    for name, found in zip(outputs, run.run(None, inputs)):
        if format == "float":  # the one export of floats: onnxruntime's float32 against the float64 network
            assert np.allclose(found, outputs[name], atol=1e-6)
        else:
            assert found.tobytes() == outputs[name].tobytes() and found.dtype == outputs[name].dtype


def test_codes_in_codes_out(tmp_path):
    s = stack(1, 2)
    shared = s.layers[0][0].params
    s = Stack(((Direction(None, shared), Direction(None, shared, True)),), batch_first=True)
    made = export(s, tmp_path / "model.onnx", "integer", codes=True, zoneout=0.25, initial_state=True)
    inputs, outputs = arrays(made.test_data, "input"), arrays(made.test_data, "output")
    assert {a.dtype for a in (*inputs.values(), *outputs.values())} == {np.dtype("int32")}
    for name, found in zip(outputs, session(made.path).run(None, inputs)):
        assert (found == outputs[name]).all()


def test_the_same_bytes_again(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        export(stack(2, 2), tmp_path / folder / "model.onnx", "integer", initial_state=True)
    found = [sorted(p.relative_to(tmp_path / f) for p in (tmp_path / f).rglob("*")) for f in "ab"]
    assert found[0] == found[1] and len(found[0]) == 8
    assert all((tmp_path / "a" / p).read_bytes() == (tmp_path / "b" / p).read_bytes() for p in found[0] if p.suffix)


def test_models_of_one_folder_keep_their_own_data(tmp_path):
    s = stack(1, 1)
    one = export(s, tmp_path / "one.onnx", "integer")
    two = export(s, tmp_path / "two.onnx", "float")
    assert one.test_data.name == "test_data_set_0" and two.test_data.name == "two.test_data_set_0"
    assert export(s, tmp_path / "one.onnx", "integer") == one and export(s, tmp_path / "two.onnx", "integer") == two
    assert len(arrays(one.test_data, "output")) == 4 and len(arrays(two.test_data, "output")) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.onnx", "test_data_set_0", "two.onnx", "two.test_data_set_0"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    made = export(stack(1, 1), tmp_path / "model.onnx", "integer")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    real = os.replace

    def refuse(source, target):
        if str(target).endswith("model.onnx"):
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        export(stack(1, 1, seed=3), made.path, "integer")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_model_says_what_it_is():
    s = stack(2, 2)
    found = {p.key: p.value for p in build(s, "integer").metadata_props}
    hashes = {f"qgru.profile.l{i}{'_reverse' * j}": profile_hash(s.layers[i][j].params) for i in (0, 1) for j in (0, 1)}
    assert found == {"qgru.format": "integer", "qgru.spec": "1.0", **hashes}
    assert {p.key: p.value for p in build(s, "float").metadata_props} == {"qgru.format": "float"}


@pytest.mark.parametrize("format", FORMATS)
def test_shapes_are_dynamic_and_pass_the_strict_checker(format):
    model = build(stack(2, 2), format, initial_state=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    ends = (*model.graph.input, *model.graph.output)
    shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in ends}
    assert (shapes["x"], shapes["h0"], shapes["y"], shapes["h_n"]) == (["T", "N", 3], [4, "N", 4], ["T", "N", 8], [4, "N", 4])


@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (3, 2)])
def test_float_is_one_gru_node_for_each_layer(layers, directions):
    s = stack(layers, directions)
    model = build(s, "float", initial_state=True)
    nodes = [n for n in model.graph.node if n.op_type == "GRU"]
    assert len(nodes) == layers and not [n for n in model.graph.node if n.op_type in ("Scan", "Loop", "MatMul")]
    run = session(model)
    for steps, batch in ((1, 1), (7, 32), (500, 2)):
        x, h0 = reals(steps, batch, 3), reals(layers * directions, batch, 4)
        for found, wanted in zip(run.run(None, {"x": x, "h0": h0}), s.run_float(x, h0), strict=True):
            assert found.shape == wanted.shape and np.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("bits", [8, 16, 6])
@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_qdq_runs_at_every_level_and_every_length(datapath, bits):
    if datapath == "mshift":
        s = stack(2, 2, build=lambda g, r: mshift_params(g, r, gate_bits=16 if bits == 16 else 8))
    else:
        s = stack(2, 2, build=lambda g, r: pot_params(g, r, bits))
    model = build(s, "qdq")
    body = next(a.g for n in model.graph.node if n.op_type == "Scan" for a in n.attribute if a.name == "body")
    assert sum(n.op_type == "QuantizeLinear" for n in body.node) == (12 if datapath == "pot" else 7)
    wanted = None
    for level in LEVELS:
        run = session(model, level)
        for steps, batch in ((1, 1), (7, 32), (50, 2)):
            y, h_n, y_codes, h_codes = run.run(None, {"x": reals(steps, batch, 3)})
            assert y.shape == (steps, batch, 8) and h_n.shape == (4, batch, 4)
            for i, d in enumerate(s.layers[1]):
                fmt, part = d.params.fmt_h, y_codes[..., 4 * i : 4 * i + 4]
                assert fmt.qmin <= part.min() and part.max() <= fmt.qmax
            assert (h_codes[2] == y_codes[-1, :, :4]).all() and (h_codes[3] == y_codes[0, :, 4:]).all()
        wanted = y_codes if wanted is None else wanted
        if datapath == "pot" and bits == 8:  # sums of products of powers of two are exact in float32, in any order
            assert (y_codes == wanted).all()


@pytest.mark.parametrize("make", [pot_params, mshift_params])
def test_qdq_of_8_bits_needs_no_opset_21(make):
    s, x = stack(1, 2, build=make), reals(6, 2, 3)
    old, new = (session(build(s, "qdq", opset=opset)).run(None, {"x": x}) for opset in (17, 21))
    assert all((a == b).all() for a, b in zip(old, new, strict=True))


def test_qdq_of_one_step_by_hand():
    """The first step from zero with the pairs written in NumPy float32: scales, zero points and order are those of the set."""
    s = stack(1, 1, build=lambda g, r: pot_params(g, r, 16))
    p, x = s.layers[0][0].params, reals(1, 5, 3)
    f32 = np.float32

    def pair(key, v):
        op = p.operators[key]
        q = np.clip(np.rint(v / f32(2.0**-op.exponent)) + op.zero_point, op.fmt.qmin, op.fmt.qmax)
        return (q - op.zero_point).astype(f32) * f32(2.0**-op.exponent)

    def w(key):
        return getattr(p, key).astype(f32) * np.ldexp(f32(1), -p.operators[f"weight.{key}"].exponent)

    h0 = pair("input.h", np.zeros((5, 4), f32))
    Wx = pair("matmul.Wx", pair("input.x", x[0]) @ w("W")) + w("bx")
    Rh = pair("matmul.Rh", h0 @ w("R")) + w("br")
    z, r = (pair(f"gate.{k}_out", 1 / (1 + np.exp(-pair(f"gate.{k}_pre", Wx[:, i] + Rh[:, i])))) for k, i in
            (("z", slice(0, 4)), ("r", slice(4, 8))))  # fmt: skip
    P = pair("op.rRh", r * pair("op.Rh_add_br", Rh[:, 8:]))
    g = pair("gate.g_out", np.tanh(pair("gate.g_pre", Wx[:, 8:] + P)))
    h = pair("input.h", pair("op.old_contrib", z * h0) + pair("op.new_contrib", (1 - z) * g))
    found = session(build(s, "qdq"), "ORT_DISABLE_ALL").run(["y"], {"x": x})[0][0]
    lsb = 2.0 ** -p.operators["input.h"].exponent
    assert np.abs(found - h).max() <= 2 * lsb


def test_refusals(tmp_path):
    s = stack(1, 1)
    d = s.layers[0][0]
    other = Direction(None, stack(1, 1, build=lambda g, r: pot_params(g, r, 16)).layers[0][0].params, True)
    for arguments, options, sentence in (
        ((s, "int"), {}, "format is 'int', expected one of float, qdq, integer"),
        ((s, "integer"), {"opset": 16}, "opset is 16, expected 17 or more"),
        ((s, "integer"), {"zoneout": 1.5}, "zoneout is 1.5, expected 0, or with the format integer a probability"),
        ((s, "integer"), {"opset": 99}, "opset is 99, expected 17 to "),
        ((s, "integer"), {"opset": 2**31}, "opset is 2147483648, expected 17 to "),
        ((s, "qdq"), {"zoneout": 0.5}, "zoneout is 0.5"),
        ((s, "integer"), {"zoneout": "0.5"}, "zoneout is '0.5', expected 0, or with"),
        ((s, "integer"), {"zoneout": None}, "zoneout is None, expected 0, or with"),
        ((s, "qdq"), {"codes": True}, "codes is true for 1 layers as qdq"),
        ((stack(2, 1), "integer"), {"codes": True}, "codes is true for 2 layers as integer"),
        ((Stack(((d, other),)), "integer"), {"codes": True}, "codes is true for directions that quantize x differently"),
        ((stack(1, 1, build=lambda g, r: pot_params(g, r, 16)), "qdq"), {"opset": 17}, "opset is 17, expected 21 or more"),
        ((stack(1, 1, build=lambda g, r: dynamic_params(g)), "qdq"), {}, "datapath is mshift-dynamic, expected mshift or pot"),
        ((Stack(((Direction(d.gru),),)), "integer"), {}, "params is missing, expected a quantized network"),
        ((Stack(((Direction(None, d.params),),)), "float"), {}, "layer 0 gru is missing, expected float weights"),
    ):
        with pytest.raises(ParameterError) as refused:
            build(*arguments, **options)
        assert sentence in str(refused.value)
    for path, named in ((tmp_path / "missing" / "model.onnx", tmp_path / "missing"), (tmp_path, tmp_path)):
        with pytest.raises(OSError) as failed:
            export(s, path, "integer")
        assert failed.value.filename == str(named)
    assert not any(tmp_path.iterdir())


def test_an_opset_that_onnxruntime_does_not_read_is_refused_by_qdq(monkeypatch, tmp_path):
    def too_new(model):
        raise ValueError("ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions")

    monkeypatch.setattr("quant_gru.onnx.session", too_new)
    with pytest.raises(ParameterError, match="^opset is 22, expected one that the installed onnxruntime reads"):
        export(stack(1, 1), tmp_path / "model.onnx", "qdq", opset=22)
    with pytest.raises(ValueError, match="guarantees"):
        export(stack(1, 1), tmp_path / "model.onnx", "qdq")
    assert not any(tmp_path.iterdir())


def test_qdq_refuses_a_zero_point_outside_the_element_type():
    from dataclasses import replace

    p = stack(1, 1, build=mshift_params).layers[0][0].params
    s = Stack(((Direction(None, replace(p, zp_x=300)),),))
    with pytest.raises(ParameterError, match="zero point of x is 300, expected one that int8 holds"):
        build(s, "qdq")
    x = np.full((3, 2, 3), 5, np.float32)
    assert (session(build(s, "integer")).run(["y"], {"x": x})[0] == s.run(x)[0]).all()


def test_without_onnx_the_extra_is_named(monkeypatch):
    import builtins

    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ParameterError.__mro__[1], match=r'onnx is not installed, expected it here: pip install "qgru\[onnx\]"'):
        build(stack(1, 1), "float")
