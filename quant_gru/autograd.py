"""One direction of a layer for autograd: the integer network forward, the straight-through gradient backward.

Forward is the prepared integer network. Backward is the gradient of the float GRU at the dequantized values; it is cut
where a code was saturated. Given the states, the steps no longer depend on each other: their intermediates are computed
anew, all steps at once, by the same integer arithmetic, and only the product with R runs through time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from quant_gru.autograd_stages import Coefficients, coefficients
from quant_gru.module_network import Direction

ROWS_AT_ONCE = 1 << 20  # elements of a field of the intermediates that are held at a time


class QuantizedDirection(torch.autograd.Function):
    """h [T+1,N,H] of x [T,N,C], h0 [N,H] and PyTorch's four weights; all float32, h in time order."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        h0: torch.Tensor | None,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias_ih: torch.Tensor | None,
        bias_hh: torch.Tensor | None,
        direction: Direction,
    ) -> torch.Tensor:
        x_codes = direction.x.quantize(x)
        h_codes = direction.run(x_codes, None if h0 is None else direction.h.quantize(h0))
        x_cut = direction.x.outside(x) if ctx.needs_input_grad[0] else None
        h_cut = direction.h.outside(h0) if h0 is not None and ctx.needs_input_grad[1] else None
        ctx.direction = direction
        ctx.save_for_backward(x_codes, h_codes, x_cut, h_cut, weight_ih, weight_hh, bias_ih, bias_hh)
        return direction.h.dequantize(h_codes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x_codes, h_codes, x_cut, h_cut, *weights = ctx.saved_tensors
        with torch.no_grad(), torch.autocast(grad.device.type, enabled=False):
            found = _gradients(ctx.direction, x_codes, h_codes, x_cut, grad.to(torch.float32))
            d_x, d_h0 = found[:2]
            if h_cut is not None:
                d_h0 = d_h0.masked_fill(h_cut, 0.0)
            d_weights = [
                None if w is None else _to_pytorch(d, w, used, reach)
                for w, d, (used, reach) in zip(weights, found[2:], ctx.direction.weights_real())
            ]
        needs = ctx.needs_input_grad
        grads = [d_x, d_h0, *d_weights]
        return (*(g if n else None for g, n in zip(grads, needs)), None)


def _gradients(
    d: Direction, x_codes: torch.Tensor, h_codes: torch.Tensor, x_cut: torch.Tensor | None, grad: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Gradients of x, h0, W, R, bx, br, the latter four in our order and orientation."""
    steps, batch, hidden = h_codes.shape[0] - 1, h_codes.shape[1], h_codes.shape[2]
    (W, _), (R, _) = d.weights_real()[:2]
    previous = torch.cat([h_codes[2:], h_codes[:1]]) if d.reverse else h_codes[:-1]
    rows_x, rows_h = x_codes.reshape(steps * batch, -1), previous.reshape(steps * batch, hidden)
    c = _in_parts(d, rows_x, rows_h)
    keep, through = c.keep.view(steps, batch, hidden), c.h.view(steps, batch, 3, hidden)
    carry = torch.zeros_like(grad[0])
    total, R_back = torch.empty_like(grad[1:]), R.t().contiguous()
    through_R = torch.where(c.cut_h, 0.0, c.h).view(steps, batch, 3, hidden) if c.cut_h is not None else through
    for t in range(steps) if d.reverse else range(steps - 1, -1, -1):
        dh = torch.add(grad[t + 1], carry, out=total[t])
        carry = torch.addmm(dh * keep[t], (dh.unsqueeze(1) * through_R[t]).view(batch, 3 * hidden), R_back)
    dh = total.view(-1, 1, hidden)
    d_x_sum = (dh * c.x.view(-1, 3, hidden)).view(-1, 3 * hidden)
    d_h_sum = (dh * c.h.view(-1, 3, hidden)).view(-1, 3 * hidden)
    d_bx, d_br = d_x_sum.sum(0), d_h_sum.sum(0)
    if c.cut_x is not None:
        d_x_sum = d_x_sum.masked_fill_(c.cut_x, 0.0)
    if c.cut_h is not None:
        d_h_sum = d_h_sum.masked_fill_(c.cut_h, 0.0)
    d_W = d.x.dequantize(rows_x).t() @ d_x_sum
    d_R = d.h.dequantize(rows_h).t() @ d_h_sum
    d_x = (d_x_sum @ W.t()).view(steps, batch, -1)
    if x_cut is not None:
        d_x = d_x.masked_fill_(x_cut, 0.0)
    return d_x, grad[0] + carry, d_W, d_R, d_bx, d_br


def _in_parts(d: Direction, x: torch.Tensor, h: torch.Tensor) -> Coefficients:
    """The coefficients of all rows, some at a time."""
    at_once = max(1, ROWS_AT_ONCE // h.shape[1])
    parts = [coefficients(d, x[i : i + at_once], h[i : i + at_once]) for i in range(0, len(x), at_once)]
    if len(parts) == 1:
        return parts[0]
    return Coefficients(*(None if v[0] is None else torch.cat(v) for v in zip(*parts)))


def _to_pytorch(grad: torch.Tensor, weight: torch.Tensor, used: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """A gradient of W, R, bx or br as PyTorch has the weight; zero where the code of the weight is saturated.

    used  the dequantized weight, reach how far from it a weight lies at most whose code was not saturated
    """
    as_there, there, limit = (_reordered(v) for v in (grad, used, reach))
    cut = (weight.to(torch.float32) - there).abs() > limit
    return as_there.masked_fill(cut, 0.0).to(weight.dtype)


def _reordered(values: torch.Tensor) -> torch.Tensor:
    """[..., 3H] in the order z, r, g to PyTorch's [3H, ...] in the order r, z, n."""
    z, r, g = values.chunk(3, dim=-1)
    return torch.cat([r, z, g], dim=-1).t() if values.ndim == 2 else torch.cat([r, z, g])
