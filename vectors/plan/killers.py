"""Small runs full of ties, ends of formats and shifts of 0, for deviations in one stage that no other case of level 1 finds.

The numbers are drawn far from those of a trained network: multipliers that make halves, zero points far outside, sums beside
int32. Which draws are taken was searched for; `qgru kill` says what they find.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.formats import INT8, INT16
from golden.spec.layout import GATES, MULTIPLIERS
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams, Params
from golden.spec.tables import DirectTable
from golden.spec.trace import DynamicState
from vectors.case import Case, case_from_trace
from vectors.draw import Draw
from vectors.plan.planned import DYNAMIC, STATIC_M, Plan, Planned

Shape = tuple[int, int, int, int]  # T, N, C, H
Drawn = tuple[Params, np.ndarray, Any]
SMALL: Shape = (4, 3, 3, 3)
SHAPES: dict[str, Shape] = {"many": (1, 6, 2, 6), "deep": (1, 1, 264, 2), "deeper": (1, 1, 2, 264)}
CHOSEN: dict[str, tuple[int, ...]] = {
    "mshift": (11, 29),
    "dynamic": (5, 98, 607, 1108, 1266),
    "many": (891, 1225),
    "deep": (0,),
    "deeper": (0,),
}
"""Numbers of the draws; the ids end in them."""
HALVES = [MShift(*m) for m in ((1, 1), (3, 1), (1, 2), (3, 3), (1, 0), (2**24 + 1, 25), (5, 2), (0, 4))]
SCALES = ("s_x", "s_h", "s_w", "s_r", "s_bx", "s_br", "s_z", "s_r_gate", "s_g")


def cases() -> Plan:
    """Runs of a few steps, rows, inputs and units; `deep` and `deeper` have the least sums beyond 24 bits."""
    for kind, numbers in CHOSEN.items():
        for number in numbers:
            yield killer(kind, number)


def killer(kind: str, number: int) -> Planned:
    """The run of a number: sequence-killer-<kind>-<number>."""
    id = f"sequence-killer-{kind}-{number:03d}"
    return Planned(id, 1, STATIC_M if kind == "mshift" else DYNAMIC, partial(_case, id, kind, number))


def one(draw: Draw, values: Any) -> Any:
    """One of the values."""
    return values[int(draw.integers(0, len(values) - 1, 1)[0])]


def ints(draw: Draw, low: int, high: int, *shape: int) -> np.ndarray:
    """int32 of a shape in [low, high]."""
    return draw.integers(low, high, int(np.prod(shape))).reshape(shape).astype(np.int32)


def _case(id: str, kind: str, number: int, draw: Draw) -> Case:
    shape = SHAPES.get(kind, SMALL)
    params, x, h0 = (mshift if kind == "mshift" else dynamic)(draw, number, shape)
    if kind in ("deep", "deeper"):
        params, x, h0 = _deep(params, shape)
    zone = one(draw, ("none", "mask", "blend", "none"))
    reverse = bool(one(draw, (0, 1)))
    steps, batch, _, hidden = shape
    options: dict[str, Any] = {
        "mask": ints(draw, 0, 1, steps, batch, hidden) if zone == "mask" else None,
        "training": zone == "mask",
        "zoneout": one(draw, (0.5, 0.25, 0.7, 3 * 2.0**-16)) if zone == "blend" else 0.0,
    }
    trace = forward(params, x, h0, reverse=reverse, **options)
    comment = "Sums beyond 24 bits." if kind.startswith("deep") else "Ties and ends of formats in every stage."
    return case_from_trace(id, params, x, h0, trace, group=f"killer-{kind}", comment=comment, level=1, **options)


def _deep(params: Params, shape: Shape) -> Drawn:
    """Every product at its greatest."""
    steps, batch, inputs, hidden = shape
    changes: dict[str, Any] = {name: np.full_like(getattr(params, name), 0.5) for name in ("W", "R")}
    found = replace(params, **changes | {"x_symmetric": False, "h_symmetric": False})
    return found, np.full((steps, batch, inputs), 64, np.float32), np.full((batch, hidden), 512, np.float32)


def _tables(draw: Draw, zero_points: list[int], wide: bool) -> dict[str, Any]:
    fmt = INT16 if wide else INT8
    out: dict[str, Any] = {}
    for k, zp in zip(GATES, zero_points, strict=True):
        low, name = (-128, "tanh") if k == "g" else (0, "sigmoid")
        out[f"table_{k}"] = DirectTable(name, np.sort(ints(draw, low, 127, 256)), fmt, INT8, zp)
    return out


def mshift(draw: Draw, number: int, shape: Shape) -> Drawn:
    """Datapath M: number % 6 == 5 has 16-bit gate inputs, number % 5 == 4 sums beside int32 and far zero points."""
    steps, batch, inputs, hidden = shape
    wide, huge = number % 6 == 5, number % 5 == 4
    zp = dict(zip((f"zp_{k}" for k in "zrgxh"), draw.integers(-4, 4, 5).tolist(), strict=True))
    size = 120 if wide else int(one(draw, (2, 6, 40)))
    if wide:
        zp |= {"zp_z": 0, "zp_r": 0, "zp_g": 0}
    bias = 2**31 - 1 if huge else size
    terms = [MShift(1, 0), MShift(1, 0), MShift(3, 0)] if huge else HALVES
    if huge:
        zp |= {"zp_x": 90001, "zp_h": 40003}
    multipliers = {name: one(draw, terms) for name in MULTIPLIERS}
    if wide:
        multipliers |= dict.fromkeys(("m_z", "m_r", "m_g"), MShift(97, 2))
    multipliers |= {
        "m_rRh": one(draw, (MShift(1, 7), MShift(1, 2), MShift(3, 5))),
        "m_gh": one(draw, (MShift(1, 0), MShift(1, 1), MShift(3, 2), MShift(2**24 + 1, 25))),
        "m_one": one(draw, (MShift(1, 7), MShift(2**24 + 1, 31), MShift(3, 9), MShift(1, 6), MShift(1, 0))),
    }
    biases = [-bias, bias, *draw.integers(-bias, bias, 6).tolist()]
    params = MShiftParams(
        W=ints(draw, -size, size, inputs, 3 * hidden),
        R=ints(draw, -size, size, hidden, 3 * hidden),
        bx=draw.pick(biases, 3 * hidden),
        br=draw.pick(biases, 3 * hidden),
        **dict.fromkeys(SCALES, 1.0),  # type: ignore[arg-type]
        **multipliers,
        gate_bits=16 if wide else 8,
        **_tables(draw, [zp[f"zp_{k}"] for k in "zrg"], wide),
        **zp,
    )
    h0 = None if one(draw, (0, 1, 1)) == 0 else ints(draw, -9, 9, batch, hidden)
    return params, ints(draw, -8, 8, steps, batch, inputs), h0


HITS = np.array([127, -127, 0.5, -0.5, 63.5, 1.5, -2.5])


def _reals(draw: Draw, *shape: int) -> np.ndarray:
    """float64 of a shape: whole numbers of codes, halves and any numbers, the first one 127."""
    pool = np.concatenate([HITS, draw.integers(-127, 127, 9), draw.reals(1, 6, 6).astype(np.float64)])
    values = draw.pick(pool, int(np.prod(shape)))
    values[0] = 127
    return values.reshape(shape)


def _near_ties(draw: Draw, values: np.ndarray, scale: float) -> np.ndarray:
    """Half of the values moved beside k + 1/2 codes of a scale; the ends stay."""
    halves = ((np.round(values / scale) + 0.5) * scale).astype(np.float32)
    kept = (draw.integers(0, 1, values.size).reshape(values.shape) == 0) | (np.abs(values) == np.abs(values).max())
    return np.where(kept, values.astype(np.float32), np.clip(halves, values.min(), values.max())).astype(np.float32)


def _single(value: float) -> float:
    return float(np.float32(value))


def dynamic(draw: Draw, number: int, shape: Shape) -> Drawn:
    """Moving ranges whose scales are powers of two at first, so that products and quotients tie."""
    steps, batch, inputs, hidden = shape
    half = bool(one(draw, (0, 1)))
    w, r = (2.0 ** -int(one(draw, (6, 7, 9, 9, 18))) * (1 if half else 1.3) for _ in range(2))
    W, R = (_reals(draw, k, 3 * hidden) * u for k, u in ((inputs, w), (hidden, r)))
    scale = 2.0 ** -int(draw.integers(3, 19, 1)[0]) * (1 if half else 1.1)
    shift = 20 if batch > 3 else int(one(draw, (18, 13, 12, 8, 27, 30, 3, 5, 0, 1)))
    gates = [
        2.0 ** -int(draw.integers(3, 5, 1)[0])
        if half
        else _single(0.0131 * int(draw.integers(1, 98, 1)[0]) * 2.0 ** -int(draw.integers(0, 16, 1)[0]))
        for _ in GATES
    ]
    if number % 8 == 2:
        gates = [_single(w * scale * 2.0 ** (shift + 1))] * 3  # M of the gates is 1/2, a tie
    if number % 8 == 1:
        gates = [_single(w * scale * factor) for factor in (2.0**-4, 1.7 * 2.0**-24, 2.0**-26)]  # sums beyond every format
    many = batch > 3
    if many:  # products of more than 24 bits that round to 16
        gates = [_single(w * scale * one(draw, (0.31, 0.77, 1.3))) for _ in GATES]
    wide = bool(number % 2) if many else number % 16 in (1, 7, 12)
    zp = [0, 0, 0] if wide else draw.integers(-5, 5, 3).tolist()
    params = MShiftDynamicParams(
        W=_near_ties(draw, W, float(np.abs(W).max() / 127)),
        R=_near_ties(draw, R, float(np.abs(R).max() / 127)),
        bx=(_reals(draw, 3 * hidden) * w * one(draw, (1 / 64, 77.7, 2.0**20))).astype(np.float32),
        br=(_reals(draw, 3 * hidden) * w * one(draw, (1 / 64, 77.7, 2.0**20))).astype(np.float32),
        s_z=gates[0],
        s_r_gate=gates[1],
        s_g=gates[2],
        **_tables(draw, zp, wide),
        zp_z=zp[0],
        zp_r=zp[1],
        zp_g=zp[2],
        gate_bits=16 if wide else 8,
        x_symmetric=bool(one(draw, (0, 1))),
        h_symmetric=bool(one(draw, (0, 1))),
        shift=shift,
        shift_bias=int(one(draw, (24, 16, 30, 0, 1, 2))),
        reciprocal=bool(one(draw, (0, 1))),
    )
    tied = _single(2.5 * w * scale * 2.0**-params.shift_bias)  # a bias scale whose multiplier is a tie
    return params, _inputs(draw, number, scale, shape), _start(draw, number, scale, tied, (batch, hidden))


def _inputs(draw: Draw, number: int, scale: float, shape: Shape) -> np.ndarray:
    steps, batch, inputs, _ = shape
    x = np.array(_reals(draw, steps, batch, inputs) * scale)
    x.reshape(steps, -1)[:, 0] = 127 * scale
    if number % 2:
        x.reshape(steps, -1)[:, 0], x.reshape(steps, -1)[:, -1] = 128 * scale, -127 * scale
    x = _near_ties(draw, x, scale) if number % 4 < 2 else x.astype(np.float32)
    return -np.abs(x) - np.float32(scale) if number % 7 == 3 else np.abs(x) if one(draw, (0, 1, 2)) == 0 else x


def _start(draw: Draw, number: int, scale: float, tied: float, shape: tuple[int, int]) -> Any:
    """None, reals or a state to go on from, by number % 8."""
    beside = np.resize(np.array([128, -127, 0.5, 1.5, -0.5, -2.5, 60.5]), shape)
    codes = ints(draw, -120, 120, *shape)
    ends = (_single(-127 * scale), _single(127 * scale))
    return [
        None,
        None,
        (_reals(draw, *shape) / 64).astype(np.float32),
        draw.reals(-4, 0, shape[0] * shape[1]).reshape(shape),
        (codes.astype(np.float32) + np.float32(0.5)) * np.float32(1 / 127),
        (beside / 64).astype(np.float32),
        DynamicState(ints(draw, 20, 127, *shape), 2.0**-7, -20, 0.5, 0.75, 1, *ends, tied),
        DynamicState(ints(draw, -9, 9, *shape), 2.0**-20, 0, -(2.0**-11), 2.0**-12, 1, -1.0, 0.75, 0.0625),
    ][number % 8]
