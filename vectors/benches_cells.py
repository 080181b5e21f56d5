"""A self-checking SystemVerilog bench for one whole cell, made from a sequence case.

Every step of every row of the batch is one run of the cell: x[t] and h[t] are driven as packed buses, every intermediate
that the cell shows (`stage_*`) is compared for every unit, and h_new at the end. The parameters of the case are
localparams of the bench, and the cell itself is put in by `dut_<datapath>_cell.svh`, which the bench includes: one
instance that connects the names of the bench to those of the design.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from golden.spec.errors import ParameterError
from golden.spec.layout import GATES, MULTIPLIERS, SCALAR_OPERATORS, TraceField, trace_fields
from golden.spec.rounding import Rounding
from golden.spec.tables import PiecewiseLinear
from vectors.benches import TABLE_ARRAYS, template
from vectors.case import Case
from vectors.describe import field_format
from vectors.formats.symbols import identifier
from vectors.words import width

CLAUSES = {"mshift": "L-1, GM-1 ... GM-3", "pot": "L-1, GP-1 ... GP-8"}
MSHIFT_STAGES = (
    *("Wx", "Rh", "z_a", "r_a", "g_b", "g_c", "g_a", "z_pre", "r_pre", "g_pre", "z", "r", "g", "n", "S", "h_new"),
)
NOT_STAGES = ("x", "h", "v", "h_zoneout_acc")


@dataclass(frozen=True)
class CellBench:
    """What a bench needs to know of a sequence case; the numbers stay in the files.

    case    id of the case
    params  MShiftParams, or PotParams whose activations are piecewise linear
    steps, batch  T and N of the run, which goes forward, without zoneout and mask
    flags   names, shown when a value differs
    files   array ("params.W", "input.x", "trace.h") -> file name; "<array>.hex" when it is not in here
    """

    case: str
    params: Any
    steps: int
    batch: int
    flags: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.datapath not in CLAUSES:
            raise ParameterError(f"{self.case} datapath", repr(self.datapath), "mshift or pot")
        for k in GATES if self.datapath == "pot" else ():
            if not isinstance(getattr(self.params, f"act_{k}"), PiecewiseLinear):
                raise ParameterError(f"{self.case} act_{k}", getattr(self.params, f"act_{k}").kind, "piecewise_linear")

    @property
    def datapath(self) -> str:
        """ "mshift" or "pot"."""
        return self.params.datapath

    @property
    def module(self) -> str:
        """The name of the bench's module: the case's id as an identifier."""
        return identifier(f"tb_{self.case}")

    @property
    def note(self) -> str:
        """Id and flags, for messages."""
        return f"case {self.case} [{CLAUSES[self.datapath]}] flags: {', '.join(self.flags) or 'none'}"

    def file(self, name: str) -> str:
        """The file of an array."""
        return self.files.get(name, f"{name}.hex")

    @property
    def stages(self) -> tuple[TraceField, ...]:
        """The trace fields that the cell shows, in computation order."""
        fields = trace_fields(self.datapath, training=False, zoneout=False)
        if self.datapath == "mshift":
            return tuple(f for f in fields if f.name in MSHIFT_STAGES)
        return tuple(f for f in fields if f.name not in NOT_STAGES)


def cell_bench(bench: CellBench, folder: str = "") -> str:
    """The text of tb_<datapath>_cell.sv for a case; its module is bench.module.

    folder  prefix of the file names, with its "/" (default: the working directory of the simulator)
    """
    p = bench.params
    parameters = _mshift_parameters(bench, folder) if bench.datapath == "mshift" else _pot_parameters(bench, folder)
    formats = {"x": p.fmt_x, "h": p.fmt_h}
    arrays = [f for f in trace_fields(bench.datapath, training=False, zoneout=False) if f.name in ("x", "h")] + [*bench.stages]
    starts = ["0", *(f"BASE_{f.name} + {_size(f)}" for f in arrays[:-1])]
    return template("tb_cell.sv").substitute(
        reader=template("tb_reader.sv").substitute(case=bench.note),
        case=bench.case,
        datapath=bench.datapath,
        clauses=CLAUSES[bench.datapath],
        module=bench.module,
        note=bench.note,
        steps=bench.steps,
        batch=bench.batch,
        inputs=p.input_size,
        hidden=p.hidden_size,
        parameters="".join(f"  localparam {item};\n" for item in parameters),
        x_bits=formats["x"].bits,
        h_bits=formats["h"].bits,
        stages="".join(f"  logic signed [63:0] stage_{name};\n" for f in bench.stages for name, _ in _lanes(f)),
        bases="".join(f"  localparam integer BASE_{f.name} = {start};\n" for f, start in zip(arrays, starts, strict=True)),
        fields=len(arrays),
        total=f"{starts[-1]} + {_size(arrays[-1])}",
        loads="".join(_load(bench, index, f, folder) for index, f in enumerate(arrays)),
        checks="".join(_check(f) for f in bench.stages),
    )


def _size(f: TraceField) -> str:
    """The number of words of a field."""
    names = {"T": "T", "S": "(T+1)", "N": "N", "C": "C", "H": "H", "G": "3*H"}
    return "*".join(names[a] for a in f.axes) or "1"


def _lanes(f: TraceField) -> list[tuple[str, str]]:
    """(stage, index of unit stage_unit) of a field; a field of all gates is three stages."""
    if f.axes == "TNG":
        return [(f"{f.name}_{k}", f"((t*N+n)*3+{i})*H+u") for i, k in enumerate(GATES)]
    return [(f.name, {"TNH": "(t*N+n)*H+u", "TH": "t*H+u", "": "0"}[f.axes])]


def _load(bench: CellBench, index: int, f: TraceField, folder: str) -> str:
    bits, signed = width(field_format(bench.params, f.name))
    path = f"{folder}{bench.file('trace.' + f.name)}"
    name = f'name = "{f.name}"; path = "{path}"; width = {bits}; is_signed = {int(signed)};'
    return f"        {index}: begin {name} base = BASE_{f.name}; count = {_size(f)}; end\n"


def _check(f: TraceField) -> str:
    return "".join(f'          check("{name}", stage_{name}, want[BASE_{f.name}+{index}]);\n' for name, index in _lanes(f))


def _file(name: str, path: str) -> str:
    return f'{name} = "{path}"'


def _signed32(name: str, value: int) -> str:
    return f"logic signed [31:0] {name} = 32'sh{value & 0xFFFFFFFF:08x}"


def _mshift_parameters(bench: CellBench, folder: str) -> list[str]:
    p = bench.params
    items = [f"integer PRE_BITS = {p.gate_bits}"]
    items += [_signed32(name.upper(), getattr(p, name)) for name in ("zp_x", "zp_h", "zp_z", "zp_r", "zp_g")]
    for name in MULTIPLIERS:
        m = getattr(p, name)
        items.append(f"logic [30:0] {name.upper()} = 31'd{m.multiplier}")
        items.append(f"logic [4:0] S{name[1:].upper()} = 5'd{m.shift}")
    for name in ("W", "R", "bx", "br"):
        items.append(_file(f"{name.upper()}_FILE", folder + bench.file(f"params.{name}")))
    for k in GATES:
        items.append(_file(f"TABLE_{k.upper()}_FILE", folder + bench.file(f"params.table_{k}.entries")))
    return items


def operator_prefix(name: str) -> str:
    """The prefix of an operator's parameters: "gate.z_pre" is Z_PRE."""
    return name.split(".")[1].upper()


def _pot_parameters(bench: CellBench, folder: str) -> list[str]:
    p = bench.params
    items = [f"bit TIES_EVEN = {int(p.rounding is Rounding.TIES_EVEN)}"]
    for name in SCALAR_OPERATORS:
        op, prefix = p.operators[name], operator_prefix(name)
        items.append(f"integer {prefix}_BITS = {op.fmt.bits}")
        items.append(f"bit {prefix}_SIGNED = {int(op.fmt.signed)}")
        items.append(f"logic signed [7:0] {prefix}_E = 8'sh{op.exponent & 0xFF:02x}")
        items.append(_signed32(f"{prefix}_ZP", op.zero_point))
    for name in ("W", "R", "bx", "br"):
        items.append(f"integer {name.upper()}_BITS = {p.operators[f'weight.{name}'].fmt.bits}")
        items.append(_file(f"{name.upper()}_FILE", folder + bench.file(f"params.{name}")))
        items.append(_file(f"{name.upper()}_E_FILE", folder + bench.file(f"params.weight.{name}.exponent")))
    for k in GATES:
        items.append(f"integer {k.upper()}_SEGMENTS = {len(getattr(p, f'act_{k}').thresholds)}")
        for name in TABLE_ARRAYS["piecewise_linear"]:
            items.append(_file(f"{k.upper()}_{name.upper()}_FILE", folder + bench.file(f"params.act_{k}.{name}")))
    return items


def cell_bench_of(case: Case) -> CellBench:
    """What the bench of a sequence case needs to know.

    Raises ParameterError for a run that is no sequence of single cells: dynamic ranges, backwards, a mask, zoneout, no step
    """
    if case.x.shape[0] == 0:  # any design would pass
        raise ParameterError(f"{case.id} x", "without a step", "at least one step, which a bench can compare")
    for name, plain in (("reverse", False), ("mask", None), ("zoneout", 0.0)):
        found = getattr(case, name)
        if found is not plain and (plain is None or found != plain):
            raise ParameterError(f"{case.id} {name}", "given", "a forward run without zoneout, of which each step is one cell")
    return CellBench(case.id, case.params, case.x.shape[0], case.x.shape[1], tuple(case.flags))
