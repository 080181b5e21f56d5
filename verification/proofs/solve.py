"""Obligations given to the solver: holds, unknown, or a counterexample that is replayed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import z3

from verification.proofs.case import Case, known
from verification.proofs.machine import Unsupported
from verification.proofs.obligation import Obligation
from verification.proofs.replay import plain, replay
from verification.proofs.source import Twin, digest

SEARCH = 15_000_000  # z3's count of steps for each known shift, a few seconds, to find a counterexample that replays
SEEDS = 6  # of such searches; now and then one wanders off where another is done at once
MAX_MILLISECONDS = 2**32 - 1  # of z3, for which this is no limit
MODELS = 32  # of a query that are tried for one whose run differs
HOLDS, UNKNOWN, COUNTEREXAMPLE = "holds", "unknown", "counterexample"


@dataclass
class Result:
    """What became of an obligation.

    queries         how many there were
    unknown         the names of those that no answer came to
    counterexample  {"query", "failed", "arguments", "twin", "judge", "differs"}, or None
    """

    name: str
    verdict: str
    queries: int
    seconds: float
    unknown: list[str] = field(default_factory=list)
    counterexample: dict[str, Any] | None = None
    functions: dict[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "name": self.name,
            "result": self.verdict,
            "queries": self.queries,
            "seconds": round(self.seconds, 2),
            "unknown": self.unknown,
            "counterexample": self.counterexample,
            "functions": self.functions,
        }


def formulas(case: Case) -> list[Any]:
    """The assertions whose unsatisfiability proves the case."""
    goals = [goal for _, goal in case.machine.goals]
    assert goals, "a query without a goal"
    return [*case.hypotheses, *case.facts, z3.Not(z3.And(*goals) if len(goals) != 1 else goals[0])]


def solver_of(logic: str, timeout: float) -> Any:
    """A solver with its limit in seconds, in a context of its own: its search does not depend on what was asked before."""
    own = z3.Context()
    solver = z3.Solver(ctx=own) if logic in ("QF_UFNIA", "QF_NIA", "QF_LIA") else z3.SolverFor(logic, ctx=own)
    solver.set("timeout", int(min(max(1, timeout * 1000), MAX_MILLISECONDS)))
    return solver


def check(assertions: list[Any], logic: str, timeout: float, steps: int = 0, seed: int = 0) -> tuple[Any, Any]:
    """(sat, unsat or unknown, the solver); steps limits z3's own count, which does not depend on the machine's speed."""
    solver = solver_of(logic, timeout)
    solver.set("rlimit", steps)
    solver.set("random_seed", seed)
    solver.add(*(formula.translate(solver.ctx) for formula in assertions))
    return solver.check(), solver


def model_of(solver: Any) -> Any:
    """The model of a satisfiable solver, for terms of the cases."""
    return solver.model().translate(z3.main_ctx())


def smtlib(obligation: Obligation, query: str, case: Case) -> str:
    """The query as a file of SMT-LIB 2; unsat is the proof."""
    solver = z3.Solver()
    solver.add(*formulas(case))
    body = "\n".join(line for line in solver.to_smt2().splitlines() if not line.startswith((";", "(set-info")))
    words = "\n".join(f"; {line}" for line in (f"{obligation.name}, {query}  [SPEC {obligation.clause}]", obligation.statement))
    return f"{words}\n(set-info :status unsat)\n(set-logic {obligation.logic})\n{body}\n"


def prove(obligation: Obligation, twin: Twin | None = None, timeout: float | None = None) -> Iterator[Result]:
    """The results after each query; the last one is the whole obligation's."""
    twin = twin or Twin()
    limit = obligation.timeout if timeout is None else timeout
    result = Result(obligation.name, HOLDS, 0, 0.0)
    start = time.monotonic()
    for query in obligation.cases:
        result.queries += 1
        try:
            case = obligation.case(query, twin)
        except Unsupported as error:
            result.unknown.append(f"{query} (no term for {error})")
            result.verdict = UNKNOWN
            yield result
            continue
        result.functions |= {f: digest(f) for f in sorted(case.machine.entered)}
        answer, solver = check(formulas(case), obligation.logic, limit)
        if answer == z3.unknown:
            answer, solver = one_by_one(obligation, case, limit)
        if answer != z3.unsat:
            shown = counterexample(obligation, twin, query, case, solver if answer == z3.sat else None, limit)
            if shown is not None and shown["differs"] is not False:
                result.counterexample, result.verdict = shown, COUNTEREXAMPLE
            else:
                result.unknown.append(query)
                result.verdict = UNKNOWN
        result.seconds = time.monotonic() - start
        yield result
        if result.verdict == COUNTEREXAMPLE:
            return


def one_by_one(obligation: Obligation, case: Case, limit: float) -> tuple[Any, Any]:
    """The goals one after the other, each proven one a fact for the next."""
    known_facts, undecided = [*case.hypotheses, *case.facts], False
    solver = None
    for _, goal in case.machine.goals:
        answer, solver = check([*known_facts, z3.Not(goal)], obligation.logic, limit)
        if answer == z3.sat:
            return answer, solver
        if answer == z3.unsat:
            known_facts.append(goal)
        undecided = undecided or answer == z3.unknown
    return (z3.unknown if undecided else z3.unsat), solver


def counterexample(obligation: Obligation, twin: Twin, query: str, case: Case, solver: Any, limit: float) -> Any:
    """A counterexample that replays, if one is found: with the roundings written out for known shifts, else of the query.

    solver   that found the query satisfiable, or None where there was no answer
    Returns  {"query", "failed", "inputs", "differs", ...}, or None
    """
    for fixed in obligation.fallback:
        again = obligation.case(query, twin, fixed)
        for seed in range(SEEDS):
            answer, searcher = check(formulas(again), obligation.logic, limit, SEARCH, seed)
            if answer != z3.unknown:
                break
        if answer == z3.sat:
            shown = described(obligation, twin, query, again, model_of(searcher))
            if shown["differs"]:
                return shown
    return None if solver is None else of_models(obligation, twin, query, case, solver)


def of_models(obligation: Obligation, twin: Twin, query: str, case: Case, solver: Any) -> dict[str, Any]:
    """The first of some models whose run differs, else the first: a goal that fails need not show in what a run gives."""
    first: dict[str, Any] | None = None
    for _ in range(MODELS):
        model = model_of(solver)
        shown = described(obligation, twin, query, case, model)
        if shown["differs"] is not False:
            return shown
        first = first or shown
        found = [(term, model.eval(term, model_completion=True)) for term in case.inputs.values()]
        solver.add(z3.Or(*(z3.Distinct(term, value) for term, value in found)).translate(solver.ctx))
        if solver.check() != z3.sat:
            break
    assert first is not None
    return first


def described(obligation: Obligation, twin: Twin, query: str, case: Case, model: Any) -> dict[str, Any]:
    failed = [label for label, goal in case.machine.goals if z3.is_false(model.eval(goal, model_completion=True))]
    inputs = {name: plain(known(model, term)) for name, term in case.inputs.items()}
    shown: dict[str, Any] = {"query": query, "failed": failed, "inputs": inputs, "differs": None}
    if obligation.judge is None or not case.calls:
        return shown
    played: dict[str, Any] = {}
    for _, arguments in case.calls:
        played = replay(obligation, [plain(known(model, a)) for a in arguments], twin)
        if played["differs"]:
            break
    return shown | played
