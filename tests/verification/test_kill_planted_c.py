"""Deviations planted in the C port are named: by the stages, by the outputs, and nothing that gives other codes is named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from golden.spec.errors import QgruError
from golden.spec.trace import Trace
from tests.verification.deviation_problems import MAKERS
from tests.verification.planted_c import PLANTS, build, number_of
from tests.verification.planted_c_steps import POT_NAMES
from tests.verification.test_deviations import run_of
from vectors.case import case_from_trace
from verification.deviations.catalogue import CATALOGUE
from verification.deviations.evaluate import forward
from verification.diagnosis import diagnose
from verification.diagnosis_synthesis import planted
from verification.dut.device import Device, resolve
from verification.dut.request import request_of
from verification.problem import Problem

SEEDS = range(60)
OPTIONS = ("mask", "zoneout", "training", "reverse")
PAIRS = [(n, "mshift") for n in PLANTS if CATALOGUE[n].applies("mshift")] + [(n, "pot") for n in PLANTS if n in POT_NAMES]
"""(deviation, datapath)"""


@dataclass(frozen=True, eq=False)
class Planted:
    """A problem on which a deviation shows, and what its runs are."""

    problem: Problem
    expected: Trace
    wrong: Trace


@cache
def problem_of(datapath: str, seed: int) -> tuple[Problem, Trace]:
    problem = MAKERS[datapath](seed)
    return problem, problem.run(forward)


def shows(name: str, datapath: str, outputs: bool) -> Planted | None:
    """The first problem whose outputs, or else whose fields, a deviation changes."""
    for seed in SEEDS:
        problem, expected = problem_of(datapath, seed)
        try:
            with np.errstate(all="ignore"):
                wrong = planted(run_of(problem), (CATALOGUE[name],))
        except (QgruError, OverflowError):
            continue
        if any(not np.array_equal(wrong[k], expected[k]) for k in (["h"] if outputs else expected)):
            return Planted(problem, expected, wrong)
    return None


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with resolve(f"so:{build(tmp_path_factory.mktemp('planted'))}") as found:
        yield found


def run(device: Device, problem: Problem, expected: Trace, name: str) -> dict[str, np.ndarray]:
    """The fields that the library gives with a deviation, or without one for ""."""
    options: dict[str, Any] = {k: getattr(problem, k) for k in OPTIONS if k != "reverse"}
    id = f"run-plant-{number_of(name) if name else 0}"
    case = case_from_trace(id, problem.params, problem.x, problem.h0, expected, group="planted", flags=(), **options)
    request = request_of(case, device.capabilities)
    assert not isinstance(request, str), request
    answer = device.run(request)
    assert answer.refusal is None
    return {k: v for k, v in answer.arrays.items() if k in expected}


def names_of(problem: Problem, expected: Trace, got: dict[str, np.ndarray]) -> list[str]:
    """The names of the explanations, each of which gives exactly the fields."""
    options = {k: getattr(problem, k) for k in OPTIONS}
    found = diagnose(
        problem.params, problem.x, problem.h0, options, expected=expected, got=got, search_pairs=False, synthesize=False
    )
    for e in found.explanations:
        with np.errstate(all="ignore"):
            same = planted(run_of(problem), tuple(CATALOGUE[n] for n in e.names))
        assert all(np.array_equal(same[k], got[k]) for k in got), e.names
    return [e.names[0] for e in found.explanations]


def test_without_a_deviation_the_library_is_right(device):
    for datapath in ("mshift", "pot"):
        for seed in range(12):
            problem, expected = problem_of(datapath, seed)
            got = run(device, problem, expected, "")
            assert set(got) == set(expected) and all(np.array_equal(got[k], expected[k]) for k in expected)


@pytest.mark.parametrize(("name", "datapath"), PAIRS)
def test_a_deviation_in_c_is_named_by_its_stages(device, name, datapath):
    found = shows(name, datapath, outputs=False)
    assert found is not None
    got = run(device, found.problem, found.expected, name)
    assert [k for k in got if not np.array_equal(got[k], found.wrong[k])] == []
    assert name in names_of(found.problem, found.expected, got)


def test_sixty_deviations_at_least_are_planted():
    assert len({name for name, _ in PAIRS}) >= 60
    assert {CATALOGUE[name].family for name in PLANTS} == {d.family for d in CATALOGUE.values()} - {"ranges", "boundary"}


UNSEEN = {
    "accumulates-in-16-bits",
    "accumulates-in-24-bits",
    "sum-saturates-each-addition",
    "zoneout-factor-of-qmax",
    "zoneout-factor-floored",
}
"""Deviations that reach no output of the problems of these tests."""


def test_deviations_in_c_are_named_by_the_outputs_alone(device):
    named = set()
    for name, datapath in {name: k for name, k in reversed(PAIRS)}.items():
        found = shows(name, datapath, outputs=True)
        if found is None:
            assert name in UNSEEN
            continue
        got = {"h": run(device, found.problem, found.expected, name)["h"]}
        assert name in names_of(found.problem, found.expected, got), (name, datapath)
        named.add(name)
    assert len(named) == len(PLANTS) - len(UNSEEN) == 109
