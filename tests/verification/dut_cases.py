"""Small cases for devices under test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from golden.sequence import forward
from tests.verification.small import dynamic_set, mshift_set, pot_set
from vectors.case import Case, case_from_trace
from vectors.step_case import StepCase
from vectors.steps import run_step

DEVICES = Path(__file__).with_name("dut_devices.py")
X = np.arange(12).reshape(3, 2, 2) - 6


def requantize(id: str, zp: int = 0, times: int = 1) -> StepCase:
    """Five rows of requantize, so many times: int8, 3 / 4."""
    constants = {"M": 3, "s": 2, "zp": zp, "bits": 8, "signed": 1}
    inputs = {"v": np.tile([-6, -2, 2, 100, 1000], times)}
    return StepCase(id, "requantize", constants, inputs, run_step("requantize", constants, inputs))


def run_case(id: str = "m", kind: str = "mshift", **options) -> Case:
    """A short run of one of the small parameter sets."""
    params = {"mshift": mshift_set, "mshift-dynamic": dynamic_set, "pot": pot_set}[kind]()
    x = X.astype(np.float32) if kind == "mshift-dynamic" else X
    reverse = options.pop("reverse", False)
    trace = forward(params, x, options.get("h0"), **{k: v for k, v in options.items() if k != "h0"}, reverse=reverse)
    return case_from_trace(id, params, x, options.pop("h0", None), trace, group="small", **options)
