"""The benches themselves: what is wrong with a file or a design is found, and every step has a bench in each language."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from tests.examples.rtl_cases import cell_cases, step_case
from tests.examples.rtl_tools import icarus, require, rtl, run
from vectors.benches import TABLE_ARRAYS, StepBench, step_bench
from vectors.benches_c import c_harness, c_header, c_prototype
from vectors.benches_cells import CellBench
from vectors.benches_cocotb import cocotb_bench, cocotb_parameters
from vectors.benches_write import write_benches
from vectors.reader import open_set
from vectors.steps import STEPS
from vectors.writer import export_set, write_set
from verification.dut.library import HEADER

CONSTANTS = {"M": 3, "s": 1, "zp": -7, "bits": 8, "signed": 1}
SOURCES = ("dut_requantize", "qgru_requantize")


def requantize(folder: Path) -> tuple[StepBench, Path]:
    """A case of five rows and its bench."""
    case = step_case("requantize-9", "requantize", CONSTANTS, {"v": np.array([0, 1, -1, 100, -100])})
    (bench,) = write_benches([case], folder)
    assert isinstance(bench, StepBench)
    return bench, folder / "tb_requantize_9.sv"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="ascii")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="ascii")


def test_bench_passes(tmp_path: Path) -> None:
    require("iverilog", "vvp")
    bench, source = requantize(tmp_path)
    assert icarus(tmp_path, bench.module, [source, *rtl(*SOURCES)]) == (0, "PASS requantize-9 5 rows\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\nf8\n", "\nf9\n", "row 2: q is -8 (f8), expected -7 (f9), v -1; case requantize-9 [M-5] flags: "),
        ("\nf8\n", "\nx8\n", "q has a character that is no digit at row 2, expected 0-9 and a-f"),
        ("\nf8\n", "\nF8\n", "q has a character that is no digit at row 2, expected 0-9 and a-f"),
        ("\nf8\n", "\n0f8\n", "q has a word of 3 digits at row 2, expected 2"),
        ("\nf8\n", "\n8\n", "q has a word of 1 digits at row 2, expected 2"),
        ("\nf8\n", "\n\n", "q has a word of 0 digits at row 2, expected 2"),
        ("\nf8\n", "\n", "row 2: q is -8 (f8), expected 127 (7f), v -1;"),
        ("\nf8\n", "\nf8 // -8\n", "q has a character that is no digit at row 2"),
    ],
    ids=["value", "letter", "upper case", "long", "short", "empty", "missing", "comment behind"],
)
def test_damaged_expectation_is_found(tmp_path: Path, old: str, new: str, said: str) -> None:
    require("iverilog", "vvp")
    bench, source = requantize(tmp_path)
    change(tmp_path / bench.case / "output.q.hex", old, new)
    status, text = icarus(tmp_path, bench.module, [source, *rtl(*SOURCES)])
    assert status == 1 and f": {said}" in text and text.count("FATAL") == 1 and "PASS" not in text, text


def test_number_of_words_is_checked(tmp_path: Path) -> None:
    require("iverilog", "vvp")
    bench, source = requantize(tmp_path)
    path = tmp_path / bench.case / "output.q.hex"
    whole = path.read_text(encoding="ascii")
    for text, said in (
        (whole + "00\n", "q has more words, expected 5 rows"),
        (whole[:-3], "q ends at row 4, expected more words"),
        ("", "q ends at row 0, expected more words"),
    ):
        path.write_text(text, encoding="ascii")
        status, found = icarus(tmp_path, bench.module, [source, *rtl(*SOURCES)])
        assert status == 1 and said in found, found
    path.unlink()
    status, found = icarus(tmp_path, bench.module, [source, *rtl(*SOURCES)])
    assert status == 1 and "output.q.hex cannot be read, expected a file of the case" in found, found


def test_bit_above_the_width_is_found(tmp_path: Path) -> None:
    require("iverilog", "vvp")
    constants = CONSTANTS | {"bits": 5}
    (bench,) = write_benches([step_case("narrow", "requantize", constants, {"v": np.array([1, 2, 3])})], tmp_path)
    source = tmp_path / "tb_narrow.sv"
    change(tmp_path / "narrow" / "output.q.hex", "\n1", "\n3")
    status, text = icarus(tmp_path, bench.module, [source, *rtl(*SOURCES)])
    assert status == 1 and "at row 0, expected 5 bits" in text, text


def test_unknown_output_is_found(tmp_path: Path) -> None:
    """x is not equal to anything: the comparison is !==."""
    require("iverilog", "vvp")
    bench, source = requantize(tmp_path)
    dut = tmp_path / "dut.sv"
    dut.write_text(stub(bench, driven=False), encoding="ascii")
    status, text = icarus(tmp_path, bench.module, [source, dut])
    assert status == 1 and "row 0: q is x (xx), expected -7 (f9)" in text, text


def stub(bench: StepBench, driven: bool) -> str:
    """A module dut_<step> whose outputs are 0, or nothing."""
    step = bench.definition
    columns = [*((c, "input") for c in step.inputs), *((c, "output") for c in step.outputs)]
    ports = ", ".join(f"{way} logic [{bench.width(c) * bench.words(c) - 1}:0] {c.name}" for c, way in columns)
    names = [*(c.name.upper() for c in step.constants), *(f"{n.upper()}_FILE" for n in TABLE_ARRAYS.get(bench.table or "", ()))]
    names += ["SEGMENTS"] if bench.table not in (None, "direct") else []
    names += ["LANES"] if any(c.vector for c in step.inputs) else []
    head = f"#({', '.join(f'parameter {name} = 0' for name in names)}) " if names else ""
    body = "".join(f"  assign {c.name} = 0;\n" for c in step.outputs) if driven else ""
    return f"module dut_{bench.step} {head}({ports});\n{body}endmodule\n"


def zeros(folder: Path, step: str) -> StepBench:
    """A bench of two rows of zeros for any step, its files and its package written by hand."""
    definition, lanes = STEPS[step], 3
    constants = {c.name: 8 if c.name.startswith("bits") else int(c.name.startswith("signed")) for c in definition.constants}
    kind = "piecewise_linear" if definition.table == "any" else definition.table
    bench = StepBench(f"zeros-{step}", step, constants, 2, lanes, kind, 4 if kind != "direct" else 256)
    where = folder / bench.case
    where.mkdir()
    lines = ["localparam integer ROWS = 2;", f"localparam integer LANES = {lanes};", "localparam integer table_SIZE = 4;"]
    for c in definition.constants:
        name = "signed_" if c.name == "signed" else c.name
        lines.append(f"localparam logic [{c.width(constants) - 1}:0] {name} = {constants[c.name]};")
    text = "\n".join([f"package {bench.package};", *lines, "endpackage", ""])
    (where / f"{bench.case}.svh").write_text(text, encoding="ascii")
    for c in (*definition.inputs, *definition.outputs):
        word = "0" * ((bench.width(c) + 3) // 4) + "\n"
        (where / bench.file(c.name)).write_text("// zeros\n" + word * 2 * bench.words(c), encoding="ascii")
    return bench


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_a_bench(tmp_path: Path, step: str) -> None:
    require("iverilog", "vvp")
    bench = zeros(tmp_path, step)
    source, dut = tmp_path / "tb.sv", tmp_path / "dut.sv"
    source.write_text(step_bench(bench, f"{tmp_path}/{bench.case}/"), encoding="ascii")
    dut.write_text(stub(bench, driven=True), encoding="ascii")
    assert icarus(tmp_path, bench.module, [source, dut]) == (0, f"PASS {bench.case} 2 rows\n")
    dut.write_text(stub(bench, driven=False), encoding="ascii")
    status, text = icarus(tmp_path, bench.module, [source, dut])
    assert status == 1 and "row 0:" in text and bench.definition.outputs[0].name in text, text


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_a_cocotb_bench(tmp_path: Path, step: str) -> None:
    bench = zeros(tmp_path, step)
    compile(cocotb_bench(bench), "bench.py", "exec")
    assert {name.upper() for name in bench.constants} <= set(cocotb_parameters(bench))


def test_every_step_has_a_c_harness(tmp_path: Path) -> None:
    """One harness of all steps, its functions left to the customer, compiles without a warning."""
    require("gcc")
    benches = [zeros(tmp_path, step) for step in STEPS]
    text = ["#include <stdint.h>\n"]
    for bench in benches:
        columns = (*bench.definition.inputs, *bench.definition.outputs)
        text += [f"static const int64_t zeros_{bench.step}_{c.name}[{2 * bench.words(c)}] = {{0}};\n" for c in columns]
        for name in TABLE_ARRAYS.get(bench.table or "", ()):
            text.append(f"static const int32_t zeros_{bench.step}_table_{name}[{bench.segments}] = {{0}};\n")
    (tmp_path / "all.h").write_text("".join(text), encoding="ascii")
    (tmp_path / "dut.h").write_text(c_header(list(STEPS)), encoding="ascii")
    (tmp_path / "harness.c").write_text(c_harness(benches, ["all.h"]), encoding="ascii")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-c"]
    status, found = run(["gcc", *flags, "harness.c", "-o", "harness.o"], tmp_path)
    assert status == 0, found


def test_the_header_of_the_harness_stands_beside_that_of_a_library(tmp_path: Path) -> None:
    require("gcc")
    (tmp_path / "dut.h").write_text(c_header(["saturate"]), encoding="ascii")
    text = '#include "qgru_dut.h"\n#include "dut.h"\nint32_t code(void)\n{\n    return dut_saturate(8, 1, 300);\n}\n'
    (tmp_path / "port.c").write_text(text, encoding="ascii")
    status, found = run(["gcc", "-std=c99", "-Wall", "-Werror", "-I", HEADER.parent, "-c", "port.c"], tmp_path)
    assert status == 0, found


def test_c_harness_prints_the_first_difference(tmp_path: Path) -> None:
    require("gcc")
    requantize(tmp_path)
    body = "(void)M; (void)s; (void)zp; (void)bits; (void)is_signed;\n    return v == 1 ? -5 : v == 0 ? -7 : 0;"
    (tmp_path / "dut.c").write_text(f'#include "dut.h"\n{c_prototype("requantize")}\n{{\n    {body}\n}}\n', encoding="ascii")
    status, found = run(["gcc", "-std=c99", "-Wall", "-Werror", "harness.c", "dut.c", "-o", "harness"], tmp_path)
    assert status == 0, found
    status, found = run([tmp_path / "harness"], tmp_path)
    assert status == 1 and found.startswith("row 2: q is 0, expected -8; v -1; case requantize-9 [M-5] flags: "), found


def test_a_port_in_c_plus_plus_links_with_the_c_harness(tmp_path: Path) -> None:
    require("gcc", "g++")
    requantize(tmp_path)
    body = "(void)M; (void)s; (void)zp; (void)bits; (void)is_signed;\n    return v == 0 ? -7 : 0;"
    (tmp_path / "dut.cpp").write_text(f'#include "dut.h"\n{c_prototype("requantize")}\n{{\n    {body}\n}}\n', encoding="ascii")
    for command in (["g++", "-c", "dut.cpp"], ["gcc", "-std=c99", "harness.c", "dut.o", "-o", "harness"]):
        status, found = run([*command, "-Wall", "-Wextra", "-Werror"], tmp_path)
        assert status == 0, found
    status, found = run([tmp_path / "harness"], tmp_path)
    assert status == 1 and found.startswith("row 1: q is 0, expected -5; v 1; case requantize-9"), found


def test_a_port_that_ends_the_program_has_not_passed(tmp_path: Path) -> None:
    require("gcc")
    requantize(tmp_path)
    body = "(void)M; (void)s; (void)zp; (void)bits; (void)is_signed; (void)v;\n    exit(0);"
    text = f'#include "dut.h"\n#include <stdlib.h>\n{c_prototype("requantize")}\n{{\n    {body}\n}}\n'
    (tmp_path / "dut.c").write_text(text, encoding="ascii")
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    status, found = run(["gcc", *flags, "harness.c", "dut.c", "-o", "harness"], tmp_path)
    assert status == 0, found
    status, found = run([tmp_path / "harness"], tmp_path)
    assert (status, found) == (1, "the program ended before the harness\n")


@pytest.mark.parametrize(("write", "row"), [("", 0), ("if (calls++ == 0) *acc = 0;", 1)], ids=["never", "in-the-first-row"])
def test_c_harness_finds_an_output_that_is_not_written(tmp_path: Path, write: str, row: int) -> None:
    """Every row gives the accumulator 0: what a row leaves unwritten is taken neither for it nor for that of the row before."""
    require("gcc")
    constants = {"k": 0, "zp": 3, "bits": 8, "signed": 1}
    threes = np.full(3, 3)
    write_benches([step_case("blend-0", "zoneout_blend", constants, {"h_prev": threes, "h_new": threes})], tmp_path)
    unused = "".join(f"(void){name}; " for name in ("k", "zp", "bits", "is_signed", "h_prev", "acc", "calls"))
    body = f"static int calls;\n    {unused}\n    *h = h_new;\n    {write}"
    text = f'#include "dut.h"\n{c_prototype("zoneout_blend")}\n{{\n    {body}\n}}\n'
    (tmp_path / "dut.c").write_text(text, encoding="ascii")
    status, found = run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "harness.c", "dut.c", "-o", "harness"], tmp_path)
    assert status == 0, found
    status, found = run([tmp_path / "harness"], tmp_path)
    assert status == 1 and found.startswith(f"row {row}: acc is -1, expected 0; h_prev 3 h_new 3;"), found


@pytest.mark.parametrize("second", ["a_b", "A.b"])
def test_two_cases_with_one_name_in_c_are_refused(tmp_path: Path, second: str) -> None:
    """A header, a package or a bench of the one would stand for the other: only the first would be tested."""
    cases = [step_case(id, "requantize", CONSTANTS, {"v": np.array([0, 1])}) for id in ("a-b", second)]
    said = f"case id is '{second}', expected another name in C and SystemVerilog than 'a-b' has"
    write_set(tmp_path / "set", cases, seed=0, version="0")
    for form in ("hex", "c"):
        with pytest.raises(ParameterError, match=said):
            export_set(open_set(tmp_path / "set"), tmp_path / form, form)
    export_set(open_set(tmp_path / "set"), tmp_path / "bin", "bin")
    with pytest.raises(ParameterError, match=said):
        write_benches(cases, tmp_path / "benches")


def test_an_id_that_starts_with_a_digit(tmp_path: Path) -> None:
    require("gcc", "iverilog", "vvp")
    write_benches([step_case("2x-1", "requantize", CONSTANTS, {"v": np.array([0, 1, -1])})], tmp_path)
    status, found = icarus(tmp_path, "tb_all", [*sorted(tmp_path.glob("tb_*.sv")), *rtl(*SOURCES)])
    assert (status, found) == (0, "PASS 2x-1 3 rows\n")
    compile((tmp_path / "test_2x_1.py").read_text(encoding="ascii"), "test_2x_1.py", "exec")
    status, found = run(["gcc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-c", "harness.c"], tmp_path)
    assert status == 0, found


@pytest.mark.parametrize(("top", "said"), [("tb_requantize_9", "before the bench; case"), ("tb_all", "before the 1 benches")])
def test_a_design_that_ends_the_simulation_has_not_passed(tmp_path: Path, top: str, said: str) -> None:
    require("iverilog", "vvp")
    bench, path = requantize(tmp_path)
    design = tmp_path / "dut.sv"
    design.write_text(rtl(SOURCES[0])[0].read_text(encoding="ascii"), encoding="ascii")
    change(design, "endmodule", "  initial #2 $finish;\nendmodule")
    sources = [path, *([tmp_path / "tb_all.sv"] if top == "tb_all" else []), design, *rtl(SOURCES[1])]
    status, text = icarus(tmp_path, top, sources)
    assert status == 1 and "PASS" not in text and f"the simulation ended {said}" in text, text


def cell(folder: Path) -> tuple[CellBench, Path]:
    """A drawn cell of datapath M and its bench."""
    (bench,) = write_benches(cell_cases("mshift", 1), folder)
    assert isinstance(bench, CellBench)
    return bench, folder / f"{bench.module}.sv"


def test_cell_bench_names_the_first_stage(tmp_path: Path) -> None:
    """A wrong word of z_pre is found at its time, row and unit, although h_new is right."""
    require("iverilog", "vvp")
    bench, source = cell(tmp_path)
    path = tmp_path / bench.case / "trace.z_pre.hex"
    lines = path.read_text(encoding="ascii").splitlines()
    hidden = bench.params.hidden_size
    lines[-1] = lines[-1][:-1] + ("0" if lines[-1][-1] != "0" else "1")
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    status, text = icarus(tmp_path, bench.module, [source, *rtl("qgru_mshift_cell")])
    where = f"t {bench.steps - 1} n {bench.batch - 1} unit {hidden - 1}: z_pre is "
    assert status == 1 and where in text and bench.case in text, text


def test_cell_bench_gives_up_on_a_cell_that_hangs(tmp_path: Path) -> None:
    require("iverilog", "vvp")
    bench, source = cell(tmp_path)
    scratch = tmp_path / "qgru_mshift_cell.sv"
    scratch.write_text(rtl("qgru_mshift_cell")[0].read_text(encoding="ascii"), encoding="ascii")
    change(scratch, "done <= 1'b1;", "done <= 1'b0;")
    status, text = icarus(tmp_path, bench.module, [source, scratch])
    assert status == 1 and "no done after" in text, text


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"^step is 'nothing', expected one of saturate"):
        StepBench("a", "nothing", {}, 1)
    with pytest.raises(ParameterError, match=r"^a constants is \[\], expected"):
        StepBench("a", "requantize", {}, 1)
    with pytest.raises(ParameterError, match=r"^a table is 'cubic', expected one of direct"):
        StepBench("a", "ties_up", {}, 1, table="cubic")
