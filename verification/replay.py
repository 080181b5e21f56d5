"""A recorded case of any kind, replayed: golden always, the twin wherever it has the step or the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl.elementwise import map_step
from golden.spec.formats import IntFormat
from vectors.chain_case import ChainCase
from vectors.kinds import AnyCase
from vectors.lint import lint_case
from vectors.step_case import StepCase
from vectors.steps import run_step, to_reals
from verification.dut.step_compare import StepComparison, compare_step, step_report

FORMAT = ("qmin", "qmax")
TWIN_STEPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "saturate": (("v", *FORMAT), ("q",)),
    "ties_up": (("x", "s"), ("y",)),
    "ties_away": (("x", "s"), ("y",)),
    "ties_even": (("x", "s"), ("y",)),
    "quantize": (("v", "scale", "zp", *FORMAT), ("q",)),
    "dequantize": (("q", "scale", "zp"), ("v",)),
    "quantize_bias": (("b", "scale", *FORMAT), ("q",)),
    "derive": (("s_from", "s_to", "s", "limit"), ("M",)),
    "apply": (("v", "M", "s"), ("y",)),
    "align": (("v", "M", "s"), ("y",)),
    "requantize": (("v", "M", "s", "zp", *FORMAT), ("q",)),
    "ema": (("rmin", "rmax", "cmin", "cmax"), ("rmin_out", "rmax_out")),
    "asymmetric": (("rmin", "rmax", *FORMAT), ("scale", "zp_out")),
    "symmetric": (("rmin", "rmax", "qmax"), ("scale", "zp_out")),
    "direct": (("q",), ("y",)),
    "direct_wide": (("q",), ("y",)),
    "piecewise_linear": (("q",), ("y",)),
    "piecewise_quadratic": (("q",), ("y",)),
    "zoneout_blend": (("k", "h_prev", "h_new", "zp", *FORMAT), ("acc", "h")),
    "zoneout_mask": (("mask", "h_prev", "h_new"), ("h",)),
}
"""step of vectors.steps -> (arguments of the twin's map_step, outputs); the other steps run inside cells and sequences."""


@dataclass(frozen=True)
class Replay:
    """What replaying a case without a run showed.

    compared  numbers compared, golden and twin together
    golden    how many of golden's differ from the recorded ones
    twin      how many of the twin's differ, or None where it has no such step
    reports   a mismatch report for each that differs
    """

    compared: int
    golden: int
    twin: int | None
    reports: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.golden == 0 and not self.twin


def replay(case: AnyCase, device: str, command: str) -> Replay:
    """Replay a step, chain or error case.

    device   where the twin runs
    command  that shows it again, for the reports
    """
    if isinstance(case, StepCase):
        return _replay_step(case, device, command)
    found = tuple(lint_case(case))
    numbers = int(case.states.size) + len(case.digests) if isinstance(case, ChainCase) else 1
    return Replay(numbers, len(found), None, tuple(f"MISMATCH {text}\n  replay: {command}" for text in found))


def twin_step(case: StepCase, device: str) -> dict[str, np.ndarray] | None:
    """The outputs of a step from the twin, int64 or float32 [rows]; None for a step without an array form there."""
    reals = {column.name for column in case.definition.inputs if column.kind == "float32"}

    def value(name: str) -> Any:
        if name in FORMAT:
            return getattr(IntFormat(int(case.constants["bits"]), bool(case.constants["signed"])), name)
        if name in case.inputs:
            return to_reals(case.inputs[name]) if name in reals else case.inputs[name]
        return case.constants[name]

    if case.step == "quantize_reciprocal":
        inverse = map_step("reciprocal", value("scale"), device=device)
        arguments = [value(name) for name in ("v", "zp", *FORMAT)]
        return {"inv_scale": inverse, "q": map_step(case.step, arguments[0], inverse, *arguments[1:], device=device)}
    if case.step not in TWIN_STEPS:
        return None
    names, outputs = TWIN_STEPS[case.step]
    found = map_step(case.step, *(value(name) for name in names), table=case.table, device=device)
    arrays = found if isinstance(found, tuple) else (found,)
    return {name: np.broadcast_to(array, (case.rows,)) for name, array in zip(outputs, arrays, strict=True)}


def _replay_step(case: StepCase, device: str, command: str) -> Replay:
    golden = run_step(case.step, case.constants, case.inputs, case.table)
    reals = {column.name for column in case.definition.outputs if column.kind == "float32"}
    found: dict[str, StepComparison] = {
        "golden": compare_step(case, {name: to_reals(a) if name in reals else a for name, a in golden.items()})
    }
    twin = twin_step(case, device)
    if twin is not None:
        found["twin"] = compare_step(case, twin)
    reports = [step_report(c, names=(who, "vectors"), replay=command) for who, c in found.items() if not c.equal]
    wrong = found["twin"].mismatches if "twin" in found else None
    return Replay(sum(c.compared for c in found.values()), found["golden"].mismatches, wrong, tuple(reports))
