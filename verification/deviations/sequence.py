"""What goes wrong around the cell: states, directions, rows.  [SPEC S, GM-4, GP-9]"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from golden.spec.trace import DynamicState
from verification.deviations.deviation import DATAPATHS, Deviation
from verification.deviations.environment import Environment, Run
from verification.deviations.places import Place, fields, single, spread
from verification.exact.rounding import saturate

FAMILY = "sequence"
EVERYWHERE = fields(("Rh", "S", "h_zoneout_acc", "h"), ("Rh_acc", "O_prod", "h_zoneout_acc", "h"))
STATE = {"mshift": EVERYWHERE["mshift"], "mshift-dynamic": ("h_q",), "pot": EVERYWHERE["pot"]}
STATES = [
    Place("", "every step", STATE),
    Place("product", "the product with R", {"mshift": ("Rh",), "pot": ("Rh_acc",)}),
    Place("update", "the update of the state", {"mshift": ("S",), "pot": ("O_prod",)}),
]
X, H, START = fields(("x",), ("x",)), fields(("h",), ("h",)), {d: ("h0",) for d in DATAPATHS}


def flipped(values: Any, run: Run) -> Any:
    """An array in time order, read backwards."""
    return values[::-1] if run.reverse else values


def lost(reverse: bool) -> Any:
    """The last step of a direction keeps the state."""

    def result(e: Environment, h: Any) -> Any:
        return np.where(e.final() & (e.run.reverse == reverse), e.state(e.times, e.rows), h)

    return result


def previous_row(rows: Any, e: Environment) -> Any:
    """The row before, the last one for the first."""
    return (rows - 1) % e.run.x.shape[1]


def zero_code(codes: Any, run: Run) -> Any:
    """A missing h0 as the code 0."""
    return codes if run.h0 is not None else np.zeros_like(codes)


def ignored(codes: Any, run: Run) -> Any:
    """The state of a missing h0 even where one is given."""
    p: Any = run.params
    zero_point = p.operators["input.h"].zero_point if p.datapath == "pot" else p.zp_h
    return np.full_like(codes, saturate(zero_point, run.fmt_h))


def not_turned(run: Run) -> Run:
    """Outputs and intermediates left in the order in which they were processed."""
    if not run.reverse:
        return run
    mask = run.options.mask
    options = replace(run.options, mask=None if mask is None else mask[::-1])
    return Run(run.params, run.x[::-1], run.h0, options, False)


def forward_only(run: Run) -> Run:
    """The reverse direction run forward."""
    return replace(run, reverse=False) if run.reverse else run


def _around(name: str, words: str, clauses: tuple[str, ...], rearranged: Any) -> Deviation:
    return Deviation(name, name, FAMILY, clauses, words, {}, {d: ("h",) for d in DATAPATHS}, rearranged)


def without_state(run: Run) -> Run:
    """A continued state taken as if it were the first."""
    if not isinstance(run.h0, DynamicState):
        return run
    return replace(run, h0=replace(run.h0, steps=0, x_min=None, x_max=None, s_b=None))


DEVIATIONS: list[Deviation] = [
    *spread(
        "state-stale",
        FAMILY,
        ("S-1",),
        "reads the state one step too early",
        {"state": lambda e: e.stale(e.times, e.rows)},
        STATES,
    ),
    *spread(
        "state-not-carried",
        FAMILY,
        ("S-1",),
        "starts from the initial state",
        {"state": lambda e: np.broadcast_to(e.states[0][e.rows], (len(e.times), len(e.rows), e.states.shape[2]))},
        STATES,
    ),
    *spread(
        "state-of-previous-row",
        FAMILY,
        ("S-3",),
        "reads the state of the batch row before",
        {"state": lambda e: e.state(e.times, previous_row(e.rows, e))},
        STATES,
    ),
    *single(
        "input-of-previous-row",
        FAMILY,
        ("S-3",),
        "x is read from the batch row before",
        {"input": lambda e: e.input(e.times, previous_row(e.rows, e))},
        X,
    ),
    *single(
        "input-of-first-row",
        FAMILY,
        ("S-3",),
        "x of the first batch row is used for all",
        {"input": lambda e: e.input(e.times, 0 * e.rows)},
        X,
    ),
    *single(
        "input-stale",
        FAMILY,
        ("S-1",),
        "x is read one step late",
        {"input": lambda e: e.input(np.where(e.first(1), e.times, e.times + (1 if e.run.reverse else -1)), e.rows)},
        X,
    ),
    *single(
        "input-in-processing-order",
        FAMILY,
        ("S-2",),
        "the reverse direction reads x from 0 to T-1",
        {"input": lambda e: flipped(e.run.x, e.run)[e.times][:, e.rows]},
        X,
    ),
    *single(
        "reverse-last-step-lost",
        FAMILY,
        ("S-2",),
        "the reverse direction loses its last step, t = 0",
        {"result": lost(True)},
        H,
    ),
    *single("last-step-lost", FAMILY, ("S-1",), "the last step, t = T-1, is lost", {"result": lost(False)}, H),
    *single(
        "missing-h0-is-code-0",
        FAMILY,
        ("GM-4", "GP-9"),
        "a missing h0 is the code 0 instead of real zero",
        {"initial": zero_code},
        START,
    ),
    *single(
        "h0-ignored",
        FAMILY,
        ("S-1",),
        "h0 is ignored",
        {"initial": ignored},
        {d: f for d, f in START.items() if d != "mshift-dynamic"},
    ),
    _around("reverse-not-put-back", "the reverse direction leaves its outputs in processing order", ("S-2",), not_turned),
    _around("reverse-runs-forward", "the reverse direction runs forward", ("S-2",), forward_only),
    *(
        replace(d, fields={"mshift-dynamic": ("h",)})
        for d in [
            _around(
                "state-continued-as-first", "a continued state is treated as that of a first step", ("S-1", "D"), without_state
            )
        ]
    ),
]
