"""The integer products for bounded lengths, the bounds of their partial sums, and zoneout.  [SPEC L, Z]"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import z3

from golden.spec.formats import BOUNDS
from verification.exact import hidden, linear
from verification.proofs.case import INT32, Case
from verification.proofs.clauses import Clauses, magnitude, sat
from verification.proofs.obligation import Obligation
from verification.proofs.replay_parts import fmt_of
from verification.proofs.values import Cells

SPAN = 2**31 - 1
# (greatest weight, greatest code, products that fit an int32 accumulator, lengths, outputs)
SHAPES = (
    (128, 128, 131071, (1, 2, 3, 4, 5, 9), 1),
    (128, 128, 131071, (5,), 2),
    (2048, 65535, 16, (16, 17, 18), 1),
    (32768, 65535, 0, (1, 2, 5), 1),
)


def cells(case: Case, name: str, shape: tuple[int, ...], bound: int, kind: str) -> Cells:
    """An array of inputs of at most this magnitude."""
    made = np.empty(shape, object)
    for index in np.ndindex(*shape):
        made[index] = case.integer("_".join([name, *map(str, index)]), -bound, bound)
    return Cells(made, kind)


def multiply(length: int, width: int, weight: int, code: int, block: int, case: Case) -> None:
    W, x = cells(case, "W", (length, width), weight, "int16"), cells(case, "x", (length,), code, "int32")
    zp = case.integer("zero_point", *INT32)
    sums = [sum(W.cells[:, m].tolist()) for m in range(width)]
    for m, total in enumerate(sums):
        reach = 2**31 * length * weight
        case.facts.append(z3.And(zp * total <= reach, zp * total >= -reach))  # lemma: product
        for k in range(length):
            p = W.cells[k, m] * x.cells[k]
            case.facts.append(z3.And(p <= weight * code, p >= -weight * code))  # lemma: product
    out = Cells(np.zeros(width, object))
    case.run("linear.matmul", x, W, Cells(np.array(sums, object)), zp, block, out)
    wanted = tuple(sum(W.cells[k, m] * (x.cells[k] - zp) for k in range(length)) for m in range(width))
    case.equal([f"out[{m}]" for m in range(width)], tuple(out.cells.tolist()), wanted)


def summed(length: int, case: Case) -> None:
    W, out = cells(case, "W", (length, 2), 32768, "int16"), Cells(np.zeros(2, object))
    case.run("linear.column_sums", W, out)
    case.equal(["out[0]", "out[1]"], tuple(out.cells.tolist()), tuple(sum(W.cells[:, m].tolist()) for m in range(2)))


def block(case: Case) -> None:
    sizes = {max(abs(low), abs(high)) for (bits, _), (low, high) in BOUNDS.items() if bits <= 16}
    for w in sorted(sizes):
        for q in sorted(sizes):
            found = case.machine.call("linear.safe_block", (w, q))
            case.goal(f"{found} products of {w} * {q} fit", found * w * q <= SPAN and found >= 0)


def partial_sum(case: Case) -> None:
    """The induction over the summands, in any order: before it A = 0, after the last A is at most B."""
    a, p, A, P, B = (case.integer(n, -(2**80), 2**80) for n in ("a", "p", "A", "P", "B"))
    case.assume(magnitude(a) <= A, magnitude(p) <= P, A + P <= B)
    case.goal("|a + p| <= A + P", magnitude(a + p) <= A + P)
    case.goal("B < 2^31 keeps it in int32", z3.Implies(B < 2**31, z3.And(a + p >= INT32[0], a + p <= INT32[1])))
    case.goal("B < 2^47 keeps it in int64", z3.Implies(B < 2**47, z3.And(a + p >= -(2**63), a + p < 2**63)))


def blend(case: Case) -> None:
    c = Clauses(case)
    k, zp = case.integer("k", 0, 2**15), case.integer("zero_point", *INT32)
    low, high = case.integer("qmin", -(2**15), 0), case.integer("qmax", 0, 2**16 - 1)
    h, new = case.integer("h_prev", -(2**15), 2**16 - 1), case.integer("h_new", -(2**15), 2**16 - 1)
    for a, b in ((k, h - zp), (2**15 - k, new - zp)):
        case.facts.append(z3.And(a * b <= 2**48, a * b >= -(2**48)))  # lemma: product
    acc = k * (h - zp) + (2**15 - k) * (new - zp)
    wanted = acc, sat(c.ties_up(acc, 15) + zp, low, high)
    case.contract({"rounding.ties_up": c.ties_up})
    case.equal(["acc", "h"], case.run("hidden.zoneout_blend", k, h, new, zp, low, high), wanted)


def masked(case: Case) -> None:
    mask, h, new = case.integer("mask", 0, 1), case.integer("h_prev", *INT32), case.integer("h_new", *INT32)
    case.equal(["h"], case.run("hidden.zoneout_mask", mask, h, new), z3.If(mask == 1, h, new))


def judge_matmul(x: np.ndarray, W: np.ndarray, sums: np.ndarray, zp: int, block_size: int, out: np.ndarray) -> Any:
    return [linear.matmul(x.tolist(), W[:, m].tolist(), int(zp)) for m in range(W.shape[1])]


def obligations() -> list[Obligation]:
    """The steps of linear.py, L-2, and zoneout."""
    products: dict[str, Any] = {}
    for weight, code, fits, lengths, width in SHAPES:
        for length in lengths:
            name = f"K={length}, M={width}, |W| <= {weight}, |x| <= {code}, {fits} to an int32"
            products[name] = partial(multiply, length, width, weight, code, fits)
    return [
        Obligation(
            "matmul",
            "L-1, L-2",
            "matmul is the exact sum of W * (x - zp); no int32 partial sum and nothing else wraps",
            "zp int32, any weights and codes of the widths, K up to 18 with 1, 2 and 4 products at a time, one and two blocks",
            products,
            function="linear.matmul",
            uses=("product", "safe_block"),
            judge=judge_matmul,
            pick=lambda found, given: given[5].tolist(),
            covered="K of any length: the induction of partial_sum; tests and the fuzzer",
        ),
        Obligation(
            "column_sums",
            "L-1",
            "column_sums is the sum of each column",
            "any int16 weights, K from 1 to 6, two columns",
            {f"K={k}": partial(summed, k) for k in range(1, 7)},
            logic="QF_LIA",
            function="linear.column_sums",
            judge=lambda W, out: [linear.matmul([1] * len(W), W[:, m].tolist(), 0) for m in range(2)],
            pick=lambda found, given: given[1].tolist(),
        ),
        Obligation(
            "safe_block",
            "L-2",
            "as many products as safe_block says fit an int32 accumulator",
            "the greatest magnitudes of any two formats",
            {"all": block},
            logic="QF_LIA",
            function="linear.safe_block",
        ),
        Obligation(
            "partial_sum",
            "L-2",
            "with B < 2^31 every partial sum, in any order, fits int32; with B < 2^47 it fits int64: one more "
            "summand keeps |sum| within the sum of the magnitudes, which is at most B",
            "any summand and any partial sum; the step of an induction over the summands",
            {"all": partial_sum},
            logic="QF_LIA",
        ),
        Obligation(
            "zoneout_blend",
            "Z-2",
            "zoneout_blend is its clause in both numbers, and nothing leaves int64",
            "k from 0 to 2^15, states of any format of 16 bits or less, zp int32",
            {"all": blend},
            function="hidden.zoneout_blend",
            uses=("ties_up", "saturate", "product"),
            judge=lambda k, h, n, zp, lo, hi: hidden.zoneout_blend(k, h, n, zp, fmt_of(lo, hi)),
        ),
        Obligation(
            "zoneout_mask",
            "Z-1",
            "zoneout_mask keeps the previous state where the mask is 1 and takes h' where it is 0",
            "mask 0 or 1, any states",
            {"all": masked},
            logic="QF_LIA",
            function="hidden.zoneout_mask",
            judge=hidden.zoneout_mask,
        ),
    ]
