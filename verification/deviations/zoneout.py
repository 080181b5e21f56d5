"""Zoneout the other way round, or otherwise.  [SPEC Z, X-8]"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from verification.deviations.deviation import Deviation
from verification.deviations.environment import Environment
from verification.deviations.places import fields, single

FAMILY = "zoneout"
H = fields(("h",), ("h",))
ACC = fields(("h_zoneout_acc",), ("h_zoneout_acc",))


def in_processing_order(e: Environment) -> Any:
    """Row t of the mask for the step processed as number t."""
    times = len(e.run.x) - 1 - e.times if e.run.reverse else e.times
    return e.mask(times, e.rows)


def _factor(p: float, one: int) -> float:
    return float(np.float32(np.float32(p) * np.float32(one)))


DEVIATIONS: list[Deviation] = [
    *single(
        "zoneout-mask-inverted",
        FAMILY,
        ("Z-1", "X-8"),
        "a zoneout mask of 1 takes the new state and 0 keeps the old one",
        {"mask": lambda e: 1 - e.mask(e.times, e.rows)},
        H,
    ),
    *single(
        "zoneout-mask-in-processing-order",
        FAMILY,
        ("Z-1", "S-2"),
        "the zoneout mask of the reverse direction is read in processing order",
        {"mask": in_processing_order},
        H,
    ),
    *single("zoneout-ignored", FAMILY, ("Z-1", "Z-2"), "zoneout is not applied", {"zoneout": False}, H),
    *single(
        "zoneout-blend-inverted",
        FAMILY,
        ("Z-2",),
        "the zoneout probability weighs the new state and the rest the old one",
        {"blend": lambda o, k, old, new: k * new + (2**15 - k) * old},
        ACC,
    ),
    *single(
        "zoneout-factor-floored",
        FAMILY,
        ("Z-2",),
        "the zoneout factor is rounded down",
        {"factor": lambda p: math.floor(_factor(p, 2**15))},
        ACC,
    ),
    *single(
        "zoneout-factor-of-qmax",
        FAMILY,
        ("Z-2",),
        "the zoneout factor is taken of 2**15 - 1",
        {"factor": lambda p: round(_factor(p, 2**15 - 1))},
        ACC,
    ),
    *single(
        "zoneout-rest-of-qmax",
        FAMILY,
        ("Z-2",),
        "the rest of the zoneout factor is taken to 2**15 - 1",
        {"blend": lambda o, k, old, new: k * old + (2**15 - 1 - k) * new},
        ACC,
    ),
    *single(
        "zoneout-without-zero-point",
        FAMILY,
        ("Z-2",),
        "zoneout blends the codes without taking off their zero point",
        {"sub_zero": lambda q, zero_point, name: q},
        ACC,
    ),
]
