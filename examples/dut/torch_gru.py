"""Datapath M in torch, as a device under test:  qgru check --dut py:examples/dut/torch_gru.py:TorchGru

It gives gates and states only, and leaves the inference zoneout out, so that such cases are listed as not run.
"""

from __future__ import annotations

from typing import Any

import torch

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def ties_up(x: torch.Tensor, s: int) -> torch.Tensor:
    """floor((x + 2^(s-1)) / 2^s)  [SPEC R-1]"""
    return (x + (1 << s >> 1)) >> s


def apply(v: torch.Tensor, m: Any) -> torch.Tensor:
    """[SPEC M-3]"""
    return ties_up(v * m.multiplier, m.shift)


def int32(v: torch.Tensor) -> torch.Tensor:
    """Saturated to int32, held in int64."""
    return v.clamp(INT32_MIN, INT32_MAX)


def lookup(q: torch.Tensor, entries: torch.Tensor, bits: int) -> torch.Tensor:
    """The entry of a gate input.  [SPEC A-1, A-2]"""
    return entries[q + 128 if bits == 8 else ((q + 32768) * 255 + 32767) // 65535]


class TorchGru:
    """The protocol of a device: what it does, and the two functions."""

    capabilities = {
        "name": "torch GRU",
        "steps": ["requantize", "mshift_hidden"],
        "datapaths": {"mshift": ["z", "r", "g", "h_new", "h"]},
        "options": ["reverse", "mask", "training", "h0"],
    }

    def step(self, name: str, constants: dict[str, int], inputs: dict[str, Any], table: Any) -> dict[str, torch.Tensor]:
        """Columns go in as NumPy arrays and come out as tensors, taken through DLPack."""
        c, columns = constants, {key: torch.from_numpy(array).long() for key, array in inputs.items()}
        if name == "requantize":
            low, high = (-(1 << (c["bits"] - 1)), (1 << (c["bits"] - 1)) - 1) if c["signed"] else (0, (1 << c["bits"]) - 1)
            return {"q": (ties_up(columns["v"] * c["M"], c["s"]) + c["zp"]).clamp(low, high).int()}
        z, g, h = (columns[k] for k in "zgh")
        n_acc = (127 - z) * g
        n = int32(ties_up(n_acc * c["M_gh"], c["s_gh"]))
        S = z * (h - c["zp"]) + n
        h_new = (ties_up(S * c["M_one"], c["s_one"]) + c["zp"]).clamp(-128, 127)
        return {"n_acc": n_acc.int(), "n": n.int(), "S": S, "h_new": h_new.int()}

    def sequence(
        self, params: Any, x: Any, h0: Any, *, mask: Any, zoneout: float, training: bool, reverse: bool
    ) -> dict[str, Any]:
        """[SPEC GM-1, GM-2, GM-3, S-2]"""
        p = params
        W, R, bx, br, codes = (torch.from_numpy(a.copy()).long() for a in (p.W, p.R, p.bx, p.br, x))
        hidden, steps, batch = p.hidden_size, codes.shape[0], codes.shape[1]
        entries = {k: torch.from_numpy(getattr(p, f"table_{k}").entries.copy()).long() for k in "zrg"}
        low, high = p.fmt_pre.qmin, p.fmt_pre.qmax
        start = torch.full((batch, hidden), min(max(p.zp_h, -128), 127)) if h0 is None else torch.from_numpy(h0).long()
        h = torch.empty((steps + 1, batch, hidden), dtype=torch.int32)
        h[0] = start.int()
        out = {k: torch.empty((steps, batch, hidden), dtype=torch.int32) for k in ("z", "r", "g", "h_new")}
        state = start
        for t in reversed(range(steps)) if reverse else range(steps):
            Wx, Rh = (codes[t] - p.zp_x) @ W, (state - p.zp_h) @ R
            gates = {}
            for i, k in enumerate("zr"):
                block = slice(i * hidden, (i + 1) * hidden)
                terms = (
                    (Rh[:, block], getattr(p, f"m_Rh_{k}")), (bx[block], p.m_bx), (br[block], getattr(p, f"m_br_{k}"))
                )  # fmt: skip
                a = int32(Wx[:, block] + sum(int32(apply(v, m)) for v, m in terms))
                pre = (apply(a, getattr(p, f"m_{k}")) + getattr(p, f"zp_{k}")).clamp(low, high)
                gates[k] = lookup(pre, entries[k], p.gate_bits)
            z, r, last = gates["z"], gates["r"], slice(2 * hidden, 3 * hidden)
            b = int32(Rh[:, last] + int32(apply(br[last], p.m_br_g)))
            c = int32(apply(r * b, p.m_rRh))
            a = int32(Wx[:, last] + c + int32(apply(bx[last], p.m_bx)))
            g = lookup((apply(a, p.m_g) + p.zp_g).clamp(low, high), entries["g"], p.gate_bits)
            n = int32(apply((127 - z) * g, p.m_gh))
            new = (apply(z * (state - p.zp_h) + n, p.m_one) + p.zp_h).clamp(-128, 127)
            for k, value in (("z", z), ("r", r), ("g", g), ("h_new", new)):
                out[k][t] = value.int()
            state = new if mask is None else torch.where(torch.from_numpy(mask[t]) == 1, state, new)
            h[t + 1] = state.int()
        return {**out, "h": h}
