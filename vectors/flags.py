"""Flags: what a row, an element or a run is good for, found from its numbers and never typed in.  See vectors/notes.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from golden.rounding import shift_round
from golden.spec.formats import IntFormat
from vectors import flags_integer, flags_real
from vectors.case import Case
from vectors.marks import Marks, add, shift_marks
from vectors.stages import Stage, stages
from vectors.step_case import StepCase
from vectors.steps import STEPS
from vectors.words import bounds

_OF_STEP: dict[str, Callable[[Stage], Marks]] = {**flags_integer.OF_STEP, **flags_real.OF_STEP}
_SHIFT_COLUMNS = ("s", "e_bx", "e_br", "mask")


def row_flags(case: StepCase) -> Marks:
    """flag -> bool [rows], only flags that some row has."""
    (stage,) = stages(case)
    return {name: mask for name, mask in sorted(_stage_flags(stage).items()) if mask.any()}


def case_flags(case: Any) -> dict[str, int]:
    """flag -> how many rows of a step case, or elements of all stages of a sequence, have it."""
    counts: dict[str, int] = {}
    for stage in stages(case):
        for name, mask in _stage_flags(stage).items():
            _count(counts, name, int(np.count_nonzero(mask)))
    if isinstance(case, Case):
        _of_run(case, counts)
    return dict(sorted(counts.items()))


def _count(counts: dict[str, int], name: str, number: int) -> None:
    if number:
        counts[name] = counts.get(name, 0) + number


def _stage_flags(stage: Stage) -> Marks:
    marks: Marks = {}
    step, c = STEPS[stage.step], stage.constants
    rows = len(stage.columns[step.inputs[0].name])
    for column in step.inputs:
        bits = column.width(c)
        if column.kind == "int" and column.name not in _SHIFT_COLUMNS and bits > 1:
            low, high = bounds(f"{'int' if column.is_signed(c) else 'uint'}{bits}")
            values = stage.columns[column.name]
            for flag, bound in (("int_min", low), ("int_max", high)):
                hit = values == bound
                add(marks, flag if column.is_signed(c) or bound else "zero_code", hit.any(axis=-1) if column.vector else hit)
    for name in c:
        if name == "zp" or name.startswith("zp_"):
            _zero_point(marks, c, name, rows)
    for name, mask in _OF_STEP.get(stage.step, lambda _: {})(stage).items():
        add(marks, name, mask)
    return marks


def _zero_point(marks: Marks, c: Mapping[str, int], name: str, rows: int) -> None:
    region = zero_point_region(c, name)
    flag = {"below": "zero_point_outside", "above": "zero_point_outside", "low": "zero_point_edge", "high": "zero_point_edge"}
    if region in flag:
        add(marks, flag[region], np.ones(rows, bool))
    if c[name] != 0:
        add(marks, "zero_point", np.ones(rows, bool))


def zero_point_region(c: Mapping[str, int], name: str) -> str:
    """Where a zero point lies: "below", "low", "inside", "high" or "above" its format; int8 where no format is given."""
    suffix = name.removeprefix("zp")
    fmt = IntFormat(c[f"bits{suffix}"], bool(c[f"signed{suffix}"])) if f"bits{suffix}" in c else IntFormat(8, True)
    zp = c[name]
    if zp < fmt.qmin or zp > fmt.qmax:
        return "below" if zp < fmt.qmin else "above"
    return {fmt.qmin: "low", fmt.qmax: "high"}.get(zp, "inside")


def _of_run(case: Case, counts: dict[str, int]) -> None:
    """Flags of a whole run: its options, its products, and in datapath P their scaling."""
    one = {
        "reverse": case.reverse,
        "empty_sequence": len(case.x) == 0,
        "missing_h0": case.h0 is None,
        "continued_state": getattr(case.h0, "steps", 0) > 0,
        "training": case.training,
        "moving_ranges": case.params.datapath == "mshift-dynamic" and len(case.x) > 1,
        "reciprocal": case.params.reciprocal,
    }
    for name, holds in one.items():
        _count(counts, name, int(holds))
    if case.params.datapath == "mshift-dynamic" and len(case.x):
        scales = case.trace["s_x"]
        degenerate = np.asarray(case.trace["x_max"], np.float64) - np.minimum(case.trace["x_min"], 0) < 2.0**-8
        _count(counts, "degenerate_range", int(np.count_nonzero(degenerate & (scales > 0))))
    marks: Marks = {}
    if case.params.datapath == "pot" and case.x.size:
        _scaled_products(case, marks)
    for name, mask in marks.items():
        _count(counts, name, int(np.count_nonzero(mask)))


def _scaled_products(case: Case, marks: Marks) -> None:
    p: Any = case.params
    for acc, weight, data, out in (("Wx_acc", "W", "input.x", "matmul.Wx"), ("Rh_acc", "R", "input.h", "matmul.Rh")):
        op = p.operators[out]
        shifts = np.asarray(p.operators[f"weight.{weight}"].exponent, np.int64) + p.operators[data].exponent - op.exponent
        v = np.asarray(case.trace[acc], np.int64)
        every = np.broadcast_to(shifts, v.shape)
        for name, mask in shift_marks(v, every).items():
            add(marks, name, mask)
        raw = shift_round(v, every, p.rounding) + op.zero_point
        add(marks, "saturates_low", raw < op.fmt.qmin)
        add(marks, "saturates_high", raw > op.fmt.qmax)
        add(marks, "wide_accumulator", np.abs(v) >= 2**31)
