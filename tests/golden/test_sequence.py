"""The time loop: splits, directions, batches and zoneout as the clauses say, and the judge on drawn runs.  [SPEC S, Z, D]"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.sequence import bidirectional, forward
from golden.spec.errors import ParameterError, RangeError
from tests.golden.sweep import examples
from tests.verification.same import assert_same_trace
from tests.verification.small import dynamic_set, mshift_set, pot_set
from verification.exact.ranges import ema as judge_ema
from verification.exact.ranges import extremes as judge_extremes
from verification.exact.sequence import bidirectional as judge_bidirectional
from verification.exact.sequence import forward as judge_forward
from verification.strategies import DATAPATHS, problems

STATIC = ("mshift", "pot")
CONSTANT = {"s_w", "s_r", "W", "R", "s_b", "bx", "br", "one"}
SMALL = {"max_steps": 4, "max_batch": 3, "max_inputs": 3, "max_hidden": 3}


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_whole_problems_against_the_judge(datapath):
    @settings(max_examples=examples(150))
    @given(problems(datapath, max_steps=3, max_batch=2, max_inputs=3, max_hidden=3))
    def same(problem):
        assert_same_trace(problem.run(forward), problem.run(judge_forward), problem)

    same()


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_a_split_run_gives_the_same_bits(datapath):
    """S-1: split at any t, go on from the state."""

    @settings(max_examples=examples(60))
    @given(problems(datapath, min_steps=1, **SMALL), st.integers(0, 4))
    def same(problem, cut):
        steps = len(problem.x)
        cut = min(cut, steps)
        whole = problem.run(forward)
        halves = [slice(0, cut), slice(cut, steps)]
        if problem.reverse:
            halves.reverse()
        first, second = halves
        parts = {}
        state = problem.h0
        for part in (first, second):
            mask = None if problem.mask is None else problem.mask[part]
            trace = replace(problem, x=problem.x[part], h0=state, mask=mask).run(forward)
            state = trace.state if trace.state is not None else trace.h_n
            parts[part.start, part.stop] = trace
        early, late = parts[0, cut], parts[cut, steps]
        for name, array in whole.items():
            if name in CONSTANT:
                continue
            joined = np.concatenate([early.output if name == "h" else early[name], late.output if name == "h" else late[name]])
            wanted = whole.output if name == "h" else array
            assert joined.tobytes() == wanted.tobytes(), name
        if whole.state is not None:
            assert {**vars(state), "h": state.h.tolist()} == {**vars(whole.state), "h": whole.state.h.tolist()}

    same()


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_reverse_is_the_flipped_sequence(datapath):
    """S-2: outputs are put back in time order; h[0] stays the initial state."""

    @settings(max_examples=examples(60))
    @given(problems(datapath, **SMALL))
    def same(problem):
        flipped_mask = None if problem.mask is None else problem.mask[::-1].copy()
        one = replace(problem, reverse=True).run(forward)
        other = replace(problem, reverse=False, x=problem.x[::-1].copy(), mask=flipped_mask).run(forward)
        for name, array in one.items():
            wanted = other[name]
            if name == "h":
                assert array[0].tobytes() == wanted[0].tobytes()
                array, wanted = array[1:], wanted[1:]
            if name not in CONSTANT:
                wanted = wanted[::-1]
            assert array.tobytes() == wanted.tobytes(), name
        assert one.h_n.tobytes() == other.h_n.tobytes()

    same()


@pytest.mark.parametrize("datapath", STATIC)
def test_permuting_the_batch_permutes_the_result(datapath):
    """S-3, static datapaths."""

    @settings(max_examples=examples(60))
    @given(problems(datapath, **SMALL), st.randoms(use_true_random=False))
    def same(problem, random):
        order = list(range(problem.x.shape[1]))
        random.shuffle(order)
        mask = None if problem.mask is None else problem.mask[:, order]
        h0 = None if problem.h0 is None else problem.h0[order]
        whole, moved = problem.run(forward), replace(problem, x=problem.x[:, order], h0=h0, mask=mask).run(forward)
        for field in whole.layout():
            name = field.name
            wanted = whole[name][:, order] if "N" in field.axes else whole[name]
            assert moved[name].tobytes() == wanted.tobytes(), name

    same()


def test_in_dynamic_mode_the_range_couples_the_batch():
    params = dynamic_set()
    x = np.float32([[[1, 0.5], [8, -8]]])
    together, alone = forward(params, x), forward(params, x[:, :1])
    assert (together["x"][:, :1] != alone["x"]).any()


@pytest.mark.parametrize("make", [mshift_set, dynamic_set, pot_set])
def test_no_steps_give_the_initial_state(make):
    params = make()
    x = np.zeros((0, 3, 2), np.float32 if make is dynamic_set else np.int32)
    trace = forward(params, x)
    assert trace.output.shape == (0, 3, 2)
    assert trace.h.shape == (1, 3, 2)
    assert trace.h_n.tolist() == trace.h[0].tolist()
    judged = judge_forward(params, x)
    assert {k: (v.shape, v.dtype, v.tobytes()) for k, v in trace.items()} == {
        k: (v.shape, v.dtype, v.tobytes()) for k, v in judged.items()
    }


def test_a_missing_state_is_real_zero_saturated():
    x = np.zeros((1, 1, 2), np.int32)
    assert forward(mshift_set(zp_h=5), x).h[0].tolist() == [[5, 5]]
    assert forward(mshift_set(zp_h=300), x).h[0].tolist() == [[127, 127]]


@pytest.mark.parametrize("make", [mshift_set, dynamic_set, pot_set])
def test_bidirectional_puts_forward_features_first(make):
    one, other = make(), make(bx=make().bx * 0)
    x = np.arange(12).reshape(3, 2, 2) - 6
    if make is dynamic_set:
        x = x.astype(np.float32)
    both, judged = bidirectional(one, other, x), judge_bidirectional(one, other, x)
    assert both.output.tobytes() == judged.output.tobytes()
    assert both.output[..., :2].tolist() == forward(one, x).output.tolist()
    assert both.output[..., 2:].tolist() == forward(other, x, reverse=True).output.tolist()


def test_a_mask_of_ones_keeps_the_state_for_ever():
    x = np.arange(12).reshape(3, 2, 2)
    trace = forward(pot_set(), x, [[3, -4], [5, 6]], mask=np.ones((3, 2, 2), int), training=True)
    assert (trace.h == trace.h[0]).all()
    nothing = forward(pot_set(), x, mask=np.zeros((3, 2, 2), int), training=True)
    assert nothing.output.tolist() == forward(pot_set(), x).output.tolist()


def test_zoneout_of_one_keeps_and_of_zero_takes():
    x = np.arange(12).reshape(3, 2, 2)
    assert (forward(mshift_set(), x, [[3, -4], [5, 6]], zoneout=1.0).h == [[3, -4], [5, 6]]).all()
    assert forward(mshift_set(), x, zoneout=0.0).h.tolist() == forward(mshift_set(), x).h.tolist()


@pytest.mark.parametrize("module", [forward, judge_forward])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_step(module, bad):
    x = np.zeros((4, 1, 2), np.float32)
    x[2, 0, 1] = bad
    with pytest.raises(RangeError) as error:
        module(dynamic_set(), x)
    assert (error.value.tensor, error.value.step) == ("x", 2)
    with pytest.raises(RangeError) as error:
        module(dynamic_set(), x, reverse=True)
    assert (error.value.tensor, error.value.step) == ("x", 2)


@pytest.mark.parametrize("module", [forward, judge_forward])
def test_scale_products_beyond_binary32_are_refused(module):
    x = np.full((1, 1, 2), 3e38, np.float32)
    with pytest.raises(RangeError) as error:
        module(dynamic_set(W=np.full((2, 6), 3e38, np.float32)), x)
    assert (error.value.tensor, error.value.step) == ("s_Wx", 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": np.zeros((2, 1, 3), int)}, "x is an array of shape"),
        ({"x": np.zeros((2, 1, 2))}, "x is an array of float64"),
        ({"x": np.full((2, 1, 2), 128)}, "x.* is 128"),
        ({"x": np.zeros((2, 0, 2), int)}, "x is an array of shape"),
        ({"h0": np.zeros((2, 2), int)}, "h0 is an array of shape"),
        ({"h0": np.full((1, 2), -129)}, "h0.* is -129"),
        ({"mask": np.zeros((2, 1, 2), int)}, "mask is given without training"),
        ({"zoneout": 1.5}, "zoneout is 1.5"),
        ({"zoneout": 0.5, "training": True}, "mask is missing"),
        ({"mask": np.full((2, 1, 2), 2), "training": True}, "mask is 2"),
    ],
)
def test_bad_arguments_are_refused(change, sentence):
    arguments = {"x": np.zeros((2, 1, 2), int)} | change
    for module in (forward, judge_forward):
        with pytest.raises(ParameterError, match=sentence):
            module(mshift_set(), **arguments)


@settings(max_examples=examples(40))
@given(problems("mshift-dynamic", min_steps=2, max_steps=4, max_batch=2, max_inputs=2, max_hidden=2, options=False))
def test_the_ranges_move_only_by_the_moving_average(problem):
    trace = problem.run(forward)
    if problem.h0 is None or isinstance(problem.h0, np.ndarray):
        assert trace["m_h"][0] == 0
        assert trace["x_min"][0] == problem.x[0].min() and trace["x_max"][0] == problem.x[0].max()
    for t in range(1, len(problem.x)):
        low, high = judge_extremes(problem.x[t].reshape(-1).tolist())
        moved = judge_ema(float(trace["x_min"][t - 1]), float(trace["x_max"][t - 1]), low, high)
        assert (float(trace["x_min"][t]), float(trace["x_max"][t])) == moved
