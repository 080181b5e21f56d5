"""Small cases of every kind, drawn from a seed and run through golden."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from golden.rescale import derive_mshifts
from golden.sequence import forward
from golden.spec.formats import INT8, INT16, INT32, IntFormat
from golden.spec.layout import OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MShiftDynamicParams, MShiftParams, Operator, Params, PotParams
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic
from vectors.case import Case, case_from_trace

H, C, T, N = 2, 3, 3, 2
CODES = np.arange(-128, 128)
SCALES: dict[str, float] = {"s_w": 2**-6, "s_r": 2**-6, "s_x": 2**-5, "s_h": 2**-6, "s_bx": 2**-11, "s_br": 2**-11}
PRE: dict[str, float] = {"s_z": 2**-5, "s_r_gate": 2**-5, "s_g": 2**-5}


def direct(function: str, fmt_in: IntFormat = INT8, zero_point_in: int = 0) -> DirectTable:
    """A table that rises as its function does; its entries are made up."""
    entries = np.clip(64 + CODES, 0, 127) if function == "sigmoid" else np.clip(CODES, -127, 127)
    return DirectTable(function, entries, fmt_in, INT8, zero_point_in, meta={"note": "made up", "segments": [1, 2]})


def codes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-100, 101, shape, dtype=np.int32)


def mshift(rng: np.random.Generator, gate_bits: int = 8) -> MShiftParams:
    fmt, zp = (INT8, 3) if gate_bits == 8 else (INT16, 0)
    arrays = {"W": codes(rng, C, 3 * H), "R": codes(rng, H, 3 * H), "bx": codes(rng, 3 * H), "br": codes(rng, 3 * H)}
    tables = {f"table_{k}": direct("tanh" if k == "g" else "sigmoid", fmt, zp) for k in "zrg"}
    order = ("s_w", "s_r", "s_x", "s_h", "s_bx", "s_br")
    multipliers = derive_mshifts(*(SCALES[s] for s in order), *PRE.values())
    zero_points: dict[str, Any] = {"zp_x": 5, "zp_h": -7, "zp_z": zp, "zp_r": zp, "zp_g": zp, "gate_bits": gate_bits}
    return MShiftParams(**arrays, **SCALES, **PRE, **multipliers, **tables, **zero_points)


def dynamic(rng: np.random.Generator) -> MShiftDynamicParams:
    def reals(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    tables = {f"table_{k}": direct("tanh" if k == "g" else "sigmoid") for k in "zrg"}
    return MShiftDynamicParams(reals(C, 3 * H), reals(H, 3 * H), reals(3 * H), reals(3 * H), **PRE, **tables)


def pot(rng: np.random.Generator) -> PotParams:
    operators = {}
    for name in OPERATORS:
        fmt = IntFormat(8, name not in UNSIGNED_OPERATORS)
        exponent: Any = 7 if name.startswith(("gate.", "input.h")) else 5
        if name in WEIGHT_OPERATORS:
            exponent = rng.integers(5, 8, 3 * H, dtype=np.int32)
        operators[name] = Operator(fmt, exponent, 0 if name in WEIGHT_OPERATORS else 2)
    operators["weight.br"] = replace(operators["weight.br"], fmt=INT32)
    u8 = IntFormat(8, False)
    act_z = PiecewiseLinear("sigmoid", [-20, 30, 127], [0, 1, 0], [0, 0, 0], [2, 64, 130], INT8, u8, 2, 2)
    act_r = PiecewiseQuadratic("sigmoid", [0, 127], [0, 0], [0, 1], [0, 9], [1, 1], [0, 0], [64, 64], INT8, u8, 2, 2)
    act_g = replace(direct("tanh", INT8, 2), zero_point_out=2, one=128)
    arrays = codes(rng, C, 3 * H), codes(rng, H, 3 * H), codes(rng, 3 * H), codes(rng, 3 * H) * 1000
    return PotParams(*arrays, operators, act_z, act_r, act_g, meta={"made": ["by", "hand", 1, 0.5, None, True]})


def run(id: str, group: str, params: Params, x: np.ndarray, h0: Any = None, reverse: bool = False, **options: Any) -> Case:
    trace = forward(params, x, h0, reverse=reverse, **options)
    return case_from_trace(id, params, x, h0, trace, group=group, comment=f"{id} of {group}", flags=("Small",), **options)


@cache
def cases() -> tuple[Case, ...]:
    """Nine cases: both static datapaths and the dynamic one, with every option, an empty run and a continued one."""
    rng = np.random.default_rng(7)
    m, m16, d, p = mshift(rng), mshift(rng, 16), dynamic(rng), pot(rng)
    x, h0, mask = codes(rng, T, N, C), codes(rng, N, H), rng.integers(0, 2, (T, N, H))
    real = rng.normal(size=(T, N, C)).astype(np.float32)
    first = forward(d, real)
    return (
        run("mshift-plain", "mshift", m, x),
        run("mshift-16-reverse", "mshift", m16, x, h0, reverse=True),
        run("mshift-training", "mshift", m, x, h0, mask=mask, zoneout=0.25, training=True),
        run("pot-zoneout", "pot", p, x, h0, zoneout=0.1),
        run("pot-training", "pot", p, x, training=True),
        run("pot-empty", "pot", p, x[:0], h0),
        run("dynamic-real-h0", "dynamic", d, real, np.full((N, H), 0.5, np.float32)),
        run("dynamic-continued", "dynamic", d, real, first.state),
        run("dynamic-empty", "dynamic", d, real[:0]),
    )


FLAGS = {"Small": "Few units, few steps."}
