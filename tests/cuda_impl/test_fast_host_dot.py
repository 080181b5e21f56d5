"""The dot products of the host build, every way that a CPU may take, on the largest sums and on drawn ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from cuda_impl.fast import host_programs
from cuda_impl.fast.host import prepare_host
from cuda_impl.fast.host_dot import ROWS, make_dot
from cuda_impl.fast.host_ir import ISAS, best_isa
from cuda_impl.fast.host_programs import Product
from cuda_impl.fast.host_state import Form
from cuda_impl.fast.pack import modulo_int32, pack_weights
from cuda_impl.fast.pack_pot import split_shift
from cuda_impl.launch import namespace
from golden.sequence import forward
from tests.verification.small import mshift_set, pot_set

HERE = ISAS[ISAS.index(best_isa()) :]
WAYS = [(isa, kind) for isa in HERE for kind in (("bytes", "pairs") if isa == "vnni" else ("pairs",))]


def kernel(isa: str, kind: str, rows: int):
    dot = make_dot(isa, kind, rows)

    @njit
    def run(data, weights, start, out):
        dot(data.ctypes.data, data.strides[0], weights.ctypes.data, weights.shape[0], start.ctypes.data, out.ctypes.data)

    return run


@pytest.mark.parametrize(("isa", "kind"), WAYS)
def test_kernels(isa, kind):
    """Sums modulo 2^32 of unsigned bytes and signed weights, at the ends of both, and drawn."""
    rng = np.random.default_rng(0)
    last = 127 if kind == "bytes" else 32767
    data_type = np.uint8 if kind == "bytes" else np.int16
    for rows in (ROWS if kind == "bytes" or isa != "vnni" else (8, 1)):
        run = kernel(isa, kind, rows)
        for case in range(4):
            data = rng.integers(0, 256, (rows, 64)).astype(data_type)
            weights = rng.integers(-last - 1, last + 1, (64, 48))
            if case < 3:
                data[:] = 255
                weights[:] = (-last - 1, last, -last - 1)[case]
                weights[::2] = last if case == 2 else weights[::2]
            packed = pack_weights(weights, Form(kind, 1))
            start = rng.integers(-(2**31), 2**31, 48).astype(np.int32)
            out = np.empty((rows, 48), np.int32)
            run(data, packed.words[0], start, out)
            expected = modulo_int32(data.astype(np.int64) @ weights + start)
            assert np.array_equal(out, expected), (rows, case)


@pytest.mark.parametrize("isa", HERE[-1:])
def test_networks_on_lesser_instructions(isa):
    rng = np.random.default_rng(1)
    params = mshift_set()
    x = rng.integers(-128, 128, (4, 11, 2)).astype(np.int8)
    assert np.array_equal(prepare_host(params, isa).forward(x), forward(params, x).h)


def test_wide_products_are_cut_where_32_bits_end():
    """Sums of 600 products at the ends of 16 bits leave int32 many times over."""
    packed = pack_weights(np.full((600, 48), -32768), Form("pairs", 2))
    assert packed.chunk * 2 * 255 * 32768 < 2**31 <= (packed.chunk * 2 + 16) * 255 * 32768
    assert packed.magnitude == 600 * 32768
    product = Product(best_isa(), Form("pairs", 2), True)
    multiply = host_programs.product_program(product)
    x = np.stack([np.full((1, 600), 65535, np.uint16), np.arange(600, dtype=np.uint16)[None] * 109])
    operand, parts = np.zeros((2, 2, 608), np.int16), np.empty((8, 48), np.int32)
    out = np.empty((1, 2, 48), np.int64)
    counters = np.zeros(24, np.int64)
    start, correction = np.zeros((1, 48), np.int32), 5 * packed.sums
    multiply(
        counters, 0, 1, 1, 0, 2, 2, 0, 0, packed.groups, packed.chunk, packed.words, start, correction,
        x, operand, parts, out.view(np.uint8).reshape(-1),
    )  # fmt: skip
    assert np.array_equal(out[0], (x[:, 0].astype(np.int64) - 5) @ np.full((600, 48), -32768))


@given(st.integers(-45, 90), st.integers(-(2**31) + 1, 2**31 - 1), st.sampled_from([1, 2]))
def test_shifts_in_three_numbers(s, x, rounding):
    """Left, half and right give the rounding of the clauses, also far beyond the width."""
    x >>= max(0, -s - 31)  # a set whose left shifts leave int64 is refused
    left, half, right = split_shift(s, 64)
    size = abs(x << left)
    if rounding == 2 and half:
        half += -1 + ((size >> right) & 1)
    got = (size + half) >> right
    assert (got if x >= 0 else -got) == int(namespace("host")["shift_round"](x, s, rounding))


def test_narrow_lanes_only_where_nothing_can_leave_them():
    params = pot_set()
    assert not prepare_host(params).h_side.product.wide
    far = dict(params.operators)
    far["op.rRh"] = replace(far["op.rRh"], exponent=30)  # a left shift by 17
    wide = replace(params, operators=far)
    network = prepare_host(wide)
    assert network.h_side.product.wide
    x = np.random.default_rng(4).integers(-128, 128, (5, 3, 2)).astype(np.int8)
    assert np.array_equal(network.forward(x), forward(wide, x).h)
