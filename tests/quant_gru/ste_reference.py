"""The straight-through gradient, written step by step: every value is golden's, every derivative the float GRU's."""

from __future__ import annotations

import numpy as np
import torch

from golden.rescale import apply
from golden.rounding import shift_round
from golden.sequence import forward as golden
from quant_gru.boundary import dequantize_state, quantize_input, quantize_state


def through(value, real, is_open=True):
    """A node with golden's value whose gradient goes to value where no code was saturated."""
    real = torch.as_tensor(np.asarray(real), dtype=torch.float64)
    return real + (value - value.detach()) * torch.as_tensor(np.asarray(is_open), dtype=torch.float64)


def activated(pre, real, is_open, is_tanh):
    """A gate with golden's value and the derivative at that value."""
    real = torch.as_tensor(np.asarray(real), dtype=torch.float64)
    slope = 1 - real * real if is_tanh else real * (1 - real)
    return real + (pre - pre.detach()) * slope * torch.as_tensor(np.asarray(is_open), dtype=torch.float64)


def run(params, x, h0, weights, reverse):
    """(h float64 [T+1,N,H] in time order, leaves) of float tensors x, h0 and FloatGru weights."""
    leaves = {k: torch.tensor(getattr(weights, k), dtype=torch.float64, requires_grad=True) for k in ("W", "R", "bx", "br")}
    leaves |= {"x": x.double().detach().requires_grad_(), "h0": h0.double().detach().requires_grad_()}
    xq, hq = quantize_input(params, x.numpy()), quantize_state(params, h0.numpy())
    trace = golden(params, xq, hq, reverse=reverse)
    real, is_open = (_pot if params.datapath == "pot" else _mshift)(params, trace)
    units = _units(params)
    used = {}
    for k in ("W", "R", "bx", "br"):
        codes = getattr(params, k) * units[k]
        used[k] = through(leaves[k], codes, np.abs(leaves[k].detach().numpy() - codes) <= units[k] * 0.5000001)
    scale, zp, fmt = units["x"]
    q = np.rint(x.numpy().astype(np.float64) / scale + zp)
    x_in = through(leaves["x"], (xq - zp) * scale, (q >= fmt.qmin) & (q <= fmt.qmax))
    scale, zp, fmt = units["h"]
    q = np.rint(h0.numpy().astype(np.float64) / scale + zp)
    h = through(leaves["h0"], dequantize_state(params, hq), (q >= fmt.qmin) & (q <= fmt.qmax))
    states = {"start": h}
    steps = len(xq)
    hidden = params.hidden_size
    for t in range(steps - 1, -1, -1) if reverse else range(steps):
        Wx = through(x_in[t] @ used["W"], real["Wx"][t], is_open["Wx"][t])
        Rh = through(h @ used["R"], real["Rh"][t], is_open["Rh"][t])
        (xz, xr, xg), (hz, hr, hg) = Wx.split(hidden, -1), Rh.split(hidden, -1)
        (bxz, bxr, bxg), (bhz, bhr, bhg) = used["bx"].split(hidden), used["br"].split(hidden)
        gates = {}
        for k, total in (("z", xz + hz + bxz + bhz), ("r", xr + hr + bxr + bhr)):
            gates[k] = activated(total, real[k][t], is_open[k][t], False)
        A = through(hg + bhg, real["A"][t], is_open["A"][t])
        P = through(gates["r"] * A, real["P"][t] if "P" in real else 0.0, is_open["P"][t])
        g = activated(xg + P + bxg, real["g"][t], is_open["g"][t], True)
        old = through(gates["z"] * h, real["O"][t] if "O" in real else 0.0, is_open["O"][t])
        new = through((1 - gates["z"]) * g, real["N"][t] if "N" in real else 0.0, is_open["N"][t])
        h = states[t] = through(old + new, dequantize_state(params, trace["h"][t + 1]), is_open["h"][t])
    return torch.stack([states["start"], *(states[t] for t in range(steps))]), leaves


def _units(params):
    if params.datapath == "pot":
        units = {k: 2.0 ** -np.asarray(params.operators[f"weight.{k}"].exponent, float) for k in ("W", "R", "bx", "br")}
        for k in ("x", "h"):
            op = params.operators[f"input.{k}"]
            units[k] = 2.0**-op.exponent, op.zero_point, op.fmt
        return units
    units = {"W": params.s_w, "R": params.s_r, "bx": params.s_bx, "br": params.s_br}
    return units | {"x": (params.s_x, params.zp_x, params.fmt_x), "h": (params.s_h, params.zp_h, params.fmt_h)}


def _pot(p, trace):
    real, is_open = {}, {}
    names = {"matmul.Wx": "Wx", "matmul.Rh": "Rh", "op.Rh_add_br": "A", "op.rRh": "P"}
    for name, key in (names | {"op.old_contrib": "O", "op.new_contrib": "N"}).items():
        op = p.operators[name]
        real[key] = (trace[key] - op.zero_point) * 2.0**-op.exponent
        is_open[key] = trace[f"{key}_acc"] == trace[key] if key not in ("Wx", "Rh") else None
    for key, weight, data in (("Wx", "W", "x"), ("Rh", "R", "h")):
        op = p.operators[f"matmul.{key}"]
        shift = p.operators[f"weight.{weight}"].exponent + p.operators[f"input.{data}"].exponent - op.exponent
        is_open[key] = shift_round(trace[f"{key}_acc"], shift, p.rounding) + op.zero_point == trace[key]
    for k in ("z", "r", "g"):
        pre, out = p.operators[f"gate.{k}_pre"], p.operators[f"gate.{k}_out"]
        real[k] = (trace[k] - out.zero_point) * 2.0**-out.exponent
        u = (trace[f"{k}_pre"] - pre.zero_point) * 2.0**-pre.exponent
        ideal = (np.tanh(u) if k == "g" else 1 / (1 + np.exp(-u))) * 2.0**out.exponent + out.zero_point
        inside = (ideal >= out.fmt.qmin - 0.5) & (ideal <= out.fmt.qmax + 0.5)
        is_open[k] = (trace[f"{k}_acc"] == trace[f"{k}_pre"]) & inside
    is_open["h"] = trace["h_acc"] == trace["h_new"]
    return real, is_open


def _mshift(p, trace):
    real = {"Wx": trace["Wx"] * (p.s_w * p.s_x), "Rh": trace["Rh"] * (p.s_r * p.s_h), "A": trace["g_b"] * (p.s_r * p.s_h)}
    is_open = {k: np.ones_like(trace["Wx"], bool) for k in ("Wx", "Rh")}
    is_open |= {k: np.ones_like(trace["z"], bool) for k in ("A", "P", "O", "N")}
    for k in ("z", "r", "g"):
        real[k] = trace[k] / 127.0
        is_open[k] = apply(trace[f"{k}_a"], getattr(p, f"m_{k}")) + getattr(p, f"zp_{k}") == trace[f"{k}_pre"]
    is_open["h"] = apply(trace["S"], p.m_one) + p.zp_h == trace["h_new"]
    return real, is_open
