"""The same bits on every target, whatever the layout and device of the input.  [SPEC S]"""

from __future__ import annotations

import numpy as np
import pytest

import verification.exact.sequence as judge
from cuda_impl import launch
from cuda_impl.sequence import bidirectional, forward
from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import INT16, IntFormat
from golden.spec.params import Operator
from golden.spec.rounding import Rounding
from golden.spec.tables import PiecewiseLinear
from tests.verification.small import dynamic_set, mshift_set, pot_set

DEVICES = [
    "host",
    pytest.param("simulator", marks=pytest.mark.cudasim),
    pytest.param("gpu", marks=pytest.mark.gpu),
]
SETS = {"mshift": mshift_set, "mshift-dynamic": dynamic_set, "pot": pot_set}
T, N, C, H = 3, 2, 2, 2


def wide_pot():
    """Sixteen-bit operators, where only int64 holds a product sum, with ties to even."""
    base = pot_set()
    ops = dict(base.operators)
    for name in ("input.x", "input.h", "weight.W", "weight.R", "matmul.Wx", "matmul.Rh"):
        ops[name] = Operator(INT16, ops[name].exponent, 0 if name.startswith("weight") else 5)
    ops["gate.z_pre"] = Operator(IntFormat(12, True), 8)
    act_z = PiecewiseLinear(
        "sigmoid", np.array([-100, 900]), np.array([1, 3]), np.array([4, 5]), np.array([90, 100]),
        IntFormat(12, True), ops["gate.z_out"].fmt,
    )  # fmt: skip
    return pot_set(W=base.W * 250, R=base.R * 250, operators=ops, act_z=act_z, rounding=Rounding.TIES_EVEN)


def problem(kind, seed=0, steps=T):
    """(parameters, x, h0) of a small problem."""
    rng = np.random.default_rng(seed)
    params = wide_pot() if kind == "wide" else SETS[kind]()
    if kind == "mshift-dynamic":
        x, h0 = rng.normal(size=(steps, N, C)).astype(np.float32), rng.normal(size=(N, H)).astype(np.float32)
    else:
        x = rng.integers(params.fmt_x.qmin, params.fmt_x.qmax + 1, (steps, N, C))
        h0 = rng.integers(params.fmt_h.qmin, params.fmt_h.qmax + 1, (N, H))
    return params, x, h0


def assert_same(got, expected):
    """Every field and the state, bit for bit."""
    assert list(got) == list(expected)
    for name in expected:
        a, b = got[name], expected[name]
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), name
        assert a.flags.c_contiguous, name
    if expected.state is not None:
        for name in ("s_h", "zp_h", "h_min", "h_max", "steps", "x_min", "x_max", "s_b"):
            assert getattr(got.state, name) == getattr(expected.state, name), name
        assert got.state.h.tolist() == expected.state.h.tolist()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", [*SETS, "wide"])
def test_a_run_is_the_judges(kind, device):
    params, x, h0 = problem(kind)
    assert_same(forward(params, x, h0, device=device), judge.forward(params, x, h0))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", SETS)
def test_reverse_with_zoneout_is_the_judges(kind, device):
    params, x, _ = problem(kind, 1)
    options = {"zoneout": 0.3, "reverse": True}
    assert_same(forward(params, x, device=device, **options), judge.forward(params, x, **options))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", SETS)
def test_training_with_a_mask_is_the_judges(kind, device):
    params, x, h0 = problem(kind, 2)
    options = {"mask": np.random.default_rng(3).integers(0, 2, (T, N, H)), "training": True, "zoneout": 0.5}
    assert_same(forward(params, x, h0, device=device, **options), judge.forward(params, x, h0, **options))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", SETS)
def test_no_steps(kind, device):
    params, x, h0 = problem(kind, steps=0)
    assert_same(forward(params, x, h0, device=device), judge.forward(params, x, h0))


@pytest.mark.parametrize("device", DEVICES)
def test_a_split_run_with_moving_ranges_goes_on_bit_for_bit(device):
    params, x, h0 = problem("mshift-dynamic", 4, steps=4)
    whole = forward(params, x, h0, device=device)
    first = forward(params, x[:1], h0, device=device)
    rest = forward(params, x[1:], first.state, device=device)
    assert rest.h.tobytes() == whole.h[1:].tobytes()
    for name in ("x_min", "x_max", "s_x", "h_min", "h_max", "s_h", "m_h", "m_rRh", "m_br_g"):
        assert np.concatenate([first[name], rest[name]]).tobytes() == whole[name].tobytes(), name
    assert rest.state.steps == 4
    assert rest["s_b"].tobytes() == whole["s_b"].tobytes()


@pytest.mark.parametrize("device", DEVICES)
def test_a_range_that_is_not_finite_names_tensor_and_step(device):
    params, x, _ = problem("mshift-dynamic", 5)
    x[1, 1, 0] = np.nan
    for reverse in (False, True):
        with pytest.raises(RangeError, match="x at step 1 is nan"):
            forward(params, x, reverse=reverse, device=device)
    x[1, :, 0] = [3e38, -3e38]
    with pytest.raises(RangeError, match="x at step 0 is inf"):
        forward(params, x[1:], device=device)


@pytest.mark.parametrize("device", DEVICES)
def test_both_directions(device):
    params, x, h0 = problem("pot", 6)
    other = pot_set(bx=params.br, br=params.bx)
    got = bidirectional(params, other, x, (h0, None), device=device)
    assert_same(got.forward, judge.forward(params, x, h0))
    assert_same(got.backward, judge.forward(other, x, reverse=True))
    assert got.output.shape == (T, N, 2 * H)


def test_an_int32_accumulator_is_emptied_in_time():
    """K = 140000 products of -128 * -128 pass 2**31; the sum is exact all the same."""
    length = 140_000
    params = mshift_set(W=np.full((length, 6), -128), zp_x=-127)
    x = np.full((1, 1, length), -128)
    assert forward(params, x, device="host")["Wx"].tolist() == [[[128 * length] * 6]]
    params = mshift_set(W=np.full((length, 6), -128), zp_x=0)
    assert forward(params, x, device="host")["Wx"].tolist() == [[[16384 * length] * 6]]


def test_threads_give_the_bits_of_one(monkeypatch):
    rng = np.random.default_rng(7)
    hidden = 64
    W, R = rng.integers(-128, 128, (hidden, 3 * hidden)), rng.integers(-128, 128, (hidden, 3 * hidden))
    zeros = np.zeros(3 * hidden, np.int64)
    params = mshift_set(W=W, R=R, bx=zeros, br=zeros)
    x = rng.integers(-128, 128, (2, 30, hidden))
    monkeypatch.setattr(launch, "workers", lambda: 7)
    spread = forward(params, x, device="host")
    monkeypatch.setattr(launch, "workers", lambda: 1)
    assert_same(spread, forward(params, x, device="host"))
    assert spread["Wx"].tolist() == ((x - params.zp_x) @ W).tolist()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", SETS)
def test_an_axis_of_one_may_have_any_stride(kind, device):
    params, x, h0 = problem(kind, steps=1)
    odd = np.asarray(x[0])[np.arange(N)][None]  # indexed, then given an axis: its stride is 0
    assert odd.strides[0] == 0 and odd.flags.c_contiguous
    assert_same(forward(params, odd, h0, device=device), judge.forward(params, x, h0))


def test_strided_and_narrow_inputs_give_the_same_bits():
    params, x, _ = problem("mshift", 8)
    expected = forward(params, x, device="host")
    assert_same(forward(params, x.astype(np.int8), device="host"), expected)
    assert_same(forward(params, np.asfortranarray(x), device="host"), expected)
    assert_same(forward(params, x.tolist(), device="host"), expected)


def test_cpu_tensors_come_in_by_dlpack():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install qgru[torch]")
    for kind in SETS:
        params, x, h0 = problem(kind, 9)
        got = forward(params, torch.from_numpy(x.copy()), torch.from_numpy(h0.copy()), device="host")
        assert_same(got, forward(params, x, h0, device="host"))


def test_an_array_of_an_unknown_device_is_refused():
    class Elsewhere:
        def __dlpack__(self, **_):
            raise AssertionError("must not be asked")

        def __dlpack_device__(self):
            return 8, 0

    with pytest.raises(ParameterError, match="x is an array on DLPack device 8"):
        forward(mshift_set(), Elsewhere(), device="host")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [*SETS, "wide"])
def test_gpu_arrays_come_in_without_the_host(kind):
    from numba import cuda

    params, x, h0 = problem(kind, 10)
    expected = forward(params, x, h0, device="host")
    wide = np.repeat(x, 2, axis=2)
    for array in (cuda.to_device(x), cuda.to_device(np.asfortranarray(x)), cuda.to_device(wide)[:, :, ::2]):
        assert_same(forward(params, array, h0, device="gpu"), expected)
        assert_same(forward(params, array, h0, device="auto"), expected)
    assert_same(forward(params, cuda.to_device(x), cuda.to_device(h0), device="host"), expected)


@pytest.mark.gpu
def test_gpu_arrays_are_checked_as_host_arrays_are():
    from numba import cuda

    params, x, _ = problem("mshift", 11)
    x[1, 0, 1] = 300
    with pytest.raises(ParameterError, match=r"x\[1, 0, 1\] is 300, expected a code of int8"):
        forward(params, cuda.to_device(x), device="gpu")
    with pytest.raises(ParameterError, match="x is an array of float32, expected integers"):
        forward(params, cuda.to_device(x.astype(np.float32)), device="gpu")
    with pytest.raises(ParameterError, match="x is an array of shape"):
        forward(params, cuda.to_device(x[0]), device="gpu")


@pytest.mark.gpu
def test_a_larger_run_on_the_gpu_has_the_bits_of_the_host():
    rng = np.random.default_rng(12)
    hidden, batch = 300, 5
    W, R = rng.normal(size=(40, 3 * hidden)) / 8, rng.normal(size=(hidden, 3 * hidden)) / 20
    bias = (rng.normal(size=3 * hidden) / 4).astype(np.float32)
    params = dynamic_set(W=W.astype(np.float32), R=R.astype(np.float32), bx=bias, br=bias)
    x = (rng.normal(size=(50, batch, 40)) * 2).astype(np.float32)
    assert_same(forward(params, x, device="gpu"), forward(params, x, device="host"))
