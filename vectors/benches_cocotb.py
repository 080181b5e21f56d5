"""A cocotb 2 bench made with the set: one test for each step case, driving the module `dut_<step>`.

The bench reads the same .hex files as the SystemVerilog bench, with the same checks of digits and number of words.
"""

from __future__ import annotations

from vectors.benches import TABLE_ARRAYS, StepBench, template
from vectors.formats.symbols import identifier


def cocotb_bench(bench: StepBench, folder: str = "") -> str:
    """The text of a Python module with one cocotb test, for a simulation whose top is dut_<step>.

    folder  prefix of the file names, with its "/" (default: the working directory of the simulator)
    """

    def column(c: object) -> tuple[str, str, int, bool, int]:
        name: str = c.name  # type: ignore[attr-defined]
        return name, folder + bench.file(name), bench.width(c), c.is_signed(bench.constants), bench.words(c)  # type: ignore

    return template("cocotb_step.py.in").substitute(
        case=bench.case,
        step=bench.step,
        clause=bench.definition.clause,
        test=identifier(bench.case),
        rows=bench.rows,
        inputs=_listed([column(c) for c in bench.definition.inputs]),
        outputs=_listed([column(c) for c in bench.definition.outputs]),
        note=bench.note,
    )


def cocotb_parameters(bench: StepBench, folder: str = "") -> dict[str, object]:
    """The parameters of dut_<step> for cocotb_tools.runner: constants in upper case, and the files of the table, quoted."""
    values: dict[str, object] = {c.name.upper(): int(bench.constants[c.name]) for c in bench.definition.constants}
    for name in TABLE_ARRAYS.get(bench.table or "", ()):
        values[f"{name.upper()}_FILE"] = f'"{folder}{bench.file(name)}"'
    if bench.table not in (None, "direct"):
        values["SEGMENTS"] = bench.segments
    if any(c.vector for c in bench.definition.inputs):
        values["LANES"] = bench.lanes
    return values


def _listed(items: list[tuple[str, str, int, bool, int]]) -> str:
    return "".join(f"    {item!r},\n" for item in items)
