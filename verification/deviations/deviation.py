"""A deviation: one step replaced, in some stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from golden.spec.params import Params
from verification.deviations.environment import Run
from verification.deviations.steps import RIGHT, Steps

DATAPATHS = ("mshift", "mshift-dynamic", "pot")
STATIC = ("mshift", "pot")
M = ("mshift", "mshift-dynamic")


@dataclass(frozen=True)
class Deviation:
    """One thing done differently.

    name      kebab, unique; "base" everywhere or "base@place" in one stage or gate
    base      what is done, wherever
    family    the file of the catalogue that it is in
    clauses   the clauses that say otherwise
    words     one sentence without a full stop; {right} is the rounding that the clauses have there
    changes   step of `Steps` -> what is done instead; one step, or the two ends of one wire
    fields    datapath -> the trace fields whose stage does it
    rearranged  the run that it makes of a run, for what happens around the cell; changes is then empty
    """

    name: str
    base: str
    family: str
    clauses: tuple[str, ...]
    words: str
    changes: Mapping[str, Any] = field(repr=False)
    fields: Mapping[str, tuple[str, ...]] = field(repr=False)
    rearranged: Callable[[Run], Run] | None = field(default=None, repr=False)

    def sentence(self, params: Params) -> str:
        """What is done, in words, for a run of this parameter set."""
        return self.words.replace("{right}", right_rounding(params))

    def applies(self, datapath: str) -> bool:
        """Whether the datapath has a stage that can do it."""
        return bool(self.fields.get(datapath))


def right_rounding(params: Params) -> str:
    """What the shifts of a parameter set do with ties."""
    p: Any = params
    if p.datapath != "pot":
        return "ties up"
    return p.rounding.value.replace("_", " ")


def steps_of(deviations: tuple[Deviation, ...], datapath: str, name: str) -> Steps:
    """The steps that compute a field when an implementation has these deviations."""
    changes: dict[str, Any] = {}
    for d in deviations:
        if name in d.fields.get(datapath, ()):
            changes.update(d.changes)
    return replace(RIGHT, **changes) if changes else RIGHT


def exclusive(a: Deviation, b: Deviation, datapath: str) -> bool:
    """Whether two deviations replace the same step of the same stage, so that no implementation has both."""
    return bool(set(a.fields.get(datapath, ())) & set(b.fields.get(datapath, ())) and set(a.changes) & set(b.changes))
