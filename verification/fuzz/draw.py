"""The strategies of verification.strategies without Hypothesis' engine: the same distributions, drawn faster."""

from __future__ import annotations

from typing import Any

import numpy as np


class Draw:
    """What a strategy's draw function is, over a NumPy generator.

    It answers st.integers with both bounds, st.booleans, st.just, st.sampled_from, st.one_of and @st.composite, all that
    verification.strategies is made of. The numbers depend on the entropy alone.

    entropy  integers >= 0, of any size
    """

    def __init__(self, *entropy: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
        self._pool: list[float] = []

    def below(self, count: int) -> int:
        """An integer in [0, count)."""
        if count > 2**31:
            return int(self._generator.integers(0, count)) if count <= 2**63 else self._wide(count)
        if not self._pool:
            self._pool = self._generator.random(64).tolist()
        return int(self._pool.pop() * count)

    def _wide(self, count: int) -> int:
        return int.from_bytes(self._generator.bytes(count.bit_length() // 8 + 9), "little") % count

    def __call__(self, strategy: Any) -> Any:
        """A value of a strategy.

        Raises TypeError for a kind of strategy that is none of these
        """
        kind = type(strategy).__name__
        if kind == "SampledFromStrategy":
            elements = strategy.elements
            return elements[self.below(len(elements))]
        if kind == "LazyStrategy":
            return self(strategy.wrapped_strategy)
        if kind == "IntegersStrategy" and strategy.start is not None and strategy.end is not None:
            return strategy.start + self.below(strategy.end - strategy.start + 1)
        if kind == "BooleansStrategy":
            return self.below(2) == 1
        if kind == "OneOfStrategy":
            branches = strategy.original_strategies
            return self(branches[self.below(len(branches))])
        if kind == "JustStrategy":
            return strategy.value
        if kind == "CompositeStrategy":
            return strategy.definition(self, *strategy.args, **strategy.kwargs)
        raise TypeError(f"{strategy!r} is a {kind}, which Draw does not know")
