"""What was met, as a record that is written, read and joined: sparse, canonical, the same bytes for the same runs."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from golden.spec.errors import ParameterError
from verification.coverage.model import Point, model, points

FORMAT, VERSION = "qgru-coverage", 1
MAX_BYTES = 64 << 20
MAX_COUNT = 2**62


@dataclass
class Record:
    """Counts of coverpoints.

    hit      how often each point was met
    output   how often a code one off at the point changes an output of the same run
    last     points from which a change was seen to reach the last state
    sources  sha256 of the sets that were counted, sorted, each once
    propagation  whether output and last were looked at in every source
    """

    hit: Counter[Point] = field(default_factory=Counter)
    output: Counter[Point] = field(default_factory=Counter)
    last: set[Point] = field(default_factory=set)
    sources: tuple[str, ...] = ()
    propagation: bool = True

    def joined(self, other: Record) -> Record:
        """Both records as one.

        Raises ParameterError for a source that both counted, it would count twice, and for a sum that no record may hold
        """
        twice = sorted(set(self.sources) & set(other.sources))
        if twice:
            raise ParameterError("source", twice[0], "sets that only one of the joined records counted")
        hit = self.hit + other.hit
        if hit and max(hit.values()) > MAX_COUNT:
            point, count = max(hit.items(), key=lambda item: item[1])
            raise ParameterError(f"joined hits of {point}", count, f"at most {MAX_COUNT}")
        return Record(
            hit,
            self.output + other.output,
            self.last | other.last,
            tuple(sorted({*self.sources, *other.sources})),
            self.propagation and other.propagation,
        )

    def to_json(self) -> str:
        """Canonical JSON with one newline at its end."""
        order = {p: i for i, p in enumerate(points())}
        stages: dict[str, dict[str, dict[str, list[int]]]] = {}
        for p in sorted(self.hit, key=lambda p: order[p]):
            counts = [self.hit[p], self.output[p], int(p in self.last)]
            while counts[-1] == 0:
                counts.pop()
            stages.setdefault(p.stage, {}).setdefault(p.kind, {})[p.label] = counts
        whole = {
            "format": FORMAT,
            "format_version": VERSION,
            "sources": list(self.sources),
            "propagation": self.propagation,
            "points": stages,
        }
        return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "coverage record") -> Record:
        """The record that to_json wrote.

        Raises ParameterError naming the first field that is missing, unknown or wrong
        """

        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for key, value in pairs:
                if key in found:
                    raise ParameterError(f"{name} key {key!r}"[:200], "given twice", "each key once")
                found[key] = value
            return found

        try:
            whole = json.loads(text, object_pairs_hook=unique)
        except ParameterError:
            raise
        except (ValueError, RecursionError) as error:
            raise ParameterError(name, f"no JSON ({error})", "a coverage record") from None
        wanted = {"format", "format_version", "sources", "propagation", "points"}
        if not isinstance(whole, dict) or set(whole) != wanted or whole["format"] != FORMAT:
            raise ParameterError(name, "another document", f"{FORMAT} with {', '.join(sorted(wanted))}")
        if type(whole["format_version"]) is not int or whole["format_version"] != VERSION:
            raise ParameterError(f"{name} format_version", repr(whole["format_version"]), str(VERSION))
        sources = whole["sources"]
        if not isinstance(sources, list) or sources != sorted({s for s in sources if isinstance(s, str)}):
            raise ParameterError(f"{name} sources", repr(sources)[:80], "sorted, different strings")
        if not isinstance(whole["propagation"], bool):
            raise ParameterError(f"{name} propagation", repr(whole["propagation"]), "true or false")
        record = cls(sources=tuple(sources), propagation=whole["propagation"])
        for point, counts in _points(name, whole["points"]):
            record.hit[point] = counts[0]
            if len(counts) > 1:
                record.output[point] = counts[1]
            if len(counts) > 2:
                record.last.add(point)
        return record


def _points(name: str, stages: Any) -> Iterable[tuple[Point, list[int]]]:
    known = model()
    for stage, kinds in _items(f"{name} points", stages):
        for kind, labels in _items(f"{name} {stage}", kinds):
            for label, counts in _items(f"{name} {stage} {kind}", labels):
                if label not in known.get(stage, {}).get(kind, ()):
                    raise ParameterError(f"{name} point", f"{stage}: {kind}: {label}", "a coverpoint of this version")
                whole = isinstance(counts, list) and all(type(c) is int and 0 <= c <= MAX_COUNT for c in counts)
                whole = whole and 1 <= len(counts) <= 3 and max(counts) == counts[0]
                if not whole or counts[-1] < 1 or counts[2:] not in ([], [1]):
                    raise ParameterError(f"{name} {stage} {kind} {label}", repr(counts)[:80], "[hits, hits at an output, 1]")
                yield Point(stage, kind, label), counts


def _items(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise ParameterError(name, type(value).__name__, "an object")
    return value.items()


def read_record(path: str | os.PathLike[str]) -> Record:
    """The record in a file.

    Raises ParameterError for a file that is none, OSError
    """
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ParameterError(str(path), f"longer than {MAX_BYTES} bytes", "a coverage record")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise ParameterError(str(path), "not ASCII", "a coverage record") from None
    return Record.from_json(text, Path(path).name)
