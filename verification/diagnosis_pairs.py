"""Two deviations together, where no single one explains a run."""

from __future__ import annotations

import time
from itertools import combinations

from verification.deviations.deviation import Deviation, exclusive
from verification.diagnosis_evidence import Evidence

ENOUGH = 24  # pairs that are reported at most
NARROW = 400  # candidates that are combined at most


def pairs(evidence: Evidence, candidates: list[Deviation], deadline: float) -> tuple[list[tuple[Deviation, Deviation]], int]:
    """(pairs that explain the whole run, how many pairs were tried), the likelier ones first.

    candidates  the deviations of the datapath
    deadline    time.monotonic() after which no further pair is tried
    """
    roots = set(evidence.roots)
    ranked: list[tuple[int, int, Deviation]] = []
    clean: dict[str, bool] = {}
    for d in candidates:
        names = evidence.names((d,))
        if d.rearranged or not names & roots:
            continue
        outcomes = list(evidence.outcomes((d,), names, evidence.block))
        clean[d.name] = all(right for _, right, _ in outcomes)
        gained = sum(count for _, _, count in outcomes) - _before(evidence, names)
        ranked.append((-gained, len(d.fields[evidence.run.params.datapath]), d))
        if time.monotonic() > deadline:
            break
    ranked.sort(key=lambda item: item[:2])
    everywhere = [item[2] for item in ranked if "@" not in item[2].name]
    somewhere = [item[2] for item in ranked if "@" in item[2].name][:NARROW]
    places = [*enumerate(everywhere), *enumerate(somewhere)]  # the best of both kinds come first
    found: list[tuple[Deviation, Deviation]] = []
    tried = 0
    order = sorted(combinations(places, 2), key=lambda two: two[0][0] + two[1][0])
    for (_, a), (_, b) in order:
        left, right = evidence.names((a,)), evidence.names((b,))
        if not roots <= left | right or exclusive(a, b, evidence.run.params.datapath):
            continue
        if not left & right and not (clean[a.name] and clean[b.name]):
            continue  # they do not meet, so each must be right where it is
        tried += 1
        if evidence.settled((a, b)):
            found.append((a, b))
        if len(found) >= ENOUGH or time.monotonic() > deadline:
            break
    return found, tried


def _before(evidence: Evidence, names: frozenset[str]) -> int:
    """How many recorded numbers of the block come out without any deviation."""
    nothing = evidence.outcomes((), names, evidence.block)
    return sum(count for _, _, count in nothing)
