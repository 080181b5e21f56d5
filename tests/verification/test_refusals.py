"""What golden, the judge and the twin refuse, they refuse with one sentence: the same one."""

from __future__ import annotations

import numpy as np
import pytest

import cuda_impl.rescale as twin
import golden.rescale as golden
import verification.exact.rescale as judge
from cuda_impl import sequence as twin_sequence
from cuda_impl.fast.network import prepare
from golden import sequence as golden_sequence
from golden.spec.errors import RangeError, WidthError
from golden.spec.trace import DynamicState
from tests.golden import spec_sets as sets
from verification.exact import sequence as judge_sequence

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


@pytest.mark.parametrize("module", [golden, judge, twin], ids=["golden", "judge", "twin"])
@pytest.mark.parametrize(("step", "at"), [(None, ""), (3, " at step 3")])
def test_a_scale_that_is_no_scale_is_named_with_its_multiplier_and_the_step(module, step, at):
    for name, value, where in (("s_bx", float("inf"), "m_bx s_from"), ("s_g", 0.0, "m_g s_to")):
        scales = dict.fromkeys(("s_w", "s_r", "s_x", "s_h", "s_bx", "s_br", "s_z", "s_r_gate", "s_g"), 1.0) | {name: value}
        with pytest.raises(RangeError) as refused:
            module.derive_mshifts(**scales, shift=0, shift_bias=0, saturating=step is not None, step=step)
        assert str(refused.value) == f"{where}{at} is {value}, expected a finite number in the range of binary32"


RUNS = {
    "golden": golden_sequence.forward,
    "judge": judge_sequence.forward,
    "twin": lambda *run: twin_sequence.forward(*run, device="host"),
    "network": lambda p, *run: prepare(p, "host").forward(*run),
}


def start(s_h, zp_h, steps=0):
    """A state with a scale of its own, before the first step or after it."""
    moved = {} if steps == 0 else {"steps": steps, "x_min": -1.0, "x_max": 1.0, "s_b": 1.0}
    return DynamicState(np.array([[-128, 0, 127]]), s_h, zp_h, -1.0, 1.0, **moved)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(
    ("shift", "s_h", "zp_h", "reached"),
    [
        (0, 5.960467319710006e-08, 0, 2**31 - 1024 + 16256),  # m_gh = 132104
        (0, 5.960512083902358e-08, 127, 2**31 - 1024 - 16256 + 32385),  # m_gh = 132103
        (13, 2.0**-149, -128, 2**31 - 1 + 32385),  # m_gh = 2**31 - 1
    ],
)
def test_a_scale_of_h_that_is_given_and_too_small_for_S(run, shift, s_h, zp_h, reached):
    x = np.ones((1, 1, 2), np.float32)
    with pytest.raises(WidthError) as refused:
        run(sets.dynamic(shift=shift), x, start(s_h, zp_h))
    assert str(refused.value) == f"stage S can reach {reached}, expected a magnitude below 2147483648"


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_scale_of_h_that_is_given_and_just_large_enough_for_S(run):
    x = np.ones((1, 1, 2), np.float32)
    for shift, s_h, zp_h in ((0, 5.960512083902358e-08, 0), (14, 2.0**-100, -128), (18, 2.0**-100, 127)):
        run(sets.dynamic(shift=shift), x, start(s_h, zp_h))
    run(sets.dynamic(shift=0), x, start(2.0**-100, 127, steps=1))
