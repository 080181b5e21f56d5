"""The parameter check: what a stage can reach at most, in Python integers.  [SPEC L-2, M-3, R-4]

Every bound is taken over the formats, not over the data, as the clauses say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.spec.errors import WidthError
from golden.spec.formats import INT8, IntFormat
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic

INT32_LIMIT = 2**31
ACC_LIMIT = 2**47
INT64_LIMIT = 2**63


def spread(fmt: IntFormat, zero_point: int) -> int:
    """max |q - zero_point| over the codes q of fmt."""
    return max(abs(fmt.qmin - zero_point), abs(fmt.qmax - zero_point))


def linear_bound(length: int, fmt_w: IntFormat, fmt: IntFormat, zero_point: int) -> int:
    """B = K * max|W| * max|x - zp|.  [SPEC L-2]"""
    return length * spread(fmt_w, 0) * spread(fmt, zero_point)


def require(stage: str, reached: int, bound: int, channel: int | None = None) -> int:
    """reached, or WidthError when it is not below bound."""
    if reached >= bound:
        raise WidthError(stage, reached, bound, channel)
    return reached


def shifted(stage: str, reached: int, shift: int, channel: int | None = None, rounding: Rounding = Rounding.TIES_AWAY) -> int:
    """The magnitude after a rounding right shift (left when negative), kept inside int64.  [SPEC R-2, R-3, R-4]"""
    require(stage, reached, INT64_LIMIT, channel)
    if shift <= 0:
        return require(stage, reached << -shift, INT64_LIMIT, channel)
    half = 1 << (shift - 1)
    rounded = (reached + half) >> shift
    tie = reached & (2 * half - 1) == half
    return rounded - (rounded & 1) if tie and rounding is Rounding.TIES_EVEN else rounded


def check_mshift(p: Any) -> None:
    """Refuse a static set of datapath M that could leave a width."""
    require("Wx", linear_bound(p.input_size, INT8, INT8, p.zp_x), ACC_LIMIT)
    require("Rh", linear_bound(p.hidden_size, INT8, INT8, p.zp_h), INT32_LIMIT)
    require_S(p.zp_h, p.m_gh.multiplier, p.m_gh.shift)


def check_dynamic(p: Any) -> None:
    """Refuse a dynamic set that could leave a width; its zero points are always representable."""
    widest = INT8.qmax - INT8.qmin
    require("Wx", p.input_size * spread(INT8, 0) * widest, ACC_LIMIT)
    require("Rh", p.hidden_size * spread(INT8, 0) * widest, INT32_LIMIT)


def require_S(zp_h: int, multiplier: int, shift: int) -> None:
    """127 * max|h - zp_h| + B_n < 2**31, with m_gh = (multiplier, shift).  [SPEC GM-3]"""
    one, g_max = INT8.qmax, spread(INT8, 0)
    n = min(shifted("n", one * g_max * multiplier, shift), INT32_LIMIT - 1)
    require("S", one * spread(INT8, zp_h) + n, INT32_LIMIT)


def check_pot(p: Any) -> None:
    """Refuse a set of datapath P that could leave a width, naming stage and channel."""
    ops = p.operators
    hidden = p.hidden_size

    def at(name: str) -> tuple[int, int, int]:
        """exponent, zero point and max |q - zp| of an operator"""
        op = ops[name]
        return op.exponent, op.zero_point, spread(op.fmt, op.zero_point)

    def channels(start: int, *names: str) -> list[tuple[int, list[int]]]:
        """(channel, exponents) for each distinct set of exponents in the H channels from start"""
        exponents = np.stack([ops[name].exponent[start : start + hidden] for name in names])
        values, first = np.unique(exponents, axis=1, return_index=True)
        return [(start + int(c), e) for e, c in zip(values.T.tolist(), first, strict=True)]

    def shift(stage: str, reached: int, by: int, channel: int | None = None) -> int:
        return shifted(stage, reached, by, channel, p.rounding)

    for acc, weight, data, out, length in (
        ("Wx_acc", "weight.W", "input.x", "matmul.Wx", p.input_size),
        ("Rh_acc", "weight.R", "input.h", "matmul.Rh", hidden),
    ):
        e, zp, _ = at(data)
        reach = require(acc, linear_bound(length, ops[weight].fmt, ops[data].fmt, zp), ACC_LIMIT)
        for gate in range(3):
            for channel, (e_w,) in channels(gate * hidden, weight):
                term = shift(acc[:2], reach, e_w + e - at(out)[0], channel)
                require(acc[:2], term + abs(at(out)[1]), INT64_LIMIT, channel)

    def total(stage: str, zero_point: int, *terms: int, gate: int = 0, e_out: int = 0, biases: tuple[str, ...] = ()) -> None:
        """A sum, in each channel of a gate where biases, the last letters of their operators, are among its terms"""
        if not biases:
            require(stage, sum(terms) + abs(zero_point), INT64_LIMIT)
            return
        weights = [f"weight.{b}" for b in biases]
        for channel, exponents in channels(gate * hidden, *weights):
            added = [
                shift(f"{stage[0]}_{b}_aligned", spread(ops[w].fmt, 0), e - e_out, channel)
                for b, w, e in zip(biases, weights, exponents, strict=True)
            ]
            require(stage, sum(terms) + sum(added) + abs(zero_point), INT64_LIMIT, channel)

    e_wx, _, d_wx = at("matmul.Wx")
    e_rh, _, d_rh = at("matmul.Rh")
    for gate, k in enumerate("zr"):
        e_pre, zp_pre, _ = at(f"gate.{k}_pre")
        total(
            f"{k}_acc",
            zp_pre,
            shift(f"{k}_Wx_aligned", d_wx, e_wx - e_pre),
            shift(f"{k}_Rh_aligned", d_rh, e_rh - e_pre),
            gate=gate,
            e_out=e_pre,
            biases=("bx", "br"),
        )
    e_a, zp_a, d_a = at("op.Rh_add_br")
    total("A_acc", zp_a, shift("A_Rh_aligned", d_rh, e_rh - e_a), gate=2, e_out=e_a, biases=("br",))
    e_r, _, d_r = at("gate.r_out")
    e_p, zp_p, d_p = at("op.rRh")
    total("P_acc", zp_p, shift("P_prod", d_r * d_a, e_r + e_a - e_p))
    e_pre, zp_pre, _ = at("gate.g_pre")
    total(
        "g_acc",
        zp_pre,
        shift("g_Wx_aligned", d_wx, e_wx - e_pre),
        shift("g_P_aligned", d_p, e_p - e_pre),
        gate=2,
        e_out=e_pre,
        biases=("bx",),
    )
    e_z, zp_z, d_z = at("gate.z_out")
    e_h, zp_h, d_h = at("input.h")
    e_g, _, d_g = at("gate.g_out")
    e_o, zp_o, d_o = at("op.old_contrib")
    e_n, zp_n, d_n = at("op.new_contrib")
    half_away = e_z == -1 and p.rounding is Rounding.TIES_AWAY
    one = (1 << e_z if e_z >= 0 else int(half_away)) + zp_z
    d_one = max(abs(one - ops["gate.z_out"].fmt.qmin), abs(one - ops["gate.z_out"].fmt.qmax))
    total("O_acc", zp_o, shift("O_prod", d_z * d_h, e_z + e_h - e_o))
    total("N_acc", zp_n, shift("N_prod", d_one * d_g, e_z + e_g - e_n))
    total("h_acc", zp_h, shift("h_O_aligned", d_o, e_o - e_h), shift("h_N_aligned", d_n, e_n - e_h))
    for k in "zrg":
        check_activation(k, getattr(p, f"act_{k}"))


def segment_range(table: Any, i: int) -> tuple[int, int] | None:
    """The least and the greatest input that segment i answers for, or None when there is none.  [SPEC A-3]"""
    low, high = table.fmt_in.qmin, table.fmt_in.qmax
    if i > 0:
        low = max(low, int(table.thresholds[i - 1]))
    if i < len(table.thresholds) - 1:
        high = min(high, int(table.thresholds[i]) - 1)
    return (low, high) if low <= high else None


def check_activation(gate: str, table: Any) -> None:
    """Refuse a table whose arithmetic could leave int64, naming the gate and the segment.  [SPEC A-3, A-4]"""
    if isinstance(table, DirectTable):
        return
    linear = isinstance(table, PiecewiseLinear)
    if not linear and not isinstance(table, PiecewiseQuadratic):
        raise TypeError(type(table).__name__)
    stage = f"{gate} segment"
    for i in range(len(table.thresholds)):
        inputs = segment_range(table, i)
        if inputs is None:
            continue
        origin = table.zero_point_in if linear else int(table.origins[i])
        d = max(abs(inputs[0] - origin), abs(inputs[1] - origin))
        if linear:
            y = shifted(stage, abs(int(table.slopes[i])) * d, int(table.shifts[i]), i)
            require(stage, y + abs(int(table.intercepts[i])), INT64_LIMIT, i)
            continue
        inner = shifted(stage, abs(int(table.c2[i])) * d, int(table.p[i]), i)
        inner = require(stage, inner + abs(int(table.c1[i])), INT64_LIMIT, i)
        y = shifted(stage, inner * d, int(table.n[i]), i)
        require(stage, y + abs(int(table.c0[i])), INT64_LIMIT, i)
