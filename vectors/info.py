"""A set, or a case of it, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from vectors.chain_case import ChainCase
from vectors.error_case import ErrorCase
from vectors.kinds import pack_case
from vectors.reader import VectorSet
from vectors.step_case import StepCase
from vectors.words import width

SHOWN_ROWS = 12
SHOWN_NUMBERS = 16


def set_lines(opened: VectorSet) -> Iterator[str]:
    """What a set is: where it comes from, its groups, its flags."""
    m = opened.manifest
    scope = m["scope"]
    yield f"{opened.path}: {m['format']}, format version {m['format_version']}, clauses {m['spec_version']}"
    maker = f"{m['generator']['name']} {m['generator']['version']}"
    yield f"level {scope['level']}, datapath {scope['datapath']}, seed {m['seed']}, made by {maker}"
    size = sum(entry["bytes"] for entry in m["files"].values())
    yield f"{len(opened)} cases in {len(m['files'])} files, {size} bytes, sha256 {m['sha256']}"
    yield ""
    yield f"{'group':24}{'cases':>7}{'rows':>10}  flags"
    for group, ids in opened.groups().items():
        flags: Counter[str] = Counter()
        for id in ids:
            flags.update(opened.entry(id)["flags"])
        rows = sum(opened.entry(id).get("rows", 0) for id in ids)
        yield f"{group:24}{len(ids):>7}{rows or '':>10}  {', '.join(sorted(flags)) or '-'}"


def case_lines(opened: VectorSet, id: str) -> Iterator[str]:
    """What a case is: what it is for, its constants, its arrays, and the first rows of a step.

    Raises KeyError for an unknown id
    """
    entry, case = opened.entry(id), opened[id]
    yield f"{id}: {entry['kind']} of group {entry['group']}, level {entry['level']}, in {entry['file']}"
    if entry["comment"]:
        yield entry["comment"]
    for flag, count in sorted(entry["flags"].items()):
        yield f"  {flag} ({count}): {opened.manifest['flags'][flag]}"
    yield ""
    if isinstance(case, StepCase):
        yield from _step(case)
    elif isinstance(case, ChainCase):
        yield f"{case.chain}, {case.steps} steps, a digest every {case.every}"
        yield from (f"  {(n + 1) * case.every:>10}  {digest}" for n, digest in enumerate(case.digests[:SHOWN_ROWS]))
    elif isinstance(case, ErrorCase):
        yield f"expected: {case.error} that names {case.field}{'' if case.at is None else f' at {case.at}'}"
    else:
        options = ", ".join(f"{key} {value}" for key, value in entry["options"].items())
        yield f"{entry['datapath']}, {options}, profile {entry['profile_sha256']}"
    yield ""
    arrays = pack_case(case)[1]
    for name, claim in entry["arrays"].items():
        yield f"{name:28}{claim['format']:10}{str(claim['shape']):18}{claim['clause']:18}{_numbers(arrays[name])}"


def _numbers(array: np.ndarray) -> str:
    flat = array.reshape(-1)
    return " ".join(str(v) for v in flat[:SHOWN_NUMBERS].tolist()) + (" ..." if flat.size > SHOWN_NUMBERS else "")


def _step(case: StepCase) -> Iterator[str]:
    step: Any = case.definition
    yield f"{case.step} [SPEC {step.clause}], {case.rows} rows"
    yield "  " + ", ".join(f"{name} = {value}" for name, value in case.constants.items())
    if case.table is not None:
        yield f"  table: {case.table.kind} of {case.table.function}, {case.table.fmt_in} to {case.table.fmt_out}"
    columns = {c.name: (c, (case.inputs if c in step.inputs else case.outputs)[c.name]) for c in (*step.inputs, *step.outputs)}
    cells = {
        name: [_cell(case, c, values[row]) for row in range(min(case.rows, SHOWN_ROWS))]
        for name, (c, values) in columns.items()
    }
    sizes = {name: max(len(name), *(len(t) for t in texts)) for name, texts in cells.items()}
    yield "  " + "  ".join(f"{name:>{sizes[name]}}" for name in cells)
    for row in range(min(case.rows, SHOWN_ROWS)):
        yield "  " + "  ".join(f"{texts[row]:>{sizes[name]}}" for name, texts in cells.items())


def _cell(case: StepCase, column: Any, value: Any) -> str:
    if column.vector:
        return " ".join(str(v) for v in value[:4].tolist()) + (" ..." if len(value) > 4 else "")
    if column.kind == "float32":
        return f"{np.array(int(value), np.uint32).view(np.float32).item()!r} ({int(value):08x})"
    digits = (width(f"int{column.width(case.constants)}")[0] + 3) // 4
    return f"{int(value)} ({int(value) & ((1 << column.width(case.constants)) - 1):0{digits}x})"
