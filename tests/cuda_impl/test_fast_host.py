"""The host build on whole problems: the states, bit for bit golden's, on any number of workers."""

from __future__ import annotations

import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from cuda_impl.fast.host import prepare_host
from cuda_impl.fast.network import DynamicRun, narrowest_dtype, prepare
from golden.sequence import forward
from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import IntFormat
from tests.golden.sweep import examples
from tests.verification.small import dynamic_set, mshift_set, pot_set
from verification.strategies import problems


def run_fast(problem, isa: str | None = None, threads: int | None = None):
    network = prepare_host(problem.params, isa)
    return problem.run(lambda _params, *arguments, **options: network.forward(*arguments, threads=threads, **options))


def check(problem, isa: str | None = None, threads: int | None = None) -> None:
    """The fast states of a problem are golden's; with moving ranges, scales and the state to go on from too."""
    got, expected = run_fast(problem, isa, threads), problem.run(forward)
    h = got.h if isinstance(got, DynamicRun) else got
    assert h.dtype == narrowest_dtype(problem.params.fmt_h) and h.shape == expected.h.shape
    assert np.array_equal(h, expected.h), problem.to_code()
    if isinstance(got, DynamicRun):
        assert got.scales[1:].tobytes() == expected["s_h"].tobytes()
        assert np.array_equal(got.zero_points[1:], expected["zp_h"])
        same_state(got.state, expected.state)


def same_state(got, expected) -> None:
    assert np.array_equal(got.h, expected.h)
    for name in ("s_h", "zp_h", "h_min", "h_max", "steps", "x_min", "x_max", "s_b"):
        assert getattr(got, name) == getattr(expected, name), name


@pytest.mark.parametrize(("datapath", "count"), [("mshift", 60), ("pot", 12), ("mshift-dynamic", 60)])
def test_whole_problems(datapath, count):
    @settings(max_examples=examples(count, 2000))
    @given(problems(datapath))
    def same(problem):
        check(problem)

    same()


@pytest.mark.parametrize(("datapath", "count"), [("mshift", 15), ("mshift-dynamic", 15)])
def test_sizes_that_fit_no_block(datapath, count):
    @settings(max_examples=examples(count, 300))
    @given(problems(datapath, max_steps=4, max_batch=19, max_inputs=70, max_hidden=67))
    def same(problem):
        check(problem)
        check(problem, threads=3)

    same()


def drawn_set(make, inputs: int, hidden: int, **changes):
    """A set of small.py with weights of another size, drawn over the whole format."""
    rng = np.random.default_rng(inputs * 1000 + hidden)
    full = make(**changes)
    arrays = {
        "W": rng.integers(-128, 128, (inputs, 3 * hidden)),
        "R": rng.integers(-128, 128, (hidden, 3 * hidden)),
        "bx": rng.integers(-128, 128, 3 * hidden),
        "br": rng.integers(-128, 128, 3 * hidden),
    }
    if full.datapath == "pot":
        operators = {
            name: replace(op, exponent=np.full(3 * hidden, 7)) if name.startswith("weight") else op
            for name, op in full.operators.items()
        }
        return replace(full, operators=operators, **arrays)
    return replace(full, **arrays)


@pytest.mark.parametrize("make", [mshift_set, pot_set])
@pytest.mark.parametrize("batch", [1, 2, 3, 7, 8, 21])
def test_every_number_of_rows(make, batch):
    params = drawn_set(make, 37, 50)
    x = np.random.default_rng(batch).integers(-128, 128, (5, batch, 37)).astype(np.int8)
    expected = forward(params, x).h
    network = prepare_host(params)
    for threads in (1, 2, 5):
        assert np.array_equal(network.forward(x, threads=threads), expected)


@pytest.mark.parametrize("make", [mshift_set, pot_set])
def test_twenty_runs_give_the_same_bytes(make):
    params = drawn_set(make, 20, 300)
    x = np.random.default_rng(3).integers(-128, 128, (9, 17, 20)).astype(np.int8)
    network = prepare(params, "host")
    first = network.forward(x).tobytes()
    assert first == forward(params, x).h.astype(np.int8).tobytes()
    assert {network.forward(x, threads=1 + i % 4).tobytes() for i in range(20)} == {first}


def test_a_network_may_be_run_from_several_threads():
    params = drawn_set(mshift_set, 12, 40)
    rng = np.random.default_rng(5)
    inputs = [rng.integers(-128, 128, (20, 4, 12)).astype(np.int8) for _ in range(4)]
    expected = [forward(params, x).h for x in inputs]
    network, found = prepare_host(params), [None] * 4

    def work(i):
        found[i] = network.forward(inputs[i], threads=2)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(a, b) for a, b in zip(found, expected))


def test_the_corners_of_every_code_together():
    """All codes at an end of their format: sums are the largest there are."""
    for w, q in ((-128, -128), (-128, 127), (127, -128), (127, 127)):
        params = replace(drawn_set(mshift_set, 700, 3), W=np.full((700, 9), w), zp_x=-128 if q == 127 else 127)
        x = np.full((2, 9, 700), q, np.int8)
        assert np.array_equal(prepare_host(params).forward(x), forward(params, x).h)


def test_a_zero_point_far_outside_its_format():
    params = drawn_set(mshift_set, 40, 20, zp_x=10_000_000)
    network = prepare_host(params)
    assert network.x_side.product.wide
    x = np.random.default_rng(0).integers(-128, 128, (4, 3, 40)).astype(np.int8)
    assert np.array_equal(network.forward(x), forward(params, x).h)


def test_moving_ranges_continue_where_they_stood():
    params = dynamic_set()
    x = np.random.default_rng(2).standard_normal((9, 4, 2)).astype(np.float32)
    whole = prepare(params, "host").forward(x)
    network = prepare_host(params)
    first = network.forward(x[:4])
    second = network.forward(x[4:], first.state)
    assert np.array_equal(np.concatenate([first.h, second.h[1:]]), whole.h)
    assert np.array_equal(np.concatenate([first.scales, second.scales[1:]]), whole.scales)
    same_state(second.state, whole.state)
    assert second.scales[0] == first.scales[-1] and second.zero_points[0] == first.zero_points[-1]


def test_moving_ranges_of_larger_networks_on_several_workers():
    rng = np.random.default_rng(8)
    arrays = {"W": (33, 150), "R": (50, 150), "bx": (150,), "br": (150,)}
    params = dynamic_set(**{k: rng.standard_normal(s).astype(np.float32) / 4 for k, s in arrays.items()})
    x = rng.standard_normal((6, 9, 33)).astype(np.float32)
    for reverse in (False, True):
        expected = forward(params, x, reverse=reverse)
        for threads in (1, 2, 4):
            got = prepare_host(params).forward(x, reverse=reverse, threads=threads)
            assert np.array_equal(got.h, expected.h) and got.scales[1:].tobytes() == expected["s_h"].tobytes()


def test_a_range_that_binary32_does_not_hold_names_tensor_and_step():
    x = np.zeros((3, 1, 2), np.float32)
    x[1, 0, 1] = np.inf
    with pytest.raises(RangeError, match="x at step 1 is inf"):
        prepare_host(dynamic_set()).forward(x)


@pytest.mark.parametrize("make", [mshift_set, pot_set, dynamic_set])
def test_memory_is_that_of_x_its_products_and_the_states(make):
    """Beyond the packed weights a run needs less than x, Wx in 32 bits and h."""
    rng, (steps, batch, inputs, hidden) = np.random.default_rng(0), (200, 16, 64, 64)
    if make is dynamic_set:
        arrays = {"W": (inputs, 192), "R": (hidden, 192), "bx": (192,), "br": (192,)}
        params = dynamic_set(**{k: rng.standard_normal(s).astype(np.float32) for k, s in arrays.items()})
        x = rng.standard_normal((steps, batch, inputs)).astype(np.float32)
    else:
        params = drawn_set(make, inputs, hidden)
        x = rng.integers(-128, 128, (steps, batch, inputs)).astype(np.int8)
    network = prepare_host(params)
    network.forward(x)
    tracemalloc.start()
    network.forward(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes + steps * batch * 3 * hidden * 4 + (steps + 1) * batch * hidden


def test_the_caller_may_say_where_the_states_go():
    network = prepare_host(mshift_set())
    x = np.ones((3, 2, 2), np.int8)
    out = np.full((4, 2, 2), 99, np.int8)
    assert network.forward(x, out=out) is out
    assert np.array_equal(out, forward(mshift_set(), x).h)


@pytest.mark.parametrize(
    "out", [np.empty((4, 2, 2), np.int16), np.empty((3, 2, 2), np.int8), np.empty((4, 2, 4), np.int8)[:, :, ::2], [1]]
)
def test_a_place_that_does_not_fit_is_refused(out):
    with pytest.raises(ParameterError, match="^out is "):
        prepare_host(mshift_set()).forward(np.ones((3, 2, 2), np.int8), out=out)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.full((1, 1, 2), 128, np.int16), r"x\[0, 0, 0\] is 128"),
        (np.zeros((1, 1, 3), np.int8), "x is an array of shape"),
        (np.zeros((1, 0, 2), np.int8), "at least one row"),
        (np.zeros((1, 1, 2), np.float32), "x is an array of float32"),
    ],
)
def test_bad_codes_are_refused(x, sentence):
    with pytest.raises(ParameterError, match=sentence):
        prepare_host(mshift_set()).forward(x)


def test_narrow_formats_are_checked():
    fmt = IntFormat(5, True)
    params = pot_set()
    operators = dict(params.operators) | {"input.x": replace(params.operators["input.x"], fmt=fmt)}
    network = prepare_host(replace(params, operators=operators))
    with pytest.raises(ParameterError, match=r"x\[0, 1, 1\] is 16, expected a code of int5"):
        network.forward(np.array([[[0, 1], [-16, 16]]], np.int8))


def test_codes_of_any_integer_type_and_layout():
    network, params = prepare_host(mshift_set()), mshift_set()
    x = np.random.default_rng(1).integers(-128, 128, (4, 6, 2))
    expected = forward(params, x).h
    for same in (x, x.astype(np.int8), x.astype(np.int16), np.asfortranarray(x.astype(np.int8))):
        assert np.array_equal(network.forward(same), expected)
    assert np.array_equal(network.forward(x.astype(np.int8)[:, ::-1]), expected[:, ::-1])


@pytest.mark.parametrize("device", ["simulator", "tpu", 3])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(ParameterError, match="^device is "):
        prepare(mshift_set(), device)
