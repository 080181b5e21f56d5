"""Gates that are combined in another way.  [SPEC GM-2, GM-3, GP-2 ... GP-8, X-4]"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.formats import INT8
from verification.deviations.deviation import Deviation
from verification.deviations.environment import Environment, part
from verification.deviations.mshift import state
from verification.deviations.places import Place, fields, join, single, spread
from verification.deviations.pot import exponent, zero_point
from verification.deviations.steps import Steps
from verification.exact.hidden import ONE_M

FAMILY = "gates"
RESET = fields(("g_rb",), ("P_prod",))
UPDATE = fields(("S", "n_acc"), ("O_prod", "N_prod"))


def _pot(e: Environment) -> bool:
    return e.params.datapath == "pot"


def _r(o: Steps, e: Environment) -> Any:
    return o.sub_zero(o.gate(e, "r"), zero_point(e, "gate.r_out"), "r")


def _one_r(o: Steps, e: Environment) -> Any:
    return o.shift(np.int64(1), -exponent(e, "gate.r_out"), e.params.rounding)


def before_product(o: Steps, e: Environment) -> Any:
    """R*(r . h) + br instead of r . (R*h + br)."""
    h = o.sub_zero(o.state(e) if _pot(e) else state(o, e), zero_point(e, "input.h") if _pot(e) else e.number("zp_h"), "h")
    R = part(e.weights("R"), "g")
    if not _pot(e):
        return o.dot(e["r"] * h, R) + ONE_M * e["g_br_aligned"][:, None]
    reset = o.shift(_r(o, e) * h, exponent(e, "gate.r_out"), e.params.rounding)
    s = part(exponent(e, "weight.R"), "g") + exponent(e, "input.h") - exponent(e, "op.Rh_add_br")
    product = o.shift(o.dot(reset, R), s, e.params.rounding)
    return _one_r(o, e) * (product + e["A_br_aligned"][:, None])


def bias_outside(o: Steps, e: Environment) -> Any:
    """r . R*h + br: the bias is not reset."""
    if not _pot(e):
        return e["r"] * part(e["Rh"], "g") + ONE_M * e["g_br_aligned"][:, None]
    return _r(o, e) * e["A_Rh_aligned"] + _one_r(o, e) * e["A_br_aligned"][:, None]


def _b(o: Steps, e: Environment) -> Any:
    return o.sub_zero(e["A"], zero_point(e, "op.Rh_add_br"), "A") if _pot(e) else e["g_b"]


def not_reset(o: Steps, e: Environment) -> Any:
    """r = 1."""
    return (_one_r(o, e) if _pot(e) else ONE_M) * _b(o, e)


def inverted_reset(o: Steps, e: Environment) -> Any:
    """1 - r instead of r."""
    return ((_one_r(o, e) - _r(o, e)) if _pot(e) else ONE_M - e["r"]) * _b(o, e)


def joined(o: Steps, e: Environment, target: str) -> Any:
    """The terms of a sum of datapath P brought to one exponent, added exactly, and rounded together."""
    gate = {"op.Rh_add_br": "g", "input.h": "h"}.get(target, target[5:6])
    plans = {
        "op.Rh_add_br": (("Rh", "matmul.Rh"), ("br", "weight.br")),
        "input.h": (("O", "op.old_contrib"), ("N", "op.new_contrib")),
        "gate.g_pre": (("Wx", "matmul.Wx"), ("P", "op.rRh"), ("bx", "weight.bx")),
    }
    usual = (("Wx", "matmul.Wx"), ("Rh", "matmul.Rh"), ("bx", "weight.bx"), ("br", "weight.br"))
    terms: list[tuple[Any, Any]] = []
    for name, operator in plans.get(target, usual):
        values, e_term = e.bias(name) if name in ("bx", "br") else e[name], exponent(e, operator)
        values = part(values, gate) if name in ("Wx", "Rh", "bx", "br") else values
        e_term = part(e_term, gate) if isinstance(e_term, np.ndarray) else e_term
        terms.append((values if name in ("bx", "br") else values - zero_point(e, operator), e_term))
    finest = np.maximum.reduce([np.broadcast_to(x, (e.params.hidden_size,)) for _, x in terms])
    total = sum(np.left_shift(values, np.minimum(finest - x, 62)) for values, x in terms)
    return o.add_zero(o.shift(total, finest - exponent(e, target), e.params.rounding), zero_point(e, target))


def other_gate(e: Environment, name: str) -> Any:
    """z where r is meant and r where z is."""
    return e["r" if name == "z" else "z"]


def _saturated_one(code: int, e: Environment) -> int:
    fmt = e.params.operators["gate.z_out"].fmt if _pot(e) else INT8
    return min(max(int(code), fmt.qmin), fmt.qmax)


_ONE = fields(("n_acc",), ("one",))
_JOINED = [
    *(Place(k, f"the sum of the {k} gate", fields((), (f"{k}_acc",))) for k in "zrg"),
    Place("A", "Rh + br", fields((), ("A_acc",))),
    Place("h", "the sum of the new state", fields((), ("h_acc",))),
]
DEVIATIONS: list[Deviation] = [
    *single(
        "reset-before-product",
        FAMILY,
        ("GM-2", "GP-4"),
        "the reset gate is applied to the state before the product with R, not after it",
        {"reset": before_product},
        RESET,
    ),
    *single(
        "reset-without-bias",
        FAMILY,
        ("GM-2", "GP-3"),
        "the reset gate multiplies Rh alone and br is added after it",
        {"reset": bias_outside},
        RESET,
    ),
    *single("reset-left-out", FAMILY, ("GM-2", "GP-4"), "the reset gate is not applied", {"reset": not_reset}, RESET),
    *single("reset-inverted", FAMILY, ("GM-2", "GP-4"), "the reset gate is applied as 1 - r", {"reset": inverted_reset}, RESET),
    *single("reset-by-z", FAMILY, ("GM-2", "GP-4"), "the reset gate's place is taken by z", {"gate": other_gate}, RESET),
    *single("update-by-r", FAMILY, ("GM-3", "GP-7"), "the update gate's place is taken by r", {"gate": other_gate}, UPDATE),
    *spread(
        "gates-exchanged",
        FAMILY,
        ("GM-2", "GM-3", "GP-4", "GP-7"),
        "take each other's places",
        {"gate": other_gate},
        [join([Place("", "", RESET), Place("", "", UPDATE)], "", "the reset and the update gate")],
    ),
    *single(
        "update-weights-exchanged",
        FAMILY,
        ("GM-3", "GP-7"),
        "z multiplies the candidate and 1 - z the old state",
        {"update": lambda keep, rest: (rest, keep)},
        UPDATE,
    ),
    *single(
        "update-keeps-z",
        FAMILY,
        ("GM-3", "GP-7"),
        "the candidate is multiplied by z, like the old state",
        {"update": lambda keep, rest: (keep, keep)},
        fields(("n_acc",), ("N_prod",)),
    ),
    *single(
        "update-without-state",
        FAMILY,
        ("GM-3", "GP-7"),
        "z times the old state is left out of the new one",
        {"update": lambda keep, rest: (0 * keep, rest)},
        fields(("S",), ("O_prod",)),
    ),
    *single(
        "one-is-1",
        FAMILY,
        ("GM-3", "GP-6", "X-4"),
        "the code of one is 1, as 1.0 cast to an integer",
        {"one": lambda code, e: 1},
        _ONE,
    ),
    *single(
        "one-plus-one", FAMILY, ("GM-3", "GP-6"), "the code of one is one too large", {"one": lambda code, e: code + 1}, _ONE
    ),
    *single(
        "one-less-one", FAMILY, ("GM-3", "GP-6"), "the code of one is one too small", {"one": lambda code, e: code - 1}, _ONE
    ),
    *single(
        "one-saturated",
        FAMILY,
        ("GP-6",),
        "the code of one is saturated to the format of z",
        {"one": _saturated_one},
        fields((), ("one",)),
    ),
    *single(
        "one-without-zero-point",
        FAMILY,
        ("GP-6",),
        "the code of one leaves out the zero point of z",
        {"one": lambda code, e: code - zero_point(e, "gate.z_out")},
        fields((), ("one",)),
    ),
    *spread(
        "terms-rounded-together",
        FAMILY,
        ("GP-2", "GP-3", "GP-5", "GP-8"),
        "adds its terms first and rounds once",
        {"joined": joined},
        [join(_JOINED, "", "every sum"), *_JOINED],
    ),
]
