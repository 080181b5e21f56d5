"""What can still be said where no deviation, and no pair, explains everything that was recorded.

Both sentences are exact too: a deviation that is in some of its stages and not in the others, with which every recorded
number comes out; and deviations that give every recorded state, but other stages than the recorded ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from verification.deviations.deviation import Deviation
from verification.diagnosis_evidence import Evidence

STATES = ("h0", "h")
SHOWN = 3


def remark(
    evidence: Evidence, candidates: list[Deviation], rearranged: Callable[[Evidence, Deviation], bool], deadline: float
) -> str:
    """Lines about deviations that explain a part, or "".

    evidence    of a run that no deviation and no pair explains
    candidates  the deviations of the datapath
    rearranged  whether what happens around the cell explains evidence
    deadline    time.monotonic() after which no further deviation is tried
    """
    if set(evidence.known) <= set(STATES):
        return ""
    lines = [_in_stages(evidence, d, kept) for d, kept in _somewhere(evidence, candidates, deadline)]
    if not lines:
        states = Evidence(evidence.run, {name: a for name, a in evidence.known.items() if name in STATES})
        for d in candidates if states.roots else ():
            if rearranged(states, d) if d.rearranged else states.settled((d,)):
                lines.append(
                    f"the states alone would be explained by {d.name} [SPEC {', '.join(d.clauses)}]: "
                    f"{d.sentence(evidence.run.params)}; the recorded stages are not what it gives"
                )
            if time.monotonic() > deadline:
                break
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([*lines[:SHOWN], *more])


def _somewhere(evidence: Evidence, candidates: list[Deviation], deadline: float) -> list[tuple[Deviation, Deviation]]:
    """(a deviation in all its stages, the same in those of them where it gives every recorded number)."""
    datapath, roots = evidence.run.params.datapath, set(evidence.roots)
    found = []
    for whole in _bases(candidates, datapath):
        names = evidence.names((whole,))
        if time.monotonic() > deadline:
            break
        if not roots <= names:
            continue
        right = {name for name, is_right, _ in evidence.outcomes((whole,), names, evidence.run.whole) if is_right}
        kept = tuple(f for f in whole.fields[datapath] if f in right or f not in evidence.known)
        part = replace(whole, fields={datapath: kept})
        if roots <= right and evidence.settled((part,)):
            found.append((whole, part))
    return found


def _bases(candidates: list[Deviation], datapath: str) -> list[Deviation]:
    """Each base, and each thing that it does, with the stages of all its places."""
    out: list[Deviation] = []
    for d in candidates:
        if d.rearranged is not None:
            continue
        at = next((i for i, o in enumerate(out) if o.base == d.base and o.changes == d.changes), None)
        if at is None:
            out.append(d)
        else:
            stages = tuple(dict.fromkeys((*out[at].fields[datapath], *d.fields[datapath])))
            out[at] = replace(out[at], name=d.base, fields={datapath: stages})
    return out


def _in_stages(evidence: Evidence, whole: Deviation, part: Deviation) -> str:
    datapath = evidence.run.params.datapath
    where = [f for f in whole.fields[datapath] if f in evidence.roots]
    spared = [f for f in whole.fields[datapath] if f not in part.fields[datapath]]
    beside = f" and not in {', '.join(spared)}" if spared else ""
    return (
        f"all recorded codes come out with {whole.name} [SPEC {', '.join(whole.clauses)}] in the stages {', '.join(where)}"
        f"{beside}"
    )
