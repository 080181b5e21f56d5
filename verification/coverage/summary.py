"""A record in figures: by stage, and the points that are still to be met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from verification.coverage.model import Point, points
from verification.coverage.record import Record
from verification.coverage.unreachable import reachable


class Line(NamedTuple):
    """The figures of one stage.

    points       in the model
    unreachable  of them
    hit          reachable points that are met
    output       hit points from which a code one off changes an output
    last         hit points from which a change was seen to reach the last state
    codes        hit points that stand for a code, so that output and last are asked of them
    hits         how often the points are met, together
    """

    stage: str
    points: int
    unreachable: int
    hit: int
    output: int
    last: int
    codes: int
    hits: int


NO_CODE = ("option", "event", "step", "multiplier", "zero point", "shift")
"""Kinds that say how a run is set up; no code stands there that could be one off."""


def chosen(wanted: Sequence[str]) -> list[Point]:
    """The points of the stages whose names start with one of wanted; of all when it is empty."""
    return [p for p in points() if not wanted or p.stage.startswith(tuple(wanted))]


def is_code(p: Point) -> bool:
    """Whether a code stands at a point."""
    return p.kind not in NO_CODE


def summary(record: Record, wanted: Sequence[str] = ()) -> list[Line]:
    """One line for each stage, in the order of the model."""
    stages: dict[str, list[Point]] = {}
    for p in chosen(wanted):
        stages.setdefault(p.stage, []).append(p)
    can = reachable()
    lines = []
    for stage, several in stages.items():
        hit = [p for p in several if p in record.hit]
        codes = [p for p in hit if is_code(p)]
        lines.append(
            Line(
                stage,
                len(several),
                sum(p not in can for p in several),
                sum(p in can for p in hit),
                sum(p in record.output for p in codes),
                sum(p in record.last for p in codes),
                len(codes),
                sum(record.hit[p] for p in hit),
            )
        )
    return lines


def missed(record: Record, wanted: Sequence[str] = ()) -> list[Point]:
    """The reachable points that are not hit."""
    can = reachable()
    return [p for p in chosen(wanted) if p in can and p not in record.hit]


def silent(record: Record, wanted: Sequence[str] = ()) -> list[Point]:
    """The points that are hit, and whose codes were never seen to reach an output."""
    return [p for p in chosen(wanted) if p in record.hit and is_code(p) and p not in record.output]


def totals(lines: Sequence[Line]) -> str:
    """One sentence over all lines."""
    count, out, hit = sum(x.points for x in lines), sum(x.unreachable for x in lines), sum(x.hit for x in lines)
    percent = 100 * hit / (count - out) if count > out else 100.0
    return f"{hit} of {count - out} reachable points hit, {percent:.2f} %; {out} of {count} points are proved unreachable"
