"""qgru vectors: what the subcommands print, and how they end."""

from __future__ import annotations

import json
import shutil

import pytest

from qgru.cli import main
from tests.vectors.damage import edit
from tests.vectors.kinds import every_kind
from vectors.reader import open_set
from vectors.writer import write_set

CASE = "requantize-s10-recommended-int8-inside"


@pytest.fixture
def folder(tmp_path):
    own = [case for case in every_kind() if case.kind != "sequence"]
    write_set(tmp_path / "set", own, seed=7, version="1.0")
    return tmp_path / "set"


def test_generate_a_datapath_with_formats(tmp_path, capsys):
    out = tmp_path / "set"
    assert main(["vectors", "generate", str(out), "--datapath", "mshift-dynamic", "--format", "hex", "--format", "npz"]) == 0
    opened = open_set(out)
    line = capsys.readouterr().out
    assert line.startswith(f"{out}: {len(opened)} cases, ") and line.endswith(f"sha256 {opened.sha256}\n")
    assert opened.manifest["scope"] == {"level": 1, "datapath": "mshift-dynamic"}
    assert list(open_set(out / "hex", "hex")) == list(opened)
    assert main(["vectors", "lint", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"{len(opened)} cases, 0 findings, sha256 {opened.sha256}\n")
    assert main(["vectors", "lint", str(out / "hex"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    (out / "mine.txt").write_text("mine")
    assert main(["vectors", "generate", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_lint_counts_what_it_finds(folder, capsys):
    def spoil(manifest):
        next(c for c in manifest["cases"] if c["id"] == CASE)["flags"]["tie"] = 999

    edit(folder, spoil)
    assert main(["vectors", "lint", str(folder)]) == 1
    out = capsys.readouterr().out
    assert f"{CASE}: flag tie is 999, expected " in out and "1 findings" in out


def test_info_of_a_set_and_of_a_case_of_every_kind(folder, capsys):
    assert main(["vectors", "info", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "requantize" in out and "saturates_low" in out and open_set(folder).sha256 in out
    for id in (CASE, "linear-k003-int8-low", "direct-sigmoid-32nd", "dequantize-least", "chain-cell", "error-pot-left-shift"):
        assert main(["vectors", "info", str(folder), id]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"{id}: ") and all(flag in out for flag in open_set(folder).entry(id)["flags"])
    assert main(["vectors", "info", str(folder), "nothing"]) == 2
    assert capsys.readouterr().err == f"qgru: case is 'nothing', expected one of the 13 cases of {folder}\n"


def test_convert_there_and_back(folder, tmp_path, capsys):
    for form in ("hex", "c", "bin", "wycheproof"):
        assert main(["vectors", "convert", str(folder), str(tmp_path / form), "--format", form]) == 0
        assert main(["vectors", "convert", str(tmp_path / form), str(tmp_path / "back"), "--format", "npz"]) == 0
        assert (tmp_path / "back" / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    assert main(["vectors", "convert", str(folder), str(tmp_path / "x"), "--format", "xml"]) == 2
    assert "'xml' is not one of" in capsys.readouterr().err


DAMAGE = {
    "a bit flipped": lambda f: (f / f"{CASE}.npz").write_bytes(
        bytes([(f / f"{CASE}.npz").read_bytes()[0] ^ 1]) + (f / f"{CASE}.npz").read_bytes()[1:]
    ),
    "cut": lambda f: (f / f"{CASE}.npz").write_bytes((f / f"{CASE}.npz").read_bytes()[:-1]),
    "an extra key": lambda f: edit(f, lambda m: m.update(more=1)),
    "a path that leads out": lambda f: edit(f, lambda m: m["files"].update({"../x": {"bytes": 1, "sha256": "0" * 64}})),
    "a huge shape": lambda f: edit(f, lambda m: m["cases"][0]["arrays"]["input.v"].update(shape=[2**31 - 1])),
    "a wrong hash": lambda f: edit(f, lambda m: m["files"][f"{CASE}.npz"].update(sha256="0" * 64)),
    "a wrong version": lambda f: edit(f, lambda m: m.update(format_version=2)),
    "a link": lambda f: ((f / f"{CASE}.npz").unlink(), (f / f"{CASE}.npz").symlink_to("/etc/passwd")),
    "no manifest": lambda f: (f / "manifest.json").unlink(),
    "no folder": lambda f: shutil.rmtree(f),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_ends_with_one_sentence_and_code_2(folder, name, capsys):
    DAMAGE[name](folder)
    for command in (["lint", str(folder)], ["convert", str(folder), str(folder) + "-out", "--format", "hex"]):
        assert main(["vectors", *command]) == 2
        caught = capsys.readouterr()
        assert caught.out == "" and caught.err.startswith("qgru: ") and caught.err.count("\n") == 1


def test_a_model_that_is_not_there(tmp_path, capsys):
    assert main(["vectors", "generate", str(tmp_path / "set"), "--datapath", "pot", "--model", str(tmp_path / "no.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "set").exists()


def test_an_unknown_step_and_a_count_of_nothing(capsys):
    assert main(["vectors", "stream", "cell"]) == 2
    assert "step is 'cell', expected one of" in capsys.readouterr().err
    assert main(["vectors", "stream", "ema", "--count", "0"]) == 2
    assert main(["vectors", "stream", "ema", "--count", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
