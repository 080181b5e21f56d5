"""pytest-benchmark over the step functions of the twin and the small pieces of the host build.

    tox run -e bench
    python -m pytest benchmarks/test_steps_benchmark.py --benchmark-sort=name

Every benchmark first compares its result with golden's; none decides anything by time.
"""

from __future__ import annotations

import numpy as np
import pytest

from cuda_impl.elementwise import map_step
from cuda_impl.fast.network import prepare
from golden import activation, quantize, rescale, rounding
from golden.sequence import forward
from golden.spec.formats import INT8
from golden.spec.params import MShift
from golden.tables import gate_table
from qgru.bench_modes import drawn, modes

COUNT = 1 << 16
RNG = np.random.Generator(np.random.PCG64(0))
CODES = RNG.integers(-(2**31), 2**31, COUNT)
SMALL = RNG.integers(-128, 128, COUNT)
REALS = RNG.standard_normal(COUNT).astype(np.float32)
TABLE = gate_table("sigmoid", 1 / 16, 0, 8)
M = MShift(12345, 18)

STEPS = {
    "ties_up": ((CODES, 7), {}, lambda: rounding.ties_up(CODES, 7)),
    "ties_away": ((CODES, 7), {}, lambda: rounding.ties_away(CODES, 7)),
    "ties_even": ((CODES, 7), {}, lambda: rounding.ties_even(CODES, 7)),
    "align": ((CODES, M.multiplier, M.shift), {}, lambda: rescale.align(CODES, M)),
    "requantize": ((CODES, M.multiplier, M.shift, 3, -128, 127), {}, lambda: rescale.requantize(CODES, M, 3, INT8)),
    "quantize": ((REALS, 1 / 32, 3, -128, 127), {}, lambda: quantize.quantize(REALS, 1 / 32, 3, INT8)),
    "dequantize": ((SMALL, 1 / 32, 3), {}, lambda: quantize.dequantize(SMALL, 1 / 32, 3)),
    "activate": ((SMALL,), {"table": TABLE}, lambda: activation.activate(SMALL, TABLE)),
}


@pytest.mark.parametrize("name", STEPS)
def test_step(name, benchmark):
    arguments, options, golden = STEPS[name]
    found = benchmark(lambda: map_step(name, *arguments, **options, device="host"))
    assert np.array_equal(found, golden())


@pytest.mark.parametrize("mode", ["mshift", "pot", "dynamic", "pot16"])
@pytest.mark.parametrize("size", [(1, 1, 64, 128), (10, 8, 64, 128)], ids=str)
def test_network(mode, size, benchmark):
    (found,), _ = modes(drawn(size), (mode,), "host")
    run = benchmark(found.call)
    assert np.array_equal(found.states(run), forward(found.params, found.x).h)


def test_prepare(benchmark):
    (found,), _ = modes(drawn((1, 1, 64, 128)), ("mshift",), "host")
    network = benchmark(lambda: prepare(found.params, "host"))
    assert network.params is found.params
