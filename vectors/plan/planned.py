"""A case before it is made, and how cases of steps are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.tables import Activation
from vectors.draw import Draw
from vectors.kinds import AnyCase
from vectors.plan.second import level_of
from vectors.step_case import StepCase
from vectors.steps import run_step

M_ONLY = ("mshift", "mshift-dynamic")
STATIC_M = ("mshift",)
DYNAMIC = ("mshift-dynamic",)
P_ONLY = ("pot",)
BOTH = (*M_ONLY, *P_ONLY)

INT8, UINT8, INT16, UINT16 = IntFormat(8, True), IntFormat(8, False), IntFormat(16, True), IntFormat(16, False)
INT32 = IntFormat(32, True)
COMMON_FORMATS = (INT8, UINT8, INT16, UINT16)
ALL_FORMATS = tuple(IntFormat(bits, signed) for bits in range(2, 17) for signed in (True, False))
REGIONS = ("inside", "low", "high", "below", "above")


@dataclass(frozen=True)
class Planned:
    """A case that is made when its set is written.

    id, level, datapaths  permanent; a set of a level has every case up to it that serves its datapath
    make       draws from the stream of its id
    """

    id: str
    level: int
    datapaths: tuple[str, ...]
    make: Callable[[Draw], AnyCase]


Plan = Iterator[Planned]


def region_zero_point(fmt: IntFormat, region: str) -> int:
    """A zero point in a region of a format."""
    span = fmt.qmax - fmt.qmin
    return {
        "inside": fmt.qmin + span // 3 + 1,
        "low": fmt.qmin,
        "high": fmt.qmax,
        "below": fmt.qmin - span // 5 - 3,
        "above": fmt.qmax + span // 7 + 2,
    }[region]


def fmt_constants(fmt: IntFormat, suffix: str = "") -> dict[str, int]:
    """bits and signed of a format."""
    return {f"bits{suffix}": fmt.bits, f"signed{suffix}": int(fmt.signed)}


def step(
    name: str,
    part: str,
    level: int,
    datapaths: tuple[str, ...],
    comment: str,
    constants: Mapping[str, int],
    rows: Callable[[Draw], Mapping[str, Any]],
    table: Callable[[], Activation] | None = None,
) -> Planned:
    """A case of a step: id <step>-<part>, its operands from rows(draw), its results from golden."""
    id = f"{name.replace('_', '-')}-{part}"
    level = level_of(id, level)

    def make(draw: Draw) -> StepCase:
        inputs = {key: np.asarray(value, np.int64) for key, value in rows(draw).items()}
        made = table() if table is not None else None
        outputs = run_step(name, constants, inputs, made)
        return StepCase(id, name, constants, inputs, outputs, made, comment=comment, level=level)

    return Planned(id, level, datapaths, make)


def within(values: Any, low: int, high: int) -> np.ndarray:
    """The integers among values that lie in [low, high], each once, in order, as int64."""
    kept = dict.fromkeys(int(v) for v in values if low <= int(v) <= high)
    return np.array(list(kept), np.int64)
