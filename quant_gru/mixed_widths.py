"""The search for a width of every operator: the fewest stored bits that an accuracy still allows.

1. Sensitivity: with everything else at the widest, each operator alone is narrowed bit by bit, and the noise of the network's
   output is measured.
2. For each of some noise budgets, from the greatest down:
   trade: for a price per bit every operator takes the width of least noise + price * bits, noises taken to add up; the highest
   price at which the measured noise of the whole set keeps the budget is found by bisection;
   descent: operator after operator, the one that holds most values first, one bit less as long as the measured noise keeps
   the budget, until a whole round changes nothing.
3. The set of fewest bits that is accepted.

The noise is a mean over thousands of numbers, an accuracy counts few events: so the noise shapes the sets, and the accuracy is
asked once for each budget. To descend on the accuracy itself would keep every lucky step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from golden.spec.formats import BIAS_BITS
from quant_gru.build import BIAS_OPERATORS
from quant_gru.float_gru import FloatGru

WIDEST, NARROWEST = 16, 2
BISECTIONS = 24
LEAST_PRICE, GREATEST_PRICE = 1e-15, 1.0  # noise per bit
Assignment = dict[str, int]


def values_of(gru: FloatGru) -> dict[str, int]:
    """operator -> how many values of it a step of one row has: weights and biases once, activations of one step."""
    C, H = gru.input_size, gru.hidden_size
    one: tuple[str, ...] = ("gate.z_pre", "gate.z_out", "gate.r_pre", "gate.r_out", "gate.g_pre", "gate.g_out")
    one += ("op.Rh_add_br", "op.rRh", "op.old_contrib", "op.new_contrib")
    sizes = {"input.x": C, "input.h": H, "weight.W": 3 * C * H, "weight.R": 3 * H * H}
    sizes |= dict.fromkeys(("weight.bx", "weight.br", "matmul.Wx", "matmul.Rh"), 3 * H)
    return sizes | dict.fromkeys(one, H)


def stored_bits(values: Mapping[str, int], assignment: Mapping[str, int]) -> int:
    """The bits that hold the weights, the biases and one row's step of every activation."""
    return sum(values[key] * assignment[key] for key in values)


def allowed(key: str) -> tuple[int, ...]:
    """The widths of an operator, from the widest down; biases have 16 and 8."""
    if key.endswith(BIAS_OPERATORS):
        return tuple(b for b in reversed(BIAS_BITS) if b <= WIDEST)
    return tuple(range(WIDEST, NARROWEST - 1, -1))


@dataclass(frozen=True)
class Candidate:
    """The set of fewest bits that a noise budget allows.

    bits       stored_bits of it
    noise      measured, at most budget
    accepted   whether it was accurate enough
    """

    budget: float
    assignment: Assignment
    bits: int
    noise: float
    accepted: bool


def search(
    values: Mapping[str, int],
    noise: Callable[[Assignment], float],
    accept: Callable[[Assignment], bool],
    budgets: Sequence[float],
    *,
    advance: Callable[[int], None] | None = None,
) -> list[Candidate]:
    """The candidate of every noise budget; best picks among them.

    values    key -> how many values the operator has; a key ends with the operator's name
    noise     of an assignment, 0 or more
    accept    whether an assignment is accurate enough
    budgets   greatest noises, in falling order; an operator that alone exceeds the first is not narrowed further
    advance   called with 1 after every call of noise and accept
    """

    def measured(assignment: Assignment) -> float:
        found = noise(assignment)
        if advance is not None:
            advance(1)
        return found

    noises = sensitivities(values, measured, budgets[0])
    found = []
    for budget in budgets:
        assignment = descend(values, trade(values, noises, measured, budget), measured, budget)
        found.append(
            Candidate(budget, assignment, stored_bits(values, assignment), measured(assignment), accept(assignment))
        )
    return found


def best(candidates: Sequence[Candidate]) -> Candidate | None:
    """The accepted candidate of fewest bits, or None."""
    return min((c for c in candidates if c.accepted), key=lambda c: c.bits, default=None)


def widest(values: Mapping[str, int]) -> Assignment:
    """Every operator as wide as the search allows."""
    return {key: allowed(key)[0] for key in values}


def sensitivities(
    values: Mapping[str, int], noise: Callable[[Assignment], float], hopeless: float
) -> dict[str, dict[int, float]]:
    """key -> bits -> the noise that this operator alone adds; widths beyond hopeless are left out."""
    start = widest(values)
    floor = noise(start)
    found: dict[str, dict[int, float]] = {}
    for key in values:
        found[key] = {start[key]: 0.0}
        for wider, bits in pairwise(allowed(key)):
            added = max(noise(start | {key: bits}) - floor, found[key][wider])
            if added > hopeless:
                break
            found[key][bits] = added
    return found


def trade(
    values: Mapping[str, int],
    noises: Mapping[str, Mapping[int, float]],
    noise: Callable[[Assignment], float],
    budget: float,
) -> Assignment:
    """The set of the highest price per bit whose measured noise keeps the budget; the widest where none does."""
    found = widest(values)
    low, high = LEAST_PRICE, GREATEST_PRICE
    for _ in range(BISECTIONS):
        price = (low * high) ** 0.5
        traded = {key: min(noises[key], key=lambda b: (noises[key][b] + price * values[key] * b, b)) for key in values}
        if noise(traded) <= budget:
            low, found = price, traded
        else:
            high = price
    return found


def descend(
    values: Mapping[str, int], start: Assignment, noise: Callable[[Assignment], float], budget: float
) -> Assignment:
    """One bit less wherever the budget allows it, round after round, the operators of most values first."""
    found, changed = start, True
    while changed:
        changed = False
        for key in sorted(values, key=lambda k: -values[k]):
            narrower = [b for b in allowed(key) if b < found[key]]
            if narrower and noise(found | {key: narrower[0]}) <= budget:
                found, changed = found | {key: narrower[0]}, True
    return found
