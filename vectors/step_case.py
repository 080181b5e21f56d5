"""A case of one step: constants, perhaps a table, and columns of operands and results, one row a problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from golden.spec.arrays import checked_int
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.profile import SPEC_VERSION
from golden.spec.tables import ACTIVATIONS, Activation
from vectors.steps import STEPS, Column, Step
from vectors.words import bounds, storage

TABLE_NUMBERS = ("zero_point_in", "zero_point_out", "exponent_in", "exponent_out", "one", "scale_in")
MAX_ROWS = 1 << 24


@dataclass(frozen=True, eq=False)
class StepCase:
    """Rows of one step and what must come out.  Checked when built; raises ParameterError naming the first field.

    id         permanent and unique in its set
    step       name in vectors.steps.STEPS
    constants  name -> int, by the names of the step
    inputs     name -> int64 [rows], or [rows, K] for a vector column
    outputs    likewise
    table      for a step that reads one
    group, comment, level, flags  as in vectors.case.Case; flags that are None are computed
    """

    id: str
    step: str
    constants: Mapping[str, int]
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    table: Activation | None = None
    group: str = ""
    comment: str = ""
    level: int = 1
    flags: Any = None

    kind: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        definition = STEPS.get(self.step)
        if definition is None:
            raise ParameterError("step", repr(self.step), "a step of vectors.steps")
        names = [c.name for c in definition.constants]
        if list(self.constants) != names and sorted(self.constants) != sorted(names):
            raise ParameterError("constants", f"{sorted(self.constants)}", f"{names}")
        constants = {}
        for c in definition.constants:
            low, high = bounds(column_format(c, self.constants))
            constants[c.name] = checked_int(f"constants.{c.name}", self.constants[c.name], low, high)
        object.__setattr__(self, "constants", constants)
        rows: list[int] = []
        lanes: list[int] = []
        for kind, columns in (("inputs", definition.inputs), ("outputs", definition.outputs)):
            given = getattr(self, kind)
            if sorted(given) != sorted(c.name for c in columns):
                raise ParameterError(kind, f"{sorted(given)}", f"{[c.name for c in columns]}")
            checked = {c.name: _column(f"{kind[:-1]}.{c.name}", given[c.name], c, constants, rows, lanes) for c in columns}
            object.__setattr__(self, kind, checked)
        check_table(definition, self.table, constants)
        object.__setattr__(self, "group", self.group or self.step)
        if self.flags is None:
            from vectors.flags import case_flags

            object.__setattr__(self, "flags", case_flags(self))

    @property
    def definition(self) -> Step:
        """The step, its columns and its clause."""
        return STEPS[self.step]

    @property
    def rows(self) -> int:
        """How many problems there are."""
        return len(next(iter(self.inputs.values())))


def column_format(column: Column, constants: Mapping[str, int]) -> str:
    """The number format of a column: "binary32", or "int" or "uint" and its width."""
    if column.kind == "float32":
        return "binary32"
    return f"{'int' if column.is_signed(constants) else 'uint'}{column.width(constants)}"


def _column(
    name: str, values: Any, column: Column, constants: Mapping[str, int], rows: list[int], lanes: list[int]
) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.ndim != 1 + column.vector:
        raise ParameterError(name, f"{array.dtype} of shape {list(array.shape)}", f"integers of {1 + column.vector} axes")
    if array.shape[0] != rows[0] if rows else not 1 <= array.shape[0] <= MAX_ROWS:
        raise ParameterError(name, f"{array.shape[0]} rows", f"{rows[0] if rows else f'1 to {MAX_ROWS}'} rows")
    rows.append(array.shape[0])
    if column.vector:
        if array.shape[1] != lanes[0] if lanes else array.shape[1] < 1:
            raise ParameterError(name, f"{array.shape[1]} lanes", f"{lanes[0] if lanes else 'at least 1'}")
        lanes.append(array.shape[1])
    fmt = column_format(column, constants)
    low, high = bounds(fmt)
    if int(array.min()) < low or int(array.max()) > high:
        bad = int(array.min()) if int(array.min()) < low else int(array.max())
        raise ParameterError(name, bad, f"a value of {fmt} in [{low}, {high}]")
    return array.astype(np.int64)


def check_table(step: Step, table: Activation | None, constants: Mapping[str, int]) -> None:
    """Raise ParameterError unless this is a table that the step reads with these constants."""
    kind = getattr(table, "kind", None)
    if (step.table is None) != (table is None) or (step.table not in (None, "any", kind)):
        raise ParameterError("table", f"{kind or 'missing'}", f"{step.table or 'no'} table")
    if table is None:
        return
    for suffix, fmt in (("_in", table.fmt_in), ("_out", table.fmt_out), ("_pre", table.fmt_in)):
        if f"bits{suffix}" in constants and IntFormat(constants[f"bits{suffix}"], bool(constants[f"signed{suffix}"])) != fmt:
            raise ParameterError(f"table fmt{suffix}", str(fmt), "the format of the constants")
    for name in ("zp_in", "zp_pre"):
        if constants.get(name, table.zero_point_in) != table.zero_point_in:
            raise ParameterError("table zero_point_in", table.zero_point_in, f"{name} = {constants[name]}")
    if step.name == "direct_wide" and table.fmt_in.bits != 16 or step.name == "direct" and table.fmt_in.bits > 8:
        raise ParameterError("table fmt_in", str(table.fmt_in), "the input format of the step")


def pack_table(table: Activation) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(description, arrays by name) of a table; what is known of its quality stays behind."""
    description: dict[str, Any] = {"kind": table.kind}
    arrays = {}
    for f in fields(table):
        value = getattr(table, f.name)
        if isinstance(value, np.ndarray):
            arrays[f.name] = value
        elif f.name != "meta" and value is not None:
            description[f.name] = str(value) if isinstance(value, IntFormat) else value
    return description, arrays


def unpack_table(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Activation:
    """The table of a description and its arrays.

    Raises ParameterError naming the first field that is missing, unknown or of the wrong kind
    """
    cls = ACTIVATIONS[description["kind"]]
    known = {f.name: "ndarray" in str(f.type) for f in fields(cls) if f.name != "meta"}
    for name in (*(k for k in description if k != "kind"), *arrays):
        if name not in known or known[name] != (name in arrays):
            raise ParameterError(f"table {name}", "an unknown field", f"a field of {cls.__name__}")
    missing = [name for name, is_array in known.items() if is_array and name not in arrays]
    if missing or "function" not in description or not {"fmt_in", "fmt_out"} <= set(description):
        raise ParameterError("table", f"without {missing or 'function or formats'}", f"every field of {cls.__name__}")
    values = {k: IntFormat.parse(v) if k.startswith("fmt_") else v for k, v in description.items() if k != "kind"}
    return cls(**values, **arrays)


def step_entry(case: StepCase) -> dict[str, Any]:
    """What the manifest says of a step case beside what every case has."""
    profile = {"spec": SPEC_VERSION, "step": case.step, "clause": case.definition.clause}
    entry = {"step": case.step, "profile": profile, "constants": dict(case.constants), "rows": case.rows}
    if case.table is not None:
        entry["table"] = pack_table(case.table)[0]
    return entry


def step_arrays(case: StepCase) -> dict[str, tuple[np.ndarray, str, str, str]]:
    """name -> (array, role, format, clause) of every array of a step case, in order."""
    step, out = case.definition, {}
    if case.table is not None:
        clause = {"piecewise_linear": "A-3", "piecewise_quadratic": "A-4"}.get(case.table.kind)
        clause = clause or ("A-2" if case.table.fmt_in.bits == 16 else "A-1")
        for name, array in pack_table(case.table)[1].items():
            fmt = str(case.table.fmt_out) if name == "entries" else "int32"
            out[f"table.{name}"] = (array, "parameter", fmt, clause)
    for kind, columns, role in (("input", step.inputs, "input"), ("output", step.outputs, "trace")):
        values = getattr(case, f"{kind}s")
        for column in columns:
            fmt = column_format(column, case.constants)
            array = values[column.name].astype(storage(fmt))
            out[f"{kind}.{column.name}"] = (array, role, fmt, step.clause)
    return out


def unpack_step(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> StepCase:
    """The step case of a manifest's entry and the arrays of its files.

    Raises a QgruError with the first field that is missing, unknown or wrong
    """
    groups: dict[str, dict[str, np.ndarray]] = {"table": {}, "input": {}, "output": {}}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind not in groups or not rest:
            raise ParameterError("array name", repr(name), "table.*, input.* or output.*")
        groups[kind][rest] = array
    table = unpack_table(entry["table"], groups["table"]) if "table" in entry else None
    if table is None and groups["table"]:
        raise ParameterError("table", "given", "no table")
    texts = {key: entry[key] for key in ("group", "comment", "level")}
    case = StepCase(
        entry["id"],
        entry["step"],
        entry["constants"],
        groups["input"],
        groups["output"],
        table,
        **texts,
        flags=dict(entry["flags"]),
    )
    if entry["rows"] != case.rows:
        raise ParameterError("rows", entry["rows"], str(case.rows))
    return case
