"""Parameter sets of every datapath from a float network and its calibrated ranges.  [SPEC E, Q, G-M, D, G-P]"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.quantize import quantize, quantize_bias
from golden.ranges import asymmetric, extremes, symmetric
from golden.rescale import scale_product
from golden.spec.arrays import checked_int
from golden.spec.errors import ParameterError
from golden.spec.formats import BIAS_BITS, INT8, INT32, TENSOR_BITS, IntFormat
from golden.spec.layout import GATES, OPERATORS, SCALAR_OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.rounding import Rounding
from golden.tables import gate_table, pot_table
from quant_gru.calibrate_choice import Calibration, Widths
from quant_gru.float_gru import FloatGru
from quant_gru.multipliers import fitted_mshifts

BIAS_OPERATORS = ("weight.bx", "weight.br")
GateScales = tuple[float, float, float]
GATE_SCALES: GateScales = (1 / 16, 1 / 16, 1 / 32)
"""Default scales of 8-bit gate inputs z, r, g: sigma is covered on [-8, 8), tanh on [-4, 4)."""


def pot_params(
    gru: FloatGru,
    ranges: Calibration,
    bits: int = 8,
    *,
    widths: Widths | None = None,
    bias_bits: int | None = None,
    rounding: Rounding = Rounding.TIES_AWAY,
    activation: str = "piecewise_linear",
    formats: Mapping[str, IntFormat] | None = None,
    symmetric_operators: Mapping[str, bool] | None = None,
) -> PotParams:
    """Datapath P: power-of-two scales, weights and biases per channel.  [SPEC E-4, G-P]

    ranges      of quant_gru.calibrate (MinMax) or quant_gru.observers (any method)
    bits        width of all operators that widths does not name
    widths      operator -> (bits, whether it is symmetric); biases take the least of 8, 16 and 32 that holds their bits
    bias_bits   8, 16 or 32; None takes the least of these that holds bits, so that 8 and 16 are all of one width
                (wider biases brought nothing on the g2p-en network: 98.5 % of phonemes agree with 8, 98.4 % with 16 or 32)
    activation  "piecewise_linear", "piecewise_quadratic" or "direct"
    formats     operator -> format where it is not (bits, signed); gate.z_out and gate.r_out are unsigned
    symmetric_operators  operator -> whether its zero point is 0; by default only the weights and biases are
    Returns     PotParams; with MinMax no scale clips a value seen in calibration by more than half a code
    """
    bits = checked_int("bits", bits, TENSOR_BITS[0], TENSOR_BITS[-1])
    bias_bits = min(b for b in BIAS_BITS if b >= bits) if bias_bits is None else bias_bits
    chosen = {name: IntFormat(bits, name not in UNSIGNED_OPERATORS) for name in OPERATORS}
    chosen |= {name: IntFormat(bias_bits, True) for name in BIAS_OPERATORS}
    flags = {}
    for name, (width, is_symmetric) in checked_widths(widths).items():
        chosen[name], flags[name] = format_of(name, width), is_symmetric
    chosen |= _known("formats", formats)
    flags |= _known("symmetric_operators", symmetric_operators)
    operators: dict[str, Operator] = {}
    for name in SCALAR_OPERATORS:
        choice = ranges.choose(name, chosen[name], bool(flags.get(name, False)))
        operators[name] = Operator(chosen[name], *choice.power_of_two(name, chosen[name], bool(flags.get(name, False))))
    for name in WEIGHT_OPERATORS:
        if not flags.get(name, True):
            raise ParameterError(f"symmetric_operators {name}", False, "true, weights and biases are symmetric")
        exponents = ranges.channel_exponents(name, getattr(gru, name.removeprefix("weight.")), chosen[name])
        operators[name] = Operator(chosen[name], exponents, 0)
    return pot_from_operators(gru, operators, rounding=rounding, activation=activation)


def pot_from_operators(
    gru: FloatGru,
    operators: Mapping[str, Operator],
    *,
    rounding: Rounding = Rounding.TIES_AWAY,
    activation: str = "piecewise_linear",
) -> PotParams:
    """The parameter set whose operators are given: codes of the weights and biases, and tables.  [SPEC Q-1, Q-4, A-5]

    operators  all eighteen; those of weights and biases have an exponent for each of the 3H channels
    """
    codes: dict[str, Any] = {}
    for name in WEIGHT_OPERATORS:
        key, op = name.removeprefix("weight."), operators[name]
        codes[key] = _codes(getattr(gru, key), np.asarray(op.exponent), op.fmt)
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


def checked_widths(widths: Widths | None) -> dict[str, tuple[int, bool]]:
    """operator -> (bits, symmetric), checked.

    Raises   ParameterError naming the operator: unknown, a width that is not 2 to 16 (biases: or 32), a flag that is none
    """
    found = {}
    for name, pair in _known("widths", widths).items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[1], (bool, np.bool_)):
            raise ParameterError(f"widths of {name}", repr(pair), "a pair (bits, whether it is symmetric)")
        if name not in BIAS_OPERATORS or pair[0] != BIAS_BITS[-1]:
            checked_int(f"bitwidth of {name}", pair[0], TENSOR_BITS[0], TENSOR_BITS[-1])
        found[name] = int(pair[0]), bool(pair[1])
    return found


def format_of(operator: str, bits: int) -> IntFormat:
    """The format of an operator of datapath P that is to have so many bits: unsigned after a sigmoid; biases in 8, 16 or 32."""
    if operator in BIAS_OPERATORS:
        return IntFormat(min(b for b in BIAS_BITS if b >= bits), True)
    return IntFormat(bits, operator not in UNSIGNED_OPERATORS)


def _codes(values: np.ndarray, exponents: np.ndarray, fmt: IntFormat) -> np.ndarray:
    """Codes of weights [K,3H] or biases [3H], each channel with its exponent.  [SPEC Q-1, Q-4]"""
    codes = np.zeros(values.shape, np.int64)
    for e in np.unique(exponents):
        channels, scale = exponents == e, 2.0 ** -int(e)
        part = values[..., channels]
        codes[..., channels] = quantize(part, scale, 0, fmt) if values.ndim == 2 else quantize_bias(part, scale, fmt)
    return codes


def gate_scales_for(gate_bits: int) -> GateScales:
    """Default gate input scales; at 16 bits 1/257 of those at 8 bits, so that the same table is addressed.  [SPEC A-2]"""
    if gate_bits != 16:
        return GATE_SCALES
    z, r, g = (float(np.float32(s) / np.float32(257)) for s in GATE_SCALES)
    return z, r, g


def mshift_params(
    gru: FloatGru,
    ranges: Calibration,
    *,
    widths: Widths | None = None,
    gate_bits: int = 8,
    gate_scales: GateScales | None = None,
    shift: int | None = None,
    shift_bias: int | None = None,
    x_symmetric: bool = False,
    h_symmetric: bool = False,
    reciprocal: bool = False,
) -> MShiftParams:
    """Datapath M with static scales.  [SPEC E-2, E-3, G-M]

    ranges       of quant_gru.calibrate or quant_gru.observers; only input.x and input.h are used
    widths       operator -> (bits, symmetric): 8 bits for input.x, input.h, weight.W and weight.R, 8 or 16 for the gate inputs
                 gate.*_pre, all alike; the other operators are not tensors of this datapath. It goes before gate_bits,
                 x_symmetric and h_symmetric
    gate_scales  input scales of the gates z, r, g, zero points 0; None is gate_scales_for(gate_bits)
    shift        s of all multipliers but those of the biases, which use shift_bias; None is 18 and 24, but for a multiplier
                 that would be too large or next to nothing there, as quant_gru.multipliers.fitted_mshifts has it
    x_symmetric, h_symmetric  E-3 instead of E-2
    reciprocal   x and h0 are quantized by Q-2
    Returns      MShiftParams with int32 biases at the scale s_bx = s_br = f32(s_w * s_x)
    """
    if widths is not None:
        gate_bits, x_symmetric, h_symmetric = _mshift_widths(checked_widths(widths), gate_bits, x_symmetric, h_symmetric)
    gate_bits = _checked_gate_bits(gate_bits)
    s_w, _ = symmetric(*extremes(gru.W, tensor="W"), INT8, tensor="W")
    s_r, _ = symmetric(*extremes(gru.R, tensor="R"), INT8, tensor="R")
    x, h = _point("x", ranges, x_symmetric), _point("h", ranges, h_symmetric)
    s_b = scale_product(s_w, x[0], "s_Wx")
    scales = gate_scales_for(gate_bits) if gate_scales is None else gate_scales
    return mshift_from_scales(
        gru, s_w, s_r, x, h, s_b, s_b, scales, gate_bits=gate_bits, shift=shift, shift_bias=shift_bias, reciprocal=reciprocal
    )


def mshift_from_scales(
    gru: FloatGru,
    s_w: float,
    s_r: float,
    x: tuple[float, int],
    h: tuple[float, int],
    s_bx: float,
    s_br: float,
    gate_scales: GateScales,
    *,
    gate_bits: int = 8,
    shift: int | None = None,
    shift_bias: int | None = None,
    reciprocal: bool = False,
) -> MShiftParams:
    """The static parameter set of datapath M whose scales are given: codes, multipliers and tables.  [SPEC Q-1, Q-4, G-M]

    s_*   binary32 scales of W, R, bx and br
    x, h  (scale, zero point)
    """
    gate_bits = _checked_gate_bits(gate_bits)
    scales, tables = _gates(gate_bits, gate_scales)
    m: dict[str, Any] = dict(fitted_mshifts(s_w, s_r, x[0], h[0], s_bx, s_br, *scales, shift=shift, shift_bias=shift_bias))
    return MShiftParams(
        W=quantize(gru.W, s_w, 0, INT8),
        R=quantize(gru.R, s_r, 0, INT8),
        bx=quantize_bias(gru.bx, s_bx, INT32),
        br=quantize_bias(gru.br, s_br, INT32),
        s_x=x[0], s_h=h[0], s_w=s_w, s_r=s_r, s_bx=s_bx, s_br=s_br,
        s_z=scales[0], s_r_gate=scales[1], s_g=scales[2],
        zp_x=x[1], zp_h=h[1], gate_bits=gate_bits, reciprocal=reciprocal,
        **m, **tables,
    )  # fmt: skip


def _mshift_widths(widths: Widths, gate_bits: int, x_symmetric: bool, h_symmetric: bool) -> tuple[int, bool, bool]:
    """(gate_bits, x_symmetric, h_symmetric) as the widths say; what they do not name stays."""
    for name in ("input.x", "input.h", "weight.W", "weight.R"):
        if name in widths and widths[name][0] != INT8.bits:
            raise ParameterError(f"bitwidth of {name}", widths[name][0], "8, as datapath M has it")
    gates = {widths[name][0] for name in (f"gate.{k}_pre" for k in GATES) if name in widths}
    if len(gates) > 1 or not gates <= {8, 16}:
        raise ParameterError("bitwidth of gate.*_pre", sorted(gates), "8 or 16, all gates alike, on datapath M")
    x_symmetric, h_symmetric = (widths.get(f"input.{k}", (8, flag))[1] for k, flag in (("x", x_symmetric), ("h", h_symmetric)))
    return gates.pop() if gates else gate_bits, x_symmetric, h_symmetric


def _point(tensor: str, ranges: Calibration, is_symmetric: bool) -> tuple[float, int]:
    """(scale, zero point) of x or h.  [SPEC E-2, E-3]"""
    choice = ranges.choose(f"input.{tensor}", INT8, is_symmetric, power_of_two=False)
    return (symmetric if is_symmetric else asymmetric)(np.float32(choice.low), np.float32(choice.high), INT8, tensor=tensor)


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
    gate_bits = _checked_gate_bits(gate_bits)
    scales, tables = _gates(gate_bits, gate_scales)
    return MShiftDynamicParams(
        W=gru.W, R=gru.R, bx=gru.bx, br=gru.br,
        s_z=scales[0], s_r_gate=scales[1], s_g=scales[2], gate_bits=gate_bits,
        x_symmetric=x_symmetric, h_symmetric=h_symmetric, shift=shift, shift_bias=shift_bias, reciprocal=reciprocal,
        **tables,
    )  # fmt: skip


def _checked_gate_bits(gate_bits: int) -> int:
    if not isinstance(gate_bits, (int, np.integer)) or isinstance(gate_bits, bool) or gate_bits not in (8, 16):
        raise ParameterError("gate_bits", repr(gate_bits), "8 or 16")
    return int(gate_bits)


def _gates(gate_bits: int, gate_scales: GateScales | None) -> tuple[GateScales, dict[str, Any]]:
    scales = gate_scales_for(gate_bits) if gate_scales is None else gate_scales
    if len(scales) != 3:
        raise ParameterError("gate_scales", repr(scales), "three scales, of the gates z, r and g")
    names = zip(GATES, scales)
    return scales, {f"table_{k}": gate_table("tanh" if k == "g" else "sigmoid", s, 0, gate_bits) for k, s in names}


