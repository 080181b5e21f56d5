"""Drawing toward what is not met yet: problems for the strategies, and the numbers that vectors/plan/corners.py takes.

The draws are those of the corner runs: multipliers and shifts that make ties, terms that fill their accumulators, zero points
in every region. Of several draws the one is taken that meets the most points that a record lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.errors import ParameterError
from vectors.case import Case, case_from_trace
from vectors.plan import corners
from verification.coverage.collect import case_counts
from verification.coverage.model import Point
from verification.coverage.record import Record
from verification.coverage.runs import met
from verification.coverage.summary import missed
from verification.problem import Problem

NAMES = {"mshift": "mshift", "mshift-dynamic": "dynamic", "pot": "pot"}
PREFIXES = {"mshift": ("mshift/",), "mshift-dynamic": ("mshift-dynamic/", "mshift/"), "pot": ("pot/",)}


def targets(record: Record, datapath: str) -> frozenset[Point]:
    """The reachable points that the record lacks and that runs of a datapath can meet.

    Raises ParameterError for an unknown datapath
    """
    if datapath not in PREFIXES:
        raise ParameterError("datapath", repr(datapath), f"one of {', '.join(PREFIXES)}")
    return frozenset(missed(record, PREFIXES[datapath]))


def problem(datapath: str, frame: int, units: Sequence[int]) -> Problem:
    """The corner problem of a frame and its units."""
    params, x, h0, options = corners.drawn(NAMES[datapath], frame, units)
    return Problem(params, x, h0, zoneout=options.get("zoneout", 0.0), reverse=options["reverse"])


def case(aimed: Problem) -> Case:
    """A problem with its golden trace."""
    given: dict[str, Any] = {"mask": aimed.mask, "zoneout": aimed.zoneout, "training": aimed.training}
    trace = aimed.run(forward)
    return case_from_trace("aimed", aimed.params, aimed.x, aimed.h0, trace, group="aimed", flags=(), **given)


def best(wanted: frozenset[Point], datapath: str, draws: Iterable[tuple[int, Sequence[int]]]) -> Problem:
    """Of corner problems (frame, units) the one that meets the most wanted points, the first of several; at least one draw."""
    found = [problem(datapath, frame, units) for frame, units in draws]
    if not found:
        raise ParameterError("draws", "none", "at least one frame with its units")
    if len(found) == 1 or not wanted:
        return found[0]
    return max(found, key=lambda p: len(wanted & set(case_counts(case(p)))))


def search(record: Record, datapath: str, *, frames: range, units: int = 64, limit: int = 8) -> dict[int, tuple[int, ...]]:
    """Frames and their units that meet what the record lacks, the most fruitful first; greedy, the same every time.

    frames  numbers to try
    units   how many units of each
    limit   the most frames to take
    """
    need = set(targets(record, datapath))
    pool = {frame: _by_unit(case(problem(datapath, frame, range(2, units + 2))), need) for frame in frames}
    chosen: dict[int, tuple[int, ...]] = {}
    while need and len(chosen) < limit:
        frame = max(pool, key=lambda f: len(need & set().union(*pool[f])))
        shared, *several = pool.pop(frame)
        if not need & shared.union(*several):
            break
        need -= shared
        taken: list[int] = []
        while gain := max(len(need & s) for s in several):
            unit = next(u for u, s in enumerate(several) if len(need & s) == gain)
            need -= several[unit]
            taken.append(unit)
        chosen[frame] = tuple(u for u in taken if u > 1)
    return chosen


def _by_unit(whole: Case, need: set[Point]) -> list[set[Point]]:
    """The wanted points that come with the frame and its first two units, and those of each unit."""
    hidden = whole.params.hidden_size
    shared: set[Point] = set()
    several: list[set[Point]] = [set() for _ in range(hidden)]
    for m in met(whole):
        for i, label in enumerate(m.labels):
            point = Point(m.stage, m.kind, label)
            if point not in need:
                continue
            at = np.argwhere(m.index == i)
            if m.axes in ("TNH", "NH", "TNG", "G"):
                for unit in np.unique(at[:, -1] % hidden).tolist():
                    several[unit].add(point)
            elif len(at):
                shared.add(point)
    return [shared | several[0] | several[1], *several]
