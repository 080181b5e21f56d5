"""Dot products over the wrong codes, weights or terms; biases.  [SPEC L, GM-1, GP-2]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.formats import INT8, IntFormat
from golden.spec.params import Params
from verification.deviations.deviation import Deviation
from verification.deviations.environment import part
from verification.deviations.multiplying import wrap
from verification.deviations.places import Place, fields, join, single, spread
from verification.deviations.steps import dot

FAMILY = "linear"
PRODUCTS = [
    Place("W", "the product with W", fields(("Wx",), ("Wx_acc",))),
    Place("R", "the product with R", fields(("Rh",), ("Rh_acc",))),
]
_BOTH = [join(PRODUCTS, "", "every product"), *PRODUCTS]
_TERMS = [(t, [f"{k}_{t}_aligned" for k in "zr"] + ["g_bx_aligned" if t == "bx" else "g_br_aligned"]) for t in ("bx", "br")]
BIASES = [
    Place(t, t, fields(tuple(names), tuple(n if n != "g_br_aligned" else "A_br_aligned" for n in names))) for t, names in _TERMS
]
_BIASES = [join(BIASES, "", "every bias"), *BIASES]
WEIGHTS_AND_BIASES = join([*PRODUCTS, *BIASES], "", "every weight and bias")


def ordered(order: str) -> dict[str, Any]:
    """The blocks of weights and biases read as if they stood in another order."""

    def blocks(w: Any) -> Any:
        return np.concatenate([part(w, k) for k in order], axis=-1)

    return {"weights": lambda w, name, params: blocks(w), "bias": lambda b, name, params: blocks(b)}


def transposed(w: Any, name: str, params: Params) -> Any:
    """Each square block of R read by rows instead of columns."""
    return np.concatenate([part(w, k).T for k in "zrg"], axis=-1) if name == "R" else w


def unsigned_weights(w: Any, name: str, params: Params) -> Any:
    """Weights read as plain binary."""
    p: Any = params
    fmt = INT8 if p.datapath != "pot" else p.operators[f"weight.{name}"].fmt
    return w & (2**fmt.bits - 1)


def unsigned(q: Any, fmt: IntFormat) -> Any:
    """Codes read as plain binary."""
    return q & (2**fmt.bits - 1)


def offset_binary(q: Any, fmt: IntFormat) -> Any:
    """Signed codes read with an offset of half their range."""
    return q + 2 ** (fmt.bits - 1) if fmt.signed else q


def _kind(base: str, verb: str, changes: dict[str, Any]) -> list[Deviation]:
    return spread(base, FAMILY, ("L-1",), verb, changes, _BOTH)


DEVIATIONS: list[Deviation] = [
    *_kind("codes-unsigned", "reads its codes as unsigned", {"codes": unsigned}),
    *_kind("codes-offset-binary", "reads its codes with an offset of half their range", {"codes": offset_binary}),
    *_kind("weights-unsigned", "reads its weights as unsigned", {"weights": unsigned_weights}),
    *_kind("last-term-lost", "loses the last term of its sum", {"dot": lambda c, w: dot(c[..., :-1], w[:-1])}),
    *_kind("first-term-lost", "loses the first term of its sum", {"dot": lambda c, w: dot(c[..., 1:], w[1:])}),
    *_kind("accumulates-in-16-bits", "wraps its sum in 16 bits", {"dot": lambda c, w: wrap(dot(c, w), 16)}),
    *_kind("accumulates-in-24-bits", "wraps its sum in 24 bits", {"dot": lambda c, w: wrap(dot(c, w), 24)}),
    *single(
        "R-transposed",
        FAMILY,
        ("L-1",),
        "each gate's block of R is read transposed",
        {"weights": transposed},
        fields(("Rh",), ("Rh_acc",)),
    ),
    *spread(
        "gate-order-r-z-g",
        FAMILY,
        ("L-1", "GM-1", "GP-2"),
        "is read in the gate order r, z, g instead of z, r, g",
        ordered("rzg"),
        [WEIGHTS_AND_BIASES, *PRODUCTS, join(BIASES, "biases", "every bias"), *BIASES],
    ),
    *spread(
        "gate-order-z-g-r",
        FAMILY,
        ("L-1", "GM-1", "GP-2"),
        "is read in the gate order z, g, r instead of z, r, g",
        ordered("zgr"),
        [WEIGHTS_AND_BIASES, *PRODUCTS, join(BIASES, "biases", "every bias"), *BIASES],
    ),
    *spread("bias-missing", FAMILY, ("GM-1", "GP-2"), "is missing", {"bias": lambda b, name, params: 0 * b}, _BIASES),
    *spread("bias-twice", FAMILY, ("GM-1", "GP-2"), "is added twice", {"bias": lambda b, name, params: 2 * b}, _BIASES),
    *spread("bias-subtracted", FAMILY, ("GM-1", "GP-2"), "is subtracted", {"bias": lambda b, name, params: -b}, _BIASES),
    *single(
        "biases-exchanged",
        FAMILY,
        ("GM-1", "GM-2", "GP-2"),
        "bx is used for br and br for bx",
        {"bias_of": lambda name: "br" if name == "bx" else "bx"},
        join(BIASES, "", "").fields,
    ),
]
