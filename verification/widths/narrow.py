"""A step with one register narrowed: every value of a field is kept in fewer bits, and everything after it follows.

The step is recomputed stage by stage with the judge's arithmetic; without a narrowed register it is golden's step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from golden.spec.layout import FIELDS, GATES
from verification.deviations import evaluate, pot
from verification.deviations.environment import Block, Environment, Run
from verification.deviations.steps import RIGHT
from verification.widths.least import fits, wrap
from verification.widths.register import Register
from verification.widths.search import Reached, near, pool, rows

Fields = dict[str, np.ndarray]
PLACES_TRIED = 12
ROWS_TRIED = 384
NEAR = 3072
Rows = tuple[np.ndarray, np.ndarray, Fields]


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


class Pools:
    """Rows for a unit and every field of it, made once."""

    def __init__(self, params: Any, zoneout: float) -> None:
        self.params, self.zoneout = params, zoneout
        self._known: dict[int, Rows] = {}

    def of(self, unit: int) -> Rows:
        """x [N, C], h [N, H], field -> int64 [N]"""
        if unit not in self._known:
            x, h = pool(self.params, unit, self.zoneout)
            self._known[unit] = x, h, rows(self.params, x, h, unit, self.zoneout)
        return self._known[unit]


def _places(params: Any, register: Register, first: list[Reached]) -> list[tuple[int, str]]:
    """(unit, gate) of the channels that need the width, the one of the witness first."""
    found = [(r.unit, r.gate) for r in first]
    if register.name not in ("x", "h"):
        needed = (~fits(register.channel_ends, register.bits - 1)).any(axis=0)
        places = [divmod(int(c), params.hidden_size) for c in np.flatnonzero(needed)]
        found += [(unit, GATES[k] if first[0].gate else "") for k, unit in places]
    return list(dict.fromkeys(found))[:PLACES_TRIED]


def _rows_to_try(params: Any, register: Register, first: list[Reached], pools: Pools) -> Iterator[tuple[int, str, Rows]]:
    """(unit, gate, rows): candidates of the places that need the width, then what lies around the inputs that need it."""
    for unit, gate in _places(params, register, first):
        yield unit, gate, pools.of(unit)
    for reached in first:
        x, h = near(params, reached, NEAR)
        yield reached.unit, reached.gate, (x, h, rows(params, x, h, reached.unit, pools.zoneout))


def show_a_bit_less(params: Any, register: Register, pools: Pools) -> None:
    """Enter an input for which one bit less changes a code of the new state, or at least what field it changes."""
    bits, zoneout = register.bits - 1, pools.zoneout
    first = [r for r in (register.witness, register.other) if not fits(r.value, bits)]
    if not first:
        return  # always 0
    name, last = register.name, last_field(zoneout)
    for reached in first:
        if name == last or changed(params, reached.x[None], reached.h[None], name, bits, zoneout)[0]:
            register.seen, register.shown = "h", reached
            return
    tried = [(r.x[None], r.h[None], r) for r in first]
    for unit, gate, (x, h, fields) in _rows_to_try(params, register, first, pools):
        values = {"x": x, "h": h}.get(name)
        if values is None:
            values = fields[f"{name}:{gate}" if gate else name][:, None]
        out = ~fits(values, bits)
        chosen = np.flatnonzero(out.any(axis=1))
        if not len(chosen):
            continue
        chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), ROWS_TRIED)).astype(np.int64)]
        hit = np.flatnonzero(changed(params, x[chosen], h[chosen], name, bits, zoneout))
        i = int(chosen[hit[0] if len(hit) else 0])
        at = int(out[i].argmax())
        reached = Reached(int(values[i, at]), at if name in ("x", "h") else unit, gate, x[i], h[i])
        if len(hit):
            register.seen, register.shown = "h", reached
            return
        tried.append((x[i : i + 1], h[i : i + 1], reached))
    order = [f.name for f in FIELDS[params.datapath]]
    for some_x, some_h, reached in tried:
        later = furthest(params, some_x, some_h, name, bits, zoneout)
        if later and (not register.seen or order.index(later) > order.index(register.seen)):
            register.seen, register.shown = later, reached
