"""Measuring: the record of a set of cases, with what their codes reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from vectors.case import Case
from vectors.step_case import StepCase
from verification.coverage.collect import case_counts, tally
from verification.coverage.model import Point
from verification.coverage.propagation import CONTINUED, Consequences
from verification.coverage.record import Record
from verification.coverage.runs import Met, met


def measure(
    cases: Iterable[Any],
    *,
    propagation: bool = True,
    sources: tuple[str, ...] = (),
    advance: Callable[[int], None] | None = None,
) -> Record:
    """The record of some cases.

    propagation  whether runs are asked what a code that is one off reaches; of a step every result is itself looked at
    sources      sha256 of the set
    advance      called with 1 after each case
    """
    record = Record(sources=tuple(sorted(sources)), propagation=propagation)
    for case in cases:
        if propagation and isinstance(case, Case) and case.x.size:
            _run(record, case)
        else:
            counts = case_counts(case)
            record.hit.update(counts)
            if propagation and isinstance(case, StepCase):
                record.output.update(counts)
                record.last.update(counts)
        if advance is not None:
            advance(1)
    return record


def _run(record: Record, case: Case) -> None:
    consequences = Consequences(case)
    for m in met(case):
        tally(record.hit, m.stage, m.kind, m.labels, m.index)
        reached = consequences.of(m)
        if reached is None:
            continue
        index = np.where(reached, m.index, -1)
        tally(record.output, m.stage, m.kind, m.labels, index)
        _last(record, consequences, m, index)


def _last(record: Record, consequences: Consequences, m: Met, index: np.ndarray) -> None:
    """Mark the points from which a change reaches the last state: at once at the last step, else by going on from there."""
    if not m.axes.startswith("T"):
        end = consequences.at_end(m)
        if end is not None:
            _mark(record, m, np.where(end, m.index, -1))
        elif m.axes == "NH" and len(consequences.run.order) == 1:
            _mark(record, m, index)
        return
    _mark(record, m, index[consequences.run.order[-1]])
    if m.axes == "TNG":
        return
    for i in np.unique(index[index >= 0]).tolist():
        point = Point(m.stage, m.kind, m.labels[i])
        places = np.argwhere(index == i)[::-1][:CONTINUED].tolist()
        if point not in record.last and any(consequences.last(m, tuple(place)) for place in places):
            record.last.add(point)


def _mark(record: Record, m: Met, index: np.ndarray) -> None:
    record.last.update(Point(m.stage, m.kind, m.labels[i]) for i in np.unique(index[index >= 0]).tolist())
