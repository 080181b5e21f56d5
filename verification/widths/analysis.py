"""The widths of a parameter set: for every field its proven bound, what is attained, by which input, and what one bit less does.

Everything is over one step, any x of the input format and any h of the state format, so it holds at every step of every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.layout import FIELDS, GATES, trace_fields
from golden.spec.params import MShiftDynamicParams
from golden.spec.trace import Trace
from verification.widths import linear
from verification.widths.bound import bounds
from verification.widths.columns import data_of, products
from verification.widths.least import bits_each, bits_of, fits, unsigned_bits_of
from verification.widths.narrow import changed, furthest, last_field
from verification.widths.search import Found, Reached, ascend, near, pool, rows, search

UNITS_TRIED = 3
ROWS_TRIED = 384
NEAR = 3072


@dataclass(eq=False)
class Register:
    """A field as a register.

    name, clause    of the layout
    ends            (least, greatest) attained in golden
    bound           (least, greatest) that nothing leaves
    order           (least, greatest) partial sum of a sum, in any order of its terms, or None
    channel_ends    int64 [2, channels] attained by corner inputs, channel by channel
    channel_bound   int64 [2, channels] proven
    witness         the input that reaches the end that needs the width
    other           the input at the other end
    seen            "h" when a bit less changes a code of the new state, else the furthest field that changes, "" for none
    shown           the input for which it does
    """

    name: str
    clause: str
    ends: tuple[int, int]
    bound: tuple[int, int]
    channel_ends: np.ndarray
    channel_bound: np.ndarray
    witness: Reached
    other: Reached
    order: tuple[int, int] | None = None
    seen: str = ""
    shown: Reached | None = field(default=None, repr=False)

    @property
    def bits(self) -> int:
        """The least width that holds what is attained."""
        return bits_of(*self.ends)

    @property
    def bound_bits(self) -> int:
        """A width that is proven enough."""
        return bits_of(*self.bound)

    @property
    def verdict(self) -> str:
        """"exact" where both ends of the bound are attained, "tight" where only the widths agree, else "open"."""
        if self.ends == self.bound:
            return "exact"
        return "tight" if self.bits == self.bound_bits else "open"

    @property
    def unsigned(self) -> int | None:
        """The width without a sign, where nothing is negative."""
        return unsigned_bits_of(*self.bound)

    @property
    def channel_bits(self) -> np.ndarray:
        """int64 [channels]: the width that is proven enough for each channel."""
        return bits_each(*self.channel_bound)

    @property
    def channels_attained(self) -> int:
        """For how many channels the corner inputs need that width."""
        return int(np.count_nonzero(bits_each(*self.channel_ends) == self.channel_bits))


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
    limits = bounds(params, by_gate["W"], by_gate["R"], units, zoneout)
    found = search(params, zoneout)
    registers, pools = [], _Pools(params, zoneout)
    for f in trace_fields(params.datapath, training=False, zoneout=zoneout > 0):
        register = _given(params, f.name, f.clause, found) if f.name in ("x", "h") else _register(
            params, f.name, f.clause, limits, found, zoneout
        )
        register.order = _order(params, f.name, limits)
        for reached in (register.witness, register.other):
            _confirm(params, register.name, reached, zoneout)
        _show(params, register, pools)
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
    params: Any, name: str, clause: str, limits: dict[str, np.ndarray], found: dict[str, Found], zoneout: float
) -> Register:
    names = [name] if name in found else [f"{name}:{k}" for k in GATES]
    proven = np.concatenate([limits[n] for n in names], axis=1)
    bound = int(proven[0].min()), int(proven[1].max())
    reached = [
        min((found[n].least for n in names), key=lambda r: r.value),
        max((found[n].greatest for n in names), key=lambda r: r.value),
    ]
    each = np.concatenate([found[n].ends for n in names], axis=1)
    if bits_of(reached[0].value, reached[1].value) < bits_of(*bound):
        _further(params, name, proven, bound, reached, each, zoneout)
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


def _order(params: Any, name: str, limits: dict[str, np.ndarray]) -> tuple[int, int] | None:
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


class _Pools:
    """Rows for a unit and every field of it, made once."""

    def __init__(self, params: Any, zoneout: float) -> None:
        self.params, self.zoneout = params, zoneout
        self._known: dict[int, tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]] = {}

    def of(self, unit: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """x [N, C], h [N, H], field -> int64 [N]"""
        if unit not in self._known:
            x, h = pool(self.params, unit, self.zoneout)
            self._known[unit] = x, h, rows(self.params, x, h, unit, self.zoneout)
        return self._known[unit]


def _rows_to_try(params: Any, first: list[Reached], pools: _Pools) -> Iterator[tuple[int, Any, Any, dict[str, np.ndarray]]]:
    """(unit, x, h, fields): the candidates of some units, then what lies around the inputs that need the width."""
    for unit in dict.fromkeys([first[0].unit, *range(min(params.hidden_size, UNITS_TRIED))]):
        yield unit, *pools.of(unit)
    for reached in first:
        x, h = near(params, reached, NEAR)
        yield reached.unit, x, h, rows(params, x, h, reached.unit, pools.zoneout)


def _show(params: Any, register: Register, pools: _Pools) -> None:
    """Find an input for which one bit less changes a code of the new state, or at least a later field."""
    bits, zoneout = register.bits - 1, pools.zoneout
    first = [r for r in (register.witness, register.other) if not fits(r.value, bits)]
    if not first:
        return  # always 0
    name, last = register.name, last_field(zoneout)
    for reached in first:
        if name == last or changed(params, reached.x[None], reached.h[None], name, bits, zoneout)[0]:
            register.seen, register.shown = "h", reached
            return
    gate, tried = first[0].gate, [(r.x[None], r.h[None], r) for r in first]
    for unit, x, h, fields in _rows_to_try(params, first, pools):
        values = fields.get(f"{name}:{gate}" if gate else name)
        chosen = np.arange(len(x)) if values is None else np.flatnonzero(~fits(values, bits))
        if not len(chosen):
            continue
        chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), ROWS_TRIED)).astype(np.int64)]
        hit = np.flatnonzero(changed(params, x[chosen], h[chosen], name, bits, zoneout))
        i = int(chosen[hit[0] if len(hit) else 0])
        value = register.witness.value if values is None else int(values[i])
        reached = Reached(value, unit if values is not None else 0, gate, x[i], h[i])
        if len(hit):
            register.seen, register.shown = "h", reached
            return
        tried += [(x[k : k + 1], h[k : k + 1], reached._replace(x=x[k], h=h[k])) for k in chosen[:: max(1, len(chosen) // 8)]]
    order = [f.name for f in FIELDS[params.datapath]]
    for some_x, some_h, reached in tried:
        later = furthest(params, some_x, some_h, name, bits, zoneout)
        if later and (not register.seen or order.index(later) > order.index(register.seen)):
            register.seen, register.shown = later, reached

assert set(SUMS) < set(FIELDS)
