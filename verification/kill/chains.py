"""Long chains: the deviation is found when a step of the chain's beginning would give another state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from golden.sequence import forward
from vectors.chain import FACTOR, INCREMENT, MASK, trajectory
from vectors.chain_case import ChainCase
from vectors.step_case import StepCase
from vectors.steps import run_step
from verification.deviations.deviation import Deviation
from verification.deviations.environment import Run
from verification.diagnosis_evidence import Evidence
from verification.kill.runs import finds
from verification.kill.steps import found_by_step

STEPS = 500
AROUND = ("sequence", "zoneout")
"""Families about rows, directions and zoneout, which a chain of a cell does not have."""


def found_by_chain(case: ChainCase, candidates: Iterable[Deviation], datapath: str) -> list[str]:
    """The names of the deviations that the first steps of a chain find.

    Until the first difference an implementation walks the right states, so each step is judged from the right state.
    """
    if case.params is not None:
        return _found_by_cell(case, candidates) if case.params.datapath == datapath else []
    return found_by_step(_rows(case), candidates, datapath)


def _rows(case: ChainCase) -> StepCase:
    """The operands of the first steps as rows of a step case."""
    states = trajectory(case.chain, dict(case.constants), case.start, STEPS)[:-1]
    w = states[:, -1]
    logical = w.astype(np.uint64)
    inputs: dict[str, np.ndarray]
    if case.chain == "ema":
        low, high = (logical >> np.uint64(40)).astype(np.int64), (logical >> np.uint64(16)).astype(np.int64)
        ends = {"cmin": 0xBF000000 | (low & 0xFFFFFF), "cmax": 0x3F000000 | (high & 0xFFFFFF)}
        inputs = {"rmin": states[:, 0], "rmax": states[:, 1], **ends}
    elif case.chain == "requantize":
        inputs = {"v": (w >> 16).astype(np.int32).astype(np.int64) >> (logical >> np.uint64(59)).astype(np.int64)}
    else:
        x = (logical << np.uint64(6)).astype(np.int64) >> (w & 31)
        inputs = {"x": x, "s": (logical >> np.uint64(58)).astype(np.int64)}
    outputs = run_step(case.chain, case.constants, inputs)
    return StepCase(case.id, case.chain, case.constants, inputs, outputs, flags={})


def _found_by_cell(case: ChainCase, candidates: Iterable[Deviation]) -> list[str]:
    """Every step of the beginning as a row of one step; only the states are checked."""
    params: Any = case.params
    state, w = case.start[:-1].astype(np.int32), int(case.start[-1]) & MASK
    rows, xs = [], []
    for _ in range(STEPS):
        x = np.asarray(case.inputs)[w >> 60]
        rows.append(state)
        xs.append(x)
        state = forward(params, x[None, None], state[None]).h_n[0]
        w = (w * FACTOR + INCREMENT + int(state[0])) & MASK
    run = Run.of(params, np.array(xs)[None], np.array(rows))
    after = np.array([*rows[1:], state], np.int64)[None]
    evidence = Evidence(run, {"h0": np.array(rows, np.int64), "h": after})
    return [d.name for d in candidates if d.family not in AROUND and finds(evidence, d)]
