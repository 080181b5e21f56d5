"""The reducer: a failing problem made as small and plain as it goes while it still fails in the same way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from verification.fuzz import edits
from verification.fuzz.edits import Edit, attempt
from verification.problem import Problem

BUDGET = 600  # problems tried
LARGEST_ARRAY = 256  # elements that are tried one by one


class Reducer:
    """Tries smaller problems and keeps those that still fail.

    problem  the smallest so far
    tried    how many were run
    """

    def __init__(self, problem: Problem, fails: Callable[[Problem], bool], budget: int = BUDGET) -> None:
        self.problem, self.tried = problem, 0
        self._fails, self._budget = fails, budget

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self.tried >= self._budget

    def take(self, edit: Edit) -> bool:
        """Try an edit of the problem; whether it was kept."""
        candidate = None if self.spent else attempt(edit, self.problem)
        if candidate is None:
            return False
        self.tried += 1
        if self._fails(candidate):
            self.problem = candidate
            return True
        return False

    def sizes(self) -> bool:
        """Fewer steps, rows, units and inputs."""
        changed = False
        for axis in "TNHC":
            least = 0 if axis == "T" else 1
            count = edits.sizes(self.problem)[axis]
            for keep in ([0], [count - 1]):
                if count > 1 and self._keep(axis, keep):
                    changed, count = True, 1
                    break
            part = max(1, count // 2)
            while part >= 1:
                start, removed = 0, False
                while start < count and count - part >= least:
                    rest = [i for i in range(count) if not start <= i < start + part]
                    if len(rest) >= least and len(rest) < count and self._keep(axis, rest):
                        count, changed, removed = len(rest), True, True
                    else:
                        start += part
                part = part if removed and part == 1 and count > 1 else part // 2
        return changed

    def _keep(self, axis: str, indices: list[int]) -> bool:
        return self.take(lambda problem: edits.kept(problem, axis, indices))

    def options(self) -> bool:
        """No reverse direction, no zoneout, no mask, no initial state."""
        return any([any(map(self.take, some)) for some in list(edits.options(self.problem))])

    def parameters(self) -> bool:
        """Zero points of 0, one exponent for all channels, one segment, plain factors."""
        return any([any(map(self.take, some)) for some in list(edits.parameters(self.problem))])

    def numbers(self) -> bool:
        """Zeros for numbers, blocks of an array first; then numbers nearer to zero."""
        changed = False
        for name in edits.arrays(self.problem):
            flat = self._flat(name)
            part = flat.size
            while part >= 1 and not self.spent:
                start = 0
                while start < flat.size and flat.size // part <= LARGEST_ARRAY:
                    block = flat[start : start + part]
                    if np.count_nonzero(block) and self._replace(name, slice(start, start + part), np.zeros_like(block)):
                        changed, flat = True, self._flat(name)
                    start += part
                part //= 2
            if np.count_nonzero(flat) <= LARGEST_ARRAY:
                changed |= self._nearer(name)
        return changed

    def _nearer(self, name: str) -> bool:
        changed = False
        for i in np.flatnonzero(self._flat(name)):
            value = self._flat(name)[i]
            real = value.dtype.kind == "f"
            sign = -1 if value < 0 else 1
            power = 2.0 ** np.floor(np.log2(abs(float(value)))) if real else 1 << (abs(int(value)).bit_length() - 1)
            for smaller in dict.fromkeys((sign, sign * power) if real else (sign, sign * (power >> 1), sign * power)):
                plainer = np.dtype(value.dtype).type(smaller)
                if plainer != value and abs(float(plainer)) <= abs(float(value)) and plainer != 0:
                    if self._replace(name, slice(i, i + 1), np.array([plainer])):
                        changed = True
                        break
        return changed

    def _flat(self, name: str) -> np.ndarray:
        return np.array(edits.arrays(self.problem)[name]).reshape(-1)

    def _replace(self, name: str, where: slice, values: np.ndarray) -> bool:
        flat = self._flat(name)
        flat[where] = values
        return self.take(lambda problem: edits.with_array(problem, name, flat))


PASSES = (Reducer.sizes, Reducer.options, Reducer.numbers, Reducer.parameters)


def shrink(
    problem: Problem,
    fails: Callable[[Problem], bool],
    same: Callable[[Problem], bool],
    budget: int = BUDGET,
    strict_budget: int = BUDGET,
) -> tuple[Problem, int]:
    """(the smallest problem found, how many were tried).

    problem  one that fails
    fails    whether a problem still fails at the same place; asked for every candidate
    same     whether it fails for the same reason; dearer, and asked after each pass. Where a pass ends on another
             reason it is done again with both questions for every candidate
    budget   candidates in all
    strict_budget  of them, those that are asked both questions
    """
    reducer = Reducer(problem, fails, budget)
    changed = True
    while changed and not reducer.spent:
        changed = False
        for reduce in PASSES:
            before = reducer.problem
            if not reduce(reducer):
                continue
            if same(reducer.problem):
                changed = True
                continue
            strict = Reducer(before, lambda p: fails(p) and same(p), min(strict_budget, budget - reducer.tried))
            changed |= reduce(strict)
            reducer.problem, reducer.tried = strict.problem, reducer.tried + strict.tried
            strict_budget -= strict.tried
    return reducer.problem, reducer.tried
