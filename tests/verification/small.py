"""Small parameter sets that several tests share; C = 2, H = 2."""

from __future__ import annotations

import numpy as np

from golden.spec.formats import INT8, UINT8
from golden.spec.layout import MULTIPLIERS, OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.tables import DirectTable

W = np.array([[40, -7, 90, 3, -60, 25], [11, 64, -32, 100, 5, -81]])
R = np.array([[-20, 33, 71, -5, 46, 9], [8, -90, 2, 57, -13, 38]])
BX = np.array([100, -200, 300, -400, 500, -600])
BR = np.array([-10, 20, -30, 40, -50, 60])
SIGMOID = DirectTable("sigmoid", np.arange(256) // 2, INT8, INT8)
TANH = DirectTable("tanh", np.arange(256) - 128, INT8, INT8)
TABLES = {"table_z": SIGMOID, "table_r": SIGMOID, "table_g": TANH}
SCALES = {name: 1.0 for name in ("s_x", "s_h", "s_w", "s_r", "s_bx", "s_br", "s_z", "s_r_gate", "s_g")}
SHIFTS = {
    **{name: MShift(1, 0) for name in MULTIPLIERS},
    **{name: MShift(3, 5) for name in ("m_z", "m_r", "m_g")},
    "m_rRh": MShift(1, 7),
    "m_one": MShift(1, 7),
}


def mshift_set(**changes) -> MShiftParams:
    return MShiftParams(**({"W": W, "R": R, "bx": BX, "br": BR, "zp_x": 1, **SCALES, **SHIFTS, **TABLES} | changes))


def dynamic_set(**changes) -> MShiftDynamicParams:
    weights = {
        "W": (W / 128).astype(np.float32),
        "R": (R / 128).astype(np.float32),
        "bx": (BX / 1000).astype(np.float32),
        "br": (BR / 100).astype(np.float32),
    }
    return MShiftDynamicParams(**({**weights, "s_z": 1 / 16, "s_r_gate": 1 / 16, "s_g": 1 / 32, **TABLES} | changes))


def pot_set(**changes) -> PotParams:
    exponents = {"input.x": 4, "matmul.Wx": 4, "matmul.Rh": 4, "gate.z_out": 8, "gate.r_out": 8, "input.h": 7, "gate.g_out": 7}
    operators = {
        name: Operator(UINT8 if name in UNSIGNED_OPERATORS else INT8, np.full(6, 7))
        if name in WEIGHT_OPERATORS
        else Operator(UINT8 if name in UNSIGNED_OPERATORS else INT8, exponents.get(name, 5))
        for name in OPERATORS
    }
    tables = {
        "act_z": DirectTable("sigmoid", np.arange(256), INT8, UINT8, one=256.0),
        "act_r": DirectTable("sigmoid", np.arange(256), INT8, UINT8, one=256.0),
        "act_g": DirectTable("tanh", np.arange(256) - 128, INT8, INT8, one=128.0),
    }
    return PotParams(**({"W": W, "R": R, "bx": BX // 8, "br": BR, "operators": operators, **tables} | changes))
