"""Problems by number: the same wherever they are drawn, of every kind, and of every corner that the strategies know."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import strategies as st

from golden.spec.errors import ParameterError
from golden.spec.trace import DynamicState
from verification.fuzz.campaign import Campaign, parse_place
from verification.fuzz.draw import Draw

PINNED = {
    "fuzz1-0-mshift-8": "56a7a6eb7baed792",
    "fuzz1-0-mshift-dynamic-8": "79096a7418b45b22",
    "fuzz1-0-pot-8": "e057a4e413097aea",
}


def digest(name, count=12):
    found = hashlib.sha256()
    for index in range(count):
        found.update(Campaign.parse(name).problem(index).to_json().encode())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("name", PINNED)
def test_draws_stay_what_they_are(name):
    """Another digest means that old names give other problems: then DRAWS in verification/fuzz/campaign.py goes up by one."""
    assert digest(name) == PINNED[name]


def test_a_problem_is_drawn_alone():
    forwards = [Campaign(3).problem(i).to_json() for i in range(8)]
    backwards = [Campaign(3).problem(i).to_json() for i in reversed(range(8))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 8 and Campaign(4).problem(0).to_json() != forwards[0]


def test_every_kind_of_problem_is_drawn():
    seen, sizes = Counter(), {k: set() for k in "TNCH"}
    for index in range(400):
        p = Campaign().problem(index)
        params = p.params
        seen.update([params.datapath, f"reverse {p.reverse}", f"training {p.training}", f"mask {p.mask is not None}"])
        seen.update([f"zoneout {p.zoneout > 0}", f"h0 {'missing' if p.h0 is None else type(p.h0).__name__}"])
        if params.datapath == "pot":
            seen.update([params.rounding.value, *(params.operators[k].fmt.bits for k in params.operators)])
            seen.update(getattr(params, f"act_{k}").kind for k in "zrg")
            zero_point = params.operators["input.x"].zero_point
            seen[f"zero point {(zero_point > 0) - (zero_point < 0)}"] += 1
        else:
            seen.update([f"gate bits {params.gate_bits}", f"made {bool(params.table_z.meta)}"])
        for k, n in zip("TNCH", (*p.x.shape, params.hidden_size)):
            sizes[k].add(n)
    wanted = ["mshift", "mshift-dynamic", "pot", "gate bits 8", "gate bits 16", "made True", "made False", "ties_away"]
    wanted += ["ties_even", "direct", "piecewise_linear", "piecewise_quadratic", *range(2, 10), 12, 15, 16, 32]
    wanted += [f"{what} {answer}" for what in ("reverse", "training", "mask", "zoneout") for answer in (True, False)]
    wanted += ["h0 missing", "h0 ndarray", f"h0 {DynamicState.__name__}", *(f"zero point {sign}" for sign in (-1, 0, 1))]
    assert [name for name in wanted if not seen[name]] == []
    assert sizes == {"T": set(range(9)), **{k: set(range(1, 9)) for k in "NCH"}}


def test_a_draw_answers_the_strategies_that_are_used():
    draw = Draw(1, 2)
    assert {draw(st.integers(-1, 1)) for _ in range(50)} == {-1, 0, 1}
    assert {draw(st.booleans()) for _ in range(20)} == {False, True}
    assert {draw(st.one_of(st.sampled_from("a"), st.sampled_from("b"))) for _ in range(20)} == {"a", "b"}
    wide = [draw(st.integers(0, 2**80)) for _ in range(40)]
    assert all(0 <= v <= 2**80 for v in wide) and max(wide) > 2**76
    assert all(0 <= draw(st.integers(0, 2**40)) <= 2**40 for _ in range(40))
    for strategy in (st.text(), st.integers(), st.floats(0, 1)):
        with pytest.raises(TypeError, match="Draw does not know"):
            draw(strategy)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fuzz1-0-all-8", "problem is 'fuzz1-0-all-8', expected CAMPAIGN:INDEX, such as fuzz1-0-all-8:17"),
        ("fuzz1-0-all-8:x", "expected CAMPAIGN:INDEX"),
        ("fuzz1-0-all-8:99999999999999999999", "expected CAMPAIGN:INDEX"),
        ("fuzz9-0-all-8:1", "campaign is 'fuzz9-0-all-8', expected draws of version 1"),
        ("fuzz1-0-other-8:1", "campaign is 'fuzz1-0-other-8', expected fuzz1-SEED-DATAPATH-SIZE"),
        ("fuzz1-0-all-0:1", "max_size is 0, expected an integer in [1, 64]"),
        ("fuzz1-0-all-65:1", "max_size is 65"),
        ("fuzz1-99999999999999999999-all-8:1", "seed is 99999999999999999999"),
    ],
)
def test_names_of_no_problem_are_refused(text, sentence):
    with pytest.raises(ParameterError) as caught:
        parse_place(text)
    assert sentence in str(caught.value)


def test_a_name_is_read_back():
    for campaign in (Campaign(), Campaign(7, "mshift-dynamic", 3)):
        assert parse_place(f"{campaign.name}:12") == (campaign, 12)
