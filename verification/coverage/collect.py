"""Counting: how often each coverpoint is met by the cases of a set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from vectors.case import Case
from vectors.stages import stages
from vectors.step_case import StepCase
from verification.coverage.model import Point
from verification.coverage.runs import met
from verification.coverage.steps import groups


def tally(counts: Counter[Point], stage: str, kind: str, labels: tuple[str, ...], index: np.ndarray) -> None:
    """Add the classes of a group to counts."""
    flat = index.reshape(-1)
    found = np.bincount(flat[flat >= 0], minlength=len(labels))
    for i in np.flatnonzero(found).tolist():
        counts[Point(stage, kind, labels[i])] += int(found[i])


def case_counts(case: Any) -> Counter[Point]:
    """The points of one case: a step's rows, or a run.  Chains and refusals hold no intermediates and meet none."""
    counts: Counter[Point] = Counter()
    if isinstance(case, StepCase):
        for s in stages(case):
            for group in groups(s):
                tally(counts, f"step {s.step}/{group.place}", group.kind, group.labels, group.index)
    elif isinstance(case, Case):
        for m in met(case):
            tally(counts, m.stage, m.kind, m.labels, m.index)
    return counts


def collect(cases: Iterable[Any]) -> Counter[Point]:
    """The points of several cases."""
    total: Counter[Point] = Counter()
    for case in cases:
        total.update(case_counts(case))
    return total
