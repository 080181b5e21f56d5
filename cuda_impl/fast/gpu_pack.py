"""Weights, constants and tables as the fast GPU kernels read them.  [SPEC L-1, G-M, G-P]"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from cuda_impl.elementwise import map_step
from cuda_impl.fast.gpu_layout import COLUMNS, MSHIFT_STEPS, POT_UNIT, SHIFTED, STILL_A, STILL_SUM, TERMS, STILL_Wx
from cuda_impl.fast.pack import Packed
from cuda_impl.fast.pack_pot import KEYS, biases, move_shifts, one_of, pot_reach, product_shifts
from cuda_impl.rescale import align
from golden.spec.formats import IntFormat
from golden.spec.params import MShiftParams, PotParams
from golden.spec.rounding import Rounding

NARROW_REACH, WIDE_REACH = 2**30, 2**62


def fragments(weights: np.ndarray, blocks: int, tiles: int, splits: int, chunks: int, grouped: bool = False) -> np.ndarray:
    """R [K, 3H], as int8 fragments of the tensor core's left operand: [blocks, warps, 6 * chunks, 32 lanes, 16 bytes].

    A warp (split, tile) of block b holds 16 units from 16 * (b * tiles + tile); fragment 6p + 2 * gate + half the terms
    64 * (split * chunks + p) + 16 * (lane % 4) + 8 * half ... + 7 of units lane / 4 and 8 + lane / 4; where four warps
    multiply together (grouped) the terms 64 * (split * chunks + p) + 32 * half + 4 * (lane % 4) ... + 3 and sixteen on.
    """
    length, hidden = weights.shape[0], weights.shape[1] // 3
    width, padded = 16 * tiles * blocks, 64 * splits * chunks
    full = np.zeros((3, width, padded), np.int8)
    full[:, :hidden, :length] = weights.T.reshape(3, hidden, length)
    # gate, block, tile, high unit, unit, split, chunk, quarter, half, fours, byte
    cut = full.reshape(3, blocks, tiles, 2, 8, splits, chunks, 4, 2, 2, 4)
    if grouped:  # half, fours and quarter in the order of the terms
        cut = full.reshape(3, blocks, tiles, 2, 8, splits, chunks, 2, 2, 4, 4).transpose(0, 1, 2, 3, 4, 5, 6, 9, 7, 8, 10)
    # block, split, tile, chunk, gate, half | unit, quarter | fours, high unit, byte
    return np.ascontiguousarray(cut.transpose(1, 5, 2, 6, 0, 8, 4, 7, 9, 3, 10)).reshape(
        blocks, splits * tiles, 6 * chunks, 32, 16
    )


def columns_by_block(rows: np.ndarray, units: int) -> np.ndarray:
    """[3 * width, ...] in the order gate, unit as block, gate, unit, for blocks of so many units; as they are for 0."""
    if not units:
        return rows
    cut = rows.reshape(3, -1, units, *rows.shape[1:])
    return np.ascontiguousarray(cut.swapaxes(0, 1)).reshape(rows.shape)


def input_fragments(weights: np.ndarray, width: int, units: int = 0) -> np.ndarray:
    """W [C, 3H] as int8 fragments [tiles of 16 columns / 2, pieces of 64 terms, 4, 32 lanes, 16 bytes].

    Columns are gate * width + unit, or as columns_by_block has them for `units`, padded to whole blocks of 128; a pair has
    its fragments tile by tile, half by half.
    """
    length, hidden = weights.shape[0], weights.shape[1] // 3
    padded = -(-length // TERMS) * TERMS
    columns = -(-3 * width // COLUMNS) * COLUMNS
    full = np.zeros((columns, padded), np.int8)
    for gate in range(3):
        full[gate * width : gate * width + hidden, :length] = weights[:, gate * hidden : (gate + 1) * hidden].T
    full[: 3 * width] = columns_by_block(full[: 3 * width], units)
    # pair, tile, high, column, piece, quarter, half, fours, byte
    cut = full.reshape(columns // 32, 2, 2, 8, padded // TERMS, 4, 2, 2, 4)
    # pair, piece | tile, half | column, quarter | fours, high, byte
    return np.ascontiguousarray(cut.transpose(0, 4, 1, 6, 3, 5, 7, 2, 8)).reshape(columns // 32, padded // TERMS, 4, 32, 16)


def product_rows(weights: np.ndarray, width: int, terms: int, units: int = 0) -> np.ndarray:
    """Weights [K, 3H] as rows for gpu_gemm: int8 [3 * width, terms], gate by gate or columns_by_block, the rest 0."""
    weights = np.asarray(weights)
    length, hidden = weights.shape[0], weights.shape[1] // 3
    full = np.zeros((3, width, terms), np.int8)
    full[:, :hidden, :length] = weights.T.reshape(3, hidden, length)
    return columns_by_block(full.reshape(3 * width, terms), units)


def weight_bytes(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(c, d) of weights 256 * c + d; d as int8 bytes of 0...255."""
    whole = np.asarray(weights, np.int64)
    return (whole >> 8).astype(np.int8), (whole & 255).astype(np.uint8).view(np.int8)


def state_fragments(weights: np.ndarray, blocks: int, chunks: int) -> np.ndarray:
    """R as fragments of c and then of d for every warp: [blocks, 8 warps, 2 * 6 * chunks, 32, 16]."""
    parts = [fragments(w, blocks, 1, 8, chunks) for w in weight_bytes(weights)]
    return np.ascontiguousarray(np.concatenate(parts, axis=2))


def product_fragments(weights: np.ndarray, width: int) -> np.ndarray:
    """W as fragments [2, column pairs, pieces, 4, 32, 16], c and d."""
    return np.stack([input_fragments(w, width) for w in weight_bytes(weights)])


def padded_units(rows: np.ndarray, width: int) -> np.ndarray:
    """[n, H] as [n, width], the rest 0."""
    out = np.zeros((rows.shape[0], width), np.int64)
    out[:, : rows.shape[1]] = rows
    return out


def modulo_int32(values: np.ndarray) -> np.ndarray:
    """int64 as int32 modulo 2^32."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def offset(fmt: IntFormat, limbs: int = 1) -> int:
    """What is taken off a code so that it fits a signed byte, or 256 * a + b of two signed bytes."""
    if limbs == 2:
        return 128 if fmt.qmax <= 32767 else 32768 + 128
    return 128 if fmt.qmax > 127 else 0


def column_sums(weights: np.ndarray) -> np.ndarray:
    """int64 [3, H]."""
    return weights.astype(np.int64).sum(axis=0).reshape(3, -1)


@dataclass(frozen=True, eq=False)
class Constants:
    """What a kernel reads beside weights and input.

    wide, narrow  int64 and int32 [n, H]
    numbers       int64, the scalars in the order of the cell
    tables        int32 [3, 256] for gate inputs of at most 8 bits
    far           int32 [3, 65536], for wider ones; one number where there is none
    far_gates     for each gate whether its table is among the far ones
    plain, left, still, real  as gpu_layout.Kind has them
    """

    wide: np.ndarray
    narrow: np.ndarray
    numbers: np.ndarray
    tables: np.ndarray
    far: np.ndarray
    far_gates: tuple[bool, bool, bool]
    plain: bool
    left: bool = True
    still: int = 0
    real: bool = False

    @property
    def known(self) -> dict[str, Any]:
        """What a Kind takes over."""
        return {"plain": self.plain, "left": self.left, "still": self.still, "real": self.real}


def gate_tables(formats: tuple[IntFormat, ...], tables: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray, tuple]:
    """(tables, far, far_gates): every gate's output for every input, by the twin's own activation.  [SPEC A]"""
    near, far_gates = np.zeros((3, 256), np.int32), tuple(fmt.bits > 8 for fmt in formats)
    far = np.zeros((3, 65536) if any(far_gates) else (1, 1), np.int32)
    for gate, (fmt, table) in enumerate(zip(formats, tables)):
        q = np.arange(fmt.qmin, fmt.qmax + 1)
        (far if far_gates[gate] else near)[gate, : len(q)] = map_step("activate", q, table=table, device="host")
    return near, far, far_gates


def mshift_constants(p: MShiftParams) -> Constants:
    """Everything of a static set of datapath M.  [SPEC GM]"""
    hidden = p.hidden_size

    def aligned(values: np.ndarray, m: Any) -> np.ndarray:
        return np.array([int(align(int(v), m.multiplier, m.shift)) for v in values], np.int64)

    bx, br = np.asarray(p.bx).reshape(3, hidden), np.asarray(p.br).reshape(3, hidden)
    from_x, from_h = -p.zp_x * column_sums(p.W), -p.zp_h * column_sums(p.R)
    wide = np.stack(
        [
            from_x[0] + aligned(bx[0], p.m_bx) + aligned(br[0], p.m_br_z),
            from_x[1] + aligned(bx[1], p.m_bx) + aligned(br[1], p.m_br_r),
            from_x[2] + aligned(bx[2], p.m_bx),
            from_h[2] + aligned(br[2], p.m_br_g),
        ]
    )
    numbers = []
    for name in MSHIFT_STEPS:
        m = getattr(p, name)
        numbers += [m.multiplier, half(m.shift), m.shift]
    numbers += [p.zp_z, p.zp_r, p.zp_g, p.zp_h, p.fmt_pre.qmin, p.fmt_pre.qmax]
    tables, far, far_gates = gate_tables((p.fmt_pre,) * 3, (p.table_z, p.table_r, p.table_g))
    plain = mshift_is_plain(p, wide)
    if plain:
        wide, narrow = wide[:0], modulo_int32(np.concatenate([wide, from_h[:2]]))
    else:
        narrow = modulo_int32(from_h[:2])
    return Constants(wide, narrow, np.array(numbers, np.int64), tables, far, far_gates, plain)


def half(shift: int) -> int:
    """2^(s - 1), 0 for s = 0."""
    return (1 << shift) >> 1


def mshift_is_plain(p: MShiftParams, added: np.ndarray) -> bool:
    """Whether no intermediate of the set can leave int32, by the sums of its own weights.  [SPEC GM]

    added  int64 [4, H]: what is added to Wx_z, Wx_r, Wx_g and Rh_g, the corrections for the zero points among it
    """
    limit = 2**31 - 1
    raw_x, raw_h = (128 * int(np.abs(w.astype(np.int64)).sum(axis=0).max()) for w in (p.W, p.R))
    state = int(np.abs(p.R.astype(np.int64)).sum(axis=0).max()) * max(abs(-128 - p.zp_h), abs(127 - p.zp_h))

    def up(reach: int, m: Any) -> int:
        return (reach * m.multiplier + half(m.shift)) >> m.shift

    most = [int(np.abs(row).max()) for row in added]
    reached = [state, raw_h + most[3]]
    gates = []
    for gate, m in enumerate((p.m_Rh_z, p.m_Rh_r)):
        gates.append(raw_x + most[gate] + up(state, m))
        reached.append(up(state, m))
    c = up(127 * (raw_h + most[3]), p.m_rRh)
    gates.append(raw_x + most[2] + c)
    n = up(127 * 128, p.m_gh)
    S = 127 * max(abs(-128 - p.zp_h), abs(127 - p.zp_h)) + n
    reached += [c, n, S, up(S, p.m_one) + abs(p.zp_h), *gates]
    for a, m, zero in zip(gates, (p.m_z, p.m_r, p.m_g), (p.zp_z, p.zp_r, p.zp_g)):
        reached.append(up(a, m) + abs(zero))
    return max(reached) < limit


def pot_width(p: PotParams) -> int | None:
    """32 or 64, the bits that every intermediate of the set fits for certain; None when it is neither."""
    W, R = (SimpleNamespace(magnitude=int(np.abs(w.astype(np.int64)).sum(axis=0).max())) for w in (p.W, p.R))
    reach = pot_reach(p, cast(Packed, W), cast(Packed, R))
    return 32 if reach < NARROW_REACH else 64 if reach < WIDE_REACH else None


def pot_constants(p: PotParams, bits: int, limbs: int = 1) -> Constants:
    """Everything of a set of datapath P, for arithmetic of 32 or 64 bits, codes of one byte or two.  [SPEC GP]"""
    ops, hidden = p.operators, p.hidden_size
    zero = {key: ops[key].zero_point for key in KEYS}
    most, least = bits - 1, 1 - bits

    def clip(shifts: Any) -> np.ndarray:
        return np.clip(np.asarray(shifts, np.int64), least, most)

    rows = {}
    for name, data, weights in (("Wx", "input.x", p.W), ("Rh", "input.h", p.R)):
        more = (offset(ops[data].fmt, limbs) - ops[data].zero_point) * column_sums(weights)
        for gate, k in enumerate("zrg"):
            rows[f"{name}_{k}"] = more[gate]
    for name, shifts in zip(("Wx", "Rh"), product_shifts(p)):
        for gate, k in enumerate("zrg"):
            rows[f"s_{name}_{k}"] = clip(shifts.reshape(3, hidden)[gate])
    rows["z"], rows["r"], rows["A"], rows["g"] = biases(p)
    rows["A"] = rows["A"] - zero["op.Rh_add_br"]
    units = np.stack([rows[name] for name in POT_UNIT])
    moves = [int(v) for v in clip(move_shifts(p))]  # Wx_z, Rh_z, Wx_r, Rh_r, Rh_A, P, Wx_g, P_g, O, N, O_h, N_h
    numbers = []
    for i in (0, 2, 6, 1, 3, 4, 5, 7, 8, 9, 10, 11):
        s = moves[i]
        numbers += [max(-s, 0), half(max(s, 0)), max(s, 0), int(s > 0)]
    for key, centred in (
        ("matmul.Wx", 1), ("matmul.Rh", 1), ("gate.z_pre", 0), ("gate.r_pre", 0), ("gate.g_pre", 0),
        ("op.Rh_add_br", 1), ("op.rRh", 1), ("op.old_contrib", 1), ("op.new_contrib", 1), ("input.h", 1),
    ):  # fmt: skip
        fmt, less = ops[key].fmt, centred * zero[key]
        numbers += [fmt.qmin - less, fmt.qmax - less]
    numbers += [zero["gate.z_out"], zero["gate.r_out"], zero["gate.g_out"], one_of(p), zero["input.h"]]
    formats = tuple(ops[f"gate.{k}_pre"].fmt for k in "zrg")
    tables, far, far_gates = gate_tables(formats, (p.act_z, p.act_r, p.act_g))
    none = np.zeros((0, hidden), np.int64)
    wide, narrow = (units, none) if bits == 64 else (none, modulo_int32(units))
    shifts = units[6:12]
    plain = int(shifts.min()) >= 1 and int(shifts.max()) <= bits - 2
    return Constants(
        wide, narrow, np.array(numbers, np.int64), tables, far, far_gates, plain, min(moves) < 0, still_moves(moves)
    )


def still_moves(moves: list[int]) -> int:
    """What is known of the shifts of datapath P, in the order of move_shifts: the sum of STILL_Wx ... SHIFTED."""
    Wx, A, total = (moves[0], moves[2], moves[6]), (moves[4],), moves[10:]
    known = sum(bit for bit, some in ((STILL_Wx, Wx), (STILL_A, A), (STILL_SUM, total)) if not any(some))
    others = [moves[i] for i in (1, 3, 5, 7, 8, 9)]
    others += [s for bit, some in ((STILL_Wx, Wx), (STILL_A, A), (STILL_SUM, total)) if not known & bit for s in some]
    return known + (SHIFTED if min(others) > 0 else 0)


def is_even(p: PotParams) -> bool:
    """Whether RS is R-3."""
    return p.rounding is Rounding.TIES_EVEN
