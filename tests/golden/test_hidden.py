"""The new state and zoneout: narrow formats exhaustively against the judge.  [SPEC GM-3, GP-6 ... GP-8, Z-1, Z-2]"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from golden import hidden as golden
from golden.spec.formats import INT8, IntFormat
from golden.spec.params import MShift, Operator
from golden.spec.rounding import Rounding
from tests.golden.sweep import NARROW, assert_same, judged
from tests.golden.test_gates import ROUNDINGS, compare_fields, grid
from verification.exact import hidden as judge

S5, U5 = IntFormat(5, True), IntFormat(5, False)


@pytest.mark.parametrize(
    ("m_gh", "m_one"),
    [(MShift(1, 0), MShift(1, 7)), (MShift(129, 7), MShift(2064, 18)), (MShift(2**17, 0), MShift(2**31 - 1, 31))],
)
@pytest.mark.parametrize("zero_point", [0, -128, 127, 300])
def test_mshift_hidden_every_pair_of_gates(m_gh, m_one, zero_point):
    z, g = grid(np.arange(128), np.arange(-128, 128))
    for state in (-128, 0, 55, 127):
        h = np.full_like(z, state)
        found = golden.mshift_hidden(z, g, h, m_gh, m_one, zero_point)
        wanted = [judge.mshift_hidden(a, b, state, zero_point, m_gh, m_one) for a, b in zip(z[:, 0].tolist(), g[:, 0].tolist())]
        compare_fields(found, wanted, {n: n for n in ("n_acc", "n", "S", "h_new")}, z.shape)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(
    ("e_z", "e_h", "e_g", "e_o", "e_n"),
    [(5, 4, 4, 4, 4), (4, 3, 2, 7, 1), (-1, 4, 4, 2, 2), (-3, -15, 30, -15, 12), (30, 0, 0, 30, 30)],
)
def test_pot_hidden_every_5_bit_triple(rounding, e_z, e_h, e_g, e_o, e_n):
    z, g, h = grid(np.arange(32), np.arange(-16, 16), np.arange(-16, 16))
    for zp in (0, 3, -50):
        ops = (
            Operator(U5, e_z, zp),
            Operator(S5, e_g, -zp),
            Operator(S5, e_h, zp),
            Operator(S5, e_o, zp),
            Operator(S5, e_n, -zp),
        )
        one = golden.pot_one(ops[0], rounding)
        assert int(one) == judge.pot_one(ops[0], rounding)
        found = golden.pot_hidden(z, g, h, one, *ops, rounding)
        columns = (z[:, 0].tolist(), g[:, 0].tolist(), h[:, 0].tolist())
        wanted = [judge.pot_hidden(a, b, c, int(one), *ops, rounding) for a, b, c in zip(*columns)]
        compare_fields(found, wanted, {name: name for name in found}, z.shape)


@pytest.mark.parametrize(
    ("exponent", "rounding", "code"),
    [(8, ROUNDINGS[0], 256), (0, ROUNDINGS[0], 1), (-1, ROUNDINGS[0], 1), (-1, Rounding.TIES_EVEN, 0), (-2, ROUNDINGS[0], 0)],
)
def test_the_code_of_one_is_not_saturated(exponent, rounding, code):
    assert int(golden.pot_one(Operator(U5, exponent, 0), rounding)) == code
    assert int(golden.pot_one(Operator(U5, exponent, 9), rounding)) == code + 9


@pytest.mark.parametrize("p", [0.0, 1e-9, 2**-16, 3 * 2**-16, 0.1, 0.5, 0.9999, 1 - 2**-17, 1.0])
def test_zoneout_factor(p):
    assert golden.zoneout_factor(p) == judge.zoneout_factor(p)


@pytest.mark.parametrize("fmt", [*NARROW, INT8], ids=str)
@pytest.mark.parametrize("k", [0, 1, 2, 16383, 16384, 32767, 32768])
def test_zoneout_blend_every_pair(fmt, k):
    codes = np.arange(fmt.qmin, fmt.qmax + 1)
    old, new = grid(codes[:: 1 if fmt.bits < 8 else 5], codes[:: 1 if fmt.bits < 8 else 3])
    for zero_point in (0, fmt.qmin - 3, fmt.qmax, 2**31 - 1):
        acc, h = golden.zoneout_blend(k, old, new, zero_point, fmt)
        wanted = judged(partial(judge.zoneout_blend, k), old, new, then=(zero_point, fmt))
        assert_same(acc, [w[0] for w in wanted])
        assert_same(h, [w[1] for w in wanted])


def test_a_mask_of_one_keeps():
    assert golden.zoneout_mask([1, 0], np.array([5, 5]), np.array([7, 7])).tolist() == [5, 7]
    assert (judge.zoneout_mask(1, 5, 7), judge.zoneout_mask(0, 5, 7)) == (5, 7)
