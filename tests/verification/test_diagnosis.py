"""Planted deviations are named; nothing else is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from golden.spec.errors import ParameterError, QgruError
from golden.spec.formats import INT8
from golden.spec.trace import Trace
from tests.verification.deviation_problems import MAKERS
from tests.verification.test_deviations import run_of
from verification.compare import compare
from verification.deviations.catalogue import BASES, CATALOGUE
from verification.deviations.evaluate import forward
from verification.diagnosis import diagnose, lines, report_lines
from verification.diagnosis_synthesis import planted
from verification.exact import activation, cell, gates, hidden, ranges, rescale, sequence
from verification.exact.sequence import forward as judge
from verification.problem import Problem
from verification.report import report

OPTIONS = ("mask", "zoneout", "training", "reverse")
SEEDS = range(40)


def named(problem: Problem, expected: Trace, got, **more):
    options = {name: getattr(problem, name) for name in OPTIONS}
    more = {"search_pairs": False, "synthesize": False} | more
    return diagnose(problem.params, problem.x, problem.h0, options, expected=expected, got=got, **more)


def plant(problem, *names):
    with np.errstate(all="ignore"):
        return planted(run_of(problem), tuple(CATALOGUE[name] for name in names))


def differing(names, field=None, datapaths=tuple(MAKERS)):
    """A problem, its right trace and the planted one, which differ in the field (None: anywhere); None when there is none."""
    for seed in SEEDS:
        for datapath in datapaths:
            if not all(CATALOGUE[name].applies(datapath) for name in names):
                continue
            problem = MAKERS[datapath](seed)
            expected = problem.run(forward)
            try:
                got = plant(problem, *names)
            except (QgruError, OverflowError):
                continue
            fields = [field] if field else list(expected)
            if any(got[k].tobytes() != expected[k].tobytes() for k in fields):
                return problem, expected, got
    return None


# Too small to reach the outputs of these problems: seen in the stages alone.
HIDDEN = {
    "accumulates-in-24-bits",
    "reciprocal-for-division",
    "sum-saturates-each-addition",
    "ema-fused-new",
    "multiplier-ties-even",
    "multiplier-by-reciprocal",
    "multiplier-of-exact-ratio",
    "division-for-reciprocal@x",
    "bias-quantize-truncates",
    "bias-quantize-by-reciprocal",
}
FIRST = [next(d.name for d in CATALOGUE.values() if d.base == base) for base in BASES]


@pytest.mark.parametrize("name", FIRST)
def test_a_planted_deviation_is_named_by_its_stages(name):
    found = differing([name])
    assert found is not None
    problem, expected, got = found
    diagnosis = named(problem, expected, got)
    assert (name,) in [e.names for e in diagnosis.explanations]
    assert diagnosis.verdict in ("one", "several")
    total = sum(a.size for a in expected.values())
    assert {(e.explained + e.agreeing) for e in diagnosis.explanations} == {total}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST)
def test_a_planted_deviation_is_named_by_the_outputs(name):
    found = differing([name], "h")
    if found is None:
        assert name in HIDDEN
        return
    problem, expected, got = found
    diagnosis = named(problem, expected, got["h"])
    assert (name,) in [e.names for e in diagnosis.explanations]


PLACES = [d.name for i, d in enumerate(d for d in CATALOGUE.values() if "@" in d.name) if i % 9 == 0]


@pytest.mark.parametrize("name", PLACES)
def test_a_deviation_in_one_place_is_named(name):
    found = differing([name])
    if found is not None:
        problem, expected, got = found
        assert (name,) in [e.names for e in named(problem, expected, got).explanations]


# --- planted otherwise: a function of the judge replaced, which shares nothing with the catalogue


def floors(x, s):
    return x >> s if s >= 0 else x << -s


def at_or_below(q, table):
    return next((i for i, v in enumerate(table.thresholds.tolist()) if q <= v), len(table.thresholds) - 1)


def zero_for_a_half(*parts):
    return 0 if parts == (1, 2) else Fraction(*parts)


FOREIGN = {
    "floors": ("mshift", [(rescale, "ties_up", floors), (gates, "ties_up", floors)]),
    "product-without-zero-point": (
        "mshift",
        [(cell, "matmul", lambda codes, column, zero_point: sum(w * q for w, q in zip(column, codes, strict=True)))],
    ),
    "one-is-1": ("mshift", [(hidden, "ONE_M", 1)]),
    "table-read-at-byte": ("mshift", [(activation, "direct", lambda q, table: int(table.entries[q & 255]))]),
    "ema-weights-exchanged": (
        "mshift-dynamic",
        [(ranges, "NINE_TENTHS", ranges.ONE_TENTH), (ranges, "ONE_TENTH", ranges.NINE_TENTHS)],
    ),
    "zoneout-mask-inverted": ("pot", [(sequence, "zoneout_mask", lambda mask, old, new: new if mask == 1 else old)]),
    "multiplier-floored": (
        "mshift-dynamic",
        [(rescale, "Fraction", zero_for_a_half)],
    ),
    "threshold-included": (
        "pot",
        [(activation, "segment", at_or_below)],
    ),
    "one-plus-one": ("pot", [(sequence, "pot_one", None), (cell, "pot_one", None)]),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_fault_in_the_judge_itself_is_named(name, monkeypatch):
    datapath, changes = FOREIGN[name]
    right = hidden.pot_one
    tested = 0
    for seed in range(24):
        problem = MAKERS[datapath](seed)
        expected = problem.run(judge)
        with monkeypatch.context() as patch:
            for module, attribute, value in changes:
                patch.setattr(module, attribute, value if value is not None else lambda *a: right(*a) + 1)
            got = problem.run(judge)
        if all(np.array_equal(got[k], expected[k]) for k in expected):
            continue
        diagnosis = named(problem, expected, got)
        assert (name,) in [e.names for e in diagnosis.explanations], diagnosis.text()
        tested += 1
    assert tested > 0


# --- no false names


@pytest.mark.parametrize("datapath", MAKERS)
@pytest.mark.parametrize("seed", range(4))
def test_a_right_run_gets_no_name(datapath, seed):
    problem = MAKERS[datapath](seed)
    expected = problem.run(judge)
    for got in (expected, expected["h"], expected["h"][1:]):
        diagnosis = named(problem, expected, got)
        assert (diagnosis.verdict, diagnosis.explanations) == ("equal", ())
        assert diagnosis.text().startswith("equal: all ")


@pytest.mark.parametrize("datapath", MAKERS)
@pytest.mark.parametrize("seed", range(6))
def test_a_code_changed_at_random_gets_no_name(datapath, seed):
    problem = MAKERS[datapath](seed)
    expected = problem.run(judge)
    fields = {name: np.array(a) for name, a in expected.items()}
    rng = np.random.default_rng(seed)
    h = fields["h"][1:].reshape(-1)
    for i in rng.choice(h.size, min(5, h.size), replace=False):
        h[i] = (h[i] + 1 + rng.integers(0, 200) + 128) % 256 - 128
    diagnosis = named(problem, expected, fields)
    assert (diagnosis.verdict, diagnosis.explanations) == ("none", ())
    assert diagnosis.roots["h"] > 0
    assert "none: no deviation" in diagnosis.text()


def test_a_wrong_expectation_is_said():
    problem = MAKERS["mshift"](1)
    got = problem.run(judge)
    wrong = {name: np.array(a) for name, a in got.items()}
    wrong["h"][1, 0, 0] ^= 1
    diagnosis = named(problem, Trace(got.datapath, wrong, got.reverse), got)
    assert (diagnosis.verdict, diagnosis.differing) == ("none", 1)
    assert "the expected trace is not" in diagnosis.text()


# --- pairs


PAIRS = [
    ("one-is-1", "bias-missing@bx"),
    ("floors@requantize-z", "truncates@requantize-g"),
    ("floors", "bias-twice@br"),
    ("reset-left-out", "state-stale@product"),
    ("zero-point-left-out@r-pre", "floors@requantize-r"),
]


@pytest.mark.parametrize("names", PAIRS)
def test_two_deviations_are_named_together(names):
    for seed in SEEDS:
        problem = MAKERS["mshift"](seed)
        expected, got = problem.run(forward), plant(problem, *names)
        if all(np.array_equal(got[k], expected[k]) for k in expected) or named(problem, expected, got).verdict != "none":
            continue
        diagnosis = named(problem, expected, got, search_pairs=True)
        assert set(names) in [set(e.names) for e in diagnosis.explanations] or len(diagnosis.explanations) >= 24
        assert all(len(e.names) == 2 for e in diagnosis.explanations)
        assert diagnosis.verdict == ("pair" if len(diagnosis.explanations) == 1 else "several")
        return
    pytest.fail("no problem needs both")


def test_three_deviations_are_none():
    problem = MAKERS["mshift"](0)
    expected = problem.run(forward)
    got = plant(problem, "one-is-1", "bias-missing@bx", "reset-left-out")
    diagnosis = named(problem, expected, got, search_pairs=True, seconds=3)
    assert diagnosis.verdict == "none"
    assert set(diagnosis.roots) >= {"n_acc", "g_rb"}


# --- several, and what tells them apart


@pytest.mark.parametrize("datapath", MAKERS)
def test_several_are_told_apart_by_a_synthesized_problem(datapath):
    problem = MAKERS[datapath](0, steps=2, batch=1)
    problem = Problem(problem.params, problem.x, problem.h0)
    expected, got = problem.run(forward), plant(problem, "state-not-carried")
    diagnosis = named(problem, expected, got, synthesize=True, seconds=5)
    names = [e.names[0] for e in diagnosis.explanations]
    assert diagnosis.verdict == "several" and {"state-not-carried", "state-stale"} <= set(names)
    vector = diagnosis.discriminating
    assert vector is not None and len(vector.groups) > 1
    for group, values in vector.groups:
        for name in group:
            assert plant(vector.problem, name)[vector.by].tolist() == values.tolist()
    assert len({values.tobytes() for _, values in vector.groups}) == len(vector.groups)
    assert "apart by" in diagnosis.text()
    again = Problem.from_json(diagnosis.plain()["discriminating"]["problem"])
    assert np.array_equal(again.x, vector.problem.x)


# --- what is handed in


def test_some_fields_are_enough():
    problem, expected, got = differing(["truncates@requantize-r"], "h", ("mshift",))
    fields = {name: got[name] for name in ("h", "r_pre")}
    diagnosis = named(problem, expected, fields)
    assert ("truncates@requantize-r",) in [e.names for e in diagnosis.explanations]
    assert diagnosis.compared == got["h"].size + got["r_pre"].size


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda h: {"z": h[1:]}, "got is without h, expected at least the states"),
        (lambda h: {"h": h, "nope": h}, "got is an array nope, expected fields of such a run"),
        (lambda h: h[:, :1], "got h is an array of shape"),
        (lambda h: h.astype(np.float32), "got h is an array of float32, expected integers"),
    ],
)
def test_arrays_of_another_run_are_refused(change, sentence):
    problem = MAKERS["mshift"](0)
    expected = problem.run(forward)
    with pytest.raises(ParameterError, match=sentence):
        named(problem, expected, change(expected["h"]))


def test_narrow_integers_are_taken():
    problem, expected, got = differing(["one-is-1"], "h", ("mshift",))
    assert INT8.qmin <= got["h"].min() and got["h"].max() <= INT8.qmax
    assert ("one-is-1",) in [e.names for e in named(problem, expected, got["h"].astype(np.int8)).explanations]


def test_the_text_says_what_and_how_much():
    problem, expected, got = differing(["one-is-1"], "h", ("mshift",))
    diagnosis = named(problem, expected, got)
    e = diagnosis.explanations[0]
    assert diagnosis.verdict == "one"
    assert diagnosis.text().splitlines()[0] == (
        "one-is-1 [SPEC GM-3, GP-6, X-4]: the code of one is 1, as 1.0 cast to an integer; this explains all "
        f"{e.explained} differing codes and agrees on the other {e.agreeing}"
    )
    assert lines(diagnosis)[0].startswith("  diagnosis: one-is-1")
    assert diagnosis.plain()["explanations"][0]["names"] == ["one-is-1"]


def test_a_mismatch_report_has_the_diagnosis():
    problem, expected, got = differing(["one-is-1"], "h", ("mshift",))
    options = {name: getattr(problem, name) for name in OPTIONS}
    found = report_lines(problem.params, problem.x, problem.h0, options, expected=expected, got=got)
    text = report(
        compare(got, expected, problem.params), problem.params, expected, names=("a", "b"), replay="r", diagnosis=found
    )
    assert "\n  diagnosis: one-is-1 [SPEC GM-3" in text and text.endswith("\n  replay: r")
    assert report_lines(problem.params, problem.x, problem.h0, options, expected=expected, got=expected) == []
    assert report_lines(problem.params, problem.x, problem.h0, options, expected=expected, got={}) == []
