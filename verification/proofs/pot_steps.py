"""The steps of datapath P, over mathematical integers.  [SPEC G-P, L-2, R-4]

The hypothesis is the parameter check in the words of the page: every product, every left shift and every sum, zero points
included, stays within (-2^63, 2^63), the magnitudes of the terms over the formats added up.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import z3

from verification.exact import gates, hidden
from verification.exact import rounding as exact_rounding
from verification.proofs.case import INT32, Case
from verification.proofs.clauses import AWAY, EVEN, Clauses, contracts, is_format, magnitude, sat
from verification.proofs.obligation import Obligation
from verification.proofs.replay_parts import fmt_of, op_of, rounding_of, table_of
from verification.proofs.values import Cells, Table

NAMES = ("x", "h", "Wx", "Rh", "z_pre", "z", "r_pre", "r", "g_pre", "g", "A", "P", "O", "N")
LIMIT, ACC = 2**63, 2**47
GATE = ("Wx_aligned", "Rh_aligned", "bx_aligned", "br_aligned", "acc", "pre", "gate")
RESET = ("A_Rh_aligned", "A_br_aligned", "A_acc", "A", "P_prod", "P_acc", "P")
CANDIDATE = ("Wx_aligned", "P_aligned", "bx_aligned", "acc", "pre", "g")
HIDDEN = ("O_prod", "O_acc", "O", "N_prod", "N_acc", "N", "h_O_aligned", "h_N_aligned", "h_acc", "h_new")


def known_exponent(step: int, name: str, low: int, high: int) -> int:
    """Known exponents, spread over their range, and both roundings, to look for counterexamples that replay."""
    if name == "rounding":
        return AWAY if step % 2 else EVEN
    return low + (len(name) * 3 + ord(name[-1]) * step) % 7 if step else 0


FALLBACK = tuple(partial(known_exponent, step) for step in (0, 1, 2, 5))


class Operators:
    """Fourteen operators with any exponents, zero points and formats, as the twin's numbers.

    Every operator that the step does not name stays zero, so that a read of it shows.
    """

    def __init__(self, case: Case, *named: str) -> None:
        self.case, self.c = case, Clauses(case)
        self.rounding = case.shift("rounding", AWAY, EVEN)
        self.e: dict[str, Any] = {}
        self.zp: dict[str, Any] = {}
        self.low: dict[str, Any] = {}
        self.high: dict[str, Any] = {}
        self.wide: dict[str, Any] = {}
        self.cells = Cells(np.zeros((15, 4), object))
        for name in named:
            self.e[name] = case.shift(f"e_{name}", -15, 30)
            self.zp[name] = case.integer(f"zp_{name}", *INT32)
            self.low[name], self.high[name] = case.integer(f"low_{name}"), case.integer(f"high_{name}")
            case.assume(is_format(self.low[name], self.high[name], unsigned=name in "zr"))
            self.wide[name] = case.integer(f"spread_{name}", 0)  # max |q - zp| over the format
            below, above = magnitude(self.low[name] - self.zp[name]), magnitude(self.high[name] - self.zp[name])
            case.assume(self.wide[name] == z3.If(below > above, below, above))
            self.cells.cells[NAMES.index(name)] = self.e[name], self.zp[name], self.low[name], self.high[name]
        self.cells.cells[14, 0] = self.rounding
        case.contract(contracts(self.c, "rounding.shift_round", "activation.activate"))

    def code(self, name: str, term: str) -> Any:
        """A code of an operator's format."""
        code = self.case.integer(term)
        self.case.assume(code >= self.low[name], code <= self.high[name])
        return code

    def bias(self, term: str) -> tuple[Any, Any, Any]:
        """A bias code, its channel's exponent, and the greatest magnitude of its format of 8, 16 or 32 bits."""
        code, wide = self.case.integer(term), self.case.integer(f"spread_{term}")
        self.case.assume(z3.Or(*(wide == 2 ** (bits - 1) for bits in (8, 16, 32))), code >= -wide, code < wide)
        return code, self.case.shift(f"e_{term}", -15, 30), wide

    def moved(self, code: Any, source: str, target: str) -> Any:
        """RS(code - z_source, e_source - e_target)"""
        return self.c.rounded(self.rounding, code - self.zp[source], self.e[source] - self.e[target])

    def moved_bias(self, code: Any, e: Any, target: str) -> Any:
        """RS(bias, e_bias - e_target)"""
        return self.c.rounded(self.rounding, code, e - self.e[target])

    def landed(self, acc: Any, target: str) -> Any:
        """sat(acc) in the operator's format"""
        return sat(acc, self.low[target], self.high[target])

    def summed(self, target: str, *terms: tuple[Any, Any]) -> None:
        """The parameter check of a sum: (magnitude, shift) of each term."""
        reached = [self.c.reach(bound, s) for bound, s in terms]
        self.case.assume(*(bound < LIMIT for bound, _ in terms), *(r < LIMIT for r in reached), *(r >= 0 for r in reached))
        self.case.assume(sum(reached, magnitude(self.zp[target])) < LIMIT)

    def term(self, source: str, target: str) -> tuple[Any, Any]:
        """The magnitude of an operator's codes and the shift to another operator."""
        return self.wide[source], self.e[source] - self.e[target]

    def product(self, a: Any, A: Any, b: Any, B: Any) -> None:
        """An instance of the lemma product."""
        holds = z3.And(a * b <= A * B, a * b >= -(A * B), A * B >= 0)
        self.case.facts.append(z3.Implies(z3.And(magnitude(a) <= A, magnitude(b) <= B), holds))


def linear(case: Case) -> None:
    o = Operators(case, "x", "Wx")
    acc, bound = case.integer("acc"), case.integer("bound", 0, ACC - 1)
    e_W = case.shift("e_W", -15, 30)
    case.assume(magnitude(acc) <= bound)
    s = e_W + o.e["x"] - o.e["Wx"]
    o.summed("Wx", (bound, s))
    found = case.run("gates.pot_linear", acc, e_W, NAMES.index("x"), NAMES.index("Wx"), o.cells)
    case.equal(["q"], found, o.landed(o.c.rounded(o.rounding, acc, s) + o.zp["Wx"], "Wx"))


def pot_table(case: Case, o: Operators, pre: str, out: str) -> Table:
    """Any table between two operators; a counterexample is shown with one straight segment."""
    header = {0: 2, 1: 1, 2: o.zp[pre], 3: o.low[pre], 4: o.high[pre], 5: o.low[out], 6: o.high[out]}
    return case.table("table", header, 1, [INT32, (1, 1), (0, 0), (0, 0)])


def gp2(o: Operators, pre: str, Wx: Any, Rh: Any, bx: Any, br: Any, e_bx: Any, e_br: Any, table: Table) -> tuple[Any, ...]:
    """GP-2: the update or the reset gate."""
    terms = o.moved(Wx, "Wx", pre), o.moved(Rh, "Rh", pre), o.moved_bias(bx, e_bx, pre), o.moved_bias(br, e_br, pre)
    acc = terms[0] + terms[1] + terms[2] + terms[3] + o.zp[pre]
    return *terms, acc, o.landed(acc, pre), o.c.activation(o.landed(acc, pre), table)


def gate(k: str, case: Case) -> None:
    pre = f"{k}_pre"
    o = Operators(case, "Wx", "Rh", pre, k)
    (bx, e_bx, wide_bx), (br, e_br, wide_br) = o.bias("bx"), o.bias("br")
    table = pot_table(case, o, pre, k)
    Wx, Rh = o.code("Wx", "Wx"), o.code("Rh", "Rh")
    biases = ((wide_bx, e_bx - o.e[pre]), (wide_br, e_br - o.e[pre]))
    o.summed(pre, o.term("Wx", pre), o.term("Rh", pre), *biases)
    found = case.run("gates.pot_gate", Wx, Rh, bx, br, e_bx, e_br, NAMES.index(pre), o.cells, table)
    case.equal(GATE, found, gp2(o, pre, Wx, Rh, bx, br, e_bx, e_br, table))


def gp3_4(o: Operators, Rh: Any, br: Any, e_br: Any, r: Any) -> tuple[Any, ...]:
    """GP-3 and GP-4: the reset path."""
    parts = o.moved(Rh, "Rh", "A"), o.moved_bias(br, e_br, "A")
    A_acc = parts[0] + parts[1] + o.zp["A"]
    A = o.landed(A_acc, "A")
    product = (r - o.zp["r"]) * (A - o.zp["A"])
    P_acc = o.c.rounded(o.rounding, product, o.e["r"] + o.e["A"] - o.e["P"]) + o.zp["P"]
    return *parts, A_acc, A, product, P_acc, o.landed(P_acc, "P")


def reset_path(case: Case) -> None:
    o = Operators(case, "Rh", "r", "A", "P")
    br, e_br, wide = o.bias("br")
    Rh, r = o.code("Rh", "Rh"), o.code("r", "r")
    o.summed("A", o.term("Rh", "A"), (wide, e_br - o.e["A"]))
    o.summed("P", (o.wide["r"] * o.wide["A"], o.e["r"] + o.e["A"] - o.e["P"]))
    wanted = gp3_4(o, Rh, br, e_br, r)
    o.product(r - o.zp["r"], o.wide["r"], wanted[3] - o.zp["A"], o.wide["A"])
    case.equal(RESET, case.run("gates.pot_reset_path", Rh, br, e_br, r, o.cells), wanted)


def gp5(o: Operators, Wx: Any, P: Any, bx: Any, e_bx: Any, table: Table) -> tuple[Any, ...]:
    """GP-5: the candidate."""
    terms = o.moved(Wx, "Wx", "g_pre"), o.moved(P, "P", "g_pre"), o.moved_bias(bx, e_bx, "g_pre")
    acc = terms[0] + terms[1] + terms[2] + o.zp["g_pre"]
    pre = o.landed(acc, "g_pre")
    return *terms, acc, pre, o.c.activation(pre, table)


def candidate(case: Case) -> None:
    o = Operators(case, "Wx", "P", "g_pre", "g")
    bx, e_bx, wide = o.bias("bx")
    table = pot_table(case, o, "g_pre", "g")
    Wx, P = o.code("Wx", "Wx"), o.code("P", "P")
    o.summed("g_pre", o.term("Wx", "g_pre"), o.term("P", "g_pre"), (wide, e_bx - o.e["g_pre"]))
    found = case.run("gates.pot_candidate", Wx, P, bx, e_bx, o.cells, table)
    case.equal(CANDIDATE, found, gp5(o, Wx, P, bx, e_bx, table))


def gp7_8(o: Operators, z: Any, g: Any, h: Any, one: Any) -> tuple[Any, ...]:
    """GP-7 and GP-8: the new state."""
    old, new = (z - o.zp["z"]) * (h - o.zp["h"]), (one - z) * (g - o.zp["g"])
    O_acc = o.c.rounded(o.rounding, old, o.e["z"] + o.e["h"] - o.e["O"]) + o.zp["O"]
    N_acc = o.c.rounded(o.rounding, new, o.e["z"] + o.e["g"] - o.e["N"]) + o.zp["N"]
    kept, taken = o.landed(O_acc, "O"), o.landed(N_acc, "N")
    parts = o.moved(kept, "O", "h"), o.moved(taken, "N", "h")
    acc = parts[0] + parts[1] + o.zp["h"]
    return old, O_acc, kept, new, N_acc, taken, *parts, acc, o.landed(acc, "h")


def new_state(case: Case) -> None:
    o = Operators(case, "h", "z", "g", "O", "N")
    one = case.integer("one", -(2**32), 2**32)
    o.cells.cells[14, 1] = one
    z, g, h = o.code("z", "z"), o.code("g", "g"), o.code("h", "h")
    below, above = magnitude(one - o.low["z"]), magnitude(one - o.high["z"])
    spread_one = case.integer("spread_one", 0)
    case.assume(spread_one == z3.If(below > above, below, above))
    o.summed("O", (o.wide["z"] * o.wide["h"], o.e["z"] + o.e["h"] - o.e["O"]))
    o.summed("N", (spread_one * o.wide["g"], o.e["z"] + o.e["g"] - o.e["N"]))
    o.summed("h", o.term("O", "h"), o.term("N", "h"))
    o.product(z - o.zp["z"], o.wide["z"], h - o.zp["h"], o.wide["h"])
    o.product(one - z, spread_one, g - o.zp["g"], o.wide["g"])
    case.equal(HIDDEN, case.run("hidden.pot_hidden", z, g, h, o.cells), gp7_8(o, z, g, h, one))


def code_of_one(e: int, case: Case) -> None:
    """GP-6 for one exponent; the rounding written out."""
    zp = case.integer("zero_point", *INT32)
    c = Clauses(case)
    for number in (AWAY, EVEN):
        case.machine.contracts["rounding.shift_round"] = lambda x, s, r: c.rounded(r, x, s)
        found = case.run("hidden.pot_one", e, zp, number)
        exact = 2**e if e >= 0 else (1 if e == -1 and number == AWAY else 0)  # RS(1, -e): 2^e, or a half, or less
        case.equal([f"one with rounding {number}"], found, exact + zp)


def cell(case: Case) -> None:
    """The gates and the state of one unit are put together as G-P says, each with its own operators."""
    o = Operators(case, *NAMES[1:])
    one = case.integer("one", -(2**32), 2**32)
    if case.fixed is not None:  # a counterexample is shown with zero points that are codes, so that nothing leaves int64
        case.assume(*(z3.And(o.zp[n] >= o.low[n], o.zp[n] <= o.high[n]) for n in NAMES[1:]), magnitude(one) <= 2**17)
    o.cells.cells[14, 1] = one
    Wx, Rh = [o.code("Wx", f"Wx_{k}") for k in "zrg"], [o.code("Rh", f"Rh_{k}") for k in "zrg"]
    (bx, e_bx, _), (br, e_br, _) = (list(zip(*(o.bias(f"{b}_{k}") for k in "zrg"))) for b in ("bx", "br"))
    h = o.code("h", "h")
    tables = []
    for k in "zrg":
        header = {0: 2, 1: 1, 2: o.zp[f"{k}_pre"], 3: o.low[f"{k}_pre"], 4: o.high[f"{k}_pre"], 5: o.low[k], 6: o.high[k]}
        tables.append(case.table(f"table_{k}", header, 1, [INT32, (1, 1), (0, 0), (0, 0)]))
    case.contract(
        {
            "gates.pot_gate": lambda Wx, Rh, bx, br, ex, er, op, ops, t: gp2(o, NAMES[op], Wx, Rh, bx, br, ex, er, t),
            "gates.pot_reset_path": lambda Rh, br, e, r, ops: gp3_4(o, Rh, br, e, r),
            "gates.pot_candidate": lambda Wx, P, bx, e, ops, t: gp5(o, Wx, P, bx, e, t),
            "hidden.pot_hidden": lambda z, g, h, ops: gp7_8(o, z, g, h, one),
        }
    )
    f: dict[str, Any] = {}
    for i, k in enumerate("zr"):
        found = gp2(o, f"{k}_pre", Wx[i], Rh[i], bx[i], br[i], e_bx[i], e_br[i], tables[i])
        f |= {f"{k}_{n}": v for n, v in zip(GATE, found)} | {k: found[6]}
    f |= dict(zip(RESET, gp3_4(o, Rh[2], br[2], e_br[2], f["r"])))
    f |= {"g" if n == "g" else f"g_{n}": v for n, v in zip(CANDIDATE, gp5(o, Wx[2], f["P"], bx[2], e_bx[2], tables[2]))}
    f |= dict(zip(HIDDEN, gp7_8(o, f["z"], f["g"], h, one)))
    fields = [n for g in ("POT_32", "POT_64", "POT_BIAS") for n in case.machine.twin.globals_of("cell.pot_cell")[g]]
    found = case.run("cell.pot_cell", *Wx, *Rh, *bx, *br, *e_bx, *e_br, h, o.cells, *tables)
    case.equal(fields, found, tuple(f[n] for n in fields))
    for name, operator in (("z", "z"), ("r", "r"), ("g", "g"), ("A", "A"), ("P", "P"), ("h_new", "h")):
        case.goal(f"{name} is a code of its format", z3.And(f[name] >= o.low[operator], f[name] <= o.high[operator]))


def judge_gate(Wx: int, Rh: int, bx: int, br: int, e_bx: int, e_br: int, pre: int, ops: np.ndarray, table: np.ndarray) -> Any:
    parts = op_of(ops, 2), op_of(ops, 3), e_bx, e_br, op_of(ops, pre)
    f = gates.pot_gate(Wx, Rh, bx, br, *parts, table_of(table), rounding_of(ops[14, 0]))
    return tuple(f[n] for n in (*GATE[:-1], ""))


def judge_reset(Rh: int, br: int, e_br: int, r: int, ops: np.ndarray) -> Any:
    f = gates.pot_reset_path(
        Rh, br, r, op_of(ops, 3), e_br, op_of(ops, 10), op_of(ops, 7), op_of(ops, 11), rounding_of(ops[14, 0])
    )
    return tuple(f[n] for n in RESET)


def judge_candidate(Wx: int, P: int, bx: int, e_bx: int, ops: np.ndarray, table: np.ndarray) -> Any:
    parts = op_of(ops, 2), op_of(ops, 11), e_bx, op_of(ops, 8)
    f = gates.pot_candidate(Wx, P, bx, *parts, table_of(table), rounding_of(ops[14, 0]))
    return tuple(f["g" if n == "g" else f"g_{n}"] for n in CANDIDATE)


def judge_hidden(z: int, g: int, h: int, ops: np.ndarray) -> Any:
    o = {k: op_of(ops, k) for k in (5, 9, 1, 12, 13)}
    f = hidden.pot_hidden(z, g, h, int(ops[14, 1]), o[5], o[9], o[1], o[12], o[13], rounding_of(ops[14, 0]))
    return tuple(f[n] for n in HIDDEN)


def judge_linear(acc: int, e_W: int, data: int, out: int, ops: np.ndarray) -> int:
    source, target = op_of(ops, data), op_of(ops, out)
    moved = exact_rounding.shift_round(acc, e_W + source.exponent - target.exponent, rounding_of(ops[14, 0]))
    return exact_rounding.saturate(moved + target.zero_point, target.fmt)


def judge_cell(*a: Any) -> Any:
    """The judge's gates and state, put together by the clauses' names."""
    from cuda_impl.cell import POT_32, POT_64, POT_BIAS

    (Wx, Rh, bx, br, e_bx, e_br), (h, ops, *tables) = [a[i : i + 3] for i in range(0, 18, 3)], a[18:]
    f: dict[str, Any] = {}
    for i, k in enumerate("zr"):
        found = judge_gate(Wx[i], Rh[i], bx[i], br[i], e_bx[i], e_br[i], 4 + 2 * i, ops, tables[i])
        f |= {f"{k}_{n}": v for n, v in zip(GATE, found)} | {k: found[6]}
    f |= dict(zip(RESET, judge_reset(Rh[2], br[2], e_br[2], f["r"], ops)))
    found = judge_candidate(Wx[2], f["P"], bx[2], e_bx[2], ops, tables[2])
    f |= {"g" if n == "g" else f"g_{n}": v for n, v in zip(CANDIDATE, found)}
    f |= dict(zip(HIDDEN, judge_hidden(f["z"], f["g"], h, ops)))
    return tuple(tuple(f[n] for n in group) for group in (POT_32, POT_64, POT_BIAS))


def obligations() -> list[Obligation]:
    """The steps of datapath P."""
    equal = "is its clause in every named intermediate, and nothing leaves int64"
    given = "any formats, zero points, exponents and rounding of the operators that the parameter check does not refuse"
    base = ("shift_round", "saturate", "shrinks", "reach")
    cells = ("pot_gate", "pot_reset_path", "pot_candidate", "pot_hidden")
    rows: list[tuple[str, str, Any, str, tuple[str, ...], Any]] = [
        ("pot_linear", "GP-1", {"all": linear}, "gates.pot_linear", base, judge_linear),
        (
            "pot_gate",
            "GP-2",
            {"z": partial(gate, "z"), "r": partial(gate, "r")},
            "gates.pot_gate",
            (*base, "activate"),
            judge_gate,
        ),
        ("pot_reset_path", "GP-3, GP-4", {"all": reset_path}, "gates.pot_reset_path", (*base, "product"), judge_reset),
        ("pot_candidate", "GP-5", {"all": candidate}, "gates.pot_candidate", (*base, "activate"), judge_candidate),
        ("pot_hidden", "GP-7, GP-8", {"all": new_state}, "hidden.pot_hidden", (*base, "product"), judge_hidden),
    ]
    made = [
        Obligation(n, k, f"{n} {equal}", given, cases, function=f, uses=uses, judge=judge, fallback=FALLBACK)
        for n, k, cases, f, uses, judge in rows
    ]
    made.append(
        Obligation(
            "pot_one",
            "GP-6",
            "pot_one is RS(1, -e_zout) + z_zout, not saturated",
            "e from -15 to 30, both roundings, zp int32",
            {f"e={e}": partial(code_of_one, e) for e in range(-15, 31)},
            function="hidden.pot_one",
            uses=("shift_round",),
            judge=lambda e, zp, r: hidden.pot_one(gates.Op(fmt_of(0, 255), e, zp), rounding_of(r)),
        )
    )
    made.append(
        Obligation(
            "pot_cell",
            "GP-2 ... GP-8",
            "pot_cell puts gates and state together as the clauses say, each with its own operators; every result is "
            "a code of its format",
            given,
            {"all": cell},
            function="cell.pot_cell",
            uses=cells,
            judge=judge_cell,
            fallback=FALLBACK,
        )
    )
    return made
