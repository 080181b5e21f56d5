"""The text files of the C harness: problems written and read, traces read.

`python -m tests.examples.c_text` writes examples/c/problems.txt and examples/c/expected.txt anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from golden.spec.formats import INT8, INT16, IntFormat
from golden.spec.layout import MULTIPLIERS, OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MShift, Operator
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic
from tests.examples.c_port import EWIDTH, OK, SOURCE, kind_of, trace_fields, zoneout_code
from tests.examples.c_problems import MSHIFT_SCALES, Problem, draw

GATES = ("gate_bits", "zp_x", "zp_h", "zp_z", "zp_r", "zp_g")
SEGMENTS = {
    1: ("thresholds", "slopes", "shifts", "intercepts"),
    2: ("thresholds", "origins", "c2", "p", "c1", "n", "c0"),
}
FUNCTIONS = {"z": "sigmoid", "r": "sigmoid", "g": "tanh"}


def item(name: str, values: Any) -> str:
    """One line: name, count, values."""
    flat = np.asarray(values, np.int64).reshape(-1).tolist()
    return " ".join([name, str(len(flat)), *map(str, flat)])


def problem_text(problem: Problem) -> str:
    """A problem as the harness reads it."""
    f = problem.fields
    steps, batch, inputs = problem.x.shape
    kind = 1 if problem.mask is not None else 2 if problem.p > 0 else 0
    sizes = [
        steps,
        batch,
        inputs,
        f["R"].shape[0],
        int(problem.reverse),
        kind,
        zoneout_code(problem.p),
        int(problem.h0 is not None),
    ]
    lines = [problem.datapath, item("sizes", sizes)]
    if problem.datapath == "mshift":
        lines.append(item("gates", [f[name] for name in GATES]))
        lines += [item(name, [f[name].multiplier, f[name].shift]) for name in MULTIPLIERS]
    else:
        lines.append(item("rounding", [int(f["rounding"] is Rounding.TIES_EVEN)]))
        for key in OPERATORS:
            op = f["operators"][key]
            if key in WEIGHT_OPERATORS:
                lines += [item(key, [op.fmt.qmin, op.fmt.qmax]), item("exponent", op.exponent)]
            else:
                lines.append(item(key, [op.fmt.qmin, op.fmt.qmax, op.exponent, op.zero_point]))
    lines += [item(name, f[name]) for name in ("W", "R", "bx", "br")]
    for k in "zrg":
        if problem.datapath == "mshift":
            lines.append(item(f"table_{k}", f[f"table_{k}"].entries))
        else:
            lines += _table_lines(f"act_{k}", f[f"act_{k}"])
    lines.append(item("x", problem.x))
    lines += [item("h0", problem.h0)] if problem.h0 is not None else []
    lines += [item("mask", problem.mask)] if problem.mask is not None else []
    return "\n".join(lines) + "\n"


def _table_lines(name: str, table: Any) -> list[str]:
    kind, segments = kind_of(table)
    bounds = [table.fmt_in.qmin, table.fmt_in.qmax, table.fmt_out.qmin, table.fmt_out.qmax]
    arrays = SEGMENTS.get(kind, ("entries",))
    return [item(name, [kind, segments, *bounds, table.zero_point_in]), *(item(a, getattr(table, a)) for a in arrays)]


def items(text: str) -> Iterator[tuple[str, np.ndarray]]:
    """Name and int64 values of each line; a line of one word has no values."""
    for line in text.splitlines():
        name, *rest = line.split(" ")
        values = np.array(list(map(int, rest[1:])), np.int64)
        assert not rest or len(values) == int(rest[0]), f"{name} has {len(values)} values, expected {rest[0]}"
        yield name, values


def traces(text: str) -> list[dict[str, np.ndarray] | None]:
    """The traces that the harness printed; None for a set that it refused because of a width."""
    found: list[dict[str, np.ndarray] | None] = []
    for name, values in items(text):
        if name == "status":
            assert values[0] in (OK, EWIDTH), f"status {values[0]}"
            found.append({} if values[0] == OK else None)
        else:
            last = found[-1]
            assert last is not None
            last[name] = values
    return found


def problems(text: str) -> list[Problem]:
    """The problems of a file, back from problem_text."""
    lines = list(items(text))
    found = []
    while lines:
        found.append(_problem(lines))
    return found


def _problem(lines: list[tuple[str, np.ndarray]]) -> Problem:
    def take(name: str) -> np.ndarray:
        found, values = lines.pop(0)
        assert found == name, f"{found} instead of {name}"
        return values

    datapath, _ = lines.pop(0)
    steps, batch, inputs, hidden, reverse, kind, k, has_h0 = take("sizes").tolist()
    fields: dict[str, Any] = {}
    ops: dict[str, Operator] = {}
    if datapath == "mshift":
        fields |= dict.fromkeys(MSHIFT_SCALES, 1.0) | dict(zip(GATES, take("gates").tolist(), strict=True))
        fields |= {name: MShift(*take(name).tolist()) for name in MULTIPLIERS}
    else:
        fields["rounding"] = (Rounding.TIES_AWAY, Rounding.TIES_EVEN)[int(take("rounding")[0])]
        for key in OPERATORS:
            low, high, *rest = take(key).tolist()
            exponent = take("exponent").astype(np.int32) if key in WEIGHT_OPERATORS else rest[0]
            ops[key] = Operator(_format(low, high), exponent, rest[1] if rest else 0)
        fields["operators"] = ops
    for name, shape in (("W", (inputs, 3 * hidden)), ("R", (hidden, 3 * hidden)), ("bx", (3 * hidden,)), ("br", (3 * hidden,))):
        fields[name] = take(name).reshape(shape).astype(np.int32)
    for gate in "zrg":
        if datapath == "mshift":
            fmt = INT8 if fields["gate_bits"] == 8 else INT16
            entries = take(f"table_{gate}")
            fields[f"table_{gate}"] = DirectTable(FUNCTIONS[gate], entries, fmt, INT8, fields[f"zp_{gate}"])
            continue
        out = ops[f"gate.{gate}_out"]
        form, _, low, high, _, _, zero_point = take(f"act_{gate}").tolist()
        common: dict[str, Any] = dict(
            fmt_in=_format(low, high), fmt_out=out.fmt, zero_point_in=zero_point, zero_point_out=out.zero_point
        )
        arrays: dict[str, Any] = {name: take(name) for name in SEGMENTS.get(form, ("entries",))}
        fields[f"act_{gate}"] = (DirectTable, PiecewiseLinear, PiecewiseQuadratic)[form](
            function=FUNCTIONS[gate], **arrays, **common
        )
    x = take("x").reshape(steps, batch, inputs)
    h0 = take("h0").reshape(batch, hidden) if has_h0 else None
    mask = take("mask").reshape(steps, batch, hidden) if kind == 1 else None
    p = 0.0 if kind != 2 else k / 2**15 if k else 2.0**-20
    return Problem(datapath, fields, x, h0, mask, p, bool(reverse))


def _format(low: int, high: int) -> IntFormat:
    return IntFormat((high - low).bit_length(), low < 0)


def expected_text(problem: Problem) -> str:
    """What the harness prints for a problem, from golden; h_zoneout_acc is 0 where no zoneout computes it."""
    trace = problem.golden()
    if trace is None:
        return item("status", [EWIDTH]) + "\n"
    fields = dict(trace.fields) | {"v": trace.v}
    fields.setdefault("h_zoneout_acc", np.zeros_like(fields["h_new"]))
    lines = [
        item("status", [OK]),
        *(item(f.name, fields[f.name]) for f in trace_fields(problem.datapath)),
        item("h", fields["h"]),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    stored = [draw(datapath, seed) for datapath in ("mshift", "pot") for seed in range(12)]
    (SOURCE / "problems.txt").write_text("".join(map(problem_text, stored)))
    (SOURCE / "expected.txt").write_text("".join(map(expected_text, stored)))
