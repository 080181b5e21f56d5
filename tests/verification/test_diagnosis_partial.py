"""What is said where no deviation of the catalogue explains a run: stages that are explained, states that are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.verification.deviation_problems import MAKERS
from tests.verification.test_deviations import run_of
from tests.verification.test_diagnosis import OPTIONS, plant
from verification.deviations.catalogue import CATALOGUE
from verification.deviations.evaluate import forward
from verification.diagnosis import diagnose
from verification.diagnosis_synthesis import planted


def diagnosed(problem, expected, got, **more):
    options = {name: getattr(problem, name) for name in OPTIONS}
    return diagnose(problem.params, problem.x, problem.h0, options, expected=expected, got=got, synthesize=False, **more)


@pytest.mark.parametrize(
    ("name", "stages", "more"),
    [
        ("wraps", ("z_pre", "r_pre", "g_pre", "Wx"), ""),
        ("operand-without-zero-point@Rh", ("z_Rh_aligned", "r_Rh_aligned"), " and not in A_Rh_aligned"),
    ],
)
def test_a_deviation_in_some_of_its_stages_is_named_with_them(name, stages, more):
    for seed in range(40):
        problem = MAKERS["pot"](seed)
        expected = problem.run(forward)
        deviation = CATALOGUE[name]
        with np.errstate(all="ignore"):
            got = planted(run_of(problem), (replace(deviation, fields={"pot": stages}),))
        found = diagnosed(problem, expected, got)
        if found.verdict == "none" and set(found.roots) == set(stages):
            break
    where = [f for f in deviation.fields["pot"] if f in stages]
    start = f"all recorded codes come out with {name} [SPEC {', '.join(deviation.clauses)}] in the stages {', '.join(where)}"
    said = [line for line in found.note.splitlines() if line.startswith(start)]
    assert found.verdict == "none" and len(said) == 1
    assert said[0].startswith(start + " and not in ") if not more else said[0] == start + more
    assert said[0] in found.text()


def test_states_are_explained_where_the_stages_are_recorded_in_another_order():
    problem = MAKERS["mshift"](0)
    expected = problem.run(forward)
    got = {name: values.copy() for name, values in plant(problem, "gate-order-r-z-g").items()}
    for name in ("Wx", "Rh"):  # the products in the order of the weights, the gates in the other one
        blocks = np.split(got[name], 3, axis=-1)
        got[name] = np.concatenate([blocks[1], blocks[0], blocks[2]], axis=-1)
    found = diagnosed(problem, expected, got)
    assert found.verdict == "none"
    assert "the states alone would be explained by gate-order-r-z-g [SPEC L-1, GM-1, GP-2]: every weight and bias" in found.note


def test_nothing_is_said_of_states_alone_and_of_noise():
    problem = MAKERS["mshift"](0)
    expected = problem.run(forward)
    states = expected["h"].copy()
    states[-1, 0, 0] ^= 1
    assert diagnosed(problem, expected, {"h": states}, seconds=1).note == ""
    got = {name: values.copy() for name, values in expected.items()} | {"h": states}
    got["z_acc"][0, 0, 0] += 12345
    found = diagnosed(problem, expected, got)
    assert (found.verdict, found.note) == ("none", "")
