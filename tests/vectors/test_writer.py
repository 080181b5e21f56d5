"""A set appears complete or not at all, and nothing that is not a set is ever replaced."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from tests.vectors.damage import edit
from tests.vectors.examples import FLAGS, cases, run
from vectors import writer
from vectors.case import case_from_trace
from vectors.errors import VectorError
from vectors.reader import open_set
from vectors.writer import check_target, write_set

GIVEN = {"seed": 7, "version": "1.0", "flags": FLAGS}


def everything(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_a_new_folder_and_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()
    first = write_set(tmp_path / "new", cases()[:1], **GIVEN)
    assert write_set(tmp_path / "empty", cases()[:1], **GIVEN) == first == open_set(tmp_path / "new").sha256
    assert everything(tmp_path / "new") == everything(tmp_path / "empty")
    assert sorted(os.listdir(tmp_path)) == ["empty", "new"]


def test_an_earlier_set_is_replaced(tmp_path):
    write_set(tmp_path / "set", cases()[:2], **GIVEN)
    write_set(tmp_path / "set", cases()[3:4], **GIVEN)
    assert sorted(os.listdir(tmp_path / "set")) == ["manifest.json", "pot-zoneout.npz"]
    assert list(open_set(tmp_path / "set")) == ["pot-zoneout"]
    assert os.listdir(tmp_path) == ["set"]


def test_a_set_made_from_itself(tmp_path):
    digest = write_set(tmp_path / "set", cases()[:2], **GIVEN)
    assert write_set(tmp_path / "set", open_set(tmp_path / "set").values(), **GIVEN) == digest


@pytest.mark.parametrize("content", [{"notes.txt": b"mine"}, {"manifest.json": b"{}"}, {"manifest.json": b'{"format": "web"}'}])
def test_another_folder_is_left_alone(tmp_path, content):
    (tmp_path / "mine").mkdir()
    for name, data in content.items():
        (tmp_path / "mine" / name).write_bytes(data)
    with pytest.raises(VectorError, match="expected nothing, an empty folder or a vector set"):
        write_set(tmp_path / "mine", cases()[:1], **GIVEN)
    assert everything(tmp_path / "mine") == content and os.listdir(tmp_path) == ["mine"]


def test_a_set_with_another_file_in_it_is_left_alone(tmp_path):
    write_set(tmp_path / "set", cases()[:1], **GIVEN)
    (tmp_path / "set" / "notes.txt").write_text("mine")
    before = everything(tmp_path / "set")
    with pytest.raises(VectorError, match="a vector set that also holds 'notes.txt'"):
        write_set(tmp_path / "set", cases()[3:4], **GIVEN)
    assert everything(tmp_path / "set") == before


def test_a_file_and_a_link_are_left_alone(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("file", "link"):
        with pytest.raises(VectorError, match="the path is taken by"):
            write_set(tmp_path / name, cases()[:1], **GIVEN)
    assert (tmp_path / "file").read_text() == "mine" and (tmp_path / "link").is_symlink()


def test_a_parent_that_is_missing(tmp_path):
    with pytest.raises(ParameterError, match="a folder whose parent exists"):
        write_set(tmp_path / "a" / "b", cases()[:1], **GIVEN)


def test_a_parent_that_takes_nothing_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(writer.os, "access", lambda path, mode: False)  # root may write anywhere
    for target in (tmp_path / "set", tmp_path / "a" / "b"):
        with pytest.raises(PermissionError, match=f"may not be written to: '{tmp_path}'"):
            check_target(target)


def test_a_temporary_folder_that_cannot_be_made_is_not_named(tmp_path, monkeypatch):
    def failing(prefix, suffix, dir):
        raise PermissionError(13, "Permission denied", f"{dir}/{prefix}x{suffix}")

    monkeypatch.setattr(writer.tempfile, "mkdtemp", failing)
    with pytest.raises(PermissionError, match=f": '{tmp_path / 'set'}'$"):
        write_set(tmp_path / "set", cases()[:1], **GIVEN)


@pytest.mark.parametrize("earlier", [True, False])
def test_a_failure_on_the_way_leaves_things_as_they_were(tmp_path, earlier):
    if earlier:
        write_set(tmp_path / "set", cases()[:1], **GIVEN)
    before = everything(tmp_path / "set") if earlier else None

    def failing():
        yield cases()[3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path / "set", failing(), **GIVEN)
    assert os.listdir(tmp_path) == (["set"] if earlier else [])
    assert not earlier or everything(tmp_path / "set") == before


def test_a_failure_of_the_last_move_brings_the_earlier_set_back(tmp_path, monkeypatch):
    write_set(tmp_path / "set", cases()[:1], **GIVEN)
    before = everything(tmp_path / "set")
    rename = os.rename

    def failing(source, target):
        if str(source).endswith(".part"):
            raise OSError("no space")
        rename(source, target)

    monkeypatch.setattr(writer.os, "rename", failing)
    with pytest.raises(OSError, match="no space"):
        write_set(tmp_path / "set", cases()[3:4], **GIVEN)
    assert everything(tmp_path / "set") == before and os.listdir(tmp_path) == ["set"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**53}, "seed is 9007199254740992"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"version": ""}, "generator.version is ''"),
        ({"generator": "a b"}, "generator.name is 'a b'"),
        ({"flags": {}}, r"cases\[0\].flags is 'Small', expected a flag that the set explains"),
        ({"flags": {**FLAGS, "a b": "x"}}, "flags.a b is an unknown field"),
        ({"flags": {"Small": 1}}, "flags.Small is 1, expected a string"),
    ],
)
def test_bad_arguments(tmp_path, given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        write_set(tmp_path / "set", cases()[:1], **{**GIVEN, **given})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("id", ["", "a/b", "..", "a..b", ".a", "a" * 97, "ä", 5, None])
def test_bad_ids(tmp_path, id):
    case = cases()[0]
    bad = case_from_trace(id, case.params, case.x, case.h0, case.trace, group="g")
    with pytest.raises(ParameterError, match="case id is "):
        write_set(tmp_path / "set", [bad], **GIVEN)


def test_no_case_and_a_case_twice(tmp_path):
    with pytest.raises(ParameterError, match="cases is a list of 0 items|files is empty"):
        write_set(tmp_path / "set", [], **GIVEN)
    case = cases()[0]
    upper = case_from_trace(case.id.upper(), case.params, case.x, None, case.trace, group="g")
    with pytest.raises(ParameterError, match="'MSHIFT-PLAIN', expected an id of its own, also in lower case"):
        write_set(tmp_path / "set", [case, upper], **GIVEN)
    assert os.listdir(tmp_path) == []


def test_the_folder_can_be_read_by_others(tmp_path):
    write_set(tmp_path / "set", cases()[:1], **GIVEN)
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "set").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_set_that_was_sealed_again_is_still_a_set(tmp_path):
    write_set(tmp_path / "set", cases()[:1], **GIVEN)
    edit(tmp_path / "set", lambda m: m.update(seed=8))
    assert json.loads((tmp_path / "set" / "manifest.json").read_text())["seed"] == 8
    write_set(tmp_path / "set", cases()[:1], **GIVEN)
    assert open_set(tmp_path / "set").manifest["seed"] == 7


# A case checks itself.


def rebuilt(case, **changed):
    trace = changed.pop("trace", case.trace)
    given = {"x": case.x, "h0": case.h0, "mask": case.mask, "zoneout": case.zoneout, "training": case.training, **changed}
    return case_from_trace("again", case.params, given.pop("x"), given.pop("h0"), trace, group="g", **given)


def with_field(case, name, array):
    fields = {**case.trace.fields, name: array}
    return type(case.trace)(case.trace.datapath, fields, case.trace.reverse, case.trace.state)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_a_case_is_checked_against_its_trace(case):
    assert rebuilt(case).trace is case.trace
    z = case.trace["z"]
    for name, array, sentence in (
        ("z", z.astype(np.int64), "trace z is int64, expected int32"),
        ("z", z[..., :1], "trace z is an array of shape"),
        ("z", z.tolist(), "trace z is list, expected int32"),
        ("zz", z, "trace fields is different in zz"),
    ):
        with pytest.raises(ParameterError, match=sentence):
            rebuilt(case, trace=with_field(case, name, array))
    turned = dict(reversed(case.trace.fields.items()))
    with pytest.raises(ParameterError, match="trace fields is different in their order"):
        rebuilt(case, trace=type(case.trace)(case.trace.datapath, turned, case.trace.reverse, case.trace.state))
    with pytest.raises(ParameterError, match="trace datapath is 'other'"):
        rebuilt(case, trace=type(case.trace)("other", case.trace.fields, case.trace.reverse, case.trace.state))


def test_a_code_outside_its_format():
    case = cases()[0]
    z = case.trace["z"].copy()
    z[1, 0, 1] = 200
    with pytest.raises(ParameterError, match=r"trace z\[1, 0, 1\] is 200, expected a value of int8 in \[-128, 127\]"):
        rebuilt(case, trace=with_field(case, "z", z))
    dynamic = cases()[6]
    s_x = dynamic.trace["s_x"].copy()
    s_x[1] = np.inf
    with pytest.raises(ParameterError, match=r"trace s_x\[1\] is inf, expected a finite number"):
        rebuilt(dynamic, trace=with_field(dynamic, "s_x", s_x))


def test_another_input_state_or_option_than_the_trace_has():
    case = cases()[1]
    with pytest.raises(ParameterError, match="trace x is another array than the input"):
        rebuilt(case, x=case.x[::-1])
    with pytest.raises(ParameterError, match=r"trace h\[0\] is another state than h0"):
        rebuilt(case, h0=case.h0 + 1)
    with pytest.raises(ParameterError, match="trace fields is different in v"):
        rebuilt(case, training=True)
    with pytest.raises(ParameterError, match="trace fields is different in h_zoneout_acc"):
        rebuilt(case, zoneout=0.5)
    with pytest.raises(ParameterError, match="mask is given without training"):
        rebuilt(case, mask=np.zeros((3, 2, 2), np.int32))


def test_what_json_cannot_hold_is_named(tmp_path):
    case = cases()[3]
    case.params.meta["made"].append(float("nan"))
    try:
        with pytest.raises(ParameterError, match=r"params.meta.made\[6\] is nan, expected a finite number"):
            write_set(tmp_path / "set", [case], **GIVEN)
    finally:
        case.params.meta["made"].pop()


def test_the_flags_of_a_case_are_kept():
    case = cases()[0]
    again = run("again", "g", case.params, case.x)
    assert again.flags == {"Small": 1} and again.options == {"mask": None, "zoneout": 0.0, "training": False, "reverse": False}
