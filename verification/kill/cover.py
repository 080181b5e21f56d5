"""A small subset of cases that finds everything that all of them find."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from dataclasses import dataclass

NODES = 20_000  # of the search for a smaller subset


@dataclass(frozen=True)
class Cover:
    """A subset of cases.

    cases   ids, in the order of what was given
    least   no smaller subset can have fewer cases than this
    """

    cases: tuple[str, ...]
    least: int

    @property
    def proven(self) -> bool:
        """Whether there is no subset of fewer cases."""
        return self.least == len(self.cases)


def cover(found: Mapping[str, Set[Hashable]], size: Mapping[str, int]) -> Cover:
    """As few cases as were found to be enough, the smaller ones preferred.

    found  case -> what it finds
    size   case -> how much work it is

    Cases that something needs are taken, cases and findings that follow from others are left out, the rest is covered
    greedily, without what turns out to be superfluous, and then searched, up to a number of nodes.
    """
    everything = sorted(set().union(*found.values()), key=repr)
    bit = {what: 1 << i for i, what in enumerate(everything)}
    masks = {case: sum(bit[what] for what in those) for case, those in found.items() if those}
    goal = (1 << len(everything)) - 1
    needed, rest, left = _reduced(masks, size, goal)
    chosen = _greedy(rest, size, left)
    least, better = _search(rest, left, len(chosen))
    chosen = better if better is not None else chosen
    chosen = _swapped(chosen, rest, size, left)
    taken = set(needed) | set(chosen)
    return Cover(tuple(case for case in found if case in taken), len(needed) + least)


def _cases_by_bit(masks: Mapping[str, int], goal: int) -> dict[int, frozenset[str]]:
    out: dict[int, set[str]] = {}
    for case, mask in masks.items():
        mask &= goal
        while mask:
            low = mask & -mask
            out.setdefault(low, set()).add(case)
            mask ^= low
    return {bit: frozenset(cases) for bit, cases in out.items()}


def _reduced(masks: Mapping[str, int], size: Mapping[str, int], goal: int) -> tuple[list[str], dict[str, int], int]:
    """(cases that something needs, other cases with what is left for them, what is left)"""
    needed: list[str] = []
    rest, left = dict(masks), goal
    while True:
        by_bit = _cases_by_bit(rest, left)
        distinct: list[tuple[frozenset[str], int]] = []  # findings whose cases hold those of another one follow from it
        for bit, cases in sorted(by_bit.items(), key=lambda item: (len(item[1]), item[0])):
            if not any(other <= cases for other, _ in distinct):
                distinct.append((cases, bit))
        left = sum(bit for _, bit in distinct)
        only = {next(iter(cases)) for cases, _ in distinct if len(cases) == 1}
        needed += sorted(only)
        for case in only:
            left &= ~rest.pop(case)
        rest = {case: mask & left for case, mask in rest.items() if mask & left}
        kept: dict[str, int] = {}
        for case in sorted(rest, key=lambda c: (-rest[c].bit_count(), size[c], c)):
            if not any(rest[case] | mask == mask for mask in kept.values()):
                kept[case] = rest[case]
        if not only and len(kept) == len(rest):
            return needed, kept, left
        rest = kept


def _greedy(masks: Mapping[str, int], size: Mapping[str, int], goal: int) -> list[str]:
    chosen: list[str] = []
    left = goal
    while left:
        best = min(masks, key=lambda c: (-(masks[c] & left).bit_count(), size[c], c))
        chosen.append(best)
        left &= ~masks[best]
    for case in sorted(chosen, key=lambda c: (-size[c], c)):
        others = [c for c in chosen if c != case]
        if _union(masks, others) & goal == goal:
            chosen = others
    return chosen


def _union(masks: Mapping[str, int], cases: list[str]) -> int:
    out = 0
    for case in cases:
        out |= masks[case]
    return out


def _bound(by_bit: list[tuple[frozenset[str], int]], left: int) -> int:
    """Findings that no two share a case: each needs one of its own."""
    used: set[str] = set()
    count = 0
    for cases, bit in by_bit:
        if bit & left and not cases & used:
            used |= cases
            count += 1
    return count


def _search(masks: Mapping[str, int], goal: int, best: int) -> tuple[int, list[str] | None]:
    """(how few cases there must be, a subset with fewer than best or None), by depth first within NODES nodes."""
    items = ((cases, bit) for bit, cases in _cases_by_bit(masks, goal).items())
    by_bit = sorted(items, key=lambda item: (len(item[0]), item[1]))
    nodes = 0
    found: list[str] | None = None
    lowest = _bound(by_bit, goal)

    def visit(left: int, chosen: list[str]) -> bool:
        nonlocal nodes, found, best
        nodes += 1
        if nodes > NODES:
            return False
        if not left:
            if len(chosen) < best:
                found, best = list(chosen), len(chosen)
            return True
        if len(chosen) + _bound(by_bit, left) >= best:
            return True
        cases = next(cases for cases, bit in by_bit if bit & left)
        order = sorted(cases, key=lambda c: (-(masks[c] & left).bit_count(), c))
        return all(visit(left & ~masks[case], [*chosen, case]) for case in order)

    complete = visit(goal, []) if goal else True
    return (best if complete else lowest), found


def _swapped(chosen: list[str], masks: Mapping[str, int], size: Mapping[str, int], goal: int) -> list[str]:
    """Each case replaced by a smaller one where the rest still finds everything."""
    for i, case in enumerate(chosen):
        others = _union(masks, [c for c in chosen if c != case])
        alone = goal & ~others
        fit = [c for c, mask in masks.items() if mask & alone == alone and c not in chosen]
        chosen[i] = min([case, *fit], key=lambda c: (size[c], c))
    return chosen
