"""One value, one text."""

from __future__ import annotations

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from vectors.canonical import dumps, loads, plain
from vectors.errors import VectorError


def test_the_canonical_text():
    assert dumps({"b": [1, 0.5, True, None], "a": "\u00e4\n"}) == b'{"a": "\\u00e4\\n", "b": [1, 0.5, true, null]}\n'
    assert dumps({"b": {}, "a": [{"d": [1, 2], "c": 3}, []]}) == (
        b'{\n  "a": [\n    {"c": 3, "d": [1, 2]},\n    []\n  ],\n  "b": {}\n}\n'
    )


@pytest.mark.parametrize("value", [0.1, float(np.float32(0.1)), 5e-324, 1.7976931348623157e308, -0.0, 2**63 - 1, -(2**63)])
def test_numbers_come_back_as_they_were(value):
    found = loads(dumps(value), "f")
    assert type(found) is type(value) and repr(found) == repr(value)


def test_plain_turns_numpy_into_json():
    value = {"a": np.int64(3), "b": np.float32(0.5), "c": (1, np.bool_(True)), "d": {"e": None}}
    assert plain(value, "f") == {"a": 3, "b": 0.5, "c": [1, True], "d": {"e": None}}
    assert [type(v) for v in plain(value, "f").values()] == [int, float, list, dict]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": {1: 2}}, "f.a key is 1, expected a string"),
        ({"a": [0, object()]}, r"f.a\[1\] is a object, expected what JSON can hold"),
        ({"a": np.zeros(2)}, "f.a is a ndarray, expected what JSON can hold"),
        (float("inf"), "f is inf, expected a finite number"),
        (b"x", "f is a bytes, expected what JSON can hold"),
    ],
)
def test_plain_refuses_the_rest(value, sentence):
    with pytest.raises(ParameterError, match=sentence):
        plain(value, "f")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1,]", b"01", b"+1", b".5", b"'a'", b"{'a': 1}", b"nan", b"1 2", b'"\n"', b"\xef\xbb\xbf1"]
)
def test_what_is_not_json(text):
    with pytest.raises(VectorError, match="^f: "):
        loads(text, "f")
