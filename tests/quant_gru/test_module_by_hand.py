"""Exponents and zero points that are set by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from golden.spec.errors import ParameterError  # noqa: E402
from quant_gru import QuantGRU  # noqa: E402
from tests.quant_gru.test_module_state import calibrated  # noqa: E402


def test_exponents_by_hand():
    gru = calibrated()
    gru.finalize_calibration()
    gru.adjust_quant_config("gate.z_out", exponent=7, zero_point=3)
    for _ in range(2):
        op = gru.quant_params()[0][0].operators["gate.z_out"]
        assert (op.exponent, op.zero_point) == (7, 3)
        gru.calibrate(torch.randn(2, 2, 4))
    with pytest.raises(ParameterError, match="^gate.z_out exponent is 31"):
        gru.adjust_quant_config("gate.z_out", exponent=31)
    gru.reset_calibration()
    assert not gru.is_calibrated()


def test_by_hand_after_another_width_or_datapath():
    gru = calibrated()
    gru.finalize_calibration()
    gru.adjust_quant_config("input.x", bitwidth=16, exponent=np.int32(9), zero_point=np.int64(1000))
    copied = QuantGRU(4, 5)
    copied.load_state_dict(gru.state_dict())  # not yet made again
    for one in (gru, copied):
        op = one.quant_params()[0][0].operators["input.x"]
        assert (str(op.fmt), op.exponent, op.zero_point) == ("int16", 9, 1000)
    gru = calibrated("mshift")
    gru.finalize_calibration()
    gru.datapath = "pot"
    gru.adjust_quant_config("input.x", exponent=3)
    assert gru.quant_params()[0][0].operators["input.x"].exponent == 3


def test_a_refused_adjustment_changes_no_width(tmp_path):
    gru = calibrated()
    gru.export_quant_params(tmp_path / "params.json")
    gru.load_quant_params(tmp_path / "params.json")  # another width would drop them
    before = gru.get_quant_config()
    for op, wrong in (("input.x", {"exponent": 99}), ("input.x", {"zero_point": 2**31}), ("weight.W", {"exponent": 3})):
        with pytest.raises(ParameterError, match=f"{op}|operator is '{op}'"):
            gru.adjust_quant_config(op, bitwidth=4, **wrong)
    assert gru.get_quant_config() == before and gru.is_calibrated()
    with pytest.raises(ParameterError, match=r"^operator is \['input.x'\], expected one of"):
        gru.get_quant_config(["input.x"])
