"""The work that is handed out: a range of indices run and compared, or one failure shrunk.

Both are functions of their arguments alone, give plain JSON, and may be run again anywhere: a shard that is lost is run again.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from verification.fuzz.campaign import Campaign
from verification.fuzz.edits import sizes
from verification.fuzz.explain import explanations, inside
from verification.fuzz.shrink import BUDGET, shrink
from verification.fuzz.subject import Subject, Verdict, examine, verdict_text
from verification.problem import Problem

LONGEST_SECONDS = 10.0
"""When a shard hands back what it has; the rest of its range is another shard."""
SLOW_BUDGET = 24  # problems tried where each takes a second
HANG_SECONDS = 240.0  # for the problems tried where each takes a timeout


def run_shard(name: str, subject: Subject, start: int, stop: int) -> dict[str, Any]:
    """Run the problems start...stop-1 of a campaign.

    name     of the campaign
    Returns  start, stop (less where time ran out), compared, outcomes by name, not_run by reason, and a finding for each
             problem that failed: index, datapath, outcome, stage, detail, explanations (None where they take long); seconds
    """
    campaign = Campaign.parse(name)
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    not_run: Counter[str] = Counter()
    compared, findings, index = 0, [], start
    while index < stop and (index == start or time.monotonic() - began < LONGEST_SECONDS):
        problem = campaign.problem(index)
        verdict = examine(subject, problem)
        outcomes[verdict.outcome] += 1
        compared += verdict.compared
        if verdict.outcome == "not run":
            not_run[verdict.detail] += 1
        if verdict.failed:
            findings.append(
                {"index": index, "datapath": problem.params.datapath, "outcome": verdict.outcome, "stage": verdict.stage,
                 "detail": verdict.detail[:400],
                 "explanations": list(explanations(problem, verdict)) if quick(verdict) else None}
            )  # fmt: skip
        index += 1
    return {
        "start": start, "stop": index, "compared": compared, "outcomes": dict(sorted(outcomes.items())),
        "not_run": dict(sorted(not_run.items())), "findings": findings, "seconds": time.monotonic() - began,
    }  # fmt: skip


def quick(verdict: Verdict) -> bool:
    """Whether the explanations of a failure are found at once: there are stages, or there is nothing to explain."""
    return inside(verdict) or "h" not in verdict.got


def diagnose_one(name: str, subject: Subject, index: int, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The explanations of the failure of an index.

    names    of the deviations that are tried; None tries all
    Returns  index, explanations, and whether all were tried
    """
    problem = Campaign.parse(name).problem(index)
    found = explanations(problem, examine(subject, problem), names)
    return {"index": index, "explanations": list(found), "all": names is None}


def shrink_one(name: str, subject: Subject, index: int, budget: int = BUDGET) -> dict[str, Any]:
    """Shrink the failure of an index.

    Returns  index, sizes and problem (JSON) of the smallest that fails in the same way, how many were tried, its
             outcome, stage and explanations, and its report
    """
    problem = Campaign.parse(name).problem(index)
    first = examine(subject, problem)
    named = set(explanations(problem, first))

    def fails(candidate: Problem) -> bool:
        found = examine(subject, candidate)
        return found.failed and (found.outcome, found.stage) == (first.outcome, first.stage)

    def same(candidate: Problem) -> bool:
        others = explanations(candidate, examine(subject, candidate), named or None)
        return bool(others) if named else not others

    tried = 0
    if first.failed:
        most = budget
        if first.outcome == "hang":
            most = min(budget, SLOW_BUDGET, max(2, int(HANG_SECONDS // subject.timeout)))
        problem, tried = shrink(problem, fails, same, most, most if named or inside(first) else SLOW_BUDGET)
    last = examine(subject, problem)
    left = explanations(problem, last, named)
    replay = f"qgru fuzz replay {name}:{index}{subject.options}"
    return {
        "index": index, "sizes": sizes(problem), "tried": tried, "problem": problem.to_json(), "outcome": last.outcome,
        "stage": last.stage, "explanations": list(left),
        "report": verdict_text(subject, problem, last, replay, left) if last.failed else "it did not fail again",
    }  # fmt: skip
