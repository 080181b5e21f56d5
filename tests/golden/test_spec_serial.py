"""Sets go to a plain description and back unchanged; profiles name every choice and hash stably."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.params import same_params
from golden.spec.profile import profile, profile_hash
from golden.spec.rounding import Rounding
from golden.spec.serial import from_plain, to_plain
from tests.golden import spec_sets as sets

BUILDERS = {"mshift": sets.mshift, "mshift-dynamic": sets.dynamic, "pot": sets.pot}
KINDS = "expected one of direct, piecewise_linear, piecewise_quadratic"
HASHES = {
    "mshift": "40c21fcc1549f348c23298f0888fe6482f4992887cc780b53ecaa846d74b7c61",
    "mshift-dynamic": "2ac9700159baec15f65f2f3dd46ffc9153d424adf716201f688a25c25c904303",
    "pot": "e76899e096892087d0318729487fc75cd4667e852facc31dff29e136d5a56cd1",
}


@pytest.mark.parametrize("datapath", BUILDERS)
def test_a_set_survives_json_and_arrays(datapath):
    params = BUILDERS[datapath]()
    description, arrays = to_plain(params)
    back = from_plain(json.loads(json.dumps(description, allow_nan=False)), arrays)
    assert same_params(back, params)
    assert back is not params
    assert to_plain(back)[0] == description


def test_a_scale_reads_back_exactly():
    s_x = float(np.float32(0.1))
    description, arrays = to_plain(sets.mshift(s_x=s_x))
    assert from_plain(json.loads(json.dumps(description)), arrays).s_x == 0.10000000149011612


def test_sets_that_differ_are_not_the_same():
    assert not same_params(sets.mshift(), sets.mshift(zp_x=1))
    assert not same_params(sets.pot(), sets.pot(rounding=Rounding.TIES_EVEN))
    assert not same_params(sets.pot(), sets.pot(act_z=sets.linear(slopes=[3, 6])))
    assert not same_params(sets.mshift(), sets.dynamic())


def test_the_names_of_nested_arrays():
    _, arrays = to_plain(sets.pot())
    assert {"W", "R", "bx", "br", "weight.W.exponent", "weight.br.exponent", "act_z.slopes", "act_g.entries"} <= arrays.keys()


@pytest.mark.parametrize("datapath", BUILDERS)
def test_a_missing_key_is_named(datapath):
    description, arrays = to_plain(BUILDERS[datapath]())
    for name in description:
        if name == "datapath":
            continue
        less = {k: v for k, v in description.items() if k != name}
        with pytest.raises(ParameterError, match=f"^({name}|arrays) is (missing|'{name}\\.)"):
            from_plain(less, arrays)


@pytest.mark.parametrize("datapath", BUILDERS)
def test_a_missing_array_is_named(datapath):
    description, arrays = to_plain(BUILDERS[datapath]())
    for name in arrays:
        less = {k: v for k, v in arrays.items() if k != name}
        with pytest.raises(ParameterError, match=f"^{re.escape(name)} is missing, expected a value for "):
            from_plain(description, less)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"datapath": "fp16"}, "datapath is 'fp16', expected one of mshift, mshift-dynamic, pot"),
        ({"datapath": None}, "datapath is None, expected one of mshift, mshift-dynamic, pot"),
        ({"nope": 1}, "nope is an unknown field, expected a field of MShiftParams"),
        ({"W": [[1]]}, "W is given twice, expected an array or a value"),
        ({"m_gh": 7}, "m_gh is int, expected an object"),
        ({"m_gh": {"multiplier": 1}}, "m_gh.shift is missing, expected a value for MShift"),
        ({"m_gh": {"multiplier": 1, "shift": 99}}, "shift is 99, expected an integer in [0, 31]"),
        ({"table_z": {"kind": "magic"}}, f"table_z kind is 'magic', {KINDS}"),
        ({"table_z": None}, f"table_z kind is None, {KINDS}"),
        ({"zp_x": 1.5}, "zp_x is 1.5, expected an integer"),
        ({"s_x": 0}, "s_x is 0.0, expected a positive, finite number that binary32 holds exactly"),
    ],
)
def test_a_bad_description_is_refused(change, sentence):
    description, arrays = to_plain(sets.mshift())
    with pytest.raises(ParameterError, match=f"^{re.escape(sentence)}$"):
        from_plain({**description, **change}, arrays)


def test_an_array_that_no_field_has_is_refused():
    description, arrays = to_plain(sets.dynamic())
    with pytest.raises(ParameterError, match="'extra' among others"):
        from_plain(description, {**arrays, "extra": np.zeros(1)})


def test_a_description_that_is_no_object_is_refused():
    with pytest.raises(ParameterError, match="^datapath is 'list', expected one of"):
        from_plain([], {})


@pytest.mark.parametrize("datapath", BUILDERS)
def test_the_profile_hash_is_stable(datapath):
    assert profile_hash(BUILDERS[datapath]()) == HASHES[datapath]


def test_the_hash_tells_choices_apart_and_not_values():
    pot = profile_hash(sets.pot())
    assert pot == profile_hash(sets.pot(bx=np.ones(9, int)))
    assert pot != profile_hash(sets.pot(rounding=Rounding.TIES_EVEN))
    assert pot != profile_hash(sets.pot(reciprocal=True))
    assert pot != profile_hash(sets.pot(act_z=sets.quadratic()))
    assert profile_hash(sets.dynamic()) != profile_hash(sets.dynamic(shift=15))
    assert profile_hash(sets.dynamic()) != profile_hash(sets.dynamic(x_symmetric=True))


def test_the_profile_is_json_and_names_the_clauses():
    for build in BUILDERS.values():
        text = json.dumps(profile(build()), allow_nan=False)
        assert json.loads(text)["spec"] == "1.0"
        assert json.loads(text)["gate_order"] == ["z", "r", "g"]
