"""A pipe in the manner of TestFloat: operands as lines of text for any language, and the judgement of what comes back.

A line is one row of a step: its constants, the number of its table (when it reads one), its operands. The program under test
writes the same line with its results behind it. Fields are words in two's complement, lower-case hexadecimal, with exactly
the digits of their width, separated by one space; vector columns are K words. Lines that start with # are comments: the first
ones name the fields and give the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.tables import Activation
from vectors.draw import Draw
from vectors.errors import VectorError, shown
from vectors.generate import planned
from vectors.minimum import least
from vectors.plan.planned import Planned
from vectors.step_case import StepCase, check_table, column_format, pack_table
from vectors.steps import STEPS, Column, Columns, Step, run_step
from vectors.words import from_hex, to_hex, width

BATCH = 4096
LANES = 7  # of vector columns
LONGEST_LINE = 4096
Batch = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class Mismatch:
    """A row whose result is not golden's.

    line      number of the line, from 1
    column    name of the first column that differs
    got, expected  as in the line
    operands  constants and operands by name
    """

    line: int
    column: str
    got: str
    expected: str
    operands: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.column} is {self.got}, expected {self.expected} for {self.operands}"


@cache
def _plans(step: str) -> tuple[Planned, ...]:
    prefix = f"{step.replace('_', '-')}-"
    return tuple(p for p in planned(1) if p.id.startswith(prefix) and not _other(p.id, step))


def _other(id: str, step: str) -> bool:
    """Whether an id that starts like this step's belongs to a step with a longer name."""
    longer = [name.replace("_", "-") for name in STEPS if name != step and name.startswith(f"{step}_")]
    return any(id.startswith(f"{name}-") for name in longer)


@cache
def _tables(step: str) -> tuple[Activation, ...]:
    """The tables of a step, by number: those of its level 1 cases."""
    if STEPS[step].table is None:
        return ()
    return tuple(case.table for case in _blocks(step, 0, 1) if case.table is not None)


def _blocks(step: str, seed: int, rounds: int | None = None) -> Iterator[StepCase]:
    """The level 1 cases of a step, drawn anew in every round."""
    number = 0
    while rounds is None or number < rounds:
        for plan in _plans(step):
            if step == "linear" and not plan.id.startswith(f"linear-k{LANES:03d}"):
                continue
            yield plan.make(Draw(seed, f"stream {number} {plan.id}"))  # type: ignore[misc]
        number += 1


def default_count(step: str, level: int = 1) -> int:
    """How many rows a judgement of this level needs."""
    return least(step, level)


def operands(step: str, seed: int, count: int) -> Iterator[str]:
    """The lines of operands, without comments; the same seed gives the same lines.

    Raises ParameterError for an unknown step
    """
    _known(step)
    yield from islice(_rows(step, seed), count)


def header(step: str) -> list[str]:
    """The comment lines that name the fields and give the tables."""
    definition = _known(step)
    fields = " ".join(c.name for c in definition.constants) or "-"
    table = "table | " if definition.table else ""
    inputs, outputs = (" ".join(c.name for c in columns) for columns in (definition.inputs, definition.outputs))
    lines = [f"# {step} [{definition.clause}]: {fields} | {table}{inputs} | {outputs}"]
    for number, made in enumerate(_tables(step)):
        description, arrays = pack_table(made)
        parts = [f"{key}={value}" for key, value in sorted(description.items())]
        parts += [f"{key}={','.join(str(v) for v in array.tolist())}" for key, array in arrays.items()]
        lines.append(f"# table {number} {' '.join(parts)}")
    return lines


def _rows(step: str, seed: int) -> Iterator[str]:
    tables = len(_tables(step))
    for number, case in enumerate(_blocks(step, seed)):
        head = [to_hex(np.array([case.constants[c.name]]), c.width(case.constants))[0] for c in case.definition.constants]
        if tables:
            head.append(f"{number % tables:02x}")
        columns = []
        for column in case.definition.inputs:
            bits, values = column.width(case.constants), case.inputs[column.name]
            columns += [to_hex(lane, bits) for lane in (values.T if column.vector else [values])]
        for row in zip(*columns, strict=True):
            yield " ".join([*head, *row])


def judge(
    step: str, lines: Iterable[str], *, seed: int | None = None, least_count: int | None = None
) -> tuple[int, list[Mismatch]]:
    """(rows judged, mismatches) of the lines that a program under test wrote.

    seed         of the stream: the operands must then be exactly its lines, in order, none left out
    least_count  the least number of rows; None is that of level 1
    Raises       VectorError for a line that is no row of the step, operands of another stream, or too few rows
    """
    definition = _known(step)
    wanted = _rows(step, seed) if seed is not None else None
    rows, found = 0, []
    batch: Batch = []
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if text.startswith("#") or not text:
            continue
        if len(text) > LONGEST_LINE or not text.isascii():
            raise VectorError("the stream", f"line {number}", shown(text[:40]), f"at most {LONGEST_LINE} characters of ASCII")
        fields = text.split(" ")
        if wanted is not None:
            expected = next(wanted)
            if text != expected and not text.startswith(expected + " "):
                raise VectorError("the stream", f"line {number}", shown(text), f"the operands {expected} of the stream")
        if batch and _key(definition, fields) != _key(definition, batch[0][1]) or len(batch) == BATCH:
            found += _judge_batch(definition, batch)
            batch = []
        batch.append((number, fields))
        rows += 1
    found += _judge_batch(definition, batch)
    required = default_count(step) if least_count is None else least_count
    if rows < required:
        raise VectorError("the stream", "the number of rows", rows, f"at least {required}")
    return rows, found


def _key(step: Step, fields: list[str]) -> list[str]:
    return fields[: len(step.constants) + (step.table is not None)]


def _judge_batch(step: Step, batch: Batch) -> list[Mismatch]:
    """Judge rows that share their constants."""
    if not batch:
        return []
    first, fields = batch[0]
    head = len(step.constants) + (step.table is not None)
    if len(fields) < head:
        raise VectorError(
            "the stream", f"line {first}", f"{len(fields)} fields", f"at least {head}, the constants of {step.name}"
        )
    constants: dict[str, int] = {}
    for column, word in zip(step.constants, fields, strict=False):
        assert isinstance(column.bits, int) and isinstance(column.signed, bool)
        constants[column.name] = int(_words(first, column.name, [word], column.bits, column.signed)[0])
    table = None
    if step.table is not None:
        tables = _tables(step.name)
        index = int(_words(first, "table", [fields[head - 1]], 8, False)[0])
        if index >= len(tables):
            raise VectorError("the stream", f"line {first} table", index, f"a number below {len(tables)}")
        table = tables[index]
        try:
            check_table(step, table, constants)
        except ParameterError as error:
            raise VectorError("the stream", f"line {first} {error.field}", error.found, error.expected) from None
    lanes = LANES if step.name == "linear" else 1
    inputs, at = {}, head
    for column in step.inputs:
        count = lanes if column.vector else 1
        bits, signed = _width(first, column, constants)
        columns = [_words(first, column.name, _field(batch, at + k, step), bits, signed) for k in range(count)]
        inputs[column.name] = np.stack(columns, axis=1) if column.vector else columns[0]
        at += count
    got = []
    for column in step.outputs:
        bits, signed = _width(first, column, constants)
        got.append(_words(first, column.name, _field(batch, at, step), bits, signed))
        at += 1
    extra = [number for number, row in batch if len(row) != at]
    if extra:
        raise VectorError("the stream", f"line {extra[0]}", "more fields than that", f"{at} fields")
    golden = run_step(step.name, constants, inputs, table)
    return _compare(step, batch, constants, inputs, got, golden)


def _width(line: int, column: Column, constants: dict[str, int]) -> tuple[int, bool]:
    try:
        return width(column_format(column, constants))
    except ParameterError as error:
        raise VectorError("the stream", f"line {line} {column.name}", error.found, error.expected) from None


def _field(batch: Batch, at: int, step: Step) -> list[str]:
    short = [(number, len(row)) for number, row in batch if len(row) <= at]
    if short:
        raise VectorError(
            "the stream",
            f"line {short[0][0]}",
            f"{short[0][1]} fields",
            f"operands and results of {step.name}, at least {at + 1}",
        )
    return [row[at] for _, row in batch]


def _words(line: int, name: str, words: list[str], bits: int, signed: bool) -> np.ndarray:
    digits = (bits + 3) // 4
    for offset, word in enumerate(words):
        if len(word) != digits or word.strip("0123456789abcdef"):
            raise VectorError(
                "the stream", f"{name} at or after line {line + offset}", shown(word), f"{digits} lower-case hexadecimal digits"
            )
    try:
        return from_hex(words, bits, signed)
    except ValueError as error:
        raise VectorError(
            "the stream", f"{name} at or after line {line}", shown(str(error)), f"a word of {bits} bits"
        ) from None


def _compare(
    step: Step, batch: Batch, constants: dict[str, int], inputs: Columns, got: list[np.ndarray], golden: Columns
) -> list[Mismatch]:
    found: dict[int, Mismatch] = {}
    for column, values in zip(step.outputs, got, strict=True):
        expected = golden[column.name]
        for row in np.flatnonzero(values != expected).tolist():
            if row in found:
                continue
            bits = column.width(constants)
            words = [f"{int(v)} ({to_hex(np.array([v]), bits)[0]})" for v in (values[row], expected[row])]
            operand = {**constants, **{name: v[row].tolist() for name, v in inputs.items()}}
            text = ", ".join(f"{name} {value}" for name, value in operand.items())
            found[row] = Mismatch(batch[row][0], column.name, words[0], words[1], text)
    return [found[row] for row in sorted(found)]


def _known(step: str) -> Step:
    if step not in STEPS:
        raise ParameterError("step", repr(step), f"one of {', '.join(STEPS)}")
    return STEPS[step]
