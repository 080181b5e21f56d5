"""The RTL of examples/rtl passes the benches made with the set: Icarus Verilog, Verilator, cocotb; yosys synthesizes it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.examples.rtl_cases import cell_cases, direct_cases, piecewise_cases, requantize_cases
from tests.examples.rtl_tools import RTL, icarus, require, rtl, run, verilator
from vectors.benches import StepBench
from vectors.benches_cells import CellBench
from vectors.benches_cocotb import cocotb_parameters
from vectors.benches_write import write_benches

C = RTL.parent / "c"
SANITIZE = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


class Written:
    """Cases in a folder, each with its bench beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cases = [*requantize_cases(), *direct_cases(), *piecewise_cases(), *cell_cases("mshift", 4), *cell_cases("pot", 4)]
        self.benches = write_benches(cases, folder)
        self.steps = [b for b in self.benches if isinstance(b, StepBench)]
        self.cells = [b for b in self.benches if isinstance(b, CellBench)]

    def sources(self) -> list[Path]:
        """The benches and the module that holds them all."""
        return sorted(self.folder.glob("tb_*.sv"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("rtl"))


def passes(benches: list[StepBench | CellBench], text: str) -> bool:
    """Whether each of the benches says that it passed, and nothing else is said."""
    rows = {b.case: b.rows if isinstance(b, StepBench) else b.steps * b.batch for b in benches}
    lines = [line for line in text.splitlines() if line]
    return sorted(lines) == sorted(f"PASS {case} {count} rows" for case, count in rows.items())


def test_icarus(written: Written) -> None:
    require("iverilog", "vvp")
    status, text = icarus(written.folder, "tb_all", [*written.sources(), *sorted(RTL.glob("*.sv"))])
    assert status == 0 and passes(written.benches, text), text


@pytest.mark.slow
def test_verilator(written: Written) -> None:
    require("verilator", "g++")
    status, text = verilator(written.folder, "tb_all", [*written.sources(), *sorted(RTL.glob("*.sv"))])
    assert status == 0 and passes(written.benches, text), text


def test_verilator_lint() -> None:
    require("verilator")
    flags = ["--lint-only", "-Wall", "-Wno-WIDTH", "-Wno-DECLFILENAME", "-Wno-UNUSEDSIGNAL", f"-I{RTL}"]
    tops = ("requantize", "direct_table", "direct_table_wide", "piecewise_linear", "mshift_cell", "pot_cell")
    for top in tops:
        status, text = run(["verilator", *flags, "--top-module", f"qgru_{top}", *sorted(RTL.glob("qgru_*.sv"))], RTL)
        assert status == 0 and not text, text


@pytest.mark.parametrize("case", ["requantize-2", "requantize-4", "direct-1", "direct_wide-0", "piecewise_linear-1"])
def test_cocotb(written: Written, case: str) -> None:
    require("iverilog", "vvp")
    pytest.importorskip("cocotb", reason='cocotb is missing: pip install "cocotb>=2.0,<3"')
    bench = next(b for b in written.steps if b.case == case)
    folder = written.folder / f"cocotb-{case}"
    folder.mkdir()
    test = bench.module.replace("tb_", "test_", 1)
    shutil.copy(written.folder / f"{test}.py", folder)
    script = f"""
from cocotb_tools.runner import get_results, get_runner
runner = get_runner("icarus")
runner.build(sources={[str(p) for p in sorted(RTL.glob("*.sv"))]!r}, hdl_toplevel="dut_{bench.step}", includes=[{str(RTL)!r}],
             build_args=["-g2012"], parameters={cocotb_parameters(bench, f"{written.folder}/{case}/")!r}, build_dir="build")
tests, failed = get_results(runner.test(hdl_toplevel="dut_{bench.step}", test_module="{test}", test_dir="."))
assert (tests, failed) == (1, 0), (tests, failed)
"""
    status, text = run([sys.executable, "-c", script], folder)
    assert status == 0 and f"PASS {case} {bench.rows} rows" in text, text


TABLES = ("thresholds", "slopes", "shifts", "intercepts")


def link_tables(written: Written, folder: Path) -> None:
    """The files that the modules read by default."""
    os.symlink(written.folder / "direct-0" / "table.entries.hex", folder / "table.hex")
    for name in TABLES:
        os.symlink(written.folder / "piecewise_linear-1" / f"table.{name}.hex", folder / f"{name}.hex")


@pytest.mark.parametrize("top", ["requantize", "direct_table", "direct_table_wide", "piecewise_linear"])
def test_yosys_synthesizes(written: Written, tmp_path: Path, top: str) -> None:
    require("yosys")
    link_tables(written, tmp_path)
    synthesize(tmp_path, f"qgru_{top}", "", "synth", rtl(f"qgru_{top.removesuffix('_wide')}"))


@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_yosys_synthesizes_cell(written: Written, tmp_path: Path, datapath: str) -> None:
    """Down to gates without the optimization between them, which takes minutes; `make synth` does it all."""
    require("yosys")
    bench = next(b for b in written.cells if b.datapath == datapath and b.params.hidden_size <= 4)
    p = bench.params
    case = written.folder / bench.case
    link_tables(written, tmp_path)
    sizes = {"C": p.input_size, "H": p.hidden_size}
    for name in ("W", "R", "bx", "br"):
        os.symlink(case / f"params.{name}.hex", tmp_path / f"{name}.hex")
        if datapath == "pot":
            os.symlink(case / f"params.weight.{name}.exponent.hex", tmp_path / f"{name}_exponent.hex")
            sizes[f"{name.upper()}_BITS"] = p.operators[f"weight.{name}"].fmt.bits
    for k in "zrg":
        if datapath == "mshift":
            os.symlink(case / f"params.table_{k}.entries.hex", tmp_path / f"table_{k}.hex")
            continue
        sizes[f"{k.upper()}_SEGMENTS"] = len(getattr(p, f"act_{k}").thresholds)
        for end in ("pre", "out"):
            sizes[f"{k.upper()}_{end.upper()}_BITS"] = p.operators[f"gate.{k}_{end}"].fmt.bits
        for name in TABLES:
            os.symlink(case / f"params.act_{k}.{name}.hex", tmp_path / f"act_{k}_{name}.hex")
    parameters = "chparam" + "".join(f" -set {name} {value}" for name, value in sizes.items()) + f" qgru_{datapath}_cell; "
    sources = rtl(f"qgru_{datapath}_cell", *(["qgru_piecewise_linear"] if datapath == "pot" else []))
    synthesize(tmp_path, f"qgru_{datapath}_cell", parameters, "synth -run begin:fine", sources, "techmap; ")


def synthesize(folder: Path, top: str, parameters: str, command: str, sources: list[Path], after: str = "") -> None:
    """Read, synthesize, and refuse problems, latches and blocks without a cell."""
    files = " ".join(str(s) for s in sources)
    script = f"read_verilog -sv -I{RTL} {files}; {parameters}{command} -top {top}; {after}check -assert; "
    script += "select -assert-none t:$dlatch t:$_DLATCH_P_ t:$_DLATCH_N_; select -assert-min 1 t:*"
    status, text = run(["yosys", "-q", "-p", script], folder)
    assert status == 0 and "ERROR" not in text, text[-3000:]


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), SANITIZE], ids=["O0", "O2", "sanitize"])
def test_c_harness(written: Written, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """The steps of examples/c pass the harness made with the set."""
    require("gcc")
    sources = [written.folder / "harness.c", Path(__file__).parent / "dut_steps.c", C / "qgru_steps.c"]
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    command = ["gcc", *warnings, *flags, "-I", written.folder, "-I", C]
    status, text = run([*command, *sources, "-o", tmp_path / "harness"], tmp_path)
    assert status == 0, text[-3000:]
    status, text = run([tmp_path / "harness"], tmp_path)
    assert status == 0 and passes(list(written.steps), text), text
