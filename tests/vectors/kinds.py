"""A small set with a case of every kind, for the tests that spoil and convert sets."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.vectors.examples import cases as runs
from tests.vectors.examples import pot
from vectors.chain_case import chain_case
from vectors.draw import Draw
from vectors.generate import planned
from vectors.kinds import AnyCase

STEPS = ("requantize-s10-recommended-int8-inside", "quantize-int8-inside", "linear-k003-int8-low", "direct-sigmoid-32nd")
MORE = ("piecewise-linear-made-shifts", "pot-gate-even-direct", "dequantize-least", "derive-s18-24")
ERRORS = ("error-mshift-reset-multiplier", "error-dynamic-range-infinite", "error-pot-left-shift")


@cache
def every_kind() -> tuple[AnyCase, ...]:
    """Three runs, eight steps, two short chains, three refusals."""
    plans = {item.id: item for item in planned(1)}
    chosen = {case.id: case for case in runs()}
    made = [plans[id].make(Draw(0, id)) for id in (*STEPS, *MORE, *ERRORS)]
    params = pot(np.random.default_rng(5))
    inputs = np.arange(48).reshape(16, 3) - 20
    chains = [
        chain_case("chain-small", "ties_even", {}, 60, 20, [12345]),
        chain_case("chain-cell", "pot_cell", {}, 40, 20, [1, 2, 77], params, inputs),
    ]
    return (*(chosen[id] for id in ("mshift-training", "pot-empty", "dynamic-continued")), *made, *chains)
