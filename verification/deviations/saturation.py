"""Results that are brought into their format in another way, and sums that are not exact.  [SPEC F-2, M-4, M-5]"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.spec.formats import INT32, IntFormat
from verification.deviations.deviation import Deviation
from verification.deviations.multiplying import wrap
from verification.deviations.places import ADD_ZERO, EVERY_SATURATE, LEAVES, SATURATE, SIGNED, Place, fields, join, spread
from verification.deviations.steps import Steps

FAMILY = "saturation"


def wrapped(v: Any, fmt: IntFormat) -> Any:
    """The low bits of v."""
    v = np.asarray(v, np.int64)
    return wrap(v, fmt.bits) if fmt.signed else v & fmt.qmax


def between(low: Callable[[IntFormat], int], high: Callable[[IntFormat], int]) -> Any:
    """A clamp to other ends."""
    return lambda v, fmt: np.clip(v, low(fmt), high(fmt))


def other_sign(v: Any, fmt: IntFormat) -> Any:
    """The clamp of the same width with the other signedness."""
    half = 2 ** (fmt.bits - 1)
    return np.clip(v, 0, 2**fmt.bits - 1) if fmt.signed else np.clip(v, -half, half - 1)


def zero_point_after(o: Steps, v: Any, multiplier: Any, s: Any, zero_point: Any, fmt: IntFormat) -> Any:
    """The zero point added after the clamp, which is not repeated."""
    return o.add_zero(o.saturate(o.apply(o, v, multiplier, s), fmt), zero_point)


def step_by_step(terms: Any, limit: IntFormat | None) -> Any:
    """Saturated to int32 after each addition."""
    total = terms[0]
    for term in terms[1:]:
        total = np.clip(total + term, INT32.qmin, INT32.qmax)
    return total


def _kind(base: str, verb: str, function: Any, places: list[Place] | None = None) -> list[Deviation]:
    where = [EVERY_SATURATE, *(LEAVES if places is None else places)]
    return spread(base, FAMILY, ("F-2",), verb, {"saturate": function}, where)


SUMS = [Place(f"{k}-acc", f"the sum of the {k} gate", fields((f"{k}_acc",))) for k in "zrg"]
SUMS.append(Place("g-b", "Rh + br", fields(("g_b_acc",))))
_ALL_SUMS = [join(SUMS, "", "every sum"), *SUMS]
_M_PRE = [p for p in ADD_ZERO if p.name in ("z-pre", "r-pre", "g-pre", "h", "moved-h")]
_M_ONLY = ("mshift", "mshift-dynamic")
DEVIATIONS: list[Deviation] = [
    *_kind("wraps", "wraps around where it leaves its format, instead of saturating", wrapped),
    *_kind("not-saturated", "is not saturated", lambda v, fmt: np.asarray(v)),
    *_kind(
        "saturates-symmetrically",
        "is saturated to -qmax ... qmax",
        between(lambda f: max(f.qmin, -f.qmax), lambda f: f.qmax),
        SIGNED,
    ),
    *_kind("not-saturated-above", "is not saturated above", lambda v, fmt: np.maximum(v, fmt.qmin)),
    *_kind("not-saturated-below", "is not saturated below", lambda v, fmt: np.minimum(v, fmt.qmax)),
    *_kind("wraps-above", "wraps around above, and is saturated below", lambda v, fmt: wrapped(np.maximum(v, fmt.qmin), fmt)),
    *_kind(
        "saturates-one-early",
        "is saturated one below its greatest code",
        between(lambda f: f.qmin, lambda f: f.qmax - 1),
        SATURATE,
    ),
    *_kind("saturates-other-sign", "is saturated as if its format had the other signedness", other_sign, SATURATE),
    *spread(
        "saturates-before-zero-point",
        FAMILY,
        ("M-5",),
        "is saturated before its zero point is added, and not after",
        {"requantize": zero_point_after},
        [join(_M_PRE, "", "every requantized result"), *_M_PRE],
        _M_ONLY,
    ),
    *spread(
        "sum-wraps",
        FAMILY,
        ("GM-1", "GM-2"),
        "wraps in 32 bits",
        {"total": lambda terms, limit: wrap(sum(terms), 32)},
        _ALL_SUMS,
    ),
    *spread(
        "sum-saturates-each-addition",
        FAMILY,
        ("GM-1", "GM-2"),
        "is saturated to int32 after each addition",
        {"total": step_by_step},
        _ALL_SUMS,
    ),
]
