"""Assertions on whole traces; a failure prints the report and the code that rebuilds the problem."""

from __future__ import annotations

from golden.spec.trace import Trace
from verification.compare import compare
from verification.problem import Problem
from verification.report import report
from verification.run import with_state


def assert_same_trace(got: Trace, expected: Trace, problem: Problem) -> None:
    """Every field, its shape and dtype, and the final state, bit for bit."""
    comparison = with_state(compare(got, expected, problem.params), got, expected)
    if not comparison.equal:
        text = report(comparison, problem.params, expected, names=("got", "expected"), replay="the problem below")
        raise AssertionError(f"{text}\n{problem!r}\n{problem.to_code()}")
