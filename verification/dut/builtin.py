"""The set that is checked when none is given: level 1 of the generator, made while it is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vectors.generate import make, planned
from vectors.kinds import AnyCase
from vectors.plan.planned import Planned

SEED = 0
CHAINS = "chain-"  # slow to make


class Builtin(Mapping[str, AnyCase]):
    """Case id -> case of level 1; a case is made when it is asked for and depends on its id only.

    chains  whether the chains of a million steps are there too
    """

    def __init__(self, chains: bool = False) -> None:
        self._planned: dict[str, Planned] = {i.id: i for i in planned(1) if chains or not i.id.startswith(CHAINS)}

    def __len__(self) -> int:
        return len(self._planned)

    def __iter__(self) -> Iterator[str]:
        return iter(self._planned)

    def __contains__(self, id: object) -> bool:
        return id in self._planned

    def __getitem__(self, id: str) -> AnyCase:
        return next(make([self._planned[id]], SEED))
