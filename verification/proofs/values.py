"""What the machine computes with: integers of z3 as mathematical numbers or as 64-bit words, floats, arrays of terms.

A value is a Python int or bool where it is known, else a term. Both kinds note, for every operation, that its exact
result stays in int64; words also wrap, as compiled code does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import z3

Need = Callable[[str, Any], None]
FIRST, LAST = -(2**63), 2**63 - 1


def is_float(value: Any) -> bool:
    """Whether a value is a float, known or not."""
    return isinstance(value, (float, np.floating)) or z3.is_fp(value)


def is_known(value: Any) -> bool:
    """Whether a value is a number and not a term."""
    return isinstance(value, (bool, int, float, np.integer, np.floating, np.bool_))


TIMES = z3.Function("times", z3.IntSort(), z3.IntSort(), z3.IntSort())


class Numbers:
    """Mathematical integers; what leaves int64 is a failed goal."""

    kind = "int"

    def __init__(self, need: Need) -> None:
        self.need = need
        self.opaque = False  # products of two terms as an unknown function, where lemmas say all that is needed

    def constant(self, value: int) -> Any:
        return z3.IntVal(int(value))

    def product(self, a: Any, b: Any) -> Any:
        return TIMES(a, b) if self.opaque else a * b

    def fits(self, label: str, term: Any, first: int = FIRST, last: int = LAST) -> Any:
        self.need(f"{label} stays in [{first}, {last}]", z3.And(term >= first, term <= last))
        return term

    def add(self, label: str, a: Any, b: Any) -> Any:
        return self.fits(label, a + b)

    def sub(self, label: str, a: Any, b: Any) -> Any:
        return self.fits(label, a - b)

    def mul(self, label: str, a: Any, b: Any) -> Any:
        return self.fits(label, a * b if is_known(a) or is_known(b) else self.product(a, b))

    def left(self, label: str, a: Any, s: int) -> Any:
        return self.fits(label, a * 2**s)

    def right(self, label: str, a: Any, s: int) -> Any:
        return self.constant(a) / 2**s if is_known(a) else a / 2**s  # z3's div by a positive number is floor

    def mask(self, label: str, a: Any, m: int) -> Any:
        assert m & (m + 1) == 0 and m > 0, "a mask of low bits"
        return a % (m + 1)

    def quotient(self, label: str, a: Any, n: int) -> Any:
        assert n > 0
        return a / n

    def narrow(self, label: str, a: Any) -> Any:
        return self.fits(label, a, -(2**31), 2**31 - 1)


class Words:
    """64-bit two's complement words that wrap, and IEEE floats."""

    kind = "word"

    def __init__(self, need: Need) -> None:
        self.need = need

    def constant(self, value: int) -> Any:
        return z3.BitVecVal(int(value), 64)

    def word(self, a: Any) -> Any:
        return self.constant(a) if is_known(a) else a

    def _exact(self, label: str, term: Any, a: Any, b: Any, operation: Callable[[Any, Any], Any], bits: int) -> Any:
        wide = operation(z3.SignExt(bits, self.word(a)), z3.SignExt(bits, self.word(b)))
        self.need(f"{label} stays in int64", z3.SignExt(bits, term) == wide)
        return term

    def add(self, label: str, a: Any, b: Any) -> Any:
        return self._exact(label, a + b, a, b, lambda p, q: p + q, 1)

    def sub(self, label: str, a: Any, b: Any) -> Any:
        return self._exact(label, a - b, a, b, lambda p, q: p - q, 1)

    def mul(self, label: str, a: Any, b: Any) -> Any:
        return self._exact(label, a * b, a, b, lambda p, q: p * q, 64)

    def left(self, label: str, a: Any, s: int) -> Any:
        term = self.word(a) << s
        self.need(f"{label} stays in int64", (term >> s) == self.word(a))
        return term

    def right(self, label: str, a: Any, s: int) -> Any:
        return self.word(a) >> s

    def mask(self, label: str, a: Any, m: int) -> Any:
        return self.word(a) & m

    def quotient(self, label: str, a: Any, n: int) -> Any:
        assert n > 0
        a = self.word(a)
        q, r = a / n, z3.SRem(a, self.constant(n))  # toward zero, then to floor
        return z3.If(r < 0, q - 1, q)

    def narrow(self, label: str, a: Any) -> Any:
        return z3.SignExt(32, z3.Extract(31, 0, self.word(a)))


RNE, RTZ = z3.RNE(), z3.RTZ()
SINGLE, DOUBLE = z3.Float32(), z3.Float64()


def to_float(value: Any, sort: Any) -> Any:
    """A value as a binary32 or binary64 term, rounded to nearest-even once."""
    if z3.is_fp(value):
        return value if value.sort() == sort else z3.fpToFP(RNE, value, sort)
    if is_known(value):
        narrow = np.float32(value) if sort == SINGLE else np.float64(value)
        return z3.fpBVToFP(
            z3.BitVecVal(int(narrow.view(np.uint32 if sort == SINGLE else np.uint64)), sort.ebits() + sort.sbits()), sort
        )
    return z3.fpSignedToFP(RNE, value, sort)


class Cells:
    """An array of terms or numbers with views; what is stored in an int32 array is narrowed."""

    def __init__(self, cells: np.ndarray, kind: str = "int64") -> None:
        self.cells, self.kind = cells, kind

    @property
    def shape(self) -> tuple[int, ...]:
        return self.cells.shape

    def __getitem__(self, index: Any) -> Any:
        found = self.cells[index]
        return Cells(found, self.kind) if isinstance(found, np.ndarray) else found

    def store(self, index: Any, value: Any) -> None:
        self.cells[index] = value


class Table:
    """A packed activation table: a header of known or symbolic numbers, and rows that are functions of the column.

    count   how many columns the rows have
    bounds  of the numbers of each row, as the parameter check has them
    fixed   rows that hold one known number
    """

    def __init__(self, name: str, header: dict[int, Any], count: int, bounds: list[tuple[int, int]], sort: Any) -> None:
        self.name, self.header, self.count, self.bounds = name, header, count, bounds
        self.rows = [z3.Function(f"{name}_row{r}", sort, sort) for r in range(len(bounds) + 1)]
        self.fixed: dict[int, int] = {}
        self.answer = z3.Function(f"{name}_answer", sort, sort)

    def read(self, row: int, column: Any) -> Any:
        """The number of a row, numbered from 1, at a column."""
        return self.fixed.get(row, self.rows[row](column))
