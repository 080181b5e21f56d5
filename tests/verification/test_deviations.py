"""The catalogue of deviations: what it holds, that it starts from the judge, that each one is one."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given

from golden.spec.errors import QgruError
from golden.spec.layout import FIELDS
from golden.spec.rounding import Rounding
from tests.meta.house import clauses
from tests.verification.deviation_problems import MAKERS
from tests.verification.same import assert_same_trace
from verification.deviations.catalogue import BASES, CATALOGUE, FAMILIES, of_datapath
from verification.deviations.environment import Run
from verification.deviations.evaluate import forward
from verification.deviations.multiplying import wrap
from verification.deviations.quotients import CHOICES, shift_round, shifted
from verification.deviations.rounding import on_magnitude, term_at_zero, twice
from verification.deviations.steps import RIGHT, Steps
from verification.diagnosis_evidence import Evidence, recorded
from verification.exact.rounding import shift_round as judge_shift_round
from verification.exact.sequence import forward as judge
from verification.strategies.problems import problems

SEEDS = range(160)


def run_of(p):
    return Run.of(p.params, p.x, p.h0, mask=p.mask, zoneout=p.zoneout, training=p.training, reverse=p.reverse)


# --- without a deviation: the judge


@given(problems(max_steps=3, max_hidden=3, max_inputs=3, max_batch=3))
def test_without_a_deviation_it_is_the_judge(problem):
    try:
        expected = problem.run(judge)
    except QgruError as error:
        with pytest.raises(QgruError) as found:
            problem.run(forward)
        assert type(found.value) is type(error)
        return
    assert_same_trace_but_state(problem.run(forward), expected, problem)


def assert_same_trace_but_state(got, expected, problem):
    assert_same_trace(got, type(expected)(expected.datapath, expected.fields, expected.reverse), problem)


@pytest.mark.parametrize("datapath", MAKERS)
@pytest.mark.parametrize("seed", range(8))
def test_the_problems_of_these_tests_run_like_the_judge_too(datapath, seed):
    problem = MAKERS[datapath](seed)
    assert_same_trace_but_state(problem.run(forward), problem.run(judge), problem)


@pytest.mark.parametrize("rounding", Rounding)
def test_shifts_are_those_of_the_judge(rounding):
    xs = [*range(-70, 71), 2**46 - 1, -(2**46), 2**62 - 3, -(2**62) + 1]
    for s in (0, 1, 2, 3, 5, 31, 62, 63, 64, 75):
        assert shift_round(np.array(xs), s, rounding).tolist() == [judge_shift_round(x, s, rounding) for x in xs]
    if rounding is not Rounding.TIES_UP:
        assert shift_round(np.array([-3, 5]), np.array([-4, -1]), rounding).tolist() == [-48, 10]


# --- single steps, by literals


@pytest.mark.parametrize(
    ("how", "wanted"),
    [  # of -2.5, -1.75, -1.5, -0.5, -0.25, 0, 0.25, 0.5, 1.5, 1.75, 2.5
        ("truncate", [-2, -1, -1, 0, 0, 0, 0, 0, 1, 1, 2]),
        ("floor", [-3, -2, -2, -1, -1, 0, 0, 0, 1, 1, 2]),
        ("ceiling", [-2, -1, -1, 0, 0, 0, 1, 1, 2, 2, 3]),
        ("magnitude_up", [-3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3]),
        ("ties_up", [-2, -2, -1, 0, 0, 0, 0, 1, 2, 2, 3]),
        ("ties_down", [-3, -2, -2, -1, 0, 0, 0, 0, 1, 2, 2]),
        ("ties_away", [-3, -2, -2, -1, 0, 0, 0, 1, 2, 2, 3]),
        ("ties_to_zero", [-2, -2, -1, 0, 0, 0, 0, 0, 1, 2, 2]),
        ("ties_even", [-2, -2, -2, 0, 0, 0, 0, 0, 2, 2, 2]),
    ],
)
def test_roundings(how, wanted):
    quarters = np.array([-10, -7, -6, -2, -1, 0, 1, 2, 6, 7, 10])
    assert shifted(quarters, 2, how).tolist() == wanted
    assert shifted(quarters, 0, how).tolist() == quarters.tolist()
    assert how in CHOICES


def test_double_rounding_moves_what_is_just_below_a_tie():
    assert twice(np.array([7, 3, -9]), 4, Rounding.TIES_UP).tolist() == [1, 0, 0]
    assert twice(np.array([7]), 1, Rounding.TIES_UP).tolist() == [4]


def test_a_rounding_term_where_nothing_is_shifted():
    assert term_at_zero(-(2**31), np.array([5]), 0, Rounding.TIES_UP).tolist() == [5 - 2**31]
    assert term_at_zero(-(2**31), np.array([5]), 1, Rounding.TIES_UP).tolist() == [3]


def test_half_added_to_negative_numbers_and_truncated():
    assert on_magnitude(np.array([-6, -5, 6]), 2, Rounding.TIES_UP).tolist() == [-1, 0, 2]


def test_wrapping():
    assert wrap(np.array([2**31, -(2**31) - 1, 7]), 32).tolist() == [-(2**31), 2**31 - 1, 7]


# --- what the catalogue holds


def test_sixty_deviations_at_least():
    assert len(BASES) >= 60
    assert len(CATALOGUE) >= len(BASES)
    assert {len(family.DEVIATIONS) > 0 for family in FAMILIES} == {True}


def test_the_disagreements_of_the_source_documents_are_in_it():
    cited = {clause for d in CATALOGUE.values() for clause in d.clauses}
    assert {f"X-{n}" for n in range(1, 10)} <= cited


@pytest.mark.parametrize("name", BASES)
def test_a_deviation_is_well_formed(name):
    steps = set(Steps.__dataclass_fields__)
    for d in (d for d in CATALOGUE.values() if d.base == name):
        assert re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*(@[A-Za-z0-9]+([-_][A-Za-z0-9]+)*)?", d.name)
        assert d.name.split("@")[0] == d.base
        assert d.clauses and set(d.clauses) <= clauses()
        assert not d.words.endswith(".") and len(d.words.split()) > 2
        assert set(d.changes) <= steps and bool(d.changes) != bool(d.rearranged)
        assert any(d.fields.values())
        for datapath, names in d.fields.items():
            assert set(names) <= {f.name for f in FIELDS[datapath]} | {"h0"}


def test_each_datapath_has_most_of_them():
    assert {datapath: len(of_datapath(datapath)) > 500 for datapath in MAKERS} == dict.fromkeys(MAKERS, True)


def test_right_is_without_changes():
    assert RIGHT == Steps()


# --- every one differs from the judge somewhere


@pytest.mark.slow
def test_every_deviation_differs_from_the_judge_on_some_problem():
    left = dict(CATALOGUE)
    for seed in SEEDS:
        for datapath, make in MAKERS.items():
            problem = make(seed)
            trace, run = problem.run(forward), run_of(problem)
            evidence = Evidence(run, recorded(run, trace))
            assert evidence.roots == {}
            for d in [d for d in left.values() if d.applies(datapath)]:
                if differs(evidence, d):
                    del left[d.name]
    assert sorted(left) == []


def differs(evidence, d):
    """Whether a deviation computes anything else than what the judge's run recorded."""
    if d.rearranged:
        run = d.rearranged(evidence.run)
        return run is not evidence.run and bool(Evidence(run, evidence.known).roots)
    return not all(right for _, right, _ in evidence.outcomes((d,), evidence.names((d,)), evidence.run.whole))
