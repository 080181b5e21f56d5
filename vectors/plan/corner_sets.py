"""Parameter sets drawn so that one short run meets many corners: ratios with few fraction bits, so that ties are common,
terms of a few codes beside terms that fill their accumulator, and zero points in every region.

A set is a frame, which all units share, and units, each drawn by itself: units can be chosen one by one, but where ranges move,
which couple them. The first two units drive the others: only their states enter the products with R.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from golden.spec.formats import INT8, INT16, IntFormat
from golden.spec.layout import GATES, MULTIPLIERS, SCALAR_OPERATORS, UNSIGNED_OPERATORS
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from golden.tables import gate_table
from vectors.draw import Draw
from vectors.plan.planned import REGIONS, region_zero_point

DRIVERS = 2
"""How many units have states that enter the products with R."""


def one(draw: Draw, low: int, high: int) -> int:
    """One integer in [low, high]."""
    return int(draw.integers(low, high, 1)[0])


def among(draw: Draw, values: Sequence[Any]) -> Any:
    """One of the values."""
    return values[one(draw, 0, len(values) - 1)]


def ratio(draw: Draw, exponent: int, limit: int = 2**31 - 1) -> MShift:
    """About 2**exponent, with a fraction of a few bits; now and then a shift of 0."""
    kind = one(draw, 0, 9)
    if kind == 0:
        return MShift(min(limit, among(draw, (1, 1, 2, 3)) << max(0, exponent)), 0)
    if kind == 1:
        shift = max(0, -exponent)
        more = one(draw, 0, 31 - shift)
        return MShift(1 << more, shift + more) if more < limit.bit_length() else MShift(1, shift)
    bits = max(1, 2 - exponent) + one(draw, 0, 3)
    if exponent > 4:
        return MShift(min(limit, one(draw, 1 << (exponent + bits), (2 << (exponent + bits)) - 1) | 1), bits)
    numerator = min(limit, max(1, (among(draw, (4, 5, 6, 7)) << (bits + exponent)) >> 2))
    more = one(draw, 0, max(0, min(31 - bits, (limit // numerator).bit_length() - 1)))
    return MShift(numerator << more, bits + more)


def terms(draw: Draw, count: int, small: int, large: int = 32) -> np.ndarray:
    """int64 [count]: of a few bits, of every size, or of the greatest sizes; many with zeros at their end."""
    kind = draw.integers(0, 3, count)
    wide, full = draw.mixed(large, True, count), draw.integers(-(1 << (large - 1)), (1 << (large - 1)) - 1, count)
    value = np.where(kind < 2, draw.spread(small, True, count), np.where(kind == 2, wide, full))
    zeros = draw.integers(0, 3, count) * draw.integers(0, 1, count)
    return value >> zeros << zeros


def opposed(draw: Draw, small: int, large: int = 32) -> np.ndarray:
    """int64 [2, 3]: both biases of a unit; now and then two great ones that cancel, so that what they lose is seen."""
    pair = terms(draw, 6, small, large).reshape(2, 3)
    top = (1 << (large - 1)) - 1
    sign = draw.pick((-1, 1), 3)
    great = np.stack([sign * draw.integers(top // 2, top, 3), -sign * draw.integers(top // 2, top, 3)])
    end = 2**31 - 1
    exact = np.stack([np.where(sign > 0, end, -end - 1), np.where(sign > 0, -end - 1, end)])
    kind = draw.integers(0, 3, 3)
    return np.where(kind < 2, pair, np.where(kind == 2, great, exact))


def columns(units: Sequence[Draw], make: Callable[[Draw], np.ndarray]) -> np.ndarray:
    """[..., 3H] from the [..., 3] of each unit, gate by gate."""
    several = np.stack([make(u) for u in units], axis=-1)  # [..., 3, H]
    return several.reshape(*several.shape[:-2], -1)


def column(unit: Draw, rows: int, bits: int, in_use: int = DRIVERS) -> np.ndarray:
    """int64 [rows, 3], the weights of a unit: only the first rows in use, a third of the gates 0."""
    out = np.zeros((rows, 3), np.int64)
    used = min(rows, in_use)
    values = unit.spread(bits, True, 3 * used).reshape(used, 3)
    out[:used] = np.where(unit.integers(0, 2, 3) == 0, 0, values)
    return out


def weights(units: Sequence[Draw], rows: int, bits: int) -> np.ndarray:
    """int64 [rows, 3H] of the units' columns."""
    return columns(units, lambda u: column(u, rows, bits))


def m_tables(draw: Draw, gate_bits: int, zero_points: dict[str, int]) -> dict[str, Any]:
    """Direct tables of datapath M: of the functions, or any integers."""
    out: dict[str, Any] = {}
    fmt = INT8 if gate_bits == 8 else INT16
    for k in GATES:
        function = "tanh" if k == "g" else "sigmoid"
        if one(draw, 0, 3) == 0:
            scale = among(draw, (1 / 16, 1 / 32, 1 / 64)) / (1 if gate_bits == 8 else 256)
            out[f"table_{k}"] = gate_table(function, scale, zero_points[k], gate_bits)
        else:
            codes = draw.integers(-128 if k == "g" else 0, 127, 256)
            few = draw.pick((0, 1, 2, 3, 127), 256)
            codes = np.where(draw.integers(0, 3, 256) < among(draw, (0, 2, 3, 3)), few, codes)
            out[f"table_{k}"] = DirectTable(function, codes, fmt, INT8, zero_points[k])
    return out


def far(draw: Draw, m: MShift, zero_point: int) -> int:
    """A zero point that brings an accumulator at an end of int32 into the gate's format; now and then, else the given one."""
    end = ((2**31 - 1) * m.multiplier) >> m.shift
    chosen = among(draw, (zero_point, zero_point, zero_point, one(draw, -60, 60) - end, one(draw, -60, 60) + end))
    return chosen if -(2**31) <= chosen < 2**31 else zero_point


def _regions(draw: Draw, names: Sequence[str]) -> dict[str, int]:
    return {name: beside(draw, INT8) for name in names}


def beside(draw: Draw, fmt: IntFormat) -> int:
    """A zero point inside a format, at an end of it, or a little outside."""
    region = among(draw, REGIONS)
    if region in ("below", "above"):
        return one(draw, 1, 60) + fmt.qmax if region == "above" else fmt.qmin - one(draw, 1, 60)
    return region_zero_point(fmt, region)


def static(draw: Draw, inputs: int, units: Sequence[Draw]) -> MShiftParams:
    """A static set of datapath M."""
    gate_bits = 16 if one(draw, 0, 4) == 0 else 8
    zp = _regions(draw, ("x", "h", *GATES))
    pre = {k: zp[k] if gate_bits == 8 else 0 for k in GATES}
    wide = 6 if gate_bits == 16 else 0
    m: dict[str, Any] = {name: ratio(draw, among(draw, (0, 0, 1, -1))) for name in MULTIPLIERS}
    ends = (MShift(2**31 - 1, 0), MShift(2**30, 0), MShift(2**30, 0))
    m |= {f"m_Rh_{k}": among(draw, (*ends, *(ratio(draw, among(draw, (0, -3, 15, 18, 20))) for _ in range(4)))) for k in "zr"}
    m |= {f"m_{k}": ratio(draw, among(draw, (-3, -2, -1, 0)) + wide) for k in GATES}
    m |= {"m_rRh": ratio(draw, among(draw, (-7, -5, -2, 0)), 2**24 - 1)}
    m["m_one"] = ratio(draw, quiet := among(draw, (0, -1, -3, -5, -7)))
    m["m_gh"] = ratio(draw, among(draw, (-7, -6, -5)) - quiet)
    pre |= {k: far(draw, m[f"m_{k}"], pre[k]) for k in GATES if gate_bits == 8}
    biases = columns(units, lambda u: opposed(u, 9))
    scales: dict[str, Any] = dict.fromkeys(("s_w", "s_r", "s_x", "s_h", "s_bx", "s_br"), 2.0**-7)
    gates: dict[str, Any] = dict.fromkeys(("s_z", "s_r_gate", "s_g"), 2.0**-4)
    return MShiftParams(
        W=weights(units, inputs, 5),
        R=weights(units, len(units), among(draw, (3, 6))),
        bx=biases[0],
        br=biases[1],
        **scales,
        **gates,
        **m,
        **m_tables(draw, gate_bits, pre),
        zp_x=zp["x"],
        zp_h=zp["h"],
        zp_z=pre["z"],
        zp_r=pre["r"],
        zp_g=pre["g"],
        gate_bits=gate_bits,
    )


def near(draw: Draw, codes: np.ndarray, exponent: int) -> np.ndarray:
    """float32: codes and fractions beside them, times 2**exponent."""
    parts = draw.pick((0, 0.375, 0.25, -0.25, 0.5, -0.5, 0.125, 0.75), codes.size).reshape(codes.shape)
    return np.ldexp(codes + parts, exponent).astype(np.float32)


def dynamic(draw: Draw, inputs: int, units: Sequence[Draw]) -> MShiftDynamicParams:
    """A set of datapath M with moving ranges; the scales of W and R are powers of two."""
    gate_bits = 16 if one(draw, 0, 4) == 0 else 8
    zp = dict.fromkeys(GATES, 0) if gate_bits == 16 else _regions(draw, GATES)
    real: dict[str, Any] = {}
    for name, rows, in_use, exponent in (
        ("W", inputs, inputs, -7),
        ("R", len(units), DRIVERS, among(draw, (-7, -9, 6, 8, 9, 11))),
    ):
        used = columns(units, lambda u, k=in_use, e=exponent: near(u, column(u, k, 5, k), e))  # type: ignore[misc]
        real[name] = np.concatenate([used, np.zeros((rows - in_use, used.shape[1]), np.float32)])
        real[name][0, 0], real[name][1, 1] = np.ldexp(np.float32(127), exponent), np.ldexp(np.float32(-127), exponent)
    biases = columns(units, lambda u: near(u, opposed(u, 9, 34), -14))
    real |= {"bx": np.ascontiguousarray(biases[0]), "br": np.ascontiguousarray(biases[1])}
    gates: dict[str, Any] = {
        name: 2.0 ** among(draw, (-14, -13, -12, -11)) * among(draw, (1.0, 1.25, 1.5)) / (1 if gate_bits == 8 else 64)
        for name in ("s_z", "s_r_gate", "s_g")
    }
    return MShiftDynamicParams(
        **real,
        **gates,
        **m_tables(draw, gate_bits, zp),
        zp_z=zp["z"],
        zp_r=zp["r"],
        zp_g=zp["g"],
        gate_bits=gate_bits,
        x_symmetric=bool(one(draw, 0, 1)),
        h_symmetric=bool(one(draw, 0, 1)),
        shift=among(draw, (6, 6, 7, 8, 9, 4, 2, 0, 31, 31, 12)),
        shift_bias=among(draw, (1, 2, 3, 4, 6, 0, 31)),
        reciprocal=bool(one(draw, 0, 1)),
    )


def pot(draw: Draw, inputs: int, units: Sequence[Draw]) -> PotParams:
    """A set of datapath P, 8 bits."""
    fmt = {n: IntFormat(8, n not in UNSIGNED_OPERATORS) for n in SCALAR_OPERATORS}
    zp = {n: beside(draw, fmt[n]) for n in SCALAR_OPERATORS}
    e = pot_exponents(draw)
    gates = [e["gate.z_pre"], e["gate.r_pre"], e["gate.g_pre"]]
    operators = {n: Operator(fmt[n], e[n], zp[n]) for n in SCALAR_OPERATORS}
    for name, base, amounts in (
        ("weight.W", [e["matmul.Wx"] - e["input.x"]] * 3, (-1, 0, 2, 3, 4, 4, 5, 6, 7)),
        ("weight.R", [e["matmul.Rh"] - e["input.h"]] * 3, (-1, 0, 2, 3, 4, 4, 5, 6, 7)),
        ("weight.bx", gates, (-1, 0, 1, 2, 3, 4, 5)),
        ("weight.br", [*gates[:2], e["op.Rh_add_br"]], (-1, 0, 1, 2, 3, 4, 5)),
    ):
        exponents = columns(units, lambda u, base=base, amounts=amounts: np.array(base) + u.pick(amounts, 3))  # type: ignore[misc]
        bias = name in ("weight.bx", "weight.br")
        operators[name] = Operator(IntFormat(32 if bias else 8, True), np.clip(exponents, -15, 30).astype(np.int32))
    kinds = among(draw, (("line", "parabola", "line"), ("parabola", "line", "parabola"), ("line",) * 3, ("parabola",) * 3))
    tables: dict[str, Any] = {}
    for k, kind in zip(GATES, kinds, strict=True):
        make = wild_line if kind == "line" else wild_parabola
        function = "tanh" if k == "g" else "sigmoid"
        tables[f"act_{k}"] = make(draw, function, operators[f"gate.{k}_pre"], operators[f"gate.{k}_out"])
    return PotParams(
        weights(units, inputs, 8),
        weights(units, len(units), 8),
        columns(units, lambda u: u.spread(11, True, 3)),
        columns(units, lambda u: u.spread(11, True, 3)),
        operators,
        rounding=Rounding.TIES_EVEN if one(draw, 0, 1) else Rounding.TIES_AWAY,
        **tables,
    )


def pot_exponents(draw: Draw) -> dict[str, int]:
    """Exponents of the scalar operators: most shifts go to the right by a few bits, some by none or to the left."""
    phase = one(draw, 0, 5)
    wild, turn = phase < 3, iter(range(phase, 99))

    def amount(*right: int) -> int:
        return among(draw, (right, right, (0,), (-1,))[next(turn) % 3 + 1 if wild else 0])

    calm = one(draw, 0, 2)

    e: dict[str, int] = {"input.x": 4, "input.h": one(draw, 4, 6), "gate.r_out": one(draw, 7, 8), "gate.z_out": one(draw, 6, 8)}
    if wild:
        e["gate.z_out"] = among(draw, (8, 8, 0, 1, -1))
    e["matmul.Wx"], e["matmul.Rh"] = one(draw, 7, 9), one(draw, 7, 9)
    for k in "zr":
        e[f"gate.{k}_pre"] = among(draw, (e["matmul.Wx"], e["matmul.Rh"])) - amount(1, 2, 3)
    e["op.Rh_add_br"] = e["matmul.Rh"] - amount(1, 2, 3)
    e["op.rRh"] = e["gate.r_out"] + e["op.Rh_add_br"] - amount(4, 5, 6, 7, 8)
    e["gate.g_pre"] = among(draw, (e["op.rRh"], e["matmul.Wx"])) - amount(1, 2, 3)
    e["op.old_contrib"] = e["input.h"] + amount(1, 2, 3)
    e["op.new_contrib"] = e["input.h"] + (amount(1, 2, 3) if calm else 0)
    e["gate.g_out"] = e["op.new_contrib"] + amount(4, 6, 7, 8) - e["gate.z_out"]
    return {name: max(-15, min(30, value)) for name, value in e.items()}


def _thresholds(draw: Draw, fmt: IntFormat, count: int) -> np.ndarray:
    step = (fmt.qmax - fmt.qmin + 1) // count
    return fmt.qmin + step * np.arange(1, count + 1)


def wild_line(draw: Draw, function: str, pre: Operator, out: Operator) -> Activation:
    """Sixteen segments with shifts of every sign, results inside and outside the output format."""
    shifts = draw.pick((-1, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6), 16)
    slopes = (draw.integers(-48, 48, 16) << np.maximum(shifts, 0)) >> draw.integers(2, 5, 16)
    middle = (out.fmt.qmin + out.fmt.qmax + 1) // 2
    thresholds = _thresholds(draw, pre.fmt, 16)
    centre = thresholds - 8 - pre.zero_point
    level = draw.integers(-150, 150, 16) + middle
    right, left = (slopes * centre) >> np.maximum(shifts, 0), slopes * centre << np.maximum(-shifts, 0)
    intercepts = level - np.where(shifts > 0, right, left)
    return PiecewiseLinear(
        function, thresholds, slopes, shifts, intercepts, pre.fmt, out.fmt, pre.zero_point, out.zero_point
    )


def wild_parabola(draw: Draw, function: str, pre: Operator, out: Operator) -> Activation:
    """Thirty-two segments in Horner form with shifts of every sign."""
    thresholds = _thresholds(draw, pre.fmt, 32)
    origins = thresholds - draw.integers(0, 12, 32)
    p, n = draw.pick((-1, 0, 1, 2, 2, 3, 4), 32), draw.pick((-1, 0, 1, 2, 3, 4, 4, 5), 32)
    c2, c1 = draw.integers(-60, 60, 32), draw.integers(-40, 40, 32)
    middle = (out.fmt.qmin + out.fmt.qmax + 1) // 2
    c0 = draw.integers(-140, 140, 32) + middle
    return PiecewiseQuadratic(
        function, thresholds, origins, c2, p, c1, n, c0, pre.fmt, out.fmt, pre.zero_point, out.zero_point
    )
