"""The makers of tables: exact entries, and the quality that A-5 states, over all inputs.  [SPEC A-1 ... A-5]"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest

from golden import tables
from golden.activation import activate
from golden.spec.bounds import check_activation
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, INT16, UINT8, UINT16, IntFormat
from golden.spec.params import Operator
from golden.spec.tables import Activation, PiecewiseLinear
from golden.table_sweep import arguments, main
from tests.golden.sweep import assert_same
from verification.exact import tables as judge

LINEAR_LSB = {2: 1, 3: 1, 5: 1, 7: 1, 8: 1, 9: 1, 10: 2, 11: 5, 12: 10, 13: 20, 14: 40, 15: 80, 16: 160}
QUADRATIC_LSB = {bits: 1 if bits <= 8 else 2 for bits in LINEAR_LSB}
SMALL, LARGE = -(2**31), 2**31 - 1


def all_inputs(table: Activation) -> np.ndarray:
    return np.arange(table.fmt_in.qmin, table.fmt_in.qmax + 1, dtype=np.int64)


def ideal(table: Activation, q: int) -> int:
    """The judge's code for one input of a piecewise table."""
    scale, one = Fraction(2) ** -table.exponent_in, Fraction(2) ** table.exponent_out
    return judge.ideal_code(table.function, q, scale, table.zero_point_in, one, table.zero_point_out, table.fmt_out)


def check(table: Activation, allowed: int, samples: int) -> None:
    """The stated quality is the true one, is good enough, and no int64 can be left."""
    check_activation("z", table)
    q, y = all_inputs(table), activate(all_inputs(table), table).astype(np.int64)
    assert tables.quality(table).items() <= table.meta.items()
    stated = table.meta["max_error_lsb"]
    assert stated <= allowed
    assert table.meta["monotone"] is True and (np.diff(y) >= 0).all()
    picked = range(len(q)) if len(q) <= samples else Random(0).sample(range(len(q)), samples)
    errors = [abs(int(y[i]) - ideal(table, int(q[i]))) for i in picked]
    assert max(errors) == stated if len(errors) == len(q) else max(errors) <= stated
    one = ideal_of_one(table)
    least = table.zero_point_out - (one if table.function == "tanh" else 0)
    assert y.max() <= max(min(table.zero_point_out + one, table.fmt_out.qmax), table.fmt_out.qmin)
    assert y.min() >= min(max(least, table.fmt_out.qmin), table.fmt_out.qmax)


def ideal_of_one(table: Activation) -> int:
    """1.0 in codes, without the zero point.  [SPEC GP-6]"""
    return {-1: 1}.get(table.exponent_out, 0) if table.exponent_out < 0 else 2**table.exponent_out


@pytest.mark.parametrize("seed", range(8))
def test_linear_tables_of_any_argument(seed):
    for function, options in arguments(seed, 50):
        check(tables.piecewise_linear_table(function, **options), LINEAR_LSB[options["fmt_out"].bits], 64)


@pytest.mark.parametrize("seed", range(8))
def test_quadratic_tables_of_any_argument(seed):
    for function, options in arguments(seed, 50):
        check(tables.piecewise_quadratic_table(function, **options), QUADRATIC_LSB[options["fmt_out"].bits], 64)


@pytest.mark.parametrize("exponent_in", range(-15, 31))
@pytest.mark.parametrize(
    ("function", "fmt_out", "exponent_out"), [("sigmoid", UINT8, 8), ("sigmoid", UINT8, 7), ("tanh", INT8, 7)]
)
def test_eight_bits_at_every_scale(function, fmt_out, exponent_out, exponent_in):
    options = {"exponent_in": exponent_in, "zero_point_in": 0, "fmt_in": INT8}
    options |= {"exponent_out": exponent_out, "zero_point_out": 0, "fmt_out": fmt_out}
    check(tables.piecewise_linear_table(function, **options), 1, 256)
    check(tables.piecewise_quadratic_table(function, **options), 1, 256)


@pytest.mark.parametrize("exponent_in", [-15, 0, 9, 11, 12, 13, 15, 30])
@pytest.mark.parametrize(
    ("function", "fmt_out", "exponent_out"),
    [("sigmoid", UINT16, 16), ("sigmoid", INT16, 15), ("tanh", INT16, 15), ("tanh", UINT16, 16)],
)
def test_sixteen_bits_at_many_scales(function, fmt_out, exponent_out, exponent_in):
    options = {"exponent_in": exponent_in, "zero_point_in": 0, "fmt_in": INT16}
    options |= {"exponent_out": exponent_out, "zero_point_out": 0, "fmt_out": fmt_out}
    check(tables.piecewise_linear_table(function, **options), 160, 64)
    check(tables.piecewise_quadratic_table(function, **options), 2, 64)


@pytest.mark.parametrize("maker", [tables.piecewise_linear_table, tables.piecewise_quadratic_table])
def test_a_curve_that_falls_between_two_inputs_is_a_step(maker):
    table = maker(
        "tanh", exponent_in=-15, zero_point_in=0, fmt_in=INT8, exponent_out=15, zero_point_out=0, fmt_out=INT16
    )  # fmt: skip
    assert activate([-128, -1, 0, 1, 127], table).tolist() == [-32768, -32768, 0, 32767, 32767]
    assert table.meta["max_error_lsb"] == 0


@pytest.mark.parametrize("maker", [tables.piecewise_linear_table, tables.piecewise_quadratic_table])
@pytest.mark.parametrize(("zero_point", "code"), [(SMALL, 200), (LARGE, 200 - 128)])
def test_a_zero_point_far_out_leaves_a_constant(maker, zero_point, code):
    table = maker(
        "sigmoid", exponent_in=15, zero_point_in=zero_point, fmt_in=INT16, exponent_out=7, zero_point_out=72, fmt_out=UINT8
    )  # fmt: skip
    assert set(activate(all_inputs(table), table).tolist()) == {code}
    assert table.meta["segments"] == 1


@pytest.mark.parametrize("segments", [2, 3, 4, 6, 9, 15])
def test_few_segments_are_still_monotone(segments):
    for function, options in arguments(1000 + segments, 25):
        for maker in (tables.piecewise_linear_table, tables.piecewise_quadratic_table):
            table = maker(function, **options, segments=segments)
            assert len(table.thresholds) <= segments
            check(table, 2**16, 16)


def test_lines_serve_where_parabolas_do_not_suffice():
    table = tables.piecewise_quadratic_table(
        "tanh", exponent_in=4, zero_point_in=0, fmt_in=INT8, exponent_out=7, zero_point_out=0, fmt_out=INT8, segments=2
    )  # fmt: skip
    assert table.c2.tolist() == [0, 0]
    check(table, 127, 256)


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("one", [127, 1, 0.5, Fraction(1, 2**15), 2**30, 2**31])
@pytest.mark.parametrize("scale", [1 / 128, 1 / 16, 2.0**-30, 2.0**15, 1e-38, 3e38])
def test_direct_entries_are_the_judge_s(function, one, scale):
    for zero_point_in in (0, 100, SMALL, LARGE):
        for zero_point_out in (0, -(2**29), LARGE):
            options = {"scale_in": scale, "zero_point_in": zero_point_in, "fmt_in": INT8}
            options |= {"one": one, "zero_point_out": zero_point_out, "fmt_out": INT16}
            table = tables.direct_table(function, **options)
            exact = [0, 1, 100, 126, 127, 128, 129, 130, 200, 228, 229, 255]
            wanted = [judge.ideal_code(function, i - 128, scale, zero_point_in, one, zero_point_out, INT16) for i in exact]
            assert_same(table.entries[exact], wanted)
            assert table.meta["max_error_lsb"] == 0


def test_a_value_that_float64_takes_for_a_tie_is_decided_exactly():
    """one = 0.5: the sigmoid stays below 1, so half of it stays below the tie, and 0 is its code; tanh likewise."""
    for function in ("sigmoid", "tanh"):
        for scale in (1.0, 2.0**15, 3e38):
            table = tables.direct_table(
                function, scale_in=scale, zero_point_in=SMALL, fmt_in=INT8, one=0.5, zero_point_out=0, fmt_out=INT8
            )  # fmt: skip
            assert set(table.entries.tolist()) == {0}
    table = tables.direct_table("sigmoid", scale_in=1.0, zero_point_in=0, fmt_in=INT8, one=1, zero_point_out=0, fmt_out=INT8)
    assert table.entries[[127, 128, 129]].tolist() == [0, 1, 1]


def test_the_gate_table_of_the_document():
    """sigma(u) * 127 and tanh(u) * 127 for u = q / 128, computed by hand to ten digits where it matters."""
    sigmoid, tanh = (tables.gate_table(f, 1 / 128, 0, 8) for f in ("sigmoid", "tanh"))
    assert sigmoid.entries[[0, 64, 127, 128, 129, 192, 255]].tolist() == [34, 48, 63, 64, 64, 79, 93]
    assert tanh.entries[[0, 64, 127, 128, 129, 192, 255]].tolist() == [-97, -59, -1, 0, 1, 59, 96]
    assert (sigmoid.fmt_in, sigmoid.fmt_out, sigmoid.one, sigmoid.zero_point_out) == (INT8, INT8, 127.0, 0)


def test_the_wide_gate_table_is_made_for_257_times_the_scale():
    """A-2 sends 257 codes to an entry that stands for the first of them: at most 256 * 127 / 8192 = 3.97 away near 0."""
    wide, narrow = tables.gate_table("tanh", 2.0**-13, 0, 16), tables.gate_table("tanh", 257 * 2.0**-13, 0, 8)
    assert wide.entries.tolist() == narrow.entries.tolist()
    assert (wide.fmt_in, wide.scale_in) == (INT16, 257 * 2.0**-13)
    quality = tables.quality(wide)
    assert (quality["inputs"], quality["monotone"], quality["max_error_lsb"]) == (65536, True, 4)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("direct", "DirectTable"), ("piecewise_linear", "PiecewiseLinear"), ("piecewise_quadratic", "PiecewiseQuadratic")],
)
def test_pot_tables_stand_between_two_operators(kind, name):
    table = tables.pot_table("sigmoid", kind, Operator(INT8, 5, 3), Operator(UINT8, 8, 0))
    assert type(table).__name__ == name
    assert (table.fmt_in, table.fmt_out, table.zero_point_in, table.zero_point_out) == (INT8, UINT8, 3, 0)
    wanted = [judge.ideal_code("sigmoid", q, Fraction(1, 32), 3, 256, 0, UINT8) for q in range(-128, 128)]
    found = activate(np.arange(-128, 128), table).tolist()
    assert max(abs(a - b) for a, b in zip(found, wanted)) == table.meta["max_error_lsb"] <= (kind != "direct")


def test_equal_arguments_share_one_table_that_cannot_be_written():
    options = {"exponent_in": 4, "zero_point_in": 0, "fmt_in": INT8, "exponent_out": 7, "zero_point_out": 0, "fmt_out": INT8}
    table = tables.piecewise_linear_table("tanh", **options)
    assert tables.piecewise_linear_table("tanh", **options | {"exponent_in": np.int64(4)}) is table
    assert not table.slopes.flags.writeable


def test_the_same_bytes_on_every_machine():
    digest = hashlib.sha256()
    for function, options in arguments(77, 60):
        for maker in (tables.piecewise_linear_table, tables.piecewise_quadratic_table):
            table = maker(function, **options)
            for name in ("thresholds", "slopes", "shifts", "intercepts", "origins", "c2", "p", "c1", "n", "c0"):
                digest.update(getattr(table, name, np.zeros(0, np.int32)).astype("<i4").tobytes())
    assert digest.hexdigest() == "4052c8bfffbb3b1469c31812a4bb2eb24d23366f1cd50041e58b884e5ca68efb"


def test_the_quality_of_a_bad_table_is_told():
    table = PiecewiseLinear(
        "sigmoid", np.array([0, 128]), np.array([0, 0]), np.array([0, 0]), np.array([10, 5]), INT8, UINT8,
        exponent_in=4, exponent_out=7,
    )  # fmt: skip
    assert tables.quality(table) == {"max_error_lsb": 123, "monotone": False, "segments": 2, "inputs": 256}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"function": "relu"}, "function is 'relu', expected sigmoid or tanh"),
        ({"exponent_in": 31}, "exponent_in is 31, expected an integer in [-15, 30]"),
        ({"exponent_out": -16}, "exponent_out is -16, expected an integer in [-15, 30]"),
        ({"exponent_in": 1.0}, "exponent_in is 1.0, expected an integer"),
        ({"zero_point_in": 2**31}, "zero_point_in is 2147483648, expected an integer in [-2147483648, 2147483647]"),
        ({"fmt_out": IntFormat(32, True)}, "fmt_out is IntFormat(bits=32, signed=True), expected an IntFormat of 2 to 16 bits"),
        ({"fmt_in": "int8"}, "fmt_in is 'int8', expected an IntFormat of 2 to 16 bits"),
        ({"segments": 1}, "segments is 1, expected an integer in [2, 16]"),
    ],
)
def test_bad_arguments_of_piecewise_tables(change, message):
    options = {"exponent_in": 4, "zero_point_in": 0, "fmt_in": INT8, "exponent_out": 7, "zero_point_out": 0, "fmt_out": INT8}
    with pytest.raises(ParameterError) as caught:
        tables.piecewise_linear_table(**{"function": "tanh"} | options | change)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tables.gate_table("tanh", 0.0, 0, 8), "scale_in is 0.0, expected a positive, finite number"),
        (lambda: tables.gate_table("tanh", float("nan"), 0, 8), "scale_in is nan, expected a positive, finite number"),
        (lambda: tables.gate_table("tanh", "1", 0, 8), "scale is '1', expected a positive, finite number"),
        (lambda: tables.gate_table("tanh", 0.1, 0, 12), "gate_bits is 12, expected 8 or 16"),
        (lambda: tables.gate_table("tanh", 0.1, 5, 16), "direct table zero_point_in is 5, expected 0 for a 16-bit input"),
        (
            lambda: tables.pot_table("tanh", "cubic", Operator(INT8, 4), Operator(INT8, 7)),
            "kind is 'cubic', expected one of direct, piecewise_linear, piecewise_quadratic",
        ),
        (
            lambda: tables.pot_table("tanh", "direct", Operator(INT16, 4), Operator(INT8, 7)),
            "direct table fmt_in is int16, expected a signed format of at most 8 bits",
        ),
        (
            lambda: tables.quality(PiecewiseLinear("tanh", *np.zeros((4, 1), np.int32), INT8, INT8)),
            "piecewise_linear exponent_in is None, expected an exponent, to know the ideal code of an input",
        ),
    ],
)
def test_bad_arguments_of_other_makers(call, message):
    with pytest.raises(ParameterError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.slow
def test_the_page_shows_what_the_command_prints(capsys):
    main()
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    assert capsys.readouterr().out in page.read_text(encoding="utf-8")
