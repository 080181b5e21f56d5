"""A set that could leave a width is refused, naming the stage and the channel.  [SPEC L-2, GM-3, R-4, G-P]"""

from __future__ import annotations

import numpy as np
import pytest

from golden.spec import bounds
from golden.spec.errors import WidthError
from golden.spec.formats import INT8, INT16, INT32, UINT8
from golden.spec.params import MShift, Operator
from golden.spec.rounding import Rounding
from tests.golden import spec_sets as sets


class Sizes:
    """Stands for a set of any size, so that no test allocates a huge array."""

    def __init__(self, inputs, hidden, zp_x=0, zp_h=0, m_gh=None):
        self.input_size, self.hidden_size = inputs, hidden
        self.zp_x, self.zp_h = zp_x, zp_h
        self.m_gh = MShift(0, 0) if m_gh is None else m_gh


def width_error(build):
    """The WidthError of build() as (stage, reached, bound, channel)."""
    with pytest.raises(WidthError) as caught:
        build()
    error = caught.value
    return error.stage, error.reached, error.bound, error.channel


@pytest.mark.parametrize(
    ("fmt", "zero_point", "most"), [(INT8, 0, 128), (INT8, -128, 255), (INT8, 127, 255), (UINT8, 0, 255), (INT8, 1000, 1128)]
)
def test_spread(fmt, zero_point, most):
    assert bounds.spread(fmt, zero_point) == most


def test_rh_must_stay_below_2_31():
    bounds.check_mshift(Sizes(1, 131071))  # 131071 * 128 * 128 = 2147467264
    assert width_error(lambda: bounds.check_mshift(Sizes(1, 131072))) == ("Rh", 2147483648, 2147483648, None)


def test_rh_counts_the_zero_point():
    bounds.check_mshift(Sizes(1, 65793, zp_h=-128))  # 65793 * 128 * 255 = 2147483520
    assert width_error(lambda: bounds.check_mshift(Sizes(1, 65794, zp_h=-128))) == ("Rh", 2147516160, 2147483648, None)


def test_wx_must_stay_below_2_47():
    bounds.check_mshift(Sizes(2**33 - 1, 1))
    assert width_error(lambda: bounds.check_mshift(Sizes(2**33, 1))) == ("Wx", 2**47, 2**47, None)


def test_a_dynamic_set_takes_the_widest_zero_point():
    bounds.check_dynamic(Sizes(1, 65793))
    assert width_error(lambda: bounds.check_dynamic(Sizes(1, 65794)))[0] == "Rh"


def test_the_state_sum_of_datapath_m_must_stay_in_int32():
    # 127 * 128 * 132104 = 2147482624 at shift 0; 127 * 128 = 16256 more is too much
    assert width_error(lambda: sets.mshift(m_gh=MShift(132104, 0))) == ("S", 2147498880, 2147483648, None)
    assert sets.mshift(m_gh=MShift(132103, 0)).m_gh.multiplier == 132103


def test_n_is_bounded_by_its_own_saturation():
    assert width_error(lambda: sets.mshift(m_gh=MShift(2**31 - 1, 0))) == ("S", 2147483647 + 16256, 2147483648, None)


def test_a_left_shift_that_leaves_int64_names_stage_and_channel():
    exponents = np.full(9, 6)
    exponents[4] = -15
    ops = {"weight.bx": Operator(INT32, exponents), "gate.r_pre": Operator(INT8, 30)}
    assert width_error(lambda: sets.pot(ops)) == ("r_bx_aligned", 2**31 << 45, 2**63, 4)


def test_a_left_shift_of_the_product_names_stage_and_channel():
    exponents = np.full(9, 6)
    exponents[7] = -15
    ops = {
        "weight.W": Operator(INT8, exponents),
        "input.x": Operator(INT16, -15, -(2**31)),
        "matmul.Wx": Operator(INT8, 0),
    }
    reached = (2 * 128 * (2**31 + 32767)) << 30
    assert width_error(lambda: sets.pot(ops)) == ("Wx", reached, 2**63, 7)


def per_channel(others, **channels):
    """Nine exponents, all but the given ones alike."""
    exponents = np.full(9, others)
    for channel, exponent in channels.items():
        exponents[int(channel[1:])] = exponent
    return Operator(INT32, exponents)


def test_a_sum_is_bounded_in_each_channel_by_itself():
    pre = {"gate.z_pre": Operator(INT8, 30)}
    sets.pot(pre | {"weight.bx": per_channel(6, c0=-1), "weight.br": per_channel(6, c1=-1)})  # 2**62 in one or the other
    both = pre | {"weight.bx": per_channel(6, c1=-1), "weight.br": per_channel(6, c1=-1)}
    assert width_error(lambda: sets.pot(both)) == ("z_acc", 2**62 + 2**62 + 2**30 + 2**30, 2**63, 1)


def test_a_tie_is_bounded_by_the_rounding_of_the_set():
    ops = {
        "matmul.Wx": Operator(INT8, -15, 2**31 - 129),  # (2**31 - 1) << 32
        "matmul.Rh": Operator(INT8, 18, 1),  # 129 / 2, a tie
        "weight.bx": per_channel(18),  # 2**31 >> 1
        "weight.br": per_channel(18),
        "gate.z_pre": Operator(INT8, 17, 2**31 - 65),
    }
    table = sets.linear(zero_point_in=2**31 - 65)
    assert width_error(lambda: sets.pot(ops, act_z=table)) == ("z_acc", 2**63, 2**63, 0)
    sets.pot(ops, act_z=table, rounding=Rounding.TIES_EVEN)


def test_a_wide_zero_point_is_counted_in_the_product():
    ops = {"input.x": Operator(INT8, 7, 2**31 - 1), "input.h": Operator(INT8, 7, -(2**31))}
    params = sets.pot(ops)
    assert params.operators["input.x"].zero_point == 2147483647


def test_a_segment_that_leaves_int64_is_named():
    table = sets.linear(slopes=[2**31 - 1, 1], shifts=[-31, 0])
    assert width_error(lambda: sets.pot(act_z=table)) == ("z segment", 128 * (2**31 - 1) << 31, 2**63, 0)


def test_a_segment_that_no_input_reaches_is_not_counted():
    table = sets.linear(thresholds=[-128, 127], slopes=[2**31 - 1, 1], shifts=[-31, 0])
    assert sets.pot(act_z=table).act_z is table


def test_a_quadratic_segment_that_leaves_int64_is_named():
    table = sets.quadratic(c2=[2**31 - 1], p=[-24])
    stage, _, bound, channel = width_error(lambda: sets.pot(act_r=table))
    assert (stage, bound, channel) == ("r segment", 2**63, 0)
