"""gpu_grid's kernel for static sets, every thread of every block run by Python, against golden.  [SPEC S]"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from golden.sequence import forward
from tests.cuda_impl.test_fast_gpu import codes
from tests.cuda_impl.test_fast_gpu_launches import format_of, with_formats
from verification.strategies import problems

pytestmark = pytest.mark.ptx


@pytest.fixture
def machine(monkeypatch):
    pytest.importorskip("numba.cuda")
    from tests.cuda_impl import moving_on_host

    yield from moving_on_host.host_moving(monkeypatch)


def network(params):
    """The network of the grid for a set; None where it takes another one."""
    from cuda_impl.fast.gpu import fits_bytes, takes
    from cuda_impl.fast.gpu_grid_network import GridNetwork
    from tests.cuda_impl.moving_on_host import PLACES

    PLACES.clear()
    return GridNetwork(params, 1 if fits_bytes(params) else 2) if takes(params) else None


@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_drawn_problems(datapath, machine):
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(problems(datapath, max_hidden=20, max_batch=9))
    def same(problem):
        made = network(problem.params)
        if made is None:
            return
        h = problem.run(lambda _params, *arguments, **options: made.forward(*arguments, **options))
        wanted = problem.run(forward).h
        assert np.array_equal(np.asarray(h).reshape(wanted.shape), wanted), problem.to_code()

    same()
    assert "grid" in machine.seen


@pytest.mark.parametrize(("of_x", "of_h"), [("uint9", "int8"), ("int8", "uint12"), ("uint16", "uint16"), ("uint15", "int16")])
def test_codes_of_two_bytes(of_x, of_h, machine):
    p = with_formats(of_x, of_h, hidden=18)
    x, h0 = codes(p.fmt_x, (2, 17, 16)), codes(p.fmt_h, (17, 18), 1)
    for options in ({}, {"reverse": True, "zoneout": 0.25}):
        wanted = forward(p, x, h0, **options).h
        assert len(np.unique(wanted[1:])) > 18 and max(format_of(of_x).bits, format_of(of_h).bits) > 8
        assert np.array_equal(network(p).forward(x, h0, **options), wanted)


@pytest.mark.parametrize(("of_x", "of_h"), [("uint9", "int8"), ("int8", "uint12")])
@pytest.mark.parametrize("given", [False, True])
def test_a_stream_that_no_other_one_waits_for(of_x, of_h, given, machine, monkeypatch):
    from cuda_impl.fast import gpu_grid_network
    from tests.cuda_impl.moving_on_host import put

    monkeypatch.setattr(gpu_grid_network, "stream_of", lambda *_: 9)
    monkeypatch.setattr(gpu_grid_network, "output_codes", lambda torch, out, *_: out)
    p = with_formats(of_x, of_h)
    x, made = codes(p.fmt_x, (2, 3, 16)), network(p)
    wanted = forward(p, x).h
    out = put(np.zeros(wanted.shape, made.dtype_h)) if given else None
    h = made.forward(x, out=out)
    machine.wait()
    assert (h is out if given else h.dtype == made.dtype_h) and np.array_equal(h, wanted)
