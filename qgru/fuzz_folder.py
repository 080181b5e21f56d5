"""The folder of a campaign: its journal opened, begun or resumed, and what is written beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from golden.spec.errors import ParameterError
from qgru import __version__
from qgru.files import atomic_file, atomic_folder
from vectors.writer import write_set
from verification.fuzz.campaign import Campaign
from verification.fuzz.findings import FLAG, SENTENCE, Finding, case_of, examples_text, findings, report_text, shrunk_problem
from verification.fuzz.journal import FILE, Journal, header, read_journal
from verification.fuzz.ledger import Ledger, ledgers
from verification.fuzz.subject import TWIN, Subject, checked_subject

VECTORS, EXAMPLES, REPORT = "vectors", "examples.py", "report.txt"
MAX_SECONDS = 10**9
DEFAULTS = {"dut": TWIN, "judge": False, "timeout": 60.0, "seed": 0, "datapath": "all"}


@contextmanager
def opened(out: Path, given: Mapping[str, Any], resume: bool) -> Iterator[tuple[Journal, Ledger]]:
    """(journal, ledger) of the campaign in a folder, new or resumed.

    given    dut, judge, timeout, seed, datapath, max_size as they were given, None where they were not
    Raises   ParameterError: a journal without --resume, none with it, other options than the journal's;
             DeviceError for a device that cannot be used; a new folder is not made then
    """
    if resume and not (out / FILE).is_file():
        raise ParameterError("--resume", f"given for {str(out)!r}, which has no {FILE}", "a folder that qgru fuzz wrote")
    if not resume and (out / FILE).exists():
        raise ParameterError("OUT", f"{str(out)!r}, which holds a campaign", "another folder, or --resume")
    if not resume and out.exists() and any(out.iterdir()):
        raise ParameterError("OUT", f"{str(out)!r}, which holds other files", "a new or an empty folder")
    fresh = None if resume else _begun(given)
    out.mkdir(parents=True, exist_ok=True)
    with Journal(out) as journal:
        known = ledgers(journal.entries)
        if len(known) > 1:
            raise ParameterError("--resume", f"given for {str(out)!r}, which merges {len(known)} campaigns", "one campaign")
        if known:
            (ledger,) = known.values()
            _check_shrunk(ledger)
            _same_options(ledger, given)
            _usable(ledger.subject)
        else:
            ledger = fresh or _begun(given)
            journal.add(header(ledger.campaign.name, ledger.subject))
        yield journal, ledger


def _check_shrunk(ledger: Ledger) -> None:
    for entry in ledger.shrunk.values():
        shrunk_problem(ledger, entry)


def _begun(given: Mapping[str, Any]) -> Ledger:
    o: dict[str, Any] = {name: DEFAULTS.get(name) if value is None else value for name, value in given.items()}
    size = (3 if o["judge"] else 8) if o["max_size"] is None else o["max_size"]
    if not 0 < o["timeout"] <= MAX_SECONDS:
        raise ParameterError("--timeout", o["timeout"], f"a positive number of seconds, at most {MAX_SECONDS}")
    subject = Subject(o["dut"], bool(o["judge"]), float(o["timeout"]))
    return Ledger(Campaign(o["seed"], o["datapath"], size), _usable(subject))


def _usable(subject: Subject) -> Subject:
    return checked_subject(subject.spec, subject.judge, subject.timeout)


def _same_options(ledger: Ledger, given: Mapping[str, Any]) -> None:
    c, s = ledger.campaign, ledger.subject
    held = {"dut": s.spec, "judge": s.judge, "timeout": s.timeout, "seed": c.seed, "datapath": c.datapath,
            "max_size": c.max_size}  # fmt: skip
    for name, value in given.items():
        if value is not None and value != held[name]:
            raise ParameterError(f"--{name.replace('_', '-')}", repr(value), f"{held[name]!r} as the campaign was begun")


def write(out: Path, known: Sequence[Ledger]) -> list[Finding]:
    """Write vectors/, examples.py and report.txt of all that was found; an earlier state of them is replaced."""
    found = findings(known)
    cases = [case for case in map(case_of, found) if case is not None]
    if cases:
        write_set(out / VECTORS, cases, seed=known[0].campaign.seed, version=__version__, flags={FLAG: SENTENCE})
    names = ", ".join(ledger.campaign.name for ledger in known)
    if found:
        with atomic_file(out / EXAMPLES) as file:
            file.write(examples_text(found, names))
    with atomic_file(out / REPORT) as file:
        file.write(report_text(found, summary(known)))
    return found


def summary(known: Sequence[Ledger]) -> list[str]:
    """A line for each campaign: what was run and what came of it."""
    lines = []
    for ledger in known:
        compared, outcomes, not_run = ledger.totals()
        ranges = ", ".join(f"{start} to {stop - 1}" for start, stop in ledger.covered[:5]) or "none"
        if len(ledger.covered) > 5:
            ranges += ", ..."
        counts = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
        counted = sum(outcomes.values())
        if counted < ledger.problems:  # a shard that overlaps another says nothing of its part outside it
            counts = f"of {counted} of them, in shards that do not overlap: {counts}"
        who, right = ledger.subject.names
        lines.append(
            f"{ledger.campaign.name}, {who} against {right}: {ledger.problems} problems ({ranges}), {compared} codes "
            f"compared, {len(ledger.findings)} failures; {counts or 'nothing ran'}"
        )
        lines += [f"  not run, {count} problems: {reason}" for reason, count in sorted(not_run.items())]
    return lines


def merged(out: Path, folders: Sequence[Path]) -> tuple[list[Ledger], list[Finding]]:
    """Put journals together in a new folder.

    Raises   ParameterError where they contradict each other; FileExistsError when OUT exists; nothing is written then
    """
    known: dict[Any, Ledger] = {}
    for folder in folders:
        ledgers(read_journal(folder), known)
    every = [known[key] for key in sorted(known)]
    for ledger in every:
        _check_shrunk(ledger)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out) as fresh:
        with open(fresh / FILE, "xb") as file:
            for ledger in every:
                for entry in ledger.entries():
                    file.write(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        found = write(fresh, every)
    return every, found
