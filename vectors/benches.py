"""Benches made with the set: a self-checking SystemVerilog bench for one step case.

The bench reads the .hex files of the case word by word, checks the number of digits and the number of words ($readmemh
would cut and pad in silence), drives a module `dut_<step>` and compares with `!==`. It runs under Icarus Verilog and
under Verilator (--binary --timing).

The constants come from the package in the .svh of the case. The module has one parameter for each constant of the step, in
upper case; FILE parameters for a table's arrays; one port for each input and output column, by its name and with its exact
width. Vector columns are packed, lane 0 in the least significant bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template
from typing import Any

from golden.spec.errors import ParameterError
from vectors.formats.hexfile import KEYWORDS
from vectors.formats.symbols import identifier
from vectors.steps import STEPS, Column, Step

TABLE_ARRAYS: dict[str, tuple[str, ...]] = {
    "direct": ("entries",),
    "piecewise_linear": ("thresholds", "slopes", "shifts", "intercepts"),
    "piecewise_quadratic": ("thresholds", "origins", "c2", "p", "c1", "n", "c0"),
}
"""The arrays of each kind of table, as golden.spec.tables names them."""


@dataclass(frozen=True)
class StepBench:
    """What a bench needs to know of a step case; the numbers stay in the files.

    case       id of the case
    step       name in vectors.steps.STEPS
    constants  by the names of Step.constants
    rows       words of each scalar column
    lanes      K of the vector columns
    table      kind of the table, or None
    segments   words of the table's arrays
    flags      names, shown when a row differs
    files      array ("input.v", "output.q", "table.entries") -> file name; "<array>.hex" when it is not in here
    """

    case: str
    step: str
    constants: Mapping[str, int]
    rows: int
    lanes: int = 1
    table: str | None = None
    segments: int = 0
    flags: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ParameterError("step", repr(self.step), f"one of {', '.join(STEPS)}")
        wanted = [c.name for c in self.definition.constants]
        if sorted(self.constants) != sorted(wanted):
            raise ParameterError(f"{self.case} constants", f"{sorted(self.constants)}", f"{wanted}")
        if self.table is not None and self.table not in TABLE_ARRAYS:
            raise ParameterError(f"{self.case} table", repr(self.table), f"one of {', '.join(TABLE_ARRAYS)}")

    @property
    def definition(self) -> Step:
        """The step, its columns and its clause."""
        return STEPS[self.step]

    @property
    def module(self) -> str:
        """The name of the bench's module: the case's id as an identifier."""
        return identifier(f"tb_{self.case}")

    @property
    def note(self) -> str:
        """Id and flags, for messages."""
        return f"case {self.case} [{self.definition.clause}] flags: {', '.join(self.flags) or 'none'}"

    def file(self, name: str) -> str:
        """The file of a column or of a table's array, by its name without "input.", "output." or "table."."""
        kinds = {"input": self.definition.inputs, "output": self.definition.outputs}
        kind = next((k for k, columns in kinds.items() if name in [c.name for c in columns]), "table")
        return self.files.get(f"{kind}.{name}", f"{kind}.{name}.hex")

    @property
    def package(self) -> str:
        """The package of the case's .svh, which holds its constants."""
        return f"{identifier(self.case)}_pkg"

    def width(self, column: Column) -> int:
        """Bits of a word of the column."""
        return column.width(self.constants)

    def words(self, column: Column) -> int:
        """Words in a row of the column."""
        return self.lanes if column.vector else 1


def template(name: str) -> Template:
    """A file of vectors/templates; $$ stands for a dollar sign."""
    return Template(files("vectors").joinpath("templates", name).read_text(encoding="ascii"))


def step_bench_of(entry: Mapping[str, Any]) -> StepBench:
    """What the bench of a step case needs to know, from the manifest's entry of the case."""
    arrays = entry["arrays"]
    lanes = [a["shape"][1] for a in arrays.values() if len(a["shape"]) == 2]
    tables = [a["shape"][0] for name, a in arrays.items() if name.startswith("table.")]
    table = entry["table"]["kind"] if "table" in entry else None
    return StepBench(
        entry["id"],
        entry["step"],
        entry["constants"],
        entry["rows"],
        lanes[0] if lanes else 1,
        table,
        tables[0] if tables else 0,
        tuple(sorted(entry["flags"])),
    )


def constant_symbol(name: str) -> str:
    """The name of a constant in the package of the case."""
    return f"{name}_" if name in KEYWORDS else name


def step_bench(bench: StepBench, folder: str = "") -> str:
    """The text of tb_<step>.sv for a case; its module is bench.module.

    folder  prefix of the file names, with its "/" (default: the working directory of the simulator)
    """
    step = bench.definition
    columns = [*step.inputs, *step.outputs]
    parameters = [f".{c.name.upper()}({bench.package}::{constant_symbol(c.name)})" for c in step.constants]
    parameters += [f'.{name.upper()}_FILE("{folder}{bench.file(name)}")' for name in TABLE_ARRAYS.get(bench.table or "", ())]
    if bench.table not in (None, "direct"):
        parameters.append(f".SEGMENTS({bench.package}::table_SIZE)")
    if any(c.vector for c in columns):
        parameters.append(f".LANES({bench.package}::LANES)")
    ports = [f".{c.name}({c.name}_{'in' if c in step.inputs else 'got'})" for c in columns]
    return template("tb_step.sv").substitute(
        reader=template("tb_reader.sv").substitute(case=bench.note),
        case=bench.case,
        step=bench.step,
        clause=step.clause,
        module=bench.module,
        note=bench.note,
        svh=f"{folder}{bench.case}.svh",
        package=bench.package,
        dut=f"dut_{bench.step}",
        parameters=f"#(\n{_listed(parameters)}\n  )" if parameters else "",
        ports=_listed(ports),
        declarations="".join(_declaration(bench, c, c in step.inputs) for c in columns),
        opens="".join(f'    open("{folder}{bench.file(c.name)}"); file_{c.name} = file;\n' for c in columns),
        reads="".join(_read(bench, c, "in" if c in step.inputs else "expected") for c in columns),
        checks="".join(_check(bench, c) for c in step.outputs),
        ends="".join(f'    at_end("{c.name}", file_{c.name});\n' for c in columns),
    )


def suite_bench(modules: Sequence[str], name: str = "tb_all") -> str:
    """A module that holds several benches, so that one binary runs them all."""
    lines = "".join(f"  {module} #(.ALONE(0)) {module}_i ();\n" for module in modules)
    looks = "".join(
        f"    failed = failed | ({m}_i.failed === 1'b1);\n    ended = ended & ({m}_i.ended === 1'b1);\n" for m in modules
    )
    end = f'    if (!failed && !ended) $fatal(1, "the simulation ended before the {len(modules)} benches");\n'
    return (
        f"// Every bench below runs; the first difference ends the simulation.\nmodule {name};\n{lines}  logic failed;\n"
        f"  logic ended;\n  final begin\n    failed = 1'b0;\n    ended = 1'b1;\n{looks}{end}  end\nendmodule\n"
    )


def _listed(items: Sequence[str]) -> str:
    return ",\n".join(f"      {item}" for item in items)


def _type(bench: StepBench, column: Column) -> str:
    sign = "signed " if column.is_signed(bench.constants) and not column.vector else ""
    return f"logic {sign}[{bench.width(column) * bench.words(column) - 1}:0]"


def _declaration(bench: StepBench, column: Column, is_input: bool) -> str:
    kinds = ("in",) if is_input else ("got", "expected")
    text = "".join(f"  {_type(bench, column)} {column.name}_{kind};\n" for kind in kinds)
    return f"{text}  integer file_{column.name};\n"


def _read(bench: StepBench, column: Column, kind: str) -> str:
    width, words = bench.width(column), bench.words(column)
    read = f'next_word("{column.name}", file_{column.name}, {width}); {column.name}_{kind}'
    if not column.vector:
        return f"      {read} = word[{width - 1}:0];\n"
    return (
        f"      for (lane = 0; lane < {words}; lane = lane + 1) begin\n"
        f"        {read}[{width}*lane+:{width}] = word[{width - 1}:0];\n      end\n"
    )


def _check(bench: StepBench, column: Column) -> str:
    name, shown = column.name, [c for c in bench.definition.inputs if not c.vector]
    operands = "".join(f", {c.name} %0d" for c in shown)
    values = "".join(f", {c.name}_in" for c in shown)
    return (
        f"      if (!failed && {name}_got !== {name}_expected) begin\n"
        f"        failed = 1'b1;\n"
        f'        $fatal(1, "row %0d: {name} is %0d (%h), expected %0d (%h){operands}; {bench.note}",\n'
        f"               row, {name}_got, {name}_got, {name}_expected, {name}_expected{values});\n"
        f"      end\n"
    )
