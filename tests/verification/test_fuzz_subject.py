"""What comes of one problem: every way in which the twin or a device can be wrong, and what no one is blamed for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from golden.sequence import forward
from golden.spec.errors import RangeError
from tests.verification.fuzz_devices import spec, wrong
from verification.dut.failure import DeviceError
from verification.fuzz import subject as module
from verification.fuzz.campaign import Campaign
from verification.fuzz.explain import explanations
from verification.fuzz.subject import Subject, checked_subject, close, examine, verdict_text

TWIN = Subject()


def problem_of(datapath, wanted=lambda p: p.x.size):
    return next(p for p in (Campaign(0, datapath, 4).problem(i) for i in range(400)) if wanted(p))


@pytest.fixture
def twin(monkeypatch):
    """Puts another forward in the twin's place."""

    def put(function):
        monkeypatch.setattr(module, "twin_forward", lambda *a, device, **o: function(*a, **o))

    return put


@pytest.mark.parametrize("datapath", ["mshift", "mshift-dynamic", "pot"])
def test_the_twin_is_equal(datapath):
    verdict = examine(TWIN, problem_of(datapath))
    assert (verdict.outcome, verdict.failed) == ("equal", False) and verdict.compared > 30


def test_a_code_that_differs(twin):
    twin(wrong)
    found = [(p, v) for p in (Campaign(0, "pot", 4).problem(i) for i in range(40)) if (v := examine(TWIN, p)).failed]
    assert found and {v.outcome for _, v in found} == {"differs"}
    for problem, verdict in found:
        assert "ties-up@requantize" in explanations(problem, verdict)
        assert explanations(problem, verdict, ("ties-up@requantize", "wraps")) == ("ties-up@requantize",)
        text = verdict_text(TWIN, problem, verdict, "again", ("ties-up@requantize",))
        assert f"stage {verdict.stage} [SPEC" in text and "diagnosis: ties-up@requantize" in text and "replay: again" in text


def test_an_exception_is_a_finding(twin):
    twin(lambda *a, **o: 1 // 0)
    verdict = examine(TWIN, problem_of("pot"))
    assert (verdict.outcome, verdict.failed) == ("error", True) and "ZeroDivisionError" in verdict.detail
    assert verdict_text(TWIN, problem_of("pot"), verdict, "again").startswith("FAILED twin\n  error: ZeroDivisionError")


def infinite(problem):
    x = problem.x.copy()
    x.reshape(-1)[0] = np.inf
    return replace(problem, x=x)


def test_what_both_refuse_is_no_finding(twin):
    problem = infinite(problem_of("mshift-dynamic"))
    verdict = examine(TWIN, problem)
    assert (verdict.outcome, verdict.failed, verdict.expected) == ("refused", False, None) and "x at step" in verdict.detail
    device = Subject("py:golden.sequence:forward")
    assert examine(device, problem).outcome == "refused"
    close()


def test_what_only_one_refuses_is_a_finding(twin):
    def refuses(*a, **o):
        raise RangeError("x", "inf", 7)

    twin(refuses)
    assert examine(TWIN, problem_of("pot")).outcome == "error"
    assert "expected 'x at step" in examine(TWIN, infinite(problem_of("mshift-dynamic"))).detail
    right = problem_of("mshift-dynamic").run(forward)
    twin(lambda *a, **o: right)
    verdict = examine(TWIN, infinite(problem_of("mshift-dynamic")))
    assert (verdict.outcome, verdict.failed) == ("accepted", True)


def test_the_judge_stands_in_for_golden():
    assert examine(Subject(judge=True), problem_of("pot")).outcome == "equal"
    verdict = examine(
        Subject(spec("wrong"), judge=True), problem_of("pot", lambda p: examine(Subject(spec("wrong")), p).failed)
    )
    assert verdict.failed
    assert Subject(spec("wrong"), judge=True).options == f" --dut {spec('wrong')} --judge"
    assert Subject(spec("hangs"), timeout=0.5).options == f" --dut {spec('hangs')} --timeout 0.5"
    close()


def test_what_a_device_does_not_declare_is_not_run(tmp_path):
    (tmp_path / "part.py").write_text(
        "class Part:\n    capabilities = {'datapaths': ['pot'], 'options': ['h0']}\n"
        "    def sequence(self, *a, **o):\n        return NotImplemented\n"
    )
    subject = Subject(f"py:{tmp_path / 'part.py'}:Part")
    plain = problem_of("pot", lambda p: p.x.size and not (p.reverse or p.training or p.zoneout))
    assert examine(subject, problem_of("mshift")).detail == "the datapath mshift is not declared"
    assert examine(subject, plain).outcome == "not run" and not examine(subject, plain).failed
    close()


def test_a_device_that_is_not_there_is_refused_at_once():
    with pytest.raises(DeviceError, match="is not there"):
        checked_subject("py:nowhere:f", False, 5.0)
