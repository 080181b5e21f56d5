"""Problems read back: damaged ones are refused with the field, whatever they hold."""

from __future__ import annotations

import json

import pytest

from golden.spec.errors import ParameterError
from verification.fuzz.campaign import Campaign
from verification.problem import Problem

DYNAMIC = next(p for p in (Campaign(0, "mshift-dynamic", 2).problem(i) for i in range(99)) if hasattr(p.h0, "s_h"))
ARRAY = {"data": [1], "dtype": "int32", "shape": [1, 1, 1]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": None}, "x is of another form"),
        ({"x": ARRAY | {"dtype": "object"}}, "x is of another form"),
        ({"x": ARRAY | {"dtype": ["int32"]}}, "x is of another form"),
        ({"x": ARRAY | {"data": ["1"]}}, "x is of another form"),
        ({"x": ARRAY | {"shape": [2**40, 1, 1]}}, r"1 numbers for int32 of shape \[1099511627776, 1, 1\]"),
        ({"x": ARRAY | {"shape": "111"}}, "x shape is '111'"),
        ({"x": ARRAY | {"data": [10**400]}}, "1 numbers for int32"),
        ({"mask": ARRAY | {"data": [1.5, 10**400]}}, "mask is 2 numbers"),
        ({"x": ARRAY | {"data": [1.5]}}, "x is 1 numbers for int32"),
        ({"x": ARRAY | {"data": [True]}}, "x is 1 numbers for int32"),
        ({"mask": ARRAY | {"data": [1], "dtype": "bool"}}, "mask is 1 numbers for bool"),
        ({"h0": 5}, "h0 is of another form"),
        ({"state": {"h": ARRAY}}, "state is of another form"),
        ({"arrays": []}, "problem is JSON of another form"),
        ({"arrays": {"more": ARRAY}}, "missing"),
        ({"params": 3}, "datapath is 'int'"),
        ({"more": 3}, "problem is JSON of another form"),
        ({"zoneout": "0.5"}, "options is"),
        ({"training": 1}, "options is"),
    ],
)
def test_a_damaged_problem_is_refused(change, sentence):
    plain = json.loads(DYNAMIC.to_json())
    assert Problem.from_json(json.dumps(plain)).to_json() == DYNAMIC.to_json()
    with pytest.raises(ParameterError, match=sentence):
        Problem.from_json(json.dumps(plain | change))


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "[" * 5000, "9" * 5000])
def test_what_is_no_problem_is_refused(text):
    with pytest.raises(ParameterError, match="problem is"):
        Problem.from_json(text)


@pytest.mark.parametrize("value", [10**400, float("inf"), -1, True, "1"])
def test_a_scale_that_is_none_is_refused(value):
    plain = json.loads(DYNAMIC.to_json())
    plain["state"]["s_h"] = value
    with pytest.raises(ParameterError, match="state s_h is"):
        Problem.from_json(json.dumps(plain))
