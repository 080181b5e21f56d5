"""Small problems full of ties, ends of formats and other places where deviations show; NumPy alone, by seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from golden.spec.formats import INT8, INT16, UINT8, IntFormat
from golden.spec.layout import MULTIPLIERS, OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic
from golden.spec.trace import DynamicState
from verification.problem import Problem

TIES = [MShift(1, 1), MShift(3, 1), MShift(1, 2), MShift(3, 3), MShift(1, 0), MShift(2**24 + 1, 25), MShift(5, 2), MShift(0, 4)]


def _ints(rng, low, high, *shape):
    return rng.integers(low, high + 1, shape).astype(np.int32)


def _tables(rng, zero_points, fmt=INT8):
    sigma = [np.sort(_ints(rng, 0, 127, 256)) for _ in "zr"]
    tanh = np.sort(_ints(rng, -128, 127, 256))
    return {
        "table_z": DirectTable("sigmoid", sigma[0], fmt, INT8, zero_points[0]),
        "table_r": DirectTable("sigmoid", sigma[1], fmt, INT8, zero_points[1]),
        "table_g": DirectTable("tanh", tanh, fmt, INT8, zero_points[2]),
    }


def _options(rng, steps, batch, hidden):
    kind = rng.integers(0, 4)
    return {
        "mask": _ints(rng, 0, 1, steps, batch, hidden) if kind == 1 else None,
        "training": bool(kind == 1),
        "zoneout": float(rng.choice([0.5, 0.25, 0.7, 3 * 2.0**-16])) if kind == 2 else 0.0,
        "reverse": bool(rng.integers(0, 2)),
    }


def mshift(seed: int, steps: int = 4, batch: int = 3, hidden: int = 3, inputs: int = 3) -> Problem:
    """Datapath M with multipliers that make ties."""
    rng = np.random.default_rng(seed)
    zp = {f"zp_{k}": int(rng.integers(-4, 5)) for k in "zrgxh"}
    size = int(rng.choice([2, 6, 40]))
    wide = seed % 6 == 5
    if wide:  # a 16-bit gate input, reached by large products
        zp |= {"zp_z": 0, "zp_r": 0, "zp_g": 0}
        size = 120
    huge = seed % 5 == 4
    bias = 2**31 - 1 if huge else size
    terms = [MShift(1, 0), MShift(1, 0), MShift(3, 0)] if huge else TIES
    if huge:
        zp |= {"zp_x": 90001, "zp_h": 40003}
    params = MShiftParams(
        W=_ints(rng, -size, size, inputs, 3 * hidden),
        R=_ints(rng, -size, size, hidden, 3 * hidden),
        bx=rng.choice([-bias, bias, *rng.integers(-bias, bias + 1, 6)], 3 * hidden),
        br=rng.choice([-bias, bias, *rng.integers(-bias, bias + 1, 6)], 3 * hidden),
        **{name: 1.0 for name in ("s_x", "s_h", "s_w", "s_r", "s_bx", "s_br", "s_z", "s_r_gate", "s_g")},
        **{name: terms[rng.integers(len(terms))] for name in MULTIPLIERS if name not in ("m_one", "m_rRh", "m_gh")},
        m_rRh=[MShift(1, 7), MShift(1, 2), MShift(3, 5)][rng.integers(3)],
        m_gh=[MShift(1, 0), MShift(1, 1), MShift(3, 2), MShift(2**24 + 1, 25)][rng.integers(4)],
        m_one=[MShift(1, 7), MShift(2**24 + 1, 31), MShift(3, 9), MShift(1, 6)][rng.integers(4)],
        gate_bits=16 if wide else 8,
        **_tables(rng, (zp["zp_z"], zp["zp_r"], zp["zp_g"]), INT16 if wide else INT8),
        **zp,
    )
    x = _ints(rng, -8, 8, steps, batch, inputs)
    h0 = None if rng.integers(0, 3) == 0 else _ints(rng, -9, 9, batch, hidden)
    if wide:
        params = replace(params, **{f"m_{k}": MShift(97, 2) for k in "zrg"})
    return Problem(params, x, h0, **_options(rng, steps, batch, hidden))


def dynamic(seed: int, steps: int = 4, batch: int = 3, hidden: int = 3, inputs: int = 3) -> Problem:
    """Moving ranges whose scales are powers of two at first, so that products and quotients tie."""
    rng = np.random.default_rng(seed)
    hits = np.array([127, -127, 0.5, -0.5, 63.5, 1.5, -2.5])

    def reals(*shape):
        values = rng.choice(np.concatenate([hits, rng.integers(-127, 128, 9), rng.standard_normal(6) * 40]), shape)
        values.reshape(-1)[rng.integers(values.size)] = 127
        return values

    def near_ties(values, scale):
        """Half of the values moved beside k + 1/2 codes of a scale."""
        halves = ((np.round(values / scale) + 0.5) * scale).astype(np.float32)
        kept = (rng.integers(0, 2, values.shape) == 0) | (np.abs(values) == np.abs(values).max())
        return np.where(kept, values.astype(np.float32), np.clip(halves, values.min(), values.max())).astype(np.float32)

    half = bool(rng.integers(0, 2))
    w, r = (2.0 ** -int(rng.choice([6, 7, 9, 9, 18])) * (1 if half else 1.3) for _ in range(2))
    W, R = ((reals(k, 3 * hidden) * u).astype(np.float32) for k, u in ((inputs, w), (hidden, r)))
    scale = 2.0 ** -int(rng.integers(3, 20)) * (1 if half else 1.1)
    shift = int(rng.choice([18, 13, 12, 8, 27, 30, 3, 5, 0, 1]))
    gates = [
        2.0 ** -int(rng.integers(3, 6))
        if half
        else float(np.float32(0.0131 * rng.integers(1, 99) * 2.0 ** -int(rng.integers(0, 17))))
        for _ in "zrg"
    ]
    if seed % 8 == 2:
        gates = [float(np.float32(w * scale * 2.0 ** (shift + 1)))] * 3  # M of the gates is a tie, 1/2
    params = MShiftDynamicParams(
        W=near_ties(W, float(np.abs(W).max() / np.float32(127))),
        R=near_ties(R, float(np.abs(R).max() / np.float32(127))),
        bx=(reals(3 * hidden) * w * float(rng.choice([1 / 64, 77.7]))).astype(np.float32),
        br=(reals(3 * hidden) * w * float(rng.choice([1 / 64, 77.7]))).astype(np.float32),
        s_z=gates[0],
        s_r_gate=gates[1],
        s_g=gates[2],
        **_tables(rng, (0, 0, 0)),
        x_symmetric=bool(rng.integers(0, 2)),
        h_symmetric=bool(rng.integers(0, 2)),
        shift=shift,
        shift_bias=int(rng.choice([24, 16, 30, 0, 1, 2])),
        reciprocal=bool(rng.integers(0, 2)),
    )
    x = reals(steps, batch, inputs) * scale
    x.reshape(steps, -1)[:, 0] = 127 * scale
    if seed % 2:
        x.reshape(steps, -1)[:, 0], x.reshape(steps, -1)[:, -1] = 128 * scale, -127 * scale
    x = near_ties(x, scale) if seed % 4 < 2 else x.astype(np.float32)
    if rng.integers(0, 3) == 0:
        x = np.abs(x) + np.float32(scale)
    beside = np.array([128, -127, 0.5, 1.5, -0.5, -2.5, 60.5])
    beside = np.resize(beside, (batch, hidden))
    tied = 2.5 * w * scale * 2.0**-params.shift_bias  # a bias scale whose multiplier is a tie
    kind = seed % 8
    h0 = [
        None,
        None,
        (reals(batch, hidden) / 64).astype(np.float32),
        (rng.standard_normal((batch, hidden)) * 0.3).astype(np.float32),
        ((_ints(rng, -120, 120, batch, hidden) + np.float32(0.5)) * np.float32(1 / 127)).astype(np.float32),
        (beside / 64).astype(np.float32),
        DynamicState(
            _ints(rng, 20, 127, batch, hidden),
            2.0**-7,
            -20,
            0.5,
            0.75,
            1,
            float(np.float32(-127 * scale)),
            float(np.float32(127 * scale)),
            float(np.float32(tied)),
        ),
        DynamicState(_ints(rng, -9, 9, batch, hidden), 2.0**-20, 0, -(2.0**-11), 2.0**-12, 1, -1.0, 0.75, 0.0625),
        DynamicState(_ints(rng, -128, 127, batch, hidden), 0.0078125, 3, -1.0, 1.0, 2, -1.0, 0.75, 0.0625),
    ][kind]
    return Problem(params, x, h0, **_options(rng, steps, batch, hidden))


def _operator(rng, name, channels):
    fmt = UINT8 if name in UNSIGNED_OPERATORS else INT8
    if name in WEIGHT_OPERATORS:
        return Operator(IntFormat(8, True), rng.integers(3, 7, channels).astype(np.int32))
    low, high = (6, 8) if name.endswith("_out") else (2, 6)
    if name in ("op.rRh", "op.old_contrib", "op.new_contrib"):
        high = 14
    return Operator(fmt, int(rng.integers(low, high + 1)), int(rng.integers(-3, 4)))


def _activation(rng, kind, function, pre, out):
    ends = (function, pre.fmt, out.fmt, pre.zero_point, out.zero_point)
    if kind == 0:
        entries = np.sort(_ints(rng, out.fmt.qmin, out.fmt.qmax, 256))
        return DirectTable(function, entries, *ends[1:], one=2.0**out.exponent)
    count = 4
    thresholds = np.sort(_ints(rng, -40, 40, count))
    if kind == 1:
        parts = (_ints(rng, 1, 7, count), _ints(rng, 1, 2, count), _ints(rng, -5, 40, count))
        return PiecewiseLinear(function, thresholds, *parts, *ends[1:])
    parts = (_ints(rng, -5, 5, count), _ints(rng, -3, 3, count), _ints(rng, 1, 2, count), _ints(rng, -4, 4, count))
    return PiecewiseQuadratic(function, thresholds, *parts, _ints(rng, 1, 3, count), _ints(rng, 0, 60, count), *ends[1:])


def pot(seed: int, steps: int = 4, batch: int = 3, hidden: int = 3, inputs: int = 3) -> Problem:
    """Datapath P with shifts of a few bits, so that ties are common."""
    rng = np.random.default_rng(seed)
    operators = {name: _operator(rng, name, 3 * hidden) for name in OPERATORS}
    kind = seed % 3
    params = PotParams(
        W=_ints(rng, -30, 30, inputs, 3 * hidden),
        R=_ints(rng, -30, 30, hidden, 3 * hidden),
        bx=_ints(rng, -60, 60, 3 * hidden),
        br=_ints(rng, -60, 60, 3 * hidden),
        operators=operators,
        rounding=Rounding.TIES_AWAY if rng.integers(0, 2) else Rounding.TIES_EVEN,
        **{
            f"act_{k}": _activation(
                rng, kind, "tanh" if k == "g" else "sigmoid", operators[f"gate.{k}_pre"], operators[f"gate.{k}_out"]
            )
            for k in "zrg"
        },
    )
    x = _ints(rng, -50, 50, steps, batch, inputs)
    h0 = None if rng.integers(0, 3) == 0 else _ints(rng, -60, 60, batch, hidden)
    return Problem(params, x, h0, **_options(rng, steps, batch, hidden))


MAKERS = {"mshift": mshift, "mshift-dynamic": dynamic, "pot": pot}
