"""The journal of a campaign: lines of JSON that are only ever added, each on the disk before it counts.

A process that is killed loses at most the line that it was writing, and what that line stood for is done again.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from golden.spec.errors import ParameterError
from verification.dut.failure import EQUAL, NOT_RUN
from verification.fuzz.campaign import MAX_INDEX, Campaign
from verification.fuzz.subject import REFUSED, Subject
from verification.naming import naming

FILE = "journal.jsonl"
LOCK = "lock"
FORMAT = "qgru fuzz journal"
VERSION = 1
MAX_BYTES = 1 << 32
MAX_LINE = 1 << 26
SAID = 200  # characters of what is wrong with a line
FIELDS = {
    "campaign": {"kind", "format", "version", "campaign", "subject"},
    "shard": {"kind", "start", "stop", "compared", "outcomes", "not_run", "findings"},
    "shrunk": {"kind", "index", "sizes", "tried", "problem", "outcome", "stage", "explanations", "report"},
    "diagnosed": {"kind", "index", "explanations", "all"},
}
FINDING = {"index", "datapath", "outcome", "stage", "detail", "explanations"}
Entry = dict[str, Any]


def header(name: str, subject: Subject) -> Entry:
    """The line that entries of a campaign on a subject follow."""
    who = {"spec": subject.spec, "judge": subject.judge, "timeout": subject.timeout}
    return {"kind": "campaign", "format": FORMAT, "version": VERSION, "campaign": name, "subject": who}


class Journal:
    """A journal that is open for adding, by one process at a time.

    entries  what it held when it was opened, and what was added since
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = open(folder / LOCK, "a")  # noqa: SIM115 - held as long as the journal
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ParameterError("OUT", repr(str(folder)), "a folder that no other qgru fuzz writes to") from None
        self.entries, good = _read(folder / FILE) if (folder / FILE).exists() else ([], 0)
        self._file = open(folder / FILE, "ab")  # noqa: SIM115
        if self._file.tell() != good:
            self._file.truncate(good)  # what a killed process left of its last line

    def add(self, entry: Entry) -> None:
        """Add a line; it is on the disk when this returns."""
        with naming(self.folder / FILE):
            self._file.write(json.dumps(entry, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self.entries.append(entry)

    def close(self) -> None:
        """Close the file and let others in."""
        try:
            with naming(self.folder / FILE):
                self._file.close()
        finally:
            self._lock.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_journal(folder: Path) -> list[Entry]:
    """The entries of a folder's journal; a last line without its end is left out.

    Raises ParameterError naming the line for what is no journal
    """
    if not (folder / FILE).is_file():
        raise ParameterError(str(folder), f"a folder without {FILE}", "a folder that qgru fuzz wrote")
    return _read(folder / FILE)[0]


def _read(path: Path) -> tuple[list[Entry], int]:
    """(entries, bytes of the whole lines)"""
    if path.stat().st_size > MAX_BYTES:
        raise ParameterError(str(path), f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
    entries: list[Entry] = []
    good = 0
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1):
            if not line.endswith(b"\n"):
                if len(line) >= MAX_LINE:
                    raise ParameterError(f"{path} line {number}", "too long", f"at most {MAX_LINE} bytes")
                break
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                if not file.read(1):
                    break  # a torn page at the end may hold any bytes
                raise ParameterError(f"{path} line {number}", "not an entry (no JSON)", "a line of a journal") from None
            try:
                check_entry(entry, bool(entries))
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                said = f"not an entry ({str(error)[:SAID]})"
                raise ParameterError(f"{path} line {number}", said, "a line of a journal") from None
            entries.append(entry)
            good += len(line)
    return entries, good


def check_entry(entry: Any, begun: bool) -> None:
    """Raise ValueError, KeyError, TypeError or OverflowError for what is no entry."""
    if not isinstance(entry, dict):
        raise ValueError(f"a {type(entry).__name__}")
    kind = entry["kind"]
    if isinstance(kind, str) and kind in FIELDS:
        _known(entry, FIELDS[kind])
    if kind == "campaign":
        if entry["format"] != FORMAT or type(entry["version"]) is not int or entry["version"] != VERSION:
            raise ValueError(f"{entry['format']!r} version {entry['version']!r}, not {FORMAT!r} version {VERSION}")
        Campaign.parse(entry["campaign"])
        subject_of(entry)
        return
    if not begun:
        raise ValueError(f"a {kind!r} before a campaign")
    if kind == "shard":
        start, stop = _index(entry["start"]), _index(entry["stop"])
        _index(entry["compared"])
        if not isinstance(entry["findings"], list):
            raise ValueError(f"findings {repr(entry['findings'])[:80]}")
        if stop <= start or not all(start <= _index(f["index"]) < stop for f in entry["findings"]):
            raise ValueError(f"a shard of {start}...{stop}")
        for finding in entry["findings"]:
            _known(finding, FINDING)
            _words(finding, "datapath", "outcome", "stage")
            _texts(finding, "detail")
            if finding["explanations"] is not None:
                _names(finding["explanations"])
        for counts in (entry["outcomes"], entry["not_run"]):
            if not isinstance(counts, Mapping):
                raise ValueError(f"counts {counts!r}")
            for count in counts.values():
                _index(count)
        _check_counts(entry, stop - start)
    elif kind == "shrunk":
        _index(entry["index"])
        _index(entry["tried"])
        if not isinstance(entry["sizes"], dict):
            raise ValueError(f"sizes {repr(entry['sizes'])[:80]}")
        for size in entry["sizes"].values():
            _index(size)
        _texts(entry, "problem", "report")
        _words(entry, "outcome", "stage")
        _names(entry["explanations"])
    elif kind == "diagnosed":
        _index(entry["index"])
        _names(entry["explanations"])
        if type(entry["all"]) is not bool:
            raise ValueError(f"all {entry['all']!r}")
    else:
        raise ValueError(f"kind {kind!r}")


def _check_counts(entry: Mapping[str, Any], problems: int) -> None:
    """Raise ValueError unless the counts of a shard are those of its problems, and its failures are its findings."""
    outcomes = Counter({name: count for name, count in entry["outcomes"].items() if count})
    found = {f["index"]: f["outcome"] for f in entry["findings"]}
    failures = Counter({name: count for name, count in outcomes.items() if name not in (EQUAL, NOT_RUN, REFUSED)})
    if outcomes.total() != problems or sum(entry["not_run"].values()) != outcomes[NOT_RUN]:
        raise ValueError(f"outcomes {dict(outcomes)} and not_run {entry['not_run']} of {problems} problems")
    if len(found) != len(entry["findings"]) or Counter(found.values()) != failures:
        raise ValueError(f"outcomes {dict(outcomes)} with {len(found)} findings")


def subject_of(entry: Mapping[str, Any]) -> Subject:
    """The subject of a header line."""
    who = entry["subject"]
    if set(who) != {"spec", "judge", "timeout"} or not isinstance(who["spec"], str) or type(who["judge"]) is not bool:
        raise ValueError(f"subject {who!r}")
    if type(who["timeout"]) not in (int, float) or not 0 < who["timeout"] <= sys.float_info.max:
        raise ValueError(f"timeout {who['timeout']!r}")
    return Subject(who["spec"], who["judge"], float(who["timeout"]))


def _index(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INDEX:
        raise ValueError(f"{repr(value)[:80]} where a whole number belongs")
    return value


def _known(entry: Mapping[str, Any], names: set[str]) -> None:
    for name in entry:
        if name not in names:
            raise ValueError(f"an unknown field {name!r}")


def _texts(entry: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(entry[name], str):
            raise ValueError(f"{name} {entry[name]!r}")


def _words(entry: Mapping[str, Any], *names: str) -> None:
    """Texts that stand in a line of examples.py and on the terminal: nothing that ends the line or moves the cursor."""
    _texts(entry, *names)
    for name in names:
        if not entry[name].isprintable():
            raise ValueError(f"{name} {entry[name]!r}")


def _names(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"explanations {value!r}")
