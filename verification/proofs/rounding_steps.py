"""Saturation and the roundings of a shift, on 64-bit words; and the lemmas about them.  [SPEC F-2, R]

The clauses stand as what defines them, not as a formula that computes: q is floor(a / 2^s) where q * 2^s <= a < (q + 1) * 2^s,
in words wide enough for every number in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import z3

from verification.exact import rounding as judge
from verification.proofs.case import Case
from verification.proofs.obligation import Obligation
from verification.proofs.replay_parts import fmt_of, rounding_of

WIDE = 160
SHIFTS = range(1, 64)
LEFT = range(0, 64)


def wide(a: Any) -> Any:
    """A 64-bit word in the width of the clauses."""
    return z3.SignExt(WIDE - 64, a)


def times(a: Any, s: int) -> Any:
    """a * 2^s, in the width of the clauses or as a mathematical integer."""
    return a << s if z3.is_bv(a) else a * 2**s


def floor_is(q: Any, a: Any, s: int) -> Any:
    """Whether q is floor(a / 2^s)."""
    return z3.And(times(q, s) <= a, a < times(q, s) + (1 << s))


def is_up(q: Any, x: Any, s: int) -> Any:
    """Whether q is R-1 of x."""
    return q == x if s == 0 else floor_is(q, x + (1 << (s - 1)), s)


def is_away(q: Any, x: Any, s: int) -> Any:
    """Whether q is R-2 of x."""
    if s <= 0:
        return q == times(x, -s)
    negative = x < 0
    return floor_is(z3.If(negative, -q, q), z3.If(negative, -x, x) + (1 << (s - 1)), s)


def is_even(q: Any, x: Any, s: int) -> Any:
    """Whether q is R-3 of x: no nearer integer, and even where two are as near."""
    if s <= 0:
        return q == times(x, -s)
    distance, half = x - times(q, s), 1 << (s - 1)
    tie = z3.Or(distance == half, distance == -half)
    return z3.And(distance <= half, distance >= -half, z3.Implies(tie, q & 1 == 0 if z3.is_bv(q) else q % 2 == 0))


RULES: dict[str, Callable[[Any, Any, int], Any]] = {"ties_up": is_up, "ties_away": is_away, "ties_even": is_even}
FIRST = z3.BitVecVal(-(2**63), 64)


def at_shift(name: str, s: int, case: Case) -> None:
    """The twin's rounding is its clause's, for every int64 and this shift."""
    x = case.integer("x")
    if s < 0:
        case.assume(wide(x) << -s >= -(2**63), wide(x) << -s < 2**63)
    q = case.run(f"rounding.{name}", x, s)
    case.goal(f"the result is {name} of x", RULES[name](wide(q), wide(x), s))


def far(name: str, case: Case) -> None:
    """Every shift from 64 on: what the clause gives is 0, but for the one tie that ties_away has at 64."""
    x, s = case.integer("x"), case.integer("s", 64, 2**63 - 1)
    q = case.run(f"rounding.{name}", x, s)
    wanted = z3.BitVecVal(0, 64)
    if name == "ties_away":
        wanted = z3.If(z3.And(s == 64, x == FIRST), z3.BitVecVal(-1, 64), wanted)
    case.goal("the result is what the lemma far says", q == wanted)


def far_clause(name: str, case: Case) -> None:
    """The lemma: with half = 2^(s-1) >= 2^63, whatever s is, the clause gives 0, and ties_away -1 at the tie."""
    x, half, q = z3.Ints("x half q")
    case.inputs.update(x=x, half=half, q=q)
    case.assume(x >= -(2**63), x < 2**63, half >= 2**63)
    if name == "ties_up":
        case.assume(q * 2 * half <= x + half, x + half < (q + 1) * 2 * half)
        case.goal("q is 0", q == 0)
    elif name == "ties_away":
        m = z3.If(x < 0, -x, x)
        case.assume(q * 2 * half <= m + half, m + half < (q + 1) * 2 * half)
        case.goal("q is 1 at the tie, else 0", q == z3.If(m == half, 1, 0))
        case.goal("the tie is -2^63 at half = 2^63", z3.Implies(m == half, z3.And(x == -(2**63), half == 2**63)))
    else:
        case.assume(x - q * 2 * half <= half, q * 2 * half - x <= half)
        tie = z3.Or(x - q * 2 * half == half, q * 2 * half - x == half)
        case.assume(z3.Implies(tie, q % 2 == 0))
        case.goal("q is 0", q == 0)


def left_out(name: str, case: Case) -> None:
    """A left shift by 64 or more: only 0 stays in int64, and gives 0."""
    s = case.integer("s", -(2**62), -64)
    case.goal("0 stays 0", case.run(f"rounding.{name}", z3.BitVecVal(0, 64), s) == 0)


def rounding(name: str, clause: str) -> Obligation:
    cases: dict[str, Any] = {f"s={s}": partial(at_shift, name, s) for s in (*SHIFTS, 0)}
    if name != "ties_up":
        cases |= {f"s={-s}": partial(at_shift, name, -s) for s in SHIFTS}
        cases["s<=-64"] = partial(left_out, name)
    cases["s>=64"] = partial(far, name)
    legal = "s >= 0" if name == "ties_up" else "any s; where s < 0, x * 2^-s in int64"
    return Obligation(
        name,
        clause,
        f"{name}(x, s) is the clause's rounding and nothing in it leaves int64",
        f"x any int64, {legal}",
        cases,
        words=True,
        logic="QF_BV",
        function=f"rounding.{name}",
        uses=(f"far_{name}",),
        judge=lambda x, s: getattr(judge, name)(x, s),
    )


def far_lemma(name: str, clause: str) -> Obligation:
    return Obligation(
        f"far_{name}",
        f"{clause}, R-4",
        f"for s >= 64 the clause's {name} of an int64 is 0" + (", or -1 for -2^63 at s = 64" if name == "ties_away" else ""),
        "x any int64, 2^(s-1) any number from 2^63 on",
        {"all": partial(far_clause, name)},
        logic="QF_NIA",
    )


def saturating(case: Case) -> None:
    v, low, high = case.integer("v"), case.integer("qmin"), case.integer("qmax")
    case.assume(low <= high)
    found = case.run("rounding.saturate", v, low, high)
    larger = z3.If(v >= low, v, low)
    case.goal("the result is min(max(v, qmin), qmax)", found == z3.If(larger <= high, larger, high))
    case.goal("the result is in the format", z3.And(found >= low, found <= high))


def dispatching(number: int, case: Case) -> None:
    """shift_round is the rounding of its number, on unknown roundings."""
    if case.fixed is not None:  # the roundings themselves, for a known shift
        x, s = case.integer("x"), case.fixed("s", 0, 63)
        found = case.run("rounding.shift_round", x, s, number)
        case.goal("the result is the named rounding", list(RULES.values())[number](wide(found), wide(x), s))
        return
    functions = {n: z3.Function(n, *[z3.BitVecSort(64)] * 3) for n in RULES}
    bind = {f"rounding.{n}": lambda x, s, f=f: f(x, s) for n, f in functions.items()}
    case.contract(bind)
    x, s = case.integer("x"), case.integer("s")
    found = case.run("rounding.shift_round", x, s, number)
    case.goal("the result is the named rounding", found == functions[list(RULES)[number]](x, s))


# -- lemmas about the clauses


def related(name: str, s: int, case: Case) -> tuple[Any, Any]:
    x, q = case.integer("x"), z3.Int("q")
    case.inputs["q"] = q
    case.assume(RULES[name](q, x, s))
    return x, q


def shrinking(name: str, s: int, case: Case) -> None:
    x, q = related(name, s, case)
    case.goal("q lies between 0 and x", z3.If(x >= 0, z3.And(q >= 0, q <= x), z3.And(q >= x, q <= 0)))


def reaching(name: str, s: int, case: Case) -> None:
    x, q = related(name, s, case)
    bound, reach = case.integer("bound", 0), case.integer("reach", 0)
    case.assume(z3.If(x < 0, -x, x) <= bound, is_away(reach, bound, s))
    case.goal("|q| is at most what the bound reaches", z3.And(q <= reach, q >= -reach))
    if s < 0:
        case.goal("x * 2^-s stays in int64", z3.And(times(x, -s) >= -(2**63), times(x, -s) < 2**63))


def growing(s: int, case: Case) -> None:
    x, q = related("ties_up", s, case)
    y, p = case.integer("y"), z3.Int("p")
    case.inputs["p"] = p
    case.assume(is_up(p, y, s), x <= y)
    case.goal("ties_up(x) <= ties_up(y)", q <= p)


def two_forms(name: str, s: int, case: Case) -> None:
    """Two common ways to write each rounding, in 65 bits so that adding the half cannot wrap."""
    x = z3.BitVec("x", 64)
    case.inputs["x"] = x
    a, half = z3.SignExt(1, x), 1 << (s - 1)
    if name == "ties_up":
        first, second = (a + half) >> s, (a >> s) + ((a >> (s - 1)) & 1)
    elif name == "ties_away":
        size = z3.If(a < 0, -a, a)
        up = z3.LShR(size + half, s)
        first, second = z3.If(a < 0, -up, up), (a + half - z3.If(a < 0, z3.BitVecVal(1, 65), z3.BitVecVal(0, 65))) >> s
    else:
        q, rest, h = a >> s, a & ((1 << s) - 1), z3.BitVecVal(half, 65)
        more = z3.Or(z3.UGT(rest, h), z3.And(rest == h, q & 1 == 1))
        first, second = q + z3.If(more, z3.BitVecVal(1, 65), z3.BitVecVal(0, 65)), (a + (half - 1) + (q & 1)) >> s
    case.goal("both forms are equal", first == second)
    case.goal("both forms are the clause", RULES[name](z3.SignExt(WIDE - 65, first), z3.SignExt(WIDE - 65, a), s))


def lemmas() -> list[Obligation]:
    made = [far_lemma("ties_up", "R-1"), far_lemma("ties_away", "R-2"), far_lemma("ties_even", "R-3")]
    made.append(
        Obligation(
            "shrinks",
            "R-1, R-2, R-3",
            "a rounding of x by s >= 0 lies between 0 and x, both included",
            "x any int64, s from 0 to 63 (from 64 on by far_*)",
            {f"{n} s={s}": partial(shrinking, n, s) for n in RULES for s in LEFT},
            logic="QF_LIA",
            uses=tuple(f"far_{n}" for n in RULES),
        )
    )
    made.append(
        Obligation(
            "reach",
            "R-4, L-2",
            "where |x| <= b and b shifted with rounding stays below 2^63, |RS(x, s)| is at most that, and a "
            "left shift stays in int64",
            "x, b any int64, b >= 0, s from -63 to 63 (from 64 on by far_*)",
            {f"{n} s={s}": partial(reaching, n, s) for n in RULES for s in range(0 if n == "ties_up" else -63, 64)},
            logic="QF_LIA",
            uses=tuple(f"far_{n}" for n in RULES),
        )
    )
    made.append(
        Obligation(
            "ties_up_monotone",
            "R-1",
            "x <= y gives ties_up(x, s) <= ties_up(y, s)",
            "x, y any int64, s from 0 to 63 (from 64 on by far_ties_up)",
            {f"s={s}": partial(growing, s) for s in LEFT},
            logic="QF_LIA",
            uses=("far_ties_up",),
        )
    )
    words = {
        "ties_up": "(x + 2^(s-1)) >> s and (x >> s) + ((x >> (s-1)) & 1)",
        "ties_away": "sign(x) * ((|x| + 2^(s-1)) >> s) and (x + 2^(s-1) - (x < 0)) >> s",
        "ties_even": "(x >> s) plus 1 above the half, or at it where x >> s is odd, and "
        "(x + 2^(s-1) - 1 + ((x >> s) & 1)) >> s",
    }
    for name, clause in zip(RULES, ("R-1", "R-2", "R-3")):
        made.append(
            Obligation(
                f"{name}_forms",
                clause,
                f"{words[name]} are equal, and are the clause",
                "x any int64, s from 1 to 63, the sums in 65 bits",
                {f"s={s}": partial(two_forms, name, s) for s in SHIFTS},
                words=True,
                logic="QF_BV",
            )
        )
    return made


def obligations() -> list[Obligation]:
    """The steps of rounding.py and their lemmas."""
    return [
        Obligation(
            "saturate",
            "F-2",
            "saturate is min(max(v, qmin), qmax), and its result is in [qmin, qmax]",
            "v, qmin, qmax any int64, qmin <= qmax",
            {"all": saturating},
            words=True,
            logic="QF_BV",
            function="rounding.saturate",
            judge=lambda v, low, high: judge.saturate(v, fmt_of(low, high)),
        ),
        rounding("ties_up", "R-1"),
        rounding("ties_away", "R-2"),
        rounding("ties_even", "R-3"),
        Obligation(
            "shift_round",
            "R-1, R-2, R-3",
            "shift_round is the rounding that its number names",
            "any x and s, the three roundings of this table",
            {n: partial(dispatching, i) for i, n in enumerate(RULES)},
            words=True,
            logic="QF_UFBV",
            function="rounding.shift_round",
            uses=tuple(RULES),
            judge=lambda x, s, r: judge.shift_round(x, s, rounding_of(r)),
            fallback=(lambda name, low, high: 1,),
        ),
        *lemmas(),
    ]
