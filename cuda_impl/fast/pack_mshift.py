"""The numbers, constants and tables of datapath M for the host build.  [SPEC G-M]"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast.host_cell_mshift import (
    AT_PRE_MAX,
    AT_PRE_MIN,
    AT_ZONEOUT,
    AT_ZP_G,
    AT_ZP_H,
    AT_ZP_R,
    AT_ZP_Z,
    MSHIFTS,
    NUMBERS,
)
from cuda_impl.fast.pack import units_by_block
from golden.spec.formats import INT32
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams


def fixed_numbers(p: MShiftParams | MShiftDynamicParams) -> np.ndarray:
    """int64 [NUMBERS]: what a static and a dynamic set know before the first step; no zoneout."""
    numbers = np.zeros(NUMBERS, np.int64)
    numbers[[AT_ZP_Z, AT_ZP_R, AT_ZP_G]] = p.zp_z, p.zp_r, p.zp_g
    numbers[[AT_PRE_MIN, AT_PRE_MAX]] = p.fmt_pre.qmin, p.fmt_pre.qmax
    numbers[AT_ZONEOUT] = -1
    return numbers


def static_numbers(p: MShiftParams) -> np.ndarray:
    """int64 [NUMBERS] of a static set."""
    numbers = fixed_numbers(p)
    for i, name in enumerate(MSHIFTS):
        m = getattr(p, name)
        numbers[3 * i : 3 * i + 3] = m.multiplier, half_of(m.shift), m.shift
    numbers[AT_ZP_H] = p.zp_h
    return numbers


def half_of(shift: int) -> int:
    """2^(s - 1), what ties_up adds; 0 for s = 0.  [SPEC R-1]"""
    return 1 << (shift - 1) if shift > 0 else 0


def bias_constants(p: MShiftParams) -> np.ndarray:
    """int64 [blocks, 4, 16]: the aligned biases of z and of r, br_g, bx_g.  [SPEC GM-1, GM-2]"""
    hidden = p.hidden_size

    def aligned(bias: np.ndarray, gate: int, m: MShift) -> np.ndarray:
        exact = bias[gate * hidden : (gate + 1) * hidden].astype(np.int64) * m.multiplier + half_of(m.shift)
        return np.clip(exact >> m.shift, INT32.qmin, INT32.qmax)

    return units_by_block(
        np.stack(
            [
                aligned(p.bx, 0, p.m_bx) + aligned(p.br, 0, p.m_br_z),
                aligned(p.bx, 1, p.m_bx) + aligned(p.br, 1, p.m_br_r),
                aligned(p.br, 2, p.m_br_g),
                aligned(p.bx, 2, p.m_bx),
            ]
        )
    )


def byte_tables(p: Any) -> np.ndarray:
    """uint8 [3, 256] of z, r and g + 128.  [SPEC A-1]"""
    tables = np.stack([p.table_z.entries, p.table_r.entries, p.table_g.entries + 128])
    return np.ascontiguousarray(tables, np.uint8)
