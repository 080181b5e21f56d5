"""The float network on the device of the data, in binary64: a calibration on a GPU counts without moving what it counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from golden.spec.errors import ParameterError
from quant_gru.float_gru import FloatGru

STEPS = ("Rh", "z_pre", "z", "r_pre", "r", "A", "P", "g_pre", "g", "O", "N")


def run_tensor(gru: FloatGru, x: Any, h0: Any = None, *, reverse: bool = False) -> dict[str, torch.Tensor]:
    """quant_gru.float_gru.run with torch operations on the device of x, in float64.

    x, h0    tensors [T,N,C] and [N,H], or None for h0
    Returns  the names and shapes of quant_gru.float_gru.run; sums may be added in another order, so the last bits may differ
    """
    if x.ndim != 3 or x.shape[2] != gru.input_size:
        raise ParameterError("x", f"an array of shape {list(x.shape)}", f"shape [any, any, {gru.input_size}]")
    steps, batch = x.shape[:2]
    hidden = gru.hidden_size
    if h0 is not None and tuple(h0.shape) != (batch, hidden):
        raise ParameterError("h0", f"an array of shape {list(h0.shape)}", f"shape [{batch}, {hidden}]")
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        x = x.detach().to(torch.float64)
        W, R, bx, br = (torch.from_numpy(v.astype(np.float64)).to(x.device) for v in (gru.W, gru.R, gru.bx, gru.br))
        Wx = x @ W
        h = x.new_zeros(batch, hidden) if h0 is None else h0.detach().to(x.device, torch.float64)
        kept: dict[str, list[torch.Tensor]] = {name: [] for name in STEPS}
        states = []
        first = h
        for t in range(steps - 1, -1, -1) if reverse else range(steps):
            Rh = h @ R
            xz, xr, xg = (Wx[t] + bx).split(hidden, dim=1)
            hz, hr, hg = (Rh + br).split(hidden, dim=1)
            z_pre, r_pre = xz + hz, xr + hr
            z, r = torch.sigmoid(z_pre), torch.sigmoid(r_pre)
            P = r * hg
            g_pre = xg + P
            g = torch.tanh(g_pre)
            O, N = z * h, (1 - z) * g  # noqa: E741
            h = O + N
            states.append(h)
            for name, value in zip(kept, (Rh, z_pre, z, r_pre, r, hg, P, g_pre, g, O, N)):
                kept[name].append(value)
        turn = slice(None, None, -1 if reverse else 1)
        empty = x.new_zeros(0, batch, hidden)
        out = {name: torch.stack(values[turn]) if values else empty for name, values in kept.items()}
        return {"x": x, "Wx": Wx, **out, "h": torch.stack([first, *states[turn]])}
