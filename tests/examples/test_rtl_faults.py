"""Ten faults planted in each group of the RTL, one at a time in a scratch copy: the benches made with the set find them all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.examples.rtl_cases import cell_cases, direct_cases, piecewise_cases, requantize_cases
from tests.examples.rtl_tools import RTL, icarus, require
from vectors.benches_write import write_benches
from vectors.case import Case
from vectors.step_case import StepCase


class Fault(NamedTuple):
    """old becomes new, where it first stands, in a file."""

    file: str
    old: str
    new: str


FUNCTIONS = "qgru_functions.svh"
REQUANTIZE = "qgru_requantize.sv"
TABLES = "qgru_direct_table.sv"
PIECEWISE = "qgru_piecewise_linear.sv"
MSHIFT = "qgru_mshift_cell.sv"
POT = "qgru_pot_cell.sv"

FAULTS: dict[str, tuple[Fault, ...]] = {
    "requantize": (
        Fault(FUNCTIONS, "ties_up = kept + dropped;", "ties_up = kept;"),  # truncates
        Fault(FUNCTIONS, "(amount == 6'd0) ? 64'sd0 : ", ""),  # a shift of 0 rounds by the bit below
        Fault(FUNCTIONS, "kept = value >>> amount", "kept = value >> amount"),  # logical shift
        Fault(FUNCTIONS, "(value > high) ? high", "(value >= high) ? high - 64'sd1"),
        Fault(FUNCTIONS, "(value < low) ? low", "(value < low) ? -high"),  # symmetric saturation
        Fault(REQUANTIZE, "logic signed [63:0] product;", "logic signed [31:0] product;"),  # wraps in 32 bits
        Fault(REQUANTIZE, "multiplier = {1'b0, M}", "multiplier = {2'b0, M[29:0]}"),
        Fault(REQUANTIZE, "{1'b0, s}", "{2'b0, s[3:0]}"),
        Fault(REQUANTIZE, " + 64'(zp), QMIN, QMAX)", ", QMIN, QMAX) + 64'(zp)"),  # zero point after saturation
        Fault(REQUANTIZE, "SIGNED ? -(64'sd1 <<< (BITS - 1)) : 64'sd0", "-(64'sd1 <<< (BITS - 1))"),
    ),
    "direct": (
        Fault(TABLES, "index = {~q[7], q[6:0]}", "index = q"),  # the byte of q
        Fault(TABLES, "index = {~q[7], q[6:0]}", "index = {~q[7], q[6:0]} + 8'd1"),
        Fault(TABLES, "logic [OUT_BITS-1:0] entries[0:255]", "logic [7:0] entries[0:255]"),  # 16-bit entries are cut
        Fault(TABLES, "index = {~q[7], q[6:0]}", "index = ~{~q[7], q[6:0]}"),
        Fault(TABLES, "offset = {~q[15], q[14:0]}", "offset = q"),
        Fault(TABLES, "25'd32767", "25'd0"),  # the address is not rounded
        Fault(TABLES, "25'd32767", "25'd32639"),  # the least change that matters
        Fault(TABLES, "+ (n >> 16) + 25'd1", "+ 25'd1"),  # divides by 65536
        Fault(TABLES, "25'd255", "25'd256"),
        Fault(TABLES, "index = sum[23:16]", "index = offset[15:8]"),  # the high byte as address
    ),
    "piecewise_linear": (
        Fault(PIECEWISE, "limited_q < 64'(threshold)", "limited_q <= 64'(threshold)"),
        Fault(PIECEWISE, "segment = 5'(SEGMENTS - 1);", "segment = 5'd0;"),
        Fault(PIECEWISE, "i = SEGMENTS - 2; i >= 0", "i = SEGMENTS - 2; i > 0"),
        Fault(PIECEWISE, "saturate(64'(q), IN_MIN, IN_MAX)", "64'(q)"),  # the input is not saturated
        Fault(PIECEWISE, " - 64'(zp_in)", ""),
        Fault(PIECEWISE, "+ 64'(intercept), OUT_MIN", ", OUT_MIN"),
        Fault(PIECEWISE, "logic signed [63:0] product;", "logic signed [31:0] product;"),
        Fault(PIECEWISE, "shift_word[7:0]", "{1'b0, shift_word[6:0]}"),  # a left shift becomes a long right shift
        Fault(FUNCTIONS, "(doubled >> 1) + (doubled & 64'd1)", "(doubled >> 1)"),
        Fault(FUNCTIONS, "ties_away = (value < 64'sd0) ? -quotient", "ties_away = (value < 64'sd0) ? ~quotient"),
    ),
    "mshift_cell": (
        Fault(MSHIFT, "R[k*3*H+H+unit]", "R[k*3*H+2*H+unit]"),  # gate order
        Fault(MSHIFT, "34'(x_k) - 34'(ZP_X)", "34'(x_k)"),
        Fault(MSHIFT, "34'(h_k) - 34'(ZP_H)", "34'(h_k)"),
        Fault(MSHIFT, "align(rh_r, M_RH_R, S_RH_R)", "rh_r"),  # r is not aligned
        Fault(MSHIFT, "32'sd127 - 32'(z_code)", "32'sd128 - 32'(z_code)"),
        Fault(MSHIFT, "saturate(wx[2] + g_c", "saturate(wx[2] + g_b"),  # the reset gate is left out
        Fault(MSHIFT, "align(br_g, M_BR_G, S_BR_G)", "align(bx_g, M_BR_G, S_BR_G)"),
        Fault(MSHIFT, "34'(h_code) - 34'(ZP_H)", "34'(h_code)"),
        Fault(MSHIFT, "if (k == K - 1) state", "if (k == C - 1) state"),  # stops after C products
        Fault(MSHIFT, "to_pre(32'(r_a), M_R, S_R, ZP_R)", "to_pre(32'(r_a), M_Z, S_Z, ZP_R)"),
    ),
    "pot_cell": (
        Fault(POT, "rs = TIES_EVEN ? ties_even(value, amount)", "rs = TIES_EVEN ? ties_away(value, amount)"),
        Fault(POT, "e_w_r + X_E - WX_E", "e_w_z + X_E - WX_E"),  # the exponent of another channel
        Fault(POT, "H_BITS, H_SIGNED)) - 34'(H_ZP)", "H_BITS, H_SIGNED))"),
        Fault(POT, "rs(bx_z, e_bx_z - Z_PRE_E)", "rs(bx_z, WX_E - Z_PRE_E)"),
        Fault(POT, "rs(br_g, e_br_g - RH_ADD_BR_E)", "64'sd0"),
        Fault(POT, "r_centred = 34'(r - 64'(R_OUT_ZP))", "r_centred = 34'(r)"),
        Fault(POT, "rs(64'sd1, -Z_OUT_E) + 64'(Z_OUT_ZP)", "rs(64'sd1, -Z_OUT_E)"),
        Fault(POT, "sat(N_acc, NEW_CONTRIB_BITS, NEW_CONTRIB_SIGNED)", "N_acc"),  # not saturated
        Fault(POT, "rs(O - 64'(OLD_CONTRIB_ZP), OLD_CONTRIB_E - H_E)", "rs(O - 64'(OLD_CONTRIB_ZP), H_E - OLD_CONTRIB_E)"),
        Fault(POT, "g_P_aligned + g_bx_aligned", "g_P_aligned + bx_g"),
    ),
}


class Suite(NamedTuple):
    """The benches of a group: their sources and the modules to run."""

    folder: Path
    sources: tuple[Path, ...]


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Suite]:
    makers: dict[str, Callable[[], Sequence[StepCase | Case]]] = {
        "requantize": requantize_cases,
        "direct": direct_cases,
        "piecewise_linear": piecewise_cases,
        "mshift_cell": lambda: cell_cases("mshift", 6),
        "pot_cell": lambda: cell_cases("pot", 6),
    }
    made = {}
    for group in FAULTS:
        folder = tmp_path_factory.mktemp(group)
        write_benches(makers[group](), folder)
        made[group] = Suite(folder, (*sorted(folder.glob("tb_*.sv")),))
    return made


def test_ten_faults_a_group() -> None:
    assert {group: len(set(faults)) for group, faults in FAULTS.items()} == dict.fromkeys(FAULTS, 10)


@pytest.mark.parametrize("group", FAULTS)
def test_correct_rtl_passes(suites: dict[str, Suite], group: str) -> None:
    require("iverilog", "vvp")
    suite = suites[group]
    status, text = icarus(suite.folder, "tb_all", [*suite.sources, *sorted(RTL.glob("*.sv"))])
    assert status == 0 and text.count("PASS") == len(suite.sources) - 1, text


@pytest.mark.parametrize(("group", "number"), [(group, number) for group in FAULTS for number in range(len(FAULTS[group]))])
def test_fault_is_found(suites: dict[str, Suite], tmp_path: Path, group: str, number: int) -> None:
    require("iverilog", "vvp")
    fault, suite = FAULTS[group][number], suites[group]
    scratch = tmp_path / "rtl"
    shutil.copytree(RTL, scratch, ignore=shutil.ignore_patterns("build"))
    text = (scratch / fault.file).read_text(encoding="ascii")
    assert fault.old in text, f"{fault.file} has no longer {fault.old!r}"
    (scratch / fault.file).write_text(text.replace(fault.old, fault.new, 1), encoding="ascii")
    status, found = icarus(tmp_path, "tb_all", [*suite.sources, *sorted(scratch.glob("*.sv"))], include=scratch)
    assert status != 0 and "FATAL" in found and "expected" in found, f"{fault} was not found: {found}"


def changed_cell(scratch: Path, *edits: tuple[str, str]) -> None:
    """A copy of the RTL whose cell of datapath M is edited."""
    shutil.copytree(RTL, scratch, ignore=shutil.ignore_patterns("build"))
    text = (scratch / MSHIFT).read_text(encoding="ascii")
    for pattern, new in edits:
        text, count = re.subn(pattern, new, text)
        assert count, f"{MSHIFT} has no longer {pattern!r}"
    (scratch / MSHIFT).write_text(text, encoding="ascii")


def run_cells(suite: Suite, folder: Path) -> tuple[int, str]:
    """The benches of a suite on the RTL in a folder."""
    return icarus(folder, "tb_all", [*suite.sources, *sorted((folder / "rtl").glob("*.sv"))], folder / "rtl")


SLOW = "ACCUMULATE: if (clocks != 5'd19) clocks <= clocks + 5'd1; else begin\n          clocks <= 5'd0;"
WITH_THE_LAST = "state == FINISH && unit == H - 1"


@pytest.mark.parametrize(
    "edits",
    [
        [("state_t state;", "state_t state;\n  logic [4:0] clocks = 5'd0;"), ("ACCUMULATE: begin", SLOW)],
        [
            ("done <= 1'b.;", ""),
            ("assign stage_valid", f"assign done = {WITH_THE_LAST};\n  assign stage_valid"),
            ("output logic \\[8\\*H-1:0\\] h_new", "output logic [8*H-1:0] h_new_out"),
            ("  assign stage_unit", "  logic [8*H-1:0] h_new, lane;\n  assign lane = 255 << 8 * unit;\n"
             "  assign h_new_out = (h_new & ~lane) | ((h_next & 255) << 8 * unit);\n  assign stage_unit"),
        ],
    ],
    ids=["twenty-clocks-a-word", "done-with-the-last-unit"],
)  # fmt: skip
def test_another_right_cell_passes(suites: dict[str, Suite], tmp_path: Path, edits: list[tuple[str, str]]) -> None:
    require("iverilog", "vvp")
    changed_cell(tmp_path / "rtl", *edits)
    binding = tmp_path / "rtl" / "dut_mshift_cell.svh"
    if "h_new_out" in (tmp_path / "rtl" / MSHIFT).read_text(encoding="ascii"):
        binding.write_text(binding.read_text(encoding="ascii").replace(".h_new(", ".h_new_out("), encoding="ascii")
    status, text = run_cells(suites["mshift_cell"], tmp_path)
    assert status == 0 and text.count("PASS") == len(suites["mshift_cell"].sources) - 1, text


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([(r"done <= 1'b1", "done <= 1'b0")], "no done after"),
        ([("(stage_unit =) unit", r"\1 16'bx"), (r"(assign stage_(?!unit|valid)\w+ =) \S+;", r"\1 64'bx;")], "unit X"),
        ([(r"if \(start\) begin", "if (1'b1) begin")], "expected"),
    ],
    ids=["never-done", "unknown-unit", "never-waits-for-start"],
)
def test_a_cell_that_shows_nothing_is_found(
    suites: dict[str, Suite], tmp_path: Path, edits: list[tuple[str, str]], words: str
) -> None:
    require("iverilog", "vvp")
    changed_cell(tmp_path / "rtl", *edits)
    status, text = run_cells(suites["mshift_cell"], tmp_path)
    assert status != 0 and "FATAL" in text and words in text, text
