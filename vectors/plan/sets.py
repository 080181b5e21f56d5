"""Parameter sets drawn for the cases of cells, sequences, chains and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.rescale import derive_mshifts
from golden.spec.formats import INT8, IntFormat
from golden.spec.layout import GATES, OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.rounding import Rounding
from golden.tables import gate_table, pot_table
from vectors.draw import Draw
from vectors.plan.planned import region_zero_point

SCALES = (0.0123, 0.0155, 0.031, 0.0078, 0.00042, 0.00051)
BIASES = {"plain": 12, "loud": 31}


def f32(value: float) -> float:
    """The binary32 number nearest to value."""
    return float(np.float32(value))


def mshift(
    draw: Draw,
    inputs: int,
    hidden: int,
    *,
    gate_bits: int = 8,
    region: str = "inside",
    kind: str = "plain",
    presets: str = "default",
) -> MShiftParams:
    """A static set of datapath M.

    region   of the zero points of x, h and the gate inputs
    kind     "plain", or "loud" with biases and multipliers that saturate every stage
    presets  "default" shifts (18, 24) or those of the "document" (15, 15)
    """
    scales = [f32(s) for s in SCALES]
    gates = [f32(s / (257 if gate_bits == 16 else 1)) for s in (1 / 16, 1 / 18, 1 / 32)]
    zp = 0 if gate_bits == 16 else region_zero_point(INT8, region)
    shifts = {"shift": 15, "shift_bias": 15} if presets == "document" else {}
    multipliers: dict[str, Any] = {**derive_mshifts(*scales, *gates, **shifts)}  # type: ignore[arg-type]
    if kind == "loud":
        multipliers |= {"m_bx": MShift(2**31 - 1, 24), "m_br_z": MShift(2**31 - 1, 20), "m_br_g": MShift(2**31 - 1, 22)}
        multipliers |= {"m_Rh_z": MShift(2**31 - 1, 9), "m_rRh": MShift(2**24 - 1, 9)}
    bits = BIASES[kind]
    known: dict[str, Any] = dict(zip(("s_w", "s_r", "s_x", "s_h", "s_bx", "s_br"), scales, strict=True))
    tables: dict[str, Any] = {
        f"table_{k}": gate_table("tanh" if k == "g" else "sigmoid", s, zp, gate_bits) for k, s in zip(GATES, gates, strict=True)
    }
    return MShiftParams(
        W=draw.mixed(8, True, inputs * 3 * hidden).reshape(inputs, 3 * hidden),
        R=draw.mixed(8, True, hidden * 3 * hidden).reshape(hidden, 3 * hidden),
        bx=draw.mixed(bits + 1, True, 3 * hidden),
        br=draw.mixed(bits + 1, True, 3 * hidden),
        **known,
        s_z=gates[0],
        s_r_gate=gates[1],
        s_g=gates[2],
        **multipliers,
        **tables,
        zp_x=region_zero_point(INT8, region),
        zp_h=region_zero_point(INT8, region),
        zp_z=zp,
        zp_r=zp,
        zp_g=zp,
        gate_bits=gate_bits,
    )


def dynamic(draw: Draw, inputs: int, hidden: int, **options: Any) -> MShiftDynamicParams:
    """A set of datapath M with moving ranges; options are fields of MShiftDynamicParams."""
    gate_bits = options.get("gate_bits", 8)
    gates = [f32(s / (257 if gate_bits == 16 else 1)) for s in (1 / 16, 1 / 18, 1 / 32)]
    tables: dict[str, Any] = {
        f"table_{k}": gate_table("tanh" if k == "g" else "sigmoid", s, 0, gate_bits) for k, s in zip(GATES, gates, strict=True)
    }

    def reals(*shape: int) -> np.ndarray:
        return draw.reals(-6, -1, int(np.prod(shape))).reshape(shape)

    return MShiftDynamicParams(
        reals(inputs, 3 * hidden),
        reals(hidden, 3 * hidden),
        reals(3 * hidden),
        reals(3 * hidden),
        s_z=gates[0],
        s_r_gate=gates[1],
        s_g=gates[2],
        **tables,
        **options,
    )


def pot(
    draw: Draw,
    inputs: int,
    hidden: int,
    *,
    bits: int = 8,
    region: str = "inside",
    even: bool = False,
    activation: str = "piecewise_linear",
    kind: str = "plain",
) -> PotParams:
    """A set of datapath P, all operators of one width.

    kind  "plain"; "loud" where the products and sums saturate; "left" with left shifts, and small right ones
    """
    exponents = {
        "input.x": bits - 4,
        "input.h": bits - 2,
        "matmul.Wx": bits - 5,
        "matmul.Rh": bits - 5,
        "gate.z_pre": bits - 4,
        "gate.r_pre": bits - 4,
        "gate.g_pre": bits - 3,
        "gate.z_out": bits - 1,
        "gate.r_out": bits - 1,
        "gate.g_out": bits - 1,
        "op.Rh_add_br": bits - 5,
        "op.rRh": bits - 5,
        "op.old_contrib": bits - 2,
        "op.new_contrib": bits - 2,
    }
    if kind == "loud":
        exponents |= {
            "matmul.Wx": bits - 2,
            "matmul.Rh": bits - 2,
            "op.Rh_add_br": bits - 1,
            "op.rRh": bits,
            "op.old_contrib": bits + 1,
        }
        exponents |= {"op.new_contrib": bits + 1, "input.h": bits}
    if kind == "left":
        exponents |= {
            "matmul.Wx": 2 * bits - 6,
            "matmul.Rh": 2 * bits - 5,
            "op.Rh_add_br": bits - 6,
            "op.old_contrib": bits - 4,
        }
    operators: dict[str, Operator] = {}
    for name in OPERATORS:
        if name in WEIGHT_OPERATORS:
            bias = name in ("weight.bx", "weight.br")
            fmt = IntFormat(32 if bias else bits, True)
            operators[name] = Operator(fmt, draw.integers(bits - 2, bits + (6 if bias else 2), 3 * hidden).astype(np.int32), 0)
        else:
            fmt = IntFormat(bits, name not in UNSIGNED_OPERATORS)
            operators[name] = Operator(fmt, exponents[name], region_zero_point(fmt, region))
    tables: dict[str, Any] = {
        f"act_{k}": pot_table(
            "tanh" if k == "g" else "sigmoid", activation, operators[f"gate.{k}_pre"], operators[f"gate.{k}_out"]
        )
        for k in GATES
    }
    wide = bits + (12 if kind == "loud" else 4)
    return PotParams(
        draw.mixed(bits, True, inputs * 3 * hidden).reshape(inputs, 3 * hidden),
        draw.mixed(bits, True, hidden * 3 * hidden).reshape(hidden, 3 * hidden),
        draw.spread(wide, True, 3 * hidden),
        draw.spread(wide, True, 3 * hidden),
        operators,
        rounding=Rounding.TIES_EVEN if even else Rounding.TIES_AWAY,
        **tables,
    )
