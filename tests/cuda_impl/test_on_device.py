"""Runs whose fields stay where they were computed have the same bits.  [SPEC S]"""

from __future__ import annotations

import numpy as np
import pytest

from cuda_impl import launch
from cuda_impl.sequence import forward
from golden.sequence import forward as golden
from tests.verification.small import mshift_set, pot_set

SETS = {"mshift": mshift_set, "pot": pot_set}


def problem(kind):
    rng = np.random.default_rng(3)
    params = SETS[kind]()
    x = rng.integers(params.fmt_x.qmin, params.fmt_x.qmax + 1, (1, 4, 2))
    return params, x, rng.integers(params.fmt_h.qmin, params.fmt_h.qmax + 1, (4, 2))


def fetched(array):
    return array.copy_to_host() if hasattr(array, "copy_to_host") else np.asarray(array)


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("device", ["host", pytest.param("simulator", marks=pytest.mark.cudasim)])
def test_fields_left_on_the_target(kind, device):
    params, x, h0 = problem(kind)
    found, wanted = forward(params, x, h0, device=device, on_device=True), golden(params, x, h0)
    assert list(found) == list(wanted)
    for name in wanted:
        assert np.array_equal(fetched(found[name]), wanted[name]), name


@pytest.mark.gpu
@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_states_and_fields_on_the_gpu(kind, dtype):
    params, x, h0 = problem(kind)
    put = launch.target("gpu").put
    found = forward(params, put(x.astype(dtype)), put(h0.astype(dtype)), device="gpu", on_device=True)
    wanted = golden(params, x, h0)
    for name in wanted:
        assert wanted[name].ndim == 0 or launch.is_gpu_array(found[name])
        assert np.array_equal(fetched(found[name]), wanted[name]), name


@pytest.mark.gpu
def test_a_state_outside_its_format_is_named_on_the_gpu():
    params, x, h0 = problem("mshift")
    put = launch.target("gpu").put
    with pytest.raises(ValueError, match="h0"):
        forward(params, put(x), put(h0 + 300), device="gpu", on_device=True)
