"""Parameter sets of both static datapaths as AIMET encodings, and from them and the float network again."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

import numpy as np

from golden.ranges import exponent_sqnr
from golden.spec.arrays import checked_scale
from golden.spec.errors import ParameterError
from golden.spec.formats import BIAS_BITS, INT8, INT32, TENSOR_BITS, IntFormat
from golden.spec.layout import GATES, OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT, MShiftParams, Operator, PotParams
from golden.spec.rounding import Rounding
from quant_gru import aimet
from quant_gru.aimet import Encoding
from quant_gru.build import BIAS_OPERATORS, mshift_from_scales, pot_from_operators
from quant_gru.float_gru import FloatGru

GATE_INPUTS = tuple(f"gate.{k}_pre" for k in GATES)
MSHIFT_OPERATORS = ("input.x", "input.h", *WEIGHT_OPERATORS, *GATE_INPUTS)


def encodings(params: PotParams | MShiftParams) -> list[Encoding]:
    """The encodings of a parameter set: of all eighteen operators on datapath P, of MSHIFT_OPERATORS on datapath M.

    Tables, multipliers and roundings have no place in encodings; they are made again from the scales.
    """
    if isinstance(params, PotParams):
        operators = params.operators.items()
        return [_of(name, op.fmt, np.ldexp(1.0, -np.atleast_1d(op.exponent)), op.zero_point) for name, op in operators]
    p, pre = params, params.fmt_pre
    points = {
        "input.x": (INT8, p.s_x, p.zp_x), "input.h": (INT8, p.s_h, p.zp_h),
        "weight.W": (INT8, p.s_w, 0), "weight.R": (INT8, p.s_r, 0),
        "weight.bx": (INT32, p.s_bx, 0), "weight.br": (INT32, p.s_br, 0),
        "gate.z_pre": (pre, p.s_z, p.zp_z), "gate.r_pre": (pre, p.s_r_gate, p.zp_r), "gate.g_pre": (pre, p.s_g, p.zp_g),
    }  # fmt: skip
    return [_of(name, fmt, np.array([scale]), zero_point) for name, (fmt, scale, zero_point) in points.items()]


def _of(name: str, fmt: IntFormat, scales: np.ndarray, zero_point: int) -> Encoding:
    return Encoding(name, fmt.bits, zero_point == 0, scales, np.full(scales.shape, fmt.qmin - zero_point, np.int64))


def save_encodings(
    path: str | PathLike[str], params: PotParams | MShiftParams, *, version: str = "1.0.0", prefix: str = ""
) -> None:
    """Write the encodings of a parameter set, as quant_gru.aimet.save does."""
    aimet.save(path, encodings(params), version=version, prefix=prefix)


def pot_from_encodings(
    gru: FloatGru,
    found: Mapping[str, Encoding],
    *,
    snap: bool = False,
    rounding: Rounding = Rounding.TIES_AWAY,
    activation: str = "piecewise_linear",
) -> PotParams:
    """The parameter set of datapath P of a float network with the scales of encodings.

    found    operator -> Encoding, as quant_gru.aimet.load gives it, all eighteen
    snap     take the nearest power of two of a scale that is none, instead of refusing it
    Raises   ParameterError naming the encoding: missing, a width that no clause knows, a scale that is no power of two or out
             of range, another number of scales than the network has channels, a weight with a zero point
    """
    _all(found, OPERATORS)
    operators = {name: _operator(name, found[name], 3 * gru.hidden_size, snap) for name in OPERATORS}
    return pot_from_operators(gru, operators, rounding=rounding, activation=activation)


def mshift_from_encodings(
    gru: FloatGru,
    found: Mapping[str, Encoding],
    *,
    shift: int | None = None,
    shift_bias: int | None = None,
    reciprocal: bool = False,
) -> MShiftParams:
    """The static parameter set of datapath M of a float network with the scales of encodings, exact in binary32.

    found    operator -> Encoding, as quant_gru.aimet.load gives it, of MSHIFT_OPERATORS; others are left alone
    shift, shift_bias  as in quant_gru.build.mshift_params
    Raises   ParameterError naming the encoding: missing, another width than the datapath has, a scale that binary32 does not
             hold, more scales than one, a zero point where there must be none
    """
    _all(found, MSHIFT_OPERATORS)
    gate_bits = found["gate.z_pre"].bits
    points = {}
    for name in MSHIFT_OPERATORS:
        e, wanted = found[name], {**dict.fromkeys(BIAS_OPERATORS, 32), **dict.fromkeys(GATE_INPUTS, gate_bits)}.get(name, 8)
        where = f"encoding of {e.name}"
        if e.bits != wanted or e.bits not in (8, 16, 32):
            raise ParameterError(f"{where} bitwidth", e.bits, f"{wanted if wanted in (8, 16, 32) else '8 or 16'} on datapath M")
        _count(e, 1)
        qmin = IntFormat(e.bits, True).qmin
        zero_point = qmin - int(e.offsets[0])
        if zero_point and (e.is_symmetric or not name.startswith("input.")):
            raise ParameterError(f"{where} offset", int(e.offsets[0]), f"{qmin}, the offset of a zero point of 0")
        points[name] = checked_scale(f"{where} scale", float(e.scales[0])), zero_point
    scale = {name: point[0] for name, point in points.items()}
    z, r, g = (scale[name] for name in GATE_INPUTS)
    return mshift_from_scales(
        gru, scale["weight.W"], scale["weight.R"], points["input.x"], points["input.h"], scale["weight.bx"], scale["weight.br"],
        (z, r, g), gate_bits=gate_bits, shift=shift, shift_bias=shift_bias, reciprocal=reciprocal,
    )  # fmt: skip


def _all(found: Mapping[str, Encoding], names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise ParameterError("encodings", f"without {', '.join(missing)}", "every operator of the datapath")


def _count(e: Encoding, wanted: int) -> None:
    if len(e.scales) != wanted:
        raise ParameterError(f"encoding of {e.name} scale", f"a list of {len(e.scales)}", f"{wanted} of them")


def _operator(name: str, e: Encoding, channels: int, snap: bool) -> Operator:
    where, is_weight = f"encoding of {e.name}", name in WEIGHT_OPERATORS
    if e.bits not in (BIAS_BITS if name in BIAS_OPERATORS else TENSOR_BITS):
        wanted = "8, 16 or 32" if name in BIAS_OPERATORS else "2 to 16"
        raise ParameterError(f"{where} bitwidth", e.bits, wanted)
    fmt = IntFormat(e.bits, name not in UNSIGNED_OPERATORS)
    _count(e, channels if is_weight else 1)
    exponents = np.array([_exponent(where, float(s), snap) for s in e.scales], np.int32)
    zero_points = fmt.qmin - e.offsets
    if zero_points.any() and (is_weight or e.is_symmetric):
        bad = int(e.offsets[zero_points != 0][0])
        raise ParameterError(f"{where} offset", bad, f"{fmt.qmin}, the offset of a zero point of 0")
    return Operator(fmt, exponents, 0) if is_weight else Operator(fmt, int(exponents[0]), int(zero_points[0]))


def _exponent(where: str, scale: float, snap: bool) -> int:
    if not snap and np.frexp(scale)[0] != 0.5:
        raise ParameterError(f"{where} scale", repr(scale), "a power of two, or snap=True for the nearest one")
    if not snap and not 2.0**-MAX_EXPONENT <= scale <= 2.0**-MIN_EXPONENT:
        raise ParameterError(f"{where} scale", repr(scale), f"a scale in [2**{-MAX_EXPONENT}, 2**{-MIN_EXPONENT}]")
    try:
        return exponent_sqnr(scale)
    except ParameterError as refused:
        raise ParameterError(f"{where} scale", refused.found, refused.expected) from None
