"""Zero points that are left out, added twice, or added in the wrong place.  [SPEC L-1, M-5, G-P, X-5]"""

from __future__ import annotations

from typing import Any

from golden.spec.formats import IntFormat
from golden.spec.rounding import Rounding
from verification.deviations.deviation import Deviation
from verification.deviations.places import ADD_ZERO, ZONEOUT, Place, fields, join, spread
from verification.deviations.steps import Steps

FAMILY = "zero_points"


def before_rounding(o: Steps, v: Any, multiplier: Any, s: Any, zero_point: Any, fmt: IntFormat) -> Any:
    """The zero point added to the product, before the shift.  [SPEC M-5]"""
    product = o.product(v, o.multiplier(multiplier))
    return o.saturate(o.shift(o.add_zero(product, zero_point), o.amount(s), Rounding.TIES_UP), fmt)


def before_rounding_pot(o: Steps, v: Any, s: Any, rounding: Rounding, zero_point: int, fmt: IntFormat | None) -> Any:
    """The zero point added before the shift.  [SPEC GP-1, GP-4, GP-7]"""
    q = o.shift(o.add_zero(v, zero_point), o.amount(s), rounding)
    return q if fmt is None else o.saturate(q, fmt)


def left_out(which: tuple[str, ...], sign: int = 0) -> dict[str, Any]:
    """sub_zero that leaves the zero points of these operands out, or adds them."""
    return {"sub_zero": lambda q, zero_point, name: q + sign * zero_point if name in which else q - zero_point}


PRODUCTS = [
    Place("x", "the product with W", fields(("Wx",), ("Wx_acc",))),
    Place("h", "the product with R", fields(("Rh",), ("Rh_acc",))),
]
_OPERANDS = [
    (("h",), Place("state", "z*h", fields(("S",), ("O_prod",)))),
    (("old",), Place("moved-h", "the state in its new range", fields(dynamic=("h_q",)))),
    (("z",), Place("z", "z*h", fields((), ("O_prod",)))),
    (("g",), Place("g", "(1 - z)*g", fields((), ("N_prod",)))),
    (("r",), Place("r", "r*(Rh + br)", fields((), ("P_prod",)))),
    (("A",), Place("A", "r*(Rh + br)", fields((), ("P_prod",)))),
    (("Wx",), Place("Wx", "every gate", fields((), tuple(f"{k}_Wx_aligned" for k in "zrg")))),
    (("Rh",), Place("Rh", "every gate", fields((), ("z_Rh_aligned", "r_Rh_aligned", "A_Rh_aligned")))),
    (("P",), Place("rRh", "the g gate", fields((), ("g_P_aligned",)))),
]
_NAMES = {"h": "h", "old": "h", "z": "z", "g": "g", "r": "r", "A": "Rh + br", "Wx": "Wx", "Rh": "Rh", "P": "the reset product"}
_BOTH = join(PRODUCTS, "", "every product")
_EVERY = [join(ADD_ZERO, "", "every result"), *ADD_ZERO]
_SHIFTED = ("z_pre", "r_pre", "g_pre", "h_new", "h_q", "Wx", "Rh", "P_acc", "O_acc", "N_acc")
_ROUNDED = [
    Place(p.name, p.subject, {d: tuple(f for f in names if f in _SHIFTED) for d, names in p.fields.items()})
    for p in ADD_ZERO
    if p is not ZONEOUT
]
DEVIATIONS: list[Deviation] = [
    *spread(
        "product-without-zero-point",
        FAMILY,
        ("L-1", "X-5"),
        "leaves out the zero point of the codes",
        left_out(("x", "h")),
        [_BOTH, *PRODUCTS],
    ),
    *spread(
        "product-adds-zero-point",
        FAMILY,
        ("L-1",),
        "adds the zero point of the codes instead of taking it off",
        left_out(("x", "h"), 1),
        [_BOTH, *PRODUCTS],
    ),
    *(
        d
        for which, place in _OPERANDS
        for d in spread(
            "operand-without-zero-point",
            FAMILY,
            ("GM-3", "GP-2", "GP-7"),
            f"leaves out the zero point of {_NAMES[which[0]]}",
            left_out(which),
            [place],
        )
    ),
    *spread(
        "zero-point-left-out",
        FAMILY,
        ("M-5", "GP-1", "GP-2"),
        "gets no zero point",
        {"add_zero": lambda q, zero_point: q},
        _EVERY,
    ),
    *spread(
        "zero-point-twice",
        FAMILY,
        ("M-5", "GP-1", "GP-2"),
        "gets its zero point twice",
        {"add_zero": lambda q, zero_point: q + 2 * zero_point},
        _EVERY,
    ),
    *spread(
        "zero-point-subtracted",
        FAMILY,
        ("M-5", "GP-1", "GP-2"),
        "has its zero point subtracted",
        {"add_zero": lambda q, zero_point: q - zero_point},
        _EVERY,
    ),
    *spread(
        "zero-point-before-rounding",
        FAMILY,
        ("M-5", "GP-1"),
        "gets its zero point before the shift",
        {"requantize": before_rounding, "rescale_pot": before_rounding_pot},
        [join(_ROUNDED, "", "every requantized result"), *_ROUNDED],
    ),
]
