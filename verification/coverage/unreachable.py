"""The coverpoints that no run can meet, each with its argument.  Data, and the rule that picks the points."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from verification.coverage import proofs
from verification.coverage.model import Point, points

M_TERMS = tuple(f"mshift/{k}_{t}_aligned" for k in "zr" for t in ("Rh", "bx", "br")) + (
    "mshift/g_br_aligned",
    "mshift/g_bx_aligned",
    "mshift/g_c",
    "mshift/n",
)
CENTRED = (*M_TERMS, "step align/y")
REALS = tuple(f"mshift-dynamic/{name}" for name in ("x", "W", "R", "bx", "br", "h0")) + tuple(
    f"step {name}/q" for name in ("quantize", "quantize_reciprocal", "quantize_bias")
)
BIASES = ("mshift-dynamic/bx", "mshift-dynamic/br")
WEIGHTS = ("mshift-dynamic/W", "mshift-dynamic/R")
BLENDS = ("mshift/h", "pot/h", "step zoneout_blend/h")


class Argument(NamedTuple):
    """Why points cannot be met.

    name    of the argument
    words   one sentence
    check   the code that checks it
    of      whether a point is one of them
    """

    name: str
    words: str
    check: Callable[[], bool]
    of: Callable[[Point], bool]


def _wrong_side(p: Point) -> bool:
    return p.kind.startswith("rounding") and (
        (p.label[0] == "-" and p.label.endswith(" high")) or (p.label[0] == "+" and p.label.endswith(" low"))
    )


def _outside(p: Point) -> bool:
    if p.kind.startswith("rounding"):
        return p.label.endswith((" low", " high"))
    return p.kind == "saturation" and p.label in ("below", "above")


def _bias(p: Point) -> bool:
    if p.kind == "saturation":
        return p.label == "at high"
    return p.label.endswith((" low", " high")) and " lsb0 guard0 sticky0 " not in p.label


def _weight(p: Point) -> bool:
    return _outside(p) or (p.kind == "saturation" and p.label == "at low")


def _state(p: Point) -> bool:
    if p.kind == "saturation":
        return p.label == "below"
    return p.label.endswith(" low") or (p.label.endswith(" high") and "lsb1 guard1" not in p.label)


ARGUMENTS: tuple[Argument, ...] = (
    Argument(
        "sign",
        "A rounding keeps the sign and every format holds 0, so without a zero point behind it a value cannot leave its format "
        "on the other side of 0.",
        proofs.rounding_keeps_the_sign,
        lambda p: p.stage in (*CENTRED, *REALS) and _wrong_side(p),
    ),
    Argument(
        "moved state",
        "The zero points of moving ranges lie in int8, so the moved state cannot leave int8 on the side that its difference "
        "points away from.",
        proofs.a_zero_point_inside_keeps_the_side,
        lambda p: p.stage == "mshift-dynamic/h_q" and _wrong_side(p),
    ),
    Argument(
        "candidate",
        "GM-3 refuses a static set whose aligned candidate could reach an end of int32; moving ranges have a least width, so "
        "there, from any state that a run gave, m_gh is too small.",
        proofs.the_aligned_candidate_stays_in_int32,
        lambda p: p.stage == "mshift/n" and (_outside(p) or p.label in ("at low", "at high")),
    ),
    Argument(
        "blend",
        "A zoneout blend lies between its two codes.",
        proofs.a_blend_stays_between_its_codes,
        lambda p: p.stage in BLENDS and _outside(p),
    ),
    Argument(
        "whole numbers",
        "A binary32 number beyond int32 is a multiple of 2**8, and 2**31 - 1 is no binary32 number.",
        proofs.great_binary32_numbers_are_whole,
        lambda p: p.stage in BIASES and _bias(p),
    ),
    Argument(
        "symmetric weights",
        "Weights are quantized by their own greatest magnitude, which has the code 127 or -127.",
        proofs.symmetric_weights_stay_inside,
        lambda p: p.stage in WEIGHTS and _weight(p),
    ),
    Argument(
        "real state",
        "A real h0 is quantized by a range that holds it: it is never below int8, and above only by the rounding of its zero "
        "point.",
        proofs.a_real_state_fits_its_own_range,
        lambda p: p.stage == "mshift-dynamic/h0" and _state(p),
    ),
    Argument(
        "multiplier of one",
        "m_one is 2**s / 127 for every shift, below the limit.",
        proofs.the_multiplier_of_one_stays_below_its_limit,
        lambda p: p.stage == "mshift-dynamic/m_one" and p.label == "limit",
    ),
)


@cache
def unreachable() -> dict[Point, str]:
    """Point -> the name of the first argument that excludes it."""
    out: dict[Point, str] = {}
    for p in points():
        for argument in ARGUMENTS:
            if argument.of(p):
                out[p] = argument.name
                break
    return out


@cache
def reachable() -> frozenset[Point]:
    """Every point that no argument excludes."""
    return frozenset(points()) - frozenset(unreachable())
