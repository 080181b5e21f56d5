"""Which named deviations explain a failure: all of the catalogue, or some that are asked for, which is much faster."""

from __future__ import annotations

from collections.abc import Collection

from golden.spec.errors import QgruError
from verification.deviations.catalogue import CATALOGUE
from verification.deviations.deviation import Deviation
from verification.deviations.environment import Run
from verification.diagnosis import diagnose
from verification.diagnosis_evidence import Evidence, recorded
from verification.fuzz.subject import OPTIONS, Verdict
from verification.problem import Problem


def inside(verdict: Verdict) -> bool:
    """Whether the subject gave stages, so that all of the catalogue is tried in milliseconds and not in a second."""
    return set(verdict.got) - {"h"} != set()


def explanations(problem: Problem, verdict: Verdict, names: Collection[str] | None = None) -> tuple[str, ...]:
    """The deviations that explain a difference, each by itself; none where none does.

    names    only these are tried; None tries all
    Returns  names in the order of the catalogue, or for all with the simplest first
    """
    if verdict.expected is None or "h" not in verdict.got:
        return ()
    try:
        if names is None:
            options = {name: getattr(problem, name) for name in OPTIONS}
            found = diagnose(
                problem.params, problem.x, problem.h0, options,
                expected=verdict.expected, got=verdict.got, search_pairs=False, synthesize=False,
            )  # fmt: skip
            return tuple(e.names[0] for e in found.explanations if len(e.names) == 1)
        return _of(problem, verdict, [d for name, d in CATALOGUE.items() if name in names])
    except (QgruError, OverflowError):
        return ()


def _of(problem: Problem, verdict: Verdict, candidates: list[Deviation]) -> tuple[str, ...]:
    run = Run.of(problem.params, problem.x, problem.h0, **{name: getattr(problem, name) for name in OPTIONS})
    evidence = Evidence(run, recorded(run, verdict.got))
    if not evidence.roots:
        return ()
    here = [d for d in candidates if d.applies(problem.params.datapath)]
    return tuple(d.name for d in here if (_rearranged if d.rearranged else _settled)(evidence, d))


def _settled(evidence: Evidence, d: Deviation) -> bool:
    return evidence.settled((d,))


def _rearranged(evidence: Evidence, d: Deviation) -> bool:
    assert d.rearranged is not None
    run = d.rearranged(evidence.run)
    return run is not evidence.run and not Evidence(run, evidence.known).roots
