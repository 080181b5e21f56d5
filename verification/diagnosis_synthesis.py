"""The shortest problem that tells several explanations apart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from golden.spec.errors import QgruError
from golden.spec.trace import Trace
from verification.deviations.deviation import Deviation
from verification.deviations.environment import Run
from verification.deviations.evaluate import forward
from verification.problem import Problem

Deviations = tuple[Deviation, ...]
Key = tuple[bytes, ...]
ROWS = 64  # drawn at once where rows are independent
LENGTHS = (1, 2, 3, 5)


@dataclass(frozen=True, eq=False)
class Discriminating:
    """A problem on which explanations differ.

    problem  of the same parameter set
    groups   names of the explanations that give the same states, with those states h [T+1,N,H]
    by       "h" when the states tell them apart, else the name of the first stage that does
    """

    problem: Problem
    groups: tuple[tuple[tuple[str, ...], np.ndarray], ...]
    by: str

    def lines(self) -> list[str]:
        """For a report."""
        steps, batch, _ = self.problem.x.shape
        out = [f"a run of T = {steps}, N = {batch} tells {len(self.groups)} of them apart by {self.by}:"]
        out.append(f"  x = {self.problem.x.tolist()}, h0 = {_shown(self.problem.h0)}")
        out += [f"  {', '.join(names)}: {self.by} = {_short(values)}" for names, values in self.groups]
        return out

    def plain(self) -> dict[str, Any]:
        """As what JSON holds."""
        return {
            "problem": self.problem.to_json(),
            "by": self.by,
            "groups": [{"names": list(names), "values": values.tolist()} for names, values in self.groups],
        }


def _shown(h0: Any) -> str:
    return "missing" if h0 is None else str(h0.tolist()) if isinstance(h0, np.ndarray) else "the state of the run"


def _short(values: np.ndarray) -> str:
    text = str(values.tolist())
    return text if len(text) <= 160 else text[:157] + "..."


def discriminate(run: Run, explanations: list[Deviations], seconds: float, seed: int = 0) -> Discriminating | None:
    """A problem of the run's parameter set that splits the explanations into as many groups as possible, or None.

    run           the run that they all explain
    explanations  one or two deviations each
    seconds       after which the best one found so far is taken
    """
    deadline = time.monotonic() + seconds
    best: tuple[tuple[bool, int, int], Problem] | None = None
    for problem in _problems(run, np.random.default_rng(seed)):
        one = _narrowed(problem, explanations)
        if one is not None:
            by_states, count, problem = one
            key = (not by_states, -count, problem.x.shape[0] * problem.x.shape[1])
            if count > 1 and (best is None or key < best[0]):
                best = (key, problem)
        if (best is not None and best[0][:2] == (False, -len(explanations))) or time.monotonic() > deadline:
            break
    if best is None:
        return None
    (by_stages, count, _), problem = best
    if not by_stages:
        problem = _plainer(problem, explanations, -count, deadline)
    runs = [_trace(problem, ds) for ds in explanations]
    by = "h" if len({t["h"].tobytes() for t in runs if t}) > 1 else _first_stage([t for t in runs if t])
    groups: dict[bytes, tuple[list[str], np.ndarray]] = {}
    for ds, trace in zip(explanations, runs, strict=True):
        values = np.zeros(0) if trace is None else trace[by]
        groups.setdefault(values.tobytes(), ([], values))[0].append(" with ".join(d.name for d in ds))
    return Discriminating(problem, tuple((tuple(names), values) for names, values in groups.values()), by)


def _first_stage(traces: list[Trace]) -> str:
    return next(name for name in traces[0] if len({t[name].tobytes() for t in traces}) > 1)


def _problems(run: Run, rng: np.random.Generator) -> Iterator[Problem]:
    """Random problems of the parameter set, short ones first; many rows where rows are independent."""
    options = run.options
    reverse = (run.reverse, not run.reverse)
    for attempt in range(48):
        steps = LENGTHS[min(attempt // 8, len(LENGTHS) - 1)]
        rows = 1 if run.dynamic and attempt % 4 < 2 else 3 if run.dynamic else ROWS
        p: Any = run.params
        shape = (rows, p.hidden_size)
        if run.dynamic:
            size = np.exp2(rng.integers(-10, 6, (steps, 1, 1)))
            x = (rng.standard_normal((steps, rows, p.input_size)) * size).astype(np.float32)
            h0 = None if attempt % 3 == 0 else (rng.standard_normal(shape) * 1.5).astype(np.float32)
        else:
            x = rng.integers(p.fmt_x.qmin, p.fmt_x.qmax + 1, (steps, rows, p.input_size)).astype(np.int32)
            h0 = rng.integers(p.fmt_h.qmin, p.fmt_h.qmax + 1, shape).astype(np.int32)
            if attempt % 8 == 7:
                h0 = None
        mask = rng.integers(0, 2, (steps, rows, p.hidden_size)).astype(np.int32) if options.mask is not None else None
        yield Problem(run.params, x, h0, mask, options.zoneout, options.training, reverse[attempt % 8 == 5])


def _trace(problem: Problem, deviations: Deviations) -> Trace | None:
    """The run of an implementation with these deviations; None where it refuses or overflows."""
    run = Run.of(problem.params, problem.x, problem.h0, mask=problem.mask, zoneout=problem.zoneout,
                 training=problem.training, reverse=problem.reverse)  # fmt: skip
    try:
        with np.errstate(all="ignore"):
            return planted(run, deviations)
    except (QgruError, OverflowError, ZeroDivisionError):
        return None


def planted(run: Run, deviations: Deviations) -> Trace:
    """The trace that an implementation with these deviations gives."""
    original = run
    for d in deviations:
        if d.rearranged:
            run = d.rearranged(run)
    options = {"mask": run.options.mask, "zoneout": run.options.zoneout, "training": run.options.training}
    x = run.x if run.dynamic else run.x.astype(np.int32)
    trace = forward(run.params, x, run.h0, deviations=deviations, reverse=run.reverse, **options)
    return Trace(trace.datapath, trace.fields, original.reverse)


def _keys(problem: Problem, explanations: list[Deviations]) -> list[Trace | None]:
    return [_trace(problem, ds) for ds in explanations]


def _count(problem: Problem, explanations: list[Deviations]) -> int:
    """How many groups the states make."""
    traces = _keys(problem, explanations)
    return len({b"" if t is None else t["h"].tobytes() for t in traces})


def _narrowed(problem: Problem, explanations: list[Deviations]) -> tuple[bool, int, Problem] | None:
    """(whether the states differ, groups, the fewest rows of the problem that make them, at most three).

    Where the states are all alike, the groups are those of the stage that makes the most. None where an explanation refuses.
    """
    traces = [t for t in _keys(problem, explanations) if t is not None]
    if len(traces) < len(explanations):
        return None
    batch = problem.x.shape[1]
    whole = len({t["h"].tobytes() for t in traces})
    if whole == 1:
        small = problem if problem.params.datapath == "mshift-dynamic" else _rows(problem, [0])
        again = [t for t in _keys(small, explanations) if t is not None]
        return False, max(len({t[name].tobytes() for t in again}) for name in traces[0]), small
    if batch == 1 or problem.params.datapath == "mshift-dynamic":
        return True, whole, problem
    keys = [[t["h"][:, n].tobytes() for n in range(batch)] for t in traces]
    chosen: list[int] = []
    reached = 1
    while reached < whole and len(chosen) < 3:
        scores = [len({tuple(k[m] for m in (*chosen, n)) for k in keys}) for n in range(batch)]
        row = int(np.argmax(scores))
        if scores[row] <= reached:
            break
        chosen.append(row)
        reached = scores[row]
    small = _rows(problem, sorted(chosen))
    return True, _count(small, explanations), small


def _rows(problem: Problem, rows: list[int]) -> Problem:
    """Some batch rows of a problem."""
    h0 = problem.h0[rows] if isinstance(problem.h0, np.ndarray) else problem.h0
    mask = None if problem.mask is None else problem.mask[:, rows]
    return replace(problem, x=problem.x[:, rows], h0=h0, mask=mask)


def _plainer(problem: Problem, explanations: list[Deviations], groups: int, deadline: float) -> Problem:
    """Elements of x and h0 set to zero one by one, as long as the groups stay."""
    for name in ("h0", "x"):
        array = getattr(problem, name)
        if not isinstance(array, np.ndarray):
            continue
        for index in np.ndindex(array.shape):
            if time.monotonic() > deadline or array.size > 256:
                return problem
            changed = np.array(getattr(problem, name))
            if changed[index] == 0 or not _allowed(problem, name):
                continue
            changed[index] = 0
            candidate = replace(problem, x=changed) if name == "x" else replace(problem, h0=changed)
            if _count(candidate, explanations) >= groups:
                problem = candidate
    return problem


def _allowed(problem: Problem, name: str) -> bool:
    """Whether 0 is a code of the format."""
    fmt = problem.params.fmt_x if name == "x" else problem.params.fmt_h
    return fmt.qmin <= 0 <= fmt.qmax
