"""No false names: a hundred right implementations and a hundred with two deviations at once."""

from __future__ import annotations

import numpy as np
import pytest

from golden.sequence import forward as golden
from golden.spec.errors import QgruError
from tests.verification.deviation_problems import MAKERS
from tests.verification.test_deviations import run_of
from verification.deviations.catalogue import CATALOGUE, of_datapath
from verification.deviations.deviation import exclusive
from verification.deviations.evaluate import forward
from verification.diagnosis import Diagnosis, diagnose
from verification.diagnosis_synthesis import planted
from verification.exact.sequence import forward as judge

SMALL = {"steps": 2, "batch": 2, "hidden": 2, "inputs": 2}
OPTIONS = ("mask", "zoneout", "training", "reverse")
RIGHT, BROKEN = 100, 100


def diagnosed(problem, expected, got) -> Diagnosis:
    options = {k: getattr(problem, k) for k in OPTIONS}
    return diagnose(
        problem.params, problem.x, problem.h0, options, expected=expected, got=got, search_pairs=False, synthesize=False
    )


def same(a, b, names) -> bool:
    return all(np.array_equal(np.asarray(a[k]), np.asarray(b[k])) for k in names)


def test_a_hundred_right_ones_get_no_name():
    for number in range(RIGHT):
        problem = list(MAKERS.values())[number % 3](number, **SMALL)
        expected = problem.run(judge)
        got = problem.run(golden if number % 2 else forward)
        found = diagnosed(problem, expected, got if number % 4 < 2 else {"h": got["h"]})
        assert (found.verdict, found.explanations) == ("equal", ())


def two(datapath: str, problem, expected, rng):
    """Two deviations that an implementation can have together, each of which shows, and their run; None without luck."""
    candidates = of_datapath(datapath)
    for _ in range(40):
        a, b = (candidates[int(i)] for i in rng.integers(0, len(candidates), 2))
        if a is b or a.rearranged or b.rearranged or exclusive(a, b, datapath):
            continue
        try:
            with np.errstate(all="ignore"):
                runs = [planted(run_of(problem), ds) for ds in ((a,), (b,), (a, b))]
        except (QgruError, OverflowError):
            continue
        if all(not same(run, expected, ["h"]) for run in runs):
            return (a.name, b.name), runs[2]
    return None


@pytest.mark.slow
def test_a_hundred_doubly_broken_ones_get_no_false_name():
    """Whatever single name is given, an implementation with that deviation alone gives exactly what was recorded."""
    rng = np.random.default_rng(20)
    verdicts: dict[str, int] = {}
    seed = broken = 0
    while broken < BROKEN:
        datapath = list(MAKERS)[seed % 3]
        problem = MAKERS[datapath](seed, **SMALL)
        seed += 1
        expected = problem.run(forward)
        found = two(datapath, problem, expected, rng)
        if found is None:
            continue
        names, got = found
        fields = list(expected) if broken % 2 else ["h"]
        diagnosis = diagnosed(problem, expected, {k: got[k] for k in fields})
        for e in diagnosis.explanations:
            with np.errstate(all="ignore"):
                alone = planted(run_of(problem), tuple(CATALOGUE[n] for n in e.names))
            assert same(alone, got, fields), (names, e.names)
        verdicts[diagnosis.verdict] = verdicts.get(diagnosis.verdict, 0) + 1
        broken += 1
    assert sum(verdicts.values()) == BROKEN and verdicts["none"] >= 60
