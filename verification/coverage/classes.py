"""The classes of a value at a stage: what a rounding shift drops, where a saturation stands.  All exact, on int64 arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from golden.spec.formats import IntFormat

SIDES = ("low", "inside", "high")
BOUNDS = ("below", "at low", "inside", "at high", "above")
SHIFTS = ("left", "zero", "right")
REGIONS = ("inside", "low", "high", "below", "above")
CROSS16 = tuple(f"{sign} lsb{lsb} guard{g} sticky{s}" for sign in "+-" for lsb in (0, 1) for g in (0, 1) for s in (0, 1))
CROSS48 = tuple(f"{part} {side}" for side in SIDES for part in CROSS16)


TIES = tuple(f"{sign} lsb{lsb}" for sign in "+-" for lsb in (0, 1))


class Group(NamedTuple):
    """One kind of class at one place.

    place   the stage's name, without its datapath
    kind    "rounding", "saturation", "table direct", ...
    labels  the classes
    index   int array of positions in labels, -1 for none; one element for each value that passed
    """

    place: str
    kind: str
    labels: tuple[str, ...]
    index: np.ndarray  # type: ignore[assignment]


def cross(x: Any, s: Any) -> np.ndarray:
    """Index into CROSS16 of a right shift of x by s, -1 where s < 1.

    In two's complement: the sign of x, the least bit of floor(x / 2**s), the bit dropped first (guard), and whether any
    bit below it is set (sticky).
    """
    x, s = np.broadcast_arrays(np.asarray(x, np.int64), np.asarray(s, np.int64))
    lsb = (x >> np.clip(s, 0, 63)) & 1
    guard = (x >> np.clip(s - 1, 0, 63)) & 1
    k = np.clip(s - 1, 0, 63)
    mask = np.where(k == 63, np.int64(2**63 - 1), (np.int64(1) << np.minimum(k, 62)) - 1)
    sticky = ((x & mask) != 0) | ((s - 1 >= 64) & (x < 0))
    return np.where(s >= 1, (x < 0) * 8 + lsb * 4 + guard * 2 + sticky, -1)


def side(raw: Any, fmt: IntFormat) -> np.ndarray:
    """Index into SIDES of an unsaturated value."""
    raw = np.asarray(raw)
    return 1 + (raw > fmt.qmax).astype(np.int64) - (raw < fmt.qmin)


def with_side(part: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Index into CROSS48 of an index into CROSS16 and one into SIDES."""
    return np.where(part < 0, -1, part + 16 * sides)


def bound(raw: Any, fmt: IntFormat) -> np.ndarray:
    """Index into BOUNDS of an unsaturated value."""
    raw = np.asarray(raw)
    out = np.where(raw == fmt.qmin, 1, np.where(raw == fmt.qmax, 3, 2))
    return np.where(raw < fmt.qmin, 0, np.where(raw > fmt.qmax, 4, out))


def rounded(place: str, mode: str, x: Any, s: Any, raw: Any = None, fmt: IntFormat | None = None) -> list[Group]:
    """The groups of a rounding shift, and of the saturation behind it when there is one.

    mode  "up", "away" or "even"; the last two differ at ties only, which are counted for each
    raw   what is saturated to fmt: the rounded quotient, with its zero point where it has one
    """
    x, s = np.broadcast_arrays(np.asarray(x, np.int64), np.asarray(s, np.int64))
    part = cross(x, s)
    more = [Group(place, "shift", SHIFTS, 1 + np.sign(s))]
    if mode != "up":
        tie = (part >= 0) & (part % 4 == 2)
        more.append(Group(place, f"tie {mode}", TIES, np.where(tie, part // 4, -1)))
    if fmt is None:
        return [Group(place, "rounding", CROSS16, part), *more]
    return [Group(place, "rounding", CROSS48, with_side(part, side(raw, fmt))), *more, *saturated(place, raw, fmt)]


def saturated(place: str, raw: Any, fmt: IntFormat) -> list[Group]:
    """The group of a saturation."""
    return [Group(place, "saturation", BOUNDS, bound(raw, fmt))]


def nearest(place: str, t: Any, fmt: IntFormat) -> list[Group]:
    """The groups of a binary32 number that is taken to its nearest-even integer and saturated.  [SPEC Q-1]"""
    wide = np.asarray(t, np.float32).astype(np.float64)
    finite = np.isfinite(wide)
    safe = np.where(finite, wide, 0.0)
    low = np.floor(safe)
    sticky = (safe != low) & (safe != low + 0.5)
    part = (safe < 0) * 8 + (np.mod(low, 2) != 0) * 4 + (safe - low >= 0.5) * 2 + sticky
    raw = np.rint(np.clip(safe, -(2.0**40), 2.0**40)).astype(np.int64)
    index = np.where(finite, with_side(part.astype(np.int64), side(raw, fmt)), -1)
    bounds = np.where(finite, bound(raw, fmt), np.where(np.isnan(wide), -1, np.where(wide > 0, 4, 0)))
    return [Group(place, "rounding", CROSS48, index), Group(place, "saturation", BOUNDS, bounds)]


def region(place: str, zero_point: int, fmt: IntFormat) -> Group:
    """Where a zero point lies in its format."""
    if fmt.qmin < zero_point < fmt.qmax:
        name = "inside"
    else:
        name = {fmt.qmin: "low", fmt.qmax: "high"}.get(zero_point, "below" if zero_point < fmt.qmin else "above")
    return Group(place, "zero point", REGIONS, np.array([REGIONS.index(name)]))


def events(place: str, kind: str, labels: tuple[str, ...], met: dict[str, Any]) -> list[Group]:
    """One group for each label: how often it is met."""
    flags = {name: np.atleast_1d(np.asarray(met[name], bool)) for name in labels if name in met}
    return [Group(place, kind, labels, np.where(flags[name], i, -1)) for i, name in enumerate(labels) if name in flags]
