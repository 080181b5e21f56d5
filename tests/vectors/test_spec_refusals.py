"""Descriptions and arrays of a parameter set that are of the wrong kind altogether, as a hostile file may hold them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.params import Params
from golden.spec.serial import from_plain, to_plain
from tests.vectors.examples import cases, direct

SETS = {case.params.datapath: case.params for case in cases()}
STRANGE = [np.zeros(0, np.int32), np.zeros((2, 2), np.int32), np.zeros((), np.float32), np.zeros((1, 1, 1, 1), np.int64)]


def refused(description, arrays) -> str:
    with pytest.raises(ParameterError) as caught:
        from_plain(description, arrays)
    return str(caught.value)


@pytest.mark.parametrize("value", [{}, [], None, 1, "?", {"datapath": {}}, {"datapath": []}, {"datapath": "mshift-"}])
def test_a_datapath_that_is_none(value):
    assert refused(value, {}).startswith("datapath is ")


@pytest.mark.parametrize("kind", [[], {}, None, 1, "cubic"])
def test_a_kind_of_table_that_is_none(kind):
    description, arrays = to_plain(SETS["pot"])
    description["act_z"]["kind"] = kind
    assert refused(description, arrays).startswith("act_z kind is ")


@pytest.mark.parametrize("datapath", SETS)
@pytest.mark.parametrize("array", STRANGE, ids=lambda a: str(a.shape))
def test_an_array_where_a_value_belongs(datapath, array):
    description, arrays = to_plain(SETS[datapath])
    for name in list(description):
        changed = {k: v for k, v in description.items() if k != name}
        assert refused(changed, {**arrays, name: array})


@pytest.mark.parametrize("datapath", SETS)
@pytest.mark.parametrize("value", [[], [[1], [1, 2]], {}, None, "x", 1, 0.5, True], ids=repr)
def test_a_value_where_an_array_belongs(datapath, value):
    description, arrays = to_plain(SETS[datapath])
    for name in ("W", "R", "bx", "br"):
        rest = {k: v for k, v in arrays.items() if k != name}
        assert refused({**description, name: value}, rest).startswith(name)


@pytest.mark.parametrize("value", [[[1], [1, 2]], {}, None, 1, True], ids=repr)
def test_a_value_where_exponents_belong(value):
    description, arrays = to_plain(SETS["pot"])
    arrays.pop("weight.W.exponent")
    description["operators"]["weight.W"]["exponent"] = value
    assert refused(description, arrays).startswith("weight.W")


@pytest.mark.parametrize("name", ["zero_point_in", "zero_point_out"])
@pytest.mark.parametrize("value", [0.0, True, None, "0", [], 2**31], ids=repr)
def test_a_zero_point_of_a_table_is_an_integer(name, value):
    with pytest.raises(ParameterError, match=f"direct table {name} is "):
        replace(direct("tanh"), **{name: value})


@pytest.mark.parametrize("value", [8.0, True, np.int64(8), "8", [8], 12], ids=repr)
def test_gate_bits_is_an_integer(value):
    params: Params = SETS["mshift"]
    with pytest.raises(ParameterError, match="gate_bits is "):
        replace(params, gate_bits=value)
