"""Saturation and the roundings, against the judge.  [SPEC F-2, R-1 ... R-4]"""

from __future__ import annotations

import numpy as np
import pytest

from golden import rounding
from golden.spec.errors import WidthError
from golden.spec.rounding import Rounding
from tests.golden.sweep import INT64_EDGES, NARROW, assert_same, judged
from verification.exact import rounding as judge

NAMES = ("ties_up", "ties_away", "ties_even")
VALUES = np.arange(-2100, 2101)


@pytest.mark.parametrize("fmt", NARROW, ids=str)
def test_saturate_all_values(fmt):
    v = np.arange(-300, 301)
    assert_same(rounding.saturate(v, fmt), judged(lambda v: judge.saturate(v, fmt), v))


@pytest.mark.parametrize("name", NAMES)
def test_every_12_bit_value_and_every_shift(name):
    v, s = VALUES[:, None], np.arange(0, 15)[None, :]
    assert_same(getattr(rounding, name)(v, s), judged(getattr(judge, name), v, s))


@pytest.mark.parametrize("name", NAMES)
def test_wide_values_and_wide_shifts(name):
    v, s = np.array(INT64_EDGES)[:, None], np.array([0, 1, 2, 30, 31, 32, 52, 53, 61, 62, 63, 64, 65, 70, 200])[None, :]
    assert_same(getattr(rounding, name)(v, s), judged(getattr(judge, name), v, s))


@pytest.mark.parametrize("name", ["ties_away", "ties_even"])
def test_left_shifts(name):
    v, s = VALUES[:, None], np.arange(-40, 1)[None, :]
    assert_same(getattr(rounding, name)(v, s), judged(getattr(judge, name), v, s))


@pytest.mark.parametrize("name", ["ties_away", "ties_even"])
@pytest.mark.parametrize(("v", "s"), [(1, -63), (2**62, -1), (-3, -62), (1, -64), (-(2**63), -1)])
def test_a_left_shift_out_of_int64_is_refused(name, v, s):
    with pytest.raises(WidthError, match="left shift"):
        getattr(rounding, name)(v, s)


@pytest.mark.parametrize("name", ["ties_away", "ties_even"])
def test_the_greatest_left_shifts_that_fit(name):
    step = getattr(rounding, name)
    assert int(step(-1, -63)) == -(2**63)
    assert int(step(0, -200)) == 0
    assert int(step(2**62 - 1, -1)) == 2**63 - 2


def test_ties_up_takes_no_left_shift():
    with pytest.raises(ValueError):
        rounding.ties_up(1, -1)


@pytest.mark.parametrize(
    ("name", "codes"),
    [("ties_up", [-1, 0, 1, 2]), ("ties_away", [-2, -1, 1, 2]), ("ties_even", [-2, 0, 0, 2])],
)
def test_halves(name, codes):
    """-1.5, -0.5, 0.5, 1.5"""
    assert getattr(rounding, name)(np.array([-3, -1, 1, 3]), 1).tolist() == codes


@pytest.mark.parametrize(
    ("rounding_name", "code"), [(Rounding.TIES_UP, -1), (Rounding.TIES_AWAY, -2), (Rounding.TIES_EVEN, -2)]
)
def test_shift_round_dispatch(rounding_name, code):
    assert int(rounding.shift_round(-3, 1, rounding_name)) == code
    v, s = VALUES[:, None], np.arange(0, 6)[None, :]
    assert_same(rounding.shift_round(v, s, rounding_name), judged(lambda v, s: judge.shift_round(v, s, rounding_name), v, s))
