"""The integer network as ONNX: golden's codes from integer operators alone, a Scan for each direction.  [SPEC G-M, G-P, S]

Everything that depends on x alone is computed before the Scan, for all steps at once; what is constant (aligned biases, the
code of one) is computed when the graph is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from golden import rescale, rounding
from golden.hidden import CODE_OF_ONE, ZONEOUT_BITS, pot_one, zoneout_factor
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, INT32, IntFormat
from golden.spec.params import MShiftParams, PotParams
from quant_gru.boundary import point
from quant_gru.onnx_graph import Emitter, Kind, Value, cast
from quant_gru.onnx_integer_steps import (
    activate,
    align,
    apply,
    dequantize,
    matmul,
    plus,
    quantize,
    requantize,
    saturate,
    shift_round,
    ties_up,
    times,
    whole,
)
from quant_gru.onnx_network import Answer, expanded
from quant_gru.stack import Direction

Static = MShiftParams | PotParams
Step = Callable[[Emitter, Sequence[Value], Value], Value]
"""(emitter of the Scan's body, what x gives to this step, codes of the state) -> codes of h'."""


def integer_direction(
    e: Emitter, d: Direction, x: Value, h0: Value | None, batch: Value, *, zoneout: float = 0.0
) -> Answer:
    """A direction between its float boundaries: codes by Q-1 or Q-2, the Scan, reals by Q-3.

    x      float32 [T,N,C]
    h0     float32 [N,H], or None for zero
    batch  int64 [1], N
    """
    params = static(d)
    at = point(params, "h")
    codes = quantize(e, x, point(params, "x"), "x_codes")
    start = zero_state(e, params, batch) if h0 is None else quantize(e, h0, at, "h0_codes")
    h, last = integer_codes(e, params, codes, start, d.reverse, zoneout)
    return Answer(dequantize(e, h, at), dequantize(e, last, at), h, last)


def codes_direction(
    e: Emitter, d: Direction, x: Value, h0: Value | None, batch: Value, *, zoneout: float = 0.0
) -> Answer:
    """A direction without float boundaries: x int32 [T,N,C] and h0 int32 [N,H] are codes, and so are y and h_n."""
    params = static(d)
    start = zero_state(e, params, batch) if h0 is None else cast(e, h0, "int64")
    h, last = integer_codes(e, params, cast(e, x, "int64"), start, d.reverse, zoneout)
    return Answer(h, last, h, last)


def static(d: Direction) -> Static:
    """The parameter set of a direction.

    Raises   ParameterError when there is none, or its ranges move while it runs
    """
    if d.params is None:
        raise ParameterError("params", "missing", "a quantized network")
    if not isinstance(d.params, Static):
        raise ParameterError("datapath", d.params.datapath, "mshift or pot: a graph has no moving ranges")
    return d.params


def zero_state(e: Emitter, params: Static, batch: Value) -> Value:
    """The codes int64 [N,H] of a missing h0: the saturated zero point.  [SPEC GM-4, GP-9]"""
    at = point(params, "h")
    code = int(rounding.saturate(at.zero_point, at.fmt))
    return expanded(e, whole(e, code), batch, params.hidden_size)


def integer_codes(
    e: Emitter, params: Static, x: Value, h0: Value, reverse: bool, zoneout: float = 0.0
) -> tuple[Value, Value]:
    """(outputs [T,N,H], last state [N,H]) of a parameter set, codes in int64.  [SPEC S-1, S-2, Z-2]

    x        int64 [T,N,C], codes
    h0       int64 [N,H], codes
    zoneout  probability of the inference zoneout
    """
    parts, step = _pot(e, params, x) if isinstance(params, PotParams) else _mshift(e, params, x)
    at = point(params, "h")
    k = zoneout_factor(zoneout)
    kind = Kind("int64", ("N", params.hidden_size))

    def body(b: Emitter, states: Sequence[Value], slices: Sequence[Value]) -> tuple[Sequence[Value], Sequence[Value]]:
        h = step(b, slices, states[0])
        if k:
            h = _blend(b, k, states[0], h, at.zero_point, at.fmt)
        return [h], [h]

    states, sequences = e.scan(body, [(h0, kind)], [(p, kind) for p in parts], [kind], reverse, name="gru")
    return sequences[0], states[0]


def _blend(e: Emitter, k: int, old: Value, new: Value, zero_point: int, fmt: IntFormat) -> Value:
    """Inference zoneout.  [SPEC Z-2]"""
    terms = times(e, plus(e, old, -zero_point), k), times(e, plus(e, new, -zero_point), 2**ZONEOUT_BITS - k)
    return saturate(e, plus(e, ties_up(e, e.op("Add", *terms), ZONEOUT_BITS), zero_point), fmt)


def _split(e: Emitter, v: Value, hidden: int, names: str) -> Sequence[Value]:
    """The columns of the three gates."""
    return e.op("Split", v, whole(e, [hidden] * 3), axis=-1, outputs=3, name=names)


def _by_gate(array: Any) -> list[np.ndarray]:
    return np.split(np.asarray(array, np.int64), 3, axis=-1)


def _mshift(e: Emitter, p: MShiftParams, x: Value) -> tuple[Sequence[Value], Step]:
    """Datapath M: what x gives to every step, and the step.  [SPEC GM-1 ... GM-3]"""
    bx_z, bx_r, bx_g = (rescale.align(b, p.m_bx) for b in _by_gate(p.bx))
    br_z, br_r, br_g = (rescale.align(b, getattr(p, f"m_br_{k}")) for k, b in zip("zrg", _by_gate(p.br)))
    wx = _split(e, matmul(e, x, p.W, p.zp_x, INT8, INT8, "W"), p.hidden_size, "Wx")
    parts = [plus(e, v, constant) for v, constant in zip(wx, (bx_z + br_z, bx_r + br_r, bx_g))]

    def gate(b: Emitter, k: str, term: Value, rh: Value) -> Value:
        a = saturate(b, b.op("Add", term, align(b, rh, getattr(p, f"m_Rh_{k}"))), INT32)
        return activated(b, k, a)

    def activated(b: Emitter, k: str, a: Value) -> Value:
        pre = requantize(b, a, getattr(p, f"m_{k}"), getattr(p, f"zp_{k}"), p.fmt_pre, f"{k}_pre")
        return activate(b, pre, getattr(p, f"table_{k}"), k)

    def step(b: Emitter, slices: Sequence[Value], h: Value) -> Value:
        rh_z, rh_r, rh_g = _split(b, matmul(b, h, p.R, p.zp_h, INT8, INT8, "R"), p.hidden_size, "Rh")
        z, r = gate(b, "z", slices[0], rh_z), gate(b, "r", slices[1], rh_r)
        rb = b.op("Mul", r, saturate(b, plus(b, rh_g, br_g), INT32, "g_b"))
        c = saturate(b, ties_up(b, times(b, rb, p.m_rRh.multiplier), p.m_rRh.shift), INT32, "g_c")
        g = activated(b, "g", saturate(b, b.op("Add", slices[2], c), INT32, "g_a"))
        n = align(b, b.op("Mul", b.op("Sub", whole(b, CODE_OF_ONE), z), g), p.m_gh)
        S = b.op("Add", b.op("Mul", z, plus(b, h, -p.zp_h)), n, name="S")
        return saturate(b, plus(b, apply(b, S, p.m_one), p.zp_h), INT8, "h_new")

    return parts, step


def _pot(e: Emitter, p: PotParams, x: Value) -> tuple[Sequence[Value], Step]:
    """Datapath P: what x gives to every step, and the step.  [SPEC GP-1 ... GP-8]"""
    ops, rs = p.operators, p.rounding

    def exponent(name: str) -> Any:
        return ops[name].exponent

    def off(name: str) -> int:
        return ops[name].zero_point

    def product(b: Emitter, key: str, codes: Value) -> Sequence[Value]:
        """matmul.Wx or matmul.Rh less its zero point, by gate.  [SPEC GP-1]"""
        data, weight = ("input.x" if key == "W" else "input.h"), f"weight.{key}"
        out = "matmul.Wx" if key == "W" else "matmul.Rh"
        acc = matmul(b, codes, getattr(p, key), off(data), ops[data].fmt, ops[weight].fmt, key)
        rounded = shift_round(b, acc, exponent(weight) + exponent(data) - exponent(out), rs)
        name = out.removeprefix("matmul.")
        v = plus(b, saturate(b, plus(b, rounded, off(out)), ops[out].fmt, name), -off(out))
        return _split(b, v, p.hidden_size, f"{name}_centred")

    def bias(key: str, gate: int, out: str) -> np.ndarray:
        part = _by_gate(exponent(f"weight.{key}"))[gate] - exponent(out)
        return rounding.shift_round(_by_gate(getattr(p, key))[gate], part, rs)

    def narrowed(b: Emitter, v: Value, shift: Any, out: str, name: str) -> Value:
        """sat(RS(v) + zp)."""
        return saturate(b, plus(b, shift_round(b, v, shift, rs), off(out)), ops[out].fmt, name)

    parts = []
    for i, (k, v) in enumerate(zip("zrg", product(e, "W", x))):
        pre = f"gate.{k}_pre"
        constant = bias("bx", i, pre) + (bias("br", i, pre) if k != "g" else 0) + off(pre)
        parts.append(plus(e, shift_round(e, v, exponent("matmul.Wx") - exponent(pre), rs), constant))
    one = int(pot_one(ops["gate.z_out"], rs))

    def gate(b: Emitter, k: str, term: Value, v: Value, operator: str) -> Value:
        pre = f"gate.{k}_pre"
        acc = b.op("Add", term, shift_round(b, v, exponent(operator) - exponent(pre), rs))
        return activate(b, saturate(b, acc, ops[pre].fmt, f"{k}_pre"), getattr(p, f"act_{k}"), k)

    def step(b: Emitter, slices: Sequence[Value], h: Value) -> Value:
        A_op, P_op, O_op, N_op = "op.Rh_add_br", "op.rRh", "op.old_contrib", "op.new_contrib"
        rh_z, rh_r, rh_g = product(b, "R", h)
        z, r = gate(b, "z", slices[0], rh_z, "matmul.Rh"), gate(b, "r", slices[1], rh_r, "matmul.Rh")
        A_acc = plus(b, shift_round(b, rh_g, exponent("matmul.Rh") - exponent(A_op), rs), bias("br", 2, A_op) + off(A_op))
        A = saturate(b, A_acc, ops[A_op].fmt, "A")
        rA = b.op("Mul", plus(b, r, -off("gate.r_out")), plus(b, A, -off(A_op)))
        P = narrowed(b, rA, exponent("gate.r_out") + exponent(A_op) - exponent(P_op), P_op, "P")
        g = gate(b, "g", slices[2], plus(b, P, -off(P_op)), P_op)
        zh = b.op("Mul", plus(b, z, -off("gate.z_out")), plus(b, h, -off("input.h")))
        old = narrowed(b, zh, exponent("gate.z_out") + exponent("input.h") - exponent(O_op), O_op, "O")
        zg = b.op("Mul", b.op("Sub", whole(b, one), z), plus(b, g, -off("gate.g_out")))
        new = narrowed(b, zg, exponent("gate.z_out") + exponent("gate.g_out") - exponent(N_op), N_op, "N")
        kept = shift_round(b, plus(b, old, -off(O_op)), exponent(O_op) - exponent("input.h"), rs)
        added = shift_round(b, plus(b, new, -off(N_op)), exponent(N_op) - exponent("input.h"), rs)
        return saturate(b, plus(b, b.op("Add", kept, added), off("input.h")), ops["input.h"].fmt, "h_new")

    return parts, step
