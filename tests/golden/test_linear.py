"""The integer product, against the judge.  [SPEC L-1, L-2]"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from golden.linear import matmul
from golden.spec.errors import WidthError
from verification.exact.linear import matmul as judge


def judge_matmul(x: np.ndarray, w: np.ndarray, zero_point: int) -> list[list[int]]:
    columns = w.T.tolist()
    return [[judge(row, column, zero_point) for column in columns] for row in x.tolist()]


@pytest.mark.parametrize("zero_point", [-5, -1, 0, 3, 2**31 - 1, -(2**31)])
def test_every_3_bit_pair_of_codes_and_weights(zero_point):
    x = np.array(list(itertools.product(range(-4, 4), repeat=2)))
    assert matmul(x, x.T, zero_point).tolist() == judge_matmul(x, x.T, zero_point)


@pytest.mark.parametrize("bits", [4, 5, 6])
def test_every_product_of_one_element(bits):
    codes = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))[:, None]
    for zero_point in (0, 1, -(2 ** (bits - 1)), 2**bits):
        assert matmul(codes, codes.T, zero_point).tolist() == judge_matmul(codes, codes.T, zero_point)


@pytest.mark.parametrize(
    ("length", "low", "high", "zero_point"),
    [
        (300, -128, 127, 0),
        (300, -128, 127, 127),
        (7, -32768, 65535, 0),
        (33, -32768, 32767, 2**31 - 1),  # between 2**53 and 2**63: not through float64
        (33, -32768, 32767, -(2**31)),
    ],
)
def test_long_and_wide_products(length, low, high, zero_point):
    rng = np.random.default_rng(length)
    for x, w in (
        (rng.integers(low, high + 1, (3, length)), rng.integers(-32768, 32768, (length, 5))),
        (np.full((1, length), low), np.full((length, 1), -32768)),
        (np.full((1, length), high), np.full((length, 1), -32768)),
    ):
        assert matmul(x, w, zero_point).tolist() == judge_matmul(x, w, zero_point)


def test_leading_axes_are_kept():
    x = np.arange(24).reshape(2, 3, 4)
    w = np.arange(8).reshape(4, 2)
    assert matmul(x, w, 5).shape == (2, 3, 2)
    assert matmul(x, w, 5)[1, 2].tolist() == judge_matmul(x[1, 2][None], w, 5)[0]


def test_a_sum_that_could_leave_int64_is_refused():
    with pytest.raises(WidthError, match="dot product"):
        matmul([[2**31]], [[2**32]], 0)
