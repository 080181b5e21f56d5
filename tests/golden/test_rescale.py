"""Multiplier and shift, against the judge.  [SPEC M-1 ... M-6]"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from golden import rescale as golden
from golden.spec.errors import ParameterError, RangeError, WidthError
from golden.spec.formats import INT8, INT16, IntFormat
from golden.spec.params import MShift
from tests.golden.sweep import NARROW, assert_same, floats_of_every_exponent, judged
from verification.exact import rescale as judge

INT32_EDGES = np.array([-(2**31), -(2**31) + 1, -(2**30), -65537, -3, -1, 0, 1, 2, 65536, 2**30 + 1, 2**31 - 2, 2**31 - 1])
EDGES = [MShift(m, s) for m in (0, 1, 3, 2**15, 2**30 - 1, 2**31 - 1) for s in (0, 1, 2, 15, 18, 30, 31)]


@pytest.mark.parametrize("shift", range(0, 14))
def test_every_6_bit_value_and_multiplier(shift):
    v = np.arange(-33, 33)
    for multiplier in range(64):
        m = MShift(multiplier, shift)
        assert_same(golden.apply(v, m), judged(judge.apply, v, then=(m,)))


@pytest.mark.parametrize("fmt", NARROW, ids=str)
def test_requantize_every_6_bit_value(fmt):
    v = np.arange(-33, 33)
    for multiplier, shift, zero_point in itertools.product((0, 1, 3, 5, 31), (0, 1, 2, 3, 5), (fmt.qmin - 1, 0, 1, fmt.qmax)):
        m = MShift(multiplier, shift)
        assert_same(golden.requantize(v, m, zero_point, fmt), judged(judge.requantize, v, then=(m, zero_point, fmt)))


def test_ends_of_int32():
    for m in EDGES:
        assert_same(golden.apply(INT32_EDGES, m), judged(judge.apply, INT32_EDGES, then=(m,)))
        assert_same(golden.align(INT32_EDGES, m), judged(judge.align, INT32_EDGES, then=(m,)))
        for fmt, zp in itertools.product((INT8, INT16, IntFormat(2, True)), (0, 2**31 - 1, -(2**31))):
            assert_same(golden.requantize(INT32_EDGES, m, zp, fmt), judged(judge.requantize, INT32_EDGES, then=(m, zp, fmt)))


def test_a_value_beyond_int32_is_refused():
    with pytest.raises(WidthError, match="2147483648"):
        golden.apply([2**31], MShift(1, 0))


@pytest.mark.parametrize("shift", [0, 1, 15, 18, 24, 31])
def test_derive_scales_of_every_exponent(shift):
    scales = np.abs(floats_of_every_exponent(3, 2))
    scales = scales[scales > 0]
    others = np.roll(scales, 7), np.roll(scales, 101), np.full(len(scales), np.float32(1 / 127)), scales
    for other in others:
        for limit in (2**31 - 1, 2**24 - 1):
            for a, b in zip(scales.tolist(), other.tolist()):
                assert golden.derive(a, b, shift, limit, True) == judge.derive(a, b, shift, limit, True), (a, b)


def test_derive_ties_go_up():
    assert golden.derive(2.5, 1.0, 0) == MShift(3, 0)
    assert golden.derive(0.5, 1.0, 0) == MShift(1, 0)
    assert golden.derive(float(np.float32(0.1)), 3.0, 18) == judge.derive(float(np.float32(0.1)), 3.0, 18)


def test_a_static_multiplier_beyond_the_limit_is_refused():
    for module in (golden, judge):
        with pytest.raises(ParameterError, match="at most 2147483647"):
            module.derive(2.0**13, 1.0, 18)
        with pytest.raises(ParameterError, match="at most 16777215"):
            module.derive(64.0, 1.0, 18, 2**24 - 1)
        with pytest.raises(ParameterError):
            module.derive(2.0**100, 2.0**-100, 18)
    assert golden.derive(2.0**100, 2.0**-100, 18, saturating=True) == MShift(2**31 - 1, 18)
    assert golden.derive(2.0**-100, 2.0**100, 31) == MShift(0, 31)


@pytest.mark.parametrize("real", [1.0, 0.5, 1.999999, 0.7, 1 / 3, 65535.4, 2.0**-16, 32767.5, 32768.0, 0.99999999])
def test_normalized(real):
    assert golden.normalized(real) == judge.normalized(real)


def test_normalized_carry_and_refusals():
    assert golden.normalized(1 - 2.0**-30) == MShift(2**15, 15)
    for module in (golden, judge):
        for bad in (0.0, -1.0, float("inf"), float("nan"), 2.0**16, 2.0**-17, 65535.5):
            with pytest.raises(ParameterError):
                module.normalized(bad)


def test_scale_products():
    scales = np.abs(floats_of_every_exponent(4, 1)).tolist()
    for a, b in zip(scales, reversed(scales)):
        try:
            wanted = judge.scale_product(a, b, "s_Wx", 3)
        except RangeError as error:
            with pytest.raises(RangeError) as found:
                golden.scale_product(a, b, "s_Wx", 3)
            assert (found.value.tensor, found.value.step) == (error.tensor, error.step) == ("s_Wx", 3)
        else:
            assert golden.scale_product(a, b, "s_Wx", 3) == wanted


def test_all_twelve_multipliers():
    rng = np.random.default_rng(5)
    for _ in range(300):
        scales = [float(s) for s in np.ldexp(1 + rng.random(9), rng.integers(-20, 4, 9)).astype(np.float32)]
        for shift, shift_bias in ((18, 24), (15, 15), (0, 31)):
            options = {"shift": shift, "shift_bias": shift_bias, "saturating": True}
            assert golden.derive_mshifts(*scales, **options) == judge.derive_mshifts(*scales, **options)
