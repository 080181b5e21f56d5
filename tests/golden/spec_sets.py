"""Small parameter sets for the tests of golden.spec, every field a literal that a test can replace."""

from __future__ import annotations

import numpy as np

from golden.spec.formats import INT8, INT32, UINT8
from golden.spec.layout import MULTIPLIERS, OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic

C, H = 2, 3


def direct(function="sigmoid", **changes):
    """A direct table of datapath M; the entries are a ramp, the tests here never look at σ."""
    entries = np.arange(256) // 2 if function == "sigmoid" else np.arange(256) - 128
    return DirectTable(**{"function": function, "entries": entries, "fmt_in": INT8, "fmt_out": INT8, **changes})


def linear(function="sigmoid", fmt_out=UINT8, **changes):
    """A piecewise linear table of two segments."""
    fields = {
        "function": function,
        "thresholds": [0, 127],
        "slopes": [3, 5],
        "shifts": [2, -1],
        "intercepts": [7, 9],
        "fmt_in": INT8,
        "fmt_out": fmt_out,
    }
    return PiecewiseLinear(**{**fields, **changes})


def quadratic(function="sigmoid", fmt_out=UINT8, **changes):
    """A piecewise quadratic table of one segment."""
    fields = {
        "function": function,
        "thresholds": [127],
        "origins": [0],
        "c2": [1],
        "p": [3],
        "c1": [2],
        "n": [4],
        "c0": [5],
        "fmt_in": INT8,
        "fmt_out": fmt_out,
    }
    return PiecewiseQuadratic(**{**fields, **changes})


def mshift_fields(**changes):
    """The fields of a static set of datapath M."""
    fields = {
        "W": np.arange(C * 3 * H).reshape(C, 3 * H) - 9,
        "R": np.arange(H * 3 * H).reshape(H, 3 * H) - 13,
        "bx": np.arange(3 * H) * 1000,
        "br": np.arange(3 * H) * -1000,
        **{name: 0.0078125 for name in ("s_x", "s_h", "s_w", "s_r", "s_bx", "s_br", "s_z", "s_r_gate", "s_g")},
        **{name: MShift(262144, 18) for name in MULTIPLIERS},
        "table_z": direct(),
        "table_r": direct(),
        "table_g": direct("tanh"),
    }
    return {**fields, **changes}


def mshift(**changes):
    """A static set of datapath M."""
    return MShiftParams(**mshift_fields(**changes))


def dynamic_fields(**changes):
    """The fields of a set with moving ranges."""
    fields = {
        "W": (np.arange(C * 3 * H, dtype=np.float32).reshape(C, 3 * H) - 9) / 8,
        "R": (np.arange(H * 3 * H, dtype=np.float32).reshape(H, 3 * H) - 13) / 16,
        "bx": np.arange(3 * H, dtype=np.float32) / 32,
        "br": np.arange(3 * H, dtype=np.float32) / -32,
        **{name: 0.03125 for name in ("s_z", "s_r_gate", "s_g")},
        "table_z": direct(),
        "table_r": direct(),
        "table_g": direct("tanh"),
    }
    return {**fields, **changes}


def dynamic(**changes):
    """A set with moving ranges."""
    return MShiftDynamicParams(**dynamic_fields(**changes))


def operators(**changes):
    """The eighteen operators, exponent 7 for tensors and 6 per channel; a key such as op.rRh is replaced through changes."""
    ops = {}
    for name in OPERATORS:
        if name in WEIGHT_OPERATORS:
            fmt = INT8 if name in ("weight.W", "weight.R") else INT32
            ops[name] = Operator(fmt, np.full(3 * H, 6))
        else:
            ops[name] = Operator(UINT8 if name in UNSIGNED_OPERATORS else INT8, 7, 0)
    return {**ops, **changes}


def pot_fields(ops=None, **changes):
    """The fields of a set of datapath P."""
    fields = {
        "W": np.arange(C * 3 * H).reshape(C, 3 * H) - 9,
        "R": np.arange(H * 3 * H).reshape(H, 3 * H) - 13,
        "bx": np.arange(3 * H) * 1000,
        "br": np.arange(3 * H) * -1000,
        "operators": operators(**(ops or {})),
        "act_z": linear(),
        "act_r": quadratic(),
        "act_g": direct("tanh", one=128.0),
    }
    return {**fields, **changes}


def pot(ops=None, **changes):
    """A set of datapath P with one table of each kind; ops replaces operators by key."""
    return PotParams(**pot_fields(ops, **changes))


