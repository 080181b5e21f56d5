"""Activations read in the wrong place.  [SPEC A, X-3, X-7]"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from golden.spec.params import Params
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from golden.tables import gate_table
from verification.deviations.deviation import Deviation
from verification.deviations.places import GATES, Place, fields, spread
from verification.deviations.rounding import another
from verification.deviations.steps import Steps, segment

FAMILY = "tables"
M = ("mshift", "mshift-dynamic")
P = ("pot",)
ZR = [Place("", "the z and r gates", fields(("z", "r"), ("z", "r")))]


def beside(by: int) -> dict[str, Any]:
    """The entry beside the right one, the last one at the end."""
    return {
        "index": lambda q: np.clip(q + 128 + by, 0, 255),
        "wide_index": lambda q: np.clip(((q + 32768) * 255 + 32767) // 65535 + by, 0, 255),
    }


def document_table(table: Activation, gate: str, params: Params) -> Activation:
    """The table of the source document, which covers [-1, 1) whatever the scale is.  [SPEC X-7]"""
    assert isinstance(table, DirectTable)
    return replace(table, entries=gate_table(table.function, 1 / 128, 0, 8).entries)


def exchanged(table: Activation, gate: str, params: Params) -> Activation:
    """z reads the table of r and r that of z."""
    prefix = "act" if params.datapath == "pot" else "table"
    return getattr(params, f"{prefix}_{'r' if gate == 'z' else 'z'}")


def at_or_below(q: Any, thresholds: Any) -> Any:
    """The first i with q <= threshold_i."""
    return np.minimum(np.searchsorted(thresholds, q, side="left"), len(thresholds) - 1)


def next_segment(by: int, q: Any, thresholds: Any) -> Any:
    """The segment beside the right one."""
    return np.clip(segment(q, thresholds) + by, 0, len(thresholds) - 1)


def without_last(q: Any, thresholds: Any) -> Any:
    """The last segment but one where the last is right."""
    return np.minimum(np.searchsorted(thresholds, q, side="right"), max(len(thresholds) - 2, 0))


def _at(values: Any, i: Any) -> Any:
    return np.asarray(values, np.int64)[i]


def intercept_first(o: Steps, q: Any, t: PiecewiseLinear, i: Any) -> Any:
    """The intercept added before the shift."""
    product = _at(t.slopes, i) * o.sub_zero(q, t.zero_point_in, "pre") + _at(t.intercepts, i)
    return o.saturate(o.table_shift(product, _at(t.shifts, i), Rounding.TIES_AWAY), t.fmt_out)


def inner_kept(o: Steps, q: Any, t: PiecewiseQuadratic, i: Any) -> Any:
    """Horner's inner step floored instead of rounded."""
    d = o.sub_zero(q, _at(t.origins, i), "origin")
    inner = another("floor", _at(t.c2, i) * d, _at(t.p, i), Rounding.TIES_AWAY) + _at(t.c1, i)
    return o.saturate(o.table_shift(inner * d, _at(t.n, i), Rounding.TIES_AWAY) + _at(t.c0, i), t.fmt_out)


def straight(o: Steps, q: Any, t: PiecewiseQuadratic, i: Any) -> Any:
    """The quadratic term left out."""
    d = o.sub_zero(q, _at(t.origins, i), "origin")
    return o.saturate(o.table_shift(_at(t.c1, i) * d, _at(t.n, i), Rounding.TIES_AWAY) + _at(t.c0, i), t.fmt_out)


def _kind(base: str, verb: str, changes: dict[str, Any], clauses: tuple[str, ...], only: tuple[str, ...]) -> list[Deviation]:
    return spread(base, FAMILY, clauses, verb, changes, GATES, only)


def _rounds(base: str, words: str, how: str) -> list[Deviation]:
    verb = f"rounds the shift of its segments {words} instead of ties away"
    return _kind(base, verb, {"table_shift": partial(another, how)}, ("A-3", "A-4"), P)


_ALL = (*M, *P)
DEVIATIONS: list[Deviation] = [
    *_kind(
        "table-read-at-byte",
        "reads its table at the byte value of q instead of q + 128",
        {"index": lambda q: q & 255, "wide_index": lambda q: (((q + 32768) * 255 + 32767) // 65535 - 128) & 255},
        ("A-1", "X-3"),
        _ALL,
    ),
    *_kind("table-entry-after", "reads the entry after the right one", beside(1), ("A-1", "A-2"), _ALL),
    *_kind("table-entry-before", "reads the entry before the right one", beside(-1), ("A-1", "A-2"), _ALL),
    *_kind(
        "wide-index-by-shift",
        "takes the high byte of a 16-bit input as its index",
        {"wide_index": lambda q: (q + 32768) >> 8},
        ("A-2",),
        M,
    ),
    *_kind(
        "wide-index-floored",
        "floors the index of a 16-bit input",
        {"wide_index": lambda q: (q + 32768) * 255 // 65535},
        ("A-2",),
        M,
    ),
    *_kind(
        "wide-index-offset",
        "adds 128 to the index of a 16-bit input, which is an index already",
        {"wide_index": lambda q: np.minimum(((q + 32768) * 255 + 32767) // 65535 + 128, 255)},
        ("A-2", "X-3"),
        M,
    ),
    *_kind(
        "table-of-document",
        "reads a table that covers [-1, 1) whatever its input scale",
        {"table": document_table},
        ("A-1", "X-7"),
        M,
    ),
    *spread("tables-exchanged", FAMILY, ("GM-1", "GP-2"), "read each other's tables", {"table": exchanged}, ZR),
    *_kind("threshold-included", "ends its segments at q <= threshold", {"segment": at_or_below}, ("A-3",), P),
    *_kind("segment-after", "takes the segment after the right one", {"segment": partial(next_segment, 1)}, ("A-3",), P),
    *_kind("segment-before", "takes the segment before the right one", {"segment": partial(next_segment, -1)}, ("A-3",), P),
    *_kind("last-segment-lost", "continues the last segment but one to the end", {"segment": without_last}, ("A-3",), P),
    *_rounds("segment-truncates", "toward zero", "truncate"),
    *_rounds("segment-floors", "down", "floor"),
    *_rounds("segment-ties-up", "ties up", "ties_up"),
    *_rounds("segment-ties-even", "ties to even", "ties_even"),
    *_kind(
        "segment-without-zero-point",
        "leaves out the zero point of its segments' input",
        {"sub_zero": lambda q, zero_point, name: q if name == "pre" else q - zero_point},
        ("A-3",),
        P,
    ),
    *_kind(
        "segment-without-origin",
        "leaves out the origins of its segments",
        {"sub_zero": lambda q, zero_point, name: q if name == "origin" else q - zero_point},
        ("A-4",),
        P,
    ),
    *_kind("intercept-before-shift", "adds the intercept before the shift", {"line": intercept_first}, ("A-3",), P),
    *_kind("horner-inner-floored", "floors the inner step of its quadratic segments", {"parabola": inner_kept}, ("A-4",), P),
    *_kind("quadratic-term-lost", "leaves out the quadratic term of its segments", {"parabola": straight}, ("A-4",), P),
]
