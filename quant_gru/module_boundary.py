"""Between tensors of reals and tensors of codes, on the tensor's own device.  [SPEC Q-1, Q-2, Q-3]

Every float operation is one binary32 operation. On a GPU these are torch's, and a divisor is a tensor on the same device,
because torch turns a division by a number into a multiplication there, or one kernel each way; on the CPU they are one
compiled pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from cuda_impl.fast.network import narrowest_dtype
from golden.spec.formats import IntFormat
from golden.spec.params import MShiftParams, PotParams
from quant_gru import module_cuda, module_host

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
    def _numbers(self) -> tuple[Any, tuple[Any, ...]]:
        """The compiled pass of the CPU, and its numbers: scale or reciprocal, zero point, qmin, qmax, the code of NaN."""
        qmin, qmax = self.fmt.qmin, self.fmt.qmax
        factor = np.float32(1) / np.float32(self.scale) if self.reciprocal else self.scale
        numbers = (factor, self.zero_point, qmin, qmax, self._nan)
        program = module_host.multiply_to_codes if self.reciprocal else module_host.divide_to_codes
        return program, tuple(np.float32(v) for v in numbers)

    @cached_property
    def _nan(self) -> float:
        return float(min(max(0, self.fmt.qmin), self.fmt.qmax))

    def steps(self, v: torch.Tensor) -> torch.Tensor:
        """float32 [...]: f32(f32(v / scale) + f32(zp)), not yet rounded; v float32.  [SPEC Q-1]"""
        t = v * self._inverse if self.reciprocal else v / self._scale
        return t.add_(self._zero) if self.zero_point else t

    @cached_property
    def kernels(self) -> module_cuda.Pair | None:
        """The kernels of a GPU, or None where torch's operations are used."""
        name = str(self.dtype).removeprefix("torch.")
        return module_cuda.kernels(self.reciprocal, name, self.device.index or 0, _CHECKS[self.reciprocal, self.dtype])

    @cached_property
    def _on_cpu(self) -> bool:
        return self.device.type == "cpu"

    @cached_property
    def _index(self) -> int | None:
        return self.device.index

    @property
    def _usable(self) -> module_cuda.Pair | None:
        """The kernels of a GPU that is the current one, else None."""
        return self.kernels if torch.cuda.current_device() == self._index else None

    def quantize(self, v: torch.Tensor) -> torch.Tensor:
        """float32 [...] to codes, contiguous.  [SPEC Q-1, Q-2]"""
        if not self._on_cpu:
            kernels = self._usable
            return self.quantize_by_torch(v) if kernels is None else self._quantize_by(kernels[0], v)
        program, numbers = self._numbers
        codes = torch.empty(v.shape, dtype=self.dtype, device=self.device)
        program(v.detach().contiguous().view(-1).numpy(), *numbers, codes.view(-1).numpy())
        return codes

    def _quantize_by(self, kernel: module_cuda.Kernel, v: torch.Tensor) -> torch.Tensor:
        v = v.contiguous()
        codes, count = torch.empty_like(v, dtype=self.dtype, memory_format=torch.contiguous_format), v.numel()
        kernel.start(count, (v.data_ptr(), codes.data_ptr(), count), self._numbers[1])
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
        if not self._on_cpu:
            kernels = self._usable
            return self.dequantize_by_torch(q) if kernels is None else self._dequantize_by(kernels[1], q)
        reals = torch.empty(q.shape, dtype=torch.float32, device=self.device)
        codes = q.contiguous().view(-1).numpy()
        module_host.to_reals(codes, np.int64(self.zero_point), np.float32(self.scale), reals.view(-1).numpy())
        return reals

    def _dequantize_by(self, kernel: module_cuda.Kernel, q: torch.Tensor) -> torch.Tensor:
        q = q.contiguous()
        reals, count = torch.empty_like(q, dtype=torch.float32, memory_format=torch.contiguous_format), q.numel()
        kernel.start(count, (q.data_ptr(), reals.data_ptr(), 0, count, 0, 0), self._back)
        return reals

    @cached_property
    def _back(self) -> tuple[float, int]:
        return self.scale, self.zero_point

    def states(self, h: torch.Tensor, ends: torch.Tensor, index: int, reverse: bool) -> torch.Tensor:
        """float32 [T,N,H] of the codes h [T+1,N,H] of a run, T > 0, without the first; where it ends goes to ends[index] too.

        ends  float32 [L*D,N,H], contiguous
        """
        kernels = None if self._on_cpu else self._usable
        if kernels is not None:
            return self._states_by(kernels[1], h, ends, index, reverse)
        reals = self.dequantize(h[1:])
        ends[index].copy_(reals[0] if reverse else reals[-1])
        return reals

    def _states_by(
        self, kernel: module_cuda.Kernel, h: torch.Tensor, ends: torch.Tensor, index: int, reverse: bool
    ) -> torch.Tensor:
        h, (steps, batch, hidden) = h.contiguous(), h.shape
        reals = torch.empty(steps - 1, batch, hidden, dtype=torch.float32, device=h.device)
        each, count = batch * hidden, (steps - 1) * batch * hidden
        source, end = h.data_ptr() + each * h.element_size(), ends.data_ptr() + 4 * each * index
        kernel.start(count, (source, reals.data_ptr(), end, count, 0 if reverse else count - each, each), self._back)
        return reals

    def dequantize_by_torch(self, q: torch.Tensor) -> torch.Tensor:
        """As dequantize, by torch's own operations, on any device."""
        if self.zero_point == 0:
            return torch.mul(q, self._scale)
        if abs(self.zero_point) < 1 << 20:  # the difference is exact in binary32
            return torch.sub(q, self._zero).mul_(self._scale)
        return (q.to(torch.int64) - self.zero_point).to(torch.float32).mul_(self._scale)


def _check(reciprocal: bool, dtype: torch.dtype) -> Callable[[module_cuda.Pair], bool]:
    """Whether kernels give the bits of torch's own operations on this device, over values of every kind."""

    def check(kernels: module_cuda.Pair) -> bool:
        device = torch.device("cuda", kernels[0].device)
        kind: Any = {"dtype": torch.float32, "device": device}  # the kernels read no other type
        near = (torch.arange(-2000, 2000, **kind) + 0.5) * 0.0234375
        far = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1e-40, -3e38, 3e38], **kind)
        v = torch.cat([near, torch.linspace(-5, 5, 4096, **kind), far])
        for scale, zero_point in ((0.0234375, 0), (0.023529412224888802, 3), (2.0**-5, -7)):
            p = Point(scale, zero_point, IntFormat(8, dtype != torch.uint8), reciprocal, device)
            p = replace(p, fmt=IntFormat(16, True)) if dtype == torch.int16 else p
            codes = p.quantize_by_torch(v).to(dtype)
            mine = torch.empty_like(codes)
            kernels[0].start(v.numel(), (v.data_ptr(), mine.data_ptr(), v.numel()), p._numbers[1])
            reals = p.dequantize_by_torch(codes)
            if not torch.equal(mine, codes) or not torch.equal(p._dequantize_by(kernels[1], codes), reals):
                return False
            h, wanted = codes.view(8, -1, 1), reals.view(8, -1, 1)
            for reverse in (False, True):
                ends = torch.zeros_like(wanted[:3])
                states = p._states_by(kernels[1], h, ends, 1, reverse)
                end = torch.zeros_like(ends)
                end[1] = wanted[1 if reverse else 7]
                if not torch.equal(states, wanted[1:]) or not torch.equal(ends, end):
                    return False
        return True

    return check


_CHECKS = {(flag, dtype): _check(flag, dtype) for flag in (False, True) for dtype in DTYPES.values()}


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
        if codes.dtype == torch.uint64 and low < 0:  # one of 2**63 or more
            low, high = 0, int(wide[wide < 0].max()) + 2**64
        if low < fmt.qmin or high > fmt.qmax:
            raise ValueError(f"{name} has the code {low if low < fmt.qmin else high}, expected codes of {fmt} in "
                             f"[{fmt.qmin}, {fmt.qmax}]")  # fmt: skip
    return wide.to(DTYPES[narrowest_dtype(fmt).name]).contiguous()
