"""Failures that have one cause: the same named deviation explains them, or they differ first at the same stage."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from verification.deviations.catalogue import CATALOGUE
from verification.dut.failure import DIFFERS
from verification.fuzz.ledger import Ledger

_RANK = {name: i for i, name in enumerate(CATALOGUE)}


@dataclass(frozen=True)
class Group:
    """Failures of one datapath with one cause.

    datapath  of all
    cause     name of a deviation, "unexplained at STAGE", or how the device failed
    indices   of the failures, in order
    known     whether the cause is a named deviation
    """

    datapath: str
    cause: str
    indices: tuple[int, ...]
    known: bool

    @property
    def title(self) -> str:
        """In a line."""
        return f"{self.datapath}: {self.cause}"


def groups(ledger: Ledger) -> list[Group]:
    """The failures of a ledger, each in one group; the largest group first.

    Of the deviations that explain a failure the one counts that explains the most failures of the datapath, and of
    several such the one that says the most: in one stage before everywhere, then the catalogue's order.
    """
    out: list[Group] = []
    by_datapath: dict[str, dict[int, dict]] = {}
    for index, finding in sorted(ledger.findings.items()):
        by_datapath.setdefault(finding["datapath"], {})[index] = finding
    for datapath, findings in sorted(by_datapath.items()):
        left = {i: [n for n in ledger.explanations(i) or () if n in _RANK] for i in findings}
        left = {i: names for i, names in left.items() if names}
        while left:
            counts = Counter(name for names in left.values() for name in names)
            cause = min(counts, key=lambda n: (-counts[n], "@" not in n, _RANK[n]))
            members = tuple(i for i, names in left.items() if cause in names)
            out.append(Group(datapath, cause, members, True))
            left = {i: names for i, names in left.items() if cause not in names}
        others: dict[str, list[int]] = {}
        explained = {i for group in out if group.datapath == datapath for i in group.indices}
        for index, finding in findings.items():
            if index not in explained:
                differs = finding["outcome"] == DIFFERS
                cause = f"unexplained at {finding['stage'] or 'its state'}" if differs else finding["outcome"]
                others.setdefault(cause, []).append(index)
        out += [Group(datapath, cause, tuple(indices), False) for cause, indices in others.items()]
    return sorted(out, key=lambda g: (-len(g.indices), g.datapath, g.cause))


def undiagnosed(ledger: Ledger, most: int) -> list[int]:
    """The first findings of each datapath, outcome and stage whose explanations are not known."""
    seen: Counter[tuple[str, ...]] = Counter()
    out = []
    for i, f in sorted(ledger.findings.items()):
        key = f["datapath"], f["outcome"], f["stage"]
        seen[key] += 1
        if seen[key] <= most and ledger.explanations(i) is None:
            out.append(i)
    return out


def chosen(ledger: Ledger, most: int) -> list[int]:
    """The indices that are shrunk: the first `most` of each group."""
    return sorted(i for group in groups(ledger) for i in group.indices[:most])
