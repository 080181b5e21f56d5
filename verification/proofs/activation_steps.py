"""The activations: which entry or segment a code takes, and what a segment gives.  [SPEC A]

The direct tables and the search of a segment are on 64-bit words or on mathematical integers with any table; the arithmetic of
a segment takes as given what the parameter check says of that segment.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import z3

from verification.exact import activation as judge
from verification.proofs.case import INT32, Case
from verification.proofs.clauses import AWAY, Clauses, contracts, is_format, magnitude, sat
from verification.proofs.mshift_steps import KNOWN_SHIFTS
from verification.proofs.obligation import Obligation
from verification.proofs.replay_parts import table_of
from verification.proofs.values import Table

INT8, INT16 = (-128, 127), (-32768, 32767)
SHIFTS = (-31, 62)
LINEAR_ROWS = [INT32, INT32, SHIFTS, INT32]
QUADRATIC_ROWS = [INT32, INT32, INT32, SHIFTS, INT32, SHIFTS, INT32]


def direct_header(wide: bool) -> dict[int, int]:
    low, high = INT16 if wide else INT8
    return {0: int(wide), 1: 256, 2: 0, 3: low, 4: high, 5: -128, 6: 127}


def direct(wide: bool, case: Case) -> None:
    """The entry is that of the clause's index, and the index never leaves 0 ... 255."""
    table = case.table("table", direct_header(wide), 256, [INT8])
    q = case.integer("q", *(INT16 if wide else INT8))
    found = case.run(f"activation.{'direct_wide' if wide else 'direct'}", q, table)
    index = z3.BitVec("index", 64)
    if wide:  # index = (...) div 65535, by what div means
        a = (q + 32768) * 255 + 32767
        case.assume(index >= 0, index < 2**20, index * 65535 <= a, a < index * 65535 + 65535)
    else:
        case.assume(index == q + 128)
    case.inputs["index"] = index
    case.goal("the index is in 0 ... 255", z3.And(index >= 0, index <= 255))
    case.equal(["entry"], found, table.rows[1](index))


def wide_index(case: Case) -> None:
    """The index of A-2 over all 16-bit codes: ends, steps of at most one, never falling."""
    q, i, j = z3.Ints("q i j")
    case.inputs.update(q=q, i=i, j=j)
    case.assume(q >= -32768, q < 32767)
    for n, index in ((0, i), (1, j)):
        a = (q + n + 32768) * 255 + 32767
        case.assume(index * 65535 <= a, a < index * 65535 + 65535)
    case.goal("0 <= index <= 255", z3.And(i >= 0, j <= 255))
    case.goal("the next code has the same index or the next one", z3.And(j >= i, j <= i + 1))
    case.goal("the first code has index 0", z3.Implies(q == -32768, i == 0))
    case.goal("the last code has index 255", z3.Implies(q == 32766, j == 255))


def segments(count: int, case: Case) -> None:
    """The first i with q < threshold_i, else the last, for any thresholds."""
    header = {0: 2, 1: count, 2: 0, 3: INT16[0], 4: INT16[1], 5: INT16[0], 6: INT16[1]}
    table = case.table("table", header, count, LINEAR_ROWS)
    q = case.integer("q")
    found = case.run("activation.segment", q, table)
    wanted: Any = z3.IntVal(count - 1)
    for i in reversed(range(count)):
        wanted = z3.If(q < table.rows[1](z3.IntVal(i)), i, wanted)
    case.equal(["segment"], found, wanted)


def chosen(case: Case, table: Table, c: Clauses) -> tuple[Any, Any, Any]:
    """(q as it is given, q saturated, its segment): any code of the segment that the search finds."""
    q = case.integer("q")
    inside = sat(q, table.header[3], table.header[4])
    pick = z3.Function("segment_of", z3.IntSort(), z3.IntSort())
    i = pick(inside)
    case.assume(i >= 0, i < table.count)

    def found(code: Any, given: Table) -> Any:
        return pick(code)

    case.contract({"activation.segment": found} | contracts(c, "rounding.ties_away"))
    return q, inside, i


def parameter_table(case: Case, kind: int, rows: list[tuple[int, int]]) -> Table:
    """Any table of its kind; where the roundings are written out, one segment with known shifts."""
    count = (16 if kind == 2 else 32) if case.fixed is None else 1
    low, high = case.integer("in_qmin", *INT32), case.integer("in_qmax", *INT32)
    out_low, out_high = case.integer("out_qmin", *INT32), case.integer("out_qmax", *INT32)
    case.assume(is_format(low, high), is_format(out_low, out_high))
    header = {0: kind, 1: count, 2: case.integer("zero_point_in", *INT32), 3: low, 4: high, 5: out_low, 6: out_high}
    table = case.table("table", header, count, rows)
    if case.fixed is not None:
        table.fixed = {r: case.fixed(f"row{r}", *SHIFTS) for r, bounds in enumerate(rows, 1) if bounds == SHIFTS}
    return table


def opaque(case: Case) -> Any:
    """Products as an unknown function that the lemma product bounds; as they are where the roundings are written out."""
    case.machine.numbers.opaque = case.fixed is None
    return case.machine.numbers.product


def linear(case: Case) -> None:
    c, times = Clauses(case), opaque(case)
    table = parameter_table(case, 2, LINEAR_ROWS)
    q, inside, i = chosen(case, table, c)
    slope, n, intercept = (table.read(r, i) for r in (2, 3, 4))
    d, D = inside - table.header[2], case.integer("D", 0)
    case.assume(magnitude(d) <= D)
    bound = times(magnitude(slope), D)
    reach = c.reach(bound, n)
    case.assume(bound < 2**63, reach < 2**63, reach >= 0, reach + magnitude(intercept) < 2**63)
    product_lemma(case, slope, magnitude(slope), d, D)
    wanted = sat(c.rounded(AWAY, times(slope, d), n) + intercept, table.header[5], table.header[6])
    case.equal(["y"], case.run("activation.piecewise_linear", q, table), wanted)


def quadratic(case: Case) -> None:
    c, times = Clauses(case), opaque(case)
    table = parameter_table(case, 3, QUADRATIC_ROWS)
    q, inside, i = chosen(case, table, c)
    origin, c2, p, c1, n, c0 = (table.read(r, i) for r in range(2, 8))
    d, D = inside - origin, case.integer("D", 0)
    case.assume(magnitude(d) <= D)
    square = times(magnitude(c2), D)
    reach = c.reach(square, p)
    inner_bound = reach + magnitude(c1)
    case.assume(square < 2**63, reach < 2**63, reach >= 0, inner_bound < 2**63, times(inner_bound, D) < 2**63)
    last = c.reach(times(inner_bound, D), n)
    case.assume(last < 2**63, last >= 0, last + magnitude(c0) < 2**63)
    product_lemma(case, c2, magnitude(c2), d, D)
    inner = c.rounded(AWAY, times(c2, d), p) + c1
    product_lemma(case, inner, inner_bound, d, D)
    wanted = sat(c.rounded(AWAY, times(inner, d), n) + c0, table.header[5], table.header[6])
    case.equal(["y"], case.run("activation.piecewise_quadratic", q, table), wanted)


def product_lemma(case: Case, a: Any, A: Any, b: Any, B: Any) -> None:
    """An instance of the lemma product."""
    times = case.machine.numbers.product
    holds = z3.And(times(a, b) <= times(A, B), times(a, b) >= -times(A, B))
    case.facts.append(z3.Implies(z3.And(magnitude(a) <= A, magnitude(b) <= B), holds))


def distance(case: Case) -> None:
    """The parameter check takes the greater distance of the segment's ends."""
    q, low, high, origin = (case.integer(n, *INT32) for n in ("q", "low", "high", "origin"))
    case.assume(low <= q, q <= high)
    ends = magnitude(low - origin), magnitude(high - origin)
    case.goal(
        "|q - origin| is at most that of one end", z3.Or(magnitude(q - origin) <= ends[0], magnitude(q - origin) <= ends[1])
    )


KINDS = ("direct", "direct_wide", "piecewise_linear", "piecewise_quadratic")


def dispatch(kind: int, case: Case) -> None:
    """activate is the step of the table's kind."""
    functions = {n: z3.Function(n, z3.IntSort(), z3.IntSort()) for n in KINDS}
    case.contract({f"activation.{n}": lambda q, t, f=f: f(q) for n, f in functions.items()})
    q = case.integer("q", -128, 127)
    rows = [[INT8], [INT8], LINEAR_ROWS, QUADRATIC_ROWS][kind]
    header = {0: kind, 1: 256 if kind < 2 else 1, 2: 0, 3: -128, 4: 127, 5: -128, 6: 127}
    if kind == 1:
        header |= {3: INT16[0], 4: INT16[1]}
    table = case.table("table", header, 256 if kind < 2 else 1, rows)
    case.equal(["answer"], case.run("activation.activate", q, table), functions[KINDS[kind]](q))


def at(name: str) -> Any:
    """The judge's step on the twin's packed table."""

    def call(q: int, packed: np.ndarray) -> Any:
        found = getattr(judge, name)(int(q), table_of(packed))
        return found

    return call


def obligations() -> list[Obligation]:
    """The steps of activation.py."""
    segment_given = "any thresholds of an int32 table; q any int64"
    line_given = "any numbers of the segment that the parameter check does not refuse, any formats, q any int64"
    return [
        Obligation(
            "direct",
            "A-1",
            "direct takes entry q + 128, an index that never leaves 0 ... 255",
            "q any int8, any entries",
            {"all": partial(direct, False)},
            words=True,
            logic="QF_UFBV",
            function="activation.direct",
            judge=at("direct"),
        ),
        Obligation(
            "direct_wide",
            "A-2",
            "direct_wide takes entry ((q + 32768) * 255 + 32767) div 65535, an index that never leaves 0 ... 255",
            "q any int16, any entries",
            {"all": partial(direct, True)},
            words=True,
            logic="QF_UFBV",
            function="activation.direct_wide",
            judge=at("direct_wide"),
            covered="a sweep of all 65536 codes",
        ),
        Obligation(
            "direct_wide_index",
            "A-2",
            "the index is 0 for the first code and 255 for the last, and from each code to the next it stays or rises by 1",
            "q any int16",
            {"all": wide_index},
            logic="QF_LIA",
        ),
        Obligation(
            "segment",
            "A-3, A-4",
            "segment is the first i with q < threshold_i, else the last, and never outside the table",
            segment_given,
            {f"{n} segments": partial(segments, n) for n in range(1, 33)},
            logic="QF_UFLIA",
            function="activation.segment",
            judge=at("segment"),
        ),
        Obligation(
            "piecewise_linear",
            "A-3",
            "piecewise_linear is its clause, and nothing leaves int64",
            line_given,
            {"all": linear},
            function="activation.piecewise_linear",
            uses=("segment", "ties_away", "saturate", "shrinks", "reach", "product", "distance"),
            judge=at("piecewise_linear"),
            fallback=KNOWN_SHIFTS,
        ),
        Obligation(
            "piecewise_quadratic",
            "A-4",
            "piecewise_quadratic is its clause in Horner form, and nothing leaves int64",
            line_given,
            {"all": quadratic},
            function="activation.piecewise_quadratic",
            uses=("segment", "ties_away", "saturate", "shrinks", "reach", "product", "distance"),
            judge=at("piecewise_quadratic"),
            fallback=KNOWN_SHIFTS,
        ),
        Obligation(
            "activate",
            "A-1 ... A-4, GP-10",
            "activate is the step of the table's kind",
            "the four kinds, any q",
            {n: partial(dispatch, k) for k, n in enumerate(KINDS)},
            logic="QF_UFLIA",
            function="activation.activate",
            uses=KINDS,
            judge=at("activate"),
        ),
        Obligation(
            "distance",
            "A-3, A-4",
            "within a segment, |q - origin| is at most the greater distance of its ends",
            "q, ends and origin int32",
            {"all": distance},
            logic="QF_LIA",
        ),
    ]
