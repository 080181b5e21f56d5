"""The float network: order of the gates, and its equations."""

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru.float_gru import FloatGru, from_pytorch, run, sigmoid


def f32(*rows):
    return np.array(rows, np.float32)


def test_pytorch_order_r_z_n_becomes_z_r_g():
    weight_ih = f32([1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [13, 14, 15], [16, 17, 18])  # rows r0 r1 z0 z1 n0 n1
    weight_hh = f32([1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12])
    gru = from_pytorch(weight_ih, weight_hh, np.array([1, 2, 3, 4, 5, 6], np.float32), np.array([6, 5, 4, 3, 2, 1], np.float32))
    assert gru.W.tolist() == [[7, 10, 1, 4, 13, 16], [8, 11, 2, 5, 14, 17], [9, 12, 3, 6, 15, 18]]
    assert gru.R.tolist() == [[5, 7, 1, 3, 9, 11], [6, 8, 2, 4, 10, 12]]
    assert gru.bx.tolist() == [3, 4, 1, 2, 5, 6]
    assert gru.br.tolist() == [4, 3, 6, 5, 2, 1]
    assert (gru.input_size, gru.hidden_size) == (3, 2)


def test_missing_biases_are_zero():
    gru = from_pytorch(np.ones((3, 1), np.float32), np.ones((3, 1), np.float32))
    assert gru.bx.tolist() == gru.br.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "weight_ih, weight_hh, bias, field",
    [
        (np.ones((6, 1)), np.ones((6, 2), np.float32), None, "weight_ih is an array of float64"),
        (np.ones((6, 1), np.float32), np.ones((8, 2), np.float32), None, "weight_hh is an array of shape [8, 2]"),
        (np.ones((3, 1), np.float32), np.ones((6, 2), np.float32), None, "weight_ih is an array of shape [3, 1]"),
        (np.ones((6, 0), np.float32), np.ones((6, 2), np.float32), None, "weight_ih is an array of shape [6, 0]"),
        (np.ones((6, 1), np.float32), np.ones((6, 2), np.float32), np.ones(5, np.float32), "bias_ih is an array of shape [5]"),
        (np.ones((6, 1), np.float32), np.full((6, 2), np.nan, np.float32), None, "weight_hh[0, 0] is nan"),
    ],
)
def test_bad_weights_are_refused(weight_ih, weight_hh, bias, field):
    with pytest.raises(ParameterError) as error:
        from_pytorch(weight_ih, weight_hh, bias)
    assert str(error.value).startswith(field)


def test_zero_weights_halve_the_state():
    gru = FloatGru(*(np.zeros(s, np.float32) for s in ((2, 3), (1, 3), (3,), (3,))))
    out = run(gru, np.zeros((3, 1, 2), np.float32), np.array([[8.0]]))
    assert out["h"].ravel().tolist() == [8, 4, 2, 1]
    assert out["z"].ravel().tolist() == [0.5] * 3
    assert out["g"].ravel().tolist() == [0] * 3


def test_one_step_by_hand():
    # C = H = 1, x = 1, h0 = 0.5; z: 1 + 0.5*2 + 0.25 - 2.25 = 0; r likewise 0; A = 0.5*4 + 1 = 3; g_pre = 2 + 0.5*3 - 3.5 = 0
    bx, br = np.array([0.25, 0.25, -3.5], np.float32), np.array([-2.25, -2.25, 1], np.float32)
    gru = FloatGru(f32([1, 1, 2]), f32([2, 2, 4]), bx, br)
    out = {k: v.ravel().tolist() for k, v in run(gru, f32([[1]]), f32([0.5])).items()}
    assert out["Wx"] == [1, 1, 2]
    assert out["Rh"] == [1, 1, 2]
    assert (out["z_pre"], out["z"], out["r_pre"], out["r"]) == ([0], [0.5], [0], [0.5])
    assert (out["A"], out["P"], out["g_pre"], out["g"]) == ([3], [1.5], [0], [0])
    assert (out["O"], out["N"], out["h"]) == ([0.25], [0], [0.5, 0.25])


def test_every_operator_has_its_field():
    gru = FloatGru(f32([1, 1, 2]), f32([2, 2, 4]), np.zeros(3, np.float32), np.zeros(3, np.float32))
    out = run(gru, np.zeros((4, 2, 1), np.float32), dtype=np.float32)
    assert set(out) == set(OPERATOR_FIELDS.values())
    assert {k: v.shape for k, v in out.items() if k in ("x", "h", "Wx", "N")} == {
        "x": (4, 2, 1), "h": (5, 2, 1), "Wx": (4, 2, 3), "N": (4, 2, 1),
    }  # fmt: skip
    assert {v.dtype.name for v in out.values()} == {"float32"}


def test_reverse_reads_the_last_step_first_and_answers_in_time_order():
    rng = np.random.default_rng(5)
    gru = FloatGru(*(rng.standard_normal(s).astype(np.float32) for s in ((2, 9), (3, 9), (9,), (9,))))
    x, h0 = rng.standard_normal((4, 2, 2)), rng.standard_normal((2, 3))
    forward, backward = run(gru, x[::-1], h0), run(gru, x, h0, reverse=True)
    assert np.array_equal(backward["h"][0], h0)
    assert np.array_equal(backward["h"][1:], forward["h"][1:][::-1])
    assert np.array_equal(backward["g_pre"], forward["g_pre"][::-1])
    assert not np.array_equal(backward["h"], run(gru, x, h0)["h"])


def test_sigmoid_does_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]


def test_the_equations_are_those_of_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module = torch.nn.GRU(4, 5, bidirectional=True).double()
    x, h0 = torch.randn(6, 3, 4).double(), torch.randn(2, 3, 5).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(p.float().double())  # so that float32 holds the weights
        wanted = module(x, h0)[0].numpy()
    state = {k: v.float().numpy() for k, v in module.state_dict().items()}
    for direction, suffix in enumerate(("", "_reverse")):
        gru = from_pytorch(*(state[f"{k}_l0{suffix}"] for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))
        h = run(gru, x.numpy(), h0[direction].numpy(), reverse=bool(direction))["h"][1:]
        assert np.abs(h - wanted[..., direction * 5 : direction * 5 + 5]).max() < 1e-12
