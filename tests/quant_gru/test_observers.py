"""Statistics that do not depend on how the data is cut, and the ranges of each method, against literals worked by hand."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import INT8, UINT8, IntFormat
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru import sqnr
from quant_gru.calibrate import by_operator, collect, run_rows
from quant_gru.float_gru import FloatGru
from quant_gru.histogram import BINS, EMPTY, Histogram, count, window
from quant_gru.observers import METHODS, Observers, step_extremes

reals = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-70, -(2.0**-70), 5e-324, -5e-324, 1e300, -1e300])


def same(a: Histogram, b: Histogram) -> bool:
    return (
        a.counts.tolist() == b.counts.tolist()
        and (a.width_exponent, a.start) == (b.width_exponent, b.start)
        and (a.low, a.high) == (b.low, b.high)
    )


def equal_state(a: Observers, b: Observers) -> bool:
    one, two = a.state(), b.state()
    return one.keys() == two.keys() and all(one[k].tobytes() == two[k].tobytes() for k in one)


def everywhere(values) -> Observers:
    """Observers that saw the same values at every operator."""
    observers = Observers()
    observers.observe(dict.fromkeys(OPERATOR_FIELDS, np.asarray(values, np.float64)))
    return observers


@pytest.fixture(scope="module")
def gru():
    rng = np.random.Generator(np.random.PCG64(5))
    draw = [rng.standard_normal(shape).astype(np.float32) for shape in ((7, 33), (11, 33), (33,), (33,))]
    return FloatGru(*draw)


@pytest.fixture(scope="module")
def data():
    rng = np.random.Generator(np.random.PCG64(6))
    return rng.standard_normal((6, 37, 7)), rng.standard_normal((37, 11))


# Histograms


def test_bins_by_hand():
    h = count([0.0, 1.0, 1023.9, -0.5, 1023.9])
    assert (h.width_exponent, h.start, h.low, h.high, h.total) == (0, -1, -0.5, 1023.9, 5)
    assert {i: int(n) for i, n in enumerate(h.counts) if n} == {0: 1, 1: 1, 2: 1, 1024: 2}
    assert (h.edges[0], h.edges[1], h.edges[-1]) == (-1.0, 0.0, 2047.0)


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0.0, 1.0, (-10, 0)),  # 1.0 is bin 1024 of width 2**-10
        (0.0, 0.999, (-11, 0)),
        (-1.0, 0.0, (-10, -1024)),  # 2049 bins of width 2**-11 would hold -1 and 0
        (-1.0, 1.0, (-9, -512)),
        (-1.0, 0.999, (-10, -1024)),
        (3.0, 5.0, (-8, 0)),  # zero is inside
        (0.0, 0.0, (-60, 0)),
    ],
)
def test_the_narrowest_window_that_holds_the_range(low, high, expected):
    assert window(low, high) == expected


@given(st.lists(reals, min_size=1, max_size=40), st.integers(0, 40))
def test_a_merge_loses_no_count_and_does_not_see_the_cut(values, cut):
    whole = count(values)
    first, second = count(values[:cut]), count(values[cut:])
    assert same(first.merge(second), whole)
    assert same(second.merge(first), whole)
    assert whole.total == len(values)
    index = [math.floor(Fraction(v) / Fraction(whole.width)) - whole.start for v in values]
    assert {i: int(n) for i, n in enumerate(whole.counts) if n} == Counter(index)


def test_growth_one_value_at_a_time():
    values = [2.0**k * (-1) ** k for k in range(-40, 20)]
    grown = EMPTY
    for v in values:
        grown = grown.merge(count([v]))
    assert same(grown, count(values)) and grown.total == 60


def test_all_zeros():
    h = count(np.zeros(9))
    assert (h.total, h.low, h.high, int(h.counts[0])) == (9, 0.0, 0.0, 9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(RangeError, match="^op.rRh is "):
        count([0.0, bad], name="op.rRh")


def test_percentiles_by_hand():
    h = count(np.arange(1000))  # bins of width 0.5, each value at the lower edge of its bin
    assert h.percentile(100) == (0, 999)
    assert h.percentile(99) == (10.0, 989.5)  # 10 values outside at each end
    assert h.percentile(99.95) == (0, 999)
    with pytest.raises(ParameterError, match="percentile is 50, expected a number above 50"):
        h.percentile(50)


def test_torch_counts_the_same():
    torch = pytest.importorskip("torch")
    rng = np.random.Generator(np.random.PCG64(7))
    for scale in (1e-9, 1.0, 1e5):
        values = rng.standard_normal((5, 6, 7)) * scale
        assert same(count(torch.from_numpy(values)), count(values))
        assert same(count(torch.from_numpy(values.astype(np.float32))), count(values.astype(np.float32)))
    assert same(count(torch.zeros(0)), EMPTY)
    with pytest.raises(RangeError, match="input.x is inf"):
        count(torch.tensor([1.0, torch.inf]), name="input.x")


# The search


def brute(h: Histogram, scale: float, zero_point: int, fmt: IntFormat, points: int = 400) -> float:
    """The weighted squared error of points spread evenly over each bin."""
    total = 0.0
    for i in np.flatnonzero(h.counts):
        u = (h.edges[i] + h.width * (np.arange(points) + 0.5) / points) / scale
        code = np.clip(np.rint(u), fmt.qmin - zero_point, fmt.qmax - zero_point)
        error = ((u - code) * scale) ** 2
        total += h.counts[i] * float(np.where(np.abs(u - code) > 0.5, 3 * error, error).mean())
    return total


@pytest.mark.parametrize("scale", [1 / 3, 1 / 4, 0.05, 2.0**-12, 2.0**-16])
@pytest.mark.parametrize("zero_point", [-8, -3, 0, 7])
def test_the_cost_is_the_integral_of_the_weighted_error(scale, zero_point):
    h, fmt = count([-1.5, -0.7, 0.1, 0.1, 0.9, 2.0]), IntFormat(4, True)
    found = float(sqnr.cost(h, scale, np.array([zero_point]), fmt)[0])
    slow = brute(h, scale, zero_point, fmt)
    assert abs(found - slow) <= 1e-3 * slow  # a cost, not a code; 400 points a bin


def test_a_finer_scale_pays_for_an_outlier():
    values = np.concatenate([np.linspace(-1, 1, 20001), [8.0]])
    h, fmt = count(values), IntFormat(4, True)
    scale, zero_point = sqnr.search(h, fmt, True)
    assert (scale, zero_point) == (8 / 7 * 2 / 16, 0)  # a seventh of 1, though 8 is clipped
    assert sqnr.search_power_of_two(h, -1, fmt, True) == (3, 0)
    assert everywhere(values).using("minmax").choose("gate.g_pre", fmt, True).power_of_two("", fmt, True) == (-1, 0)


def test_zero_is_always_a_code():
    for values in ([3.0, 5.0], [-5.0, -3.0], [-1.0, 9.0], [0.0]):
        for fmt, is_symmetric in itertools.product((INT8, UINT8, IntFormat(2, True)), (False, True)):
            if is_symmetric and not fmt.signed and min(values) < 0:
                continue
            for method in METHODS:
                choice = everywhere(values).using(method).choose("input.x", fmt, is_symmetric)
                _, zero_point = choice.power_of_two("input.x", fmt, is_symmetric)
                assert fmt.qmin <= zero_point <= fmt.qmax
                assert not is_symmetric or zero_point == 0


def test_offsets_reach_from_one_end_to_the_other():
    h = count([0.0, 1.0])
    assert sqnr.offsets(h, 1 / 255, INT8).tolist() == [-128]
    assert sqnr.offsets(h, 1 / 510, INT8).tolist()[0] == -128  # clips the top; 1.0 lies at 510, the last code at 255 - 128
    points = sqnr.offsets(count([-1.0, 1.0]), 1 / 255, INT8)
    assert (points.min(), points.max(), len(points)) == (-128, 127, 21)


def test_channels_are_searched_alone():
    values = np.zeros((64, 2), np.float32)
    values[:, 0] = np.linspace(-1, 1, 64)
    values[:3, 1] = 1.0  # to clip these costs more than the zeros gain
    fmt = IntFormat(3, True)
    observers = everywhere([1.0])
    assert observers.using("minmax").channel_exponents("weight.W", values, fmt).tolist() == [1, 1]  # 1/3
    assert observers.channel_exponents("weight.W", values, fmt).tolist() == [2, 1]  # codes up to 0.75, or to 1.5
    assert observers.channel_exponents("weight.bx", values[0], fmt).tolist() == [1, 1]  # one value, never clipped


# Observers


@pytest.mark.parametrize("method", METHODS)
def test_nothing_depends_on_the_cut(gru, data, method):
    x, h0 = data
    whole = collect(gru, [(x, h0)], method)
    for sizes in ([1] * 37, [5, 32], [16, 16, 5], [36, 1]):
        cuts = np.cumsum([0, *sizes])
        parts = [(x[:, a:b], h0[a:b]) for a, b in itertools.pairwise(cuts)]
        assert equal_state(collect(gru, parts, method), whole)
        assert equal_state(collect(gru, parts[::-1], method), whole)
    left, right = collect(gru, [(x[:, :9], h0[:9])], method), collect(gru, [(x[:, 9:], h0[9:])], method)
    assert equal_state(left.merge(right), whole)


def test_a_row_has_the_same_bits_in_every_batch(gru, data):
    x, h0 = data
    whole = run_rows(gru, x, h0)
    for n in (0, 15, 16, 36):
        alone = run_rows(gru, x[:, n : n + 1], h0[n : n + 1])
        assert all(alone[name].tobytes() == np.ascontiguousarray(whole[name][:, n : n + 1]).tobytes() for name in whole)


def test_h0_and_every_batch_count(gru, data):
    x, h0 = data
    found = collect(gru, [(x, h0), (x * 3, h0 * 9)], "minmax")
    assert found["input.h"] == (float((h0 * 9).min()), float((h0 * 9).max()))
    assert found["input.x"] == (float((x * 3).min()), float((x * 3).max()))
    assert found.histograms["input.h"].total == 2 * 7 * 37 * 11


def test_moving_ranges_by_hand():
    values = dict.fromkeys(OPERATOR_FIELDS, np.zeros((3, 1)))
    values["input.x"] = np.array([[-1.0, 2.0], [0.0, 4.0], [-3.0, 0.0]])
    values["input.h"] = np.array([[0.0], [1.0], [2.0], [3.0]])
    forward, backward = Observers("minmax", ema=True), Observers("minmax", ema=True)
    forward.observe(values)
    backward.observe(values, reverse=True)
    nine, one = np.float32(0.9), np.float32(0.1)
    low = nine * (nine * np.float32(-1) + one * np.float32(0)) + one * np.float32(-3)
    assert forward.moving["input.x"][0] == low
    assert forward.choose("input.x", INT8, False).low == float(low)
    high = np.float32(0)
    for h in (3, 2, 1):  # h[0] first, then from the last step to the first
        high = nine * high + one * np.float32(h)
    assert backward.moving["input.h"][1] == high
    assert forward.choose("gate.g_out", INT8, False).low == 0
    with pytest.raises(ParameterError, match="merge is asked of moving ranges"):
        forward.merge(backward)
    assert equal_state(Observers.from_state(forward.state()), forward)


def test_steps_of_rows_that_end_early():
    x = np.array([[[1.0], [9.0]], [[2.0], [8.0]], [[3.0], [700.0]]])
    h = np.array([[[0.5], [-5.0]], [[0.0], [4.0]], [[0.0], [6.0]], [[0.25], [-900.0]]])
    valid = np.array([[True, True], [True, True], [True, False]])
    assert step_extremes("input.x", x, valid=valid).tolist() == [[1, 9], [2, 8], [3, 3]]
    assert step_extremes("input.h", h, valid=valid).tolist() == [[-5, 0.5], [0, 4], [0, 6], [0.25, 0.25]]
    assert step_extremes("input.x", x, reverse=True).tolist() == [[3, 700], [2, 8], [1, 9]]
    assert step_extremes("input.h", h, reverse=True).tolist() == [[-5, 0.5], [-900, 0.25], [0, 6], [0, 4]]
    with pytest.raises(RangeError, match="input.x"):
        step_extremes("input.x", np.array([[[1.0]], [[np.nan]]]))


def test_steps_may_be_given():
    values = dict.fromkeys(OPERATOR_FIELDS, np.array([[1.0, -2.0], [5.0, 0.0]]))
    steps = {"input.x": np.array([[-1, 2], [0, 4]], np.float32), "input.h": np.array([[-8, 8]], np.float32)}
    given = Observers("minmax", ema=True)
    given.observe(values, steps=steps)
    nine, one = np.float32(0.9), np.float32(0.1)
    assert given.moving["input.x"] == (nine * np.float32(-1) + one * np.float32(0), nine * np.float32(2) + one * np.float32(4))
    assert given.moving["input.h"] == (-8, 8)


def test_a_moving_range_that_was_not_taken_in_is_refused(gru, data):
    observers = collect(gru, [data], "minmax").using("minmax", ema=True)
    with pytest.raises(ParameterError, match="moving range of input.x is missing, expected data that was taken in with ema"):
        observers.choose("input.x", INT8, False)
    assert observers.choose("gate.g_out", INT8, False).high > 0


@pytest.mark.parametrize("method", METHODS)
def test_the_state_brings_everything_back(gru, data, method):
    observers = collect(gru, [data], method, percentile=99.5)
    again = Observers.from_state(observers.state())
    assert equal_state(again, observers) and (again.method, again.percentile) == (method, 99.5)
    empty = Observers.from_state(Observers(method).state())
    assert empty.empty and not again.empty
    again.observe(by_operator(run_rows(gru, data[0])))
    observers.observe(by_operator(run_rows(gru, data[0])))
    assert equal_state(again, observers)


@pytest.mark.parametrize(
    "name, value, sentence",
    [
        ("method", np.array(9), "calibration method is 9, expected an integer in"),
        ("counts", np.zeros((2, 2), np.int64), "calibration counts is an array of shape"),
        ("counts", np.full((14, BINS), -1), "calibration counts of input.x is -1"),
        ("starts", np.full(14, 3), "calibration bins of input.x is 2"),
        ("extremes", np.full((14, 2), np.inf), "calibration extremes of input.x is"),
        ("percentile", np.array(20.0), "percentile is 20.0"),
        ("moving", np.array([[np.inf, 0], [0, 0]]), "calibration moving is"),
        ("ema", None, "calibration ema is missing"),
    ],
)
def test_a_bad_state_is_refused(gru, data, name, value, sentence):
    state = collect(gru, [data]).state() | {name: value}
    if value is None:
        del state[name]
    with pytest.raises(ParameterError) as error:
        Observers.from_state(state)
    assert str(error.value).startswith(sentence)


def test_bad_observers_are_refused():
    with pytest.raises(ParameterError, match="calibration method is 'mse', expected histogram"):
        Observers("mse")
    with pytest.raises(ParameterError, match="input.x is without calibration data"):
        Observers().choose("input.x", INT8, False)
    with pytest.raises(ParameterError, match="observed values is without input.h"):
        Observers().observe({"input.x": np.ones(3)})
    assert Observers("sqnr").method == "histogram"


def test_a_refused_batch_leaves_nothing_behind():
    observers = Observers()
    with pytest.raises(RangeError, match="op.new_contrib is nan"):
        observers.observe(dict.fromkeys(OPERATOR_FIELDS, np.ones((2, 1))) | {"op.new_contrib": np.array([[np.nan], [1]])})
    assert observers.empty


def test_progress_is_told_of_every_batch(gru, data):
    seen: list[int] = []
    collect(gru, [data[0], data[0]], advance=seen.append)
    assert seen == [1, 1]


def test_settings_of_numpy_are_as_those_of_python():
    seen = Observers("percentile", np.float32(99.5), np.True_)
    assert (type(seen.percentile), seen.percentile, seen.ema) == (float, 99.5, True)
    assert count(np.arange(4)).percentile(np.int64(100)) == (0.0, 3.0)
    for percentile in (np.float32(50), np.float64("nan"), np.True_, np.array([99.0])):
        with pytest.raises(ParameterError, match="^percentile is .*, expected a number above 50 and at most 100$"):
            Observers("percentile", percentile)
