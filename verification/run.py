"""Run a problem on golden and on the twin, and compare every stage; replay a vector set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cuda_impl.sequence import forward as twin_forward
from golden.sequence import forward as golden_forward
from golden.spec.errors import ParameterError
from golden.spec.params import Params
from golden.spec.trace import DynamicState, Trace
from vectors.case import Case
from vectors.reader import open_set
from verification.compare import Comparison, compare

STATE_NUMBERS = ("s_h", "zp_h", "h_min", "h_max", "steps", "x_min", "x_max", "s_b")


@dataclass(frozen=True)
class Result:
    """One run on golden and on the twin.

    name        of the run
    comparison  of the twin's trace with golden's
    trace       golden's
    twin        the twin's
    seconds_golden, seconds_twin  wall time; never written to a file of vectors
    """

    name: str
    datapath: str
    params: Params
    comparison: Comparison
    trace: Trace = field(repr=False)
    twin: Trace = field(repr=False)
    seconds_golden: float = 0.0
    seconds_twin: float = 0.0

    @property
    def compared(self) -> int:
        """How many codes were compared."""
        return self.comparison.compared

    @property
    def mismatches(self) -> int:
        """How many codes differ."""
        return self.comparison.mismatches

    @property
    def equal(self) -> bool:
        """Whether the two traces are the same, bit for bit."""
        return self.comparison.equal


def verify(
    params: Params,
    x: Any,
    h0: Any = None,
    *,
    mask: Any = None,
    zoneout: float = 0.0,
    training: bool = False,
    reverse: bool = False,
    device: str = "auto",
    name: str = "",
    implementation: Callable[..., Trace] | None = None,
) -> Result:
    """Run golden and the twin on one problem and compare every stage bit for bit.

    params ... reverse  as golden.sequence.forward takes them
    device          where the twin runs: auto, gpu, host or simulator
    name            of the run, for reports
    implementation  another forward(params, x, h0, *, mask, zoneout, training, reverse) to test instead of the twin
    Returns         Result
    Raises          QgruError for a problem that the clauses refuse
    """
    options: dict[str, Any] = {"mask": mask, "zoneout": zoneout, "training": training, "reverse": reverse}
    start = time.perf_counter()
    expected = golden_forward(params, x, h0, **options)
    middle = time.perf_counter()
    got = implementation(params, x, h0, **options) if implementation else twin_forward(params, x, h0, device=device, **options)
    end = time.perf_counter()
    comparison = with_state(compare(got, expected, params), got, expected)
    return Result(name, params.datapath, params, comparison, expected, got, middle - start, end - middle)


def with_state(comparison: Comparison, got: Trace, expected: Trace) -> Comparison:
    """The comparison, with the final state of a run with moving ranges compared too.  [SPEC S-1]"""
    problems = comparison.problems + tuple(_state_problems(got.state, expected.state))
    return Comparison(
        comparison.compared, comparison.mismatches, comparison.roots, comparison.stages, problems, comparison.first
    )


def _state_problems(got: DynamicState | None, expected: DynamicState | None) -> Iterator[str]:
    if (got is None) != (expected is None):
        yield f"the final state is {'missing' if got is None else 'there'}, expected the opposite"
    if got is None or expected is None:
        return
    if got.h.shape != expected.h.shape or (got.h != expected.h).any():
        yield "the final state's h differs"
    for name in STATE_NUMBERS:
        a, b = getattr(got, name), getattr(expected, name)
        if a != b or str(a) != str(b):
            yield f"the final state's {name} is {a!r}, expected {b!r}"


@dataclass(frozen=True)
class CaseResult:
    """A case of a vector set, replayed: golden against the recorded trace, the twin against it, and both joined.

    traces  golden's and the twin's
    """

    case: Case = field(repr=False)
    golden: Comparison
    twin: Comparison
    traces: tuple[Trace, Trace] = field(repr=False)

    @property
    def compared(self) -> int:
        """Codes compared, both replays together."""
        return self.golden.compared + self.twin.compared

    @property
    def mismatches(self) -> int:
        """Codes that differ from the recorded ones, both replays together."""
        return self.golden.mismatches + self.twin.mismatches

    @property
    def equal(self) -> bool:
        """Whether golden and the twin both give the recorded bits."""
        return self.golden.equal and self.twin.equal


def check_case(case: object, device: str = "auto") -> CaseResult:
    """Replay one case on golden and on the twin and compare both with its recorded trace.

    case    a vectors.case.Case; other kinds of cases hold no run and are refused
    device  where the twin runs
    Raises  ParameterError for another kind of case, QgruError for a run that the clauses refuse
    """
    if not isinstance(case, Case):
        raise ParameterError(f"case {getattr(case, 'id', case)!r}", f"a {type(case).__name__}", "a sequence case")
    golden = golden_forward(case.params, case.x, case.h0, **case.options)
    twin = twin_forward(case.params, case.x, case.h0, device=device, **case.options)
    by_golden, by_twin = (with_state(compare(t, case.trace, case.params), t, case.trace) for t in (golden, twin))
    return CaseResult(case, by_golden, by_twin, (golden, twin))


def check_set(path: str | os.PathLike[str], device: str = "auto", ids: tuple[str, ...] = ()) -> Iterator[CaseResult]:
    """Replay a vector set, case by case.

    path    a folder that vectors.writer.write_set wrote
    device  where the twin runs
    ids     only these cases; none means all
    Raises  VectorError for a set that is not what its manifest says; KeyError for an unknown id
    """
    cases = open_set(path)
    for id in ids or tuple(cases):
        yield check_case(cases[id], device)
