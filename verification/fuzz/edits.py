"""Smaller problems made from a problem: fewer steps, rows, inputs and units, plainer options and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from golden.spec.errors import QgruError
from golden.spec.layout import MULTIPLIERS, SCALAR_OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import MShift, Operator
from golden.spec.tables import DirectTable
from golden.spec.trace import DynamicState
from verification.problem import Problem

Edit = Callable[[Problem], Problem]
Edits = tuple[Edit, ...]
"""Of which the first that can be kept is enough."""
Array = np.ndarray
PLAIN = (MShift(0, 0), MShift(1, 0), MShift(1, 1))
DATA = ("x", "h0", "mask")
WEIGHTS = ("W", "R", "bx", "br")


def attempt(edit: Edit, problem: Problem) -> Problem | None:
    """The edited problem, or None where the edit makes none that the parameter check takes."""
    try:
        return edit(problem)
    except (QgruError, ValueError, OverflowError):
        return None


def kept(problem: Problem, axis: str, indices: list[int]) -> Problem:
    """The problem with these steps ("T"), rows ("N"), inputs ("C") or units ("H") alone."""
    take = np.asarray(indices, np.int64)
    if axis in "TN":
        along = "TN".index(axis)
        mask = None if problem.mask is None else np.take(problem.mask, take, along)
        h0 = problem.h0 if axis == "T" else _state(problem.h0, lambda h: h[take])
        return replace(problem, x=np.take(problem.x, take, along), mask=mask, h0=h0)
    p: Any = problem.params
    if axis == "C":
        return replace(problem, x=problem.x[:, :, take], params=replace(p, W=p.W[take]))
    hidden = p.hidden_size
    blocks = np.concatenate([take + gate * hidden for gate in range(3)])
    changed: dict[str, Any] = {"W": p.W[:, blocks], "R": p.R[take][:, blocks], "bx": p.bx[blocks], "br": p.br[blocks]}
    if p.datapath == "pot":
        operators = dict(p.operators)
        for name in WEIGHT_OPERATORS:
            operators[name] = Operator(operators[name].fmt, operators[name].exponent[blocks])
        changed["operators"] = operators
    mask = None if problem.mask is None else problem.mask[:, :, take]
    return replace(problem, params=replace(p, **changed), mask=mask, h0=_state(problem.h0, lambda h: h[:, take]))


def _state(h0: Any, cut: Callable[[Array], Array]) -> Any:
    if isinstance(h0, DynamicState):
        return replace(h0, h=cut(h0.h))
    return None if h0 is None else cut(np.asarray(h0))


def sizes(problem: Problem) -> dict[str, int]:
    """T, N, C, H."""
    return {**dict(zip("TNC", problem.x.shape)), "H": problem.params.hidden_size}


def options(problem: Problem) -> Iterator[Edits]:
    """Plainer options, one at a time."""
    if problem.reverse:
        yield (
            lambda q: replace(q, reverse=False, x=q.x[::-1].copy(), mask=None if q.mask is None else q.mask[::-1].copy()),
            lambda q: replace(q, reverse=False),
        )
    if problem.training:
        bare: Edits = (lambda q: replace(q, mask=None),)
        yield (lambda q: replace(q, training=False, mask=None), *(bare if problem.mask is not None else ()))
    if problem.zoneout:
        half: Edits = (lambda q: replace(q, zoneout=0.5),)
        yield (lambda q: replace(q, zoneout=0.0), *(half if problem.zoneout != 0.5 else ()))
    if problem.h0 is not None:
        yield (lambda q: replace(q, h0=None),)


def arrays(problem: Problem) -> dict[str, Array]:
    """The arrays of numbers that are made plainer, by name."""
    p: Any = problem.params
    found = {name: getattr(p, name) for name in ("R", "W", "br", "bx")} | {"x": problem.x}
    if problem.mask is not None:
        found["mask"] = problem.mask
    if isinstance(problem.h0, DynamicState):
        found["h0"] = problem.h0.h
    elif problem.h0 is not None:
        found["h0"] = np.asarray(problem.h0)
    return found


def with_array(problem: Problem, name: str, flat: Array) -> Problem:
    """The problem with other numbers in one of its arrays."""
    array = flat.reshape(arrays(problem)[name].shape)
    if name in WEIGHTS:
        changed: Any = {name: array}
        return replace(problem, params=replace(problem.params, **changed))
    if name == "h0" and isinstance(problem.h0, DynamicState):
        return replace(problem, h0=replace(problem.h0, h=array))
    assert name in DATA
    more: Any = {name: array}
    return replace(problem, **more)


def parameters(problem: Problem) -> Iterator[Edits]:
    """Plainer parameters, one at a time: zero points of 0, even exponents, few segments, small factors."""
    p: Any = problem.params
    if p.datapath == "pot":
        yield from _pot(p)
        return
    for name in ("zp_x", "zp_h", "zp_z", "zp_r", "zp_g"):
        if getattr(p, name, 0) != 0:
            yield (_set(name, 0),)
    for name in ("x_symmetric", "h_symmetric", "reciprocal"):
        if getattr(p, name, False):
            yield (_set(name, False),)
    for gate in "zrg":
        table = getattr(p, f"table_{gate}")
        if (table.entries != table.entries[0]).any():
            constants = (np.full(256, constant, np.int32) for constant in (0, 127))
            yield tuple(_set(f"table_{gate}", replace(table, entries=entries, meta={})) for entries in constants)
    if p.datapath == "mshift":
        for name in MULTIPLIERS:
            if getattr(p, name) not in PLAIN:
                yield tuple(_set(name, plain) for plain in PLAIN)


def _set(name: str, value: Any) -> Edit:
    def edit(problem: Problem) -> Problem:
        p: Any = problem.params
        changed: dict[str, Any] = {name: value}
        if name in ("zp_z", "zp_r", "zp_g"):
            table = getattr(p, f"table_{name[3]}")
            changed[f"table_{name[3]}"] = replace(table, zero_point_in=value)
        return replace(problem, params=replace(p, **changed))

    return edit


def _pot(p: Any) -> Iterator[Edits]:
    for name in SCALAR_OPERATORS:
        if p.operators[name].zero_point != 0:
            yield (_operator(name, zero_point=0),)
    for name in WEIGHT_OPERATORS:
        exponents = p.operators[name].exponent
        if (exponents != exponents[0]).any():
            values = (exponents[0], exponents.min(), exponents.max())
            yield tuple(_operator(name, exponent=np.full(exponents.shape, v, np.int32)) for v in values)
    for gate in "zrg":
        name, table = f"act_{gate}", getattr(p, f"act_{gate}")
        if isinstance(table, DirectTable):
            if (table.entries != table.entries[0]).any():
                ends = (table.fmt_out.qmin, table.fmt_out.qmax)
                yield tuple(_set(name, replace(table, entries=np.full(256, end, np.int32), meta={})) for end in ends)
        elif len(table.thresholds) > 1:
            yield tuple(_set(name, _segments(table, [i])) for i in range(len(table.thresholds)))
    if p.reciprocal:
        yield (_set("reciprocal", False),)


def _segments(table: Any, indices: list[int]) -> Any:
    names = [f.name for f in fields(table) if isinstance(getattr(table, f.name), np.ndarray)]
    changed: Any = {name: getattr(table, name)[indices] for name in names}
    return replace(table, meta={}, **changed)


def _operator(name: str, **values: Any) -> Edit:
    def edit(problem: Problem) -> Problem:
        p: Any = problem.params
        op = p.operators[name]
        changed: dict[str, Any] = {"operators": {**p.operators, name: replace(op, **values)}}
        kind, _, rest = name.partition(".")
        if kind == "gate":
            gate, side = rest.split("_")
            end = "zero_point_in" if side == "pre" else "zero_point_out"
            zero_point: Any = {end: values["zero_point"]}
            changed[f"act_{gate}"] = replace(getattr(p, f"act_{gate}"), **zero_point)
        return replace(problem, params=replace(p, **changed))

    return edit
