"""Which deviation from the clauses explains a mismatch: all codes that differ and all that agree.

An explanation is exact: an implementation with the named deviation computes every recorded number, no more and no less.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.errors import QgruError
from golden.spec.params import Params
from golden.spec.trace import Trace
from verification.deviations.catalogue import of_datapath
from verification.deviations.deviation import Deviation
from verification.deviations.environment import Run
from verification.diagnosis_evidence import Evidence, bits, recorded
from verification.diagnosis_pairs import pairs
from verification.diagnosis_partial import remark
from verification.diagnosis_synthesis import Discriminating, discriminate

SECONDS = 20.0
REPORT_SECONDS = 5.0
COMPARED_AT_MOST = 8  # explanations that one vector is to tell apart
SHOWN = 12


@dataclass(frozen=True)
class Explanation:
    """Deviations that give exactly what was recorded.

    names      one name, or two
    sentences  what each does
    clauses    that say otherwise
    explained  differing codes, all of them
    agreeing   agreeing codes, all of them
    """

    names: tuple[str, ...]
    sentences: tuple[str, ...]
    clauses: tuple[str, ...]
    explained: int
    agreeing: int


@dataclass(frozen=True)
class Diagnosis:
    """What is known of the cause of a mismatch.

    verdict         "equal", "one", "several", "pair" or "none"; "several" can be of pairs too
    explanations    the simplest first
    compared        how many codes both runs have
    differing       how many of them differ
    roots           stage -> how many codes differ from what the clauses make of the recorded operands
    tried, pairs_tried  how many deviations and pairs were held against the run
    complete        False when the time ran out before all pairs were tried
    discriminating  for "several": the shortest problem found that tells explanations apart
    note            a sentence, where there is something else to say
    """

    verdict: str
    explanations: tuple[Explanation, ...]
    compared: int
    differing: int
    roots: dict[str, int]
    tried: int = 0
    pairs_tried: int = 0
    complete: bool = True
    discriminating: Discriminating | None = None
    note: str = ""

    def text(self) -> str:
        """A few lines, without a trailing newline."""
        if self.verdict == "equal":
            return f"equal: all {self.compared} codes agree"
        lines = []
        for e in self.explanations[:SHOWN]:
            names = " with ".join(e.names)
            said = " and ".join(e.sentences)
            lines.append(
                f"{names} [SPEC {', '.join(e.clauses)}]: {said}; this explains all {e.explained} differing codes and "
                f"agrees on the other {e.agreeing}"
            )
        if len(self.explanations) > SHOWN:
            lines.append(f"and {len(self.explanations) - SHOWN} more")
        if self.verdict == "none":
            tried = f"{self.tried} deviations" + (f" and {self.pairs_tried} pairs" if self.pairs_tried else "")
            until = "" if self.complete else ", not all, for the time ran out: more seconds may find one"
            lines.append(
                f"none: no deviation of the catalogue explains the {self.differing} differing codes ({tried} tried{until})"
            )
        elif not self.complete:
            lines.append(f"{self.pairs_tried} pairs were tried, not all, for the time ran out: another one may explain it too")
        if self.verdict == "several":
            lines.insert(0, f"several: {len(self.explanations)} explanations, the run does not tell them apart")
        if self.roots:
            lines.append(
                "differs from the clauses on its own operands in: " + ", ".join(f"{k} ({v})" for k, v in self.roots.items())
            )
        if self.discriminating is not None:
            lines += self.discriminating.lines()
        if self.note:
            lines.append(self.note)
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """The diagnosis as what JSON holds."""
        return {
            "verdict": self.verdict,
            "explanations": [
                {"names": list(e.names), "sentences": list(e.sentences), "clauses": list(e.clauses),
                 "explained": e.explained, "agreeing": e.agreeing}
                for e in self.explanations
            ],
            "compared": self.compared,
            "differing": self.differing,
            "roots": self.roots,
            "tried": self.tried,
            "pairs_tried": self.pairs_tried,
            "complete": self.complete,
            "discriminating": None if self.discriminating is None else self.discriminating.plain(),
            "note": self.note,
        }  # fmt: skip


def diagnose(
    params: Params,
    x: Any,
    h0: Any = None,
    options: Mapping[str, Any] | None = None,
    *,
    expected: Trace,
    got: Trace | Mapping[str, Any] | np.ndarray,
    search_pairs: bool = True,
    synthesize: bool = True,
    seconds: float = SECONDS,
) -> Diagnosis:
    """Name what an implementation does differently.

    params, x, h0  the problem, as forward takes it
    options        mask, zoneout, training, reverse of the run
    expected       the right trace
    got            a Trace, some of its fields, or h alone ([T+1,N,H] or [T,N,H]): what the implementation gave
    search_pairs   whether pairs are tried where no single deviation explains everything
    synthesize     whether a problem is looked for that tells several explanations apart
    seconds        after which no further pair, or problem, is tried
    Returns        Diagnosis
    Raises         ParameterError for arrays that are not those of such a run; QgruError for a problem that the clauses refuse
    """
    start = time.monotonic()
    run = Run.of(params, x, h0, **(options or {}))
    known, wanted = recorded(run, got), recorded(run, expected)
    compared = sum(int(a.size) for a in known.values())
    differing = sum(int(np.count_nonzero(bits(a) != bits(wanted[name]))) for name, a in known.items())
    if differing == 0:
        return Diagnosis("equal", (), compared, 0, {})
    evidence = Evidence(run, known)
    roots = {name: int(np.count_nonzero(evidence.roots[name])) for name in run.axes() if name in evidence.roots}
    if not roots:
        note = "what was recorded is what the clauses give; the expected trace is not"
        return Diagnosis("none", (), compared, differing, {}, note=note)
    candidates = of_datapath(params.datapath)
    found: list[tuple[Deviation, ...]] = [(d,) for d in candidates if not d.rearranged and evidence.settled((d,))]
    found += [(d,) for d in candidates if d.rearranged and _rearranged(evidence, d)]
    found.sort(key=lambda ds: len(ds[0].fields[params.datapath]))
    pairs_tried, complete = 0, True
    if not found and search_pairs:
        deadline = start + seconds
        twos, pairs_tried = pairs(evidence, candidates, deadline)
        found, complete = list(twos), time.monotonic() <= deadline
    explanations = tuple(_explanation(ds, params, differing, compared) for ds in found)
    verdict = "none" if not found else "several" if len(found) > 1 else "pair" if len(found[0]) == 2 else "one"
    vector = None
    if verdict == "several" and synthesize:
        vector = discriminate(run, found[:COMPARED_AT_MOST], seconds)
    note = "no problem was found that tells them apart" if verdict == "several" and synthesize and vector is None else ""
    if verdict == "none" and search_pairs:
        note = remark(evidence, candidates, _rearranged, time.monotonic() + seconds / 2)
    return Diagnosis(
        verdict, explanations, compared, differing, roots, len(candidates), pairs_tried, complete, vector, note
    )  # fmt: skip


def _rearranged(evidence: Evidence, d: Deviation) -> bool:
    assert d.rearranged is not None
    run = d.rearranged(evidence.run)
    return run is not evidence.run and not Evidence(run, evidence.known).roots


def _explanation(found: tuple[Deviation, ...], params: Params, differing: int, compared: int) -> Explanation:
    clauses = tuple(dict.fromkeys(c for d in found for c in d.clauses))
    return Explanation(
        tuple(d.name for d in found), tuple(d.sentence(params) for d in found), clauses, differing, compared - differing
    )


def lines(diagnosis: Diagnosis) -> list[str]:
    """The lines of a mismatch report."""
    return [f"  diagnosis: {line}" if i == 0 else f"    {line}" for i, line in enumerate(diagnosis.text().splitlines())]


def report_lines(
    params: Params,
    x: Any,
    h0: Any,
    options: Mapping[str, Any],
    *,
    expected: Trace,
    got: Trace | Mapping[str, Any],
    seconds: float = REPORT_SECONDS,
) -> list[str]:
    """The diagnosis for a mismatch report; nothing where there is none to make: no h, other shapes, no code that differs.

    params ... got  as in diagnose; arrays that are no field of such a run are left out
    seconds         after which no further pair, or problem, is tried
    """
    fields = {name: array for name, array in got.items() if name in expected}
    try:
        found = diagnose(params, x, h0, options, expected=expected, got=fields, seconds=seconds)
    except QgruError:
        return []
    return [] if found.verdict == "equal" else lines(found)
