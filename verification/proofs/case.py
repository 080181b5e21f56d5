"""One query: inputs within their bounds, a run of the twin, what the clauses say, and what must be equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import z3

from verification.proofs.machine import Contract, Machine
from verification.proofs.source import Twin
from verification.proofs.values import SINGLE, Cells, Table, is_float, is_known, to_float

INT64 = (-(2**63), 2**63 - 1)
INT32 = (-(2**31), 2**31 - 1)


class Case:
    """What one query holds.

    words  64-bit words, else mathematical integers
    fixed  None, or a function of (name, low, high) that gives known shifts and exponents, so that every rounding is spelled out
    hypotheses  the bounds under which the goals must hold
    calls  the runs of the twin: (function, arguments)
    """

    def __init__(self, twin: Twin, words: bool = False, fixed: Callable[[str, int, int], int] | None = None) -> None:
        self.words, self.fixed = words, fixed
        self.machine = Machine(twin, words)
        self.hypotheses: list[Any] = self.machine.assumed
        self.facts: list[Any] = self.machine.facts
        self.inputs: dict[str, Any] = {}
        self.tables: list[Table] = []
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.finishing: list[Callable[[], None]] = []

    def contract(self, contracts: dict[str, Contract]) -> None:
        """Let these stand for the functions they name."""
        self.machine.contracts.update(contracts)

    def assume(self, *formulas: Any) -> None:
        """A bound of the parameter check or of an earlier clause."""
        self.hypotheses += formulas

    def integer(self, name: str, low: int = INT64[0], high: int = INT64[1]) -> Any:
        """An input in [low, high]."""
        term = z3.BitVec(name, 64) if self.words else z3.Int(name)
        if not (self.words and (low, high) == INT64):
            self.assume(term >= low, term <= high)
        self.inputs[name] = term
        return term

    def shift(self, name: str, low: int, high: int) -> Any:
        """A shift, an exponent or a rounding: any in [low, high], or a known one."""
        if self.fixed is None:
            return self.integer(name, low, high)
        return self.fixed(name, low, high)

    def real(self, name: str, finite: bool = False, positive: bool = False) -> Any:
        """A binary32 input."""
        term = z3.FP(name, SINGLE)
        if finite:
            self.assume(z3.Not(z3.fpIsNaN(term)), z3.Not(z3.fpIsInf(term)))
        if positive:
            self.assume(z3.fpGT(term, z3.fpPlusZero(SINGLE)))
        self.inputs[name] = term
        return term

    def table(self, name: str, header: dict[int, Any], count: int, bounds: list[tuple[int, int]]) -> Table:
        """A packed activation table whose rows hold any numbers within bounds."""
        made = Table(name, header, count, bounds, z3.BitVecSort(64) if self.words else z3.IntSort())
        self.tables.append(made)
        return made

    def run(self, name: str, *arguments: Any) -> Any:
        """The twin's function on these arguments."""
        self.calls.append((name, tuple(Cells(a.cells.copy(), a.kind) if isinstance(a, Cells) else a for a in arguments)))
        return self.lifted(self.machine.call(name, arguments))

    def lifted(self, value: Any) -> Any:
        """Known numbers of a result as terms."""
        if isinstance(value, tuple):
            return tuple(self.lifted(v) for v in value)
        if is_float(value):
            return value if z3.is_fp(value) else to_float(value, SINGLE)
        return self.machine.numbers.constant(value) if is_known(value) else value

    def goal(self, label: str, formula: Any) -> None:
        """What must hold."""
        self.machine.need(label, formula)

    def equal(self, names: Sequence[str], found: Any, wanted: Any) -> None:
        """Goals that what the twin gave is what the clauses say, number by number."""
        found, wanted = flat(found), flat(wanted)
        if len(found) != len(names) or len(wanted) != len(names):
            raise ValueError(f"{len(found)} and {len(wanted)} values for {len(names)} names")
        for name, a, b in zip(names, found, wanted):
            same = a == b
            self.goal(f"{name} is what its clause says", same if not isinstance(same, (bool, np.bool_)) else bool(same))

    def finish(self) -> None:
        """Add the instances of lemmas that wait until all terms are known."""
        for add in self.finishing:
            add()
        self.finishing = []


def flat(value: Any) -> list[Any]:
    """Tuples of tuples as one list."""
    if isinstance(value, tuple):
        return [v for part in value for v in flat(part)]
    return [value]


def known(model: Any, value: Any) -> Any:
    """An argument with the numbers of a model in the place of its terms."""
    if isinstance(value, Table):
        return known_table(model, value)
    if isinstance(value, Cells):
        cells = np.array([known(model, v) for v in value.cells.reshape(-1)], np.dtype(value.kind))
        return cells.reshape(value.cells.shape)
    if isinstance(value, np.ndarray) or is_known(value):
        return value
    found = model.eval(value, model_completion=True)
    if z3.is_fp(found):
        return single_of(model, found)
    return found.as_signed_long() if z3.is_bv(found) else found.as_long()


def single_of(model: Any, term: Any) -> np.float32:
    """The binary32 number of a model's float term."""
    bits = z3.simplify(z3.fpToIEEEBV(term))
    return np.uint32(bits.as_long() if z3.is_bv_value(bits) else 0x7FC00000).view(np.float32)  # every NaN is one NaN here


def known_table(model: Any, table: Table) -> np.ndarray:
    """A packed table as the twin takes it, with the numbers of a model."""
    columns = max(8, table.count)
    packed = np.zeros((1 + len(table.bounds), columns), np.int64)
    for column, value in table.header.items():
        packed[0, column] = known(model, value)
    sort = table.rows[0].domain(0)
    for r, (low, high) in enumerate(table.bounds, 1):
        for c in range(table.count):
            at = z3.BitVecVal(c, 64) if z3.is_bv_sort(sort) else z3.IntVal(c) if sort == z3.IntSort() else None
            packed[r, c] = min(max(known(model, table.read(r, at)), low), high)
    return packed
