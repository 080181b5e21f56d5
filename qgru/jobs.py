"""What `qgru verify` is made of: its settings, the lines of its table, and the run that is compared and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.params import MShiftDynamicParams, Params
from quant_gru.boundary import quantize_input, quantize_state
from quant_gru.build import dynamic_params, mshift_params, pot_params
from quant_gru.calibrate_choice import Calibration
from quant_gru.float_gru import FloatGru
from vectors.case import Case
from verification.run import Result, verify

Builder = Callable[[FloatGru, Calibration], Params]
DOCUMENT_SCALES = (1 / 128, 1 / 128, 1 / 128)
QUADRATIC = "piecewise_quadratic"
CASE_ROWS = 8  # words, or rows of a batch, that a vector case keeps


@dataclass(frozen=True)
class Setting:
    """A row of the table: how both networks are quantized.

    id     in case ids
    label  in the table
    build  (network, ranges) -> parameter set
    """

    id: str
    label: str
    build: Builder


def settings(datapath: str, bits: int | None) -> list[Setting]:
    """The settings of a choice of datapath and width.

    datapath  pot, mshift, mshift-dynamic or all
    bits      width of datapath P, and of the gate inputs of M; None is 8, and 16 too for P; 16 bits come with both activations
    Raises    ParameterError for a width that the datapath does not have
    """
    if datapath != "pot" and bits not in (None, 8, 16):
        raise ParameterError("bits", bits, "8 or 16 on datapath M, 2 to 16 with --datapath pot")
    gate_bits = 16 if bits == 16 else 8
    out = []
    if datapath in ("pot", "all"):
        out += [Setting(f"pot{b}", f"pot, {b} bit", partial(_pot, bits=b)) for b in ((8, 16) if bits is None else (bits,))]
        if bits in (None, 16):
            out.append(Setting("pot16-quadratic", "pot, 16 bit, quadratic (A-4)", partial(_pot, bits=16, activation=QUADRATIC)))
    if datapath in ("mshift", "all"):
        out.append(Setting(f"mshift{gate_bits}", f"mshift, {gate_bits} bit gates", partial(mshift_params, gate_bits=gate_bits)))
    if datapath in ("mshift-dynamic", "all"):
        out.append(
            Setting(f"dynamic{gate_bits}", f"mshift-dynamic, {gate_bits} bit gates", partial(_dynamic, gate_bits=gate_bits))
        )
    if datapath in ("mshift", "all") and gate_bits == 8:
        out.append(Setting("document", "mshift, table domain 1/128 (X-7)", partial(mshift_params, gate_scales=DOCUMENT_SCALES)))
    return out


def _pot(gru: FloatGru, ranges: Calibration, bits: int, activation: str = "piecewise_linear") -> Params:
    return pot_params(gru, ranges, bits, activation=activation)


def _dynamic(gru: FloatGru, ranges: Calibration, gate_bits: int) -> Params:
    return dynamic_params(gru, gate_bits=gate_bits)


@dataclass
class Line:
    """A line of the table: one network under one setting.  sqnr_db and phonemes are reported, not judged."""

    setting: str
    network: str
    compared: int = 0
    mismatches: int = 0
    equal: bool = True
    sqnr_db: float | None = None
    phonemes: float | None = None


@dataclass
class Outcome:
    """Everything that a job gives: the lines, the cases, and the first run that was not equal with its inputs."""

    lines: list[Line] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    failed: tuple[Result, np.ndarray, Any] | None = None

    @property
    def equal(self) -> bool:
        """Whether every run was equal, bit for bit."""
        return all(line.equal for line in self.lines)

    def check(self, line: Line, device: str, params: Params, x: np.ndarray, h0: Any = None, reverse: bool = False) -> Result:
        """Run golden and the twin, compare, and count it in the line."""
        result = verify(params, x, h0, reverse=reverse, device=device, name=f"{line.setting}, {line.network}")
        line.compared += result.compared
        line.mismatches += result.mismatches
        line.equal = line.equal and result.equal
        if not result.equal and self.failed is None:
            self.failed = (result, x, h0)
        return result


def halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(calibration, measured) indices: an even seed calibrates on the first half, an odd one on the second."""
    order, middle = np.arange(count), (count + 1) // 2
    if count < 2:
        return order, order
    return (order[middle:], order[:middle]) if seed % 2 else (order[:middle], order[middle:])


def integer_input(params: Params, x: np.ndarray) -> np.ndarray:
    """What a parameter set reads of a real input: codes, or in dynamic mode the reals themselves."""
    return np.ascontiguousarray(x) if isinstance(params, MShiftDynamicParams) else quantize_input(params, x)


def integer_state(params: Params, h0: np.ndarray | None) -> np.ndarray | None:
    """What a parameter set takes for a real initial state: codes, or in dynamic mode the reals themselves."""
    return h0 if h0 is None or isinstance(params, MShiftDynamicParams) else quantize_state(params, h0)
