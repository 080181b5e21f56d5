"""One JSON for each group, in the manner of Wycheproof: notes that explain the flags, groups of tests, a result for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vectors.canonical import dumps, loads
from vectors.errors import VectorError, shown
from vectors.flags import row_flags
from vectors.notes import note
from vectors.step_case import StepCase, unpack_step
from vectors.words import from_integers, to_integers, width

EXACT_BITS = 53  # what every JSON reader takes as an integer
ABOUT = [
    "Integers of more than 53 bits are decimal strings; binary32 numbers are the eight hexadecimal digits of their bits.",
    "A test of a step is one row: operands and results by the names of the step's columns. result: valid, or invalid when the",
    "parameter set must be refused. caseId and row are permanent; tcId numbers the tests of this file.",
]


def render(manifest: Mapping[str, Any], units: Sequence[tuple[Mapping[str, Any], dict[str, np.ndarray]]]) -> dict[str, bytes]:
    """<group>.json of the cases of one group."""
    group = units[0][0]["group"]
    groups: list[dict[str, Any]] = []
    number = 0
    for entry, arrays in units:
        tests = _rows(entry, arrays) if entry["kind"] == "step" else [_whole(entry, arrays)]
        for test in tests:
            number += 1
            test["tcId"] = number
        groups.append({**_about(entry, arrays), "tests": tests})
    names = sorted({flag for entry, _ in units for flag in entry["flags"]})
    value = {
        "algorithm": f"qgru {group}",
        "schema": "wycheproof.schema.json",
        "generatorVersion": manifest["generator"]["version"],
        "specVersion": manifest["spec_version"],
        "header": ABOUT,
        "numberOfTests": number,
        "notes": {name: note(name, manifest["flags"][name]) for name in names},
        "testGroups": groups,
    }
    return {f"{group}.json": dumps(value)}


def parse(entries: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> list[dict[str, np.ndarray]]:
    """The arrays of each case; VectorError for anything that is not this format."""
    file = entries[0]["file"]
    if file not in files:
        raise VectorError(file, "the file", "missing", "the JSON of the group")
    value = loads(files[file], file)
    groups = value.get("testGroups") if isinstance(value, dict) else None
    if not isinstance(groups, list) or len(groups) != len(entries):
        raise VectorError(file, "testGroups", shown(type(groups).__name__), f"a list of {len(entries)} groups")
    return [_arrays(entry, group, file) for entry, group in zip(entries, groups, strict=True)]


def _about(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    out = {
        "type": f"Qgru{entry['kind'].capitalize()}Test",
        "caseId": entry["id"],
        "comment": entry["comment"],
        "level": entry["level"],
    }
    for key in ("step", "constants", "table", "chain", "steps", "every", "digests", "datapath", "options", "params", "profile"):
        if key in entry:
            out[key] = entry[key]
    if "table" in entry:
        inner = {n.removeprefix("table."): _encoded(entry, n, a) for n, a in arrays.items() if n.startswith("table.")}
        out["table"] = {**entry["table"], "arrays": inner}
    out["formats"] = {
        name.partition(".")[2] if entry["kind"] == "step" else name: a["format"] for name, a in entry["arrays"].items()
    }
    return out


def _rows(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    case: StepCase = unpack_step(entry, arrays)
    marks = {name: mask.tolist() for name, mask in row_flags(case).items()}
    columns = {n.partition(".")[2]: _encoded(entry, n, a) for n, a in arrays.items() if not n.startswith("table.")}
    return [
        {
            "row": row,
            "comment": "",
            "flags": [name for name in sorted(marks) if marks[name][row]],
            "result": "valid",
            **{name: values[row] for name, values in columns.items()},
        }
        for row in range(case.rows)
    ]


def _whole(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    out: dict[str, Any] = {"comment": entry["comment"], "flags": sorted(entry["flags"]), "result": "valid"}
    if entry["kind"] == "error":
        out |= {"result": "invalid", "error": entry["error"]}
    out["arrays"] = {name: _encoded(entry, name, array) for name, array in arrays.items()}
    return out


def _encoded(entry: Mapping[str, Any], name: str, array: np.ndarray) -> Any:
    """An array as nested lists."""
    fmt = entry["arrays"][name]["format"]
    flat: list[Any] = to_integers(array).tolist()
    if fmt == "binary32":
        flat = [format(v, "08x") for v in flat]
    elif width(fmt)[0] > EXACT_BITS:
        flat = [str(v) for v in flat]
    for size in reversed(array.shape[1:]):
        flat = [flat[i : i + size] for i in range(0, len(flat), size)] if size else [[] for _ in range(array.shape[0])]
    return flat if array.ndim else flat[0]


def _arrays(entry: Mapping[str, Any], group: Any, file: str) -> dict[str, np.ndarray]:
    tests = group.get("tests") if isinstance(group, dict) else None
    if not isinstance(tests, list) or not tests or not all(isinstance(t, dict) for t in tests):
        raise VectorError(file, f"the tests of {entry['id']}", shown(type(tests).__name__), "a list of objects")
    out = {}
    for name, claim in entry["arrays"].items():
        rest = name.partition(".")[2]
        if entry["kind"] != "step":
            inner = tests[0].get("arrays")
            value = inner.get(name) if isinstance(inner, dict) else None
        elif name.startswith("table."):
            table = group.get("table")
            inner = table.get("arrays") if isinstance(table, dict) else None
            value = inner.get(rest) if isinstance(inner, dict) else None
        else:
            value = [t.get(rest) for t in tests]
        out[name] = _decoded(value, claim, f"{entry['id']} {name}", file)
    return out


def _decoded(value: Any, claim: Mapping[str, Any], field: str, file: str) -> np.ndarray:
    flat, shape = [value], tuple(claim["shape"])
    for _ in shape:
        if not all(isinstance(item, list) for item in flat):
            raise VectorError(file, field, shown(flat)[:80], f"nested lists of shape {list(shape)}")
        flat = [inner for item in flat for inner in item]
    count = 1
    for n in shape:
        count *= n
    if len(flat) != count:
        raise VectorError(file, field, f"{len(flat)} numbers", f"{count}, by the shape {list(shape)}")
    try:
        base = 16 if claim["format"] == "binary32" else 10
        numbers = [int(item, base) if isinstance(item, str) and len(item) <= 20 else item for item in flat]
        if not all(type(n) is int for n in numbers):
            raise ValueError("something that is no integer")
        return from_integers(np.array(numbers, np.int64), claim["dtype"], shape)
    except (ValueError, OverflowError) as error:
        raise VectorError(file, field, shown(str(error)), f"numbers of {claim['format']}") from None
