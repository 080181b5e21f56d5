"""The matrix as rows of a table: a family in a datapath."""

from __future__ import annotations

from collections.abc import Mapping

from verification.deviations.catalogue import CATALOGUE
from verification.kill.matrix import Matrix, Pair

HEADER = ("family", "datapath", "deviations", "found by vectors", "found by property tests")


def rows(found: Matrix, drawn: Mapping[Pair, int] | None = None) -> list[tuple[str, ...]]:
    """(family, datapath, how many deviations, how many of them the vectors find, how many drawn problems find).

    drawn  what found_by_properties gives; the last column is empty without it
    """
    killed = found.killed
    groups: dict[tuple[str, str], list[Pair]] = {}
    for name, datapath in found.pairs:
        groups.setdefault((CATALOGUE[name].family, datapath), []).append((name, datapath))
    out = []
    for (family, datapath), pairs in sorted(groups.items(), key=lambda item: (order(item[0][0]), item[0][1])):
        counts = (len(pairs), sum(p in killed for p in pairs))
        out.append((family, datapath, *map(str, counts), "" if drawn is None else str(sum(p in drawn for p in pairs))))
    return out


def order(family: str) -> int:
    """Where a family stands in the catalogue."""
    return list(dict.fromkeys(d.family for d in CATALOGUE.values())).index(family)
