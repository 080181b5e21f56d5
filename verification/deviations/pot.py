"""The stages of datapath P.  [SPEC G-P]"""

from __future__ import annotations

from typing import Any

import numpy as np

from verification.deviations.environment import Environment, part
from verification.deviations.mshift import Stage, blended, output
from verification.deviations.steps import Steps
from verification.exact.gates import Op
from verification.exact.hidden import pot_one


def exponent(e: Environment, name: str) -> Any:
    """The exponent of an operator, an array [3H] for the weights."""
    found = e.params.operators[name].exponent
    return np.asarray(found, np.int64) if isinstance(found, np.ndarray) else int(found)


def zero_point(e: Environment, name: str) -> int:
    """The zero point of an operator."""
    return int(e.params.operators[name].zero_point)


def _product(acc: str, weight: str, data: str, out: str) -> Stage:
    def stage(o: Steps, e: Environment) -> Any:
        s = exponent(e, weight) + exponent(e, data) - exponent(e, out)
        return o.rescale_pot(o, e[acc], s, e.params.rounding, zero_point(e, out), e.params.operators[out].fmt)

    return stage


def _centred(o: Steps, e: Environment, values: Any, name: str) -> Any:
    return o.sub_zero(values, zero_point(e, name), {"matmul.Wx": "Wx", "matmul.Rh": "Rh", "op.rRh": "P"}.get(name, name))


def _term(source: str, gate: str | None, operator: str, target: str) -> Stage:
    """A term of a sum: zero point off, shifted to the exponent of the target, rounded by itself."""

    def stage(o: Steps, e: Environment) -> Any:
        values = e[source] if gate is None else part(e[source], gate)
        s = exponent(e, operator) - exponent(e, target)
        return o.shift(_centred(o, e, values, operator), o.amount(s), e.params.rounding)

    return stage


def _bias(name: str, gate: str, target: str) -> Stage:
    def stage(o: Steps, e: Environment) -> Any:
        source = o.bias_of(name)
        b = part(o.bias(e.bias(source), name, e.params), gate)
        s = part(exponent(e, f"weight.{source}"), gate) - exponent(e, target)
        return e.over_time(o.shift(b, o.amount(s), e.params.rounding))

    return stage


def _sum(target: str, names: tuple[str, ...]) -> Stage:
    def stage(o: Steps, e: Environment) -> Any:
        if o.joined:
            return o.joined(o, e, target)
        terms = tuple(e[n][:, None] if n.endswith(("bx_aligned", "br_aligned")) else e[n] for n in names)
        return o.add_zero(o.total(terms, None), zero_point(e, target))

    return stage


def _saturated(acc: str, target: str) -> Stage:
    return lambda o, e: o.saturate(e[acc], e.params.operators[target].fmt)


def _gate(k: str) -> dict[str, Stage]:
    pre, names = f"gate.{k}_pre", [f"{k}_{t}_aligned" for t in ("Wx", "Rh", "bx", "br")]
    return {
        names[0]: _term("Wx", k, "matmul.Wx", pre),
        names[1]: _term("Rh", k, "matmul.Rh", pre),
        names[2]: _bias("bx", k, pre),
        names[3]: _bias("br", k, pre),
        f"{k}_acc": _sum(pre, tuple(names)),
        **_end(k),
    }


def _end(k: str) -> dict[str, Stage]:
    return {
        f"{k}_pre": _saturated(f"{k}_acc", f"gate.{k}_pre"),
        k: lambda o, e: o.activate(o, e[f"{k}_pre"], o.table(getattr(e.params, f"act_{k}"), k, e.params)),
    }


def _scaled(source: str, a: str, b: str, out: str) -> Stage:
    """A product of two operators, brought to a third; not saturated yet."""

    def stage(o: Steps, e: Environment) -> Any:
        s = exponent(e, a) + exponent(e, b) - exponent(e, out)
        return o.rescale_pot(o, e[source], s, e.params.rounding, zero_point(e, out), None)

    return stage


def reset_product(o: Steps, e: Environment) -> Any:
    """[SPEC GP-4]"""
    if o.reset:
        return o.reset(o, e)
    r = o.sub_zero(o.gate(e, "r"), zero_point(e, "gate.r_out"), "r")
    return r * o.sub_zero(e["A"], zero_point(e, "op.Rh_add_br"), "A")


def _factors(o: Steps, e: Environment) -> tuple[Any, Any]:
    """(what h is multiplied by, what g is multiplied by)"""
    z = o.gate(e, "z")
    return o.update(o.sub_zero(z, zero_point(e, "gate.z_out"), "z"), e["one"] - z)


def _old(o: Steps, e: Environment) -> Any:
    return _factors(o, e)[0] * o.sub_zero(o.state(e), zero_point(e, "input.h"), "h")


def _new(o: Steps, e: Environment) -> Any:
    return _factors(o, e)[1] * o.sub_zero(e["g"], zero_point(e, "gate.g_out"), "g")


def _linear(values: str, matrix: str, operator: str) -> Stage:
    def stage(o: Steps, e: Environment) -> Any:
        data = e["x"] if values == "x" else o.state(e)
        return o.matmul(
            o,
            data,
            o.weights(e.weights(matrix), matrix, e.params),
            zero_point(e, operator),
            values,
            e.params.operators[operator].fmt,
        )

    return stage


def _one(o: Steps, e: Environment) -> Any:
    """[SPEC GP-6]"""
    z = e.params.operators["gate.z_out"]
    return np.asarray(o.one(pot_one(Op(z.fmt, int(z.exponent), z.zero_point), e.params.rounding), e), np.int64)


STAGES: dict[str, Stage] = {
    "x": lambda o, e: o.input(e),
    "one": _one,
    "Wx_acc": _linear("x", "W", "input.x"),
    "Wx": _product("Wx_acc", "weight.W", "input.x", "matmul.Wx"),
    "Rh_acc": _linear("h", "R", "input.h"),
    "Rh": _product("Rh_acc", "weight.R", "input.h", "matmul.Rh"),
    **_gate("z"),
    **_gate("r"),
    "A_Rh_aligned": _term("Rh", "g", "matmul.Rh", "op.Rh_add_br"),
    "A_br_aligned": _bias("br", "g", "op.Rh_add_br"),
    "A_acc": _sum("op.Rh_add_br", ("A_Rh_aligned", "A_br_aligned")),
    "A": _saturated("A_acc", "op.Rh_add_br"),
    "P_prod": reset_product,
    "P_acc": _scaled("P_prod", "gate.r_out", "op.Rh_add_br", "op.rRh"),
    "P": _saturated("P_acc", "op.rRh"),
    "g_Wx_aligned": _term("Wx", "g", "matmul.Wx", "gate.g_pre"),
    "g_P_aligned": _term("P", None, "op.rRh", "gate.g_pre"),
    "g_bx_aligned": _bias("bx", "g", "gate.g_pre"),
    "g_acc": _sum("gate.g_pre", ("g_Wx_aligned", "g_P_aligned", "g_bx_aligned")),
    **_end("g"),
    "O_prod": _old,
    "O_acc": _scaled("O_prod", "gate.z_out", "input.h", "op.old_contrib"),
    "O": _saturated("O_acc", "op.old_contrib"),
    "N_prod": _new,
    "N_acc": _scaled("N_prod", "gate.z_out", "gate.g_out", "op.new_contrib"),
    "N": _saturated("N_acc", "op.new_contrib"),
    "h_O_aligned": _term("O", None, "op.old_contrib", "input.h"),
    "h_N_aligned": _term("N", None, "op.new_contrib", "input.h"),
    "h_acc": _sum("input.h", ("h_O_aligned", "h_N_aligned")),
    "h_new": _saturated("h_acc", "input.h"),
    "h_zoneout_acc": lambda o, e: blended(o, e, zero_point(e, "input.h")),
    "h": lambda o, e: output(o, e, zero_point(e, "input.h")),
    "v": lambda o, e: np.concatenate([e[k] for k in ("z", "r", "g", "A")], axis=-1),
}
