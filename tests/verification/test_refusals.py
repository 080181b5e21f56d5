"""What golden, the judge and the twin refuse, they refuse with one sentence: the same one."""

from __future__ import annotations

import numpy as np
import pytest

import cuda_impl.rescale as twin
import golden.rescale as golden
import verification.exact.rescale as judge
from golden.spec.errors import RangeError

TINY, HUGE = float(np.float32(2.0**-149)), float(np.float32(2.0**127))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"s_w": HUGE, "s_x": 4.0}, "s_Wx is inf, expected a finite number in the range of binary32"),
        ({"s_r": TINY, "s_h": 0.25}, "s_Rh is 0.0, expected a finite number in the range of binary32"),
        ({"s_r": TINY, "s_h": 1.0}, "s_one*s_Rh is 0.0, expected a finite number in the range of binary32"),
    ],
)
@pytest.mark.parametrize("module", [golden, judge, twin], ids=["golden", "judge", "twin"])
def test_a_product_of_scales_outside_binary32(module, changes, sentence):
    scales = dict.fromkeys(("s_w", "s_r", "s_x", "s_h", "s_bx", "s_br", "s_z", "s_r_gate", "s_g"), 1.0) | changes
    with pytest.raises(RangeError) as refused:
        module.derive_mshifts(**scales)
    assert str(refused.value) == sentence
