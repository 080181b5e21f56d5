"""A step with one register narrowed: every value of a field is kept in fewer bits, and everything after it follows.

The step is recomputed stage by stage with the judge's arithmetic; without a narrowed register it is golden's step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from verification.deviations import evaluate, pot
from verification.deviations.environment import Block, Environment, Run
from verification.deviations.steps import RIGHT
from verification.widths.least import wrap

Fields = dict[str, np.ndarray]


def narrowed(params: Any, x: np.ndarray, h: np.ndarray, name: str | None, bits: int = 0, zoneout: float = 0.0) -> Fields:
    """Every field of one step, int64 [N, ...], where the register of a field has this many bits.

    x, h  codes [N, C] and [N, H]
    name  of a field; "h" is the state that the step starts from; None narrows nothing
    """
    run = Run.of(params, np.asarray(x, np.int32)[None], np.asarray(h, np.int32), zoneout=zoneout)
    states = np.zeros((2, *np.shape(h)), np.int64)
    states[0] = wrap(h, bits) if name == "h" else h
    block = Block(np.array([0]), np.arange(len(x)))
    values: dict[str, Any] = {}
    axes = run.axes()
    stages = evaluate.stages(run)
    if params.datapath == "pot":
        one = np.asarray(pot.STAGES["one"](RIGHT, Environment(run, states, run.whole, {})))
        values["one"] = wrap(one, bits) if name == "one" else one
    e = Environment(run, states, block, values, {})
    for field in axes:
        if field in values or field == "h0":
            continue
        found = evaluate.stored(run, field, stages[field](RIGHT, e))
        values[field] = wrap(found, bits) if field == name and field != "h" else found
    return {field: v[0] if "T" in axes[field] or field == "h" else v for field, v in values.items()}


def last_field(zoneout: float) -> str:
    """The field that leaves the step."""
    return "h" if zoneout > 0 else "h_new"


def changed(params: Any, x: np.ndarray, h: np.ndarray, name: str, bits: int, zoneout: float = 0.0) -> np.ndarray:
    """bool [N]: whether a code of the new state differs when the register has this many bits."""
    last = last_field(zoneout)
    right, wrong = narrowed(params, x, h, None, 0, zoneout), narrowed(params, x, h, name, bits, zoneout)
    return (right[last] != wrong[last]).any(axis=-1)


def furthest(params: Any, x: np.ndarray, h: np.ndarray, name: str, bits: int, zoneout: float = 0.0) -> str:
    """The last field, in computation order, that differs for some row; "" when none but the narrowed one does."""
    right, wrong = narrowed(params, x, h, None, 0, zoneout), narrowed(params, x, h, name, bits, zoneout)
    differing = [field for field, values in right.items() if field != name and not np.array_equal(values, wrong[field])]
    return differing[-1] if differing else ""
