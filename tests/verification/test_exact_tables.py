"""The judge's tables: spot values of the source document's table, ties, and every kind of activation by hand."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, INT16, UINT8, IntFormat
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic
from verification.exact.activation import activate, direct, direct_wide, piecewise_linear, piecewise_quadratic
from verification.exact.tables import direct_table, exp_minus, gate_table, ideal_code


def test_exp_encloses_the_decimal_value():
    with localcontext() as context:
        context.prec = 60
        for numerator in (1, 2, 3, 7, 64, 65, 100, 999, 4096, 20000):
            lo, hi = exp_minus(Fraction(numerator, 64), 100)
            value = Fraction((-Decimal(numerator) / 64).exp())
            assert lo <= value <= hi and hi - lo < Fraction(1, 2**95), numerator


def test_the_document_table_of_sigma():
    table = gate_table("sigmoid", 1 / 128, 0, 8)
    entries = table.entries.tolist()
    assert (entries[0], entries[255]) == (34, 93)  # sigma(-1) * 127 = 34.155, sigma(127/128) * 127 = 92.65
    assert entries[128] == 64  # 63.5, away from zero
    assert entries[127] == 63  # 63.252
    assert entries == sorted(entries) and all(0 <= e <= 127 for e in entries)


def test_the_document_table_of_tanh():
    entries = gate_table("tanh", 1 / 128, 0, 8).entries.tolist()
    assert (entries[0], entries[128], entries[255]) == (-97, 0, 96)  # -96.72, 0, tanh(127/128) * 127 = 96.30
    assert entries[129] == 1 and entries[127] == -1  # 0.992
    assert [entries[128 + i] for i in range(1, 128)] == [-entries[128 - i] for i in range(1, 128)]


@pytest.mark.parametrize(
    ("function", "q", "scale", "zp", "one", "zp_out", "fmt", "code"),
    [
        ("sigmoid", 0, Fraction(1, 16), 0, 1, 0, UINT8, 1),  # 0.5, away
        ("sigmoid", 0, Fraction(1, 16), 0, 128, 0, UINT8, 64),
        ("sigmoid", 5, Fraction(1, 16), 5, 127, 0, INT8, 64),  # the zero point of the input
        ("sigmoid", 127, 1.0, 0, 127, 0, INT8, 127),
        ("sigmoid", -128, 1.0, 0, 127, 0, INT8, 0),
        ("sigmoid", 127, Fraction(1), 0, 256, 0, UINT8, 255),  # saturates
        ("sigmoid", 0, 1.0, 0, 2**8, -3, UINT8, 125),
        ("tanh", 127, 1.0, 0, 128, 0, INT8, 127),
        ("tanh", -128, 1.0, 0, 128, 0, INT8, -128),
        ("tanh", -128, 2.0**15, 2**31 - 1, 128, 4, INT8, -124),  # far out
        ("sigmoid", 127, 2.0**15, 0, Fraction(1, 2), 0, UINT8, 0),  # just below a tie, whatever the precision
        ("tanh", 127, 1.0, 0, Fraction(1, 2), 0, INT8, 0),
        ("tanh", -127, 1.0, 0, Fraction(1, 2), 0, INT8, 0),
        ("sigmoid", 1, 1.0, 0, 2**15, 0, INT16, 23955),  # 0.7310585786 * 32768 = 23955.3
    ],
)
def test_ideal_code(function, q, scale, zp, one, zp_out, fmt, code):
    assert ideal_code(function, q, scale, zp, one, zp_out, fmt) == code


def test_ideal_code_refuses():
    with pytest.raises(ParameterError, match="relu"):
        ideal_code("relu", 0, 1.0, 0, 127, 0, INT8)
    with pytest.raises(ParameterError, match="one"):
        ideal_code("tanh", 0, 1.0, 0, 0, 0, INT8)


def test_wide_table_takes_257_times_the_scale():
    wide, narrow = gate_table("tanh", 2.0**-12, 0, 16), gate_table("tanh", 257 * 2.0**-12, 0, 8)
    assert wide.fmt_in == INT16 and wide.entries.tolist() == narrow.entries.tolist()
    with pytest.raises(ParameterError, match="zero_point_in"):
        gate_table("tanh", 2.0**-12, 1, 16)


COUNTING = np.arange(256) - 128


def test_direct_reads_at_q_plus_128():
    table = DirectTable("tanh", COUNTING, INT8, INT8)
    assert [direct(q, table) for q in (-128, -1, 0, 127)] == [-128, -1, 0, 127]
    with pytest.raises(ParameterError, match="q is 128"):
        direct(128, table)


def test_direct_with_a_narrow_input():
    table = DirectTable("tanh", COUNTING, IntFormat(4, True), INT8)
    assert [activate(q, table) for q in (-8, 7)] == [-8, 7]


@pytest.mark.parametrize(
    ("q", "index"),
    [(-32768, 0), (-32640, 0), (-32639, 1), (-1, 127), (0, 128), (256, 128), (257, 129), (32638, 254), (32639, 255)],
)
def test_direct_wide_index(q, index):
    table = DirectTable("tanh", COUNTING, INT16, INT8)
    assert direct_wide(q, table) == activate(q, table) == index - 128


def test_piecewise_linear_by_hand():
    parts = [np.array(v) for v in ([-10, 0, 20], [1, 3, -5], [-1, 1, 2], [4, 100, 200])]
    table = PiecewiseLinear("sigmoid", *parts, INT8, UINT8, zero_point_in=1)
    assert piecewise_linear(-11, table) == 0  # (-12) * 2 + 4 = -20, saturated
    assert piecewise_linear(-10, table) == 83  # 3 * -11 / 2 = -16.5 -> -17
    assert piecewise_linear(-1, table) == 97  # -6 / 2
    assert piecewise_linear(0, table) == 201  # -5 * -1 / 4 = 1.25
    assert piecewise_linear(3, table) == 197  # -10 / 4 = -2.5 -> -3
    assert piecewise_linear(20, table) == 176  # the last threshold decides nothing: -95 / 4 = -23.75 -> -24
    assert activate(500, table) == piecewise_linear(127, table) == 42  # -630 / 4 = -157.5 -> -158


def test_piecewise_quadratic_by_hand():
    table = PiecewiseQuadratic("tanh", np.array([0, 100]), np.array([-8, 2]), np.array([3, -3]), np.array([1, 2]),
                               np.array([10, -1]), np.array([2, -1]), np.array([5, 7]), INT8, INT8)  # fmt: skip
    assert piecewise_quadratic(-5, table) == 16  # d = 3: 9/2 -> 5, (5 + 10) * 3 = 45, 45/4 = 11.25 -> 11, + 5
    assert piecewise_quadratic(4, table) == -5  # d = 2: -6/4 = -1.5 -> -2, (-2 - 1) * 2 = -6, * 2 = -12, + 7
    assert activate(-200, table) == piecewise_quadratic(-128, table) == 127


def test_direct_table_of_datapath_p():
    scale = Fraction(1, 16)
    table = direct_table("sigmoid", scale_in=scale, zero_point_in=3, fmt_in=INT8, one=2**7, zero_point_out=0, fmt_out=UINT8)
    assert table.entries[128 + 3] == 64 and table.entries[255] == 128  # sigma(7.75) * 128 = 127.94
    assert activate(3, table) == 64
