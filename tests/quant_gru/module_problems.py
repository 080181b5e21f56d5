"""Drawn quantized modules with their inputs, and what golden says of them, row by row, layer by layer."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from golden.sequence import forward as golden
from golden.spec.errors import QgruError
from golden.spec.layout import OPERATORS, WEIGHT_OPERATORS
from quant_gru import QuantGRU
from quant_gru.boundary import dequantize_state, quantize_input, quantize_state, states_real
from quant_gru.config import BIAS_OPERATORS, BitwidthConfig

METHODS = ("histogram", "minmax", "percentile")


@dataclass
class Drawn:
    """A calibrated module in quantized mode, x in its own form, hx or None, and the lengths of its rows or None."""

    module: QuantGRU
    x: torch.Tensor
    hx: torch.Tensor | None
    lengths: list[int] | None

    def inputs(self, device: str = "cpu") -> tuple[Any, Any]:
        """(x, hx) on a device; x packed where the rows have lengths."""
        x, hx = self.x.to(device), None if self.hx is None else self.hx.to(device)
        if self.lengths is None:
            return x, hx
        return pack_padded_sequence(x, torch.tensor(self.lengths), self.module.batch_first, enforce_sorted=False), hx


def drawn(seed: int, largest: int = 9) -> Drawn:
    """Problem number seed: every option of the module, widths 2 to 16, both datapaths, all methods."""
    rng = np.random.Generator(np.random.PCG64(seed))
    torch.manual_seed(seed)
    sizes = [int(v) for v in rng.integers(1, largest + 1, 2)]
    options: dict[str, Any] = {name: bool(rng.integers(2)) for name in ("bias", "batch_first", "bidirectional")}
    module = QuantGRU(*sizes, num_layers=int(rng.integers(1, 4)), **options)
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(float(rng.choice([0.5, 1.0, 4.0])))
    module.datapath = ("pot", "mshift")[int(rng.integers(2))]
    module.calibration_method = METHODS[int(rng.integers(3))]
    module._quantization.set("config", _widths(rng, module.datapath))
    steps, batch = (int(v) for v in rng.integers(1, 8, 2))
    scale = float(rng.choice([0.1, 1.0, 3.0]))
    x = torch.randn((batch, steps, sizes[0]) if module.batch_first else (steps, batch, sizes[0])) * scale
    states = module.num_layers * (2 if module.bidirectional else 1)
    hx = torch.randn(states, batch, sizes[1]) if rng.integers(2) else None
    module.calibrate(x * float(rng.choice([0.3, 1.0])))
    try:  # a set that has to be refused, such as for a multiplier beyond its limit, is drawn anew
        copy.deepcopy(module).finalize_calibration()
    except QgruError:
        return drawn(seed + 1_000_000, largest)
    module.use_quantization = True
    module.eval()
    lengths = [int(v) for v in rng.integers(1, steps + 1, batch)] if rng.integers(3) == 0 else None
    return Drawn(module, x * float(rng.choice([1.0, 2.0])), hx, lengths)


def _widths(rng: np.random.Generator, datapath: str) -> BitwidthConfig:
    if datapath == "mshift":
        gates = int(rng.choice([8, 16]))
        return BitwidthConfig({name: (gates, True) for name in ("gate.z_pre", "gate.r_pre", "gate.g_pre")})
    kind = int(rng.integers(3))
    bits = {n: (8 if kind == 0 else 16 if kind == 1 and rng.integers(4) == 0 else int(rng.integers(2, 12))) for n in OPERATORS}
    bits |= {n: int(rng.choice([8, 16, 32])) for n in BIAS_OPERATORS}
    return BitwidthConfig({n: (bits[n], n in WEIGHT_OPERATORS or bool(rng.integers(2))) for n in OPERATORS})


def expected(p: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """(output [T,N,D*H] with zeros behind a row's end, h_n [L*D,N,H]) as golden gives them, one row at a time."""
    module = p.module
    params = module.quant_params()
    x = p.x.transpose(0, 1).numpy() if module.batch_first else p.x.numpy()
    steps, batch = x.shape[:2]
    output = np.zeros((steps, batch, len(params[0]) * module.hidden_size), np.float32)
    h_n = np.zeros((len(params) * len(params[0]), batch, module.hidden_size), np.float32)
    for n in range(batch):
        value = x[: steps if p.lengths is None else p.lengths[n], n : n + 1]
        for i, layer in enumerate(params):
            outputs = []
            for j, one in enumerate(layer):
                place = i * len(layer) + j
                h0 = None if p.hx is None else quantize_state(one, p.hx[place, n : n + 1].numpy())
                trace = golden(one, quantize_input(one, value), h0, reverse=bool(j))
                outputs.append(states_real(one, trace))
                h_n[place, n] = dequantize_state(one, trace.h_n)[0]
            value = np.concatenate(outputs, axis=-1)
        output[: len(value), n] = value[:, 0]
    return output, h_n


def found(p: Drawn, result: tuple[Any, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """What a forward gave, in the form of expected."""
    output, h_n = result
    if isinstance(output, PackedSequence):
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, total_length=expected_steps(p))
    elif p.module.batch_first:
        output = output.transpose(0, 1)
    return output.detach().cpu().numpy(), h_n.detach().cpu().numpy()


def expected_steps(p: Drawn) -> int:
    return int(p.x.shape[1 if p.module.batch_first else 0])


def same(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> bool:
    """Equal bit for bit, but for the sign of zero behind the ends."""
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b))
