"""The clauses of golden/SPEC.md over mathematical integers, written from the page.  [SPEC F, R, M, G-M, G-P, Z]

A rounding of a number by a shift is a function of both that is only known by proven facts (the lemmas), so that one proof
holds for all shifts. Where the shift is a known number, the rounding is written out by its clause.
"""

from __future__ import annotations

from typing import Any

import z3

from golden.spec.formats import BOUNDS
from verification.proofs.case import INT32, INT64, Case
from verification.proofs.values import Table, is_known

INTEGER = z3.IntSort()
TIES_UP = z3.Function("ties_up", INTEGER, INTEGER, INTEGER)
ROUNDED = z3.Function("shift_round", INTEGER, INTEGER, INTEGER, INTEGER)  # rounding, x, s
REACH = z3.Function("reach", INTEGER, INTEGER, INTEGER)  # what |x| <= b reaches after a shift by s, R-4
FITS = z3.Function("fits", INTEGER, INTEGER, z3.BoolSort())  # the left shift stays in int64
AWAY, EVEN = 1, 2  # how the twin numbers the roundings of datapath P
ONE = 127


def sat(v: Any, low: Any, high: Any) -> Any:
    """min(max(v, low), high).  [SPEC F-2]"""
    larger = z3.If(v > low, v, low)
    return z3.If(larger < high, larger, high)


def between(low: int, v: Any, high: int) -> Any:
    """Whether v lies in [low, high]."""
    if is_known(v):
        return z3.BoolVal(low <= int(v) <= high)
    return z3.And(v >= low, v <= high)


def magnitude(v: Any) -> Any:
    """|v|"""
    return z3.If(v < 0, -v, v)


def is_format(low: Any, high: Any, unsigned: bool = False) -> Any:
    """Whether [low, high] is a format of 2 to 16 bits.  [SPEC F-1]"""
    formats = [ends for (bits, signed), ends in BOUNDS.items() if bits <= 16 and not (signed and unsigned)]
    return z3.Or(*(z3.And(low == a, high == b) for a, b in formats))


def half_up(x: Any, s: int) -> Any:
    """floor((x + 2^(s-1)) / 2^s) for a known s; s = 0 is the identity.  [SPEC R-1]"""
    return x if s == 0 else (x + 2 ** (s - 1)) / 2**s


def away(x: Any, s: int) -> Any:
    """sign(x) * floor((|x| + 2^(s-1)) / 2^s); s <= 0: x * 2^-s.  [SPEC R-2]"""
    if s <= 0:
        return x * 2**-s
    return z3.If(x < 0, -((-x + 2 ** (s - 1)) / 2**s), (x + 2 ** (s - 1)) / 2**s)


def even(x: Any, s: int) -> Any:
    """Nearest, a tie to the even quotient; s <= 0: x * 2^-s.  [SPEC R-3]"""
    if s <= 0:
        return x * 2**-s
    q, rest = x / 2**s, x % 2**s
    return q + z3.If(z3.Or(rest > 2 ** (s - 1), z3.And(rest == 2 ** (s - 1), q % 2 == 1)), 1, 0)


class Clauses:
    """The clauses for one case: their roundings bring their facts with them."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.ups: list[tuple[Any, Any]] = []
        self.up_bounds: list[tuple[Any, Any]] = []
        self.rounds: list[tuple[Any, Any, Any]] = []
        self.reaches: list[tuple[Any, Any]] = []
        case.finishing.append(self.instances)

    # -- roundings

    def ties_up(self, x: Any, s: Any) -> Any:
        """R-1"""
        if is_known(s):
            return half_up(x, int(s))
        found = TIES_UP(x, s)
        self.ups.append((x, s))
        lies = z3.If(x >= 0, between(0, found, x), z3.And(found >= x, found <= 0))
        self.case.facts += [z3.Implies(s >= 0, lies), z3.Implies(s == 0, found == x)]  # lemma: shrinks
        return found

    def rounded(self, rounding: Any, x: Any, s: Any) -> Any:
        """RS, which is R-2 or R-3."""
        x = z3.IntVal(x) if is_known(x) else x
        if is_known(s) and is_known(rounding):
            return away(x, int(s)) if int(rounding) == AWAY else even(x, int(s))
        found = ROUNDED(rounding, x, s)
        self.rounds.append((rounding, x, s))
        lies = z3.If(x >= 0, between(0, found, x), z3.And(found >= x, found <= 0))
        self.case.facts += [z3.Implies(s >= 0, z3.And(lies, FITS(x, s)))]  # lemma: shrinks
        return found

    def reach(self, bound: Any, s: Any) -> Any:
        """What the parameter check says of a shift of numbers up to bound: a magnitude, refused from 2^63 on.  [SPEC R-4]"""
        if is_known(s):
            return away(bound, int(s))
        self.reaches.append((bound, s))
        return REACH(bound, s)

    def bounded_up(self, bound: Any, s: Any) -> Any:
        """ties_up of a bound, as GM-3 has it."""
        self.up_bounds.append((bound, s))
        return self.ties_up(bound, s)

    def fits(self, x: Any, s: Any) -> Any:
        """Whether the left shift of x, if it is one, stays in int64."""
        if is_known(s):
            return True if int(s) >= 0 else magnitude(x) * 2 ** -int(s) < 2**63
        return FITS(x, s)

    def instances(self) -> None:
        """The lemma reach, for every rounding and every bound of the same shift."""
        for x, s in self.ups:
            for bound, t in self.up_bounds:
                if s.eq(t) and not x.eq(bound):
                    fact = z3.And(TIES_UP(x, s) <= TIES_UP(bound, s), TIES_UP(x, s) >= -TIES_UP(bound, s))
                    self.case.facts.append(z3.Implies(z3.And(s >= 0, magnitude(x) <= bound), fact))
        for rounding, x, s in self.rounds:
            for bound, t in self.reaches:
                if z3.simplify(s - t).eq(z3.IntVal(0)):
                    found, reach = ROUNDED(rounding, x, s), REACH(bound, t)
                    fact = z3.And(FITS(x, s), found <= reach, found >= -reach)
                    self.case.facts.append(z3.Implies(z3.And(magnitude(x) <= bound, bound < 2**63, reach < 2**63), fact))

    # -- multiplier and shift

    def apply(self, v: Any, m: Any, s: Any) -> Any:
        """M-3"""
        return self.ties_up(v * m, s)

    def align(self, v: Any, m: Any, s: Any) -> Any:
        """M-4"""
        return sat(self.apply(v, m, s), *INT32)

    def requantize(self, v: Any, m: Any, s: Any, zero_point: Any, low: Any, high: Any) -> Any:
        """M-5"""
        return sat(self.apply(v, m, s) + zero_point, low, high)

    def activation(self, q: Any, table: Table) -> Any:
        """The answer of a table, a code of its output format."""
        found = table.answer(q)
        self.case.facts += [found >= table.header[OUT_QMIN], found <= table.header[OUT_QMAX]]
        return found


OUT_QMIN, OUT_QMAX = 5, 6  # columns of a table's header


def contracts(c: Clauses, *functions: str) -> dict[str, Any]:
    """For each function of the twin: the goals that its conditions hold, then what its clause says."""
    need = c.case.machine.need

    def mshift(name: str, v: Any, m: Any, s: Any) -> None:
        need(f"{name} is given an int32", between(INT32[0], v, INT32[1]))
        need(f"{name} is given an MShift", z3.And(between(0, m, INT32[1]), between(0, s, 31)))

    def ties_up(x: Any, s: Any) -> Any:
        need(
            "ties_up is given an int64 and a shift of at least 0",
            z3.And(between(INT64[0], x, INT64[1]), between(0, s, INT64[1])),
        )
        return c.ties_up(x, s)

    def shift_round(x: Any, s: Any, rounding: Any) -> Any:
        need("shift_round is given a rounding of datapath P", between(AWAY, rounding, EVEN))
        need("shift_round is given what stays in int64", c.fits(x, s))
        return c.rounded(rounding, x, s)

    def ties_away(x: Any, s: Any) -> Any:
        need("ties_away is given what stays in int64", c.fits(x, s))
        return c.rounded(AWAY, x, s)

    def apply(v: Any, m: Any, s: Any) -> Any:
        mshift("apply", v, m, s)
        return c.apply(v, m, s)

    def align(v: Any, m: Any, s: Any) -> Any:
        mshift("align", v, m, s)
        return c.align(v, m, s)

    def requantize(v: Any, m: Any, s: Any, zero_point: Any, low: Any, high: Any) -> Any:
        mshift("requantize", v, m, s)
        need("requantize is given an int32 zero point", between(INT32[0], zero_point, INT32[1]))
        return c.requantize(v, m, s, zero_point, low, high)

    def activate(q: Any, table: Table) -> Any:
        need("activate is given a code of its input format", z3.And(q >= table.header[3], q <= table.header[4]))
        return c.activation(q, table)

    known = {
        "rounding.ties_up": ties_up,
        "rounding.shift_round": shift_round,
        "rounding.ties_away": ties_away,
        "rescale.apply": apply,
        "rescale.align": align,
        "rescale.requantize": requantize,
        "activation.activate": activate,
    }
    return {name: known[name] for name in functions}
