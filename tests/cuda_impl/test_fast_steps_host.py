"""One product a step, without a GPU: what is planned, and whole runs whose kernels Python runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cuda_impl.fast.gpu_layout import SHIFTED
from cuda_impl.fast.gpu_moving_steps import MOST_OF_PRODUCT, MOST_OF_STATE, MOST_OF_X, MOST_OF_ZERO, plain_limits
from cuda_impl.fast.gpu_pack import product_rows
from cuda_impl.fast.gpu_steps_plan import padded_width, row_groups, span_steps, spans, worth_steps
from cuda_impl.fast.network import narrowest_dtype
from golden.sequence import forward
from golden.spec.formats import IntFormat
from golden.spec.params import MAX_RRH_MULTIPLIER, MShift
from golden.spec.rounding import Rounding
from tests.cuda_impl.test_fast_gpu import codes, network
from tests.verification.small import mshift_set


def test_padding_is_what_the_product_takes():
    assert [padded_width(n) for n in (1, 64, 65, 2500)] == [64, 64, 128, 2560]


@pytest.mark.parametrize("reverse", [False, True])
def test_spans_cover_every_step_once_in_order(reverse):
    for steps in (0, 1, 2, 7, 128, 129, 1000):
        for most in (1, 100_000, 1 << 22, 1 << 32):
            span = span_steps(steps, 9, 64, most)
            pieces = spans(steps, span, reverse)
            times = [
                t for first, n in pieces for t in (range(first + n - 1, first - 1, -1) if reverse else range(first, first + n))
            ]
            assert times == list(range(steps))[:: -1 if reverse else 1]
            assert all(n % 2 == 0 for _first, n in pieces[:-1]) and span <= 128
            assert span <= 2 or span * 9 * 3 * 64 * 4 <= most
    assert span_steps(512, 512, 2048, 4 << 30) == 128 and span_steps(512, 512, 2048, 256 << 20) == 20


def test_row_groups_cover_every_row():
    for batch in (1, 7, 8, 9, 300, 512, 100_000):
        for tiles in (1, 16, 32, 128):
            groups, rows = row_groups(batch, tiles, 396, 8)
            assert groups * rows >= batch > (groups - 1) * rows
            assert groups == 1 or groups * tiles <= 396


def test_the_rows_of_a_product_are_gate_by_gate():
    W = np.random.default_rng(0).integers(-128, 128, (5, 3 * 7))
    rows = product_rows(W, 64, 9).reshape(3, 64, 9)
    assert all(rows[gate, unit, k] == W[k, 7 * gate + unit] for gate in range(3) for unit in range(7) for k in range(5))
    assert np.abs(rows.astype(int)).sum() == np.abs(W).sum() and rows.dtype == np.int8


def test_a_product_a_step_is_taken_where_it_was_the_faster():
    faster, slower = [(512, 1024), (1024, 1024), (128, 2048), (512, 2048)], [(128, 1024), (1024, 512), (512, 512), (128, 512)]
    assert [worth_steps(*size) for size in faster + slower] == [True] * 4 + [False] * 4  # at T = 128


@pytest.mark.parametrize("shift", [0, 1, 15, 18, 31])
@pytest.mark.parametrize("reach", [0, 255, 2**20, 2**25])
def test_the_limits_of_the_plain_cell_keep_every_intermediate_in_int32(shift, reach):
    """The worst case of GM-1 ... GM-3 in exact integers, with every multiplier at its limit."""
    M_Rh, M_rRh, M_gh = plain_limits(reach, shift)
    rounded = (1 << shift) >> 1

    def up(v, multiplier):
        return (v * multiplier + rounded) >> shift

    terms = up(reach, M_Rh), up(127 * (reach + MOST_OF_STATE), M_rRh)
    gates = [MOST_OF_PRODUCT + MOST_OF_X + term for term in terms]
    n = up(127 * 128, M_gh)
    S = 127 * 255 + n
    inputs = [up(gate, 1 << shift) + MOST_OF_ZERO for gate in gates]
    assert max(*terms, *gates, *inputs, n, S, reach + MOST_OF_STATE) < 2**31 and 127 * min(M_rRh, MAX_RRH_MULTIPLIER) < 2**31


def set_of(name: str, hidden: int):
    if name.startswith("mshift"):
        rng = np.random.default_rng(hidden)
        drawn = {"W": rng.integers(-128, 128, (16, 3 * hidden)), "R": rng.integers(-60, 61, (hidden, 3 * hidden))}
        drawn |= {bias: rng.integers(-500, 501, 3 * hidden) for bias in ("bx", "br")}
        return mshift_set(**drawn, **({"m_rRh": MShift(2**24 - 1, 0)} if name == "mshift wide" else {}), zp_h=3)
    p = network(16, hidden, "pot")
    if name == "pot":
        return p
    h = replace(p.operators["input.h"], fmt=IntFormat(8, False), zero_point=120)
    return replace(p, operators={**p.operators, "input.h": h})


@pytest.mark.ptx
@pytest.mark.parametrize(
    ("name", "hidden", "each"),
    [("mshift", 5, 2), ("mshift", 6, 1), ("mshift wide", 6, 1), ("pot", 66, 2), ("pot unsigned", 7, 2)],
)
def test_runs_of_the_network_on_the_host(name, hidden, each, monkeypatch):
    torch = pytest.importorskip("torch")
    from tests.cuda_impl.steps_on_host import host_machine

    machine = host_machine(monkeypatch, torch)
    from cuda_impl.fast.gpu_steps_network import StepNetwork

    p = set_of(name, hidden)
    steps, batch, dtype = 3, 17, getattr(torch, narrowest_dtype(p.fmt_h).name)
    made = StepNetwork(p, span_bytes=2 * batch * 3 * padded_width(hidden) * 4, each=each)
    assert made.constants.plain == (name != "mshift wide")
    h0 = codes(p.fmt_h, (batch, hidden), 1)
    mask = np.random.default_rng(2).integers(0, 2, (steps, batch, hidden))
    options = [{}, {"reverse": True, "zoneout": 0.3}, {"mask": mask, "training": True, "reverse": True}]
    for index, chosen in enumerate(options):
        for again in range(2):  # the second run records and replays
            x = codes(p.fmt_x, (steps, batch, 16), 10 * index + again)
            first = h0 if again else None
            wanted = forward(p, x, first, **chosen).h
            out = torch.zeros(wanted.size + 1, dtype=dtype)[1:].view(wanted.shape) if again else None
            found = made.forward(torch.from_numpy(x), first, **chosen, out=out)
            assert np.array_equal(found.numpy(), wanted)
            assert found is out or not again
    assert machine.replays > 0 and len(made._rooms) == 1
    assert all(set(room.inputs) == {(2 * batch, 0), (batch, 0)} for room in made._rooms.values())  # kept from run to run
    graphs, replays = [dict(room.graphs) for room in made._rooms.values()], machine.replays
    monkeypatch.setattr("cuda_impl.fast.gpu_steps_network.torch_of", lambda x: None)
    for chosen in options:  # arrays that are not torch's: step by step
        assert np.array_equal(made.forward(x, h0, **chosen).numpy(), forward(p, x, h0, **chosen).h)
    assert machine.replays == replays and graphs == [room.graphs for room in made._rooms.values()]
    empty = made.forward(torch.zeros((0, batch, 16), dtype=getattr(torch, narrowest_dtype(p.fmt_x).name)), h0)
    assert np.array_equal(empty.numpy()[0], h0)


MOVED = [
    (15, {}),
    (14, {"gate.z_pre": -1, "gate.r_pre": -1, "gate.g_pre": -1}),
    (13, {"op.Rh_add_br": -1}),
    (11, {"op.old_contrib": 1, "op.new_contrib": 1}),
    (8, {"gate.z_pre": -1, "gate.r_pre": -1, "gate.g_pre": -1, "op.Rh_add_br": -1, "op.old_contrib": 1, "op.new_contrib": 1}),
    (6, {"gate.z_pre": 1}),
    (5, {"matmul.Rh": -1}),
    (3, {"op.old_contrib": -1}),
    (0, {"gate.z_pre": 1, "op.Rh_add_br": 1, "op.new_contrib": -1}),
]


@pytest.mark.ptx
@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("rounding", [Rounding.TIES_AWAY, Rounding.TIES_EVEN])
@pytest.mark.parametrize(("still", "changes"), MOVED)
def test_shifts_that_a_kernel_knows_of(still, changes, rounding, real, monkeypatch):
    torch = pytest.importorskip("torch")
    from tests.cuda_impl.steps_on_host import host_machine

    host_machine(monkeypatch, torch)
    from cuda_impl.fast import gpu_pack_real
    from cuda_impl.fast.gpu_steps_network import StepNetwork

    if not real:
        monkeypatch.setattr(gpu_pack_real, "real_constants", lambda p: None)
    p = network(16, 6, "pot")
    moved = {key: replace(p.operators[key], exponent=p.operators[key].exponent + by) for key, by in changes.items()}
    p = replace(p, operators={**p.operators, **moved}, rounding=rounding)
    made = StepNetwork(p)
    assert made.kind.still == (still - (still & SHIFTED) if real else still)
    assert made.constants.plain and made.kind.real == real
    x, h0 = codes(p.fmt_x, (3, 30, 16), still), codes(p.fmt_h, (30, 6), 1)
    assert np.array_equal(made.forward(torch.from_numpy(x), h0).numpy(), forward(p, x, h0).h)
