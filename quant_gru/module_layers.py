"""Layer on layer, direction by direction: reals in, the integer network, reals out.  [SPEC Q-1, Q-3, S-2, S-3]"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from quant_gru.autograd import QuantizedDirection
from quant_gru.module_network import Direction

Weights = tuple[torch.Tensor | None, ...]
"""weight_ih, weight_hh, bias_ih, bias_hh of a direction; biases may be None."""


@dataclass(frozen=True)
class Rows:
    """Rows of different lengths in one padded tensor.

    lengths  int64 [N], on the device
    flipped  int64 [T,N]: where each row's step t lies when the row is read from its own end
    """

    lengths: torch.Tensor
    flipped: torch.Tensor

    @classmethod
    def of(cls, lengths: torch.Tensor, steps: int) -> Rows:
        """Rows of these lengths."""
        t = torch.arange(steps, device=lengths.device)[:, None]
        return cls(lengths, (lengths - 1 - t).clamp_(min=0))

    def flip(self, values: torch.Tensor) -> torch.Tensor:
        """[T,N,F] with every row reversed inside its own length."""
        return values.gather(0, self.flipped[..., None].expand_as(values))

    def last(self, values: torch.Tensor) -> torch.Tensor:
        """[N,F]: each row of [T,N,F] at its own end."""
        return values[self.lengths - 1, torch.arange(values.shape[1], device=values.device)]


def run_in_float32(
    layers: Sequence[Sequence[Direction]],
    weights: Sequence[Sequence[Weights]] | None,
    x: torch.Tensor,
    hx: torch.Tensor | None,
    rows: Rows | None,
    dropout: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """run_layers for x and hx of any float type, also inside autocast.

    Raises   RuntimeError, as torch.nn.GRU does, for tensors on two devices
    """
    if hx is not None and hx.device != x.device:
        found = f"found input tensor at {x.device} and hidden tensor at {hx.device}"
        raise RuntimeError(f"Input and hidden tensors are not at the same device, {found}")
    x = x if x.dtype == torch.float32 else x.to(torch.float32)
    hx = hx if hx is None or hx.dtype == torch.float32 else hx.to(torch.float32)
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return run_layers(layers, weights, x, hx, rows, dropout)
    with torch.autocast(kind, enabled=False):
        return run_layers(layers, weights, x, hx, rows, dropout)


def run_layers(
    layers: Sequence[Sequence[Direction]],
    weights: Sequence[Sequence[Weights]] | None,
    x: torch.Tensor,
    hx: torch.Tensor | None,
    rows: Rows | None,
    dropout: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The integer network of a whole stack.

    weights  what gradients go to, PyTorch's own tensors; None where none are asked for
    x        float32 [T,N,C], T > 0
    hx       float32 [L*D,N,H] or None
    rows     their lengths where they differ
    dropout  probability of dropping a feature between layers
    Returns  output float32 [T,N,D*H] and h_n float32 [L*D,N,H]; behind a row's end output is arbitrary
    """
    needs_grad = weights is not None and (
        x.requires_grad
        or (hx is not None and hx.requires_grad)
        or any(w is not None and w.requires_grad for layer in weights for one in layer for w in one)
    )
    if rows is None and not needs_grad:
        return _run_evenly(layers, x, hx, dropout)
    last: list[torch.Tensor] = []
    for i, layer in enumerate(layers):
        outputs: list[torch.Tensor] = []
        shared: torch.Tensor | None = None  # codes of x, for the other direction too where it has the same scale
        for j, d in enumerate(layer):
            h0 = None if hx is None else hx[len(last)]
            flipped = rows is not None and d.reverse
            value = rows.flip(x) if rows is not None and flipped else x
            used = d.forwards if flipped else d
            if weights is not None and needs_grad:
                y = QuantizedDirection.apply(value, h0, *weights[i][j], used)[1:]
            else:
                codes = shared if shared is not None and not flipped and d.x == layer[0].x else used.x.quantize(value)
                shared = codes
                y = used.h.dequantize(used.run(codes, None if h0 is None else used.h.quantize(h0))[1:])
            if rows is None:
                last.append(y[0] if d.reverse else y[-1])
            else:
                last.append(rows.last(y))
                y = rows.flip(y) if flipped else y
            outputs.append(y)
        x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        if dropout > 0 and i + 1 < len(layers):
            x = F.dropout(x, dropout, training=True)
    return x, torch.stack(last)


def _run_evenly(
    layers: Sequence[Sequence[Direction]], x: torch.Tensor, hx: torch.Tensor | None, dropout: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """run_layers for rows of one length and without gradients: h_n is written as the states are, not copied from them."""
    hidden = layers[0][0].params.hidden_size
    h_n = torch.empty(len(layers) * len(layers[0]), x.shape[1], hidden, dtype=torch.float32, device=x.device)
    index = 0
    for i, layer in enumerate(layers):
        outputs: list[torch.Tensor] = []
        codes = x
        for d in layer:
            if not outputs or d.x != layer[0].x:
                codes = d.x.quantize(x)
            h = d.run(codes, None if hx is None else d.h.quantize(hx[index]))
            outputs.append(d.h.states(h, h_n, index, d.reverse))
            index += 1
        x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        if dropout > 0 and i + 1 < len(layers):
            x = F.dropout(x, dropout, training=True)
    return x, h_n


def run_layers_on_codes(
    layers: Sequence[Sequence[Direction]], x: torch.Tensor, h0: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes in, codes out: x [T,N,C] of the first layer, h0 [L*D,N,H]; output int32 [T,N,D*H], h_n int32 [L*D,N,H].

    Between layers codes become reals and codes of the next layer, as in run_layers.
    """
    last: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []
    real = x
    for i, layer in enumerate(layers):
        states = [
            d.run(x if i == 0 else d.x.quantize(real), None if h0 is None else h0[len(last) + j].contiguous())
            for j, d in enumerate(layer)
        ]
        last += [h[1] if d.reverse and len(h) > 1 else h[-1] for d, h in zip(layer, states)]
        outputs = [h[1:] for h in states]
        real = torch.cat([d.h.dequantize(y) for d, y in zip(layer, outputs)], dim=-1)
    return torch.cat([y.to(torch.int32) for y in outputs], dim=-1), torch.stack([h.to(torch.int32) for h in last])
