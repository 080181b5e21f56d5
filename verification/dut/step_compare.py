"""The outputs of a step against the expected ones: the first row that differs, its root column, what only follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vectors.step_case import StepCase, column_format
from vectors.steps import Column, to_bits
from vectors.words import width
from verification.compare import hexadecimal


@dataclass(frozen=True)
class StepDivergence:
    """One number of a step that differs.

    step, clause, column, row  where
    got, expected  as integers; binary32 numbers as their bit pattern
    difference     got - expected, exact
    bits           width of the column
    operands       the inputs of the row, and the expected outputs that come before the column
    constants      of the case
    """

    step: str
    clause: str
    column: str
    row: int
    got: int
    expected: int
    difference: int
    bits: int
    operands: dict[str, int | list[int]] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)

    @property
    def hex(self) -> tuple[str, str]:
        """(got, expected) in two's complement of the column's width."""
        return hexadecimal(self.got, self.bits), hexadecimal(self.expected, self.bits)


@dataclass(frozen=True)
class StepComparison:
    """Numbers compared and differing; roots are the differing numbers before which nothing in their row differs."""

    compared: int
    mismatches: int
    roots: int
    columns: dict[str, tuple[int, int]]
    first: StepDivergence | None = None

    @property
    def equal(self) -> bool:
        """Whether no number differs."""
        return self.mismatches == 0

    @property
    def consequences(self) -> int:
        """How many numbers differ after another one in their row."""
        return self.mismatches - self.roots


def compare_step(case: StepCase, got: Mapping[str, np.ndarray]) -> StepComparison:
    """Compare the columns that are given; each has the type and the shape that was asked for.

    got  name -> int32, int64 or float32 [rows]; a float32 column is compared by its bits
    """
    columns: dict[str, tuple[int, int]] = {}
    found: dict[str, np.ndarray] = {}
    wrong = np.zeros(case.rows, bool)
    roots, first = 0, None
    for column in case.definition.outputs:
        if column.name not in got:
            continue
        found[column.name] = values = integers(column, got[column.name])
        differs = values != case.outputs[column.name]
        columns[column.name] = int(differs.size), int(np.count_nonzero(differs))
        fresh = differs & ~wrong
        roots += int(np.count_nonzero(fresh))
        if fresh.any() and (first is None or int(np.argmax(fresh)) < first[1]):
            first = column, int(np.argmax(fresh))
        wrong |= differs
    mismatches = sum(count for _, count in columns.values())
    divergence = None if first is None else _divergence(case, *first, int(found[first[0].name][first[1]]))
    return StepComparison(sum(size for size, _ in columns.values()), mismatches, roots, columns, divergence)


def integers(column: Column, values: np.ndarray) -> np.ndarray:
    """A column as int64; binary32 numbers as their bit patterns."""
    return to_bits(values) if column.kind == "float32" else values.astype(np.int64)


def _divergence(case: StepCase, column: Column, row: int, got: int) -> StepDivergence:
    operands: dict[str, int | list[int]] = {name: array[row].tolist() for name, array in case.inputs.items()}
    for earlier in case.definition.outputs:
        if earlier.name == column.name:
            break
        operands[f"{earlier.name} (expected)"] = int(case.outputs[earlier.name][row])
    expected = int(case.outputs[column.name][row])
    bits = width(column_format(column, case.constants))[0]
    return StepDivergence(
        case.step, case.definition.clause, column.name, row, got, expected, got - expected, bits, operands, case.constants
    )


def step_report(comparison: StepComparison, *, names: tuple[str, str], replay: str) -> str:
    """The mismatch report of a step, in a few lines.

    names   of the device and of what it is compared with
    replay  a command that shows it again
    """
    d = comparison.first
    assert d is not None
    got, wanted = d.hex
    size = max(len(name) for name in names)
    lines = [
        f"MISMATCH {names[0]} against {names[1]}, step {d.step}",
        f"  column {d.column} [SPEC {d.clause}], row {d.row}",
        f"  {names[0]:<{size}}  {d.got} ({got})",
        f"  {names[1]:<{size}}  {d.expected} ({wanted}), difference {d.difference}",
        "  operands: " + ", ".join(f"{name} = {value}" for name, value in d.operands.items()),
    ]
    if d.constants:
        lines.append("  constants: " + ", ".join(f"{name} = {value}" for name, value in d.constants.items()))
    lines.append(
        f"  {comparison.mismatches} of {comparison.compared} numbers differ: {comparison.roots} first in their row, "
        f"{comparison.consequences} after another one in it"
    )
    return "\n".join([*lines, f"  replay: {replay}"])
