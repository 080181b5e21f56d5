"""The devices of examples/dut: C, torch, a pipe, an RTL cell behind a simulator; each equal on its cases of level 1."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from golden.spec.layout import FIELDS
from qgru.cli import main
from tests.examples.c_port import LIBRARY, SOURCE, gcc
from tests.examples.rtl_tools import require
from tests.verification.dut_cases import DEVICES, requantize, run_case
from verification.dut.builtin import Builtin
from verification.dut.device import resolve
from verification.dut.examine import check
from verification.dut.library import HEADER, capabilities_of, load

DUT = Path(__file__).parents[2] / "examples" / "dut"
SET = Builtin()


def checked(spec, groups):
    """How often each outcome was, and the outcomes, of the cases whose id starts so."""
    cases = (SET[id] for id in SET if id.startswith(groups))
    with resolve(spec) as device:
        found = list(check(device, cases))
    return Counter(o.outcome for o in found), found


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    target = tmp_path_factory.mktemp("dut") / "libqgru_dut.so"
    files = [str(DUT / "c_port.c"), *(str(SOURCE / name) for name in LIBRARY)]
    flags = [
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-O2",
        "-fPIC",
        "-shared",
        "-I",
        str(HEADER.parent),
        "-I",
        str(SOURCE),
    ]
    done = subprocess.run([gcc(), *flags, "-o", str(target), *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def test_a_shared_library_against_level_1(library, capsys):
    assert main(["check", "--dut", f"so:{library}", "--no-chains"]) == 0
    printed = capsys.readouterr()
    assert " 0 mismatches; " in printed.out and " 0 failed, " in printed.out
    for group in ("requantize", "linear", "piecewise_quadratic", "cell-mshift", "cell-pot", "sequence-pot"):
        assert any(line.split()[:2] == [group, "equal"] for line in printed.out.splitlines())
    assert "the datapath mshift-dynamic is not declared" in printed.out


def test_the_c_port_gives_every_field(library):
    counts, found = checked(f"so:{library}", ("sequence-mshift-zoneout", "sequence-pot-training"))
    assert set(counts) == {"equal"}
    fields = {name for o in found for name in o.fields}
    assert fields == {f.name for f in (*FIELDS["mshift"], *FIELDS["pot"])}


def test_the_header_gives_a_library_of_c_plus_plus_its_names(tmp_path):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    source, target = tmp_path / "port.cpp", tmp_path / "libport.so"
    source.write_text(
        '#include "qgru_dut.h"\n'
        "uint32_t qgru_dut_version(void) { return QGRU_DUT_VERSION; }\n"
        'int qgru_dut_capabilities(char *json, size_t) { strcpy(json, "{\\"name\\": \\"plus\\"}"); return 0; }\n'
    )
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-I", str(HEADER.parent)]
    done = subprocess.run([compiler, *flags, "-o", str(target), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert capabilities_of(load(str(target)), str(target)) == {"name": "plus"}


def test_torch():
    pytest.importorskip("torch")
    counts, found = checked(
        f"py:{DUT / 'torch_gru.py'}:TorchGru", ("cell-mshift", "sequence-mshift", "requantize-m", "mshift-hidden")
    )
    assert set(counts) == {"equal", "not run"} and counts["equal"] > 20
    assert {o.detail for o in found if o.outcome == "not run" and "zoneout" in o.case.id} == {"zoneout is not declared"}
    assert {o.fields for o in found if o.passed and o.case.kind == "sequence"} == {("z", "r", "g", "h_new", "h")}


def test_a_pipe():
    counts, found = checked(f"cmd:{sys.executable} {DUT / 'pipe.py'}", ("saturate", "ties-up", "ties-away", "requantize-u"))
    assert set(counts) == {"equal", "not run"} and counts["equal"] > 10
    assert {o.detail for o in found if o.outcome == "not run"} == {"the step ties_away is not declared"}


def test_an_rtl_cell_behind_a_simulator():
    require("iverilog", "vvp")
    cases = [requantize("signed"), SET[next(id for id in SET if id.startswith("requantize"))]]
    with resolve(f"cmd:{sys.executable} {DUT / 'rtl_requantize.py'}") as device:
        assert [o.outcome for o in check(device, [*cases, run_case()])] == ["equal", "equal", "not run"]


def test_golden_in_python_on_what_golden_made():
    prefixes = ("sequence-", "derive", "quantize-", "pot-gate", "linear", "refus", "error", "ema", "asymmetric")
    counts, _ = checked(f"py:{DEVICES}:Golden", prefixes)
    assert set(counts) <= {"equal", "not run"} and counts["equal"] > 80


def test_a_device_in_python_is_not_credited_with_what_its_parameter_set_refuses():
    careless, _ = checked(f"py:{DEVICES}:Careless", ("error",))
    assert set(careless) == {"accepted", "not run"} and careless["accepted"] == 2, careless
    golden, _ = checked(f"py:{DEVICES}:Golden", ("error",))
    assert (golden["equal"], golden["not run"]) == (2, careless["not run"])


def test_the_twin_by_its_function():
    with resolve("py:cuda_impl.sequence:forward") as device:
        found = list(
            check(device, [run_case("m"), run_case("d", "mshift-dynamic", reverse=True), run_case("p", "pot", zoneout=0.3)])
        )
    assert [o.outcome for o in found] == ["equal"] * 3
    assert [found[i].compared for i in (0, 2)] == [found[i].case.trace.codes for i in (0, 2)]


def test_the_python_of_the_page(capsys):
    page = (DUT.parents[1] / "docs" / "dut.md").read_text(encoding="utf-8")
    block = page.split("## From Python\n\n```python\n")[1].split("```")[0]
    exec(compile(block, "docs/dut.md", "exec"), {})
    codes = SET["sequence-mshift-plain"].trace.codes
    assert capsys.readouterr().out == f"sequence-mshift-plain equal {codes}\n"
