"""The gates: narrow formats exhaustively against the judge.  [SPEC GM-1, GM-2, GP-2 ... GP-5]"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from golden import gates as golden
from golden.spec.formats import INT8, INT16, UINT8, IntFormat
from golden.spec.params import MShift, Operator
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear
from tests.golden.sweep import assert_same
from verification.exact import gates as judge

S6, U6 = IntFormat(6, True), IntFormat(6, False)
ALL6 = np.arange(-32, 32)
SIGMOID = DirectTable("sigmoid", np.arange(256) // 2, INT8, INT8)
TANH = DirectTable("tanh", np.arange(256) - 128, INT8, INT8)
WIDE = DirectTable("sigmoid", np.arange(256) // 2, INT16, INT8)
ROUNDINGS = [Rounding.TIES_AWAY, Rounding.TIES_EVEN]


def compare_fields(found: dict, judged: list[dict], names: dict[str, str], shape) -> None:
    """names: trace field -> the judge's key"""
    assert set(found) == set(names)
    for field, key in names.items():
        assert_same(np.broadcast_to(found[field], shape), [one[key] for one in judged])


def grid(*axes: np.ndarray) -> list[np.ndarray]:
    """Columns of a full grid, each [N, 1]: one row of the batch for each point."""
    return [a.reshape(-1, 1) for a in np.meshgrid(*axes, indexing="ij")]


def prefixed(k: str, *names: str) -> dict[str, str]:
    return {(f"{k}_{name}" if name else k): name for name in names}


MSHIFT_NAMES = ("Rh_aligned", "bx_aligned", "br_aligned", "acc", "a", "pre", "")


@pytest.mark.parametrize("table", [SIGMOID, WIDE], ids=["8", "16"])
@pytest.mark.parametrize("k", ["z", "r"])
@pytest.mark.parametrize(
    ("m_Rh", "m_bx", "m_br", "m_pre"),
    [
        (MShift(1, 0), MShift(1, 0), MShift(1, 0), MShift(1, 0)),
        (MShift(3, 2), MShift(5, 3), MShift(1, 1), MShift(3, 1)),
        (MShift(2**31 - 1, 0), MShift(2**31 - 1, 0), MShift(2**31 - 1, 31), MShift(2**31 - 1, 31)),
        (MShift(0, 31), MShift(1, 31), MShift(7, 5), MShift(1, 3)),
    ],
)
def test_mshift_gate_every_6_bit_pair(k, m_Rh, m_bx, m_br, m_pre, table):
    Wx, Rh = grid(ALL6, ALL6)
    for (bx, br), zp in itertools.product(
        ((0, 0), (31, -32), (-(2**31), 2**31 - 1), (2**31 - 1, 2**31 - 1)), (0, -1, 2**31 - 1)
    ):
        if table is WIDE and zp:
            continue
        args = (m_Rh, m_bx, m_br, m_pre, zp, table.fmt_in, table)
        found = golden.mshift_gate(k, Wx, Rh, np.array([bx]), np.array([br]), *args)
        wanted = [judge.mshift_gate(w, r, bx, br, *args) for w, r in zip(Wx[:, 0].tolist(), Rh[:, 0].tolist())]
        compare_fields(found, wanted, prefixed(k, *MSHIFT_NAMES), Wx.shape)


@pytest.mark.parametrize(
    ("m_br", "m_rRh", "m_bx", "m_pre"),
    [
        (MShift(1, 0), MShift(1, 7), MShift(1, 0), MShift(1, 0)),
        (MShift(3, 1), MShift(2**24 - 1, 31), MShift(5, 3), MShift(3, 2)),
        (MShift(2**31 - 1, 0), MShift(2**24 - 1, 0), MShift(2**31 - 1, 31), MShift(1, 24)),
    ],
)
def test_mshift_candidate_every_reset_and_6_bit_product(m_br, m_rRh, m_bx, m_pre):
    r, Rh = grid(np.arange(128), ALL6)
    names = ("br_aligned", "b_acc", "b", "rb", "c", "bx_aligned", "acc", "a", "pre")
    for bx, br, wx, zp in ((0, 0, 0, 0), (31, -32, -5, 3), (2**31 - 1, -(2**31), 32, -129), (-(2**31), 2**31 - 1, -32, 0)):
        Wx = np.full_like(Rh, wx)
        args = (m_br, m_rRh, m_bx, m_pre, zp, INT8, TANH)
        found = golden.mshift_candidate(Wx, Rh, np.array([bx]), np.array([br]), r, *args)
        wanted = [judge.mshift_candidate(wx, b, bx, br, a, *args) for a, b in zip(r[:, 0].tolist(), Rh[:, 0].tolist())]
        compare_fields(found, wanted, {f"g_{n}": f"g_{n}" for n in names} | {"g": "g"}, Rh.shape)


LINE = PiecewiseLinear("sigmoid", [-5, 9, 9, 40], [3, -7, 0, 21], [1, 0, 0, 4], [10, 30, 2, -1], S6, U6, 1, 2)
POT_NAMES = ("Wx_aligned", "Rh_aligned", "bx_aligned", "br_aligned", "acc", "pre", "")


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("e_wx", "e_rh", "e_pre"), [(3, 3, 3), (5, 4, 2), (0, -2, 3), (30, -15, -15), (-10, 30, 20)])
def test_pot_gate_every_6_bit_pair(rounding, e_wx, e_rh, e_pre):
    Wx, Rh = grid(ALL6, ALL6)
    pre = Operator(S6, e_pre, 1)
    for zp, bias, e_b in ((0, 0, 3), (-40, 31, 4), (31, -32, 30), (2**31 - 1 if e_wx > e_pre else 5, -7, -15)):
        op_wx, op_rh = Operator(S6, e_wx, zp), Operator(S6, e_rh, -zp)
        found = golden.pot_gate(
            "z",
            Wx,
            Rh,
            np.array([bias]),
            np.array([-bias]),
            np.array([e_b]),
            np.array([e_b]),
            op_wx,
            op_rh,
            pre,
            LINE,
            rounding,
        )
        wanted = [
            judge.pot_gate(w, r, bias, -bias, op_wx, op_rh, e_b, e_b, pre, LINE, rounding)
            for w, r in zip(Wx[:, 0].tolist(), Rh[:, 0].tolist())
        ]
        compare_fields(found, wanted, prefixed("z", *POT_NAMES), Wx.shape)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("e_rh", "e_a", "e_r", "e_p"), [(3, 3, 6, 3), (5, 2, 6, 10), (-15, 0, -15, -15), (30, -15, 30, 30)])
def test_pot_reset_path_every_6_bit_pair(rounding, e_rh, e_a, e_r, e_p):
    r, Rh = grid(np.arange(64), ALL6)
    names = ("A_Rh_aligned", "A_br_aligned", "A_acc", "A", "P_prod", "P_acc", "P")
    for zp, br, e_b in ((0, 0, 3), (5, -31, 4), (-100, 31, 0)):
        ops = Operator(S6, e_rh, zp), Operator(S6, e_a, -zp), Operator(U6, e_r, zp), Operator(S6, e_p, zp)
        found = golden.pot_reset_path(Rh, np.array([br]), np.array([e_b]), r, *ops, rounding)
        wanted = [
            judge.pot_reset_path(b, br, a, ops[0], e_b, *ops[1:], rounding) for a, b in zip(r[:, 0].tolist(), Rh[:, 0].tolist())
        ]
        compare_fields(found, wanted, dict(zip(names, names)), Rh.shape)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("e_wx", "e_p", "e_pre"), [(3, 3, 3), (5, 4, 2), (-15, 20, 5)])
def test_pot_candidate_every_6_bit_pair(rounding, e_wx, e_p, e_pre):
    Wx, P = grid(ALL6, ALL6)
    table = DirectTable("tanh", np.arange(256) % 64 - 32, S6, S6, 1, 0, one=32.0)
    names = ("g_Wx_aligned", "g_P_aligned", "g_bx_aligned", "g_acc", "g_pre", "g")
    for zp, bx, e_b in ((0, 0, 3), (7, -31, 6), (-(2**31), 31, 0)):
        op_wx, op_p, pre = Operator(S6, e_wx, zp), Operator(S6, e_p, -zp), Operator(S6, e_pre, 1)
        found = golden.pot_candidate(Wx, P, np.array([bx]), np.array([e_b]), op_wx, op_p, pre, table, rounding)
        wanted = [
            judge.pot_candidate(a, b, bx, op_wx, op_p, e_b, pre, table, rounding)
            for a, b in zip(Wx[:, 0].tolist(), P[:, 0].tolist())
        ]
        compare_fields(found, wanted, dict(zip(names, names)), Wx.shape)


def test_each_term_of_a_pot_gate_is_rounded_by_itself():
    op = Operator(INT8, 1)
    table = DirectTable("sigmoid", np.arange(256), INT8, UINT8)
    one = np.array([[1]])
    fields = golden.pot_gate(
        "z",
        one,
        one,
        np.array([1]),
        np.array([1]),
        np.array([1]),
        np.array([1]),
        op,
        op,
        Operator(INT8, 0),
        table,
        ROUNDINGS[0],
    )
    assert int(fields["z_acc"][0, 0]) == 4  # four halves, each away from zero; their sum 2 would be exact
