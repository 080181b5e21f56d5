"""Datapath P in binary32: rounding at every tie, whole steps against golden, and the sets that are not taken.  [SPEC G-P]"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.ptx
pytest.importorskip("numba.cuda")

from cuda_impl.fast import gpu_pack, gpu_real  # noqa: E402
from cuda_impl.fast.gpu_layout import STILL_A, STILL_SUM, STILL_Wx  # noqa: E402
from cuda_impl.fast.gpu_pack_real import APART, BIG, NEAR, factor, pot_constants, real_constants  # noqa: E402
from golden.rounding import shift_round  # noqa: E402
from golden.sequence import forward  # noqa: E402
from golden.spec.formats import INT8, INT16, UINT8, IntFormat  # noqa: E402
from golden.spec.rounding import Rounding  # noqa: E402
from tests.cuda_impl.real_on_host import fused, replace_operations  # noqa: E402
from tests.cuda_impl.test_fast_gpu import codes, network  # noqa: E402
from tests.verification.small import pot_set  # noqa: E402

ROUNDINGS = [Rounding.TIES_AWAY, Rounding.TIES_EVEN]
STEP = np.float32(1 / 256)
ADDRESSES = [0, 64, 0x400, 0x01000080, 0x0F00FF80]  # in a cluster the upper bits are the number of the block


def near_ties(shift: int, most: int) -> np.ndarray:
    """Integers up to `most`: all small ones, the largest, some drawn, and what lies about drawn ties of a shift."""
    drawn = np.random.default_rng(abs(shift)).integers(0, most, 20_000)
    middle = ((drawn >> max(shift, 0)) << max(shift, 0)) + ((1 << max(shift, 1)) >> 1)
    found = np.concatenate([np.arange(4096), most - 1 - np.arange(64), drawn, middle - 1, middle, middle + 1])
    found = found[(found >= 0) & (found < most)]
    return np.concatenate([found, -found])


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shift", [*range(-6, 24), 30, 31, 75])
def test_one_addition_rounds_as_the_clause_does(shift, rounding):
    away = rounding is Rounding.TIES_AWAY
    most = 2**23 if shift > 0 else 2 ** (20 + shift)
    x = near_ties(min(shift, 30), most)
    x = x[np.abs(shift_round(x, shift, rounding)) < 2**21]
    f = np.float32(factor(shift, away))
    assert f == factor(shift, away)
    found = fused(x.astype(np.float32), f, np.float32(BIG)) - np.float32(BIG)
    assert np.array_equal(found / STEP, shift_round(x, shift, rounding))


@pytest.mark.parametrize("shift", range(1, 25))
def test_one_addition_rounds_every_sum_below_2_to_the_23rd(shift):
    """Ties away from zero, for which the factor is greater than the power of two."""
    f = np.float32(factor(shift, True))
    for first in range(1 - 2**23, 2**23, 2**20):
        x = np.arange(first, min(first + 2**20, 2**23))
        wanted = shift_round(x, shift, Rounding.TIES_AWAY)
        known = np.abs(wanted) < 2**21  # all larger ones saturate
        found = fused(x[known].astype(np.float32), f, np.float32(BIG)) - np.float32(BIG)
        assert np.array_equal(found / STEP, wanted[known])


@pytest.mark.parametrize("push", [0.0, 2.0**-16])
def test_without_the_least_push_ties_are_lost(push):
    """A tie of two stays in the middle without a push; a large one moves what lies below a tie."""
    x = near_ties(3, 2**23)
    f = np.float32(np.ldexp(1.0 + push, -11))
    found = fused(x.astype(np.float32), f, np.float32(BIG)) - np.float32(BIG)
    assert not np.array_equal(found / STEP, shift_round(x, 3, Rounding.TIES_AWAY))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shift", range(-2, 18))
def test_products_of_two_codes_one_with_the_factor(shift, rounding):
    """Every product below 2^16 of what 9 bits hold."""
    away = rounding is Rounding.TIES_AWAY
    a, b = np.meshgrid(np.arange(-256, 257), np.arange(-255, 256))
    a, b = a[np.abs(a * b) < 2**16], b[np.abs(a * b) < 2**16]
    exact = a * factor(shift, away, APART)
    assert np.array_equal(exact.astype(np.float32), exact)
    found = fused(exact.astype(np.float32), b.astype(np.float32), np.float32(BIG)) - np.float32(BIG)
    assert np.array_equal(found / STEP, shift_round(a * b, shift, rounding))
    assert NEAR < APART


def stepped(p, x, h, monkeypatch, first=0):
    """One step of real_cell on arrays: x [N, C] and h [N, H] codes; first is the address of the tables."""
    from numba import cuda

    c = real_constants(p)
    assert c is not None and c.real and c.tables.dtype == np.int32
    tables = c.tables.reshape(-1)
    with monkeypatch.context() as patched:

        def entry(at):
            assert np.all((at - first) % 4 == 0)
            return tables[(at - first) // 4]

        replace_operations(patched, entry)
        patched.setattr(cuda, "jit", lambda **_: lambda function: function)
        cell = gpu_real.real_cell(c.still)
        raw = []
        for q, fmt, weights in ((x, p.fmt_x, p.W), (h, p.fmt_h, p.R)):
            total = (q.astype(np.int64) - gpu_pack.offset(fmt)) @ np.asarray(weights, np.int64)
            raw += np.split(total.astype(np.int32), 3, axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            new = cell(c.narrow, c.narrow, *raw, h.astype(np.int32), np.int32(first), np.int64(0), c.numbers.astype(np.int32))
    return new


def changed(p, **changes):
    """Exponents by so much more, or what else an operator is to have."""
    operators = dict(p.operators)
    for key, change in changes.items():
        key = key.replace("__", ".")
        given = {"exponent": operators[key].exponent + change} if isinstance(change, int) else change
        operators[key] = replace(operators[key], **given)
    return replace(p, operators=operators)


def drawn_set(seed: int):
    """A set of datapath P of at most 8 bits near a calibrated one."""
    rng = np.random.default_rng(seed)
    p = network(int(rng.integers(1, 80)), int(rng.integers(1, 70)), "pot", bits=int(rng.choice([3, 5, 7, 8, 8, 8])))
    changes = {}
    for key in ("matmul.Wx", "matmul.Rh", "op.Rh_add_br", "op.rRh", "op.old_contrib", "op.new_contrib", "input.h"):
        fmt = p.operators[key].fmt
        changes[key] = {
            "exponent": int(np.clip(p.operators[key].exponent + rng.integers(-2, 3), -15, 30)),
            "zero_point": int(rng.integers(fmt.qmin, fmt.qmax + 1)) if rng.random() < 0.5 else p.operators[key].zero_point,
        }
    for k in "zrg":
        changes[f"gate.{k}_pre"] = {"exponent": int(p.operators[f"gate.{k}_pre"].exponent + rng.integers(-1, 2))}
        changes[f"gate.{k}_out"] = {"exponent": int(p.operators[f"gate.{k}_out"].exponent + rng.integers(-1, 2))}
    operators = {key: replace(op, **changes.get(key, {})) for key, op in p.operators.items()}
    return replace(p, operators=operators, rounding=ROUNDINGS[seed % 2])


def test_steps_of_drawn_sets(monkeypatch):
    still = set()
    for seed in range(150):
        p = drawn_set(seed)
        x, h = codes(p.fmt_x, (200, p.input_size), seed), codes(p.fmt_h, (200, p.hidden_size), seed + 1)
        found = stepped(p, x, h, monkeypatch, ADDRESSES[seed % 5])
        assert np.array_equal(found, forward(p, x[None], h).h[1]), seed
        still.add(real_constants(p).still)
    assert len(still) > 3


CHANGES = [
    ({}, STILL_Wx + STILL_A + STILL_SUM),
    ({"gate__z_pre": -1, "gate__r_pre": -1, "gate__g_pre": -1, "op__Rh_add_br": -1, "op__new_contrib": 1}, 0),
    ({"op__Rh_add_br": 1}, STILL_Wx + STILL_SUM),
    ({"input__h": {"fmt": UINT8, "zero_point": 120}}, STILL_Wx + STILL_A + STILL_SUM),
    ({"matmul__Wx": 3, "matmul__Rh": 3}, None),  # nearly all sums saturate
    ({"op__rRh": 9, "op__old_contrib": 5, "op__new_contrib": 4}, None),
    ({"op__rRh": -9, "op__old_contrib": -5, "op__new_contrib": -4}, None),
]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("changes", "still"), CHANGES)
def test_steps_at_every_saturation(changes, still, rounding, monkeypatch):
    p = replace(changed(network(40, 24, "pot"), **changes), rounding=rounding)
    assert still is None or real_constants(p).still == still
    x, h = codes(p.fmt_x, (3000, 40)), codes(p.fmt_h, (3000, 24), 1)
    x[:1000], h[:1000] = x[:1000] // 8, h[:1000] // 8  # small ones, whose sums seldom saturate
    assert np.array_equal(stepped(p, x, h, monkeypatch), forward(p, x[None], h).h[1])


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_sums_beyond_what_binary32_counts(rounding, monkeypatch):
    """2000 products of the largest codes: up to 2^26, of which all above 2^23 saturate."""
    rng = np.random.default_rng(5)
    p = network(2000, 6, "pot")
    W = np.where(rng.random((2000, 18)) < 0.9, 127, -128).astype(np.int8)
    p = replace(changed(p, weight__W={"exponent": np.full(18, 2)}, matmul__Wx=-1), W=W, rounding=rounding)
    x, h = codes(p.fmt_x, (400, 2000)), codes(p.fmt_h, (400, 6), 1)
    x[:40], x[40:80] = p.fmt_x.qmax, p.fmt_x.qmin
    assert int(np.abs((x.astype(int) - p.operators["input.x"].zero_point) @ W.astype(int)).max()) > 2**25
    assert np.array_equal(stepped(p, x, h, monkeypatch), forward(p, x[None], h).h[1])


def wide_shift(p):
    """Sums above 2^23 of which 2^-17 counts."""
    W = np.full((2000, 18), 127, np.int8)
    e_x, e_Wx = p.operators["input.x"].exponent, p.operators["matmul.Wx"].exponent
    return replace(changed(p, weight__W={"exponent": np.full(18, 17 + e_Wx - e_x)}), W=W)


def small_update():
    """z of at most 100, and a zero point of h so far outside that h less it has nine bits."""
    p = pot_set()
    z = replace(p.act_z, entries=np.arange(256) % 100)
    return replace(changed(p, input__h={"zero_point": 300}), act_z=z)


def test_sets_that_are_not_taken():
    p, none = network(2000, 6, "pot"), np.zeros(18, np.int64)
    assert real_constants(p) is not None and pot_constants(p, 32).real
    refused = {
        "a wide product": changed(p, matmul__Wx={"fmt": INT16}),
        "a wide sum": changed(p, op__old_contrib={"fmt": IntFormat(9, True)}),
        "sums that binary32 does not hold": wide_shift(p),
        "a zero point far outside": changed(p, matmul__Rh={"zero_point": 2**21}, op__Rh_add_br={"exponent": 0}),
        "a product of more than 16 bits": changed(p, op__Rh_add_br={"zero_point": 400}),
        "a bias that is larger than a term may be": changed(p, weight__bx={"exponent": np.full(18, -13)}),
        "a term that a shift to the left makes larger": replace(changed(p, gate__z_pre={"exponent": 21}), bx=none, br=none),
        "a state that its factor makes longer": small_update(),
    }
    for why, one in refused.items():
        assert real_constants(one) is None, why
        if gpu_pack.pot_width(one) == 32:
            assert not pot_constants(one, 32).real
    assert not pot_constants(p, 64).real
    for why in ("a product of more than 16 bits", "a state that its factor makes longer"):
        assert real_constants(replace(refused[why], rounding=Rounding.TIES_EVEN)) is not None  # which need no push


def test_words_are_what_a_kernel_reads():
    p = network(5, 7, "pot")
    c = real_constants(p)
    assert len(c.numbers) == len(gpu_real.REAL_NUMBERS) and c.narrow.shape == (16, 7) and c.narrow.dtype == np.int32
    assert c.known == {"plain": True, "left": False, "still": c.still, "real": True} and INT8.qmin == c.numbers[-1]
    beyond = c.tables[:, 256:]
    assert np.all(beyond == c.tables[:, 255:256])  # where the sum saturates upwards
