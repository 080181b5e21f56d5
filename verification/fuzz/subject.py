"""What a campaign tests, and what came of one problem."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cuda_impl.sequence import forward as twin_forward
from golden.sequence import forward as golden_forward
from golden.spec.errors import ParameterError, QgruError
from golden.spec.trace import Trace
from vectors.case import Case
from verification.compare import Comparison, compare
from verification.diagnosis import report_lines
from verification.dut.capabilities import OUTPUT
from verification.dut.device import TIMEOUT_SECONDS, Device, resolve
from verification.dut.examine import check_case
from verification.dut.failure import DIFFERS, EQUAL, NOT_RUN
from verification.dut.infer import inferred_lines
from verification.exact.sequence import forward as judge_forward
from verification.problem import Problem
from verification.report import report
from verification.run import with_state

TWIN = "twin"
REFUSED = "refused"  # by the reference and by the subject
OPTIONS = ("mask", "zoneout", "training", "reverse")
PAIR_SECONDS = 2.0  # for pairs of deviations, where no single one explains a shrunk problem
SHOWN = 6  # explanations of a shrunk problem, which may have many


@dataclass(frozen=True)
class Subject:
    """Who is tested, and by whom.

    spec     "twin", or a device as verification.dut.device.resolve takes it
    judge    whether the judge stands in for golden
    timeout  seconds that a device has for a problem
    """

    spec: str = TWIN
    judge: bool = False
    timeout: float = TIMEOUT_SECONDS

    @property
    def names(self) -> tuple[str, str]:
        """(who is tested, who says what is right)."""
        return self.spec, "judge" if self.judge else "golden"

    @property
    def options(self) -> str:
        """The options of qgru fuzz that give this subject; "" for the default."""
        dut = "" if self.spec == TWIN else f" --dut {_quoted(self.spec)}"
        waits = self.spec != TWIN and self.timeout != TIMEOUT_SECONDS
        return dut + (" --judge" if self.judge else "") + (f" --timeout {self.timeout:.15g}" if waits else "")


@dataclass(frozen=True)
class Verdict:
    """What came of one problem.

    outcome     equal, not run, refused, differs, or how a device failed: a key of verification.dut.failure.FAILURES
    detail      a sentence, or ""
    stage       the first stage that differs, or ""
    compared    how many codes were compared
    comparison  of the two traces, where there are two
    expected    the trace that is right, or None where the problem is refused
    got         the fields that the subject gave
    """

    outcome: str
    detail: str = ""
    stage: str = ""
    compared: int = 0
    comparison: Comparison | None = field(default=None, repr=False)
    expected: Trace | None = field(default=None, repr=False)
    got: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def failed(self) -> bool:
        """Whether the subject is wrong here."""
        return self.outcome not in (EQUAL, NOT_RUN, REFUSED)


_open = threading.local()


def examine(subject: Subject, problem: Problem) -> Verdict:
    """Run a problem on the reference and on the subject, and compare every stage that the subject gives.

    Nothing is raised for what a subject does wrong; a device is started once for each process and thread.
    Raises   DeviceError for a device that cannot be used at all
    """
    device = None if subject.spec == TWIN else _device(subject)
    if device is not None:
        sizes = {**dict(zip("TNC", problem.x.shape)), "H": problem.params.hidden_size}
        reason = device.capabilities.missing("sequence", problem.params.datapath, frozenset(), sizes)
        if reason is not None:
            return Verdict(NOT_RUN, reason)
    expected, refusal = _attempt(problem, judge_forward if subject.judge else golden_forward)
    if device is None:
        return _on_twin(problem, expected, refusal)
    if expected is None:
        return Verdict(REFUSED, refusal)
    case = Case(
        "fuzz", problem.params, problem.x, problem.h0, problem.mask, problem.zoneout, problem.training, problem.reverse,
        expected, "fuzz", flags={},
    )  # fmt: skip
    found = check_case(device, case)
    comparison = found.comparison if isinstance(found.comparison, Comparison) else None
    arrays = dict(found.answer.arrays) if found.answer is not None and comparison is not None else {}
    if OUTPUT in arrays:
        output = arrays.pop(OUTPUT)
        arrays.setdefault("h", output)
    return Verdict(
        found.outcome, found.detail, _stage(comparison), found.compared, comparison, expected,
        {name: array for name, array in arrays.items() if name in expected},
    )  # fmt: skip


def _attempt(problem: Problem, forward: Any, **more: Any) -> tuple[Trace | None, str]:
    """(trace, "") or (None, the sentence of the refusal)."""
    try:
        with np.errstate(all="ignore"):
            return problem.run(forward, **more), ""
    except QgruError as error:
        return None, str(error)


def _on_twin(problem: Problem, expected: Trace | None, refusal: str) -> Verdict:
    try:
        got, sentence = _attempt(problem, twin_forward, device="host")
    except Exception as error:  # whatever it is, it is a finding
        return Verdict("error", f"{type(error).__name__}: {error}", expected=expected)
    if expected is None or got is None:
        if expected is got:
            same = refusal == sentence
            return Verdict(REFUSED, refusal) if same else Verdict("error", f"refused with {sentence!r}, expected {refusal!r}")
        return Verdict("accepted", f"taken, expected {refusal!r}") if expected is None else Verdict("error", sentence)
    comparison = with_state(compare(got, expected, problem.params), got, expected)
    if comparison.equal:
        return Verdict(EQUAL, compared=comparison.compared)
    detail = "; ".join(comparison.problems)
    return Verdict(DIFFERS, detail, _stage(comparison), comparison.compared, comparison, expected, got.fields)


def _stage(comparison: Comparison | None) -> str:
    return comparison.first.stage if comparison is not None and comparison.first is not None else ""


def _device(subject: Subject) -> Device:
    """The subject's device, started when it is first asked for."""
    devices: dict[Subject, Device] = _open.__dict__.setdefault("devices", {})
    if subject not in devices:
        devices[subject] = resolve(subject.spec, subject.timeout)
    return devices[subject]


def close() -> None:
    """End the devices of this thread."""
    devices: dict[Subject, Device] = _open.__dict__.setdefault("devices", {})
    while devices:
        devices.popitem()[1].close()


def verdict_text(subject: Subject, problem: Problem, verdict: Verdict, replay: str, named: tuple[str, ...] = ()) -> str:
    """The report of a verdict that failed, in a few lines."""
    who, right = subject.names
    if verdict.comparison is None or verdict.expected is None:
        return f"FAILED {who}\n  {verdict.outcome}: {verdict.detail}\n  replay: {replay}"
    said = [f"  diagnosis: {' or '.join(named[:SHOWN])}{' or others' if len(named) > SHOWN else ''}"]
    options = {name: getattr(problem, name) for name in OPTIONS}
    if named:
        said += inferred_lines(
            problem.params, problem.x, problem.h0, options, expected=verdict.expected, given=verdict.got, names=named[:1]
        )
    else:
        said = report_lines(
            problem.params, problem.x, problem.h0, options, expected=verdict.expected, got=verdict.got, seconds=PAIR_SECONDS
        )
    return report(
        verdict.comparison, problem.params, verdict.expected, names=(who, right), replay=replay, diagnosis=said
    )  # fmt: skip


def checked_subject(spec: str, judge: bool, timeout: float) -> Subject:
    """A subject that can be used: a device is started once to see that it is there.

    Raises ParameterError, or DeviceError in one sentence
    """
    if not timeout > 0:
        raise ParameterError("timeout", repr(timeout), "a positive number of seconds")
    if spec != TWIN:
        resolve(spec, timeout).close()
    return Subject(spec, judge, timeout)


def _quoted(text: str) -> str:
    return shlex.quote(text)
