"""Every input of every kind of table, against the judge.  [SPEC A-1 ... A-4]"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import activation as golden
from golden.spec.formats import INT8, INT16, UINT8, UINT16, IntFormat
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic
from golden.tables import gate_table, piecewise_linear_table, piecewise_quadratic_table
from tests.golden.sweep import NARROW, assert_same, examples, judged
from verification.exact import activation as judge
from verification.exact import tables as exact_tables
from verification.strategies import tables

ALL8 = np.arange(-128, 128)
ALL16 = np.arange(-32768, 32768)


def whole(table) -> np.ndarray:
    return np.arange(table.fmt_in.qmin, table.fmt_in.qmax + 1)


def check(table, q=None) -> None:
    q = whole(table) if q is None else q
    assert_same(golden.activate(q, table), judged(lambda q: judge.activate(q, table), q))


@pytest.mark.parametrize("zero_point", [0, -128, 300, 2**31 - 1])
@pytest.mark.parametrize("scale", [1 / 16, 1 / 128, 1 / 4096, 8.0])
@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_direct_all_256_inputs(function, scale, zero_point):
    table = gate_table(function, scale, zero_point, 8)
    check(table)
    assert table.entries.tolist() == exact_tables.gate_table(function, scale, zero_point, 8).entries.tolist()


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_direct_wide_all_65536_inputs(function):
    table = gate_table(function, 1 / 4096, 0, 16)
    check(table)
    assert table.entries.tolist() == exact_tables.gate_table(function, 1 / 4096, 0, 16).entries.tolist()
    assert_same(golden.direct_wide(ALL16, table), judged(lambda q: judge.direct_wide(q, table), ALL16))


def test_the_document_table_ends():
    table = gate_table("sigmoid", 1 / 128, 0, 8)
    assert (table.entries[0], table.entries[128], table.entries[255]) == (34, 64, 93)
    assert golden.direct([-128, 0, 127], table).tolist() == [34, 64, 93]


@pytest.mark.parametrize("zero_point", [0, 17, -200])
@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize(("fmt_in", "exponent"), [(INT8, 4), (UINT8, 5), (IntFormat(6, True), 2), (IntFormat(2, False), 0)])
def test_piecewise_made_tables_narrow(function, fmt_in, exponent, zero_point):
    fmt_out = UINT8 if function == "sigmoid" else INT8
    options = {"exponent_in": exponent, "zero_point_in": zero_point, "fmt_in": fmt_in}
    options |= {"exponent_out": 7, "zero_point_out": 3, "fmt_out": fmt_out}
    check(piecewise_linear_table(function, **options))
    check(piecewise_quadratic_table(function, **options))


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("make", [piecewise_linear_table, piecewise_quadratic_table])
def test_piecewise_made_tables_all_65536_inputs(make, function):
    fmt_out = UINT16 if function == "sigmoid" else INT16
    check(make(function, exponent_in=12, zero_point_in=-77, fmt_in=INT16, exponent_out=15, zero_point_out=0, fmt_out=fmt_out))


@st.composite
def arbitrary(draw):
    kind = draw(st.sampled_from(("direct", "piecewise_linear", "piecewise_quadratic")))
    fmt_in = INT8 if kind == "direct" else draw(st.sampled_from((INT8, UINT8, *NARROW)))
    zp_in, zp_out = draw(st.integers(-300, 300)), draw(st.integers(-300, 300))
    fmt_out = draw(st.sampled_from((INT8, UINT8, UINT16, *NARROW)))
    return tables.random_activation(draw, kind, "tanh", fmt_in, zp_in, fmt_out, zp_out)


@settings(max_examples=examples(150))
@given(arbitrary())
def test_arbitrary_tables_all_inputs(table):
    check(table)


@settings(max_examples=examples(3))
@given(st.data())
@pytest.mark.parametrize("kind", ["piecewise_linear", "piecewise_quadratic"])
def test_arbitrary_tables_all_65536_inputs(kind, data):
    check(tables.random_activation(data.draw, kind, "tanh", INT16, data.draw(st.integers(-(2**31), 2**31 - 1)), INT16, 0))


def test_inputs_beyond_the_format_are_saturated():
    linear = PiecewiseLinear("tanh", [0], [3], [1], [0], INT8, INT16)
    assert golden.activate([-1000, 1000], linear).tolist() == [-192, 191]  # -384 / 2, 190.5 away from zero
    quadratic = PiecewiseQuadratic("tanh", [0], [0], [1], [0], [0], [0], [5], INT8, INT16)
    assert golden.activate([-1000, 1000], quadratic).tolist() == [16389, 16134]


def test_a_threshold_belongs_to_the_next_segment_and_the_last_decides_nothing():
    table = PiecewiseLinear("tanh", [0, 0, -0], [0, 0, 0], [0, 0, 0], [1, 2, 3], INT8, INT8)
    assert golden.activate([-1, 0, 1], table).tolist() == [1, 3, 3]
    ended = PiecewiseLinear("tanh", [5, 5], [0, 0], [0, 0], [1, 2], INT8, INT8)
    assert golden.activate([4, 5, 127], ended).tolist() == [1, 2, 2]


def test_the_direct_index_is_q_plus_128():
    table = DirectTable("tanh", ALL8, INT8, INT8)
    assert golden.direct(ALL8, table).tolist() == ALL8.tolist()
