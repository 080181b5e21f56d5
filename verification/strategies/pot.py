"""Parameter sets of datapath P, always valid.  [SPEC G-P]

Formats and zero points are drawn first, exponents after them in the order of computation. Each exponent is drawn near
the one that brings the reachable values into the format, then cut to what the 63-bit rule leaves, so no draw is thrown away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from golden.spec.bounds import ACC_LIMIT, spread
from golden.spec.formats import IntFormat
from golden.spec.layout import SCALAR_OPERATORS, UNSIGNED_OPERATORS
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT, Operator, PotParams
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation
from golden.tables import pot_table
from verification.strategies import tables
from verification.strategies.numbers import formats, int_array, zero_point

SUM_BITS = 60  # up to five terms and a zero point stay below 2**63
PRODUCT_LIMIT = 2**60

_FORMAT = {None: formats(), True: formats(signed=True), False: formats(signed=False)}
_SAME = st.sampled_from(("all8", "all16", "mixed", "mixed"))
_BIAS = st.sampled_from((8, 16, 32))
_OFFSET = st.sampled_from((0, 0, 1, -1, 2, -2, 4, -4, 8, -8))
_SLIGHT = st.integers(-1, 1)
_WILD = st.integers(MIN_EXPONENT, MAX_EXPONENT)
_START = st.sampled_from((7, 0, 3, 12, 15, 20, 30, -1, -2, -8, -15))
_RARE = st.sampled_from((False, False, False, False, False, True))
_BOOL = st.booleans()
_KIND = st.sampled_from(("piecewise_linear", "piecewise_linear", "piecewise_quadratic", "direct"))
_ROUNDING = st.sampled_from((Rounding.TIES_AWAY, Rounding.TIES_EVEN))
_MADE = st.sampled_from((False, False, True))
_SEED = st.integers(0, 2**20)
_SPREAD = {False: st.sampled_from((0, 0, 2, 6, 45)), True: st.sampled_from((0, 1, 2))}


def _formats(draw: Any) -> dict[str, IntFormat]:
    same = draw(_SAME)
    out = {}
    for name in (*SCALAR_OPERATORS, "weight.W", "weight.R"):
        signed = False if name in UNSIGNED_OPERATORS else True
        if same != "mixed":
            out[name] = IntFormat(8 if same == "all8" else 16, signed)
        elif name in UNSIGNED_OPERATORS:
            out[name] = draw(_FORMAT[False])
        elif name.startswith("weight"):
            out[name] = draw(_FORMAT[True])
        else:
            out[name] = draw(_FORMAT[None])
    for name in ("weight.bx", "weight.br"):
        out[name] = IntFormat(draw(_BIAS), True)
    return out


def _tame(zp: dict[str, int], fmt: dict[str, IntFormat], a: str, b: str, extra: int = 0) -> None:
    """Move the farther of two zero points towards 0 until the product of their spreads is small enough."""
    while (spread(fmt[a], zp[a]) + extra) * spread(fmt[b], zp[b]) >= PRODUCT_LIMIT:
        far = a if abs(zp[a]) >= abs(zp[b]) else b
        zp[far] = int(zp[far] / 4)


def _zero_points(draw: Any, fmt: dict[str, IntFormat], inputs: int, hidden: int, lively: bool) -> dict[str, int]:
    zp = {name: zero_point(draw, fmt[name], lively=lively) for name in SCALAR_OPERATORS}
    for data, weight, length in (("input.x", "weight.W", inputs), ("input.h", "weight.R", hidden)):
        while length * spread(fmt[weight], 0) * spread(fmt[data], zp[data]) >= ACC_LIMIT:
            zp[data] = int(zp[data] / 4)
    _tame(zp, fmt, "gate.r_out", "op.Rh_add_br")
    _tame(zp, fmt, "gate.z_out", "input.h")
    _tame(zp, fmt, "gate.z_out", "gate.g_out", 2**MAX_EXPONENT)
    return zp


class _Exponents:
    """Draws exponents one after the other and remembers them."""

    def __init__(self, draw: Any, fmt: dict[str, IntFormat], zp: dict[str, int], lively: bool) -> None:
        self.draw, self.fmt, self.zp, self.lively = draw, fmt, zp, lively
        self.e: dict[str, int] = {}

    def d(self, name: str) -> int:
        """max |q - zp| of an operator."""
        return spread(self.fmt[name], self.zp[name])

    def start(self, name: str, low: int = MIN_EXPONENT, high: int = MAX_EXPONENT) -> int:
        """The exponent of an operator that nothing determines."""
        if self.lively:
            e = self.fmt[name].bits - int(self.fmt[name].signed) + self.draw(_SLIGHT)
        else:
            e = self.draw(_WILD) if self.draw(_RARE) else self.draw(_START)
        self.e[name] = max(low, min(high, e))
        return self.e[name]

    def after(self, name: str, terms: list[tuple[int, int]], low: int = MIN_EXPONENT) -> int:
        """The exponent of an operator that takes terms (exponent, magnitude); low keeps later stages possible."""
        high = min(e + SUM_BITS - max(1, reach).bit_length() for e, reach in terms)
        natural = min(e - max(1, reach).bit_length() for e, reach in terms) + self.fmt[name].bits
        if self.lively:
            e = natural + self.draw(_SLIGHT) + 2
        else:
            e = self.draw(_WILD) if self.draw(_RARE) else natural + self.draw(_OFFSET)
        self.e[name] = max(low, MIN_EXPONENT, min(e, high, MAX_EXPONENT))
        return self.e[name]


def _room(reach: int) -> int:
    return SUM_BITS - max(1, reach).bit_length()


def _channel_exponents(draw: Any, count: int, centre: int, lively: bool) -> np.ndarray:
    """Per-channel exponents: all alike, spread around the centre, or anywhere."""
    width = draw(_SPREAD[lively])
    if width == 0:
        return np.full(count, centre, np.int32)
    rng = np.random.default_rng(draw(_SEED))
    return np.clip(centre + rng.integers(-width, width + 1, count), MIN_EXPONENT, MAX_EXPONENT).astype(np.int32)


def params(draw: Any, inputs: int, hidden: int, lively: bool = False) -> PotParams:
    """A set with C = inputs and H = hidden; lively keeps most values inside their formats."""
    fmt = _formats(draw)
    zp = _zero_points(draw, fmt, inputs, hidden, lively)
    x = _Exponents(draw, fmt, zp, lively)
    x.start("input.x")
    e_h = x.start("input.h")
    weights = {
        n: _channel_exponents(draw, 3 * hidden, fmt[n].bits if lively else draw(_START), lively)
        for n in ("weight.W", "weight.R")
    }
    for out, data, weight, length in (
        ("matmul.Wx", "input.x", "weight.W", inputs),
        ("matmul.Rh", "input.h", "weight.R", hidden),
    ):
        reach = length * spread(fmt[weight], 0) * x.d(data)
        x.after(out, [(int(weights[weight].min()) + x.e[data], reach)])
    centre = max(x.e["matmul.Wx"], x.e["matmul.Rh"])
    for n in ("weight.bx", "weight.br"):
        offset = fmt[n].bits - fmt["matmul.Wx"].bits if lively else draw(_OFFSET)
        weights[n] = _channel_exponents(draw, 3 * hidden, max(MIN_EXPONENT, min(MAX_EXPONENT, centre + offset)), lively)

    def blocks(name: str, gate: int) -> tuple[int, int]:
        return int(weights[name][gate * hidden : (gate + 1) * hidden].min()), spread(fmt[name], 0)

    wx, rh = (x.e["matmul.Wx"], x.d("matmul.Wx")), (x.e["matmul.Rh"], x.d("matmul.Rh"))
    for gate, k in enumerate("zr"):
        x.after(f"gate.{k}_pre", [wx, rh, blocks("weight.bx", gate), blocks("weight.br", gate)])
    e_r = x.start("gate.r_out")
    product = x.d("gate.r_out") * x.d("op.Rh_add_br")
    e_a = x.after("op.Rh_add_br", [rh, blocks("weight.br", 2)], low=MIN_EXPONENT - _room(product) - e_r)
    e_p = x.after("op.rRh", [(e_r + e_a, product)])
    x.after("gate.g_pre", [wx, (e_p, x.d("op.rRh")), blocks("weight.bx", 2)])

    old = x.d("gate.z_out") * x.d("input.h")
    e_z = x.start("gate.z_out", low=max(MIN_EXPONENT, MIN_EXPONENT - _room(old) - e_h))
    new = (2 ** max(e_z, 0) + x.d("gate.z_out")) * x.d("gate.g_out")
    least = e_h - _room(x.d("op.new_contrib"))
    e_g = x.start("gate.g_out", low=max(MIN_EXPONENT, MIN_EXPONENT - _room(new) - e_z, least - _room(new) - e_z))
    x.after("op.old_contrib", [(e_z + e_h, old)], low=e_h - _room(x.d("op.old_contrib")))
    x.after("op.new_contrib", [(e_z + e_g, new)], low=least)

    operators = {name: Operator(fmt[name], x.e[name], zp[name]) for name in SCALAR_OPERATORS}
    operators |= {name: Operator(fmt[name], weights[name]) for name in weights}
    activations: dict[str, Any] = {f"act_{k}": _activation(draw, k, operators, lively) for k in "zrg"}
    return PotParams(
        W=int_array(draw, (inputs, 3 * hidden), fmt["weight.W"].qmin, fmt["weight.W"].qmax, lively),
        R=int_array(draw, (hidden, 3 * hidden), fmt["weight.R"].qmin, fmt["weight.R"].qmax, lively),
        bx=int_array(draw, (3 * hidden,), fmt["weight.bx"].qmin, fmt["weight.bx"].qmax, lively),
        br=int_array(draw, (3 * hidden,), fmt["weight.br"].qmin, fmt["weight.br"].qmax, lively),
        operators=operators,
        rounding=draw(_ROUNDING),
        **activations,
    )


def _activation(draw: Any, gate: str, operators: dict[str, Operator], lively: bool) -> Activation:
    """Arbitrary integer data, or at narrow inputs a table as the makers give it."""
    pre, out = operators[f"gate.{gate}_pre"], operators[f"gate.{gate}_out"]
    function = "tanh" if gate == "g" else "sigmoid"
    kind = draw(_KIND)
    if kind == "direct" and (not pre.fmt.signed or pre.fmt.bits > 8):
        kind = "piecewise_linear"
    if pre.fmt.bits <= 8 and kind != "piecewise_quadratic" and draw(_MADE):
        return pot_table(function, kind, pre, out)
    return tables.random_activation(draw, kind, function, pre.fmt, pre.zero_point, out.fmt, out.zero_point, lively)
