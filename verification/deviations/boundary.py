"""Reals turned into codes in another way.  [SPEC Q]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.formats import IntFormat
from verification.deviations.deviation import Deviation
from verification.deviations.places import Place, fields, join, spread
from verification.deviations.steps import Steps, integer, scaled
from verification.exact.quantize import quantize_bias

FAMILY = "boundary"
PLACES = [
    Place("x", "the quantize of x", fields(dynamic=("x",))),
    Place("W", "the quantize of W", fields(dynamic=("W",))),
    Place("R", "the quantize of R", fields(dynamic=("R",))),
    Place("h0", "the quantize of h0", fields(dynamic=("h0",))),
]
MOVED = [PLACES[0], PLACES[3]]  # the weights have no zero point
_ALL = [join(PLACES, "", "every quantize"), *PLACES]
BIASES = [Place("", "the quantize of the biases", fields(dynamic=("bx", "br")))]


def zero_point_after(o: Steps, v: Any, scale: Any, zero_point: Any, fmt: IntFormat, reciprocal: bool) -> Any:
    """The zero point added after the rounding."""
    with np.errstate(all="ignore"):
        t = o.nearest(o.scaled(v, np.asarray(scale, np.float32), reciprocal))
        return o.saturate(t + np.asarray(zero_point, np.int64), fmt)


def away(t: Any) -> Any:
    """Nearest integer, ties away."""
    wide = t.astype(np.float64)
    return integer(np.copysign(np.floor(np.abs(wide) + 0.5), wide))


def half_up(t: Any) -> Any:
    """floor(t + 0.5)."""
    return integer(np.floor(t.astype(np.float64) + 0.5))


def in_binary64(v: Any, scale: Any, reciprocal: bool) -> Any:
    """The division kept in binary64 until the zero point is added."""
    return v.astype(np.float64) / scale.astype(np.float64)


def bias_truncated(b: float, scale: float, fmt: IntFormat) -> int:
    """The quotient rounded toward zero."""
    return int(np.clip(int(np.trunc(np.float64(np.float32(b) / np.float32(scale)))), fmt.qmin, fmt.qmax))


def bias_by_reciprocal(b: float, scale: float, fmt: IntFormat) -> int:
    """b times the reciprocal of the scale."""
    inverse = np.float32(1.0) / np.float32(scale)
    return quantize_bias(float(np.float32(b) * inverse), 1.0, fmt)


DEVIATIONS: list[Deviation] = [
    *spread(
        "quantize-zero-point-after",
        FAMILY,
        ("Q-1",),
        "adds the zero point after rounding",
        {"to_code": zero_point_after},
        [join(MOVED, "", "every quantize with a zero point"), *MOVED],
    ),
    *spread("quantize-ties-away", FAMILY, ("Q-1",), "rounds ties away instead of to even", {"nearest": away}, _ALL),
    *spread("quantize-ties-up", FAMILY, ("Q-1",), "rounds ties up instead of to even", {"nearest": half_up}, _ALL),
    *spread("quantize-truncates", FAMILY, ("Q-1",), "rounds toward zero", {"nearest": lambda t: integer(np.trunc(t))}, _ALL),
    *spread("quantize-floors", FAMILY, ("Q-1",), "rounds down", {"nearest": lambda t: integer(np.floor(t))}, _ALL),
    *spread(
        "reciprocal-for-division",
        FAMILY,
        ("Q-1", "Q-2"),
        "multiplies by the reciprocal where the parameter set says division",
        {"scaled": lambda v, scale, reciprocal: scaled(v, scale, True)},
        _ALL,
    ),
    *spread(
        "division-for-reciprocal",
        FAMILY,
        ("Q-1", "Q-2"),
        "divides where the parameter set says reciprocal",
        {"scaled": lambda v, scale, reciprocal: scaled(v, scale, False)},
        [PLACES[0]],
    ),
    *spread("quantize-in-binary64", FAMILY, ("Q-1",), "divides in binary64", {"scaled": in_binary64}, _ALL),
    *spread("bias-quantize-truncates", FAMILY, ("Q-4",), "rounds toward zero", {"quantize_bias": bias_truncated}, BIASES),
    *spread(
        "bias-quantize-by-reciprocal",
        FAMILY,
        ("Q-4",),
        "multiplies by the reciprocal of the scale",
        {"quantize_bias": bias_by_reciprocal},
        BIASES,
    ),
]
