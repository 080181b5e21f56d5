"""The layout of traces, the options of a run and the state that a run continues from.  [SPEC Z-1, Z-2, S-1, S-2]"""

from __future__ import annotations

import re

import numpy as np
import pytest

from golden.spec.errors import ParameterError, RangeError, WidthError
from golden.spec.layout import FIELDS, OPERATOR_FIELDS, SCALAR_OPERATORS, field_shape, trace_fields
from golden.spec.trace import BidirectionalTrace, DynamicState, Trace, check_options, check_state
from tests.golden import spec_sets as sets

SHAPE = (2, 1, 3)
ONLY_TRAINING = "expected a mask only when training, zoneout=p in inference"


def refused(build, sentence):
    """The refusal of build() is exactly this sentence."""
    with pytest.raises(ParameterError, match=f"^{re.escape(sentence)}$"):
        build()


@pytest.mark.parametrize(
    ("mask", "zoneout", "training", "sentence"),
    [
        (None, 0.0, 1, "training is 1, expected true or false"),
        (None, 1.5, False, "zoneout is 1.5, expected a probability in [0, 1]"),
        (None, float("nan"), False, "zoneout is nan, expected a probability in [0, 1]"),
        (None, True, False, "zoneout is True, expected a probability in [0, 1]"),
        (None, 0.5, True, "mask is missing, expected a mask [T, N, H] of 0 and 1 when training with zoneout"),
        (np.ones(SHAPE, int), 0.0, False, f"mask is given without training, {ONLY_TRAINING}"),
        (np.ones(SHAPE), 0.5, True, "mask is an array of float64, expected integers 0 and 1"),
        (np.full(SHAPE, 2), 0.5, True, "mask is 2, expected 0 or 1"),
        (np.ones((2, 3), int), 0.5, True, "mask is an array of shape [2, 3], expected shape [2, 1, 3]"),
    ],
)
def test_options_are_checked(mask, zoneout, training, sentence):
    refused(lambda: check_options(mask, zoneout, training, SHAPE), sentence)


def test_options_of_a_run():
    assert check_options(None, 0.25, False, SHAPE).blend
    assert not check_options(None, 0.0, False, SHAPE).blend
    options = check_options(np.ones(SHAPE, bool), 0.25, True, SHAPE)
    assert not options.blend and options.mask.dtype == np.int32 and options.mask.tolist() == [[[1, 1, 1]], [[1, 1, 1]]]


def state(**changes):
    """A state after one step."""
    fields = {"h": np.zeros((1, 3), int), "s_h": 0.5, "zp_h": 0, "h_min": -1.0, "h_max": 1.0}
    return DynamicState(**{**fields, "steps": 1, "x_min": -2.0, "x_max": 2.0, "s_b": 0.25, **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"h": np.zeros((1, 3))}, "state h is an array of float64, expected integers"),
        ({"s_h": 0.0}, "state s_h is 0.0, expected a positive, finite number that binary32 holds exactly"),
        ({"zp_h": 128}, "state zp_h is 128, expected an integer in [-128, 127]"),
        ({"steps": -1}, "state steps is -1, expected an integer in [0, 4611686018427387904]"),
        ({"h_min": float("nan")}, "state h_min is nan, expected a finite binary32 number"),
        ({"h_max": 0.1}, "state h_max is 0.1, expected a finite binary32 number"),
        ({"x_min": None}, "state x_min is None, expected a finite binary32 number"),
        ({"x_min": []}, "state x_min is [], expected a finite binary32 number"),
        ({"x_max": "2"}, "state x_max is '2', expected a finite binary32 number"),
        ({"h_min": True}, "state h_min is True, expected a finite binary32 number"),
        ({"h_max": 10**30}, f"state h_max is {10**30}, expected a finite binary32 number"),
        ({"s_b": [0.25]}, "state s_b is [0.25], expected a finite binary32 number"),
        ({"s_b": None}, "state s_b is None, expected a finite binary32 number"),
        ({"h_min": "-1"}, "state h_min is '-1', expected a finite binary32 number"),
        ({"x_max": 1e39}, "state x_max is 1e+39, expected a finite binary32 number"),
        ({"x_min": [0.0]}, "state x_min is [0.0], expected a finite binary32 number"),
        ({"steps": 0, "x_max": None, "s_b": None}, "state x_min is -2.0, expected None before the first step"),
        ({"steps": 0, "x_min": None, "x_max": None}, "state s_b is 0.25, expected None before the first step"),
    ],
)
def test_a_state_is_checked(changes, sentence):
    refused(lambda: state(**changes), sentence)


def test_a_state_before_the_first_step_has_no_x_range():
    fresh = state(steps=0, x_min=None, x_max=None, s_b=None)
    assert (fresh.x_min, fresh.x_max, fresh.s_b) == (None, None, None)


@pytest.mark.parametrize(
    ("build", "h0", "sentence"),
    [
        (sets.mshift, np.zeros((2, 3), int), "h0 is an array of shape [2, 3], expected shape [1, 3]"),
        (sets.mshift, np.full((1, 3), -129), "h0[0, 0] is -129, expected a code of int8 in [-128, 127]"),
        (sets.pot, np.zeros((1, 3)), "h0 is an array of float64, expected integers"),
        (sets.dynamic, np.zeros((1, 3)), "h0 is an array of float64, expected float32"),
        (sets.dynamic, np.full((1, 3), np.inf, np.float32), "h0[0, 0] is inf, expected a finite number"),
        (sets.dynamic, state(h=np.zeros((4, 3), int)), "state h is an array of shape [4, 3], expected shape [1, 3]"),
    ],
)
def test_an_initial_state_is_checked(build, h0, sentence):
    refused(lambda: check_state(build(), h0, 1), sentence)


def test_an_initial_state_may_be_missing():
    assert check_state(sets.pot(), None, 1) is None


@pytest.mark.parametrize("datapath", FIELDS)
def test_fields_that_a_run_has(datapath):
    def names(training, zoneout):
        return [f.name for f in trace_fields(datapath, training=training, zoneout=zoneout)]

    everything = [f.name for f in FIELDS[datapath]]
    assert len(everything) == len(set(everything))
    assert [n for n in everything if n not in names(False, False)] == ["h_zoneout_acc", "v"]
    assert [n for n in everything if n not in names(True, False)] == ["h_zoneout_acc"]
    assert [n for n in everything if n not in names(False, True)] == ["v"]


def test_shapes_of_axes():
    sizes = {"steps": 5, "batch": 2, "inputs": 7, "hidden": 3}
    assert field_shape("SNH", **sizes) == (6, 2, 3)
    assert field_shape("TNG", **sizes) == (5, 2, 9)
    assert field_shape("TNV", **sizes) == (5, 2, 12)
    assert field_shape("CG", **sizes) == (7, 9)
    assert field_shape("", **sizes) == ()


def test_every_scalar_operator_is_seen_in_a_field():
    assert tuple(OPERATOR_FIELDS) == SCALAR_OPERATORS
    assert set(OPERATOR_FIELDS.values()) <= {f.name for f in FIELDS["pot"]}


def trace(reverse=False):
    """A trace of two steps with the fields that its properties read."""
    h = np.arange(9).reshape(3, 1, 3)
    gates = {name: np.full((2, 1, 3), i) for i, name in enumerate("zrgA")}
    return Trace("pot", {**gates, "h": h}, reverse)


def test_the_last_state_is_h_1_in_reverse():
    assert trace().h_n.tolist() == [[6, 7, 8]]
    assert trace(reverse=True).h_n.tolist() == [[3, 4, 5]]
    assert trace().output.tolist() == [[[3, 4, 5]], [[6, 7, 8]]]


def test_v_and_the_number_of_codes():
    assert trace().v[0, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert trace().codes == len("zrgA") * 6 + 9
    assert list(trace()) == ["z", "r", "g", "A", "h"]


def test_directions_are_joined_forward_first():
    both = BidirectionalTrace(trace(), trace(reverse=True))
    assert both.output.shape == (2, 1, 6)


def test_errors_say_where():
    assert str(WidthError("A_acc", 9, 8, 3)) == "stage A_acc (channel 3) can reach 9, expected a magnitude below 8"
    assert str(WidthError("A_acc", 9, 8)) == "stage A_acc can reach 9, expected a magnitude below 8"
    assert str(RangeError("x", "nan", 4)) == "x at step 4 is nan, expected a finite number in the range of binary32"
