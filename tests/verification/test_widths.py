"""Widths: bounds against every input, witnesses in golden, and what one bit less does."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from itertools import permutations, product

import numpy as np
import pytest

from golden.rescale import MShift
from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, IntFormat
from golden.spec.params import Operator
from tests.verification.small import dynamic_set, mshift_set, pot_set
from tests.verification.widths_sets import network, strange
from verification.widths.analysis import analyse, count, value_in
from verification.widths.bound import bounds
from verification.widths.columns import data_of
from verification.widths.least import bits_each, bits_of, fits, unsigned_bits_of, wrap
from verification.widths.linear import any_order, extremes
from verification.widths.narrow import changed, narrowed
from verification.widths.refine import follow, pursued, refined

NETWORKS, STRANGE = (20, 21, 24, 25, 27), range(5)


def test_least_widths():
    pairs = [(0, 0), (-1, 0), (0, 1), (-2, 1), (-3, 0), (-128, 127), (0, 127), (0, 128), (-129, 0), (-(2**31), 2**31)]
    assert [bits_of(*p) for p in pairs] == [1, 1, 2, 2, 3, 8, 8, 9, 9, 33]
    assert [unsigned_bits_of(*p) for p in pairs] == [1, None, 1, None, None, None, 7, 8, None, None]
    assert bits_each(np.array([0, -5]), np.array([3, 2])).tolist() == [3, 4]


def test_a_narrow_register_wraps():
    values = [-129, -128, -1, 0, 127, 128, 255, 256]
    assert wrap(values, 8).tolist() == [127, -128, -1, 0, 127, -128, -1, 0]
    assert wrap(values, 1).tolist() == [-1, 0, -1, 0, -1, 0, -1, 0]
    assert wrap(values, 0).tolist() == [0] * 8
    assert wrap([2**62, -(2**62)], 63).tolist() == [-(2**62), -(2**62)]
    assert fits(values, 8).tolist() == [False, True, True, True, True, False, False, False]


@pytest.mark.parametrize("zero_point", [-5, -2, 0, 1, 4])
def test_dot_products_over_every_input_and_order(zero_point):
    weights, fmt = np.array([[3, 0], [-2, 5], [7, -1]]), IntFormat(2, True)
    terms = [(np.array(q)[:, None] - zero_point) * weights for q in product(range(fmt.qmin, fmt.qmax + 1), repeat=3)]
    sums = np.array([t.sum(axis=0) for t in terms])
    assert extremes(weights, fmt, zero_point).tolist() == [sums.min(axis=0).tolist(), sums.max(axis=0).tolist()]
    partial = np.array([np.cumsum(t[list(p)], axis=0) for t in terms for p in permutations(range(3))]).reshape(-1, 2)
    low, high = any_order(weights, fmt, zero_point)
    assert low.tolist() == np.minimum(partial.min(axis=0), 0).tolist()
    assert high.tolist() == np.maximum(partial.max(axis=0), 0).tolist()


def test_what_follows_from_another_product_holds_for_every_input():
    rng = np.random.Generator(np.random.PCG64(1))
    fmt = IntFormat(3, True)
    codes = np.array(list(product(range(fmt.qmin, fmt.qmax + 1), repeat=3)))
    for zero_point in (-1, 6):
        source, target = rng.integers(-9, 10, (2, 3))
        s, t = (codes - zero_point) @ source, (codes - zero_point) @ target
        cells = np.array([[s.min(), s.min() + 9, -1], [s.min() + 8, s.max() - 1, 3]])
        low, high = follow(source, target, fmt, zero_point, cells)
        for i, (a, b) in enumerate(cells.T):
            inside = t[(s >= a) & (s <= b)]
            assert inside.size == 0 or (low[i] <= inside.min() and inside.max() <= high[i])
        whole = follow(source, target, fmt, zero_point, np.array([[s.min()], [s.max()]]))
        assert whole[:, 0].tolist() == [t.min(), t.max()]


def one_unit(number: int):
    """A network or a strange set with one input and one unit, of 8 bits."""
    base = (network if number < 0 else strange)(abs(number))
    H = base.hidden_size
    columns = [0, H, 2 * H]
    changes = {"W": base.W[:1, columns], "R": base.R[:1, columns], "bx": base.bx[columns], "br": base.br[columns]}
    if base.datapath == "pot":
            changes["operators"] = {
            name: Operator(o.fmt, o.exponent[columns], 0) if np.ndim(o.exponent) else o for name, o in base.operators.items()
        }
    return replace(base, **changes)


@pytest.mark.parametrize("number", [-1, -5, 0, 1, 2, 3, 10, 11, 13, 16, 18, 21])
def test_against_every_input_and_state(number):
    params = one_unit(number)
    d = data_of(params)
    assert d.fmt_x == d.fmt_h == INT8
    x, h = (a.reshape(1, -1, 1).astype(np.int32) for a in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    trace = forward(params, x, h[0], zoneout=0.25)
    units = np.array([0])
    ends = [dict(zip("zrg", extremes(w, INT8, zp)[:, None].transpose(2, 0, 1), strict=True)) for w, zp in
            ((params.W, d.zp_x), (params.R, d.zp_h))]  # fmt: skip
    coarse, fine = bounds(params, *ends, units, 0.25), refined(params, 0, 0.25)
    verdicts = set()
    for r in analyse(params, 0.25):
        values = trace[r.name][:1] if r.name == "h" else trace[r.name]
        low, high = int(values.min()), int(values.max())
        assert r.bound[0] <= low <= r.ends[0] <= r.ends[1] <= high <= r.bound[1], r.name
        if r.verdict == "exact":
            assert r.ends == (low, high), r.name
        if r.verdict != "open":
            assert r.bits == bits_of(low, high), r.name
        if r.name in coarse:
            assert coarse[r.name].min() <= low and high <= coarse[r.name].max(), r.name
            assert fine[r.name][0] <= low and high <= fine[r.name][1], r.name
        if number in (-5, 1, 2) and r.name in ("P_prod", "S", "h_acc"):
            finer = pursued(params, 0, r.name, r.bits - 1, 0.25)
            assert finer[0] <= low and high <= finer[1], r.name
        verdicts.add(r.verdict)
    assert verdicts <= {"exact", "tight"}


def test_without_a_narrow_register_the_step_is_goldens():
    for params in (network(1), network(2), strange(6), strange(9)):
        rng = np.random.Generator(np.random.PCG64(5))
        d = data_of(params)
        x = rng.integers(d.fmt_x.qmin, d.fmt_x.qmax + 1, (7, params.input_size))
        h = rng.integers(d.fmt_h.qmin, d.fmt_h.qmax + 1, (7, params.hidden_size))
        trace = forward(params, x[None].astype(np.int32), h.astype(np.int32), zoneout=0.5)
        fields = narrowed(params, x, h, None, 0, 0.5)
        assert set(fields) == set(trace)
        for name, values in fields.items():
            wanted = trace[name][1 if name == "h" else 0] if trace[name].ndim else trace[name]
            assert np.array_equal(values, wanted), name


@pytest.mark.parametrize("make,number", [*((network, n) for n in NETWORKS), *((strange, n) for n in STRANGE)])
def test_witnesses_reach_their_ends_and_need_every_bit(make, number):
    params = make(number)
    registers = analyse(params)
    assert len(registers) == count(params)
    for r in registers:
        assert r.verdict in ("exact", "tight"), r.name
        assert sorted((r.witness.value, r.other.value)) == sorted(r.ends), r.name
        for reached in (r.witness, r.other, *([] if r.shown is None else [r.shown])):
            trace = forward(params, reached.x[None, None].astype(np.int32), reached.h[None].astype(np.int32))
            assert value_in(trace, r.name, reached) == reached.value, r.name
        x, h = r.witness.x[None], r.witness.h[None]
        assert not changed(params, x, h, r.name, r.bound_bits)[0], r.name
        if r.ends != (0, 0):
            assert not fits(r.witness.value, r.bits - 1), r.name
        if r.seen == "h":
            assert r.shown is not None and not fits(r.shown.value, r.bits - 1)
            assert r.name == "h_new" or changed(params, r.shown.x[None], r.shown.h[None], r.name, r.bits - 1)[0], r.name
        elif r.seen:
            assert r.shown is not None
            wrong = narrowed(params, r.shown.x[None], r.shown.h[None], r.name, r.bits - 1)
            right = narrowed(params, r.shown.x[None], r.shown.h[None], None)
            assert not np.array_equal(right[r.seen], wrong[r.seen]), r.name
    if make is network:
        assert [r.name for r in registers if r.seen != "h" and r.ends != (0, 0)] == []


def test_channels_have_their_own_widths():
    registers = {r.name: r for r in analyse(mshift_set(R=np.array([[1, -90, 2, 3, -4, 5], [0, 120, 0, 1, 1, 1]])))}
    rh = registers["Rh"]
    assert rh.channel_bits.tolist() == [8, 16, 9, 10, 11, 11]
    assert rh.bits == 16 and (rh.witness.gate, rh.witness.unit) == ("z", 1)
    assert rh.ends == rh.bound == (-26790, 26760)
    assert rh.channels_attained == 6


def test_a_register_that_is_always_zero_has_nothing_to_narrow():
    zero = np.zeros(6, np.int64)
    registers = {r.name: r for r in analyse(mshift_set(bx=zero))}
    assert registers["z_bx_aligned"].ends == (0, 0)
    assert registers["z_bx_aligned"].seen == ""
    assert registers["z_bx_aligned"].bits == 1


def test_saturation_ends_a_width():
    registers = {r.name: r for r in analyse(mshift_set(m_Rh_z=MShift(2**31 - 1, 0), bx=np.zeros(6, np.int64)))}
    assert registers["z_Rh_aligned"].bits == 32
    assert registers["z_acc"].bits == 33
    assert registers["z_a"].bits == 32
    assert registers["z_a"].ends == (-(2**31), 2**31 - 1)


def test_unsigned_gates_of_datapath_p():
    registers = {r.name: r for r in analyse(pot_set())}
    assert (registers["z"].bound_bits, registers["z"].unsigned) == (9, 8)
    assert registers["Wx_acc"].unsigned is None


def test_moving_ranges_are_refused():
    with pytest.raises(ParameterError, match="^datapath is mshift-dynamic, expected a static set, mshift or pot, whose scales"):
        analyse(dynamic_set())


@pytest.mark.skipif(find_spec("g2p_en") is None, reason='g2p-en is not installed: pip install "qgru[examples]"')
def test_every_register_of_the_trained_network():
    from qgru.networks import network_cases

    params = {c.id: c.params for c in network_cases("g2p", 1, "all", 0)}
    for id in ("network-g2p-encoder-mshift8", "network-g2p-encoder-pot8"):
        registers = analyse(params[id])
        assert {r.verdict for r in registers} <= {"exact", "tight"}
        assert {r.seen for r in registers} == {"h"}
