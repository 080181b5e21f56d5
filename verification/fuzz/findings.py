"""What a campaign leaves for people: a vector of each group of failures, examples to paste, a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from golden.sequence import forward
from golden.spec.arrays import check_shape
from golden.spec.errors import ParameterError, QgruError
from vectors.case import Case, case_from_trace
from verification.fuzz.edits import sizes
from verification.fuzz.group import Group, groups
from verification.fuzz.journal import Entry
from verification.fuzz.ledger import Ledger
from verification.problem import Problem

FLAG = "fuzz_finding"
SENTENCE = "An implementation under test differed from golden here, or failed; qgru fuzz found the problem and shrunk it."
SHOWN = 20  # indices


@dataclass(frozen=True)
class Finding:
    """A group of failures and its smallest problem.

    id       of its vector
    index    of the failure that was shrunk
    problem  the smallest of the group; drawn from the index where nothing was shrunk
    report   its mismatch report, or ""
    """

    ledger: Ledger
    group: Group
    id: str
    index: int
    problem: Problem
    report: str

    @property
    def place(self) -> str:
        """CAMPAIGN:INDEX of the failure that was shrunk."""
        return f"{self.ledger.campaign.name}:{self.index}"

    @property
    def title(self) -> str:
        """The group, how many failures, and the sizes of the smallest."""
        count = len(self.group.indices)
        shape = ", ".join(f"{k} = {v}" for k, v in sizes(self.problem).items())
        return f"{self.group.title}: {count} failure{'s' if count > 1 else ''}, the smallest {shape}"

    def plain(self) -> dict[str, Any]:
        """As what JSON holds."""
        return {
            "campaign": self.ledger.campaign.name, "dut": self.ledger.subject.spec, "datapath": self.group.datapath,
            "cause": self.group.cause, "known": self.group.known, "failures": len(self.group.indices),
            "indices": list(self.group.indices[:100]), "shrunk": self.place, "sizes": sizes(self.problem), "case": self.id,
        }  # fmt: skip


def findings(ledgers: Iterable[Ledger]) -> list[Finding]:
    """One finding for each group of each ledger."""
    out: list[Finding] = []
    for ledger in ledgers:
        for group in groups(ledger):
            index, problem, report = _smallest(ledger, group)
            id = f"{ledger.campaign.name}.{index}"
            taken = sum(f.id == id or f.id.startswith(f"{id}.") for f in out)
            out.append(Finding(ledger, group, f"{id}.{taken + 1}" if taken else id, index, problem, report))
    return out


def _smallest(ledger: Ledger, group: Group) -> tuple[int, Problem, str]:
    """(index, problem, report) of the smallest shrunk failure of a group that still has the group's cause."""
    shrunk = [ledger.shrunk[i] for i in group.indices if i in ledger.shrunk]
    fitting = [e for e in shrunk if group.cause in e["explanations"]] if group.known else shrunk
    if not fitting:
        return group.indices[0], ledger.campaign.problem(group.indices[0]), ""
    best = min(fitting, key=lambda e: (len(e["explanations"]), len(e["problem"]), e["index"]))
    return best["index"], shrunk_problem(ledger, best), best["report"]


def shrunk_problem(ledger: Ledger, entry: Entry) -> Problem:
    """The problem of a shrunk entry.

    Raises   ParameterError naming its place: damaged, or larger than the campaign's problems
    """
    place = f"shrunk problem of {ledger.campaign.name}:{entry['index']}"
    try:
        problem = Problem.from_json(entry["problem"])
        check_shape("x", problem.x, (None, None, None))
    except QgruError as error:
        raise ParameterError(place, f"damaged ({error})", "what qgru fuzz wrote") from None
    found = sizes(problem)
    if max(found.values()) > ledger.campaign.max_size:
        raise ParameterError(place, f"of the sizes {found}", f"sizes of at most {ledger.campaign.max_size}")
    return problem


def case_of(finding: Finding) -> Case | None:
    """The vector of a finding, flagged, with golden's trace; None where golden refuses the problem."""
    p = finding.problem
    options: dict[str, Any] = {"mask": p.mask, "zoneout": p.zoneout, "training": p.training}
    try:
        trace = p.run(forward)
        comment = f"{finding.group.title} on {finding.ledger.subject.spec}, {finding.place} shrunk."
        case = case_from_trace(finding.id, p.params, p.x, p.h0, trace, group="findings", comment=comment, **options)
    except QgruError:
        return None
    case.flags[FLAG] = 1
    return case


def examples_text(found: list[Finding], campaign: str) -> str:
    """Python source: a property test with every finding as an @example, to run as it is or to paste from."""
    lines = [
        f'"""Findings of {campaign}: run with pytest, or paste the @example lines above a property test that takes problem."""',
        "",
        "from hypothesis import Phase, example, given, settings",
        "",
        "from verification.fuzz.subject import Subject, examine",
        "from verification.problem import Problem",
        "from verification.strategies import problems",
        "",
    ]
    for number, subject in enumerate(dict.fromkeys(f.ledger.subject for f in found)):
        lines.append(f"SUBJECT_{number} = Subject({subject.spec!r}, judge={subject.judge}, timeout={subject.timeout})")
    for number, subject in enumerate(dict.fromkeys(f.ledger.subject for f in found)):
        lines += ["", "", "@given(problem=problems())"]
        for f in found:
            if f.ledger.subject == subject:
                lines += [f"# {f.title}; {f.place}", f"@example(problem=Problem.from_json({f.problem.to_json()!r}))"]
        lines += [
            "@settings(phases=[Phase.explicit], deadline=None)",
            f"def test_findings_{number}(problem):",
            f"    verdict = examine(SUBJECT_{number}, problem)",
            '    assert not verdict.failed, f"{verdict.outcome} {verdict.stage} {verdict.detail}"',
        ]
    return "\n".join(lines) + "\n"


def report_text(found: list[Finding], summary: list[str]) -> str:
    """The summary and the report of every finding."""
    lines = list(summary)
    for f in found:
        lines += ["", f.title, f"  vector {f.id}; also {_others(f)}", *(f"  {line}" for line in f.report.splitlines())]
    return "\n".join(lines) + "\n"


def _others(finding: Finding) -> str:
    others = [str(i) for i in finding.group.indices if i != finding.index]
    if not others:
        return "no other index"
    return ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
