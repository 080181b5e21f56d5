"""Two traces of one run, code by code: equal, or where they part first and what only follows from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.layout import GATES
from golden.spec.params import Params
from golden.spec.trace import Trace
from vectors.describe import field_format
from verification.consequences import Layout, TimeOrder, follows, layout_of, operands, with_unrecorded


@dataclass(frozen=True)
class Divergence:
    """One code that differs.

    datapath, stage, clause  of the trace, its field and the clause that defines it
    t          time index; None for what is computed before the loop, -1 for the initial state
    n, unit    batch row and last index; None where the field has no such axis
    gate       "z", "r", "g" or "last" where the last axis has a block for each; unit counts inside it
    got, expected  the codes (floats for binary32 fields) of the two traces
    difference got - expected as a true integer; for floats the distance of the bit patterns
    bits       width of the field, for the hexadecimal digits
    operands   name -> what the expected trace has there: a number, or a list of a whole row
    """

    datapath: str
    stage: str
    clause: str
    t: int | None
    n: int | None
    unit: int | None
    gate: str | None
    got: int | float
    expected: int | float
    difference: int
    bits: int
    operands: dict[str, Any] = field(default_factory=dict)

    @property
    def hex(self) -> tuple[str, str]:
        """(got, expected) in two's complement of the field's width; floats as their bit pattern."""
        return hexadecimal(self.got, self.bits), hexadecimal(self.expected, self.bits)


@dataclass(frozen=True)
class Comparison:
    """The result of compare.

    compared    how many codes were compared
    mismatches  how many differ
    roots       how many of those differ although none of their operands does; the others are consequences
    stages      field -> (compared, differing), in computation order
    problems    missing or extra fields, other shapes, dtypes or datapaths: one sentence each
    first       the first divergence in computation order, or None
    """

    compared: int
    mismatches: int
    roots: int
    stages: dict[str, tuple[int, int]]
    problems: tuple[str, ...] = ()
    first: Divergence | None = None

    @property
    def equal(self) -> bool:
        """Whether every field is there and no code differs."""
        return self.mismatches == 0 and not self.problems

    @property
    def consequences(self) -> int:
        """How many differing codes have a differing operand."""
        return self.mismatches - self.roots


def hexadecimal(value: int | float, bits: int) -> str:
    """value in two's complement of so many bits (of 64 when it does not fit); a float as its binary32 pattern."""
    if isinstance(value, float):
        return f"0x{int(np.float32(value).view(np.uint32)):08x}"
    if not -(2 ** (bits - 1)) <= value < 2**bits:
        bits = 64
    return f"0x{value % 2**bits:0{(bits + 3) // 4}x}"


def compare(got: Trace, expected: Trace, params: Params | None = None, recorded: Collection[str] | None = None) -> Comparison:
    """Compare every field of two traces; floats by their bits.

    got       the trace under test
    expected  the trace that is right
    params    the parameter set, for the width of each field in a report
    recorded  names of the fields that got really has, the others being the expected ones; a code that follows from a differing
              one through others is a consequence of it. None: all
    Returns   Comparison; first is the first differing code: steps in processing order (from T-1 to 0 in reverse), fields
              in the order of the layout, then by row and unit
    """
    problems, names = _structure(got, expected)
    stages: dict[str, tuple[int, int]] = {}
    differs: dict[str, np.ndarray] = {}
    for name in names:
        mask = _bits(got[name]) != _bits(expected[name])
        count = int(np.count_nonzero(mask))
        stages[name] = (int(expected[name].size), count)
        if count:
            differs[name] = np.asarray(mask)
    compared = sum(size for size, _ in stages.values())
    if not differs:
        return Comparison(compared, 0, 0, stages, problems)
    layout, order = layout_of(expected), TimeOrder(expected)
    known = differs if recorded is None else with_unrecorded(expected, layout, differs, recorded, order)
    roots = sum(
        int(np.count_nonzero(mask & ~follows(expected.datapath, name, layout, known, order))) for name, mask in differs.items()
    )
    name, index = _first(differs, layout, order)
    first = _divergence(got, expected, name, index, layout, order, params)
    return Comparison(compared, sum(count for _, count in stages.values()), roots, stages, problems, first)


def _structure(got: Trace, expected: Trace) -> tuple[tuple[str, ...], list[str]]:
    """(sentences on what cannot be compared, names of the fields that can)"""
    if got.datapath != expected.datapath:
        return (f"the datapath is {got.datapath!r}, expected {expected.datapath!r}",), []
    if got.reverse != expected.reverse:
        return (f"reverse is {got.reverse}, expected {expected.reverse}",), []
    problems, names = [], []
    for name, wanted in expected.items():
        if name not in got:
            problems.append(f"field {name} is missing")
        elif got[name].shape != wanted.shape or got[name].dtype != wanted.dtype:
            problems.append(
                f"field {name} is {got[name].dtype} {list(got[name].shape)}, expected {wanted.dtype} {list(wanted.shape)}"
            )
        else:
            names.append(name)
    problems += [f"field {name} is not one of this run" for name in got if name not in expected]
    return tuple(problems), names


def _bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint32) if array.dtype == np.float32 else array


def _first(differs: dict[str, np.ndarray], layout: Layout, order: TimeOrder) -> tuple[str, tuple[int, ...]]:
    """(field, index) of the differing code that was computed first."""
    best: tuple[tuple[int, int], str, int] | None = None
    for position, name in enumerate(layout):
        if name not in differs:
            continue
        mask, axes = differs[name], layout[name].axes
        along = 0
        rank = -2
        if axes[:1] in ("T", "S"):
            at = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
            ranks = [order.rank(int(t) - (axes[0] == "S")) for t in at]
            rank = min(ranks)
            along = int(at[ranks.index(rank)])
        if best is None or (rank, position) < best[0]:
            best = ((rank, position), name, along)
    assert best is not None
    _, name, along = best
    mask = differs[name]
    if layout[name].axes[:1] in ("T", "S"):
        return name, (along, *(int(i) for i in np.unravel_index(int(np.argmax(mask[along])), mask[along].shape)))
    return name, tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def _divergence(
    got: Trace,
    expected: Trace,
    name: str,
    index: tuple[int, ...],
    layout: Layout,
    order: TimeOrder,
    params: Params | None,
) -> Divergence:
    axes = layout[name].axes
    place = dict(zip(axes, index))
    t = place["T"] if "T" in place else place["S"] - 1 if "S" in place else None
    unit, gate = next((place[letter] for letter in "CHGV"[::-1] if letter in place), None), None
    if axes.endswith(("G", "V")):
        assert unit is not None
        hidden = expected[name].shape[-1] // (3 if axes.endswith("G") else 4)
        gate, unit = (*GATES, "last")[unit // hidden], unit % hidden
    a, b = got[name][index], expected[name][index]
    difference = int(_bits(np.asarray(a))) - int(_bits(np.asarray(b)))
    read = {
        operand: _read(expected, layout, source, how, place, gate, order)
        for operand, source, how, block in operands(expected.datapath, name, layout)
        if (t is None or t >= 0) and (block is None or gate == (*GATES, "last")[block])
    }
    return Divergence(
        expected.datapath,
        name,
        layout[name].clause,
        t,
        place.get("N"),
        unit,
        gate,
        a.item(),
        b.item(),
        difference,
        _width(name, expected, params),
        {k: v for k, v in read.items() if v is not None},
    )


def _width(name: str, trace: Trace, params: Params | None) -> int:
    """Bits of a field: those of its format where the parameter set gives one, else of its dtype."""
    text = "acc" if params is None else field_format(params, name)
    if text in ("acc", "mixed", "binary32"):
        return int(trace[name].dtype.itemsize) * 8
    return IntFormat.parse(text).bits


def _read(
    trace: Trace, layout: Layout, source: str, how: tuple[str, ...], place: dict[str, int], gate: str | None, order: TimeOrder
) -> Any:
    """What a field reads of an operand at its own place: a number, a list, or None where there is nothing to read."""
    array, axes = trace[source], layout[source].axes
    at = dict(place)
    if "S" in at:
        at["T"] = at["S"] - 1
    if "last" in how:
        before = order.previous(at["T"])
        if before is None:
            return None
        at["T"] = before
    if axes.startswith("S"):
        at["S"] = order.state_index(at["T"]) if "prev" in how else at["T"] + 1
    if "G" in axes and "G" not in at:
        block = next((GATES.index(g) for g in GATES if g in how), 0)
        at["G"] = block * (array.shape[axes.index("G")] // 3) + at.get("H", 0)
    if "H" in axes and "V" in at:
        at["H"] = at["V"] % array.shape[axes.index("H")]
    whole = {"row": axes[-1:], "all": axes[1:], "column": axes[:1]}
    kept = "".join(letters for key, letters in whole.items() if key in how)
    index = tuple(slice(None) if letter in kept else at[letter] for letter in axes)
    value = array[index]
    if "all" in how:
        return [value.min().item(), value.max().item()]
    return value.tolist()
