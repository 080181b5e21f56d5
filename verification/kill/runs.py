"""Whole cases: a deviation is found when any checked number of the run would differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from golden.spec.errors import ParameterError
from vectors.case import Case
from verification.deviations.deviation import Deviation
from verification.deviations.environment import Run
from verification.diagnosis_evidence import Evidence, recorded


def evidence_of(name: str, run: Run, trace: Mapping[str, Any]) -> Evidence:
    """A right run with its fields as operands of each other.

    Raises ParameterError where the fields are not what the clauses compute
    """
    found = Evidence(run, recorded(run, trace))
    if found.roots:
        raise ParameterError(name, f"another {next(iter(found.roots))}", "the run that the clauses give")
    return found


def finds(evidence: Evidence, d: Deviation) -> bool:
    """Whether an implementation with the deviation gives any other number than the right run.

    Every stage is computed from the right operands: an implementation whose stages all agree there goes the same way, step
    by step, and one that does not differs at the first stage that disagrees.
    """
    if d.rearranged is not None:
        run = d.rearranged(evidence.run)
        return run is not evidence.run and bool(Evidence(run, evidence.known).roots)
    names = evidence.names((d,))
    return not all(right for _, right, _ in evidence.outcomes((d,), names, evidence.run.whole))


def found_by_run(case: Case, candidates: Iterable[Deviation]) -> list[str]:
    """The names of the deviations that a whole case finds with all its fields."""
    evidence = evidence_of(f"case {case.id}", Run.of(case.params, case.x, case.h0, **case.options), case.trace)
    return [d.name for d in candidates if finds(evidence, d)]
