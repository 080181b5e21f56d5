"""What is to be proven, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from verification.proofs.case import Case
from verification.proofs.source import Twin

Build = Callable[[Case], None]


@dataclass(frozen=True)
class Obligation:
    """A statement and the queries that prove it.

    name        what `qgru prove` calls it
    clause      the clauses it is about
    statement   in words, for all inputs of the hypothesis
    hypothesis  what is taken as given
    cases       the queries by name: each fills a Case
    words       64-bit words that wrap, else mathematical integers with goals that nothing leaves int64
    logic       of SMT-LIB
    function    the twin's function that is proven, or "" for a lemma about the clauses themselves
    uses        the obligations that its proof rests on
    judge       the judge's answer to a run's arguments, to replay a counterexample
    pick        what of (the twin's result, its arguments after the call) is compared; the result when left out
    fallback    known shifts under which every rounding is spelled out, to look for a counterexample that replays
    covered     what covers it where no solver decides it
    timeout     seconds for a query
    """

    name: str
    clause: str
    statement: str
    hypothesis: str
    cases: Mapping[str, Build]
    words: bool = False
    logic: str = "QF_UFNIA"
    function: str = ""
    uses: tuple[str, ...] = ()
    judge: Callable[..., Any] | None = None
    pick: Callable[[Any, list[Any]], Any] | None = None
    fallback: tuple[Callable[[str, int, int], int], ...] = ()
    covered: str = ""
    timeout: float = 60.0
    tags: frozenset[str] = field(default_factory=frozenset)

    def case(self, name: str, twin: Twin, fixed: Callable[[str, int, int], int] | None = None) -> Case:
        """The query of this name, its lemmas instantiated."""
        made = Case(twin, self.words, fixed)
        self.cases[name](made)
        made.finish()
        return made
