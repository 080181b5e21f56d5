"""What the strategies draw: always valid, readable, written down so that it replays; the edges are reached."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import find as find_example
from hypothesis.errors import NoSuchExample

from golden.sequence import forward
from golden.spec.bounds import check_activation
from golden.spec.formats import INT32
from golden.spec.params import same_params
from golden.spec.serial import from_plain, to_plain
from golden.spec.trace import DynamicState
from tests.golden.sweep import examples
from verification.problem import Problem
from verification.strategies import DATAPATHS, activations, dynamic_params, mshift_params, mshifts, pot_params, problems

QUICK = settings(max_examples=3000, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_problems_are_valid_and_replay(datapath):
    @settings(max_examples=examples(60))
    @given(problems(datapath))
    def valid(problem):
        trace = problem.run(forward)
        again = Problem.from_json(problem.to_json())
        assert same_params(again.params, problem.params)
        assert again.to_json() == problem.to_json()
        replayed = again.run(forward)
        assert {k: v.tobytes() for k, v in replayed.items()} == {k: v.tobytes() for k, v in trace.items()}
        scope: dict = {}
        exec(problem.to_code(), scope)
        assert scope["problem"].to_json() == problem.to_json()
        assert repr(problem).startswith(f"Problem({datapath}: T=")

    valid()


def reaches(datapath, condition) -> Problem:
    try:
        return find_example(problems(datapath, min_steps=1), condition, settings=settings(QUICK, phases=[Phase.generate]))
    except NoSuchExample:
        raise AssertionError("never drawn") from None


STATIC_EDGES = {
    "a zero point of x beyond its format": lambda p: not -128 <= p.params.zp_x <= 127,
    "a far zero point of h": lambda p: abs(p.params.zp_h) > 10**5,
    "16-bit gates": lambda p: p.params.gate_bits == 16,
    "a shift of 0": lambda p: p.params.m_z.shift == 0,
    "a shift of 31": lambda p: p.params.m_one.shift == 31,
    "the greatest multiplier": lambda p: p.params.m_Rh_z.multiplier == 2**31 - 1,
    "the accumulator saturates low": lambda p: (p.run(forward)["z_a"] == INT32.qmin).any(),
    "the accumulator saturates high": lambda p: (p.run(forward)["g_a"] == INT32.qmax).any(),
    "both ends of the gate input": lambda p: {-128, 127} <= set(p.run(forward)["z_pre"].reshape(-1).tolist()),
    "a tie of ties_up": lambda p: (
        p.params.m_one.shift > 0
        and (
            (p.run(forward)["S"] * p.params.m_one.multiplier) % 2**p.params.m_one.shift == 2 ** (p.params.m_one.shift - 1)
        ).any()
    ),
    "a mask": lambda p: p.mask is not None and p.mask.any() and not p.mask.all(),
    "an inference zoneout, reverse": lambda p: p.zoneout > 0 and p.reverse,
    "a lively state": lambda p: len(np.unique(p.run(forward)["h"])) > 20,
}
POT_EDGES = {
    "ties to even": lambda p: p.params.rounding.value == "ties_even",
    "an exponent of 30": lambda p: any(op.exponent == 30 for k, op in p.params.operators.items() if not k.startswith("weight")),
    "an exponent of -15": lambda p: any(
        op.exponent == -15 for k, op in p.params.operators.items() if not k.startswith("weight")
    ),
    "exponents that differ by channel": lambda p: len(np.unique(p.params.operators["weight.W"].exponent)) > 2,
    "2-bit and 16-bit operators together": lambda p: {2, 16} <= {op.fmt.bits for op in p.params.operators.values()},
    "32-bit biases": lambda p: p.params.operators["weight.bx"].fmt.bits == 32,
    "a zero point at the end of int32": lambda p: any(abs(op.zero_point) >= 2**31 - 1 for op in p.params.operators.values()),
    "a left shift": lambda p: p.params.operators["matmul.Wx"].exponent < p.params.operators["gate.z_pre"].exponent,
    "a direct table": lambda p: p.params.act_z.kind == "direct",
    "a quadratic table beside a linear one": lambda p: (
        {p.params.act_z.kind, p.params.act_g.kind} == {"piecewise_linear", "piecewise_quadratic"}
    ),
    "h saturates on both sides": lambda p: (
        {p.params.fmt_h.qmin, p.params.fmt_h.qmax} <= set(p.run(forward)["h_new"].reshape(-1).tolist())
    ),
    "a lively state": lambda p: len(np.unique(p.run(forward)["h"])) > 20,
}
DYNAMIC_EDGES = {
    "all zero": lambda p: not p.x.any() and not p.params.W.any(),
    "a range narrower than 2**-8": lambda p: 0 < np.ptp(p.x) < 2**-8,
    "a negative zero": lambda p: (np.signbit(p.x) & (p.x == 0)).any(),
    "a subnormal": lambda p: ((p.x != 0) & (np.abs(p.x) < 2.0**-126)).any(),
    "a continued state": lambda p: isinstance(p.h0, DynamicState),
    "symmetric h, asymmetric x": lambda p: p.params.h_symmetric and not p.params.x_symmetric,
    "a reciprocal quantization": lambda p: p.params.reciprocal,
    "a saturated multiplier": lambda p: (p.run(forward)["m_z"] == 2**31 - 1).any(),
    "a multiplier of 0": lambda p: (p.run(forward)["m_z"] == 0).any(),
    "a large input": lambda p: np.abs(p.x).max() > 1e30,
    "a range that moves": lambda p: len(np.unique(p.run(forward)["s_h"])) > 3,
}


@pytest.mark.parametrize(
    ("datapath", "edge"),
    [(d, e) for d, edges in (("mshift", STATIC_EDGES), ("pot", POT_EDGES), ("mshift-dynamic", DYNAMIC_EDGES)) for e in edges],
)
def test_edges_are_drawn(datapath, edge):
    edges = {"mshift": STATIC_EDGES, "pot": POT_EDGES, "mshift-dynamic": DYNAMIC_EDGES}[datapath]
    reaches(datapath, edges[edge])


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_a_case_shrinks_to_the_smallest(datapath):
    problem = find_example(problems(datapath, min_steps=1), lambda p: p.params.hidden_size >= 2, settings=QUICK)
    assert problem.x.shape == (1, 1, 1) and problem.params.hidden_size == 2
    assert not problem.x.any() or not (problem.params.fmt_x.qmin <= 0 <= problem.params.fmt_x.qmax)
    assert (problem.mask, problem.zoneout, problem.training, problem.reverse, problem.h0) == (None, 0.0, False, False, None)


@pytest.mark.parametrize("strategy", [mshift_params, dynamic_params, pot_params])
def test_parameter_sets_alone(strategy):
    @settings(max_examples=examples(40))
    @given(strategy())
    def valid(params):
        description, arrays = to_plain(params)
        assert same_params(from_plain(description, arrays), params)

    valid()


@pytest.mark.parametrize("kind", ["direct", "piecewise_linear", "piecewise_quadratic"])
def test_tables_alone(kind):
    @settings(max_examples=examples(60))
    @given(activations(kind))
    def valid(table):
        assert table.kind == kind
        check_activation("z", table)

    valid()


@settings(max_examples=examples(60))
@given(mshifts())
def test_mshifts_alone(m):
    assert 0 <= m.multiplier <= 2**31 - 1 and 0 <= m.shift <= 31
