"""The widths of a parameter set: for every field its proven bound, what is attained and by which input, what one bit less does.

Everything is over one step, any x of the input format and any h of the state format, so it holds at every step of every run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.layout import GATES, trace_fields
from golden.spec.params import MShiftDynamicParams
from golden.spec.trace import Trace
from verification.widths import linear
from verification.widths.bound import bounds
from verification.widths.columns import data_of, products
from verification.widths.least import bits_each, bits_of
from verification.widths.narrow import Pools, show_a_bit_less
from verification.widths.refine import pursued, refined
from verification.widths.register import Register
from verification.widths.search import Found, Reached, ascend, search

UNITS_TRIED = 3
UNITS_REFINED = 16


SUMS: dict[str, dict[str, tuple[str, ...]]] = {
    "mshift": {
        **{f"{k}_acc": (f"Wx:{k}", f"{k}_Rh_aligned", f"{k}_bx_aligned", f"{k}_br_aligned") for k in ("z", "r")},
        "g_b_acc": ("Rh:g", "g_br_aligned"),
        "g_acc": ("Wx:g", "g_c", "g_bx_aligned"),
    },
    "pot": {
        **{
            f"{k}_acc": (f"{k}_Wx_aligned", f"{k}_Rh_aligned", f"{k}_bx_aligned", f"{k}_br_aligned", f"gate.{k}_pre")
            for k in ("z", "r")
        },
        "A_acc": ("A_Rh_aligned", "A_br_aligned", "op.Rh_add_br"),
        "g_acc": ("g_Wx_aligned", "g_P_aligned", "g_bx_aligned", "gate.g_pre"),
        "h_acc": ("h_O_aligned", "h_N_aligned", "input.h"),
    },
}
"""The terms of the sums; an operator stands for its zero point."""


class Limits(dict[str, np.ndarray]):
    """Field -> int64 [2, H], the proven bounds; a unit is cut finer when its bound may be too wide."""

    def __init__(self, params: Any, zoneout: float, known: dict[str, np.ndarray]) -> None:
        super().__init__({name: np.array(ends) for name, ends in known.items()})
        self.params, self.zoneout = params, zoneout
        self._done: set[int] = set()

    def tighten(self, name: str, bits: int, fine: bool) -> None:
        """Cut the units that this field lets need more than these bits, unless they are many.

        fine  cut again where it is needed, for this field alone
        """
        wide = np.flatnonzero(bits_each(*self[name]) > bits)
        if len(wide) > UNITS_REFINED:
            return
        for unit in wide.tolist():
            if fine:
                self._enter(name, unit, pursued(self.params, unit, name, bits, self.zoneout))
            elif unit not in self._done:
                self._done.add(unit)
                for field, ends in refined(self.params, unit, self.zoneout).items():
                    self._enter(field, unit, ends)

    def _enter(self, name: str, unit: int, ends: np.ndarray) -> None:
        old = self[name]
        old[:, unit] = max(old[0, unit], ends[0]), min(old[1, unit], ends[1])


def analyse(params: Any, zoneout: float = 0.0, advance: Callable[[int], None] = lambda n: None) -> list[Register]:
    """Every field of a step of a static parameter set as a register, in computation order.

    zoneout  probability; above 0 its accumulator is a register too
    advance  is told of each register that is done
    Raises   ParameterError for moving ranges, whose scales and zero points are no constants
    """
    if isinstance(params, MShiftDynamicParams):
        raise ParameterError("datapath", params.datapath, "a static set, mshift or pot, whose scales are constants")
    d, units = data_of(params), np.arange(params.hidden_size)
    ends = {
        name: linear.extremes(w, fmt, zp)
        for name, w, fmt, zp in (("W", params.W, d.fmt_x, d.zp_x), ("R", params.R, d.fmt_h, d.zp_h))
    }
    by_gate = {name: dict(zip(GATES, np.split(e, 3, axis=1), strict=True)) for name, e in ends.items()}
    limits = Limits(params, zoneout, bounds(params, by_gate["W"], by_gate["R"], units, zoneout))
    found = search(params, zoneout)
    registers, pools = [], Pools(params, zoneout)
    for f in trace_fields(params.datapath, training=False, zoneout=zoneout > 0):
        if f.name in ("x", "h"):
            register = _given(params, f.name, f.clause, found)
        else:
            register = _register(params, f.name, f.clause, limits, found, zoneout)
        register.order = _order(params, f.name, limits)
        for reached in (register.witness, register.other):
            _confirm(params, register.name, reached, zoneout)
        show_a_bit_less(params, register, pools)
        registers.append(register)
        advance(1)
    return registers


def count(params: Any, zoneout: float = 0.0) -> int:
    """How many registers analyse gives."""
    return len(trace_fields(params.datapath, training=False, zoneout=zoneout > 0))


def _given(params: Any, name: str, clause: str, found: dict[str, Found]) -> Register:
    """x and h are free: their formats are their widths."""
    d = data_of(params)
    fmt, zp = (d.fmt_x, d.zp_x) if name == "x" else (d.fmt_h, d.zp_h)
    size = params.input_size if name == "x" else params.hidden_size
    source = found[products(params)[name == "h"] + ":g"]
    each = np.repeat(np.array([[fmt.qmin], [fmt.qmax]]), size, axis=1)
    reached = []
    for base, code in ((source.least, fmt.qmin), (source.greatest, fmt.qmax)):
        x, h = base.x.copy(), base.h.copy()
        (x if name == "x" else h)[:] = code
        reached.append(Reached(code, 0, "", x, h))
    return _ordered(name, clause, (fmt.qmin, fmt.qmax), (fmt.qmin, fmt.qmax), each, each, reached)


def _ordered(name: str, clause: str, ends: Any, bound: Any, each: Any, proven: Any, reached: list[Reached]) -> Register:
    """The register, the end that needs its width first."""
    first = 0 if bits_of(ends[0], ends[0]) > bits_of(max(ends[1], 0), max(ends[1], 0)) else 1
    if ends[0] == ends[1]:
        first = 1
    return Register(name, clause, ends, bound, each, proven, reached[first], reached[1 - first])


def _register(
    params: Any, name: str, clause: str, limits: Limits, found: dict[str, Found], zoneout: float
) -> Register:
    names = [name] if name in found else [f"{name}:{k}" for k in GATES]
    proven = np.concatenate([limits[n] for n in names], axis=1)
    bound = int(proven[0].min()), int(proven[1].max())
    reached = [
        min((found[n].least for n in names), key=lambda r: r.value),
        max((found[n].greatest for n in names), key=lambda r: r.value),
    ]
    each = np.concatenate([found[n].ends for n in names], axis=1)
    for attempt in ("coarse", "search", "fine"):
        if bits_of(reached[0].value, reached[1].value) == bits_of(*bound):
            break
        if attempt == "search":
            _further(params, name, proven, bound, reached, each, zoneout)
        elif len(names) == 1:
            limits.tighten(name, bits_of(reached[0].value, reached[1].value), attempt == "fine")
            proven = limits[name]
            bound = int(proven[0].min()), int(proven[1].max())
    ends = reached[0].value, reached[1].value
    return _ordered(name, clause, ends, bound, each, proven, reached)


def _further(
    params: Any, name: str, proven: np.ndarray, bound: tuple[int, int], reached: list[Reached], each: np.ndarray, zoneout: float
) -> None:
    """Ascent from the corners, on the units with the widest bounds, towards a width that is not attained yet."""
    missing = bits_of(*bound)
    for side in (0, 1):
        if bits_of(bound[side], bound[side]) < missing:
            continue
        enough = -(2 ** (missing - 2)) - 1 if side == 0 else 2 ** (missing - 2)
        if missing < 2 or (bound[0] > enough if side == 0 else bound[1] < enough):
            continue
        order = np.argsort(proven[side] if side == 0 else -proven[side], kind="stable")
        for unit in order[:UNITS_TRIED].tolist():
            if (proven[side, unit] > enough) if side == 0 else (proven[side, unit] < enough):
                break
            got = ascend(params, name, side, unit, enough, zoneout)
            each[side, unit] = min(each[side, unit], got.value) if side == 0 else max(each[side, unit], got.value)
            if (got.value < reached[0].value) if side == 0 else (got.value > reached[1].value):
                reached[side] = got


def _order(params: Any, name: str, limits: Limits) -> tuple[int, int] | None:
    """The extremes of the partial sums of a sum in any order of its terms."""
    d = data_of(params)
    dot = {products(params)[0]: (params.W, d.fmt_x, d.zp_x), products(params)[1]: (params.R, d.fmt_h, d.zp_h)}
    if name in dot:
        partial = linear.any_order(*dot[name])
    elif name in SUMS[params.datapath]:
        low = high = np.zeros(1, np.int64)
        for term in SUMS[params.datapath][name]:
            least, greatest = limits[term] if term in limits else np.full(2, params.operators[term].zero_point)
            low, high = low + np.minimum(least, 0), high + np.maximum(greatest, 0)
        partial = np.stack([low, high])
    else:
        return None
    return int(partial[0].min()), int(partial[1].max())


def value_in(trace: Trace, name: str, reached: Reached, row: int = 0) -> int:
    """The value of a field at the place that an input is for, in a run whose first step has that input in this row."""
    array = trace[name]
    if array.ndim == 0:
        return int(array)
    if name == "x":
        return int(array[0, row, reached.unit])
    channel = reached.unit + (GATES.index(reached.gate) * trace.h.shape[-1] if reached.gate else 0)
    return int(array[0, channel] if array.ndim == 2 else array[0, row, channel])


def _confirm(params: Any, name: str, reached: Reached, zoneout: float) -> None:
    """Run golden on the input and find the value there."""
    trace = forward(params, reached.x[None, None].astype(np.int32), reached.h[None].astype(np.int32), zoneout=zoneout)
    if value_in(trace, name, reached) != reached.value:
        raise AssertionError(f"{name} is {value_in(trace, name, reached)} in golden, {reached.value} in the search")
