"""All deviations by name."""

from __future__ import annotations

from verification.deviations import (
    boundary,
    gates,
    linear,
    multiplying,
    ranges,
    rounding,
    saturation,
    sequence,
    tables,
    zero_points,
    zoneout,
)
from verification.deviations.deviation import Deviation

FAMILIES = (rounding, multiplying, saturation, zero_points, linear, tables, gates, zoneout, sequence, ranges, boundary)
CATALOGUE: dict[str, Deviation] = {d.name: d for family in FAMILIES for d in family.DEVIATIONS}
"""Name -> deviation, in the order of the families."""
BASES: tuple[str, ...] = tuple(dict.fromkeys(d.base for d in CATALOGUE.values()))
"""What is done differently, wherever."""
assert len(CATALOGUE) == sum(len(family.DEVIATIONS) for family in FAMILIES)


def of_datapath(datapath: str) -> list[Deviation]:
    """The deviations that a datapath has a stage for, in order."""
    return [d for d in CATALOGUE.values() if d.applies(datapath)]
