"""Building parameter sets: what is refused names the operator."""

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from quant_gru.build import pot_params
from quant_gru.calibrate import calibrate
from quant_gru.float_gru import FloatGru


def test_a_range_too_wide_for_an_exponent_names_its_operator():
    wide, zeros = np.full((1, 3), 1e30, np.float32), np.zeros(3, np.float32)
    gru = FloatGru(wide, np.zeros((1, 3), np.float32), zeros, zeros)
    with pytest.raises(ParameterError, match="^matmul.Wx raw scale is .*, expected a scale of at most"):
        pot_params(gru, calibrate(gru, [np.ones((1, 1, 1), np.float32)]))
