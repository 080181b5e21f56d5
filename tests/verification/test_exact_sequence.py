"""The judge's time loop: layout, continuation, directions, batches, zoneout and refusals.  [SPEC S, Z, D, E-5]"""

from dataclasses import replace

import numpy as np
import pytest

from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import INT8, UINT8
from golden.spec.layout import field_shape, trace_fields
from golden.spec.params import MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.tables import PiecewiseQuadratic
from verification.exact.hidden import zoneout_blend, zoneout_factor, zoneout_mask
from verification.exact.rescale import derive_mshifts
from verification.exact.sequence import bidirectional, forward
from verification.exact.tables import direct_table, gate_table

T, N, C, H = 4, 3, 2, 2


def numbers(seed):
    return np.random.default_rng(seed)


def tables(bits):
    scale = 2.0**-5 if bits == 8 else 2.0**-12
    both = {"table_z": gate_table("sigmoid", scale, 0, bits), "table_g": gate_table("tanh", scale, 0, bits)}
    return both | {"table_r": both["table_z"], "s_z": scale, "s_r_gate": scale, "s_g": scale, "gate_bits": bits}


def static(bits=8):
    rng = numbers(1)
    gates = tables(bits)
    scales = {"s_w": 2.0**-7, "s_r": 2.0**-7, "s_x": 2.0**-6, "s_h": 2.0**-7, "s_bx": 2.0**-13, "s_br": 2.0**-13}
    mshifts = derive_mshifts(**scales, s_z=gates["s_z"], s_r_gate=gates["s_r_gate"], s_g=gates["s_g"])
    return MShiftParams(
        rng.integers(-128, 128, (C, 3 * H)), rng.integers(-128, 128, (H, 3 * H)), rng.integers(-5000, 5000, 3 * H),
        rng.integers(-5000, 5000, 3 * H), **scales, **mshifts, **gates, zp_x=-7, zp_h=12,
    )  # fmt: skip


def dynamic(bits=8, **choices):
    rng = numbers(2)
    reals = [rng.normal(size=s).astype(np.float32) for s in ((C, 3 * H), (H, 3 * H), (3 * H,), (3 * H,))]
    return MShiftDynamicParams(*reals, **tables(bits), **choices)


def pot():
    rng = numbers(3)
    e = {
        "input.x": 5, "input.h": 7, "matmul.Wx": 4, "matmul.Rh": 5, "gate.z_pre": 4, "gate.z_out": 8,
        "gate.r_pre": 4, "gate.r_out": 8, "gate.g_pre": 5, "gate.g_out": 7, "op.Rh_add_br": 4, "op.rRh": 5,
        "op.old_contrib": 7, "op.new_contrib": 7,
    }  # fmt: skip
    zp = {"input.x": 3, "input.h": -5, "gate.z_pre": 9, "op.rRh": -2, "op.old_contrib": 4}
    operators = {k: Operator(UINT8 if k in ("gate.z_out", "gate.r_out") else INT8, v, zp.get(k, 0)) for k, v in e.items()}
    for name in ("weight.W", "weight.R", "weight.bx", "weight.br"):
        operators[name] = Operator(INT8, rng.integers(5, 9, 3 * H))
    curve = [np.array([v]) for v in (0, 0, -1, 12, 3, 2, 1)]
    quadratic = PiecewiseQuadratic("tanh", *curve, INT8, INT8)
    sigma = {k: direct_table("sigmoid", scale_in=1 / 16, zero_point_in=zp.get(f"gate.{k}_pre", 0), fmt_in=INT8, one=256,
                             zero_point_out=0, fmt_out=UINT8) for k in "zr"}  # fmt: skip
    return PotParams(
        rng.integers(-128, 128, (C, 3 * H)), rng.integers(-128, 128, (H, 3 * H)), rng.integers(-128, 128, 3 * H),
        rng.integers(-128, 128, 3 * H), operators, sigma["z"], sigma["r"], quadratic,
    )  # fmt: skip


SETS = {
    "mshift": static(),
    "mshift-16": static(16),
    "dynamic": dynamic(),
    "dynamic-16": dynamic(16, reciprocal=True, x_symmetric=True),
    "pot": pot(),
}
everything = pytest.mark.parametrize("params", SETS.values(), ids=SETS)
STATIC = {k: SETS[k] for k in ("mshift", "mshift-16", "pot")}


def inputs(params, seed=9):
    rng = numbers(seed)
    if params.datapath == "mshift-dynamic":
        return (rng.normal(size=(T, N, C)) * 2).astype(np.float32), rng.normal(size=(N, H)).astype(np.float32)
    return rng.integers(-128, 128, (T, N, C)), rng.integers(-128, 128, (N, H))


def same(a, b):
    return list(a) == list(b) and all(a[k].dtype == b[k].dtype and a[k].tobytes() == b[k].tobytes() for k in a)


@everything
@pytest.mark.parametrize(("training", "zoneout"), [(False, 0.0), (False, 0.25), (True, 0.0), (True, 0.25)])
@pytest.mark.parametrize("steps", [0, T])
def test_the_trace_has_the_layout(params, training, zoneout, steps):
    x, h0 = inputs(params)
    mask = np.ones((steps, N, H), np.int8) if training else None
    trace = forward(params, x[:steps], h0, mask=mask, zoneout=zoneout, training=training)
    layout = trace_fields(params.datapath, training=training, zoneout=zoneout > 0 and not training)
    sizes = {"steps": steps, "batch": N, "inputs": C, "hidden": H}
    found = [(k, a.shape, str(a.dtype), a.flags.c_contiguous) for k, a in trace.fields.items()]
    assert found == [(f.name, field_shape(f.axes, **sizes), f.dtype, True) for f in layout]


@everything
@pytest.mark.parametrize("split", [0, 1, 3, 4])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_split_run_continues_bit_for_bit(params, split, reverse):
    x, h0 = inputs(params)
    whole = forward(params, x, h0, reverse=reverse)
    parts = [x[split:], x[:split]] if reverse else [x[:split], x[split:]]
    first = forward(params, parts[0], h0, reverse=reverse)
    second = forward(params, parts[1], first.state or first.h_n, reverse=reverse)
    early, late = (second, first) if reverse else (first, second)
    for f in trace_fields(params.datapath, training=False, zoneout=False):
        if f.axes.startswith("T"):
            assert np.concatenate([early[f.name], late[f.name]]).tolist() == whole[f.name].tolist(), f.name
    assert np.concatenate([early.output, late.output]).tolist() == whole.output.tolist()
    assert second.h_n.tolist() == whole.h_n.tolist()
    if whole.state is not None:
        a, b = whole.state, second.state
        assert (a.s_h, a.zp_h, a.h_min, a.h_max, a.steps, a.x_min, a.x_max, a.s_b) == (
            b.s_h, b.zp_h, b.h_min, b.h_max, b.steps, b.x_min, b.x_max, b.s_b)  # fmt: skip


@everything
def test_reverse_is_forward_on_the_reversed_input(params):
    x, h0 = inputs(params)
    mask = numbers(4).integers(0, 2, (T, N, H))
    backward = forward(params, x, h0, mask=mask, training=True, reverse=True)
    flipped = forward(params, x[::-1], h0, mask=mask[::-1], training=True)
    for f in trace_fields(params.datapath, training=True, zoneout=False):
        want = flipped[f.name][::-1] if f.axes.startswith("T") else flipped[f.name]
        if f.name == "h":
            want = np.concatenate([want[:1], want[1:][::-1]])
        assert backward[f.name].tolist() == want.tolist(), f.name
    assert backward.h_n.tolist() == flipped.h_n.tolist() == backward.h[1].tolist()


@pytest.mark.parametrize("params", STATIC.values(), ids=STATIC)
def test_rows_are_independent(params):
    x, h0 = inputs(params)
    order = [2, 0, 1]
    assert forward(params, x[:, order], h0[order]).h.tolist() == forward(params, x, h0).h[:, order].tolist()


def test_rows_are_coupled_by_the_ranges():
    x, h0 = inputs(SETS["dynamic"])
    x[:, 2] *= 10
    assert forward(SETS["dynamic"], x[:, :1], h0[:1])["x"].tolist() != forward(SETS["dynamic"], x, h0)["x"][:, :1].tolist()


@everything
def test_bidirectional(params):
    x, h0 = inputs(params)
    both = bidirectional(params, params, x, (h0, None), zoneout=0.5)
    assert same(both.forward, forward(params, x, h0, zoneout=0.5))
    assert same(both.backward, forward(params, x, zoneout=0.5, reverse=True))
    assert both.output.shape == (T, N, 2 * H) and both.output[:, :, H:].tolist() == both.backward.output.tolist()


@everything
def test_a_full_zoneout_keeps_the_state(params):
    x, h0 = inputs(params)
    one = forward(params, x, h0, zoneout=1.0)
    mask = forward(params, x, h0, mask=np.ones((T, N, H), np.int64), training=True)
    for trace in (one, mask):
        kept = trace["h_q"] if params.datapath == "mshift-dynamic" else trace.h[:-1]
        assert trace.output.tolist() == kept.tolist()


@everything
def test_a_tiny_zoneout_changes_nothing(params):
    x, h0 = inputs(params)
    assert zoneout_factor(2.0**-17) == 0
    assert forward(params, x, h0, zoneout=2.0**-17).h.tolist() == forward(params, x, h0).h.tolist()


def test_zoneout_by_hand():
    assert [zoneout_factor(p) for p in (0.0, 0.5, 1.0, 0.1, 2.0**-16, 3 * 2.0**-16)] == [0, 16384, 32768, 3277, 0, 2]
    assert zoneout_blend(16384, 4, 1, 1, INT8) == (16384 * 3, 3)  # 1.5 -> 2, + 1
    assert zoneout_blend(16384, -2, 1, 1, INT8) == (16384 * -3, 0)  # -1.5 -> -1, + 1
    assert [zoneout_mask(m, 5, 6) for m in (0, 1)] == [6, 5]


def test_missing_states():
    assert forward(SETS["mshift"], np.zeros((0, 1, C), int)).h.tolist() == [[[12, 12]]]
    assert forward(replace(SETS["mshift"], zp_h=300), np.zeros((0, 1, C), int)).h.tolist() == [[[127, 127]]]
    assert forward(SETS["pot"], np.zeros((0, 1, C), int)).h.tolist() == [[[-5, -5]]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("reverse", [False, True])
def test_an_input_that_is_not_finite_is_refused_with_its_step(bad, reverse):
    x, h0 = inputs(SETS["dynamic"])
    x[2, 1, 0] = bad
    with pytest.raises(RangeError) as error:
        forward(SETS["dynamic"], x, h0, reverse=reverse)
    assert (error.value.tensor, error.value.step) == ("x", 2)


def test_widths_and_products_beyond_binary32_are_refused():
    x, _ = inputs(SETS["dynamic"])
    wide = x.copy()
    wide[1, 0], wide[1, 1] = -3e38, 3e38
    with pytest.raises(RangeError, match="x at step 0 is inf"):
        forward(SETS["dynamic"], wide[1:])
    with pytest.raises(RangeError, match="h0 is inf"):
        forward(SETS["dynamic"], x, np.array([[-3e38, 3e38]] * N, np.float32))
    heavy = replace(SETS["dynamic"], W=np.full((C, 3 * H), 1e38, np.float32))
    with pytest.raises(RangeError, match="s_Wx at step 0 is inf"):
        forward(heavy, np.full((1, 1, C), 1e38, np.float32))
    heavy = replace(SETS["dynamic"], R=np.full((H, 3 * H), 3e38, np.float32))
    with pytest.raises(RangeError, match="s_Rh at step 0 is inf"):
        forward(heavy, np.zeros((1, 1, C), np.float32), np.full((1, H), 3e38, np.float32))


def test_options_are_checked():
    x, h0 = inputs(SETS["mshift"])
    with pytest.raises(ParameterError, match="mask is given without training"):
        forward(SETS["mshift"], x, h0, mask=np.ones((T, N, H), int))
    with pytest.raises(ParameterError, match="mask is missing"):
        forward(SETS["mshift"], x, h0, training=True, zoneout=0.5)
    with pytest.raises(ParameterError, match="h0"):
        forward(SETS["mshift"], x, h0 + 1000)
    with pytest.raises(ParameterError, match="x is an array of int64, expected float32"):
        forward(SETS["dynamic"], x, None)
