"""Parameter sets of datapath M, static and with moving ranges, always valid.  [SPEC G-M, D]"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from golden.spec.bounds import INT32_LIMIT, spread
from golden.spec.formats import INT8, INT32
from golden.spec.layout import MULTIPLIERS
from golden.spec.params import MAX_RRH_MULTIPLIER, MShift, MShiftDynamicParams, MShiftParams
from golden.spec.tables import DirectTable
from golden.tables import gate_table
from verification.strategies import tables
from verification.strategies.numbers import edge_integers, int_array, real_array, zero_point

MAX_MULTIPLIER = 2**31 - 1
GATE_SCALES = (1 / 16, 1 / 32, 1 / 128, 1.0, 1 / 4096)

_SHIFT_BIAS = st.sampled_from((24, 0, 1, 15, 18, 31))
_SHIFT = st.sampled_from((18, 0, 1, 2, 15, 20, 24, 30, 31))
_KIND = st.sampled_from(("balanced", "balanced", "balanced", "free"))
_MULTIPLIER = st.one_of(st.sampled_from((0, 1, MAX_MULTIPLIER, MAX_MULTIPLIER - 1, 2**30)), edge_integers(0, MAX_MULTIPLIER))
_ANY_SHIFT = st.integers(0, 31)
_RATIO = st.integers(-14, 3)
_MANTISSA = st.sampled_from((1.0, 1.5, 1.25, 1.0078125, 1.9921875, 1.3359375))
_NEAR_RATIO = st.integers(-5, -3)
_BOOL = st.booleans()
_SCALE = st.sampled_from((1.0, 1 / 127, 0.02, 1 / 256, 0.0001))
_GATE_SCALE = {False: st.sampled_from(GATE_SCALES), True: st.sampled_from((1 / 16, 1 / 32, 1 / 64))}
_TABLE_KIND = st.sampled_from(("arbitrary", "made", "arbitrary", "made"))

# log2 of the factor that keeps a typical value inside its target, by multiplier
TYPICAL = {"m_z": -8, "m_r": -8, "m_g": -8, "m_rRh": -7, "m_one": -7, "m_gh": 0, "m_bx": -5, "m_br_z": -5, "m_br_r": -5}


def mshift(draw: Any, typical: int = 0, limit: int = MAX_MULTIPLIER, lively: bool = False) -> MShift:
    """A multiplier and a shift: near a factor of 2**typical, or any, ends included; shifts of 0 and 31 too.  [SPEC M-1]"""
    if not lively and draw(_KIND) == "free":
        return MShift(min(draw(_MULTIPLIER), limit), draw(_ANY_SHIFT))
    shift = draw(_SHIFT)
    exponent = min(30, max(-1, shift + typical + draw(_NEAR_RATIO if lively else _RATIO) + 4))
    return MShift(min(int(draw(_MANTISSA) * 2.0**exponent), limit), shift)


def mshifts() -> st.SearchStrategy[MShift]:
    """Multiplier-shift pairs, biased to the ends."""
    return st.composite(lambda draw: mshift(draw))()


def _gates(draw: Any, lively: bool) -> dict[str, Any]:
    """gate_bits, input scales, zero points and tables."""
    bits = 16 if draw(_BOOL) else 8
    out: dict[str, Any] = {"gate_bits": bits}
    for k, scale in (("z", "s_z"), ("r", "s_r_gate"), ("g", "s_g")):
        out[scale] = draw(_GATE_SCALE[lively]) / (256 if bits == 16 else 1)
        out[f"zp_{k}"] = 0 if bits == 16 else zero_point(draw, INT8, lively=lively)
        out[f"table_{k}"] = _table(draw, "tanh" if k == "g" else "sigmoid", out[scale], out[f"zp_{k}"], bits, lively)
    return out


def _table(draw: Any, function: str, scale: float, zp: int, bits: int, lively: bool) -> DirectTable:
    if lively or draw(_TABLE_KIND) == "made":
        return gate_table(function, scale, zp, bits)
    return tables.gate_entries(draw, function, bits, zp)


def _typical(name: str, gate_bits: int) -> int:
    return 0 if gate_bits == 16 and name in ("m_z", "m_r", "m_g") else TYPICAL.get(name, -2)


def room_for_n(zp_h: int, shift: int) -> int:
    """The greatest multiplier of m_gh that GM-3 allows beside a zero point of h."""
    room = INT32_LIMIT - 1 - 127 * spread(INT8, zp_h)
    half = (1 << (shift - 1)) if shift else 0
    return max(0, min(MAX_MULTIPLIER, ((room << shift) - half) // (127 * 128)))


def static_params(draw: Any, inputs: int, hidden: int, lively: bool = False) -> MShiftParams:
    """A static set with C = inputs and H = hidden; lively keeps most values inside their formats."""
    zp_x = zero_point(draw, INT8, lively=lively)
    limit = min((INT32_LIMIT - 1) // (128 * hidden), (INT32_LIMIT - 1) // 127) - 128
    zp_h = zero_point(draw, INT8, limit, lively)
    gates = _gates(draw, lively)
    if lively or draw(_BOOL):
        bound = 2**20 if lively else 2 ** draw(st.integers(0, 31))
        low, high = -bound, bound - 1
    else:
        low, high = INT32.qmin, INT32.qmax
    m: dict[str, Any] = {name: mshift(draw, _typical(name, gates["gate_bits"]), lively=lively) for name in MULTIPLIERS}
    m["m_rRh"] = MShift(min(m["m_rRh"].multiplier, MAX_RRH_MULTIPLIER), m["m_rRh"].shift)
    m["m_gh"] = MShift(min(m["m_gh"].multiplier, room_for_n(zp_h, m["m_gh"].shift)), m["m_gh"].shift)
    scales: dict[str, Any] = {name: float(np.float32(draw(_SCALE))) for name in ("s_w", "s_r", "s_x", "s_h", "s_bx", "s_br")}
    return MShiftParams(
        W=int_array(draw, (inputs, 3 * hidden), -128, 127, lively),
        R=int_array(draw, (hidden, 3 * hidden), -128, 127, lively),
        bx=int_array(draw, (3 * hidden,), low, high, lively),
        br=int_array(draw, (3 * hidden,), low, high, lively),
        zp_x=zp_x,
        zp_h=zp_h,
        **gates,
        **m,
        **scales,
    )


def dynamic_params(draw: Any, inputs: int, hidden: int, high: int = 20, lively: bool = False) -> MShiftDynamicParams:
    """A set for moving ranges; weights stay below 2**(high + 1); lively weights are those of a trained network."""
    return MShiftDynamicParams(
        W=real_array(draw, (inputs, 3 * hidden), -149, high, lively),
        R=real_array(draw, (hidden, 3 * hidden), -149, high, lively),
        bx=real_array(draw, (3 * hidden,), -149, 100, lively),
        br=real_array(draw, (3 * hidden,), -149, 100, lively),
        x_symmetric=draw(_BOOL),
        h_symmetric=draw(_BOOL),
        shift=18 if lively else draw(_SHIFT),
        shift_bias=24 if lively else draw(_SHIFT_BIAS),
        reciprocal=draw(_BOOL),
        **_gates(draw, lively),
    )
