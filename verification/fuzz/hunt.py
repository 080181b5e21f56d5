"""A campaign at work: shards handed out until time or examples are used up, then the failures shrunk; all in the journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from verification.fuzz.farm import Farm, Job, Lost
from verification.fuzz.group import chosen, groups, undiagnosed
from verification.fuzz.journal import Journal
from verification.fuzz.ledger import Ledger, Range
from verification.fuzz.shard import diagnose_one, run_shard, shrink_one
from verification.fuzz.shrink import BUDGET

FIRST_SHARD, LARGEST_SHARD = 8, 512
SHARD_SECONDS = 1.0
SHRUNK_OF_A_GROUP = 5
DIAGNOSED = 12  # findings of a datapath and stage that the whole catalogue is held against, where that takes long
CRASH = "crash"
SILENT: Callable[..., None] = lambda **_: None  # noqa: E731


@dataclass
class Limits:
    """When the search ends: the first of them.

    examples  problems in all, from index 0, or None
    seconds   from the start of this process' part, or None
    shrunk    failures of a group that are shrunk
    budget    problems that a shrinking may try
    """

    examples: int | None = None
    seconds: float | None = None
    shrunk: int = SHRUNK_OF_A_GROUP
    budget: int = BUDGET


def hunt(ledger: Ledger, journal: Journal, farm: Farm, limits: Limits, said: Callable[..., None] = SILENT) -> float:
    """Run what is missing, then shrink what failed; every result is in the journal before it is counted.

    said     called with problems, failures and shrunk, each a count of this run, or several
    Returns  seconds that the search took, without the shrinking
    """
    start = time.monotonic()
    name, subject = ledger.campaign.name, ledger.subject
    size, todo = _Size(), _Todo(ledger, limits)

    def take() -> Job | None:
        late = limits.seconds is not None and time.monotonic() - start >= limits.seconds
        part = None if late else todo.next(size.now)
        return None if part is None else _shard(name, subject, *part)

    for job, result in farm.run(take):
        first, stop = job.tag
        entry = {"kind": "shard", **(_crashed(ledger, first) if isinstance(result, Lost) else result)}
        size.learn(entry["stop"] - first, stop - first, entry.pop("seconds", SHARD_SECONDS))
        if entry["stop"] < stop:
            todo.back((entry["stop"], stop))
        journal.add(entry)
        ledger.add_shard(entry)
        said(problems=entry["stop"] - first, failures=len(entry["findings"]))
    searched = time.monotonic() - start
    _diagnose(ledger, journal, farm)
    wanted = [i for i in chosen(ledger, limits.shrunk) if i not in ledger.shrunk]
    said(to_shrink=len(wanted))
    jobs = (Job(i, shrink_one, (name, subject, i, limits.budget)) for i in wanted)
    for _, result in farm.run(lambda: next(jobs, None)):
        if isinstance(result, Lost):
            continue  # its problem, unshrunk, is drawn again from its index
        entry = {"kind": "shrunk", **result}
        journal.add(entry)
        ledger.add_shrunk(entry)
        said(shrunk=1)
    return searched


def _diagnose(ledger: Ledger, journal: Journal, farm: Farm) -> None:
    """Explain the findings that came without: the first of each stage by the whole catalogue, the others by what was found."""
    name, subject = ledger.campaign.name, ledger.subject

    def ask(indices: list[int], names: tuple[str, ...] | None) -> None:
        jobs = (Job(i, diagnose_one, (name, subject, i, names)) for i in indices)
        for _, result in farm.run(lambda: next(jobs, None)):
            if not isinstance(result, Lost):
                entry = {"kind": "diagnosed", **result}
                journal.add(entry)
                ledger.add_diagnosed(entry)

    ask(undiagnosed(ledger, DIAGNOSED), None)
    rest = undiagnosed(ledger, len(ledger.findings))
    if rest:
        ask(rest, tuple(sorted({group.cause for group in groups(ledger) if group.known})))


class _Size:
    """How many problems a shard has: about a second's worth."""

    def __init__(self) -> None:
        self.now = FIRST_SHARD

    def learn(self, done: int, asked: int, seconds: float) -> None:
        """Take notice of a shard that is done."""
        if done < asked:
            self.now = max(1, done // 2)
        elif seconds < SHARD_SECONDS / 2 and asked >= self.now:
            self.now = min(2 * self.now, LARGEST_SHARD)


class _Todo:
    """Ranges that nobody runs yet."""

    def __init__(self, ledger: Ledger, limits: Limits) -> None:
        self._ranges = list(ledger.missing(limits.examples))[::-1]

    def back(self, part: Range) -> None:
        """Give a range back."""
        self._ranges.append(part)

    def next(self, most: int) -> Range | None:
        """The next range of at most so many indices."""
        if not self._ranges:
            return None
        start, stop = self._ranges.pop()
        if stop - start > most:
            self._ranges.append((start + most, stop))
            stop = start + most
        return start, stop


def _shard(name: str, subject: Any, start: int, stop: int) -> Job:
    def halves() -> tuple[Job, Job]:
        middle = (start + stop) // 2
        return _shard(name, subject, start, middle), _shard(name, subject, middle, stop)

    return Job((start, stop), run_shard, (name, subject, start, stop), halves if stop - start > 1 else None)


def _crashed(ledger: Ledger, index: int) -> dict[str, Any]:
    """The shard of a problem that ends the process that runs it."""
    datapath = ledger.campaign.problem(index).params.datapath
    detail = "the process that ran it ended, alone and each time"
    finding = {"index": index, "datapath": datapath, "outcome": CRASH, "stage": "", "detail": detail, "explanations": []}
    return {
        "start": index, "stop": index + 1, "compared": 0, "outcomes": {CRASH: 1}, "not_run": {}, "findings": [finding],
    }  # fmt: skip
