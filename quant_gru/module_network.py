"""One direction of a layer made ready on a device: its parameter set, its kernels, its float boundary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from cuda_impl.fast.gpu_device import on_device
from cuda_impl.fast.network import Network, narrowest_dtype, prepare
from cuda_impl.sequence import forward as run_stages
from golden.spec.formats import INT8, INT32, IntFormat
from golden.spec.params import MShiftParams, PotParams
from quant_gru.module_boundary import Point, point

KEPT_IN = {"int8": torch.int8, "uint8": torch.uint8, "int16": torch.int16, "uint16": torch.uint16}


@dataclass(frozen=True, eq=False)
class Direction:
    """A prepared direction.

    params   its parameter set, network the prepared kernels
    device   of all tensors given to it and made by it
    reverse  whether it reads from T-1 to 0
    """

    params: MShiftParams | PotParams
    network: Network
    device: torch.device
    reverse: bool

    @cached_property
    def x(self) -> Point:
        """The float boundary of the input."""
        return point(self.params, "x", self.device)

    @cached_property
    def h(self) -> Point:
        """The float boundary of the state."""
        return point(self.params, "h", self.device)

    @cached_property
    def kept_in(self) -> torch.dtype:
        """What the kernels write states in."""
        return KEPT_IN[narrowest_dtype(self.params.fmt_h).name]

    @cached_property
    def forwards(self) -> Direction:
        """The same network for rows that were put in its order before."""
        return replace(self, reverse=False) if self.reverse else self

    @cached_property
    def by_twin(self) -> bool:
        """Whether the set is one that no fast kernel of the GPU takes."""
        from cuda_impl.fast.gpu_twin import TwinNetwork

        return isinstance(self.network, TwinNetwork)

    @cached_property
    def on_gpu(self) -> bool:
        """Whether its device is a GPU."""
        return self.device.type == "cuda"

    def run(self, x: torch.Tensor, h0: torch.Tensor | None) -> torch.Tensor:
        """Codes h [T+1,N,H] of codes x [T,N,C] and h0 [N,H], in time order.  [SPEC S]"""
        if self.on_gpu and self.by_twin:
            return _gpu_trace(self.params, x, h0, self.reverse)["h"].to(self.h.dtype)
        steps, batch = x.shape[:2]
        out = torch.empty(steps + 1, batch, self.params.hidden_size, dtype=self.kept_in, device=self.device)
        if self.on_gpu:
            self.network.forward(x, h0, reverse=self.reverse, out=out)
        else:
            self.network.forward(x.numpy(), None if h0 is None else h0.numpy(), reverse=self.reverse, out=out.numpy())
        return out if out.dtype != torch.uint16 else out.to(torch.int32)

    def stages(self, x: torch.Tensor, h: torch.Tensor) -> dict[str, torch.Tensor]:
        """Every intermediate of rows that are each one step: x codes [rows,C], h codes [rows,H]; fields [rows,...]."""
        if self.device.type == "cuda":
            fields = _gpu_trace(self.params, x[None], h, False)
            return {name: value[0] for name, value in fields.items() if name != "h"}
        trace = run_stages(self.params, x.numpy()[None], h.numpy(), device="host")
        return {name: torch.from_numpy(v if name != "h" else v[1:])[0] if v.ndim else v for name, v in trace.items()}

    def weights_real(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(dequantized values, reaches) of W [C,3H], R [H,3H], bx and br [3H], float32.

        A reach is how far from its value a weight may lie whose code is not saturated: of a code at an end of its format half
        the scale and a little for binary32, of any other inf.
        """
        return self._weights_real

    @cached_property
    def _weights_real(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        found = []
        for name in ("W", "R", "bx", "br"):
            scale: Any
            if isinstance(self.params, PotParams):
                scale = np.exp2(-np.asarray(self.params.operators[f"weight.{name}"].exponent).astype(np.float64))
            else:
                scale = getattr(self.params, {"W": "s_w", "R": "s_r", "bx": "s_bx", "br": "s_br"}[name])
            codes = getattr(self.params, name)
            real = (codes * scale).astype(np.float32)
            fmt = _format(self.params, name)
            at_end = (codes == fmt.qmin) | (codes == fmt.qmax)
            reach = np.where(at_end, np.asarray(scale) * 0.501, np.inf).astype(np.float32)
            found.append((torch.from_numpy(real).to(self.device), torch.from_numpy(reach).to(self.device)))
        return found


def make_direction(params: MShiftParams | PotParams, device: torch.device, reverse: bool) -> Direction:
    """A parameter set made ready on a device, whichever is current."""
    if device.type != "cuda":
        return Direction(params, prepare(params, "host"), device, reverse)
    with on_device(torch.cuda.current_device() if device.index is None else device.index, torch):
        return Direction(params, prepare(params, "gpu"), device, reverse)


def _format(params: MShiftParams | PotParams, name: str) -> IntFormat:
    """The format of W, R, bx or br."""
    if isinstance(params, PotParams):
        return params.operators[f"weight.{name}"].fmt
    return INT8 if name in "WR" else INT32


def _gpu_trace(params: Any, x: torch.Tensor, h0: torch.Tensor | None, reverse: bool) -> dict[str, torch.Tensor]:
    """The fields of a run, on the GPU; the twin's own programs run on the default stream, in step with the caller's."""
    caller, default = torch.cuda.current_stream(x.device), torch.cuda.default_stream(x.device)
    default.wait_stream(caller)
    with on_device(x.device.index, torch):
        trace = run_stages(params, x, h0, reverse=reverse, device="gpu", on_device=True)
        caller.wait_stream(default)
        return {name: torch.as_tensor(v, device=x.device) for name, v in trace.items() if np.ndim(v)}
