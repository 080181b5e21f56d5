"""A mismatch in words: where, both codes, the operands, the value before rounding, the command that replays it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from golden.spec.layout import GATES
from golden.spec.params import Params
from golden.spec.trace import Trace
from verification.compare import Comparison, Divergence, hexadecimal

SHOWN = 12  # elements of a row

# Datapath M: field -> (what is multiplied, the MShift); the product is what gets rounded.
_MULTIPLIED = {
    "z_Rh_aligned": ("Rh:z", "m_Rh_z"),
    "r_Rh_aligned": ("Rh:r", "m_Rh_r"),
    "z_bx_aligned": ("bx", "m_bx"),
    "r_bx_aligned": ("bx", "m_bx"),
    "g_bx_aligned": ("bx", "m_bx"),
    "z_br_aligned": ("br", "m_br_z"),
    "r_br_aligned": ("br", "m_br_r"),
    "g_br_aligned": ("br", "m_br_g"),
    "z_pre": ("z_a", "m_z"),
    "r_pre": ("r_a", "m_r"),
    "g_pre": ("g_a", "m_g"),
    "g_c": ("g_rb", "m_rRh"),
    "n": ("n_acc", "m_gh"),
    "h_new": ("S", "m_one"),
}

# Datapath P: field -> (what is shifted, its operator, the weight operator of a dot product or the second factor, the target)
_SHIFTED: dict[str, tuple[str, str, str | None, str]] = {
    "Wx": ("Wx_acc", "input.x", "weight.W", "matmul.Wx"),
    "Rh": ("Rh_acc", "input.h", "weight.R", "matmul.Rh"),
    "P_acc": ("P_prod", "gate.r_out", "op.Rh_add_br", "op.rRh"),
    "O_acc": ("O_prod", "gate.z_out", "input.h", "op.old_contrib"),
    "N_acc": ("N_prod", "gate.z_out", "gate.g_out", "op.new_contrib"),
    "h_O_aligned": ("O", "op.old_contrib", None, "input.h"),
    "h_N_aligned": ("N", "op.new_contrib", None, "input.h"),
    "g_P_aligned": ("P", "op.rRh", None, "gate.g_pre"),
    "A_Rh_aligned": ("Rh:g", "matmul.Rh", None, "op.Rh_add_br"),
    "A_br_aligned": ("br", "weight.br", None, "op.Rh_add_br"),
    **{f"{k}_Wx_aligned": (f"Wx:{k}", "matmul.Wx", None, f"gate.{k}_pre") for k in GATES},
    **{f"{k}_Rh_aligned": (f"Rh:{k}", "matmul.Rh", None, f"gate.{k}_pre") for k in "zr"},
    **{f"{k}_bx_aligned": ("bx", "weight.bx", None, f"gate.{k}_pre") for k in GATES},
    **{f"{k}_br_aligned": ("br", "weight.br", None, f"gate.{k}_pre") for k in "zr"},
}


def report(
    comparison: Comparison,
    params: Params,
    expected: Trace,
    *,
    names: tuple[str, str],
    replay: str,
    diagnosis: Sequence[str] = (),
) -> str:
    """The mismatch report of a comparison that is not equal.

    params    the parameter set of the run
    expected  the trace that the comparison took as right
    names     of the two implementations, the one under test first
    replay    a command that shows the mismatch again
    diagnosis lines of verification.diagnosis.report_lines, or none
    Returns   a few lines of text, without a trailing newline
    """
    lines = [f"  {sentence}" for sentence in comparison.problems]
    d = comparison.first
    if d is not None:
        lines += _divergence(d, params, expected, names)
        lines.append(
            f"  {comparison.mismatches} of {comparison.compared} codes differ: {comparison.roots} with equal operands, "
            f"{comparison.consequences} as a consequence"
        )
        counts = [f"{name} {differing}" for name, (_, differing) in comparison.stages.items() if differing]
        lines.append("  by stage: " + ", ".join(counts))
    lines += diagnosis
    lines.append(f"  replay: {replay}")
    return "\n".join([f"MISMATCH {names[0]} against {names[1]}, datapath {expected.datapath}", *lines])


def _divergence(d: Divergence, params: Params, expected: Trace, names: tuple[str, str]) -> list[str]:
    got, wanted = d.hex
    width = max(len(names[0]), len(names[1]))
    lines = [
        f"  stage {d.stage} [SPEC {d.clause}], {place(d)}",
        f"  {names[0]:<{width}}  {d.got} ({got})",
        f"  {names[1]:<{width}}  {d.expected} ({wanted}), difference {d.difference}",
    ]
    read = {**d.operands, **_constants(d, params)}
    if read:
        lines.append("  operands: " + ", ".join(f"{name} = {_shown(value)}" for name, value in read.items()))
    before = before_rounding(d, params)
    if before:
        lines.append(f"  before rounding: {before}")
    return lines


def place(d: Divergence) -> str:
    """t, n and unit (with its gate) of a divergence, in words."""
    parts = ["before the loop" if d.t is None else "initial state" if d.t < 0 else f"t = {d.t}"]
    if d.n is not None:
        parts.append(f"n = {d.n}")
    if d.unit is not None:
        parts.append(f"unit = {d.unit}" + (f" of {d.gate}" if d.gate else ""))
    return ", ".join(parts)


def before_rounding(d: Divergence, params: Params) -> str:
    """The value that the stage rounds, exact, and how far it is shifted; "" for a stage that rounds nothing."""
    p: Any = params
    if p.datapath == "pot":
        if d.stage not in _SHIFTED:
            return ""
        source, operator, factor, target = _SHIFTED[d.stage]
        value = _value(d, params, source)
        if value is None:
            return ""
        exponent = _exponent(p, operator, d) + (0 if factor is None else _exponent(p, factor, d))
        if factor is None:
            value -= p.operators[operator].zero_point
        return f"{value} ({hexadecimal(value, 64)}) >> {exponent - p.operators[target].exponent}, {p.rounding.value}"
    if d.stage not in _MULTIPLIED:
        return ""
    source, name = _MULTIPLIED[d.stage]
    value = _value(d, params, source)
    if value is None:
        return ""
    multiplier, shift = _mshift(p, name, d)
    product = value * multiplier
    return f"{value} * {multiplier} = {product} ({hexadecimal(product, 64)}) >> {shift}, ties_up"


def _mshift(p: Any, name: str, d: Divergence) -> tuple[int, int]:
    if p.datapath == "mshift":
        m = getattr(p, name)
        return m.multiplier, m.shift
    return int(d.operands.get(name, 0)), p.shift_bias if name.startswith(("m_bx", "m_br")) else p.shift


def _value(d: Divergence, params: Any, source: str) -> int | None:
    for name, value in d.operands.items():
        if name == source or name.split(":")[0] == source:
            return int(value)
    if source in ("bx", "br") and d.unit is not None:
        return int(getattr(params, source)[_channel(d, params)])
    return None


def _channel(d: Divergence, params: Any) -> int:
    gate = d.gate or next((k for k in GATES if d.stage.startswith(k)), "g")
    return GATES.index(gate) * params.hidden_size + (d.unit or 0)


def _exponent(p: Any, operator: str, d: Divergence) -> int:
    exponent = p.operators[operator].exponent
    return int(exponent[_channel(d, p)]) if isinstance(exponent, np.ndarray) else int(exponent)


def _constants(d: Divergence, params: Any) -> dict[str, Any]:
    """The constants of the parameter set that the stage uses."""
    out: dict[str, Any] = {}
    static = params.datapath != "mshift-dynamic"
    products = {"Wx": ("W", "zp_x"), "Rh": ("R", "zp_h"), "Wx_acc": ("W", "input.x"), "Rh_acc": ("R", "input.h")}
    if static and d.stage in products and d.stage.endswith("_acc") == (params.datapath == "pot") and d.unit is not None:
        matrix, zero_point = products[d.stage]
        out[f"{matrix} column"] = getattr(params, matrix)[:, _channel(d, params)].tolist()
        out["zero point"] = params.operators[zero_point].zero_point if params.datapath == "pot" else getattr(params, zero_point)
    if params.datapath == "pot":
        return out
    if d.stage in _MULTIPLIED:
        multiplier, shift = _mshift(params, _MULTIPLIED[d.stage][1], d)
        out[_MULTIPLIED[d.stage][1]] = f"{multiplier} * 2**-{shift}"
    if d.stage.endswith("_pre"):
        out["zero point"] = getattr(params, f"zp_{d.stage[0]}")
    if static and d.stage in ("S", "h_new", "h_zoneout_acc"):
        out["zero point"] = params.zp_h
    return out


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) > SHOWN:
        return "[" + ", ".join(str(v) for v in value[:SHOWN]) + f", ... {len(value)} in all]"
    return str(value)
