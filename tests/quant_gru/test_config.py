"""The JSON of the operators' widths: what is taken, what is refused, by name."""

from __future__ import annotations

import json
import warnings

import jsonschema
import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATORS
from quant_gru.config import (
    DEFAULT_PATH,
    SCHEMA_PATH,
    BitwidthConfig,
    from_plain,
    load_config,
    to_plain,
    uniform,
)

SCHEMA = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
DEFAULT = json.loads(DEFAULT_PATH.read_text(encoding="utf-8"))


def whole():
    """The default file's content, to be changed."""
    return json.loads(DEFAULT_PATH.read_text(encoding="utf-8"))


def valid(content):
    """Whether the schema takes it."""
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(content)


def test_the_default_file():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert valid(DEFAULT)
    assert load_config() == BitwidthConfig()
    assert list(DEFAULT["GRU_config"]["operator_config"]) == list(OPERATORS)
    assert to_plain(load_config()) == DEFAULT


def test_formats():
    config = BitwidthConfig({"gate.z_out": (5, False), "gate.g_out": (5, True), "weight.bx": (32, True)})
    names = ("gate.z_out", "gate.r_out", "gate.g_out", "weight.bx", "weight.W", "input.x")
    assert [str(config.format(n)) for n in names] == ["uint5", "uint8", "int5", "int32", "int8", "int8"]


@pytest.mark.parametrize(("bits", "bias"), [(2, 8), (4, 8), (8, 8), (9, 16), (16, 16)])
def test_uniform(bits, bias):
    config = uniform(bits, False)
    wanted = {name: bits for name in OPERATORS} | {"weight.bx": bias, "weight.br": bias}
    assert {name: width[0] for name, width in config.operators.items()} == wanted
    assert [n for n, w in config.operators.items() if w[1]] == ["weight.W", "weight.R", "weight.bx", "weight.br"]
    assert all(w[1] for w in uniform(bits).operators.values())


@pytest.mark.parametrize("bits", [1, 17, 8.0, True, "8", None])
def test_widths_that_no_clause_knows(bits):
    with pytest.raises(ParameterError, match="^bitwidth is .*, expected an integer in"):
        uniform(bits)


def change(path, value):
    content = whole()
    item = content
    for key in path[:-1]:
        item = item[key]
    if value is None:
        del item[path[-1]]
    else:
        item[path[-1]] = value
    return content


OPS = ("GRU_config", "operator_config")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ((*OPS, "input.y"), {"bitwidth": 8, "is_symmetric": True}, "operator is 'input.y', expected one of input.x, input.h"),
        ((*OPS, "input.x", "bitwidth"), 17, "input.x bitwidth is 17, expected an integer in [2, 16]"),
        ((*OPS, "input.x", "bitwidth"), 1, "input.x bitwidth is 1, expected an integer in [2, 16]"),
        ((*OPS, "input.x", "bitwidth"), 8.5, "input.x bitwidth is 8.5, expected an integer in [2, 16]"),
        ((*OPS, "input.x", "bitwidth"), True, "input.x bitwidth is True, expected an integer in [2, 16]"),
        ((*OPS, "input.x", "bitwidth"), None, "input.x bitwidth is missing, expected a value"),
        ((*OPS, "input.x", "is_symmetric"), 1, "input.x is_symmetric is 1, expected true or false"),
        ((*OPS, "input.x", "signed"), True, "input.x signed is an unknown key, expected one of bitwidth, is_symmetric"),
        ((*OPS, "input.x"), 8, "input.x is int, expected an object"),
        ((*OPS, "weight.bx", "bitwidth"), 12, "weight.bx bitwidth is 12, expected one of 8, 16, 32"),
        ((*OPS, "weight.W", "is_symmetric"), False, "weight.W is_symmetric is False, expected true"),
        (OPS, [], "operator_config is list, expected an object"),
        (OPS, None, "GRU_config operator_config is missing, expected a value"),
        (("GRU_config", "operators"), {}, "GRU_config operators is an unknown key, expected one of operator_config"),
        (("GRU_config", "default_config", "disable_quantization"), 0, "disable_quantization is 0, expected true or false"),
        (("GRU_config",), None, "configuration GRU_config is missing, expected a value"),
    ],
)
def test_what_is_refused_and_how(path, value, sentence):
    content = change(path, value)
    with pytest.raises(ParameterError) as caught:
        from_plain(content)
    assert str(caught.value).startswith(sentence)
    assert not valid(content)


def test_missing_operators_are_warned_of_by_name():
    content = whole()
    del content["GRU_config"]["operator_config"]["op.rRh"], content["GRU_config"]["operator_config"]["input.h"]
    with pytest.warns(UserWarning, match="^operator_config lacks input.h, op.rRh, taken as 8 bits$"):
        assert from_plain(content) == BitwidthConfig()
    assert valid(content)


def test_comments_are_allowed():
    content = whole()
    content["_about"] = "widths"
    content["GRU_config"]["operator_config"]["description"] = "all"
    content["GRU_config"]["operator_config"]["input.x"]["comment"] = "from the camera"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert from_plain(content) == BitwidthConfig()
    assert valid(content)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "c.json is not JSON, expected an object with the key GRU_config"),
        (b"\xff", "c.json is not JSON, expected an object with the key GRU_config"),
        (b"[" * 100_000, "c.json is not JSON, expected an object with the key GRU_config"),
        (b"[]", "configuration is list, expected an object"),
        (b'{"GRU_config": 1, "GRU_config": 2}', "GRU_config is given twice, expected each key once"),
        (b" " * (1 << 21), "c.json is more than 1048576 bytes, expected a configuration of the eighteen operators"),
    ],
)
def test_files_that_are_refused(tmp_path, text, sentence):
    path = tmp_path / "c.json"
    path.write_bytes(text)
    with pytest.raises(ParameterError) as caught:
        load_config(path)
    assert str(caught.value) == sentence


def test_adjusting_one_operator():
    config = BitwidthConfig().adjusted("gate.z_pre", 12)
    assert config.operators["gate.z_pre"] == (12, False) and config.adjusted("gate.z_pre", 8) == BitwidthConfig()
    with pytest.raises(ParameterError, match="^operator is 'nope', expected one of"):
        config.adjusted("nope", 8)
    with pytest.raises(ParameterError, match="^weight.W is_symmetric is False, expected true"):
        config.adjusted("weight.W", is_symmetric=False)


def test_widths_and_flags_of_numpy_are_as_those_of_python():
    assert uniform(np.int64(6), np.False_) == uniform(6, False)
    config = BitwidthConfig({"input.x": (np.int32(16), np.True_), "weight.bx": (np.uint8(32), True)}, np.True_)
    assert config == BitwidthConfig({"input.x": (16, True), "weight.bx": (32, True)}, True)
    assert json.loads(json.dumps(to_plain(config))) == to_plain(config)
    for value in (np.int64(17), np.float64(8), np.True_):
        with pytest.raises(ParameterError, match="^bitwidth is .*, expected an integer in"):
            uniform(value)
