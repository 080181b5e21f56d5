"""The search for a width of every operator: the fewest stored bits that an accuracy still allows.

1. Sensitivity: with everything else at the widest, each operator alone is narrowed bit by bit, and the noise of the network's
   output is measured. Noise of different operators is taken to add up.
2. Trade: for a price per bit every operator takes the width of least noise + price * bits. The highest price whose set is
   accepted is found by bisection.
3. Descent: operator after operator, the one that holds most values first, one bit less as long as the set is accepted, until
   a whole round changes nothing.

Only accept decides; it is asked about whole sets, so an interaction that the sum of noises does not see costs bits, never
accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from golden.spec.formats import BIAS_BITS
from quant_gru.build import BIAS_OPERATORS
from quant_gru.float_gru import FloatGru

WIDEST, NARROWEST = 16, 2
BISECTIONS = 16
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


@dataclass
class Search:
    """What a search found, and what it cost.

    assignment   key -> bits, accepted
    bits         stored_bits of it
    traded       stored_bits after the trade, before the descent
    noises, asked  how many times noise and accept were called
    """

    assignment: Assignment
    bits: int
    traded: int
    noises: int
    asked: int


def search(
    values: Mapping[str, int],
    noise: Callable[[Assignment], float],
    accept: Callable[[Assignment], bool],
    *,
    hopeless: float,
    advance: Callable[[int], None] | None = None,
) -> Search:
    """Search the widths of the operators in values.

    values    key -> how many values the operator has; a key ends with the operator's name
    noise     of an assignment, 0 or more
    accept    whether an assignment is accurate enough; it must accept the widest
    hopeless  noise of one operator alone beyond which it is not narrowed further
    advance   called with 1 after every call of noise and accept
    """
    calls = {"noise": 0, "accept": 0}

    def counted(kind: str) -> None:
        calls[kind] += 1
        if advance is not None:
            advance(1)

    def asked(assignment: Assignment) -> bool:
        counted("accept")
        return accept(assignment)

    widest = {key: allowed(key)[0] for key in values}
    counted("noise")
    floor = noise(widest)
    noises: dict[str, dict[int, float]] = {}
    for key in values:
        noises[key] = {widest[key]: 0.0}
        for wider, bits in pairwise(allowed(key)):
            counted("noise")
            found = max(noise(widest | {key: bits}) - floor, noises[key][wider])
            if found > hopeless:
                break
            noises[key][bits] = found

    best = widest
    low, high = 0.0, _price_of_least(noises, values)
    for _ in range(BISECTIONS):
        price = (low * high) ** 0.5 if low else high * 1e-3
        traded = {key: min(noises[key], key=lambda b: (noises[key][b] + price * values[key] * b, b)) for key in values}
        if asked(traded):
            low = price
            best = min(best, traded, key=lambda a: stored_bits(values, a))
        else:
            high = price
    after_trade = stored_bits(values, best)
    changed = True
    while changed:
        changed = False
        for key in sorted(values, key=lambda k: -values[k]):
            narrower = [b for b in allowed(key) if b < best[key]]
            if narrower and asked(best | {key: narrower[0]}):
                best, changed = best | {key: narrower[0]}, True
    return Search(best, stored_bits(values, best), after_trade, calls["noise"], calls["accept"])


def _price_of_least(noises: Mapping[str, Mapping[int, float]], values: Mapping[str, int]) -> float:
    """A price at which every operator takes the least width that it was measured at."""
    steps = [
        (n - by_bits[wide]) / (values[key] * (wide - bits))
        for key, by_bits in noises.items()
        for wide in by_bits
        for bits, n in by_bits.items()
        if bits < wide
    ]
    return max(steps, default=1.0) * 2 or 1.0
