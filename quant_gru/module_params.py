"""What a finished calibration fixes of one layer and direction, and the parameter set it makes of the weights of the moment.

Scales, zero points and tables of the activations are fixed. The weights may change afterwards, as they do in training:
in datapath M their scales are found anew (E-3); in datapath P the exponent of a channel follows its greatest magnitude by
whole binades, so that for the weights of the calibration it is exactly the exponent that the calibration chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from golden.quantize import quantize, quantize_bias
from golden.ranges import exponent_minmax, extremes, symmetric
from golden.rescale import scale_product
from golden.spec.arrays import checked_int
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, INT32
from golden.spec.layout import GATES, SCALAR_OPERATORS
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT, MShiftParams, Operator, PotParams
from golden.spec.serial import from_plain, to_plain
from golden.tables import pot_table
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate_choice import Calibration
from quant_gru.config import BitwidthConfig
from quant_gru.float_gru import FloatGru
from quant_gru.multipliers import SHIFT, SHIFT_BIAS, fitted_mshifts

DATAPATHS = ("pot", "mshift")
WEIGHTS = ("W", "R", "bx", "br")
Static = MShiftParams | PotParams


@dataclass(frozen=True, eq=False)
class Template:
    """A finished calibration of one layer and direction.

    params  a parameter set; its weights are those of the calibration, or zero when it was read from a file
    amax    datapath P: name -> float32 [3H], the greatest magnitude of each channel when its exponent was chosen
    """

    params: Static
    amax: Mapping[str, np.ndarray] = field(default_factory=dict)


def make_template(gru: FloatGru, ranges: Calibration, config: BitwidthConfig, datapath: str) -> Template:
    """The template of a network and its calibration.

    datapath  "pot" or "mshift"; the latter has 8 bits for input.x, input.h and the weights, 8 or 16 for the gate inputs
    Raises    ParameterError naming the operator whose width or range the datapath cannot have
    """
    if datapath == "mshift":
        return Template(mshift_params(gru, ranges, widths=config.operators))
    return Template(pot_params(gru, ranges, widths=config.operators), {k: channel_amax(getattr(gru, k)) for k in WEIGHTS})


def channel_amax(values: np.ndarray) -> np.ndarray:
    """float32 [M]: the greatest magnitude of each channel of weights [K,M] or biases [M]."""
    return np.abs(np.atleast_2d(values)).max(axis=0).astype(np.float32)


def moved_exponents(exponents: np.ndarray, then: np.ndarray, now: np.ndarray, qmax: int) -> np.ndarray:
    """int32 [M]: exponents that keep their distance to the binade of the channel's greatest magnitude.

    exponents, then  what was chosen, for greatest magnitudes float32 [M]
    now              greatest magnitudes of the moment, finite
    Where a magnitude was 0, or the exponent would be below the least one, MinMax chooses  [SPEC E-4]
    Raises   ParameterError where not even the least exponent holds a magnitude
    """
    moved = exponents + np.frexp(then)[1] - np.frexp(now)[1]
    for channel in np.flatnonzero(((then == 0) | (moved < MIN_EXPONENT)) & (now != 0)):
        moved[channel] = exponent_minmax(float(now[channel]) / qmax)
    moved = np.where(now == 0, exponents, moved)
    return np.minimum(np.maximum(moved, MIN_EXPONENT), MAX_EXPONENT).astype(np.int32)


def rebuild(template: Template, gru: FloatGru) -> Static:
    """The parameter set of these weights under a template.  [SPEC Q-1, Q-4, E-3, E-4]

    Raises   WidthError or ParameterError when the weights cannot be held
    """
    old = template.params
    if isinstance(old, MShiftParams):
        return _rebuild_mshift(old, gru)
    operators = dict(old.operators)
    codes: dict[str, Any] = {}
    for key in WEIGHTS:
        values, op = getattr(gru, key), old.operators[f"weight.{key}"]
        try:
            exponents = moved_exponents(np.asarray(op.exponent), template.amax[key], channel_amax(values), op.fmt.qmax)
        except ParameterError as refused:
            raise ParameterError(f"weight.{key} {refused.field}", refused.found, refused.expected) from None
        operators[f"weight.{key}"] = Operator(op.fmt, exponents, 0)
        scales = np.exp2(-exponents.astype(np.float32))  # exact powers of two
        codes[key] = quantize_bias(values, scales, op.fmt) if values.ndim == 1 else quantize(values, scales, 0, op.fmt)
    return replace(old, operators=operators, **codes)


def _rebuild_mshift(old: MShiftParams, gru: FloatGru) -> MShiftParams:
    s_w, _ = symmetric(*extremes(gru.W, tensor="W"), INT8, tensor="W")
    s_r, _ = symmetric(*extremes(gru.R, tensor="R"), INT8, tensor="R")
    s_b = scale_product(s_w, old.s_x, "s_Wx")
    # m_one and m_bx, which is 1, are at the shifts of the set: those of the default are fitted again
    shift, shift_bias = (None if m.shift == s else m.shift for m, s in ((old.m_one, SHIFT), (old.m_bx, SHIFT_BIAS)))
    gates = old.s_z, old.s_r_gate, old.s_g
    m: dict[str, Any] = dict(
        fitted_mshifts(s_w, s_r, old.s_x, old.s_h, s_b, s_b, *gates, shift=shift, shift_bias=shift_bias)
    )
    return replace(
        old, W=quantize(gru.W, s_w, 0, INT8), R=quantize(gru.R, s_r, 0, INT8), bx=quantize_bias(gru.bx, s_b, INT32),
        br=quantize_bias(gru.br, s_b, INT32), s_w=s_w, s_r=s_r, s_bx=s_b, s_br=s_b, **m,
    )  # fmt: skip


def override(template: Template, points: Mapping[str, tuple[int | None, int | None]]) -> Template:
    """The template with the exponents and zero points that were set by hand; tables of touched gates are made anew.

    points   operator -> (exponent, zero point), None where it stays
    Raises   ParameterError on datapath M, or for a weight, which has an exponent for each channel
    """
    old = template.params
    if not points:
        return template
    if not isinstance(old, PotParams):
        raise ParameterError("exponent", "set by hand", "datapath pot, mshift has no exponents")
    operators = dict(old.operators)
    for name, (exponent, zero_point) in points.items():
        if name not in SCALAR_OPERATORS:
            raise ParameterError("operator", repr(name), f"one of {', '.join(SCALAR_OPERATORS)}")
        op = operators[name]
        chosen = op.exponent if exponent is None else checked_int(f"{name} exponent", exponent, MIN_EXPONENT, MAX_EXPONENT)
        point = op.zero_point if zero_point is None else checked_int(f"{name} zero_point", zero_point, op.fmt.qmin, op.fmt.qmax)
        operators[name] = Operator(op.fmt, chosen, point)
    tables: dict[str, Any] = {}
    for k in GATES:
        if {f"gate.{k}_pre", f"gate.{k}_out"} & set(points):
            table = getattr(old, f"act_{k}")
            made = pot_table(table.function, table.kind, operators[f"gate.{k}_pre"], operators[f"gate.{k}_out"])
            tables[f"act_{k}"] = made
    return replace(template, params=replace(old, operators=operators, **tables))


def check_fits(template: Template, config: BitwidthConfig, datapath: str) -> None:
    """Raise ParameterError unless a template is of this datapath and of the widths of the configuration that it came with."""
    params = template.params
    if params.datapath != datapath:
        raise ParameterError("datapath", repr(datapath), f"{params.datapath}, as the parameters are")
    if isinstance(params, PotParams):
        bits = {name: op.fmt.bits for name, op in params.operators.items()}
    else:
        gates = dict.fromkeys((f"gate.{k}_pre" for k in GATES), params.gate_bits)
        bits = dict.fromkeys(("input.x", "input.h", "weight.W", "weight.R"), INT8.bits) | gates
    for name, wanted in bits.items():
        if config.operators[name][0] != wanted:
            raise ParameterError(f"bitwidth of {name}", config.operators[name][0], f"{wanted}, as the parameters have it")


def template_to_plain(template: Template) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(description, arrays) of everything but the weight codes."""
    description, arrays = to_plain(template.params)
    arrays = {k: v for k, v in arrays.items() if k not in WEIGHTS}
    return description, arrays | {f"amax.{k}": np.asarray(v) for k, v in template.amax.items()}


def template_from_plain(description: Any, arrays: Mapping[str, Any], inputs: int, hidden: int) -> Template:
    """The template of a description and its arrays, with weights that are zero.

    Raises   ParameterError naming the field; every check of a parameter set is made
    """
    found = {k: np.asarray(v) for k, v in arrays.items() if not k.startswith("amax.")}
    for key in WEIGHTS:
        if key in found:
            raise ParameterError(key, "given", "no weight codes, they are made of the weights")
    shapes = {"W": (inputs, 3 * hidden), "R": (hidden, 3 * hidden), "bx": (3 * hidden,), "br": (3 * hidden,)}
    params = from_plain(description, found | {k: np.zeros(s, np.int32) for k, s in shapes.items()})
    if not isinstance(params, (MShiftParams, PotParams)):
        raise ParameterError("datapath", repr(params.datapath), f"one of {', '.join(DATAPATHS)}")
    amax: dict[str, np.ndarray] = {}
    if isinstance(params, PotParams):
        for key in WEIGHTS:
            values = np.asarray(arrays.get(f"amax.{key}", ()), np.float32)
            if values.shape != (3 * hidden,) or not np.isfinite(values).all() or (values < 0).any():
                raise ParameterError(f"amax.{key}", f"an array of shape {list(values.shape)}", f"{3 * hidden} magnitudes")
            amax[key] = values
    return Template(params, amax)
