"""The integer ONNX network gives golden's codes: drawn problems, every optimization level, every length and batch."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, INT32
from golden.spec.rounding import Rounding
from quant_gru.boundary import point, quantize_input
from quant_gru.build import dynamic_params, mshift_params, pot_params
from tests.quant_gru.test_stack import reals, stack

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from quant_gru.onnx import build  # noqa: E402
from quant_gru.onnx_graph import OnnxEmitter  # noqa: E402
from quant_gru.onnx_integer_steps import saturate, shift_round, ties_up  # noqa: E402
from tests.quant_gru.onnx_drawn import LEVELS, differing, drawn, session  # noqa: E402

BUILDS = {
    "pot8": pot_params,
    "pot16": lambda g, r: pot_params(g, r, 16),
    "pot16-quadratic": lambda g, r: pot_params(g, r, 16, activation="piecewise_quadratic"),
    "pot8-direct": lambda g, r: pot_params(g, r, 8, activation="direct"),
    "pot5-even": lambda g, r: pot_params(g, r, 5, rounding=Rounding.TIES_EVEN),
    "mshift8": mshift_params,
    "mshift16-reciprocal": lambda g, r: mshift_params(g, r, gate_bits=16, reciprocal=True),
}


@settings(
    max_examples=150, derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(drawn, st.sampled_from(LEVELS))
def test_drawn_networks_differ_in_no_code(problem, level):
    compared, wrong = differing(problem, level)
    assert compared > 0 and wrong == 0


def equal(s, out, x, h0):
    expected = s.outputs(x, h0)
    codes = np.concatenate(expected.codes, -1)
    codes = np.swapaxes(codes, 0, 1) if s.batch_first else codes
    wanted = (expected.y, expected.h_n, codes, np.stack(expected.last_codes))
    pairs = list(zip(out, wanted, strict=True))
    return all((a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes()) for a, b in pairs)


@pytest.mark.parametrize("kind", BUILDS)
@pytest.mark.parametrize(("layers", "directions", "batch_first"), [(1, 1, False), (2, 2, True)])
def test_one_export_runs_at_every_length_and_batch(kind, layers, directions, batch_first):
    s = stack(layers, directions, build=BUILDS[kind], batch_first=batch_first)
    run = session(build(s, "integer", initial_state=True))
    for steps in (1, 7, 500):
        for batch in (1, 32) if steps < 500 or (layers, kind) == (1, "pot8") else (2,) * (layers == 1 or kind == "mshift8"):
            x = reals(*((batch, steps) if batch_first else (steps, batch)), 3)
            h0 = reals(layers * directions, batch, 4, seed=3)
            assert equal(s, run.run(None, {"x": x, "h0": h0}), x, h0)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["pot16-quadratic", "mshift16-reciprocal"])
def test_every_optimization_level_and_the_least_opset(kind, level):
    s, x = stack(2, 2, build=BUILDS[kind]), reals(9, 3, 3)
    for opset in (17, 21):
        model = build(s, "integer", opset=opset)
        assert [o.version for o in model.opset_import] == [opset]
        assert equal(s, session(model, level).run(None, {"x": x}), x, None)


@pytest.mark.parametrize("kind", ["pot16-quadratic", "pot5-even", "mshift16-reciprocal"])
def test_another_runtime_gives_the_same_codes(kind):
    from onnx.reference import ReferenceEvaluator

    s, x, h0 = stack(2, 1, build=BUILDS[kind]), reals(4, 3, 3), reals(2, 3, 4)  # that runtime reads a Scan forward only
    model = build(s, "integer", initial_state=True)
    assert equal(s, ReferenceEvaluator(model).run(None, {"x": x, "h0": h0}), x, h0)


@pytest.mark.parametrize("kind", ["pot8", "mshift8", "mshift16-reciprocal"])
def test_the_float_boundary_at_ties_infinities_and_nan(kind):
    s = stack(1, 1, build=BUILDS[kind])
    scale = np.float32(point(s.layers[0][0].params, "x").scale)
    ties = (np.arange(-300, 300, dtype=np.float32) + np.float32(0.5)) * scale
    corners = [np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45, -0.0, 0.0, 2.0**31, -(2.0**31), 1e-30, 2.0**24]
    finite = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)])
    model = session(build(s, "integer"))
    x = finite.reshape(-1, 1, 3)
    assert equal(s, model.run(None, {"x": x}), x, None)
    x = np.array(corners, np.float32).reshape(-1, 1, 3)  # a stack refuses what is not finite; the boundary has an answer for it
    params = s.layers[0][0].params
    assert (model.run(["y_codes"], {"x": x})[0] == forward(params, quantize_input(params, x)).output).all()


def one_step(make, v):
    e = OnnxEmitter(21, {"v", "out"})
    e.nodes.append(onnx.helper.make_node("Identity", [make(e)], ["out"]))
    info = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.INT64, ["N"]) for n in ("v", "out")]
    graph = onnx.helper.make_graph(e.nodes, "step", info[:1], info[1:], e.initializers)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    return session(model).run(None, {"v": np.array(v, np.int64)})[0].tolist()


def test_saturate_beyond_32_bits():
    v = [2659489151, 2**31, 2**31 - 1, -(2**31) - 1, -3793751811, 2**62, -(2**62), 127, -129]
    assert one_step(lambda e: saturate(e, "v", INT8), v) == [127, 127, 127, -128, -128, 127, -128, 127, -128]
    high, low = 2**31 - 1, -(2**31)
    assert one_step(lambda e: saturate(e, "v", INT32), v) == [high, high, high, low, low, high, low, 127, -129]


def test_roundings_at_their_ties():
    v = [-5, -3, -2, -1, 0, 1, 2, 3, 5]
    assert one_step(lambda e: ties_up(e, "v", 1), v) == [-2, -1, -1, 0, 0, 1, 1, 2, 3]
    away, even = Rounding.TIES_AWAY, Rounding.TIES_EVEN
    assert one_step(lambda e: shift_round(e, "v", 1, away), v) == [-3, -2, -1, -1, 0, 1, 1, 2, 3]
    assert one_step(lambda e: shift_round(e, "v", 1, even), v) == [-2, -2, -1, 0, 0, 0, 1, 2, 2]
    assert one_step(lambda e: shift_round(e, "v", 2, even), [2, -2, 6, -6, 3, 10, 14]) == [0, 0, 2, -2, 1, 2, 4]
    assert one_step(lambda e: shift_round(e, "v", -3, away), [5, -5]) == [40, -40]
    edge = [2**62 - 1, 2**62, -(2**62), 2**63 - 1, -(2**63) + 1]
    assert one_step(lambda e: shift_round(e, "v", 63, away), edge) == [0, 1, -1, 1, -1]
    assert one_step(lambda e: shift_round(e, "v", 63, even), edge) == [0, 0, 0, 1, -1]
    assert one_step(lambda e: shift_round(e, "v", 64, away), edge) == [0] * 5
    each = np.array([1, 0, -2, 64, 2])
    assert one_step(lambda e: shift_round(e, "v", each, away), [3, 3, 3, 2**62, -6]) == [2, 3, 12, 0, -2]
    assert one_step(lambda e: shift_round(e, "v", each, even), [1, 3, 3, 2**62, -6]) == [0, 3, 12, 0, -2]


def test_no_float_and_no_risky_operator_inside_the_scan():
    for kind in BUILDS:
        model = build(stack(1, 2, build=BUILDS[kind]), "integer", initial_state=True)
        scans = [n for n in model.graph.node if n.op_type == "Scan"]
        assert len(scans) == 2
        for scan in scans:
            body = next(a.g for a in scan.attribute if a.name == "body")
            assert {i.name for i in body.initializer} <= {name for n in body.node for name in n.input}
            kinds = {onnx.TensorProto.DataType.Name(i.data_type) for i in body.initializer}
            assert kinds <= {"INT8", "INT16", "INT32", "INT64"}
            operators = {n.op_type for n in body.node}
            assert not operators & {"Clip", "Min", "Max", "Sign", "MatMulInteger", "Round", "QuantizeLinear", "Sigmoid", "Tanh"}


def test_dynamic_ranges_are_refused():
    sentence = "datapath is mshift-dynamic, expected mshift or pot: a graph has no moving ranges"
    with pytest.raises(ParameterError, match=sentence):
        build(stack(1, 1, build=lambda g, r: dynamic_params(g)), "integer")
