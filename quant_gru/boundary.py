"""Reals into the codes of a static parameter set, and its states back.  [SPEC Q]"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from golden.quantize import dequantize, quantize, quantize_reciprocal, reciprocal
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import MShiftDynamicParams, MShiftParams, Params, PotParams
from golden.spec.trace import Trace

Static = MShiftParams | PotParams


class Point(NamedTuple):
    """Where a tensor's reals meet its codes: scale (binary32), zero point, format, and whether Q-2 is used.  [SPEC Q]"""

    scale: float
    zero_point: int
    fmt: IntFormat
    reciprocal: bool


def point(params: Params, tensor: str) -> Point:
    """The float boundary of a static set's "x" or "h".

    Raises   ParameterError for a set whose ranges move while it runs: it has no fixed scale
    """
    if isinstance(params, MShiftDynamicParams):
        raise ParameterError(f"scale of {tensor}", "one that moves while the set runs", "a static set, mshift or pot")
    if isinstance(params, PotParams):
        op = params.operators[f"input.{tensor}"]
        return Point(2.0 ** -int(op.exponent), op.zero_point, op.fmt, params.reciprocal)
    scale, zero_point = (getattr(params, f"{kind}_{tensor}") for kind in ("s", "zp"))
    return Point(scale, zero_point, getattr(params, f"fmt_{tensor}"), params.reciprocal)


def _quantize(params: Static, tensor: str, real: Any) -> np.ndarray:
    scale, zero_point, fmt, by_reciprocal = point(params, tensor)
    if by_reciprocal:
        return quantize_reciprocal(real, reciprocal(scale), zero_point, fmt)
    return quantize(real, scale, zero_point, fmt)


def quantize_input(params: Static, x: Any) -> np.ndarray:
    """float32 [...,C] to codes int64 of params.fmt_x, by Q-1 or, where the set says so, Q-2."""
    return _quantize(params, "x", x)


def quantize_state(params: Static, h: Any) -> np.ndarray:
    """float32 [...,H] to codes int64 of params.fmt_h, by Q-1 or, where the set says so, Q-2."""
    return _quantize(params, "h", h)


def dequantize_state(params: Static, h: Any) -> np.ndarray:
    """Codes [...,H] to float32, by Q-3."""
    scale, zero_point, _, _ = point(params, "h")
    return dequantize(h, scale, zero_point)


def states_real(params: Any, trace: Trace) -> np.ndarray:
    """float32 [T,N,H]: the outputs of a run as reals; in dynamic mode each with the scale of its own step.  [SPEC Q-3, D-3]"""
    if trace.datapath != "mshift-dynamic":
        return dequantize_state(params, trace.output)
    steps = [dequantize(h, float(s), int(zp)) for h, s, zp in zip(trace.output, trace["s_h"], trace["zp_h"])]
    return np.stack(steps) if steps else np.zeros(trace.output.shape, np.float32)
