"""Parameter sets and runs that must be refused.  [SPEC F-3, M-2, L-2, GM-3, G-P, A-3, E-5]"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from golden.spec.serial import to_plain
from vectors.draw import Draw
from vectors.error_case import ErrorCase, error_case
from vectors.plan import sets
from vectors.plan.planned import DYNAMIC, P_ONLY, STATIC_M, Plan, Planned

Change = Callable[[dict[str, Any], dict[str, np.ndarray]], object]


def cases() -> Plan:
    """One refusal a case; the parameter set is sound but for it."""
    for part, comment, change in _MSHIFT:
        yield _refusal(f"mshift-{part}", STATIC_M, comment, sets.mshift, change)
    for part, comment, change in _POT:
        yield _refusal(f"pot-{part}", P_ONLY, comment, sets.pot, change)
    for part, comment, change in _DYNAMIC:
        yield _refusal(f"dynamic-{part}", DYNAMIC, comment, sets.dynamic, change)
    wide = partial(sets.dynamic)
    yield _refusal(
        "dynamic-range-infinite", DYNAMIC, "The moving range grows until its width is infinite.", wide, None, _wide_input
    )
    yield _refusal(
        "dynamic-product-zero", DYNAMIC, "The product of two scales is 0 in binary32.", sets.dynamic, _tiny, _tiny_input
    )
    quadratic = partial(sets.pot, activation="piecewise_quadratic")
    yield _refusal("pot-quadratic-width", P_ONLY, "A parabola leaves int64.", quadratic, _wide_parabola)
    wide_gate = partial(sets.mshift, gate_bits=16)
    yield _refusal("mshift-16-zero-point", STATIC_M, "A 16-bit gate input with a zero point.", wide_gate, _put("zp_z", 1))


def _refusal(part: str, datapaths: tuple[str, ...], comment: str, make: Any, change: Change | None, x: Any = None) -> Planned:
    id = f"error-{part}"
    return Planned(id, 1, datapaths, partial(_case, id, comment, make, change, x))


def _case(id: str, comment: str, make: Any, change: Change | None, x: Any, draw: Draw) -> ErrorCase:
    description, arrays = to_plain(make(draw, 3, 2))
    description = copy.deepcopy(description)
    arrays = {name: np.array(array) for name, array in arrays.items()}
    if change is not None:
        change(description, arrays)
    return error_case(id, description, arrays, x() if x is not None else None, comment=comment)


def _put(path: str, value: Any) -> Change:
    """Set a field of the description."""

    def change(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        *folders, leaf = path.split("/")
        for folder in folders:
            description = description[folder]
        description[leaf] = value

    return change


def _remove(name: str) -> Change:
    return lambda description, arrays: description.pop(name)


def _element(name: str, index: Any, value: int) -> Change:
    """Set an element of an array."""

    def change(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        arrays[name][index] = value

    return change


def _reshape(name: str, shape: tuple[int, ...]) -> Change:
    def change(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = arrays[name].reshape(shape)

    return change


def _drop(name: str) -> Change:
    return lambda description, arrays: arrays.pop(name)


def _fill(arrays: dict[str, np.ndarray], name: str, value: int) -> bool:
    arrays[name][...] = value
    return True


def _long_input(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    description["zp_x"] = 2**31 - 1
    arrays["W"] = np.tile(arrays["W"], (200, 1))


def _wide_input() -> np.ndarray:
    x = np.ones((12, 1, 3), np.float32)
    x[1:] = (np.float32(3.4e38), np.float32(-3.4e38), np.float32(0))
    return x


def _tiny(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    arrays["W"] = np.full_like(arrays["W"], np.float32(3e38))


def _tiny_input() -> np.ndarray:
    return np.full((2, 1, 3), 3e38, np.float32)


def _wide_parabola(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    arrays["act_g.c2"][:] = 2**31 - 1
    arrays["act_g.p"][:] = -31


_MSHIFT: tuple[tuple[str, str, Change], ...] = (
    ("weight-outside", "A weight outside int8.", _element("W", (1, 2), 128)),
    ("recurrent-outside", "A recurrent weight outside int8.", _element("R", (0, 0), -129)),
    ("bias-missing", "No bias.", _drop("bx")),
    ("weights-shape", "Weights of another shape.", _reshape("W", (6, 3))),
    ("recurrent-shape", "Recurrent weights that are not [H, 3H].", _reshape("R", (3, 4))),
    ("weight-zero-point", "Weights with a zero point.", _put("zp_w", 1)),
    ("recurrent-zero-point", "Recurrent weights with a zero point.", _put("zp_r_weight", -1)),
    ("reset-multiplier", "m_rRh of 25 bits.", _put("m_rRh/multiplier", 2**24)),
    ("multiplier", "A multiplier of 32 bits.", _put("m_z/multiplier", 2**31)),
    ("multiplier-negative", "A negative multiplier.", _put("m_one/multiplier", -1)),
    ("shift", "A shift of 32.", _put("m_gh/shift", 32)),
    ("shift-negative", "A negative shift.", _put("m_r/shift", -1)),
    ("scale-zero", "A scale of 0.", _put("s_x", 0.0)),
    ("scale-negative", "A negative scale.", _put("s_h", -0.5)),
    ("scale-wide", "A scale that is no binary32 number.", _put("s_w", 0.1)),
    ("scale-infinite", "A scale beyond binary32.", _put("s_z", 1e39)),
    ("zero-point-type", "A zero point that is no integer.", _put("zp_x", 1.5)),
    ("zero-point-wide", "A zero point of 33 bits.", _put("zp_h", 2**31)),
    ("product-width", "Wx needs 47 bits.", _long_input),
    ("recurrent-width", "Rh leaves int32.", _put("zp_h", 2**24)),
    ("state-width", "S leaves int32.", _put("m_gh", {"multiplier": 2**31 - 1, "shift": 13})),
    ("gate-bits", "Gate inputs of 12 bits.", _put("gate_bits", 12)),
    ("table-negative", "A table of sigma with a negative entry.", _element("table_z.entries", 0, -1)),
    ("table-zero-point", "A table made for another zero point.", _put("table_r/zero_point_in", 4)),
    ("table-function", "A table of another function.", _put("table_g/function", "sigmoid")),
    ("table-format", "A table for another input format.", _put("table_g/fmt_in", "int16")),
    ("field-unknown", "A field that there is not.", _put("zp_bias", 0)),
    ("field-missing", "A field too few.", _remove("s_g")),
    ("datapath", "A datapath that there is not.", _put("datapath", "float")),
)
_OP = "operators/"
_POT: tuple[tuple[str, str, Change], ...] = (
    ("exponent-low", "An exponent below -15.", _put(_OP + "matmul.Wx/exponent", -16)),
    ("exponent-high", "An exponent above 30.", _put(_OP + "op.rRh/exponent", 31)),
    ("channel-exponent", "The exponent of a channel above 30.", _element("weight.W.exponent", 4, 31)),
    ("weight-outside", "A weight outside its format.", _element("W", (0, 0), 200)),
    ("weight-zero-point", "A weight operator with a zero point.", _put(_OP + "weight.R/zero_point", 1)),
    ("weight-unsigned", "Unsigned weights.", _put(_OP + "weight.W/fmt", "uint8")),
    ("bias-format", "Biases of 12 bits.", _put(_OP + "weight.bx/fmt", "int12")),
    ("gate-signed", "A signed update gate.", _put(_OP + "gate.z_out/fmt", "int8")),
    ("format-wide", "An operator of 32 bits.", _put(_OP + "input.h/fmt", "int32")),
    ("format-unknown", "A format that there is not.", _put(_OP + "input.x/fmt", "int17")),
    ("operator-missing", "An operator too few.", lambda d, a: d["operators"].pop("op.old_contrib")),
    ("operator-unknown", "An operator too many.", lambda d, a: d["operators"].update({"op.x": dict(d["operators"]["op.rRh"])})),
    ("rounding", "A rounding that there is not.", _put("rounding", "ties_up")),
    (
        "left-shift",
        "A left shift leaves int64.",
        lambda d, a: (_put(_OP + "gate.g_pre/exponent", 30)(d, a), _fill(a, "weight.bx.exponent", -15)),
    ),
    ("table-format", "A table for another gate.", _put("act_g/fmt_out", "uint8")),
    ("table-zero-point", "A table made for another zero point.", _put("act_z/zero_point_out", 9)),
    ("table-kind", "A kind of table that there is not.", _put("act_r/kind", "cubic")),
    ("table-thresholds", "Thresholds that fall.", _element("act_z.thresholds", 0, 127)),
    ("table-shift", "A shift of 63 in a table.", _element("act_r.shifts", 0, 63)),
    (
        "table-width",
        "A segment leaves int64.",
        lambda d, a: (
            _fill(a, "act_z.shifts", -31),
            _fill(a, "act_z.slopes", 2**31 - 1),
            _fill(a, "act_z.intercepts", 0),
            _put(_OP + "gate.z_pre/zero_point", -(2**31))(d, a),
            _put("act_z/zero_point_in", -(2**31))(d, a),
        ),
    ),
    ("zero-point-wide", "A zero point of 33 bits.", _put(_OP + "gate.r_out/zero_point", -(2**31) - 1)),
)
_DYNAMIC: tuple[tuple[str, str, Change], ...] = (
    ("shift", "A shift of 32.", _put("shift", 32)),
    ("shift-bias", "A negative shift of the biases.", _put("shift_bias", -1)),
    ("symmetric", "A choice that is neither true nor false.", _put("x_symmetric", 1)),
    ("scale", "A scale of 0.", _put("s_g", 0.0)),
    ("field-unknown", "A static scale in a dynamic set.", _put("s_x", 0.5)),
    ("weights-integer", "Integer weights.", lambda d, a: a.update(W=np.ones((3, 6), np.int32))),
)
