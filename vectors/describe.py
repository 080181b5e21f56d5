"""What each array of a case is: its role, number format and clause, from its name and the parameter set.  Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.layout import FIELDS, OPERATOR_FIELDS
from golden.spec.params import Params

ROLES = {"params": "parameter", "input": "input", "trace": "trace", "state": "state"}
STATE_FIELDS: dict[str, tuple[str, str]] = {  # name -> dtype, format
    "h": ("int32", "int8"),
    "s_h": ("float32", "binary32"),
    "zp_h": ("int32", "int8"),
    "h_min": ("float32", "binary32"),
    "h_max": ("float32", "binary32"),
    "steps": ("int64", "count"),
    "x_min": ("float32", "binary32"),
    "x_max": ("float32", "binary32"),
    "s_b": ("float32", "binary32"),
}
_TABLE_CLAUSES = {"piecewise_linear": "A-3", "piecewise_quadratic": "A-4"}
_MSHIFT_CODES = {name: "int8" for name in ("x", "z", "r", "g", "h_new", "h", "v", "zp_x", "zp_h", "h_q", "W", "R")}
_MSHIFT_SUMS = ("Wx", "Rh", "z_acc", "r_acc", "g_b_acc", "g_rb", "g_acc", "n_acc", "S", "h_zoneout_acc")


def describe(params: Params, arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """The manifest's entry of each array of a case: dtype, shape, role, format, clause.

    arrays  "params.*", "input.*", "trace.*", "state.*", as vectors.case.pack names them
    """
    entries = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        fmt, clause = _OF_KIND[kind](params, rest)
        entries[name] = {
            "dtype": array.dtype.name,
            "shape": [int(n) for n in array.shape],
            "role": ROLES[kind],
            "format": fmt,
            "clause": clause,
        }
    return entries


def field_format(params: Params, name: str) -> str:
    """The number format of a trace field: a code format such as "int8", "acc", "mixed" or "binary32"."""
    p: Any = params
    field = next(f for f in FIELDS[p.datapath] if f.name == name)
    if field.dtype == "float32":
        return "binary32"
    if p.datapath == "pot":
        if name == "v":
            return "mixed"
        if name == "h_new":
            return str(p.fmt_h)
        operator = next((op for op, seen in OPERATOR_FIELDS.items() if seen == name), None)
        return str(p.operators[operator].fmt) if operator else "acc"
    if name in _MSHIFT_CODES:
        return _MSHIFT_CODES[name]
    if name in ("z_pre", "r_pre", "g_pre"):
        return str(p.fmt_pre)
    return "acc" if name in _MSHIFT_SUMS else "int32"


def check_format(name: str, array: np.ndarray, fmt: str) -> None:
    """Raise ParameterError, with the index, unless every value of array is one of its format."""
    if array.size == 0 or fmt in ("acc", "mixed"):
        return
    if fmt == "binary32":
        bad, wanted = ~np.isfinite(array), "a finite number"
    else:
        if fmt == "bit":
            low, high = 0, 1
        elif fmt == "count":
            low, high = 0, 2**62
        else:
            parsed = IntFormat.parse(fmt)
            low, high = parsed.qmin, parsed.qmax
        if low <= array.min() and array.max() <= high:
            return
        bad, wanted = (array < low) | (array > high), f"a value of {fmt} in [{low}, {high}]"
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ParameterError(f"{name}{list(index)}", array[index].item(), wanted)


def parameter(params: Any, name: str) -> tuple[str, str]:
    """(format, clause) of an array of a parameter set, by its name in golden.spec.serial.to_plain."""
    owner, _, leaf = name.rpartition(".")
    if owner.startswith(("act_", "table_")):
        table = getattr(params, owner)
        if leaf == "entries":
            return str(table.fmt_out), "A-2" if table.fmt_in.bits == 16 else "A-1"
        return "int32", _TABLE_CLAUSES[table.kind]
    if leaf == "exponent":
        return "int32", "GP-1" if owner in ("weight.W", "weight.R") else "GP-2"
    if params.datapath == "mshift-dynamic":
        return "binary32", "D"
    if params.datapath == "pot":
        return str(params.operators[f"weight.{name}"].fmt), "L-1" if name in ("W", "R") else "GP-2"
    return ("int8", "L-1") if name in ("W", "R") else ("int32", "GM-1")


def _input(params: Any, name: str) -> tuple[str, str]:
    if name == "mask":
        return "bit", "Z-1"
    if name.startswith("state."):
        return _state(params, name.removeprefix("state."))
    if params.datapath == "mshift-dynamic":
        return "binary32", "D-1" if name == "x" else "D"
    return (str(params.fmt_x), "F-3") if name == "x" else (str(params.fmt_h), "S-1")


def _trace(params: Any, name: str) -> tuple[str, str]:
    clause = next(f.clause for f in FIELDS[params.datapath] if f.name == name)
    return field_format(params, name), clause


def _state(params: Any, name: str) -> tuple[str, str]:
    return STATE_FIELDS[name][1], "S-1"


_OF_KIND = {"params": parameter, "input": _input, "trace": _trace, "state": _state}
