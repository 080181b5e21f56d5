"""The MShifts of a static set: one shift for all where that holds every factor, another where it does not."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from golden.rescale import derive_mshifts  # noqa: E402
from golden.sequence import forward  # noqa: E402
from golden.spec.errors import ParameterError  # noqa: E402
from golden.spec.params import MShift  # noqa: E402
from quant_gru import QuantGRU  # noqa: E402
from quant_gru.accuracy import sqnr_db  # noqa: E402
from quant_gru.boundary import quantize_input, states_real  # noqa: E402
from quant_gru.multipliers import fitted_mshifts  # noqa: E402
from verification.exact.sequence import forward as judge  # noqa: E402

ORDINARY = [2.0**-8, 2.0**-8, 2.0**-6, 2.0**-7, 2.0**-14, 2.0**-14, 2.0**-4, 2.0**-4, 2.0**-5]
"""s_w, s_r, s_x, s_h, s_bx, s_br, s_z, s_r_gate, s_g"""


def changed(**scales):
    names = ["s_w", "s_r", "s_x", "s_h", "s_bx", "s_br", "s_z", "s_r_gate", "s_g"]
    return [scales.get(name, value) for name, value in zip(names, ORDINARY)]


def test_ordinary_factors_keep_the_two_shifts():
    found = fitted_mshifts(*ORDINARY)
    assert found == derive_mshifts(*ORDINARY, shift=18, shift_bias=24)
    assert (found["m_z"], found["m_br_g"]) == (MShift(256, 18), MShift(2**25, 24))


def test_a_factor_that_would_vanish_takes_a_greater_shift():
    found = fitted_mshifts(*changed(s_x=2.0**-10, s_bx=2.0**-18, s_br=2.0**-18, s_g=2.0**-2))
    assert (found["m_z"], found["m_g"]) == (MShift(2**15, 29), MShift(2**15, 31))  # 2**-14 and 2**-16, 16 and 4 at shift 18
    tiny = fitted_mshifts(*changed(s_x=2.0**-22, s_bx=2.0**-30, s_br=2.0**-30))
    assert tiny["m_z"] == MShift(2**5, 31)  # 2**-26, 0 at shift 18
    assert tiny["m_bx"] == MShift(2**24, 24)


def test_sixty_four_is_enough():
    found = fitted_mshifts(*changed(s_x=2.0**-8, s_bx=2.0**-16, s_br=2.0**-16))
    assert (found["m_z"], found["m_g"]) == (MShift(64, 18), MShift(128, 18))


def test_a_factor_that_would_not_fit_takes_a_smaller_shift():
    found = fitted_mshifts(*changed(s_x=2.0**3, s_bx=2.0**-5, s_br=2.0**-5))
    assert found["m_br_g"] == MShift(2**30, 20)  # 2**10
    assert found["m_br_z"] == MShift(2**24, 24)
    found = fitted_mshifts(*changed(s_r=2.0**8))
    assert found["m_Rh_z"] == MShift(2**30, 15)  # 2**15
    assert found["m_rRh"] == MShift(8454660, 15)  # 2**15 / 127; its limit is 2**24 - 1
    assert fitted_mshifts(*changed(s_r=2.0**17))["m_rRh"].shift == 6


@pytest.mark.parametrize(
    "scales, options, name",
    [
        ({"s_x": 8.0, "s_bx": 2.0**-5, "s_br": 2.0**-5}, {"shift_bias": 24}, "m_br_g"),
        ({"s_x": 8.0, "s_bx": 2.0**-5, "s_br": 2.0**-5}, {"shift": 18, "shift_bias": 24}, "m_br_g"),
        ({"s_r": 2.0**8}, {"shift": 18}, "m_Rh_z"),
        ({"s_r": 2.0**30}, {}, "m_Rh_z"),
    ],
)
def test_what_no_shift_holds_is_refused_and_a_given_shift_stays(scales, options, name):
    with pytest.raises(ParameterError, match=f"^{name} is [0-9]+, expected a multiplier of at most 2147483647"):
        fitted_mshifts(*changed(**scales), **options)


def test_a_given_shift_is_used_though_a_factor_vanishes():
    found = fitted_mshifts(*changed(s_x=2.0**-22, s_bx=2.0**-30, s_br=2.0**-30), shift=15)
    assert (found["m_z"], found["m_bx"]) == (MShift(0, 15), MShift(2**24, 24))


def made(x, change=None):
    torch.manual_seed(3)
    module = QuantGRU(4, 6).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(2)
        if change:
            change(module)
    module.datapath = "mshift"
    module.calibrate(x)
    module.use_quantization = True
    return module


X = torch.from_numpy(np.random.Generator(np.random.PCG64(4)).standard_normal((9, 5, 4)).astype(np.float32))


def codes_agree(module, x, tmp_path):
    (params,) = module.quant_params()[0]
    codes = quantize_input(params, x.numpy())
    trace = forward(params, codes)
    with torch.no_grad():
        y = module(x)[0].numpy()
    module.export_onnx(tmp_path / "model.onnx")
    told = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"]).run(None, {"x": x.numpy()})
    assert np.array_equal(y, states_real(params, trace)) and np.array_equal(told[0], y)
    assert np.array_equal(judge(params, codes[:, :1]).output, trace.output[:, :1])
    return y


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-3, 1e-2])
def test_quiet_data_keep_their_accuracy(size, tmp_path):
    x = X * size
    module = made(x)
    y = codes_agree(module, x, tmp_path)
    assert sqnr_db([module.to_float()(x)[0].detach().numpy()], [y]) > 25  # 0 dB, 0 dB, 17 dB and 22 dB with one shift for all


@pytest.mark.parametrize("size", [1e3, 1e5])
def test_loud_data_are_not_refused(size, tmp_path):
    x = X * size
    module = made(x)
    assert module.quant_params()[0][0].m_br_g.shift < 24
    y = codes_agree(module, x, tmp_path)
    assert sqnr_db([module.to_float()(x)[0].detach().numpy()], [y]) > 25


def test_all_weights_zero(tmp_path):
    def silence(module):
        for weight in module.parameters():
            weight.zero_()

    module = made(X, silence)
    assert not codes_agree(module, X, tmp_path).any()


def test_shifts_follow_weights_that_change(tmp_path):
    module = made(X)
    assert module.quant_params()[0][0].m_z.shift == 18
    with torch.no_grad():
        module.weight_ih_l0.mul_(1e-3)
    params = module.quant_params()[0][0]
    assert params.m_z.shift > 18 and params.m_z.multiplier > 2**13
    assert (params.m_one, params.m_bx) == (MShift(2064, 18), MShift(2**24, 24))
    codes_agree(module, X, tmp_path)
    with torch.no_grad():
        module.weight_ih_l0.mul_(1e3)
    assert module.quant_params()[0][0].m_z.shift == 18
