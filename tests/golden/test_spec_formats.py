"""Formats against a table that was written out by hand.  [SPEC F-1]"""

from __future__ import annotations

import pytest

from golden.spec.errors import ParameterError
from golden.spec.formats import BIAS_BITS, BOUNDS, INT8, INT16, INT32, TENSOR_BITS, UINT8, UINT16, IntFormat

TABLE = """
int2 -2 1
int3 -4 3
int4 -8 7
int5 -16 15
int6 -32 31
int7 -64 63
int8 -128 127
int9 -256 255
int10 -512 511
int11 -1024 1023
int12 -2048 2047
int13 -4096 4095
int14 -8192 8191
int15 -16384 16383
int16 -32768 32767
int32 -2147483648 2147483647
uint2 0 3
uint3 0 7
uint4 0 15
uint5 0 31
uint6 0 63
uint7 0 127
uint8 0 255
uint9 0 511
uint10 0 1023
uint11 0 2047
uint12 0 4095
uint13 0 8191
uint14 0 16383
uint15 0 32767
uint16 0 65535
"""
ROWS = [(name, int(low), int(high)) for name, low, high in (line.split() for line in TABLE.split("\n") if line)]


@pytest.mark.parametrize(("name", "low", "high"), ROWS, ids=[row[0] for row in ROWS])
def test_bounds(name, low, high):
    fmt = IntFormat.parse(name)
    assert (fmt.qmin, fmt.qmax, str(fmt)) == (low, high, name)
    assert fmt == IntFormat(int(name.lstrip("uint")), name.startswith("int"))


def test_there_are_no_other_formats():
    assert len(BOUNDS) == len(ROWS) == 31
    assert TENSOR_BITS == (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
    assert BIAS_BITS == (8, 16, 32)


@pytest.mark.parametrize(
    ("fmt", "name"), [(INT8, "int8"), (UINT8, "uint8"), (INT16, "int16"), (UINT16, "uint16"), (INT32, "int32")]
)
def test_the_named_ones(fmt, name):
    assert str(fmt) == name


@pytest.mark.parametrize("bits", [1, 0, -8, 17, 24, 31, 33, 64])
def test_a_width_that_no_clause_knows_is_refused(bits):
    with pytest.raises(ParameterError, match="^format is int-?[0-9]+, expected 2 to 16 bits, or 32 bits signed$"):
        IntFormat(bits, True)


def test_unsigned_32_is_refused():
    with pytest.raises(ParameterError, match="format is uint32"):
        IntFormat(32, False)


@pytest.mark.parametrize(("bits", "signed"), [(8.0, True), ("8", True), (True, True), (8, 1), (8, None)])
def test_a_wrong_kind_is_refused(bits, signed):
    with pytest.raises(ParameterError, match="an integer width and a boolean sign"):
        IntFormat(bits, signed)


@pytest.mark.parametrize("name", ["", "int", "int 8", "INT8", "int08", "int1", "uint32", "float32", "int8 ", "sint8"])
def test_a_name_that_is_no_format_is_refused(name):
    with pytest.raises(ParameterError, match="expected a name such as int8 or uint16"):
        IntFormat.parse(name)


def test_a_format_is_frozen_and_hashable():
    with pytest.raises(AttributeError):
        INT8.bits = 9
    assert {IntFormat(8, True), INT8} == {INT8}
    assert INT8 != UINT8
