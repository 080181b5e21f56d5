"""The factors of the straight-through gradient, from the intermediates of single steps.  [SPEC G-P, G-M]

With dh the gradient of a state h', the gradient of the previous state is dh * keep + ((dh, dh, dh) * h) R^T, that of W x + bx
is (dh, dh, dh) * x, and that of R h + br is (dh, dh, dh) * h, gates z, r, g. Cut products are zero in the gradients of W, R,
x and h, not in those of the biases, which are added after the saturation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from golden.spec.formats import INT32
from golden.spec.params import MShift, MShiftParams, Operator, PotParams
from quant_gru.module_network import Direction

Fields = Mapping[str, torch.Tensor]
CODE_OF_ONE = 127.0


class Coefficients(NamedTuple):
    """float32 factors of rows of single steps.

    keep   [rows,H], from h' straight to h
    x, h   [rows,3H], from h' to the sums of the gates
    cut_x, cut_h  bool [rows,3H], where matmul.Wx and matmul.Rh are saturated; None where that cannot be
    """

    keep: torch.Tensor
    x: torch.Tensor
    h: torch.Tensor
    cut_x: torch.Tensor | None
    cut_h: torch.Tensor | None


def coefficients(d: Direction, x: torch.Tensor, h: torch.Tensor) -> Coefficients:
    """The factors of rows that are each one step: x codes [rows,C], codes of the previous state [rows,H]."""
    fields = d.stages(x, h)
    if isinstance(d.params, PotParams):
        return _pot(d.params, fields, d.h.dequantize(h))
    return _mshift(d.params, fields, d.h.dequantize(h))


def _factors(
    z: torch.Tensor, r: torch.Tensor, g: torch.Tensor, A: torch.Tensor, h: torch.Tensor, open_: Fields
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(keep, x, h) of the real gates, A = Rh_g + br_g, the previous state, and where each operator passes a gradient."""
    old, new = open_["h"] & open_["O"], open_["h"] & open_["N"]
    keep = z * old
    to_z = (h * old - g * new) * z * (1 - z) * open_["z"]
    to_g = (1 - z) * new * (1 - g * g) * open_["g"]
    to_P = to_g * open_["P"]
    to_r = to_P * A * r * (1 - r) * open_["r"]
    to_A = to_P * r * open_["A"]
    return keep, torch.cat([to_z, to_r, to_g], dim=-1), torch.cat([to_z, to_r, to_A], dim=-1)


def _real(codes: torch.Tensor, op: Operator) -> torch.Tensor:
    return (codes - op.zero_point).to(torch.float32) * 2.0 ** -int(op.exponent)


def _pot(p: PotParams, f: Fields, h: torch.Tensor) -> Coefficients:
    ops = p.operators
    open_ = {name: f[f"{name}_acc"] == f[name] for name in ("A", "P", "O", "N")}
    open_["h"] = f["h_acc"] == f["h_new"]
    gates = {}
    for k in ("z", "r", "g"):
        pre, out = ops[f"gate.{k}_pre"], ops[f"gate.{k}_out"]
        gates[k] = _real(f[k], out)
        reached = _real(f[f"{k}_pre"], pre)
        reached = torch.tanh(reached) if k == "g" else torch.sigmoid(reached)
        step = 2.0 ** -int(out.exponent)
        low, high = (out.fmt.qmin - 0.5 - out.zero_point) * step, (out.fmt.qmax + 0.5 - out.zero_point) * step
        open_[k] = (f[f"{k}_acc"] == f[f"{k}_pre"]) & (reached >= low) & (reached <= high)
    A = _real(f["A"], ops["op.Rh_add_br"])
    keep, to_x, to_h = _factors(gates["z"], gates["r"], gates["g"], A, h, open_)
    return Coefficients(keep, to_x, to_h, _cut(p, f, "W", "x", "Wx"), _cut(p, f, "R", "h", "Rh"))


def _cut(p: PotParams, f: Fields, weight: str, data: str, out: str) -> torch.Tensor:
    """bool [rows,3H]: where a product lies half a code or more outside its format.  [SPEC GP-1]"""
    to = p.operators[f"matmul.{out}"]
    acc = f[f"{out}_acc"]
    exponents = torch.tensor(p.operators[f"weight.{weight}"].exponent, dtype=torch.float64, device=acc.device)
    shift = exponents + p.operators[f"input.{data}"].exponent - to.exponent
    value = acc.to(torch.float64) * torch.exp2(-shift) + to.zero_point
    return (value <= to.fmt.qmin - 0.5) | (value >= to.fmt.qmax + 0.5)


def _mshift(p: MShiftParams, f: Fields, h: torch.Tensor) -> Coefficients:
    open_ = {}
    for k in ("z", "r", "g"):
        requantized = _inside(f[f"{k}_a"], getattr(p, f"m_{k}"), getattr(p, f"zp_{k}"), f[f"{k}_pre"])
        open_[k] = requantized & (f[f"{k}_acc"] == f[f"{k}_a"])
    open_["A"] = f["g_b_acc"] == f["g_b"]
    open_["P"] = (f["g_c"] > INT32.qmin) & (f["g_c"] < INT32.qmax)
    open_["O"] = open_["N"] = open_["h"] = _inside(f["S"], p.m_one, p.zp_h, f["h_new"])
    z, r, g = (f[k].to(torch.float32) / CODE_OF_ONE for k in ("z", "r", "g"))
    A = f["g_b"].to(torch.float32) * (p.s_r * p.s_h)
    keep, to_x, to_h = _factors(z, r, g, A, h, open_)
    return Coefficients(keep, to_x, to_h, None, None)


def _inside(v: torch.Tensor, m: MShift, zero_point: int, codes: torch.Tensor) -> torch.Tensor:
    """bool: where requantize did not saturate, its sum being the code itself.  [SPEC M-5]"""
    product = v.to(torch.int64) * m.multiplier
    half = 1 << (m.shift - 1) if m.shift else 0
    return ((product + half) >> m.shift) + zero_point == codes
