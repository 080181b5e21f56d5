"""Stacks of layers and directions: the float network, the integer network, reals in between."""

import numpy as np
import pytest

from cuda_impl.sequence import forward as twin
from golden.quantize import dequantize, quantize
from golden.sequence import forward as golden
from golden.spec.errors import ParameterError
from quant_gru.boundary import point
from quant_gru.build import dynamic_params, mshift_params, pot_params
from quant_gru.calibrate import calibrate
from quant_gru.float_gru import FloatGru, run
from quant_gru.load import NamedGru
from quant_gru.stack import Direction, Stack, stack_of


def gru(rng, inputs, hidden):
    shapes = ((inputs, 3 * hidden), (hidden, 3 * hidden), (3 * hidden,), (3 * hidden,))
    return FloatGru(*(rng.standard_normal(s).astype(np.float32) * np.float32(0.5) for s in shapes))


def stack(layers, directions, *, build=pot_params, inputs=3, hidden=4, batch_first=False, seed=0):
    rng = np.random.default_rng(seed)
    out = []
    for i in range(layers):
        size = inputs if i == 0 else directions * hidden
        x = rng.standard_normal((6, 4, size)).astype(np.float32)
        members = [gru(rng, size, hidden) for _ in range(directions)]
        made = [build(g, calibrate(g, [x], reverse=j == 1)) for j, g in enumerate(members)]
        out.append(tuple(Direction(g, p, j == 1) for j, (g, p) in enumerate(zip(members, made))))
    return Stack(tuple(out), batch_first)


def reals(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_one_layer_is_quantize_golden_dequantize():
    s = stack(1, 1)
    p, x = s.layers[0][0].params, reals(5, 2, 3)
    scale, zero_point, fmt, _ = point(p, "x")
    codes = golden(p, quantize(x, scale, zero_point, fmt))
    scale, zero_point, _, _ = point(p, "h")
    y, h_n = s.run(x)
    assert (y == dequantize(codes.output, scale, zero_point)).all() and y.dtype == np.float32
    assert (h_n == dequantize(codes.h_n, scale, zero_point)[None]).all()


def test_two_layers_of_two_directions_in_steps():
    s, x = stack(2, 2), reals(5, 2, 3)
    out = s.outputs(x, reals(4, 2, 4, seed=2))
    h0, value = reals(4, 2, 4, seed=2), x
    for i, layer in enumerate(s.layers):
        parts = []
        for j, d in enumerate(layer):
            (sx, zx, fx, _), (sh, zh, fh, _) = point(d.params, "x"), point(d.params, "h")
            t = golden(d.params, quantize(value, sx, zx, fx), quantize(h0[2 * i + j], sh, zh, fh), reverse=j == 1)
            assert (out.traces[i][j].h == t.h).all()
            assert (out.h_n[2 * i + j] == dequantize(t.h[1] if j else t.h[-1], sh, zh)).all()
            parts.append(dequantize(t.output, sh, zh))
        value = np.concatenate(parts, -1)
    assert (out.y == value).all() and out.y.shape == (5, 2, 8) and out.h_n.shape == (4, 2, 4)
    assert [c.shape for c in out.codes] == [(5, 2, 4)] * 2 and len(out.last_codes) == 4


@pytest.mark.parametrize("build", [pot_params, mshift_params, lambda g, ranges: dynamic_params(g)])
def test_golden_and_the_twin_give_the_same_reals(build):
    s, x = stack(2, 2, build=build), reals(4, 3, 3)
    a, b = s.run(x, reals(4, 3, 4)), s.run(x, reals(4, 3, 4), forward=twin)
    assert a[0].tobytes() == b[0].tobytes() and a[1].tobytes() == b[1].tobytes()


def test_batch_first_turns_x_and_y_and_not_the_states():
    a, b, x = stack(2, 2), stack(2, 2, batch_first=True), reals(5, 2, 3)
    (y, h), (yb, hb) = a.run(x), b.run(np.swapaxes(x, 0, 1))
    assert (np.swapaxes(yb, 0, 1) == y).all() and (h == hb).all() and yb.flags.c_contiguous


def test_no_steps_gives_the_initial_state():
    s = stack(1, 2)
    y, h_n = s.run(reals(0, 2, 3))
    assert y.shape == (0, 2, 8) and (h_n == 0).all()
    s = stack(1, 1, build=lambda g, ranges: dynamic_params(g))
    assert s.run(reals(0, 2, 3))[0].shape == (0, 2, 4)


def test_the_float_network_is_the_layers_one_after_another():
    s, x = stack(2, 2), reals(5, 2, 3)
    y, h_n = s.run_float(x)
    below = np.concatenate([run(d.gru, x, reverse=d.reverse)["h"][1:] for d in s.layers[0]], -1)
    above = [run(d.gru, below, reverse=d.reverse)["h"] for d in s.layers[1]]
    assert (y == np.concatenate([h[1:] for h in above], -1)).all()
    assert (h_n[2:] == np.stack([above[0][-1], above[1][1]])).all()


def test_stack_of_a_file():
    s = stack(2, 2)
    named = [
        NamedGru(f"gru.l{i}", "gru.", i, d.reverse, d.gru) for i, layer in enumerate(s.layers) for d in layer
    ]
    made = stack_of(named, batch_first=True)
    assert made.directions == 2 and len(made.layers) == 2 and made.batch_first and not made.quantized
    assert made.with_params([[d.params for d in layer] for layer in s.layers]).quantized
    with pytest.raises(ParameterError, match="the members of one group"):
        stack_of([named[0], NamedGru("b", "b.", 0, True, named[1].gru)])


def test_refusals_name_the_layer():
    a, b = stack(1, 1), stack(1, 2)
    d = a.layers[0][0]
    with pytest.raises(ParameterError, match=r"layers is empty"):
        Stack(())
    with pytest.raises(ParameterError, match=r"layer 1 \(C, H\) is \(3, 4\)"):
        Stack(((d,), (d,)))
    with pytest.raises(ParameterError, match=r"layer 0 reverse is \[True\]"):
        Stack(((Direction(d.gru, None, True),),))
    with pytest.raises(ParameterError, match="without weights and parameters"):
        Direction(None)
    with pytest.raises(ParameterError, match=r"params \(C, H\)"):
        Direction(gru(np.random.default_rng(0), 2, 2), d.params)
    with pytest.raises(ParameterError, match="layer 0 params is missing"):
        Stack(((Direction(d.gru),),)).run(reals(2, 2, 3))
    with pytest.raises(ParameterError, match="layer 0 gru is missing"):
        Stack(((Direction(None, d.params),),)).run_float(reals(2, 2, 3))
    with pytest.raises(ParameterError, match=r"h0 is an array of shape \[1, 2, 4\]"):
        b.run(reals(2, 2, 3), reals(1, 2, 4))
    with pytest.raises(ParameterError, match="x is an array of float64"):
        a.run(np.zeros((2, 2, 3)))
    with pytest.raises(ParameterError, match="scale of x is one that moves"):
        point(dynamic_params(d.gru), "x")
