"""A fault planted in the twin's source makes its proof fail, with a counterexample that replays."""

from __future__ import annotations

import pytest

from tests.verification.proof_faults import EQUIVALENT, FAULTS, UNPLAYED

pytest.importorskip("z3", reason="needs the extra qgru[proofs]")

from golden.spec.errors import ParameterError  # noqa: E402
from verification.proofs.registry import registry  # noqa: E402
from verification.proofs.replay import replay  # noqa: E402
from verification.proofs.solve import prove  # noqa: E402
from verification.proofs.source import Plant, Twin  # noqa: E402

TIMEOUT = 300.0


def last(name, twin):
    """The obligation's result on this twin."""
    *_, result = prove(registry()[name], twin, TIMEOUT)
    return result


@pytest.mark.parametrize(("name", "function", "old", "new"), FAULTS)
def test_a_planted_fault_has_a_counterexample_that_replays(name, function, old, new):
    twin = Twin([Plant(function, old, new)])
    result = last(name, twin)
    assert result.verdict == "counterexample", result
    found = result.counterexample
    assert found["failed"] and found["differs"] is True and found["twin"] != found["judge"], found
    again = replay(registry()[name], found["arguments"], Twin([Plant(function, old, new)]))
    assert again["differs"] and again["twin"] == found["twin"]
    sound = replay(registry()[name], found["arguments"])
    assert not sound["differs"], sound  # the inputs are legal, and the twin as it is gives what the judge gives


@pytest.mark.parametrize(("name", "function", "old", "new"), UNPLAYED)
def test_a_planted_fault_fails_the_proof(name, function, old, new):
    result = last(name, Twin([Plant(function, old, new)]))
    assert result.verdict == "counterexample", result
    assert result.counterexample["failed"]


def test_a_plant_that_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="planted text is 0 times in rounding.ties_up, expected exactly once"):
        Twin([Plant("rounding.ties_up", "no such text", "")])


@pytest.mark.parametrize(("name", "function", "old", "new"), EQUIVALENT)
def test_a_change_that_changes_nothing_is_proven(name, function, old, new):
    assert last(name, Twin([Plant(function, old, new)])).verdict == "holds"
