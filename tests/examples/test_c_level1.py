"""The C port passes level 1: its steps behind the harness made with the set, its sequences in every stage."""

from __future__ import annotations

import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from tests.examples import c_port, c_text
from tests.examples.c_problems import Problem
from tests.examples.rtl_tools import require, run
from vectors.benches import StepBench
from vectors.benches_write import write_benches
from vectors.case import Case
from vectors.generate import make, planned
from vectors.step_case import StepCase

STEPS = ("requantize", "direct", "direct_wide", "piecewise_linear")
SANITIZE = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


@pytest.fixture(scope="module")
def level_1() -> tuple[list[StepCase], list[Case]]:
    """The step cases that the harness is bound to, and every cell and sequence of the static datapaths."""
    cases = list(make([item for item in planned(1) if item.datapaths != ("mshift-dynamic",)], 0))
    steps = [c for c in cases if isinstance(c, StepCase) and c.step in STEPS]
    runs = [c for c in cases if isinstance(c, Case) and c.params.datapath in ("mshift", "pot")]
    return steps, runs


def problem_of(case: Case) -> Problem:
    """A recorded run as the C port takes it."""
    raw = {f.name: getattr(case.params, f.name) for f in fields(case.params)}
    mask = case.options["mask"]
    if mask is None and case.options["training"]:
        mask = 0 * case.trace["h_new"]  # keeps nothing: training without a mask
    options = case.options
    return Problem(case.params.datapath, raw, case.x, case.h0, mask, options["zoneout"], options["reverse"])


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), SANITIZE], ids=["O0", "O2", "sanitize"])
def test_steps(level_1: tuple[list[StepCase], list[Case]], tmp_path: Path, flags: tuple[str, ...]) -> None:
    require("gcc")
    benches = write_benches(level_1[0], tmp_path)
    sources = [tmp_path / "harness.c", Path(__file__).parent / "dut_steps.c", c_port.SOURCE / "qgru_steps.c"]
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    command = ["gcc", *warnings, *flags, "-I", tmp_path, "-I", c_port.SOURCE, *sources, "-o", tmp_path / "harness"]
    status, text = run(command, tmp_path)
    assert status == 0, text[-3000:]
    status, text = run([tmp_path / "harness"], tmp_path)
    expected = sorted(f"PASS {b.case} {b.rows} rows" for b in benches if isinstance(b, StepBench))
    assert status == 0 and sorted(text.split("\n")[:-1]) == expected and len(expected) == 98, text[-3000:]


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), SANITIZE], ids=["O0", "O2", "sanitize"])
def test_sequences(level_1: tuple[list[StepCase], list[Case]], tmp_path: Path, flags: tuple[str, ...]) -> None:
    harness = c_port.build(tmp_path / "harness", *flags, harness=True)
    problems = [problem_of(case) for case in level_1[1]]
    (tmp_path / "problems.txt").write_text("".join(map(c_text.problem_text, problems)))
    done = subprocess.run([str(harness), str(tmp_path / "problems.txt")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = c_text.traces(done.stdout)
    assert len(found) == len(problems) == 52
    assert [d for d in map(c_port.difference, problems, found) if d] == []
