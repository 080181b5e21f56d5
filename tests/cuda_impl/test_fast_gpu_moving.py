"""Moving ranges on a GPU without one: networks, launches and kernels, thread by thread, against golden.  [SPEC D]"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golden.sequence import forward
from golden.spec.errors import QgruError
from golden.spec.params import MShiftDynamicParams
from golden.spec.trace import DynamicState
from golden.tables import gate_table
from verification.strategies import problems

pytestmark = pytest.mark.ptx


@pytest.fixture
def machine(monkeypatch):
    pytest.importorskip("numba.cuda")
    from tests.cuda_impl import moving_on_host

    yield from moving_on_host.host_moving(monkeypatch)


def network(which, params):
    from cuda_impl.fast.gpu_moving_cluster_network import MovingClusterNetwork
    from cuda_impl.fast.gpu_moving_network import MovingNetwork

    return (MovingNetwork if which == "grid" else MovingClusterNetwork)(params)


def cut_up(monkeypatch, clusters):
    """Blocks of 16 units, and at most so many clusters that share the rows."""
    from cuda_impl.fast import gpu_moving_cluster_network as network
    from cuda_impl.fast.gpu_shape import shape_for

    def shape(hidden, batch, kind):
        found = shape_for(hidden, batch, kind, units=16, clusters=clusters)
        return found, -(-batch // found.valid)

    monkeypatch.setattr(network, "moving_shape", shape)


def outcome(run):
    """What a run gives, or the words of its refusal."""
    try:
        return run()
    except QgruError as error:
        return f"{type(error).__name__}: {error}"


def assert_same(found, wanted, h0, reverse):
    """A DynamicRun is what golden's trace says, or both were refused in the same words."""
    if isinstance(found, str) or isinstance(wanted, str):
        assert found == wanted
        return
    scales, zero_points = wanted.fields["s_h"], wanted.fields["zp_h"]
    assert np.array_equal(np.asarray(found.h).reshape(wanted.h.shape), wanted.h)
    assert np.array_equal(found.scales[1:], scales) and np.array_equal(found.zero_points[1:], zero_points)
    if scales.size:
        first = -1 if reverse else 0
        before = (h0.s_h, h0.zp_h) if isinstance(h0, DynamicState) else (scales[first], zero_points[first])
        assert (found.scales[0], found.zero_points[0]) == before
    a, b = dict(vars(found.state)), dict(vars(wanted.state))
    assert np.array_equal(a.pop("h"), b.pop("h")) and a == b


@pytest.mark.parametrize(
    ("which", "count", "hidden", "batch"), [("cluster", 60, 6, 4), ("pieces", 20, 20, 5), ("grid", 20, 20, 5)]
)
def test_drawn_problems(which, count, hidden, batch, machine, monkeypatch):
    from tests.cuda_impl.moving_on_host import PLACES

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
    @given(problems("mshift-dynamic", max_hidden=hidden, max_batch=batch), st.integers(1, 3))
    def same(problem, pieces):
        PLACES.clear()
        if which == "pieces":
            cut_up(monkeypatch, min(pieces, problem.x.shape[1]))

        def ours():
            made = network(which, problem.params)
            return problem.run(lambda _params, *arguments, **options: made.forward(*arguments, **options))

        assert_same(outcome(ours), outcome(lambda: problem.run(forward)), problem.h0, problem.reverse)

    same()
    recurrence = "moving" if which == "grid" else "moving cluster"
    assert machine.seen.count(recurrence) == machine.seen.count("input") > 0


def drawn_set(seed, inputs=7, hidden=18, **more):
    rng = np.random.default_rng(seed)
    sizes = (inputs, 3 * hidden), (hidden, 3 * hidden), 3 * hidden, 3 * hidden
    W, R, bx, br = (rng.normal(size=size).astype(np.float32) for size in sizes)
    scale, zero = 2.0**-5, more.pop("zero", 0)
    tables = {f"table_{k}": gate_table("tanh" if k == "g" else "sigmoid", scale, zero, 8) for k in "zrg"}
    zeros = {f"zp_{k}": zero for k in "zrg"}
    return MShiftDynamicParams(W, R, bx, br, scale, scale, scale, **tables, **zeros, **more)


@pytest.mark.parametrize("zero", [2**31 - 1, -(2**31), 2**30, 2**30 - 1, -(2**30), 1 - 2**30, 100])
@pytest.mark.parametrize("which", ["cluster", "grid"])
def test_zero_points_of_gate_inputs_far_from_their_format(which, zero, machine):
    p = drawn_set(1, hidden=5, zero=zero)
    ramps = {name: replace(getattr(p, name), entries=np.arange(256) // 2) for name in ("table_z", "table_r", "table_g")}
    p = replace(p, **ramps)
    x = 30 * np.random.default_rng(2).normal(size=(3, 2, 7)).astype(np.float32)
    assert_same(network(which, p).forward(x), forward(p, x), None, False)


@pytest.mark.parametrize("which", ["cluster", "grid"])
def test_a_gate_input_leaves_int32_before_its_zero_point_is_added(which, machine):
    p = drawn_set(1, hidden=5, zero=2**31 - 1)
    ramps = {name: replace(getattr(p, name), entries=np.arange(256) // 2) for name in ("table_z", "table_r", "table_g")}
    p = replace(p, bx=np.full(15, -1e30, np.float32), s_z=2.0**-20, s_r_gate=2.0**-20, s_g=2.0**-20, **{
        name: replace(table, scale_in=2.0**-20) for name, table in ramps.items()
    })  # fmt: skip
    x = np.random.default_rng(2).normal(size=(2, 2, 7)).astype(np.float32)
    assert_same(network(which, p).forward(x), forward(p, x), None, False)


def refused(name):
    """A set, x and h0 of which one range or product of scales is refused."""
    p, rng = drawn_set(3, inputs=3, hidden=4), np.random.default_rng(4)
    x, h0 = rng.normal(size=(3, 2, 3)).astype(np.float32), None
    if name in ("nan", "inf"):
        x[1, 1, 2] = np.float32(name)
    elif name == "width":
        x[::2, 0, 0], x[::2, 0, 1] = np.float32(-3e38), np.float32(3e38)
    elif name == "h0":
        h0 = np.full((2, 4), 3e38, np.float32)
        h0[0] = -3e38
    elif name == "s_Wx":
        p, x[0, 0, 0] = replace(p, W=p.W * np.float32(2.0**100)), np.float32(2.0**100)
    elif name == "s_Rh":
        p, h0 = replace(p, R=p.R * np.float32(2.0**100)), np.full((2, 4), 2.0**100, np.float32)
    return p, x, h0


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["nan", "inf", "width", "h0", "s_Wx", "s_Rh"])
@pytest.mark.parametrize("which", ["cluster", "grid"])
def test_what_is_refused_and_the_run_after_it(which, name, reverse, machine):
    p, x, h0 = refused(name)
    made, plain = network(which, p), np.ones_like(x)
    wanted = outcome(lambda: forward(p, x, h0, reverse=reverse))
    assert isinstance(wanted, str)
    assert outcome(lambda: made.forward(x, h0, reverse=reverse)) == wanted
    found = outcome(lambda: made.forward(plain, reverse=reverse))
    assert_same(found, outcome(lambda: forward(p, plain, reverse=reverse)), None, reverse)


@pytest.mark.parametrize("which", ["cluster", "pieces", "grid"])
def test_one_network_many_runs(which, machine, monkeypatch):
    """Runs of one network leave nothing behind: sizes, options and states of one are not those of the next."""
    if which == "pieces":
        cut_up(monkeypatch, 3)
    p, rng = drawn_set(5, x_symmetric=True), np.random.default_rng(6)
    made, state = network(which, p), None
    mask = rng.integers(0, 2, (2, 3, 18))
    for steps, batch, options in (
        (2, 3, {}), (2, 3, {"mask": mask, "training": True}), (2, 3, {"zoneout": 0.5, "reverse": True}), (0, 3, {}),
        (2, 3, {"reverse": True}), (1, 9, {}), (2, 3, {"zoneout": 0.25}), *[(2, 3, {})] * 4,
    ):  # fmt: skip
        x = (2.0 ** rng.integers(-9, 9, (steps, 1, 1)) * rng.normal(size=(steps, batch, 7))).astype(np.float32)
        first = replace(state, h=state.h // rng.choice((1, 4, 30))) if state and batch == 3 else None
        wanted = forward(p, x, first, **options)
        assert_same(made.forward(x, first, **options), wanted, first, options.get("reverse", False))
        state = wanted.state if batch == 3 else state


def test_more_steps_than_the_kernel_of_ranges_has_threads(machine):
    from tests.cuda_impl.moving_on_host import THREADS

    p, rng = drawn_set(7, inputs=1, hidden=1), np.random.default_rng(8)
    x = (2.0 ** rng.integers(-9, 9, (THREADS + 3, 1, 1))).astype(np.float32)
    for options in ({}, {"reverse": True}):
        assert_same(network("cluster", p).forward(x, **options), forward(p, x, **options), None, bool(options))


LAST, LAST_RRH = 2**31 - 1, 2**24 - 1
BELOW = float(np.nextafter(np.float32(1), np.float32(0)))


@pytest.mark.parametrize(
    ("lane", "scales", "shift", "shift_bias", "wanted"),
    [  # scales: of the state before, s_Wx, s_R, s_b; the state's own is taken as it is, 1 here
        (0, (1, 2.0**19, 1, 1), 18, 0, 1), (0, (1, 2.0**19, BELOW, 1), 18, 0, 0), (0, (1, 2.0**19, 3, 1), 18, 0, 2),
        (0, (1, 2.0**19, 5, 1), 18, 0, 3), (0, (1, 1, 1, 1), 31, 0, LAST), (0, (1, 1, BELOW, 1), 31, 0, 2**31 - 128),
        (7, (1, 2.0**19, 3, 1), 18, 0, 2), (0, (1, 2.0**127, 2.0**-20, 1), 0, 0, 0),
        (1, (1, 1, 2.0**19, 1), 0, 18, 1), (1, (1, 1, 2.0**19, 3), 0, 18, 2), (1, (1, 1, 1, 2), 0, 31, LAST),
        (2, (1, 2.0**-20, 127, 1), 3, 0, 2**23), (2, (1, 2.0**-20, 127, 1), 4, 0, LAST_RRH),
        (2, (1, 2.0**-9, 127, 1), 15, 0, LAST_RRH), (2, (1, 2.0**19, 127, 1), 18, 0, 1),
        (3, (1, 1, 1, 1), 18, 0, 2064), (4, (1, 1, 1, 1), 18, 0, 2064), (5, (1, 1, 1, 1), 18, 0, 2**18),
    ],
)  # fmt: skip
def test_a_multiplier_of_a_step(lane, scales, shift, shift_bias, wanted, machine):
    """floor(p + 0.5), at most its greatest, in each lane; 2^18 / 127 = 2064.13.  [SPEC M-2, D-3]"""
    from tests.cuda_impl.moving_on_host import copies

    kernels = copies()["kernels"]
    power, bound, most, _limit = kernels.lane_constants()(lane, shift, shift_bias, 7, 8, 9)
    before, s_Wx, s_R, s_b = (np.float32(v) for v in scales)
    with np.errstate(all="ignore"):
        found = kernels.state_numbers()(lane, False, 0, 0, -1, 1, before, 0, s_Wx, s_R, s_b, 0, power, bound, most)
    assert found[-1] == wanted


@pytest.mark.parametrize("which", ["cluster", "grid"])
def test_a_stream_that_no_other_one_waits_for(which, machine, monkeypatch):
    from cuda_impl.fast import gpu_moving_network

    monkeypatch.setattr(gpu_moving_network, "stream_of", lambda *_: 9)
    p, x = drawn_set(9, hidden=5), np.random.default_rng(9).normal(size=(2, 2, 7)).astype(np.float32)
    made, first = network(which, p), None
    for _ in range(2):
        found, wanted = made.forward(x, first), forward(p, x, first)
        assert_same(found, wanted, first, False)
        first = wanted.state
