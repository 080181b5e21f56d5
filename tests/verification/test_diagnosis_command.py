"""qgru diagnose: a case of a vector set and a file of what came out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qgru import cli
from tests.verification.deviation_problems import MAKERS
from tests.verification.test_diagnosis import plant
from vectors.case import case_from_trace
from vectors.writer import write_set
from verification.exact.sequence import forward as judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("diagnose") / "set"
    cases = []
    for datapath, make in MAKERS.items():
        p = make(3)
        options = {"mask": p.mask, "zoneout": p.zoneout, "training": p.training}
        cases.append(case_from_trace(datapath, p.params, p.x, p.h0, p.run(judge), group="diagnosis", **options))
    write_set(path, cases, seed=0, version="0")
    return path


def run(folder, case, got, *more):
    return cli.main(["diagnose", str(folder), case, str(got), *more])


def test_a_planted_deviation_is_named(folder, tmp_path, capsys):
    got = plant(MAKERS["mshift"](3), "one-is-1")
    np.savez(tmp_path / "got.npz", **got.fields)
    assert run(folder, "mshift", tmp_path / "got.npz") == 1
    assert capsys.readouterr().out.startswith("one-is-1 [SPEC")


@pytest.mark.parametrize("datapath", MAKERS)
def test_outputs_alone_as_json(folder, tmp_path, capsys, datapath):
    got = plant(MAKERS[datapath](3), "one-is-1")
    np.savez(tmp_path / "got.npz", h=got["h"][1:])
    assert run(folder, datapath, tmp_path / "got.npz", "--json", "--no-pairs", "--seconds", "1") == 1
    answer = json.loads(capsys.readouterr().out)
    assert ["one-is-1"] in [e["names"] for e in answer["explanations"]]


def test_what_a_device_gave_is_taken_with_its_outputs(folder, tmp_path, capsys):
    got = plant(MAKERS["mshift"](3), "one-is-1")
    np.savez(tmp_path / "output.npz", output=got["h"][1:])
    np.savez(tmp_path / "both.npz", output=got["h"][1:], h=got["h"])
    np.savez(tmp_path / "h.npz", h=got["h"])
    texts = []
    for name in ("output", "both", "h"):
        assert run(folder, "mshift", tmp_path / f"{name}.npz", "--no-pairs") == 1
        texts.append(capsys.readouterr().out)
    assert all("one-is-1 [SPEC" in text for text in texts) and texts[1] == texts[2]


def test_a_state_that_is_one_number_beside_outputs_is_refused(folder, tmp_path, capsys):
    h = MAKERS["mshift"](3).run(judge)["h"]
    np.savez(tmp_path / "got.npz", output=h[1:], h=np.int32(3))
    assert run(folder, "mshift", tmp_path / "got.npz") == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("qgru: got.npz output is not what h says, expected")


def test_numbers_outside_every_format_give_no_warning(folder, tmp_path, capsys, recwarn):
    fields = dict(MAKERS["mshift"](3).run(judge).fields)
    fields["h"] = np.full(fields["h"].shape, 2**62, np.int64)
    np.savez(tmp_path / "got.npz", **fields)
    assert run(folder, "mshift", tmp_path / "got.npz", "--no-pairs") == 1
    assert not recwarn.list, [str(w.message) for w in recwarn.list]


def test_outputs_that_contradict_the_states_are_refused(folder, tmp_path, capsys):
    h = MAKERS["mshift"](3).run(judge)["h"]
    np.savez(tmp_path / "got.npz", output=h[1:] + 1, h=h)
    assert run(folder, "mshift", tmp_path / "got.npz") == 2
    sentence = "got.npz output is not what h says, expected the states of h without the initial one\n"
    assert capsys.readouterr().err.endswith(sentence)


def test_an_equal_run_is_0(folder, tmp_path, capsys):
    trace = MAKERS["pot"](3).run(judge)
    np.savez(tmp_path / "got.npz", **{f"trace.{name}": a for name, a in trace.items()})
    assert run(folder, "pot", tmp_path / "got.npz") == 0
    assert capsys.readouterr().out.startswith("equal: all ")


def test_seconds_that_are_no_number_are_refused(folder, tmp_path, capsys):
    assert run(folder, "pot", tmp_path / "missing.npz", "--seconds", "nan") == 2
    assert "'--seconds': nan is not a number of seconds." in capsys.readouterr().err


def test_bad_input_is_2(folder, tmp_path, capsys):
    np.savez(tmp_path / "got.npz", z=np.zeros((1, 1, 1), np.int32))
    assert run(folder, "nope", tmp_path / "got.npz") == 2
    assert run(folder, "pot", tmp_path / "missing.npz") == 2
    assert run(folder, "pot", tmp_path / "got.npz") == 2
    sentences = capsys.readouterr().err.splitlines()
    assert [s.split(":")[0] for s in sentences] == ["qgru"] * 3
    assert "CASE is 'nope', expected one of mshift, mshift-dynamic, pot" in sentences[0]


def test_a_field_by_both_of_its_names_is_refused(folder, tmp_path, capsys):
    h = MAKERS["pot"](3).run(judge)["h"]
    np.savez(tmp_path / "got.npz", **{"trace.h": h, "h": h + 1})
    assert run(folder, "pot", tmp_path / "got.npz") == 2
    assert capsys.readouterr().err == "qgru: got.npz h is given also as trace.h, expected each field once\n"


def test_a_file_without_end_is_refused_before_it_is_read_whole(folder, capsys):
    assert run(folder, "pot", "/dev/zero") == 2
    assert capsys.readouterr().err.startswith("qgru: zero is larger than 268435456 bytes, expected what")
