"""Between tensors of reals and tensors of codes, on the tensor's own device.  [SPEC Q-1, Q-2, Q-3]

Every float operation is one binary32 operation. On a GPU these are torch's, and a divisor is a tensor on the same device,
because torch turns a division by a number into a multiplication there; on the CPU one compiled pass does them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from cuda_impl.fast.network import narrowest_dtype
from golden.spec.formats import IntFormat
from golden.spec.params import MShiftParams, PotParams
from quant_gru import module_host

DTYPES = {"int8": torch.int8, "uint8": torch.uint8, "int16": torch.int16, "uint16": torch.int32}


@dataclass(frozen=True)
class Point:
    """Scale, zero point and format of x or h, on a device.

    scale       binary32 number
    reciprocal  whether reals are multiplied by f32(1 / scale) instead of divided by it  [SPEC Q-2]
    """

    scale: float
    zero_point: int
    fmt: IntFormat
    reciprocal: bool
    device: torch.device

    @cached_property
    def dtype(self) -> torch.dtype:
        """What codes are kept in: the narrowest type that torch computes with."""
        return DTYPES[narrowest_dtype(self.fmt).name]

    def _number(self, value: float) -> torch.Tensor:
        with torch.inference_mode(False):  # it is kept, and used in other modes too
            return torch.full((1,), value, dtype=torch.float32, device=self.device)

    @cached_property
    def _scale(self) -> torch.Tensor:
        return self._number(self.scale)

    @cached_property
    def _inverse(self) -> torch.Tensor:
        return self._number(float(np.float32(1) / np.float32(self.scale)))

    @cached_property
    def _zero(self) -> torch.Tensor:
        return self._number(self.zero_point)

    @cached_property
    def _host(self) -> tuple[Any, tuple[np.float32, ...]]:
        """The compiled pass and its numbers: scale or reciprocal, zero point, qmin, qmax, the code of NaN."""
        qmin, qmax = self.fmt.qmin, self.fmt.qmax
        numbers = (float(self._inverse) if self.reciprocal else self.scale, self.zero_point, qmin, qmax, self._nan)
        program = module_host.multiply_to_codes if self.reciprocal else module_host.divide_to_codes
        return program, tuple(np.float32(v) for v in numbers)

    @cached_property
    def _nan(self) -> float:
        return float(min(max(0, self.fmt.qmin), self.fmt.qmax))

    def steps(self, v: torch.Tensor) -> torch.Tensor:
        """float32 [...]: f32(f32(v / scale) + f32(zp)), not yet rounded; v float32.  [SPEC Q-1]"""
        t = v * self._inverse if self.reciprocal else v / self._scale
        return t.add_(self._zero) if self.zero_point else t

    def quantize(self, v: torch.Tensor) -> torch.Tensor:
        """float32 [...] to codes, contiguous.  [SPEC Q-1, Q-2]"""
        if self.device.type != "cpu":
            return self.quantize_by_torch(v)
        codes = torch.empty(v.shape, dtype=self.dtype)
        program, numbers = self._host
        program(v.detach().contiguous().view(-1).numpy(), *numbers, codes.view(-1).numpy())
        return codes

    def quantize_by_torch(self, v: torch.Tensor) -> torch.Tensor:
        """As quantize, by torch's own operations, on any device."""
        t = self.steps(v).round_().clamp_(self.fmt.qmin, self.fmt.qmax)
        return t.nan_to_num_(nan=self._nan).to(self.dtype).contiguous()

    def outside(self, v: torch.Tensor) -> torch.Tensor:
        """bool [...]: where the code of v is saturated."""
        t = self.steps(v).round_()
        return (t < self.fmt.qmin) | (t > self.fmt.qmax)

    def dequantize(self, q: torch.Tensor) -> torch.Tensor:
        """Codes of at most 16 bits to float32: f32(f32(q - zp) * scale).  [SPEC Q-3]"""
        if self.device.type != "cpu":
            return self.dequantize_by_torch(q)
        reals = torch.empty(q.shape, dtype=torch.float32)
        codes = q.contiguous().view(-1).numpy()
        module_host.to_reals(codes, np.int64(self.zero_point), np.float32(self.scale), reals.view(-1).numpy())
        return reals

    def dequantize_by_torch(self, q: torch.Tensor) -> torch.Tensor:
        """As dequantize, by torch's own operations, on any device."""
        if self.zero_point == 0:
            return torch.mul(q, self._scale)
        if abs(self.zero_point) < 1 << 20:  # the difference is exact in binary32
            return torch.sub(q, self._zero).mul_(self._scale)
        return (q.to(torch.int64) - self.zero_point).to(torch.float32).mul_(self._scale)


def point(params: MShiftParams | PotParams, tensor: str, device: torch.device) -> Point:
    """The point of x or h of a parameter set."""
    if isinstance(params, PotParams):
        op = params.operators[f"input.{tensor}"]
        return Point(2.0 ** -int(op.exponent), op.zero_point, op.fmt, params.reciprocal, device)
    fmt = getattr(params, f"fmt_{tensor}")
    return Point(getattr(params, f"s_{tensor}"), getattr(params, f"zp_{tensor}"), fmt, params.reciprocal, device)


def check_codes(name: str, codes: torch.Tensor, fmt: IntFormat) -> torch.Tensor:
    """Codes given from outside, in the type that codes are kept in.

    Raises   ValueError naming the tensor: not integers, or a code outside the format  [SPEC F-3]
    """
    if codes.dtype.is_floating_point or codes.dtype.is_complex or codes.dtype == torch.bool:
        raise ValueError(f"{name} is a tensor of {codes.dtype}, expected integer codes of {fmt}")
    wide = codes.to(torch.int64)
    if wide.numel():
        low, high = int(wide.min()), int(wide.max())
        if low < fmt.qmin or high > fmt.qmax:
            raise ValueError(f"{name} has the code {low if low < fmt.qmin else high}, expected codes of {fmt} in "
                             f"[{fmt.qmin}, {fmt.qmax}]")  # fmt: skip
    return wide.to(DTYPES[narrowest_dtype(fmt).name]).contiguous()
