"""qgru vectors benches: a folder of benches from a set, or one sentence and nothing."""

from __future__ import annotations

import numpy as np
import pytest

from golden.sequence import forward
from qgru.cli import main
from tests.examples.rtl_cases import step_case
from tests.examples.rtl_tools import RTL, icarus, require
from tests.verification.small import dynamic_set, mshift_set
from vectors.case import case_from_trace
from vectors.writer import write_set

X = np.arange(12).reshape(3, 2, 2) - 6


@pytest.fixture
def folder(tmp_path):
    """A set with a step, a cell, and runs of which no bench is made: a mask, zoneout, no step, moving ranges."""
    p = mshift_set()
    mask = np.arange(12).reshape(3, 2, 2) % 2
    constants = {"M": 3, "s": 1, "zp": -7, "bits": 8, "signed": 1}
    cases = [
        step_case("requantize-a", "requantize", constants, {"v": np.array([0, 1, -1, 100, -100])}),
        case_from_trace("cell-a", p, X, None, forward(p, X), group="cells"),
        case_from_trace("mask", p, X, None, forward(p, X, mask=mask, training=True), group="runs", mask=mask, training=True),
        case_from_trace("empty", p, X[:0], None, forward(p, X[:0]), group="runs"),
        case_from_trace("zoneout", p, X, None, forward(p, X, zoneout=0.5), group="runs", zoneout=0.5),
        case_from_trace(
            "moving", dynamic_set(), X.astype(np.float32), None, forward(dynamic_set(), X.astype(np.float32)), group="runs"
        ),
    ]
    write_set(tmp_path / "set", cases, seed=0, version="0")
    return tmp_path / "set"


def test_every_case_that_has_a_bench(folder, tmp_path, capsys):
    assert main(["vectors", "benches", str(folder), str(tmp_path / "out"), "--prefix", str(tmp_path / "out")]) == 0
    assert "2 benches" in capsys.readouterr().out
    made = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"tb_requantize_a.sv", "tb_cell_a.sv", "test_requantize_a.py", "tb_all.sv", "harness.c", "dut.h"} <= made
    require("iverilog", "vvp")
    status, text = icarus(tmp_path, "tb_all", [*sorted((tmp_path / "out").glob("tb_*.sv")), *sorted(RTL.glob("*.sv"))])
    assert status == 0 and sorted(text.split("\n")[:-1]) == ["PASS cell-a 6 rows", "PASS requantize-a 5 rows"]


@pytest.mark.parametrize("choice", [["--step", "requantize"], ["--case", "requantize-a"]])
def test_a_choice(folder, tmp_path, choice):
    assert main(["vectors", "benches", str(folder), str(tmp_path / "out"), *choice]) == 0
    assert sorted(p.name for p in (tmp_path / "out").glob("tb_*")) == ["tb_all.sv", "tb_requantize_a.sv"]
    assert '"./requantize-a/' in (tmp_path / "out" / "tb_requantize_a.sv").read_text(encoding="ascii")


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (["--case", "nothing"], "--case is 'nothing'"),
        (["--case", "mask"], "--case is 'mask', of which no bench is made, expected a step, or a static"),
        (["--case", "empty"], "--case is 'empty', of which no bench is made, expected a step, or a static"),
        (["--case", "cell-a", "--case", "moving"], "--case is 'moving', of which no bench is made"),
        (["--step", "linear"], "has no case for a bench of linear"),
    ],
)
def test_a_choice_without_a_bench_is_refused(folder, tmp_path, capsys, choice, sentence):
    assert main(["vectors", "benches", str(folder), str(tmp_path / "out"), *choice]) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(folder, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    assert main(["vectors", "benches", str(folder), str(tmp_path / "out")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]
