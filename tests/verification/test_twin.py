"""The twin on whole problems: every stage of every step, bit for bit golden's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuda_impl.sequence import bidirectional as twin_bidirectional
from cuda_impl.sequence import forward as twin_forward
from golden.sequence import bidirectional, forward
from golden.spec.errors import QgruError
from tests.golden.sweep import examples
from tests.verification.same import assert_same_trace
from tests.verification.small import dynamic_set, mshift_set, pot_set
from verification.run import verify
from verification.strategies import DATAPATHS, problems


def check(problem, device: str) -> None:
    assert_same_trace(problem.run(twin_forward, device=device), problem.run(forward), problem)


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_host_on_whole_problems(datapath):
    @settings(max_examples=examples(2000))
    @given(problems(datapath))
    def same(problem):
        check(problem, "host")

    same()


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_host_on_larger_sizes_that_fit_no_block(datapath):
    """Sizes of 1, a few, and beyond a vector register or a thread's share."""

    @settings(max_examples=examples(25))
    @given(problems(datapath, max_steps=3, max_batch=37, max_inputs=70, max_hidden=67))
    def same(problem):
        check(problem, "host")

    same()


@pytest.mark.cudasim
@pytest.mark.parametrize("datapath", DATAPATHS)
def test_simulator_on_whole_problems(datapath):
    @settings(max_examples=examples(20, 100))
    @given(problems(datapath, max_steps=2, max_batch=2, max_inputs=3, max_hidden=3))
    def same(problem):
        check(problem, "simulator")

    same()


@pytest.mark.gpu
@pytest.mark.parametrize("datapath", DATAPATHS)
def test_gpu_on_whole_problems(datapath):
    @settings(max_examples=examples(300, 2000))
    @given(problems(datapath))
    def same(problem):
        check(problem, "gpu")

    same()


@pytest.mark.gpu
@pytest.mark.parametrize("datapath", DATAPATHS)
def test_gpu_on_larger_sizes_that_fit_no_block(datapath):
    @settings(max_examples=examples(25))
    @given(problems(datapath, max_steps=3, max_batch=37, max_inputs=70, max_hidden=267))
    def same(problem):
        check(problem, "gpu")

    same()


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_a_split_run_on_the_twin_gives_goldens_bits(datapath):
    """S-1: golden does the first part, the twin goes on."""

    @settings(max_examples=examples(40))
    @given(problems(datapath, min_steps=1, max_steps=4, options=False), st.integers(0, 4))
    def same(problem, cut):
        cut = min(cut, len(problem.x))
        head = replace(problem, x=problem.x[:cut]).run(forward)
        tail = replace(problem, x=problem.x[cut:], h0=head.state if head.state is not None else head.h_n)
        check(tail, "host")

    same()


@pytest.mark.parametrize("make", [mshift_set, dynamic_set, pot_set])
def test_bidirectional(make):
    one, other = make(), make(bx=make().bx * 0)
    x = (np.arange(24).reshape(4, 3, 2) - 12).astype(np.float32 if make is dynamic_set else np.int32)
    found, wanted = twin_bidirectional(one, other, x, device="host"), bidirectional(one, other, x)
    assert found.output.tobytes() == wanted.output.tobytes()
    for a, b in ((found.forward, wanted.forward), (found.backward, wanted.backward)):
        assert {k: v.tobytes() for k, v in a.items()} == {k: v.tobytes() for k, v in b.items()}


NOT_FINITE = np.zeros((3, 1, 2), np.float32)
NOT_FINITE[1, 0, 0] = np.nan
WIDE = np.zeros((3, 1, 2), np.float32)
WIDE[2, 0] = [-3e38, 3e38]
HUGE = np.full((2, 6), 3e38, np.float32)


@pytest.mark.parametrize(
    ("params", "arguments"),
    [
        (mshift_set(), {"x": np.zeros((2, 1, 3), int)}),
        (mshift_set(), {"x": np.zeros((2, 1, 2))}),
        (pot_set(), {"x": np.full((2, 1, 2), 128)}),
        (pot_set(), {"x": np.zeros((2, 1, 2), int), "h0": np.full((1, 2), 500)}),
        (mshift_set(), {"x": np.zeros((2, 1, 2), int), "zoneout": -0.5}),
        (mshift_set(), {"x": np.zeros((2, 1, 2), int), "mask": np.zeros((2, 1, 2), int)}),
        (dynamic_set(), {"x": np.zeros((2, 1, 2))}),
        (dynamic_set(), {"x": NOT_FINITE}),
        (dynamic_set(), {"x": NOT_FINITE, "reverse": True}),
        (dynamic_set(), {"x": WIDE, "reverse": True}),
        (dynamic_set(), {"x": np.zeros((1, 1, 2), np.float32), "h0": np.full((1, 2), np.inf, np.float32)}),
        (dynamic_set(W=HUGE), {"x": np.full((1, 1, 2), 3e38, np.float32)}),
        (dynamic_set(R=HUGE), {"x": np.ones((1, 1, 2), np.float32), "h0": np.full((1, 2), 3e37, np.float32)}),
    ],
)
def test_what_golden_refuses_the_twin_refuses_alike(params, arguments):
    with pytest.raises(QgruError) as wanted:
        forward(params, **arguments)
    with pytest.raises(QgruError) as found:
        twin_forward(params, **arguments, device="host")
    assert type(found.value) is type(wanted.value)
    for name in ("field", "tensor", "step"):
        assert getattr(found.value, name, None) == getattr(wanted.value, name, None)


def test_verify_gives_a_result():
    x = np.arange(12).reshape(3, 2, 2)
    result = verify(mshift_set(), x, device="host", name="small")
    assert result.equal and (result.mismatches, result.name, result.datapath) == (0, "small", "mshift")
    assert result.compared == result.trace.codes == result.twin.codes


def test_verify_finds_a_wrong_implementation():
    x = np.arange(12).reshape(3, 2, 2)

    def wrong(params, x, h0, **options):
        trace = forward(params, x, h0, **options)
        fields = {name: array.copy() for name, array in trace.items()}
        fields["S"][1, 0, 1] += 64
        return replace(trace, fields=fields)

    result = verify(mshift_set(), x, implementation=wrong)
    assert not result.equal and result.mismatches == 1
    assert (result.comparison.first.stage, result.comparison.first.t) == ("S", 1)


def test_a_wrong_final_state_is_a_difference():
    x = np.arange(12, dtype=np.float32).reshape(3, 2, 2)

    def wrong(params, x, h0, **options):
        trace = forward(params, x, h0, **options)
        return replace(trace, state=replace(trace.state, steps=7))

    result = verify(dynamic_set(), x, implementation=wrong)
    assert not result.equal and result.mismatches == 0
    assert result.comparison.problems == ("the final state's steps is 7, expected 3",)
