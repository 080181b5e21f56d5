"""What journals say when they are put together: which indices were run, what failed, what was shrunk."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from golden.spec.errors import ParameterError
from verification.fuzz.campaign import Campaign
from verification.fuzz.journal import Entry, header, subject_of
from verification.fuzz.subject import Subject

Range = tuple[int, int]


@dataclass
class Ledger:
    """All that is known of one campaign on one subject.

    shards    (start, stop) -> the shard's entry, as they were run; ranges of two runs may overlap
    findings  index -> how it failed
    diagnosed  index -> the explanations of a finding that came without
    shrunk    index -> the shrunk entry
    """

    campaign: Campaign
    subject: Subject
    shards: dict[Range, Entry] = field(default_factory=dict)
    findings: dict[int, Entry] = field(default_factory=dict)
    diagnosed: dict[int, Entry] = field(default_factory=dict)
    shrunk: dict[int, Entry] = field(default_factory=dict)
    _union: _Union = field(default_factory=lambda: _Union())
    _failed: list[int] = field(default_factory=list)  # the keys of findings, in order

    def explanations(self, index: int) -> list[str] | None:
        """The deviations that explain a finding; None where it was not asked."""
        found = self.findings[index]["explanations"]
        if found is None and index in self.diagnosed:
            return self.diagnosed[index]["explanations"]
        return found

    def add_diagnosed(self, entry: Entry) -> None:
        """Enter a diagnosis; one that tried everything stands, others add up."""
        i = entry["index"]
        old = self.diagnosed.get(i, entry)
        if old["all"] != entry["all"]:
            entry = old if old["all"] else entry
        elif entry["all"]:
            entry = min(old, entry, key=_text)
        else:
            entry = {**entry, "explanations": sorted({*old["explanations"], *entry["explanations"]})}
        self.diagnosed[i] = entry

    @property
    def covered(self) -> list[Range]:
        """The ranges of indices that were run, in order, none touching another."""
        return self._union.ranges

    @property
    def problems(self) -> int:
        """How many problems were run."""
        return sum(stop - start for start, stop in self.covered)

    def totals(self) -> tuple[int, Counter[str], Counter[str]]:
        """(codes compared, outcomes, reasons of what was not run), from shards that do not overlap; of fewer problems then."""
        compared, outcomes, not_run, reached = 0, Counter[str](), Counter[str](), 0
        for start, stop in sorted(self.shards, key=lambda r: (r[0], -r[1])):
            if start >= reached:
                entry = self.shards[start, stop]
                compared, reached = compared + entry["compared"], stop
                outcomes.update(entry["outcomes"])
                not_run.update(entry["not_run"])
        return compared, outcomes, not_run

    def missing(self, stop: int | None) -> Iterator[Range]:
        """The ranges below stop (None: without end) that were not run yet."""
        at = 0
        for first, last in self.covered:
            if stop is not None and first >= stop:
                break
            if at < first:
                yield at, first
            at = max(at, last)
        if stop is None:
            yield at, 2**62
        elif at < stop:
            yield at, stop

    def add_shard(self, entry: Entry) -> None:
        """Enter a shard.

        Raises ParameterError where an index that was run before failed then and not now, or otherwise
        """
        start, stop = entry["start"], entry["stop"]
        found = {f["index"]: f for f in entry["findings"]}
        order = sorted(found)
        for first, last in self._union.touched(start, stop):
            low, high = max(start, first), min(stop, last)
            for i in sorted({*_between(order, low, high), *_between(self._failed, low, high)}):
                before, now = (_key(self.findings.get(i)), _key(found.get(i)))
                if before != now:
                    raise ParameterError(
                        f"{self.campaign.name}:{i} on {self.subject.spec}", f"both {_said(before)} and {_said(now)}",
                        "one result, since both journals hold it",
                    )  # fmt: skip
        self._union.add(start, stop)
        same = self.shards.get((start, stop))
        if same is None or _text(entry) < _text(same):
            self.shards[start, stop] = entry
        for i, f in found.items():
            if i not in self.findings:
                insort(self._failed, i)
            self.findings[i] = min(f, self.findings.get(i, f), key=_text)

    def add_shrunk(self, entry: Entry) -> None:
        """Enter a shrunk failure; of two the shorter one stays."""
        i = entry["index"]
        self.shrunk[i] = min(entry, self.shrunk.get(i, entry), key=lambda e: (len(e["problem"]), _text(e)))

    def entries(self) -> Iterator[Entry]:
        """The lines of a journal that holds just this, in an order of its own."""
        yield header(self.campaign.name, self.subject)
        for key in sorted(self.shards):
            yield self.shards[key]
        for i in sorted(self.diagnosed):
            yield self.diagnosed[i]
        for i in sorted(self.shrunk):
            yield self.shrunk[i]


class _Union:
    """Ranges put together as they come: in order, none touching another."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    @property
    def ranges(self) -> list[Range]:
        """All of them."""
        return list(zip(self._starts, self._stops))

    def _place(self, start: int, stop: int) -> slice:
        return slice(bisect_left(self._stops, start), bisect_right(self._starts, stop))

    def touched(self, start: int, stop: int) -> list[Range]:
        """Those that a range overlaps or touches."""
        place = self._place(start, stop)
        return list(zip(self._starts[place], self._stops[place]))

    def add(self, start: int, stop: int) -> None:
        """Put a range to the others."""
        place = self._place(start, stop)
        self._starts[place], self._stops[place] = (
            [min([start, *self._starts[place]])],
            [max([stop, *self._stops[place]])],
        )


def _between(ordered: list[int], low: int, high: int) -> list[int]:
    """The numbers in low...high-1 of an ordered list."""
    return ordered[bisect_left(ordered, low) : bisect_left(ordered, high)]


def _key(finding: Entry | None) -> tuple[str, str] | None:
    return None if finding is None else (finding["outcome"], finding["stage"])


def _said(key: tuple[str, str] | None) -> str:
    return "equal" if key is None else " at ".join(part for part in key if part)


def _text(entry: Entry) -> str:
    return json.dumps(entry, sort_keys=True)


def union(ranges: Iterable[Range]) -> list[Range]:
    """Ranges put together: in order, none touching another."""
    out = _Union()
    for start, stop in ranges:
        out.add(start, stop)
    return out.ranges


def ledgers(entries: Iterable[Entry], known: dict[Any, Ledger] | None = None) -> dict[tuple[str, str], Ledger]:
    """(campaign, subject) -> ledger of a journal's entries, entered into those that are known already.

    Raises ParameterError where two entries contradict each other
    """
    out = {} if known is None else known
    current: Ledger | None = None
    for entry in entries:
        if entry["kind"] == "campaign":
            subject = subject_of(entry)
            key = entry["campaign"], json.dumps(entry["subject"], sort_keys=True)
            current = out.setdefault(key, Ledger(Campaign.parse(entry["campaign"]), subject))
        elif current is not None:
            add = {"shard": current.add_shard, "diagnosed": current.add_diagnosed, "shrunk": current.add_shrunk}
            add[entry["kind"]](entry)
    return dict(sorted(out.items()))
