"""The PTX of every program: no fused, approximate or flushing float operation in it.  [SPEC, f32]"""

from __future__ import annotations

import re

import numpy as np
import pytest

from cuda_impl import launch
from cuda_impl.elementwise import map_step
from cuda_impl.sequence import forward
from tests.verification.small import dynamic_set, mshift_set, pot_set

pytestmark = pytest.mark.ptx

FORBIDDEN = re.compile(r"\bfma\.\S+|\bmad\.\S*f32\S*|\bdiv\.(?:approx|full)\S*|\S*\.ftz\S*|\brcp\.\S+|\bsqrt\.\S+|\bex2\.\S+")
BINARY32 = re.compile(r"\b(?:add|sub|mul|div)\.\S*f32\b")
PROGRAMS = sorted(
    name
    for name, value in launch.plain_names("host").items()
    if getattr(value, "__code__", None) is not None and launch.is_program(value)
)
FLOAT_PROGRAMS = {
    "weight_scale", "weight_codes", "bias_codes", "start_state", "start_codes",
    "x_trajectory", "quantize_steps", "h_trajectory", "map_reals",
}  # fmt: skip


class _Device:
    """Stands in for a GPU where the compiler asks which one it compiles for."""

    compute_capability = (9, 0)


@pytest.fixture(scope="module")
def signatures():
    """The argument types of every program, as runs on the host used them."""
    from numba import types

    x = np.zeros((1, 1, 2))
    forward(mshift_set(), x.astype(np.int8), device="host")
    forward(dynamic_set(), x.astype(np.float32), device="host")
    forward(pot_set(), x.astype(np.int8), device="host")
    map_step("ties_up", 1, 1, device="host")
    map_step("fadd", 1.0, 1.0, device="host")
    host = launch.namespace("host")
    found = {name: host[name].signatures[0] for name in PROGRAMS if host[name].signatures}
    whole, codes, flag = types.int64, types.int32[:, :, ::1], types.int32[::1]
    for dtype in (types.int8, types.uint16):
        found["receive_codes"] = (whole, whole, dtype[:, :, :], whole, whole, codes, flag)
    found["receive_reals"] = (whole, whole, types.float32[:, :, :], types.float32[:, :, ::1])
    return found


@pytest.fixture
def stand_in(monkeypatch):
    import numba.cuda.dispatcher

    monkeypatch.setattr(numba.cuda.dispatcher, "get_current_device", _Device)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_forbidden_float_operation(program, signatures, stand_in):
    text = launch.ptx(program, signatures[program])
    assert ".visible .entry" in text
    assert FORBIDDEN.findall(text) == []
    plain = {op for op in BINARY32.findall(text) if ".rn." not in op}
    assert plain == set()
    assert bool(BINARY32.search(text)) == (program in FLOAT_PROGRAMS)


def test_the_search_finds_a_fused_operation(stand_in):
    from numba import cuda, types

    def fused(out, a, b):
        out[0] = a[0] * b[0] + out[0]

    f = types.float32[::1]
    text = cuda.compile(fused, (f, f, f), cc=(9, 0), device=False, abi="numba")[0]
    assert FORBIDDEN.findall(text) == ["fma.rn.f32"]
    fast = cuda.compile(fused, (f, f, f), cc=(9, 0), device=False, abi="numba", fastmath=True)[0]
    assert any(".ftz" in op for op in FORBIDDEN.findall(fast))
