"""Runs of one step that read every entry of every gate's direct table, so that each entry decides its output.

Row n has the input n - 128. Unit 0 lets it through the update gate, unit 1 through the reset gate and the candidate. The table
of the reset gate reverses the candidate's inputs in blocks of sixteen: a wrong entry reads another candidate.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.formats import INT8, INT16, INT32, UINT8
from golden.spec.layout import MULTIPLIERS, SCALAR_OPERATORS, UNSIGNED_OPERATORS
from golden.spec.params import MShift, MShiftParams, Operator, Params, PotParams
from golden.spec.tables import DirectTable
from vectors.case import Case, case_from_trace
from vectors.draw import Draw
from vectors.plan.planned import P_ONLY, STATIC_M, Plan, Planned

COMMENT = "Every entry of the tables of all gates; each decides an output."
BIAS = -16


def _reversing(wide: bool) -> np.ndarray:
    """A quarter of an entry, 1 to 31, is added to the candidate's input, less 16; one code more or less changes the quarter."""
    codes = 4 * (31 - 2 * (np.arange(256) % 16)) + (0 if wide else 1)
    codes[15 if wide else 240] += 3 if wide else -3
    return codes


def cases() -> Plan:
    """corner-table-mshift-8, corner-table-mshift-16, corner-table-pot."""
    for id, bits, datapaths in (("mshift-8", 8, STATIC_M), ("mshift-16", 16, STATIC_M), ("pot", 8, P_ONLY)):
        whole = f"corner-table-{id}"
        yield Planned(whole, 1, datapaths, partial(_case, whole, bits, id == "pot"))


def _case(id: str, bits: int, pot: bool, draw: Draw) -> Case:
    params = _pot() if pot else _mshift(bits)
    x = np.arange(-128, 128).reshape(1, 256, 1).astype(np.int32)
    h0 = np.repeat([[0 if pot else 127, 0]], 256, axis=0).astype(np.int32)
    trace = forward(params, x, h0)
    return case_from_trace(id, params, x, h0, trace, group="corner-table", comment=COMMENT)


def _candidates() -> np.ndarray:
    """-128 for the input 0, and every other code once, far from its neighbours."""
    return (np.arange(256) * 37 + 128) % 256 - 128


def _mshift(bits: int) -> Params:
    """z*(h - zp) + (127 - z)*g over 127: unit 0 has g = -128, unit 1 has z = 1."""
    fmt, step, zp_x = (INT8, 1, 0) if bits == 8 else (INT16, 257, 150)  # the biases take the zero point back
    update = (np.arange(256) * 45 + 1 - 128 * 45) % 128
    tables: dict[str, Any] = {
        "table_z": DirectTable("sigmoid", update, fmt, INT8),
        "table_r": DirectTable("sigmoid", _reversing(bits == 16), fmt, INT8),
        "table_g": DirectTable("tanh", _candidates(), fmt, INT8),
    }
    one = MShift(1, 0)
    m: dict[str, Any] = dict.fromkeys(MULTIPLIERS, one)
    m |= {"m_z": MShift(step, 0), "m_r": MShift(step, 0), "m_g": MShift(step, 2), "m_one": MShift(2064, 18)}
    scales: dict[str, Any] = dict.fromkeys(("s_w", "s_r", "s_x", "s_h", "s_bx", "s_br", "s_z", "s_r_gate", "s_g"), 2.0**-7)
    return MShiftParams(
        W=np.array([[1, 0, 0, 1, 0, 4]]),
        R=np.zeros((2, 6), np.int32),
        bx=np.array([zp_x, 0, 0, zp_x, 0, 4 * (zp_x + BIAS)]),
        br=np.array([0, 0, 0, 0, 0, 1]),
        **scales,
        **m,
        **tables,
        zp_x=zp_x,
        gate_bits=bits,
    )


def _pot() -> Params:
    """z*h + (128 - z)*g over 128: unit 0 has h = 0 and g = -128, unit 1 has z = 0."""
    fmt = {name: UINT8 if name in UNSIGNED_OPERATORS else INT8 for name in SCALAR_OPERATORS}
    e = dict.fromkeys(SCALAR_OPERATORS, 7) | {"gate.r_out": 0, "op.Rh_add_br": 9, "op.rRh": 9}
    operators: dict[str, Operator] = {name: Operator(fmt[name], e[name]) for name in SCALAR_OPERATORS}
    for name in ("weight.W", "weight.R"):
        operators[name] = Operator(INT8, np.zeros(6, np.int32))
    for name, exponents in (("weight.bx", [7] * 6), ("weight.br", [7, 7, 7, 7, 9, 9])):
        operators[name] = Operator(INT32, np.array(exponents, np.int32))
    update = (np.arange(256) * 45 - 128 * 45) % 256
    tables = {"act_z": ("sigmoid", update), "act_r": ("sigmoid", _reversing(False)), "act_g": ("tanh", _candidates())}
    acts: dict[str, Any] = {
        name: DirectTable(function, entries, INT8, INT8 if name == "act_g" else UINT8)
        for name, (function, entries) in tables.items()
    }
    return PotParams(
        np.array([[1, 0, 0, 1, 0, 1]]),
        np.zeros((2, 6), np.int32),
        np.array([0, 0, 0, 0, 0, BIAS]),
        np.array([0, 0, 0, 0, 0, 1]),
        operators,
        **acts,
        meta={},
    )

