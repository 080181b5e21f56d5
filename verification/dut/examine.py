"""A case on a device: asked, checked, compared; whatever happens, there is an outcome and the run goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from golden.spec.errors import QgruError
from vectors.case import Case
from vectors.chain_case import ChainCase
from vectors.error_case import ErrorCase
from vectors.kinds import AnyCase
from vectors.step_case import StepCase
from verification.compare import Comparison, compare
from verification.diagnosis import REPORT_SECONDS, diagnose, lines
from verification.dut.capabilities import OUTPUT
from verification.dut.device import Answer, Device
from verification.dut.failure import DIFFERS, EQUAL, NOT_RUN, Failure, NotSupported
from verification.dut.infer import inferred_lines
from verification.dut.request import Request, Wanted, request_of, state_arrays
from verification.dut.step_compare import StepComparison, compare_step, step_report
from verification.report import report


@dataclass(frozen=True)
class Unmade:
    """A case that is not made, for the reason that the device would not get it."""

    id: str
    group: str
    kind: str
    reason: str


GIVE_UP = 5  # hangs in a row, after which the rest is not run


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    case        the case
    outcome     equal, differs, not run, or how it failed: a key of verification.dut.failure.FAILURES
    detail      one sentence, or ""
    compared, mismatches, passed, failed  what follows from it
    fields      what was compared, by name
    comparison  a Comparison of a run, a StepComparison of a step, a ChainComparison of a chain, or None
    answer      what the device returned, or None
    """

    case: AnyCase | Unmade = field(repr=False)
    outcome: str
    detail: str = ""
    fields: tuple[str, ...] = ()
    comparison: Any = None
    answer: Answer | None = field(default=None, repr=False)

    @property
    def compared(self) -> int:
        """How many numbers were compared."""
        return 0 if self.comparison is None else self.comparison.compared

    @property
    def mismatches(self) -> int:
        """How many of them differ."""
        return 0 if self.comparison is None else self.comparison.mismatches

    @property
    def passed(self) -> bool:
        """Whether it ran and everything that was due came and is equal."""
        return self.outcome == EQUAL

    @property
    def failed(self) -> bool:
        """Whether it ran, or was tried, and is not equal; what was not run neither passed nor failed."""
        return self.outcome not in (EQUAL, NOT_RUN)

    def report(self, name: str, replay: str) -> str:
        """What there is to say of a case that failed, in a few lines."""
        if self.outcome == DIFFERS and isinstance(self.comparison, StepComparison):
            return step_report(self.comparison, names=(name, "expected"), replay=replay)
        if self.outcome == DIFFERS and isinstance(self.comparison, Comparison) and isinstance(self.case, Case):
            names = (name, "expected")
            text = report(
                self.comparison, self.case.params, self.case.trace, names=names, replay=replay, diagnosis=self._diagnosis()
            )
            return text.replace("\n  replay:", f"\n  compared: {', '.join(self.fields)}\n  replay:")
        if self.outcome == DIFFERS and isinstance(self.case, ChainCase):
            from verification.dut.chain import chain_report

            return chain_report(self.case, self.comparison, names=(name, "expected"), replay=replay)
        return f"FAILED {name}, case {self.case.id}\n  {self.outcome}: {self.detail}\n  replay: {replay}"

    def _diagnosis(self) -> list[str]:
        """What explains the answer, where the states came, and the stage inside that follows from it."""
        if not isinstance(self.case, Case) or self.answer is None:
            return []
        c, arrays = self.case, self.answer.arrays
        got = {**arrays, "h": arrays["h"] if "h" in arrays else arrays[OUTPUT]} if {"h", OUTPUT} & set(arrays) else {}
        try:
            fields = {name: array for name, array in got.items() if name in c.trace}
            found = diagnose(c.params, c.x, c.h0, c.options, expected=c.trace, got=fields, seconds=REPORT_SECONDS)
        except QgruError:
            return []
        if found.verdict == "equal":
            return []
        names = found.explanations[0].names if found.explanations else ()
        inside = inferred_lines(c.params, c.x, c.h0, c.options, expected=c.trace, given=arrays, names=names)
        return [*lines(found), *inside]


def check(device: Device, cases: Iterable[AnyCase | Unmade]) -> Iterator[Outcome]:
    """Run the cases one after the other; after GIVE_UP hangs in a row the rest is listed as not run.

    The device is ended after the last one: what it still writes then is an overrun of the last case that it answered.
    """
    hangs = 0
    held: list[Outcome] = []  # the last case that was run, and those after it that were not
    for case in cases:
        if hangs >= GIVE_UP:
            outcome = Outcome(case, NOT_RUN, f"the device did not answer {GIVE_UP} cases in a row")
        else:
            outcome = Outcome(case, NOT_RUN, case.reason) if isinstance(case, Unmade) else check_case(device, case)
        hangs = hangs + 1 if outcome.outcome == "hang" else hangs if outcome.outcome == NOT_RUN else 0
        if outcome.outcome != NOT_RUN:
            yield from held
            held = []
        held.append(outcome)
    late = device.close()
    if late and held and held[0].passed:
        held[0] = replace(held[0], outcome="overrun", detail=f"{late} bytes came after the end of the last answer")
    yield from held


def check_case(device: Device, case: AnyCase) -> Outcome:
    """Run one case on a device and compare what comes back.  Nothing is raised for what a device does wrong."""
    if isinstance(case, ChainCase):
        from verification.dut.chain import check_chain

        return check_chain(device, case)
    request = request_of(case, device.capabilities)
    if isinstance(request, str):
        return Outcome(case, NOT_RUN, request)
    try:
        answer = device.run(request)
    except NotSupported as error:
        return Outcome(case, NOT_RUN, f"the device does not do it{': ' if str(error) else ''}{error}")
    except Failure as failure:
        return Outcome(case, failure.kind, failure.sentence)
    try:
        return examine(case, request, answer)
    except Failure as failure:
        return Outcome(case, failure.kind, failure.sentence, answer=answer)


def examine(case: AnyCase, request: Request, answer: Answer) -> Outcome:
    """The outcome of an answer.

    Raises Failure for an answer that cannot be compared
    """
    if isinstance(case, ErrorCase):
        if answer.refusal is None:
            raise Failure("accepted", f"it was taken, expected the refusal of {case.field}")
        return Outcome(case, EQUAL, f"refused: {answer.refusal}", answer=answer)
    if answer.refusal is not None:
        raise Failure("error", f"refused as bad input: {answer.refusal or 'without a word'}")
    arrays = checked(request, answer)
    comparison = compare_step(case, arrays) if isinstance(case, StepCase) else _compare_run(_run(case), arrays)
    if not comparison.equal:
        short = _untouched(request, answer)
        if short:
            raise Failure("short", short)
    sentence = "; ".join(comparison.problems) if isinstance(comparison, Comparison) else ""
    return Outcome(case, EQUAL if comparison.equal else DIFFERS, sentence, tuple(arrays), comparison, answer)


def _run(case: AnyCase) -> Case:
    assert isinstance(case, Case)
    return case


def checked(request: Request, answer: Answer) -> dict[str, np.ndarray]:
    """The arrays of an answer, each as it was asked for, in the order of the request."""
    wanted = {w.name: w for w in request.outputs}
    for name in answer.arrays:
        if name not in wanted:
            raise Failure("protocol", f"array {name!r} was not asked for, expected some of {', '.join(wanted)}")
    arrays: dict[str, np.ndarray] = {}
    for name, w in wanted.items():
        array = answer.arrays.get(name)
        if array is None and w.required:
            raise Failure("short", f"array {name} is missing")
        if array is not None:
            _check_array(w, array)
            arrays[name] = array
    if request.kind == "sequence" and not {"h", OUTPUT} & set(arrays) and not any(w.required for w in wanted.values()):
        raise Failure("short", f"neither h nor {OUTPUT} is there, expected one of them")
    return arrays


def _check_array(wanted: Wanted, array: np.ndarray) -> None:
    if array.dtype.name != wanted.dtype:
        raise Failure("dtype", f"array {wanted.name} is {array.dtype.name}, expected {wanted.dtype}")
    if array.shape != wanted.shape:
        raise Failure("shape", f"array {wanted.name} has the shape {list(array.shape)}, expected {list(wanted.shape)}")


def _untouched(request: Request, answer: Answer) -> str:
    """The sentence for the first buffer that was not written to its end, or ""."""
    for w in request.outputs:
        count = answer.unwritten.get(w.name, 0)
        if count:
            return f"array {w.name}: {count} of {int(np.prod(w.shape, dtype=np.int64))} numbers were not written"
    return ""


def _compare_run(case: Case, arrays: Mapping[str, np.ndarray]) -> Comparison:
    """Compare the fields that came; where a device gives none the expected one stands, which adds nothing to the counts."""
    expected = case.trace
    given: dict[str, Any] = {name: array for name, array in arrays.items() if name in expected}
    if OUTPUT in arrays and "h" not in given:
        given["h"] = np.concatenate([expected["h"][:1], arrays[OUTPUT]])
    fields = {name: given.get(name, array) for name, array in expected.items()}
    comparison = compare(replace(expected, fields=fields), expected, case.params, given)
    stages = {name: counts for name, counts in comparison.stages.items() if name in given}
    compared = sum(size for size, _ in stages.values())
    if OUTPUT in arrays and "h" not in arrays:
        size = arrays[OUTPUT].size
        compared += size - stages["h"][0]
        stages["h"] = size, stages["h"][1]
    problems = [*comparison.problems]
    mismatches, roots = comparison.mismatches, comparison.roots
    if OUTPUT in arrays and "h" in arrays:
        wrong = arrays[OUTPUT] != expected["h"][1:]
        stages[OUTPUT] = wrong.size, int(np.count_nonzero(wrong))
        compared += wrong.size
        mismatches += stages[OUTPUT][1]
        roots += int(np.count_nonzero(wrong & (arrays["h"][1:] == expected["h"][1:])))
        if not np.array_equal(arrays[OUTPUT], arrays["h"][1:]):
            problems.append("output is not what h says")
    if expected.state is not None:
        for name, value in state_arrays(expected.state).items():
            got = arrays.get(f"state.{name}")
            if got is None:
                continue
            count = int(np.count_nonzero(_bits(got) != _bits(value)))
            stages[f"state.{name}"] = value.size, count
            compared, mismatches, roots = compared + value.size, mismatches + count, roots + count
            if count:
                problems.append(f"the final state's {name} is {got.tolist()}, expected {value.tolist()}")
    return replace(comparison, compared=compared, mismatches=mismatches, roots=roots, stages=stages, problems=tuple(problems))


def _bits(array: np.ndarray) -> np.ndarray:
    """The bytes of each number, of a type that compares them."""
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
