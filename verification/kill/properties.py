"""The property tests with a deviation in the place of the implementation under test: what drawn problems would find.

The property is that of the twin's tests: on every problem that the strategies draw, all fields of the run are the judge's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import as_completed
from typing import Any

from golden.spec.errors import QgruError
from verification.deviations.catalogue import CATALOGUE
from verification.deviations.deviation import DATAPATHS
from verification.deviations.environment import Run
from verification.exact.sequence import forward as judge
from verification.kill.matrix import Pair, pairs_of
from verification.kill.runs import evidence_of, finds
from verification.problem import Problem
from verification.worker import workers

EXAMPLES, SEED = 200, 0


def drawn(datapath: str, examples: int = EXAMPLES, seed: int = SEED) -> list[Problem]:
    """The problems that Hypothesis draws for a datapath from a seed; a version of Hypothesis always draws the same ones."""
    import hypothesis

    from verification.strategies.problems import problems

    out: list[Problem] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(problems(datapath))
    def collect(problem: Problem) -> None:
        out.append(problem)

    collect()
    return out


def _found(datapath: str, names: list[str], examples: int, seed: int) -> dict[str, int]:
    """The body of a process of its own, so that where Hypothesis keeps its files is nobody else's."""
    from hypothesis.configuration import set_hypothesis_home_dir

    left, found = dict.fromkeys(names), {}
    with tempfile.TemporaryDirectory() as home:
        set_hypothesis_home_dir(home)  # it would make a folder where the command runs
        problems = drawn(datapath, examples, seed)
    for number, p in enumerate(problems):
        try:
            trace = p.run(judge)
        except QgruError:
            continue
        options: dict[str, Any] = {"mask": p.mask, "zoneout": p.zoneout, "training": p.training, "reverse": p.reverse}
        evidence = evidence_of(f"problem {number}", Run.of(p.params, p.x, p.h0, **options), trace)
        for name in [name for name in left if finds(evidence, CATALOGUE[name])]:
            del left[name]
            found[name] = number
        if not left:
            break
    return found


def found_by_properties(
    only: str | None = None, *, examples: int = EXAMPLES, seed: int = SEED, advance: Callable[[int], None] | None = None
) -> dict[Pair, int]:
    """(deviation, datapath) -> number of the first drawn problem that finds it.

    only      as in pairs_of
    examples  problems drawn for each datapath
    advance   called with 1 after each datapath
    """
    pairs = pairs_of(only)
    found: dict[Pair, int] = {}
    with workers() as pool:
        jobs = {}
        for datapath in ("mshift-dynamic", *(d for d in DATAPATHS if d != "mshift-dynamic")):
            names = [name for name, k in pairs if k == datapath]
            jobs[pool.submit(_found, datapath, names, examples, seed)] = datapath
        for job in as_completed(jobs):
            found |= {(name, jobs[job]): number for name, number in job.result().items()}
            if advance is not None:
                advance(1)
    return {pair: found[pair] for pair in pairs if pair in found}
