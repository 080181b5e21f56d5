"""Shifts that round in another way.  [SPEC R, X-2, X-9]"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from golden.spec.rounding import Rounding
from verification.deviations.deviation import DATAPATHS, Deviation
from verification.deviations.places import SHIFT, ZONEOUT, spread
from verification.deviations.quotients import shift_round, shifted

FAMILY = "rounding"


def another(how: str, x: Any, s: Any, rounding: Rounding) -> Any:
    """The shift under a rounding of `quotients.CHOICES`, whatever the clauses say."""
    return shifted(x, s, how)


def twice(x: Any, s: Any, rounding: Rounding) -> Any:
    """Rounded once to one more bit, and once more."""
    s = np.asarray(s, np.int64)
    inner = np.maximum(s - 1, 0)
    return np.where(s > 1, shift_round(shift_round(x, inner, rounding), s - inner, rounding), shift_round(x, s, rounding))


def term_at_zero(term: int, x: Any, s: Any, rounding: Rounding) -> Any:
    """A rounding term that is added even where nothing is shifted out."""
    with np.errstate(over="ignore"):
        return np.where(np.asarray(s) == 0, x + np.int64(term), shift_round(x, s, rounding))


def on_magnitude(x: Any, s: Any, rounding: Rounding) -> Any:
    """Half a code added to negative numbers too, then truncated toward zero."""
    s = np.asarray(s, np.int64)
    half = np.where(s > 0, np.left_shift(np.int64(1), np.clip(s - 1, 0, 62)), 0)
    return shifted(x + half, s, "truncate")


def _kind(base: str, verb: str, function: Any, clauses: tuple[str, ...], only: Any = None) -> list[Deviation]:
    plain = spread(base, FAMILY, clauses, verb, {"shift": function}, SHIFT, only or DATAPATHS)
    if "zero-term" in base or base == "ties-up":  # the shift of the zoneout is 15, and it rounds ties up
        return plain
    return plain + spread(base, FAMILY, clauses, verb.replace("{right}", "ties up"), {"shift": function}, [ZONEOUT])


P = ("pot",)
INSTEAD = " instead of {right}"
DEVIATIONS: list[Deviation] = [
    *_kind("truncates", "rounds toward zero" + INSTEAD, partial(another, "truncate"), ("R-1", "R-2", "X-9")),
    *_kind("floors", "rounds down" + INSTEAD, partial(another, "floor"), ("R-1", "R-2")),
    *_kind("rounds-up", "rounds up" + INSTEAD, partial(another, "ceiling"), ("R-1", "R-2")),
    *_kind("ties-up", "rounds ties up" + INSTEAD, partial(another, "ties_up"), ("R-2", "R-3"), P),
    *_kind("ties-down", "rounds ties down" + INSTEAD, partial(another, "ties_down"), ("R-1", "R-2")),
    *_kind("ties-away", "rounds ties away" + INSTEAD, partial(another, "ties_away"), ("R-1", "R-3")),
    *_kind("ties-to-zero", "rounds ties toward zero" + INSTEAD, partial(another, "ties_to_zero"), ("R-1", "R-2")),
    *_kind("ties-even", "rounds ties to even" + INSTEAD, partial(another, "ties_even"), ("R-1", "R-2")),
    *_kind("rounds-twice", "rounds twice, to one more bit and then again", twice, ("R-1", "R-2")),
    *_kind(
        "adds-half-and-truncates",
        "adds half a code to negative numbers too and drops bits toward zero",
        on_magnitude,
        ("R-1", "R-2"),
    ),
    *_kind(
        "shift-zero-term-32",
        "adds 1 << 31 of 32 bits as its rounding term where the shift is 0",
        partial(term_at_zero, -(2**31)),
        ("R-1", "X-2"),
    ),
    *_kind(
        "shift-zero-term-64",
        "adds 1 << 63 as its rounding term where the shift is 0",
        partial(term_at_zero, -(2**63)),
        ("R-1", "X-2"),
    ),
]
