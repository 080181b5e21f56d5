"""Parameter sets as a plain description and named arrays, and back.  [SPEC F-3]

The description is JSON: names, integers, floats (binary32 values, written so that they read back exactly). Reading it
back goes through the same checks as building a set by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import PARAMETER_SETS, MShift, Operator, Params
from golden.spec.rounding import Rounding
from golden.spec.tables import ACTIVATIONS


def to_plain(params: Params) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(description, arrays) of a parameter set; array names are "W" or, nested, "act_z.slopes"."""
    arrays: dict[str, np.ndarray] = {}
    description = {"datapath": params.datapath, **_pack(params, "", arrays)}
    return description, arrays


def _pack(item: Any, prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for f in fields(item):
        value, name = getattr(item, f.name), prefix + f.name
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, MShift):
            out[f.name] = {"multiplier": value.multiplier, "shift": value.shift}
        elif type(value) in ACTIVATIONS.values():
            out[f.name] = {"kind": value.kind, **_pack(value, name + ".", arrays)}
        elif isinstance(value, IntFormat):
            out[f.name] = str(value)
        elif isinstance(value, Rounding):
            out[f.name] = value.value
        elif f.name == "operators":
            out[f.name] = {key: _pack(op, f"{key}.", arrays) for key, op in value.items()}
        else:
            out[f.name] = value
    return out


def from_plain(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Params:
    """The parameter set of a description and its arrays.

    Raises ParameterError naming the first field that is missing, unknown or of the wrong kind.
    """
    if not isinstance(description, Mapping) or description.get("datapath") not in list(PARAMETER_SETS):
        found = description.get("datapath") if isinstance(description, Mapping) else type(description).__name__
        raise ParameterError("datapath", repr(found), f"one of {', '.join(PARAMETER_SETS)}")
    used: set[str] = set()
    rest = {k: v for k, v in description.items() if k != "datapath"}
    params = _unpack(PARAMETER_SETS[description["datapath"]], rest, "", arrays, used)
    unknown = sorted(set(arrays) - used)
    if unknown:
        raise ParameterError("arrays", f"{unknown[0]!r} among others", "only arrays of the parameter set")
    return params


def _unpack(cls: type, item: Any, prefix: str, arrays: Mapping[str, np.ndarray], used: set[str]) -> Any:
    if not isinstance(item, Mapping):
        raise ParameterError(prefix.rstrip(".") or "parameters", type(item).__name__, "an object")
    known = {f.name: f for f in fields(cls)}
    for name in item:
        if name not in known:
            raise ParameterError(f"{prefix}{name}", "an unknown field", f"a field of {cls.__name__}")
    values: dict[str, Any] = {}
    for name in known:
        full, is_array = prefix + name, "ndarray" in str(known[name].type)
        if is_array and full in arrays:
            if name in item:
                raise ParameterError(full, "given twice", "an array or a value")
            values[name] = arrays[full]
            used.add(full)
        elif is_array and isinstance(item.get(name), (list, Mapping)):
            raise ParameterError(full, f"a {type(item[name]).__name__} in the description", "an array")
        elif name in item:
            values[name] = _value(name, full, item[name], arrays, used)
        else:
            raise ParameterError(full, "missing", f"a value for {cls.__name__}")
    return cls(**values)


def _value(name: str, full: str, value: Any, arrays: Mapping[str, np.ndarray], used: set[str]) -> Any:
    if name.startswith("m_"):
        return _unpack(MShift, value, full + ".", {}, used)
    if name == "operators":
        if not isinstance(value, Mapping):
            raise ParameterError(full, type(value).__name__, "an object")
        return {key: _unpack(Operator, op, f"{key}.", arrays, used) for key, op in value.items()}
    if name.startswith(("table_", "act_")):
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if kind not in list(ACTIVATIONS):
            raise ParameterError(f"{full} kind", repr(kind), f"one of {', '.join(ACTIVATIONS)}")
        return _unpack(ACTIVATIONS[kind], {k: v for k, v in value.items() if k != "kind"}, full + ".", arrays, used)
    if name in ("fmt", "fmt_in", "fmt_out"):
        return IntFormat.parse(value) if isinstance(value, str) else value
    if name == "rounding":
        if value not in [r.value for r in Rounding]:
            raise ParameterError(full, repr(value), "ties_away or ties_even")
        return Rounding(value)
    if name == "meta" and not isinstance(value, Mapping):
        raise ParameterError(full, type(value).__name__, "an object")
    return value
