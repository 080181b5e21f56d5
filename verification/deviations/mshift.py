"""The stages of datapath M, static and with moving ranges.  [SPEC G-M, D]

A stage is (steps, environment) -> the field at the block; TNH fields as [T,N,H], bias terms as [T,H].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.spec.formats import INT8, INT32
from golden.spec.rounding import Rounding
from verification.deviations.environment import Environment, part
from verification.deviations.steps import Steps
from verification.exact.hidden import ONE_M

Stage = Callable[[Steps, Environment], Any]


def state(o: Steps, e: Environment) -> Any:
    """The state that a step works on: h, or h_q where the ranges move."""
    return e["h_q"] if e.run.dynamic else o.state(e)


def codes(o: Steps, e: Environment) -> Any:
    """[SPEC D-1]"""
    if not e.run.dynamic:
        return o.input(e)
    return o.to_code(o, o.input(e), e.number("s_x"), e.number("zp_x"), INT8, e.params.reciprocal)


def requantized_state(o: Steps, e: Environment) -> Any:
    """[SPEC D-2]"""
    old, zero_point = o.state(e), e.number("zp_h")
    new = o.requantize(o, o.sub_zero(old, e.number("zp_old"), "old"), e.number("m_h"), e.params.shift, zero_point, INT8)
    return np.where(e.number("fresh"), old, o.moved(old, new))


def _linear(data: str, matrix: str, zero_point: str) -> Stage:
    def stage(o: Steps, e: Environment) -> Any:
        values = e["x"] if data == "x" else state(o, e)
        return o.matmul(o, values, o.weights(e.weights(matrix), matrix, e.params), e.number(zero_point), data, INT8)

    return stage


def _bias(gate: str, name: str, m: str) -> Stage:
    def stage(o: Steps, e: Environment) -> Any:
        b = part(o.bias(e.bias(o.bias_of(name)), name, e.params), gate)
        return e.over_time(o.align(o, b, *e.mshift(m, 2)))

    return stage


def _gate(k: str) -> dict[str, Stage]:
    def total(o: Steps, e: Environment) -> Any:
        terms = (part(e["Wx"], k), e[f"{k}_Rh_aligned"], e[f"{k}_bx_aligned"][:, None], e[f"{k}_br_aligned"][:, None])
        return o.total(terms, INT32)

    return {
        f"{k}_Rh_aligned": lambda o, e: o.align(o, part(e["Rh"], k), *e.mshift(f"m_Rh_{k}")),
        f"{k}_bx_aligned": _bias(k, "bx", "m_bx"),
        f"{k}_br_aligned": _bias(k, "br", f"m_br_{k}"),
        f"{k}_acc": total,
        **_end(k),
    }


def _end(k: str) -> dict[str, Stage]:
    """From the sum to the gate."""
    return {
        f"{k}_a": lambda o, e: o.saturate(e[f"{k}_acc"], INT32),
        f"{k}_pre": lambda o, e: o.requantize(
            o, e[f"{k}_a"], *e.mshift(f"m_{k}"), getattr(e.params, f"zp_{k}"), e.params.fmt_pre
        ),
        k: lambda o, e: o.activate(o, e[f"{k}_pre"], o.table(getattr(e.params, f"table_{k}"), k, e.params)),
    }


def reset_product(o: Steps, e: Environment) -> Any:
    """[SPEC GM-2]"""
    return o.reset(o, e) if o.reset else o.gate(e, "r") * e["g_b"]


def _factors(o: Steps, e: Environment) -> tuple[Any, Any]:
    """(what h is multiplied by, what g is multiplied by)"""
    z = o.gate(e, "z")
    return o.update(z, o.one(ONE_M, e) - z)


def _sum_of_state(o: Steps, e: Environment) -> Any:
    return _factors(o, e)[0] * o.sub_zero(state(o, e), e.number("zp_h"), "h") + e["n"]


def blended(o: Steps, e: Environment, zero_point: Any) -> Any:
    """The exact sum of the zoneout.  [SPEC Z-2]"""
    old, new = (o.sub_zero(h, zero_point, "h") for h in (state(o, e), e["h_new"]))
    return o.blend(o, o.factor(e.run.options.zoneout), old, new)


def output(o: Steps, e: Environment, zero_point: Any) -> Any:
    """h after zoneout.  [SPEC Z-1, Z-2]"""
    options, h = e.run.options, e["h_new"]
    if options.mask is not None and o.zoneout:
        h = np.where(o.mask(e) == 1, state(o, e), h)
    if options.blend and o.zoneout:
        h = o.saturate(o.add_zero(o.shift(e["h_zoneout_acc"], 15, Rounding.TIES_UP), zero_point), e.run.fmt_h)
    return o.result(e, h)


STAGES: dict[str, Stage] = {
    "x": codes,
    "h_q": requantized_state,
    "Wx": _linear("x", "W", "zp_x"),
    "Rh": _linear("h", "R", "zp_h"),
    **_gate("z"),
    **_gate("r"),
    "g_br_aligned": _bias("g", "br", "m_br_g"),
    "g_b_acc": lambda o, e: o.total((part(e["Rh"], "g"), e["g_br_aligned"][:, None]), INT32),
    "g_b": lambda o, e: o.saturate(e["g_b_acc"], INT32),
    "g_rb": reset_product,
    "g_c": lambda o, e: o.align(o, e["g_rb"], *e.mshift("m_rRh")),
    "g_bx_aligned": _bias("g", "bx", "m_bx"),
    "g_acc": lambda o, e: o.total((part(e["Wx"], "g"), e["g_c"], e["g_bx_aligned"][:, None]), INT32),
    **_end("g"),
    "n_acc": lambda o, e: _factors(o, e)[1] * e["g"],
    "n": lambda o, e: o.align(o, e["n_acc"], *e.mshift("m_gh")),
    "S": _sum_of_state,
    "h_new": lambda o, e: o.requantize(o, e["S"], *e.mshift("m_one"), e.number("zp_h"), INT8),
    "h_zoneout_acc": lambda o, e: blended(o, e, e.number("zp_h")),
    "h": lambda o, e: output(o, e, e.number("zp_h")),
    "v": lambda o, e: np.concatenate([e[k] for k in ("z", "r", "g", "h_new")], axis=-1),
}
