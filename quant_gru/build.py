"""Parameter sets of every datapath from a float network and its calibrated ranges.  [SPEC E, Q, G-M, D, G-P]"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.quantize import quantize, quantize_bias
from golden.ranges import asymmetric, exponent_minmax, extremes, pot_zero_point, symmetric
from golden.rescale import derive_mshifts, scale_product
from golden.spec.arrays import checked_int
from golden.spec.errors import ParameterError
from golden.spec.formats import BIAS_BITS, INT8, INT32, TENSOR_BITS, IntFormat
from golden.spec.layout import GATES, OPERATORS, SCALAR_OPERATORS, UNSIGNED_OPERATORS
from golden.spec.params import MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.rounding import Rounding
from golden.tables import gate_table, pot_table
from quant_gru.calibrate import Ranges
from quant_gru.float_gru import FloatGru

GateScales = tuple[float, float, float]
GATE_SCALES: GateScales = (1 / 16, 1 / 16, 1 / 32)
"""Default scales of 8-bit gate inputs z, r, g: sigma is covered on [-8, 8), tanh on [-4, 4)."""


def pot_params(
    gru: FloatGru,
    ranges: Ranges,
    bits: int = 8,
    *,
    bias_bits: int | None = None,
    rounding: Rounding = Rounding.TIES_AWAY,
    activation: str = "piecewise_linear",
    formats: Mapping[str, IntFormat] | None = None,
    symmetric_operators: Mapping[str, bool] | None = None,
) -> PotParams:
    """Datapath P: power-of-two scales by MinMax, weights and biases per channel.  [SPEC E-4, G-P]

    bits        width of all operators
    bias_bits   8, 16 or 32; None takes the least of these that holds bits, so that 8 and 16 are all of one width
                (wider biases brought nothing on the g2p-en network: 98.5 % of phonemes agree with 8, 98.4 % with 16 or 32)
    activation  "piecewise_linear", "piecewise_quadratic" or "direct"
    formats     operator -> format where it is not (bits, signed); gate.z_out and gate.r_out are unsigned
    symmetric_operators  operator -> whether its zero point is 0; by default only the weights and biases are
    Returns     PotParams; scales never clip a value seen in calibration by more than half a code
    """
    bits = checked_int("bits", bits, TENSOR_BITS[0], TENSOR_BITS[-1])
    bias_bits = min(b for b in BIAS_BITS if b >= bits) if bias_bits is None else bias_bits
    chosen = {name: IntFormat(bits, name not in UNSIGNED_OPERATORS) for name in OPERATORS}
    chosen |= {name: IntFormat(bias_bits, True) for name in ("weight.bx", "weight.br")}
    chosen |= _known("formats", formats)
    flags = _known("symmetric_operators", symmetric_operators)
    operators: dict[str, Operator] = {}
    for name in SCALAR_OPERATORS:
        operators[name] = _operator(name, ranges[name], chosen[name], bool(flags.get(name, False)))
    codes: dict[str, Any] = {}
    for key in ("W", "R", "bx", "br"):
        name = f"weight.{key}"
        if not flags.get(name, True):
            raise ParameterError(f"symmetric_operators {name}", False, "true, weights and biases are symmetric")
        operators[name], codes[key] = _per_channel(name, getattr(gru, key), chosen[name])
    tables: dict[str, Any] = {}
    for k in GATES:
        function = "tanh" if k == "g" else "sigmoid"
        tables[f"act_{k}"] = pot_table(function, activation, operators[f"gate.{k}_pre"], operators[f"gate.{k}_out"])
    return PotParams(operators=operators, rounding=rounding, **codes, **tables)


def _known(field: str, by_operator: Mapping[str, Any] | None) -> dict[str, Any]:
    for name in by_operator or {}:
        if name not in OPERATORS:
            raise ParameterError(field, repr(name), "operators of golden.spec.layout.OPERATORS")
    return dict(by_operator or {})


def _exponent(name: str, scale: float) -> int:
    """exponent_minmax of a raw scale; a refusal names the operator.  [SPEC E-4]"""
    try:
        return exponent_minmax(scale)
    except ParameterError as refused:
        raise ParameterError(f"{name} {refused.field}", refused.found, refused.expected) from None


def _operator(name: str, limits: tuple[float, float], fmt: IntFormat, is_symmetric: bool) -> Operator:
    """Exponent and zero point of a range by MinMax.  [SPEC E-4]"""
    lo, hi = min(limits[0], 0.0), max(limits[1], 0.0)
    if is_symmetric:
        return Operator(fmt, _exponent(name, max(-lo, hi) / fmt.qmax), 0)
    exponent = _exponent(name, (hi - lo) / (fmt.qmax - fmt.qmin))
    return Operator(fmt, exponent, pot_zero_point(lo, exponent, fmt))


def _per_channel(name: str, values: np.ndarray, fmt: IntFormat) -> tuple[Operator, np.ndarray]:
    """Symmetric codes of weights [K,3H] or biases [3H] with an exponent for each channel.  [SPEC E-4, Q-1, Q-4]"""
    amax = np.abs(np.atleast_2d(values).astype(np.float64)).max(axis=0)
    exponents = np.array([_exponent(name, float(a) / fmt.qmax) for a in amax], np.int32)
    codes = np.zeros(values.shape, np.int64)
    for e in np.unique(exponents):
        channels, scale = exponents == e, 2.0 ** -int(e)
        part = values[..., channels]
        codes[..., channels] = quantize(part, scale, 0, fmt) if values.ndim == 2 else quantize_bias(part, scale, fmt)
    return Operator(fmt, exponents, 0), codes


def gate_scales_for(gate_bits: int) -> GateScales:
    """Default gate input scales; at 16 bits 1/257 of those at 8 bits, so that the same table is addressed.  [SPEC A-2]"""
    if gate_bits != 16:
        return GATE_SCALES
    z, r, g = (float(np.float32(s) / np.float32(257)) for s in GATE_SCALES)
    return z, r, g


def mshift_params(
    gru: FloatGru,
    ranges: Ranges,
    *,
    gate_bits: int = 8,
    gate_scales: GateScales | None = None,
    shift: int = 18,
    shift_bias: int = 24,
    x_symmetric: bool = False,
    h_symmetric: bool = False,
    reciprocal: bool = False,
) -> MShiftParams:
    """Datapath M with static scales.  [SPEC E-2, E-3, G-M]

    ranges       of quant_gru.calibrate; only input.x and input.h are used
    gate_scales  input scales of the gates z, r, g, zero points 0; None is gate_scales_for(gate_bits)
    shift        s of all multipliers but those of the biases, which use shift_bias
    x_symmetric, h_symmetric  E-3 instead of E-2
    reciprocal   x and h0 are quantized by Q-2
    Returns      MShiftParams with int32 biases at the scale s_bx = s_br = f32(s_w * s_x)
    """
    s_w, _ = symmetric(*extremes(gru.W, tensor="W"), INT8, tensor="W")
    s_r, _ = symmetric(*extremes(gru.R, tensor="R"), INT8, tensor="R")
    s_x, zp_x = (symmetric if x_symmetric else asymmetric)(*ranges["input.x"], INT8, tensor="x")
    s_h, zp_h = (symmetric if h_symmetric else asymmetric)(*ranges["input.h"], INT8, tensor="h")
    s_b = scale_product(s_w, s_x, "s_Wx")
    scales, tables = _gates(gate_bits, gate_scales)
    m: dict[str, Any] = dict(derive_mshifts(s_w, s_r, s_x, s_h, s_b, s_b, *scales, shift=shift, shift_bias=shift_bias))
    return MShiftParams(
        W=quantize(gru.W, s_w, 0, INT8),
        R=quantize(gru.R, s_r, 0, INT8),
        bx=quantize_bias(gru.bx, s_b, INT32),
        br=quantize_bias(gru.br, s_b, INT32),
        s_x=s_x, s_h=s_h, s_w=s_w, s_r=s_r, s_bx=s_b, s_br=s_b,
        s_z=scales[0], s_r_gate=scales[1], s_g=scales[2],
        zp_x=zp_x, zp_h=zp_h, gate_bits=gate_bits, reciprocal=reciprocal,
        **m, **tables,
    )  # fmt: skip


def dynamic_params(
    gru: FloatGru,
    *,
    gate_bits: int = 8,
    gate_scales: GateScales | None = None,
    shift: int = 18,
    shift_bias: int = 24,
    x_symmetric: bool = False,
    h_symmetric: bool = False,
    reciprocal: bool = False,
) -> MShiftDynamicParams:
    """Datapath M with ranges that are found while running; needs no calibration.  [SPEC D]

    Arguments as in mshift_params; reciprocal quantizes x by Q-2.
    """
    scales, tables = _gates(gate_bits, gate_scales)
    return MShiftDynamicParams(
        W=gru.W, R=gru.R, bx=gru.bx, br=gru.br,
        s_z=scales[0], s_r_gate=scales[1], s_g=scales[2], gate_bits=gate_bits,
        x_symmetric=x_symmetric, h_symmetric=h_symmetric, shift=shift, shift_bias=shift_bias, reciprocal=reciprocal,
        **tables,
    )  # fmt: skip


def _gates(gate_bits: int, gate_scales: GateScales | None) -> tuple[GateScales, dict[str, Any]]:
    if gate_bits not in (8, 16) or isinstance(gate_bits, bool):
        raise ParameterError("gate_bits", repr(gate_bits), "8 or 16")
    scales = gate_scales_for(gate_bits) if gate_scales is None else gate_scales
    if len(scales) != 3:
        raise ParameterError("gate_scales", repr(scales), "three scales, of the gates z, r and g")
    names = zip(GATES, scales)
    return scales, {f"table_{k}": gate_table("tanh" if k == "g" else "sigmoid", s, 0, gate_bits) for k, s in names}


