"""AIMET encodings, out and in."""

import copy
import json

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATORS
from golden.spec.params import same_params
from quant_gru import aimet
from quant_gru.aimet_params import (
    MSHIFT_OPERATORS,
    encodings,
    mshift_from_encodings,
    pot_from_encodings,
    save_encodings,
)
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate import collect
from quant_gru.float_gru import FloatGru


@pytest.fixture(scope="module")
def gru():
    rng = np.random.Generator(np.random.PCG64(21))
    return FloatGru(*(rng.standard_normal(shape).astype(np.float32) for shape in ((3, 6), (2, 6), (6,), (6,))))


@pytest.fixture(scope="module")
def seen(gru):
    return collect(gru, [np.random.Generator(np.random.PCG64(22)).standard_normal((8, 32, 3))])


@pytest.fixture(scope="module")
def pot(gru, seen):
    widths = {"input.x": (5, False), "matmul.Wx": (12, True), "weight.R": (6, True), "weight.br": (32, True)}
    return pot_params(gru, seen, widths=widths)


def of(plain, name):
    part = "param_encodings" if name.startswith("weight.") else "activation_encodings"
    return next(item for item in plain[part] if item["name"] == name)


def test_what_is_written_by_hand(pot):
    plain = aimet.to_plain(encodings(pot))
    assert plain["version"] == "1.0.0"
    assert [item["name"] for part in ("activation_encodings", "param_encodings") for item in plain[part]] == [
        *(n for n in OPERATORS if not n.startswith("weight.")), *(n for n in OPERATORS if n.startswith("weight."))
    ]  # fmt: skip
    x, op = of(plain, "input.x"), pot.operators["input.x"]
    assert x == {
        "name": "input.x", "enc_type": "PER_TENSOR", "dtype": "INT", "bw": 5, "is_sym": False,
        "scale": [2.0**-op.exponent], "offset": [-16 - op.zero_point],
    }  # fmt: skip
    assert of(plain, "gate.z_out")["offset"] == [0]
    weight = of(plain, "weight.R")
    assert (weight["enc_type"], weight["bw"], weight["is_sym"], weight["offset"]) == ("PER_CHANNEL", 6, True, [-32] * 6)
    assert weight["scale"] == [2.0 ** -int(e) for e in pot.operators["weight.R"].exponent]


def test_the_old_form_by_hand(pot):
    plain = aimet.to_plain(encodings(pot), version="0.6.1")
    (x,) = plain["activation_encodings"]["input.x"]
    op = pot.operators["input.x"]
    scale, offset = 2.0**-op.exponent, -16 - op.zero_point
    assert x == {
        "bitwidth": 5, "dtype": "int", "is_symmetric": "False", "scale": scale, "offset": offset,
        "min": scale * offset, "max": scale * (offset + 31),
    }  # fmt: skip
    assert len(plain["param_encodings"]["weight.bx"]) == 6


@pytest.mark.parametrize("version", aimet.VERSIONS)
@pytest.mark.parametrize("prefix", ["", "encoder."])
def test_out_and_in_is_the_same_set(gru, seen, pot, tmp_path, version, prefix):
    m8, m16 = mshift_params(gru, seen), mshift_params(gru, seen, gate_bits=16, h_symmetric=True)
    for params, back in ((pot, pot_from_encodings), (m8, mshift_from_encodings), (m16, mshift_from_encodings)):
        save_encodings(tmp_path / "e.json", params, version=version, prefix=prefix)
        assert same_params(back(gru, aimet.load(tmp_path / "e.json", prefix=prefix)), params)
    assert [p.name for p in tmp_path.iterdir()] == ["e.json"]


def test_two_networks_in_one_file(pot):
    first, second = (aimet.to_plain(encodings(pot), prefix=prefix) for prefix in ("a.", "b."))
    both = {part: first[part] + second[part] for part in ("activation_encodings", "param_encodings")}
    assert set(aimet.from_plain(both, prefix="b.")) == set(OPERATORS)
    assert aimet.from_plain(both) == {}


def test_scales_that_are_no_powers_of_two(gru, pot):
    plain = aimet.to_plain(encodings(pot))
    of(plain, "matmul.Rh")["scale"] = [0.3]
    found = aimet.from_plain(plain)
    with pytest.raises(ParameterError, match=r"^encoding of matmul.Rh scale is 0.3, expected a power of two, or snap=True"):
        pot_from_encodings(gru, found)
    assert pot_from_encodings(gru, found, snap=True).operators["matmul.Rh"].exponent == 2
    of(plain, "matmul.Rh")["scale"] = [2.0**20]
    for snap in (False, True):
        with pytest.raises(ParameterError, match="^encoding of matmul.Rh scale is 1048576.0"):
            pot_from_encodings(gru, aimet.from_plain(plain), snap=snap)


BAD = [
    ("weight.W", "scale", [0.5] * 5, "encoding of weight.W offset is [-128, -128, -128, -128, -128, -128], expected"),
    ("weight.W", "offset", [-128] * 5 + [-127], "encoding of weight.W offset is -127, expected -128"),
    ("input.x", "offset", [-16, 0], "encoding of input.x offset is [-16, 0], expected a list of 1 integers"),
    ("input.x", "offset", [0.5], "encoding of input.x offset is [0.5]"),
    ("input.x", "offset", [float("nan")], "encoding of input.x offset is [nan]"),
    ("input.x", "scale", [-1.0], "encoding of input.x scale is [-1.0], expected a list of positive"),
    ("input.x", "scale", [10**400], "encoding of input.x scale is [1000"),
    ("input.x", "scale", "0.5", "encoding of input.x scale is '0.5'"),
    ("input.x", "scale", [10**400], "encoding of input.x scale is [1000000"),
    ("input.x", "bw", 17, "encoding of input.x bitwidth is 17, expected 2 to 16"),
    ("input.x", "bw", True, "encoding of input.x bitwidth is True"),
    ("weight.bx", "bw", 12, "encoding of weight.bx bitwidth is 12, expected 8, 16 or 32"),
    ("matmul.Wx", "offset", [-2047], "encoding of matmul.Wx offset is -2047, expected -2048"),
    ("input.x", "is_sym", "False", "encoding of input.x symmetry is 'False'"),
    ("input.x", "dtype", "FLOAT", "encoding of input.x dtype is 'FLOAT', expected INT"),
    ("input.x", "enc_type", "PER_BLOCK", "encoding of input.x enc_type is 'PER_BLOCK'"),
    ("input.x", "name", "input.h", "encoding of input.h is given twice"),
    ("input.x", "name", 3, "an item of activation_encodings is"),
    ("input.x", "name", "weight.W", "encoding of weight.W is in activation_encodings"),
    ("input.x", "name", "other", "encodings is without input.x"),
]


@pytest.mark.parametrize("name, key, value, sentence", BAD)
def test_what_is_wrong_is_named(gru, pot, name, key, value, sentence):
    plain = copy.deepcopy(aimet.to_plain(encodings(pot)))
    of(plain, name)[key] = value
    with pytest.raises(ParameterError) as error:
        pot_from_encodings(gru, aimet.from_plain(plain))
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    "items, sentence",
    [
        ([], "encoding of input.x is [], expected a list of objects"),
        ({"a": 1}, "encoding of input.x is {'a': 1}"),
        ([{"bitwidth": 8, "dtype": "float", "is_symmetric": "True"}], "encoding of input.x dtype is 'float'"),
        ([{"bitwidth": 8, "dtype": "int", "is_symmetric": []}], "encoding of input.x symmetry is None"),
        ([{"bitwidth": 8, "dtype": "int"}, {"bitwidth": 9, "dtype": "int"}], "encoding of input.x bitwidth is different"),
    ],
)
def test_what_is_wrong_in_the_old_form_is_named(items, sentence):
    with pytest.raises(ParameterError) as error:
        aimet.from_plain({"activation_encodings": {"input.x": items}, "param_encodings": {}})
    assert str(error.value).startswith(sentence)


def test_as_many_scales_as_channels(gru, pot):
    plain = aimet.to_plain(encodings(pot))
    of(plain, "weight.W").update(scale=[0.5] * 5, offset=[-128] * 5)
    with pytest.raises(ParameterError, match="^encoding of weight.W scale is a list of 5, expected 6 of them"):
        pot_from_encodings(gru, aimet.from_plain(plain))


def test_datapath_m_refuses_what_it_does_not_have(gru, seen, pot):
    plain = aimet.to_plain(encodings(mshift_params(gru, seen)))
    assert {item["name"] for part in list(plain)[1:] for item in plain[part]} == set(MSHIFT_OPERATORS)
    for name, key, value, sentence in (
        ("weight.W", "bw", 4, "encoding of weight.W bitwidth is 4, expected 8 on datapath M"),
        ("gate.z_pre", "bw", 12, "encoding of gate.z_pre bitwidth is 12, expected 8 or 16 on datapath M"),
        ("gate.g_pre", "bw", 16, "encoding of gate.g_pre bitwidth is 16, expected 8 on datapath M"),
        ("gate.g_pre", "offset", [-127], "encoding of gate.g_pre offset is -127, expected -128"),
        ("input.x", "scale", [0.1], "encoding of input.x scale is 0.1, expected a positive, finite number that binary32"),
    ):
        changed = copy.deepcopy(plain)
        of(changed, name)[key] = value
        with pytest.raises(ParameterError) as error:
            mshift_from_encodings(gru, aimet.from_plain(changed))
        assert str(error.value).startswith(sentence)
    with pytest.raises(ParameterError, match="encodings is without matmul.Wx"):
        pot_from_encodings(gru, aimet.from_plain(plain))


def test_bad_files(tmp_path, pot):
    path = tmp_path / "e.json"
    for text, sentence in (
        ("{", "e.json is not JSON"),
        ("[]", "encodings is a list, expected an object"),
        ("{}", "activation_encodings is a NoneType"),
        ("[" * 100000, "e.json is not JSON"),
        (json.dumps({"activation_encodings": 3}), "activation_encodings is a int"),
        ('{"activation_encodings": {"input.x": [], "input.x": []}}', "input.x is given twice, expected each key once"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ParameterError) as error:
            aimet.load(path)
        assert str(error.value).startswith(sentence)
    with pytest.raises(ParameterError, match="version is '2', expected 1.0.0 or 0.6.1"):
        save_encodings(path, pot, version="2")
