"""What is written is read back, array by array, and twice to the same bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from golden.sequence import forward
from golden.spec.params import same_params
from golden.spec.trace import DynamicState
from tests.vectors.examples import FLAGS, cases
from vectors.case import pack
from vectors.reader import open_set
from vectors.writer import write_set

IDS = [case.id for case in cases()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    write_set(path, cases(), seed=7, version="1.0", flags=FLAGS)
    return path


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("id", IDS)
def test_a_case_comes_back_as_it_was(folder, id):
    wanted = next(case for case in cases() if case.id == id)
    found = open_set(folder)[id]
    assert same_params(found.params, wanted.params)
    for name in ("id", "group", "comment", "flags", "zoneout", "training", "reverse"):
        assert getattr(found, name) == getattr(wanted, name)
    assert (found.h0 is None) == (wanted.h0 is None) and type(found.h0) is type(wanted.h0)
    description, arrays = pack(found)
    expected_description, expected = pack(wanted)
    assert description == expected_description
    assert list(arrays) == list(expected)
    for name in expected:
        assert same(arrays[name], expected[name]), name
    assert list(found.trace) == list(wanted.trace)


@pytest.mark.parametrize("id", IDS)
def test_a_case_can_be_replayed(folder, id):
    case = open_set(folder)[id]
    trace = forward(case.params, case.x, case.h0, **case.options)
    assert all(same(trace[name], case.trace[name]) for name in case.trace)


def test_a_continued_state_comes_back(folder):
    wanted = next(c for c in cases() if c.id == "dynamic-continued").h0
    found = open_set(folder)["dynamic-continued"].h0
    assert isinstance(found, DynamicState)
    for name in ("s_h", "zp_h", "h_min", "h_max", "steps", "x_min", "x_max", "s_b"):
        assert getattr(found, name) == getattr(wanted, name)
    empty = open_set(folder)["dynamic-empty"].trace.state
    assert (empty.steps, empty.x_min, empty.s_b) == (0, None, None)


def test_two_runs_give_the_same_bytes(folder, tmp_path):
    write_set(tmp_path / "again", iter(cases()), seed=7, version="1.0", flags=FLAGS)
    names = sorted(p.name for p in folder.iterdir())
    assert (
        names == sorted(p.name for p in (tmp_path / "again").iterdir()) == sorted(["manifest.json", *(f"{i}.npz" for i in IDS)])
    )
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_what_was_read_is_written_to_the_same_bytes(folder, tmp_path):
    first = open_set(folder)
    assert write_set(tmp_path / "copy", first.values(), seed=7, version="1.0", flags=FLAGS) == first.sha256
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "copy" / path.name).read_bytes()


def test_numpy_alone_reads_a_case(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["cases"]:
        with np.load(folder / entry["file"], allow_pickle=False) as arrays:
            assert set(arrays.files) == set(entry["arrays"])
            for name, array in entry["arrays"].items():
                assert arrays[name].dtype.name == array["dtype"] and list(arrays[name].shape) == array["shape"]


def test_the_manifest_says_what_each_array_is(folder):
    arrays = open_set(folder).entry("pot-zoneout")["arrays"]
    assert arrays["trace.z"] == {"clause": "GP-2", "dtype": "int32", "format": "uint8", "role": "trace", "shape": [3, 2, 2]}
    assert arrays["trace.h_zoneout_acc"] == {
        "clause": "Z-2",
        "dtype": "int64",
        "format": "acc",
        "role": "trace",
        "shape": [3, 2, 2],
    }
    assert arrays["params.br"] == {"clause": "GP-2", "dtype": "int32", "format": "int32", "role": "parameter", "shape": [6]}
    assert arrays["params.weight.W.exponent"]["clause"] == "GP-1"
    assert arrays["params.act_r.c2"]["clause"] == "A-4"
    assert arrays["input.h0"] == {"clause": "S-1", "dtype": "int32", "format": "int8", "role": "input", "shape": [2, 2]}
    arrays = open_set(folder).entry("mshift-training")["arrays"]
    assert arrays["input.mask"] == {"clause": "Z-1", "dtype": "int32", "format": "bit", "role": "input", "shape": [3, 2, 2]}
    assert arrays["trace.v"]["format"] == "int8" and arrays["trace.S"]["format"] == "acc"
    assert arrays["params.table_g.entries"]["clause"] == "A-1"
    arrays = open_set(folder).entry("mshift-16-reverse")["arrays"]
    assert arrays["params.table_g.entries"]["clause"] == "A-2" and arrays["trace.g_pre"]["format"] == "int16"
    arrays = open_set(folder).entry("dynamic-continued")["arrays"]
    assert arrays["input.state.s_b"] == {
        "clause": "S-1",
        "dtype": "float32",
        "format": "binary32",
        "role": "input",
        "shape": [],
    }
    assert arrays["state.h"]["role"] == "state" and arrays["params.W"]["format"] == "binary32"


def test_a_set_is_a_mapping_that_reads_when_asked(folder):
    opened = open_set(str(folder))
    assert list(opened) == IDS and len(opened) == len(IDS) and "no-such" not in opened
    with pytest.raises(KeyError):
        opened["no-such"]
    with pytest.raises(KeyError):
        opened.entry("no-such")
