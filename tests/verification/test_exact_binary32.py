"""The judge's binary32 against the machine's: bit equality, operation by operation."""

import math
import random
import struct
from fractions import Fraction

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from verification.exact import binary32

SPECIAL = [0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x00800001, 0x3F800000, 0xBF800000,
           0x3F7FFFFF, 0x4B000000, 0x4B7FFFFF, 0x4F000000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000,
           0x7FC00000]  # fmt: skip


def bits(value):
    """The binary32 pattern of a Python float that holds a binary32 number; every NaN is one NaN."""
    return 0x7FC00000 if math.isnan(value) else struct.unpack("<I", struct.pack("<f", value))[0]


def from_bits(pattern):
    return struct.unpack("<f", struct.pack("<I", pattern))[0]


def pairs():
    rng = random.Random(20)
    out = [(a, b) for a in SPECIAL for b in SPECIAL]
    for _ in range(4000):
        out.append((rng.getrandbits(32), rng.getrandbits(32)))
        e = rng.randrange(1, 254)  # neighbours in exponent: cancellation, carries and ties
        near = min(max(e + rng.randrange(-25, 26), 0), 254)
        out.append(tuple(rng.getrandbits(1) << 31 | exponent << 23 | rng.getrandbits(23) for exponent in (e, near)))
    return out


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_operation_equals_numpy_float32(name):
    machine = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[name]
    cases = pairs()
    a, b = np.array(cases, dtype=np.uint32).T.copy().view(np.float32)
    with np.errstate(all="ignore"):
        expected = machine(a, b)
    for x, y, want in zip(a.tolist(), b.tolist(), expected.tolist(), strict=True):
        got = getattr(binary32, name)(x, y)
        assert bits(got) == bits(want), (name, x.hex(), y.hex(), got.hex(), want.hex())


def test_nearest_equals_the_conversion_from_binary64():
    rng = random.Random(21)
    values = [struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0] for _ in range(1000)]
    values += [math.ldexp(rng.random() - 0.5, rng.randrange(-160, 135)) for _ in range(4000)]
    values += [from_bits(rng.getrandbits(31) % 0x7F800000) * (1 + 2.0**-24) for _ in range(1000)]
    with np.errstate(all="ignore"):
        expected = np.array(values).astype(np.float32).tolist()
    for value, want in zip(values, expected, strict=True):
        assert bits(binary32.nearest(value)) == bits(want), value.hex()


def test_from_int_equals_numpy():
    rng = random.Random(22)
    values = [0, 1, -1, 2**24, 2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**31 - 1, -(2**31), 2**62 + 2**38]
    values += [rng.randrange(-(2**40), 2**40) for _ in range(2000)]
    for value in values:
        assert bits(binary32.from_int(value)) == bits(float(np.float32(np.int64(value))))


def test_ties_go_to_even():
    assert binary32.nearest(2**24 + 1) == 2**24
    assert binary32.nearest(2**24 + 3) == 2**24 + 4
    assert binary32.nearest(Fraction(1, 2**150)) == 0.0
    assert binary32.nearest(Fraction(3, 2**150)) == 2.0**-148
    assert binary32.nearest(Fraction(1, 2**150) + Fraction(1, 10**100)) == 2.0**-149


def test_overflow_starts_at_half_an_ulp_beyond_the_greatest():
    greatest = 2**128 - 2**104
    assert binary32.nearest(greatest + 2**103 - 1) == greatest
    assert binary32.nearest(greatest + 2**103) == math.inf
    assert binary32.nearest(-(2**200)) == -math.inf


def test_a_fraction_is_rounded_once():
    """0.1 through binary64 would be the same here; this one is not: just above a tie by less than binary64 can see."""
    just_above = Fraction(2**24 + 1, 2**24) + Fraction(1, 2**80)
    assert binary32.nearest(just_above) == 1 + 2.0**-23
    assert float(np.float32(float(just_above))) == 1.0


def test_signs_of_zero():
    assert bits(binary32.add(-0.0, -0.0)) == 0x80000000
    assert bits(binary32.add(1.5, -1.5)) == 0
    assert bits(binary32.mul(-0.0, 3.0)) == 0x80000000
    assert bits(binary32.mul(-(2.0**-100), 2.0**-100)) == 0x80000000


def test_is_binary32():
    assert binary32.is_binary32(0.5) and binary32.is_binary32(math.inf) and binary32.is_binary32(math.nan)
    assert not binary32.is_binary32(0.1)


@pytest.mark.parametrize("operand", [0.1, 1, np.float32(0.5), 2.0**128, 2.0**-150])
def test_an_operand_that_is_not_a_binary32_number_is_refused(operand):
    for operation in (binary32.add, binary32.sub, binary32.mul, binary32.div):
        with pytest.raises(ParameterError, match="a binary32 number"):
            operation(1.0, operand)
