"""The RTL of examples/rtl passes every level-1 case that a bench of its modules is made of, in two simulators and cocotb."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.examples.rtl_tools import RTL, icarus, require, run, verilator
from vectors.benches import StepBench
from vectors.benches_cells import CellBench
from vectors.benches_cocotb import cocotb_parameters
from vectors.benches_write import write_benches
from vectors.case import Case
from vectors.generate import make, planned
from vectors.step_case import StepCase

MODULES = ("requantize", "direct", "direct_wide", "piecewise_linear")
Benches = list[StepBench | CellBench]


def level_1() -> list[StepCase | Case]:
    """The level-1 cases of the steps that the RTL has, and the cells of both datapaths, of which most are at level 2."""
    cases: list[StepCase | Case] = []
    for case in make([item for item in planned(2) if item.level == 1 or item.id.startswith("cell-")], 0):
        if (isinstance(case, StepCase) and case.step in MODULES) or (isinstance(case, Case) and case.group.startswith("cell-")):
            cases.append(case)
    return cases


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Benches]:
    folder = tmp_path_factory.mktemp("level1")
    return folder, write_benches(level_1(), folder)


def expected(benches: Benches) -> list[str]:
    """What the benches say when all of them pass."""
    return sorted(f"PASS {b.case} {b.rows if isinstance(b, StepBench) else b.steps * b.batch} rows" for b in benches)


def test_level_1_has_a_bench_for_every_module(written: tuple[Path, Benches]) -> None:
    _, benches = written
    counts = {step: sum(isinstance(b, StepBench) and b.step == step for b in benches) for step in MODULES}
    cells = {d: sum(isinstance(b, CellBench) and b.datapath == d for b in benches) for d in ("mshift", "pot")}
    assert counts == {"requantize": 59, "direct": 20, "direct_wide": 4, "piecewise_linear": 15}
    assert cells == {"mshift": 21, "pot": 30}  # the quadratic and direct cells of datapath P have no module here


def test_icarus_passes_level_1(written: tuple[Path, Benches]) -> None:
    require("iverilog", "vvp")
    folder, benches = written
    status, text = icarus(folder, "tb_all", [*sorted(folder.glob("tb_*.sv")), *sorted(RTL.glob("*.sv"))])
    assert status == 0 and sorted(text.split("\n")[:-1]) == expected(benches), text[-3000:]


@pytest.mark.slow
def test_verilator_passes_level_1(tmp_path: Path) -> None:
    """Every step, and two cells of each datapath: Verilator takes seconds for each cell, Icarus runs them all."""
    require("verilator", "g++")
    cases = level_1()
    cells = [[c for c in cases if isinstance(c, Case) and c.params.datapath == d] for d in ("mshift", "pot")]
    few = [c for c in cases if not isinstance(c, Case)] + cells[0][::11] + cells[1][::19]
    folder, benches = tmp_path, write_benches(few, tmp_path)
    assert sum(isinstance(b, CellBench) for b in benches) >= 4
    status, text = verilator(folder, "tb_all", [*sorted(folder.glob("tb_*.sv")), *sorted(RTL.glob("*.sv"))])
    assert status == 0 and sorted(text.split("\n")[:-1]) == expected(benches), text[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("step", MODULES)
def test_cocotb_passes_level_1(written: tuple[Path, Benches], step: str) -> None:
    require("iverilog", "vvp")
    pytest.importorskip("cocotb", reason='cocotb is missing: pip install "cocotb>=2.0,<3"')
    folder, benches = written
    for bench in benches:
        if not isinstance(bench, StepBench) or bench.step != step:
            continue
        place = folder / f"cocotb-{bench.case}"
        place.mkdir()
        test = bench.module.replace("tb_", "test_", 1)
        (place / f"{test}.py").write_bytes((folder / f"{test}.py").read_bytes())
        script = f"""
from cocotb_tools.runner import get_results, get_runner
runner = get_runner("icarus")
runner.build(sources=[{str(RTL / f"dut_{step}.sv")!r}, *{[str(p) for p in sorted(RTL.glob("qgru_*.sv"))]!r}],
             hdl_toplevel="dut_{step}", includes=[{str(RTL)!r}], build_args=["-g2012"],
             parameters={cocotb_parameters(bench, f"{folder}/{bench.case}/")!r}, build_dir="build")
assert get_results(runner.test(hdl_toplevel="dut_{step}", test_module="{test}", test_dir=".")) == (1, 0)
"""
        status, text = run([sys.executable, "-c", script], place)
        assert status == 0 and f"PASS {bench.case} {bench.rows} rows" in text, text[-3000:]
