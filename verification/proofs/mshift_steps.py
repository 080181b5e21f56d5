"""Multiplier and shift, and the steps of datapath M, over mathematical integers.  [SPEC M, G-M, L-2]"""

from __future__ import annotations

from typing import Any

import z3

from golden.spec.layout import MULTIPLIERS
from verification.exact import gates, hidden, rescale
from verification.proofs.case import INT32, Case
from verification.proofs.clauses import ONE, Clauses, between, contracts, magnitude, sat
from verification.proofs.obligation import Obligation
from verification.proofs.replay_parts import fmt_of, mshift_of, table_of
from verification.proofs.values import Cells, Table

INT8 = (-128, 127)
PRE = {8: INT8, 16: (-32768, 32767)}
ACC = 2**47
M_LAST, RRH_LAST, SHIFT_LAST = 2**31 - 1, 2**24 - 1, 31
GATE = ("Rh_aligned", "bx_aligned", "br_aligned", "acc", "a", "pre", "gate")
CANDIDATE = ("br_aligned", "b_acc", "b", "rb", "c", "bx_aligned", "acc", "a", "pre", "g")
HIDDEN = ("n_acc", "n", "S", "h_new")
KNOWN_SHIFTS = tuple(lambda name, low, high, s=s: min(max(s, low), high) for s in (1, 0, 3, 18))
WITHIN = "v int32, 0 <= M <= 2^31-1, 0 <= s <= 31"


def gm1(c: Clauses, Wx: Any, Rh: Any, bx: Any, br: Any, *rest: Any) -> tuple[Any, ...]:
    """GM-1: the update or the reset gate."""
    m_Rh, s_Rh, m_bx, s_bx, m_br, s_br, m, s, zp, low, high, table = rest
    Rh_aligned, bx_aligned, br_aligned = c.align(Rh, m_Rh, s_Rh), c.align(bx, m_bx, s_bx), c.align(br, m_br, s_br)
    acc = Wx + Rh_aligned + bx_aligned + br_aligned
    a = sat(acc, *INT32)
    pre = c.requantize(a, m, s, zp, low, high)
    return Rh_aligned, bx_aligned, br_aligned, acc, a, pre, c.activation(pre, table)


def gm2(c: Clauses, Wx: Any, Rh: Any, bx: Any, br: Any, r: Any, *rest: Any) -> tuple[Any, ...]:
    """GM-2: the candidate."""
    m_br, s_br, m_rRh, s_rRh, m_bx, s_bx, m, s, zp, low, high, table = rest
    br_aligned = c.align(br, m_br, s_br)
    b = sat(Rh + br_aligned, *INT32)
    product = sat(c.ties_up(r * b * m_rRh, s_rRh), *INT32)
    bx_aligned = c.align(bx, m_bx, s_bx)
    acc = Wx + product + bx_aligned
    a = sat(acc, *INT32)
    pre = c.requantize(a, m, s, zp, low, high)
    return br_aligned, Rh + br_aligned, b, r * b, product, bx_aligned, acc, a, pre, c.activation(pre, table)


def gm3(c: Clauses, z: Any, g: Any, h: Any, m_gh: Any, s_gh: Any, m_one: Any, s_one: Any, zp: Any) -> tuple[Any, ...]:
    """GM-3: the new state."""
    n = c.align((ONE - z) * g, m_gh, s_gh)
    S = z * (h - zp) + n
    return (ONE - z) * g, n, S, sat(c.apply(S, m_one, s_one) + zp, *INT8)


def multiplier(case: Case, name: str, last: int = M_LAST) -> tuple[Any, Any]:
    """An MShift's two numbers.  [SPEC M-1]"""
    return case.integer(f"m_{name}", 0, last), case.shift(f"s_{name}", 0, SHIFT_LAST)


def products(case: Case, v: Any, last: int, m: Any, m_last: int) -> None:
    """An instance of the lemma product: |v| <= last and 0 <= m <= m_last bound v * m."""
    holds = z3.And(v * m <= last * m_last, v * m >= -last * m_last)
    case.facts.append(z3.Implies(z3.And(magnitude(v) <= last, m >= 0, m <= m_last), holds))


def applying(name: str, case: Case) -> None:
    c = Clauses(case)
    v = case.integer("v", *INT32)
    m, s = multiplier(case, "m")
    products(case, v, 2**31, m, M_LAST)
    if name == "apply":
        case.contract(contracts(c, "rounding.ties_up"))
        case.equal(["q"], case.run("rescale.apply", v, m, s), c.apply(v, m, s))
    elif name == "align":
        case.contract(contracts(c, "rescale.apply"))
        case.equal(["q"], case.run("rescale.align", v, m, s), c.align(v, m, s))
    else:
        case.contract(contracts(c, "rescale.apply"))
        zp, low, high = case.integer("zero_point", *INT32), case.integer("qmin", *INT32), case.integer("qmax", *INT32)
        case.assume(low <= high)
        found = case.run("rescale.requantize", v, m, s, zp, low, high)
        case.equal(["q"], found, c.requantize(v, m, s, zp, low, high))


def gate_table(case: Case, bits: int) -> Table:
    """A direct table between the gate's input format and int8."""
    low, high = PRE[bits]
    header = {0: int(bits == 16), 1: 256, 2: 0, 3: low, 4: high, 5: -128, 6: 127}
    return case.table("table", header, 256, [INT8])


def gate(bits: int, case: Case) -> None:
    c = Clauses(case)
    case.contract(contracts(c, "rescale.align", "rescale.requantize", "activation.activate"))
    Wx, Rh = case.integer("Wx", 1 - ACC, ACC - 1), case.integer("Rh", 1 - 2**31, 2**31 - 1)
    bx, br = case.integer("bx", *INT32), case.integer("br", *INT32)
    numbers = [n for k in ("Rh", "bx", "br", "pre") for n in multiplier(case, k)]
    zp, table = case.integer("zero_point", *INT32), gate_table(case, bits)
    arguments = (Wx, Rh, bx, br, *numbers, zp, *PRE[bits], table)
    case.equal(GATE, case.run("gates.mshift_gate", *arguments), gm1(c, *arguments))


def candidate(bits: int, case: Case) -> None:
    c = Clauses(case)
    case.contract(contracts(c, "rescale.align", "rescale.requantize", "activation.activate", "rounding.ties_up"))
    Wx, Rh = case.integer("Wx", 1 - ACC, ACC - 1), case.integer("Rh", 1 - 2**31, 2**31 - 1)
    bx, br, r = case.integer("bx", *INT32), case.integer("br", *INT32), case.integer("r", 0, 127)
    m_br, m_rRh, m_bx, m_pre = (multiplier(case, k, RRH_LAST if k == "rRh" else M_LAST) for k in ("br", "rRh", "bx", "pre"))
    zp, table = case.integer("zero_point", *INT32), gate_table(case, bits)
    arguments = (Wx, Rh, bx, br, r, *m_br, *m_rRh, *m_bx, *m_pre, zp, *PRE[bits], table)
    wanted = gm2(c, *arguments)
    products(case, wanted[2], 2**31, r, 127)
    products(case, wanted[3], 2**38, m_rRh[0], RRH_LAST)
    case.equal(CANDIDATE, case.run("gates.mshift_candidate", *arguments), wanted)


def state_bound(case: Case, c: Clauses, zp: Any, m_gh: Any, s_gh: Any) -> None:
    """The refusal of GM-3: 127 * max|h - zp| + B_n < 2^31."""
    widest = z3.If(zp + 128 > 127 - zp, zp + 128, 127 - zp)
    B_n = c.bounded_up(127 * 128 * m_gh, s_gh)
    case.assume(127 * widest + z3.If(B_n < 2**31 - 1, B_n, 2**31 - 1) < 2**31)


def new_state(case: Case) -> None:
    c = Clauses(case)
    case.contract(contracts(c, "rescale.align", "rescale.apply"))
    z, g, h = case.integer("z", 0, 127), case.integer("g", *INT8), case.integer("h", *INT8)
    (m_gh, s_gh), (m_one, s_one) = multiplier(case, "gh"), multiplier(case, "one")
    zp = case.integer("zero_point", *INT32)
    state_bound(case, c, zp, m_gh, s_gh)
    n_acc, distance = (ONE - z) * g, h - zp
    size = (n_acc <= 127 * 128, n_acc >= -127 * 128)
    widest = z3.If(zp + 128 > 127 - zp, zp + 128, 127 - zp)
    case.facts += [z3.And(*size), z3.And(z * distance <= 127 * widest, z * distance >= -127 * widest)]  # lemma: product
    case.facts += [z3.And(n_acc * m_gh <= 127 * 128 * m_gh, n_acc * m_gh >= -127 * 128 * m_gh)]  # lemma: product
    arguments = (z, g, h, m_gh, s_gh, m_one, s_one, zp)
    wanted = gm3(c, *arguments)
    case.goal("S stays in int32", between(INT32[0], wanted[2], INT32[1]))
    case.equal(HIDDEN, case.run("hidden.mshift_hidden", *arguments), wanted)


def product_lemma(case: Case) -> None:
    a, b, A, B = (case.integer(n, -(2**80), 2**80) for n in ("a", "b", "A", "B"))
    case.assume(magnitude(a) <= A, magnitude(b) <= B)
    case.goal("|a * b| <= A * B", magnitude(a * b) <= A * B)


def monotone(case: Case) -> None:
    c = Clauses(case)
    m, s = multiplier(case, "m")
    v, w = case.integer("v", *INT32), case.integer("w", *INT32)
    zp, low, high = case.integer("zero_point", *INT32), case.integer("qmin", *INT32), case.integer("qmax", *INT32)
    case.assume(low <= high, v <= w)
    case.goal("v * M <= w * M", v * m <= w * m)
    case.facts.append(z3.Implies(v * m <= w * m, c.ties_up(v * m, s) <= c.ties_up(w * m, s)))  # lemma: ties_up_monotone
    case.goal("requantize(v) <= requantize(w)", c.requantize(v, m, s, zp, low, high) <= c.requantize(w, m, s, zp, low, high))


def same_sign(case: Case) -> None:
    v, zp = case.integer("v"), case.integer("zero_point", *INT32)
    low, high = case.integer("qmin", *INT32), case.integer("qmax", *INT32)
    case.assume(low <= high)
    q = sat(v, low, high)
    signed = z3.And(low < 0, high >= 0)
    case.goal("a signed format keeps the sign", z3.Implies(signed, (q < 0) == (v < 0)))
    case.goal("an unsigned format takes what is negative to 0", z3.Implies(low == 0, q == z3.If(v < 0, 0, sat(v, low, high))))
    moved = sat(v + zp, low, high) - zp
    inside = z3.And(zp >= low, zp <= high)
    never = z3.And(z3.Implies(v > 0, moved >= 0), z3.Implies(v < 0, moved <= 0), z3.Implies(v == 0, moved == 0))
    case.goal("with a zero point in the format, what stands for v is never of the other sign", z3.Implies(inside, never))
    case.goal("with a zero point above the format, it is always negative", z3.Implies(zp > high, moved < 0))
    case.goal("with a zero point below the format, it is always positive", z3.Implies(zp < low, moved > 0))


def cell(bits: int, case: Case) -> None:
    """The gates and the state of one unit are put together as G-M says, each with its own multipliers."""
    c = Clauses(case)
    m: dict[str, tuple[Any, Any]] = {k: multiplier(case, k[2:], RRH_LAST if k == "m_rRh" else M_LAST) for k in MULTIPLIERS}
    zp = {k: case.integer(f"zp_{k}", *INT32) for k in ("x", "h", "z", "r", "g")}
    Wx = [case.integer(f"Wx_{k}", 1 - ACC, ACC - 1) for k in "zrg"]
    Rh = [case.integer(f"Rh_{k}", 1 - 2**31, 2**31 - 1) for k in "zrg"]
    bx, br = ([case.integer(f"{b}_{k}", *INT32) for k in "zrg"] for b in ("bx", "br"))
    h = case.integer("h", *INT8)
    low, high = PRE[bits]
    tables = []
    for k in "zrg":
        header = {0: int(bits == 16), 1: 256, 2: 0, 3: low, 4: high, 5: 0 if k != "g" else -128, 6: 127}
        tables.append(case.table(f"table_{k}", header, 256, [(0 if k != "g" else -128, 127)]))
    row = [n[0] for n in m.values()] + [n[1] for n in m.values()] + list(zp.values()) + [low, high, 0, 0, 0]
    state_bound(case, c, zp["h"], *m["m_gh"])
    case.contract({"gates.mshift_gate": lambda *a: gm1(c, *a), "gates.mshift_candidate": lambda *a: gm2(c, *a)})
    case.contract({"hidden.mshift_hidden": lambda *a: gm3(c, *a)})
    ends = (low, high)
    common = {k: (*m[f"m_Rh_{k}"], *m["m_bx"], *m[f"m_br_{k}"], *m[f"m_{k}"], zp[k], *ends) for k in "zr"}
    zs = gm1(c, Wx[0], Rh[0], bx[0], br[0], *common["z"], tables[0])
    rs = gm1(c, Wx[1], Rh[1], bx[1], br[1], *common["r"], tables[1])
    last = (*m["m_br_g"], *m["m_rRh"], *m["m_bx"], *m["m_g"], zp["g"], *ends, tables[2])
    gs = gm2(c, Wx[2], Rh[2], bx[2], br[2], rs[6], *last)
    hs = gm3(c, zs[6], gs[9], h, *m["m_gh"], *m["m_one"], zp["h"])
    names = {f"z_{n}": v for n, v in zip(GATE, zs)} | {f"r_{n}": v for n, v in zip(GATE, rs)}
    names |= {f"g_{n}": v for n, v in zip(CANDIDATE, gs)} | dict(zip(HIDDEN, hs))
    wanted = {"z": zs[6], "r": rs[6], "g": gs[9], "g_bx_aligned": gs[5], "g_br_aligned": gs[0]} | names
    found = case.run("cell.mshift_cell", *Wx, *Rh, *bx, *br, h, Cells_of(row), *tables)
    groups = case.machine.twin.globals_of("cell.mshift_cell")
    fields = [n for g in ("MSHIFT_32", "MSHIFT_64", "MSHIFT_BIAS") for n in groups[g]]
    case.equal(fields, found, tuple(wanted[n] for n in fields))
    for name, value, ends_ in (("z", zs[6], (0, 127)), ("r", rs[6], (0, 127)), ("g", gs[9], INT8), ("h_new", hs[3], INT8)):
        case.goal(f"{name} is what the next step is given", between(ends_[0], value, ends_[1]))


def Cells_of(row: list[Any]) -> Cells:
    """A row of numbers as the twin indexes it."""
    import numpy as np

    return Cells(np.array(row, object))


def judge_gate(Wx: int, Rh: int, bx: int, br: int, *rest: Any) -> tuple[Any, ...]:
    m, (zp, low, high, table) = [mshift_of(*rest[i : i + 2]) for i in (0, 2, 4, 6)], rest[8:]
    f = gates.mshift_gate(Wx, Rh, bx, br, m[0], m[1], m[2], m[3], zp, fmt_of(low, high), table_of(table))
    return tuple(f[n] for n in (*GATE[:-1], ""))


def judge_candidate(Wx: int, Rh: int, bx: int, br: int, r: int, *rest: Any) -> tuple[Any, ...]:
    m, (zp, low, high, table) = [mshift_of(*rest[i : i + 2]) for i in (0, 2, 4, 6)], rest[8:]
    f = gates.mshift_candidate(Wx, Rh, bx, br, r, m[0], m[1], m[2], m[3], zp, fmt_of(low, high), table_of(table))
    return tuple(f["g" if n == "g" else f"g_{n}"] for n in CANDIDATE)


def judge_hidden(z: int, g: int, h: int, m_gh: int, s_gh: int, m_one: int, s_one: int, zp: int) -> tuple[Any, ...]:
    f = hidden.mshift_hidden(z, g, h, zp, mshift_of(m_gh, s_gh), mshift_of(m_one, s_one))
    return tuple(f[n] for n in HIDDEN)


def judge_cell(*a: Any) -> tuple[Any, ...]:
    """The judge's gates and state, put together by the clauses' names."""
    from cuda_impl.cell import MSHIFT_32, MSHIFT_64, MSHIFT_BIAS

    (Wx, Rh, bx, br), (h, row, *tables) = [a[i : i + 3] for i in (0, 3, 6, 9)], a[12:]
    m = {k: (int(row[i]), int(row[12 + i])) for i, k in enumerate(MULTIPLIERS)}
    zp = dict(zip("xhzrg", (int(v) for v in row[24:29])))
    ends = (int(row[29]), int(row[30]))
    f: dict[str, Any] = {}
    for i, k in enumerate("zr"):
        numbers = (*m[f"m_Rh_{k}"], *m["m_bx"], *m[f"m_br_{k}"], *m[f"m_{k}"], zp[k], *ends, tables[i])
        gate_of = judge_gate(Wx[i], Rh[i], bx[i], br[i], *numbers)
        f |= {f"{k}_{n}": v for n, v in zip(GATE, gate_of)} | {k: gate_of[6]}
    numbers = (*m["m_br_g"], *m["m_rRh"], *m["m_bx"], *m["m_g"], zp["g"], *ends, tables[2])
    found = judge_candidate(Wx[2], Rh[2], bx[2], br[2], f["r"], *numbers)
    f |= {f"g_{n}": v for n, v in zip(CANDIDATE, found)} | {"g": found[9]}
    f |= dict(zip(HIDDEN, judge_hidden(f["z"], f["g"], h, *m["m_gh"], *m["m_one"], zp["h"])))
    return tuple(tuple(f[n] for n in group) for group in (MSHIFT_32, MSHIFT_64, MSHIFT_BIAS))


def obligations() -> list[Obligation]:
    """The steps of rescale.py and of datapath M."""
    from functools import partial

    def step(
        name: str, clause: str, statement: str, hypothesis: str, cases: Any, function: str, uses: Any, judge: Any
    ) -> Obligation:
        return Obligation(
            name, clause, statement, hypothesis, cases, function=function, uses=uses, judge=judge, fallback=KNOWN_SHIFTS
        )

    equal = "is its clause in every named intermediate, and nothing leaves int64"
    both = {"8-bit gate inputs": 8, "16-bit gate inputs": 16}
    gate_given = "|Wx| < 2^47, |Rh| < 2^31, biases and zero point int32, any MShifts, any table, any table's answers"
    made = [
        step(
            "apply",
            "M-3",
            "apply is ties_up(v * M, s), the product inside int64",
            WITHIN,
            {"all": partial(applying, "apply")},
            "rescale.apply",
            ("ties_up", "shrinks", "product"),
            lambda v, m, s: rescale.apply(v, mshift_of(m, s)),
        ),
        step(
            "align",
            "M-4",
            "align is saturate(apply(v, m), int32)",
            WITHIN,
            {"all": partial(applying, "align")},
            "rescale.align",
            ("apply", "saturate", "shrinks"),
            lambda v, m, s: rescale.align(v, mshift_of(m, s)),
        ),
        step(
            "requantize",
            "M-5",
            "requantize is saturate(apply(v, m) + zp, fmt), the sum inside int64",
            f"{WITHIN}, zp int32, qmin <= qmax int32",
            {"all": partial(applying, "requantize")},
            "rescale.requantize",
            ("apply", "saturate", "shrinks", "product"),
            lambda v, m, s, zp, low, high: rescale.requantize(v, mshift_of(m, s), zp, fmt_of(low, high)),
        ),
        step(
            "mshift_gate",
            "GM-1",
            f"mshift_gate {equal}",
            gate_given,
            {n: partial(gate, b) for n, b in both.items()},
            "gates.mshift_gate",
            ("align", "requantize", "saturate", "activate", "shrinks"),
            judge_gate,
        ),
        step(
            "mshift_candidate",
            "GM-2",
            f"mshift_candidate {equal}",
            f"{gate_given}; r in [0, 127], M of m_rRh below 2^24",
            {n: partial(candidate, b) for n, b in both.items()},
            "gates.mshift_candidate",
            ("align", "requantize", "ties_up", "saturate", "activate", "shrinks", "product"),
            judge_candidate,
        ),
        step(
            "mshift_hidden",
            "GM-3",
            f"mshift_hidden {equal}; S stays in int32",
            "z in [0, 127], g and h int8, zp int32, any MShifts that GM-3 does not refuse",
            {"all": new_state},
            "hidden.mshift_hidden",
            ("align", "apply", "saturate", "shrinks", "reach", "product"),
            judge_hidden,
        ),
        step(
            "mshift_cell",
            "GM-1, GM-2, GM-3",
            "mshift_cell puts gates and state together as the clauses say, each with its own "
            "multipliers, and gives each what its own proof takes as given",
            "the hypotheses of mshift_gate, mshift_candidate and mshift_hidden",
            {n: partial(cell, b) for n, b in both.items()},
            "cell.mshift_cell",
            ("mshift_gate", "mshift_candidate", "mshift_hidden"),
            judge_cell,
        ),
    ]
    lemmas = [
        ("product", "M-3, L-2", "|a| <= A and |b| <= B give |a * b| <= A * B", "a, b, A, B up to 2^80", product_lemma, ()),
        (
            "requantize_monotone",
            "M-5",
            "v <= w gives requantize(v) <= requantize(w)",
            f"{WITHIN}, zp and bounds int32",
            monotone,
            ("ties_up_monotone",),
        ),
        (
            "saturation_sign",
            "F-2, F-3, M-5",
            "saturation never changes a sign: alone in a signed format; with a zero point exactly where it lies in the "
            "format, else what comes out always has the sign of its distance",
            "v int64, zp, qmin <= qmax int32",
            same_sign,
            (),
        ),
    ]
    made += [Obligation(n, k, s, h, {"all": body}, uses=uses) for n, k, s, h, body, uses in lemmas]
    return made
