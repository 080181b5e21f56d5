"""The generator: every planned case of a level, in a fixed order, from a seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from golden.spec.errors import ParameterError
from vectors.draw import Draw
from vectors.kinds import AnyCase
from vectors.minimum import LEVELS
from vectors.plan import (
    boundary,
    chains,
    corner_steps,
    corner_tables,
    corners,
    killers,
    mshift,
    pot,
    refusals,
    rounding,
    runs,
    scaling,
    tables,
)
from vectors.plan.planned import Planned
from vectors.writer import write_set

DATAPATHS = ("all", "mshift", "mshift-dynamic", "pot")
CORNERS = (corners, corner_tables, corner_steps, killers)
GROUPS = (rounding, scaling, boundary, tables, mshift, pot, runs, *CORNERS, chains, refusals)


def planned(level: int, datapath: str = "all") -> list[Planned]:
    """The cases of a set, in its order: every level has those of the level below it, with the same ids and bytes.

    level     1, 2 or 3
    datapath  all, mshift, mshift-dynamic or pot
    Raises    ParameterError
    """
    if level not in LEVELS or isinstance(level, bool):
        raise ParameterError("level", repr(level), "1, 2 or 3")
    if datapath not in DATAPATHS:
        raise ParameterError("datapath", repr(datapath), f"one of {', '.join(DATAPATHS)}")
    every = (item for group in GROUPS for item in group.cases())
    return [item for item in every if item.level <= level and (datapath == "all" or datapath in item.datapaths)]


def make(items: Iterable[Planned], seed: int, advance: Callable[[int], None] | None = None) -> Iterator[AnyCase]:
    """The cases one by one; each depends on the seed and its own id only."""
    for item in items:
        yield item.make(Draw(seed, item.id))
        if advance is not None:
            advance(1)


def generate(
    path: str | os.PathLike[str],
    *,
    level: int,
    version: str,
    datapath: str = "all",
    seed: int = 0,
    more: Iterable[AnyCase] = (),
    advance: Callable[[int], None] | None = None,
) -> str:
    """Write the canonical set of a level and return its sha256.

    more     cases of whole networks, made elsewhere, put at the end
    advance  called with 1 after each case
    """
    items = planned(level, datapath)

    def cases() -> Iterator[AnyCase]:
        yield from make(items, seed, advance)
        yield from more

    return write_set(path, cases(), seed=seed, version=version, level=level, datapath=datapath)
