"""Products, multipliers and shift amounts that are not those of the clauses.  [SPEC M, X-1, X-6, R-4]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.formats import INT32
from golden.spec.rounding import Rounding
from verification.deviations.deviation import DATAPATHS, Deviation
from verification.deviations.places import ALIGN, MULTIPLY, SHIFT, join, spread
from verification.deviations.steps import Steps

FAMILY = "multiplying"
M = ("mshift", "mshift-dynamic")


def wrap(v: Any, bits: int) -> Any:
    """v in two's complement of so many bits."""
    v = np.asarray(v, np.int64)
    half = np.int64(1) << np.int64(bits - 1)
    return ((v + half) & (2 * half - 1)) - half


def in_binary32(v: Any, multiplier: Any) -> Any:
    """The product of two binary32 numbers, as a binary32 number."""
    return (np.asarray(v, np.float32) * np.asarray(multiplier, np.float32)).astype(np.int64)


def shift_first(o: Steps, v: Any, multiplier: Any, s: Any) -> Any:
    """The shift before the multiplication."""
    return o.shift(v, o.amount(s), Rounding.TIES_UP) * o.multiplier(multiplier)


def _kind(base: str, verb: str, changes: dict[str, Any], clauses: tuple[str, ...], everywhere: bool = False) -> list[Deviation]:
    return spread(base, FAMILY, clauses, verb, changes, SHIFT if everywhere else MULTIPLY, DATAPATHS if everywhere else M)


_LEFT_OUT = {"align": lambda o, v, multiplier, s: v}
_PLAIN = [p for p in ALIGN if p.name not in ("align-g-rRh", "align-new")]
_OF = {
    k: join([p for p in _PLAIN if p.name.startswith(f"align-{k}-")], f"align-{k}", f"every term of the {k} gate") for k in "zrg"
}
DEVIATIONS: list[Deviation] = [
    *_kind("product-wraps", "multiplies in 32 bits, wrapping", {"product": lambda v, m: wrap(v * m, 32)}, ("M-3", "X-1")),
    *_kind(
        "product-saturates",
        "multiplies in 32 bits, saturating",
        {"product": lambda v, m: np.clip(v * m, INT32.qmin, INT32.qmax)},
        ("M-3",),
    ),
    *spread(
        "product-in-binary32",
        FAMILY,
        ("M-3",),
        "multiplies in binary32",
        {"product": in_binary32},
        [p for p in MULTIPLY if p.name != "requantize-moved-h"],
        M,
    ),
    *_kind("multiplier-less-one", "uses a multiplier one too small", {"multiplier": lambda m: np.maximum(m - 1, 0)}, ("M-2",)),
    *_kind("multiplier-plus-one", "uses a multiplier one too large", {"multiplier": lambda m: m + 1}, ("M-2",)),
    *_kind("multiplier-wraps-16", "keeps 16 bits of its multiplier", {"multiplier": lambda m: wrap(m, 16)}, ("M-1",)),
    *_kind("shift-before-multiplying", "shifts before it multiplies", {"apply": shift_first}, ("M-3",)),
    *_kind("shift-plus-one", "shifts by one too many", {"amount": lambda s: s + 1}, ("R-1", "R-2"), True),
    *_kind("shift-less-one", "shifts by one too few", {"amount": lambda s: s - 1}, ("R-1", "R-2"), True),
    *_kind("shift-sign", "shifts to the other side", {"amount": lambda s: -np.asarray(s)}, ("R-1", "R-2"), True),
    *spread(
        "left-shift-lost",
        FAMILY,
        ("R-2", "R-4"),
        "leaves a left shift out",
        {"amount": lambda s: np.maximum(s, 0)},
        SHIFT,
        ("pot",),
    ),
    *spread(
        "left-shift-as-right",
        FAMILY,
        ("R-2", "R-4"),
        "shifts right where it has to shift left",
        {"amount": lambda s: np.abs(s)},
        SHIFT,
        ("pot",),
    ),
    *spread(
        "alignment-left-out",
        FAMILY,
        ("GM-1", "GM-2", "X-6"),
        "is added without its alignment",
        _LEFT_OUT,
        [
            join([_OF["r"], _OF["g"]], "align-r-and-g", "every term of the r and g gates"),
            *_OF.values(),
            *(p._replace(subject=p.subject.replace("the alignment of ", "")) for p in _PLAIN),
        ],
        M,
    ),
    *spread(
        "alignment-left-out",
        FAMILY,
        ("GM-2",),
        "is not brought to the scale of the sum",
        _LEFT_OUT,
        [
            p._replace(subject=p.subject.replace("the alignment of ", ""))
            for p in ALIGN
            if p.name in ("align-g-rRh", "align-new")
        ],
        M,
    ),
]
