"""Coverpoints: classes by hand, what a code one off reaches by golden's own steps, records, proofs, draws toward what lacks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

from golden.hidden import mshift_hidden, pot_hidden
from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, IntFormat
from tests.golden.sweep import examples
from vectors.draw import Draw
from vectors.plan import corners, runs
from verification.coverage.bias import best, problem, search, targets
from verification.coverage.classes import BOUNDS, CROSS16, CROSS48, REGIONS, bound, cross, nearest, region, rounded
from verification.coverage.collect import case_counts, collect
from verification.coverage.measure import measure
from verification.coverage.model import Point, model, points
from verification.coverage.propagation import Consequences
from verification.coverage.record import Record
from verification.coverage.runs import met
from verification.coverage.summary import missed, silent, summary, totals
from verification.coverage.unreachable import ARGUMENTS, reachable, unreachable
from verification.strategies import problems


def made(id):
    """A case of the generator."""
    item = next(i for i in runs.cases() if i.id == id)
    return item.make(Draw(0, id))


@pytest.mark.parametrize(
    ("x", "s", "label"),
    [
        (0, 1, "+ lsb0 guard0 sticky0"),
        (1, 1, "+ lsb0 guard1 sticky0"),
        (3, 1, "+ lsb1 guard1 sticky0"),
        (-1, 1, "- lsb1 guard1 sticky0"),
        (-3, 1, "- lsb0 guard1 sticky0"),
        (5, 2, "+ lsb1 guard0 sticky1"),
        (7, 2, "+ lsb1 guard1 sticky1"),
        (-7, 2, "- lsb0 guard0 sticky1"),
        (-5, 2, "- lsb0 guard1 sticky1"),
        (2**62, 63, "+ lsb0 guard1 sticky0"),
        (-(2**63), 63, "- lsb1 guard0 sticky0"),
        (-1, 80, "- lsb1 guard1 sticky1"),
    ],
)
def test_the_class_of_a_shift(x, s, label):
    assert CROSS16[int(cross(x, s))] == label


def test_no_class_without_a_right_shift():
    assert cross([5, 5], [0, -3]).tolist() == [-1, -1]


def test_sides_and_bounds():
    x = np.array([-600, -513, -512, 0, 509, 511, 512, 600])
    groups = {g.kind: g for g in rounded("q", "away", x, 2, np.array([-150, -128, -128, 0, 127, 128, 128, 150]), INT8)}
    named = [CROSS48[i] for i in groups["rounding"].index]
    assert named[0] == "- lsb0 guard0 sticky0 low" and named[1] == "- lsb1 guard1 sticky1 inside"
    assert named[4] == "+ lsb1 guard0 sticky1 inside" and named[7] == "+ lsb0 guard0 sticky0 high"
    assert [BOUNDS[i] for i in groups["saturation"].index] == [
        "below", "at low", "at low", "inside", "at high", "above", "above", "above",
    ]  # fmt: skip
    assert set(groups) == {"rounding", "shift", "tie away", "saturation"} and (groups["tie away"].index == -1).all()
    assert bound([0, 255, 256], IntFormat(8, False)).tolist() == [1, 3, 4]


@pytest.mark.parametrize(
    ("t", "label"),
    [
        (0.5, "+ lsb0 guard1 sticky0 inside"),
        (-0.5, "- lsb1 guard1 sticky0 inside"),
        (127.25, "+ lsb1 guard0 sticky1 inside"),
        (127.5, "+ lsb1 guard1 sticky0 high"),
        (-128.5, "- lsb1 guard1 sticky0 inside"),
        (-129.75, "- lsb0 guard0 sticky1 low"),
        (-1e-30, "- lsb1 guard1 sticky1 inside"),
        (1e30, "+ lsb0 guard0 sticky0 high"),
    ],
)
def test_the_class_of_a_real(t, label):
    group = nearest("x", np.array([t], np.float32), INT8)[0]
    assert CROSS48[int(group.index[0])] == label


def test_reals_that_are_no_numbers():
    rounding, saturation = nearest("x", np.array([np.nan, np.inf, -np.inf], np.float32), INT8)
    assert rounding.index.tolist() == [-1, -1, -1] and saturation.index.tolist() == [-1, 4, 0]


def test_regions_of_a_zero_point():
    found = [REGIONS[int(region("zp", v, INT8).index[0])] for v in (0, -128, 127, -129, 128)]
    assert found == ["inside", "low", "high", "below", "above"]


@pytest.mark.parametrize("datapath", ["mshift", "mshift-dynamic", "pot"])
def test_every_class_that_a_run_meets_is_in_the_model(datapath):
    known = model()

    @settings(max_examples=examples(15))
    @given(problems(datapath))
    def holds(drawn):
        from verification.coverage.bias import case

        whole = case(drawn)
        for m in met(whole):
            assert set(m.labels) >= set(known[m.stage][m.kind])
            assert m.index.max(initial=-1) < len(m.labels)
        found = case_counts(whole)
        assert not set(found) & set(unreachable()) and set(found) <= set(points())

    holds()


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: a.name)
def test_what_cannot_be_met_is_proved(argument):
    assert argument.check() is True
    assert any(name == argument.name for name in unreachable().values())


def test_the_model_in_figures():
    assert len(points()) == len(set(points())) == 8075
    assert len(unreachable()) == 558 and reachable() | set(unreachable()) == set(points())
    assert Point("mshift/z_bx_aligned", "rounding", "- lsb0 guard1 sticky0 high") in unreachable()
    assert Point("mshift/z_pre", "rounding", "- lsb0 guard1 sticky0 high") in reachable()
    assert Point("pot/h", "saturation", "above") in unreachable()


def test_a_gate_one_off_reaches_what_golden_says():
    case = made("cell-mshift-8-inside")
    reached = {m.place: Consequences(case).of(m) for m in met(case) if m.stage == "mshift/g" and m.kind == "table direct"}
    p, trace = case.params, {k: v.astype(np.int64) for k, v in case.trace.items()}
    expected = np.zeros(trace["g"].shape, bool)
    for t in range(len(case.x)):
        for sign in (1, -1):
            g = np.clip(trace["g"][t] + sign, -128, 127)
            moved = mshift_hidden(trace["z"][t], g, trace["h"][t], p.m_gh, p.m_one, p.zp_h)["h_new"]
            expected[t] |= moved != trace["h"][t + 1]
    assert (reached["g"] == expected).all() and expected.any() and not expected.all()


def test_a_product_one_off_reaches_what_golden_says():
    case = made("cell-pot-8-away-inside-plain")
    reached = {m.place: Consequences(case).of(m) for m in met(case) if m.stage == "pot/z" and m.kind == "table linear"}
    p, trace = case.params, {k: v.astype(np.int64) for k, v in case.trace.items()}
    ops = [p.operators[n] for n in ("gate.z_out", "gate.g_out", "input.h", "op.old_contrib", "op.new_contrib")]
    expected = np.zeros(trace["z"].shape, bool)
    for t in range(len(case.x)):
        for sign in (1, -1):
            z = np.clip(trace["z"][t] + sign, 0, 255)
            moved = pot_hidden(z, trace["g"][t], trace["h"][t], trace["one"], *ops, p.rounding)["h_new"]
            expected[t] |= moved != trace["h"][t + 1]
    assert (reached["z"] == expected).all() and expected.any()


def test_a_weight_one_off_reaches_an_output():
    case = made("sequence-dynamic-plain")
    consequences = Consequences(case)
    reached = {m.place: consequences.of(m) for m in met(case) if m.place in ("W", "x", "m_z", "h_new")}
    assert reached["W"].shape == case.params.W.shape and reached["W"].any()
    assert reached["x"].shape == case.x.shape and reached["m_z"] is None and reached["h_new"].all()


def test_an_output_one_off_reaches_the_last_state_or_not():
    case = made("sequence-mshift-plain")
    (output,) = [m for m in met(case) if m.place == "h_new" and m.kind == "rounding"]
    consequences, found = Consequences(case), set()
    for t in range(len(case.x)):
        for unit in range(4):
            changed = False
            for sign in (1, -1):
                h = case.trace["h"][t + 1].copy()
                h[0, unit] = np.clip(h[0, unit] + sign, -128, 127)
                changed |= bool((forward(case.params, case.x[t + 1 :], h).h_n != case.trace.h_n).any())
            assert consequences.last(output, (t, 0, unit)) == changed
            found.add(changed)
    assert found == {True, False}


def test_records_join_and_come_back():
    first, second = made("cell-mshift-8-inside"), made("cell-pot-8-away-inside-plain")
    a, b = measure([first], sources=("a",)), measure([second], sources=("b",))
    both = a.joined(b)
    assert both.hit == collect([first, second]) and both.to_json() == b.joined(a).to_json()
    again = Record.from_json(both.to_json())
    assert again == both and again.to_json() == both.to_json() and again.sources == ("a", "b")
    lines = summary(both, ("mshift/",))
    assert sum(x.hit for x in lines) + len(missed(both, ("mshift/",))) == sum(x.points - x.unreachable for x in lines)
    assert totals(lines).startswith(f"{sum(x.hit for x in lines)} of ")
    assert all(p in both.hit and p not in both.output for p in silent(both))
    with pytest.raises(ParameterError, match="source is a, expected sets that only one of the joined records counted"):
        both.joined(a)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r | {"format": "other"}, "another document"),
        (lambda r: r | {"more": 1}, "another document"),
        (lambda r: r | {"format_version": 2}, "format_version is 2, expected 1"),
        (lambda r: r | {"format_version": True}, "format_version is True, expected 1"),
        (lambda r: r | {"sources": ["b", "a"]}, "sources is"),
        (lambda r: r | {"propagation": 1}, "propagation is 1"),
        (lambda r: r | {"points": []}, "points is list"),
        (lambda r: r | {"points": {"mshift/q": {"rounding": {"x": [1]}}}}, "point is mshift/q: rounding: x"),
        (lambda r: r | {"points": {"mshift/h": {"mask": {"keeps": [0]}}}}, r"mshift/h mask keeps is \[0\]"),
        (lambda r: r | {"points": {"mshift/h": {"mask": {"keeps": [1, 1, 2]}}}}, "mshift/h mask keeps is"),
        (lambda r: r | {"points": {"mshift/h": {"mask": {"keeps": [2**63]}}}}, "mshift/h mask keeps is"),
        (lambda r: r | {"points": {"mshift/h": {"mask": {"keeps": [1, 2]}}}}, r"mshift/h mask keeps is \[1, 2\], expected"),
    ],
)
def test_a_damaged_record_is_refused(change, sentence):
    whole = json.loads(Record().to_json())
    with pytest.raises(ParameterError, match=sentence):
        Record.from_json(json.dumps(change(whole)))
    for text in ("{", "[" * 100_000, "9" * 5000):
        with pytest.raises(ParameterError, match="no JSON"):
            Record.from_json(text)


def test_a_record_with_a_key_twice_is_refused():
    text = Record().to_json().replace('"points":{}', '"points":{"mshift/h":{"mask":{"keeps":[5],"keeps":[1]}}}')
    with pytest.raises(ParameterError, match="^a.json key 'keeps' is given twice, expected each key once$"):
        Record.from_json(text, "a.json")


def test_records_whose_sum_no_record_may_hold_are_not_joined():
    text = Record().to_json().replace('"points":{}', f'"points":{{"mshift/h":{{"mask":{{"keeps":[{2**62}]}}}}}}')
    wanted = f"^joined hits of mshift/h: mask: keeps is {2**63}, expected at most {2**62}$"
    with pytest.raises(ParameterError, match=wanted):
        Record.from_json(text).joined(Record.from_json(text))


@pytest.mark.parametrize("datapath", ["mshift", "mshift-dynamic", "pot"])
def test_a_search_meets_what_a_record_lacks(datapath):
    known = measure([made(f"sequence-{datapath.removeprefix('mshift-')}-plain")], propagation=False)
    lacks = targets(known, datapath)
    found = search(known, datapath, frames=range(6), units=16, limit=2)
    assert 1 <= len(found) <= 2 and found == search(known, datapath, frames=range(6), units=16, limit=2)
    more = Record()
    for frame, units in found.items():
        name = {"mshift-dynamic": "dynamic"}.get(datapath, datapath)
        more.hit.update(case_counts(corners.run("found", name, frame, units)))
    assert len(lacks & set(more.hit)) >= 60
    with pytest.raises(ParameterError, match="datapath is 'float'"):
        targets(known, "float")


def test_the_best_of_some_draws():
    lacks = targets(Record(), "pot")
    draws = [(n, range(2, 6)) for n in range(4)]
    counts = [len(lacks & set(case_counts(corners.run("one", "pot", n, range(2, 6))))) for n in range(4)]
    chosen = best(lacks, "pot", draws)
    assert chosen.to_json() == problem("pot", counts.index(max(counts)), range(2, 6)).to_json() and len(set(counts)) > 1
    with pytest.raises(ParameterError, match="draws is none"):
        best(lacks, "pot", [])


def test_strategies_draw_toward_a_record():
    known = measure([made("sequence-mshift-plain")], propagation=False)
    seen = []

    @settings(max_examples=examples(20))
    @given(problems("mshift", toward=known))
    def holds(drawn):
        drawn.run(forward)
        seen.append(drawn.x.shape)

    holds()
    assert any(shape[1:] == (4, 2) and shape[0] == 1 for shape in seen)
