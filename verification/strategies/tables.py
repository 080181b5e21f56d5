"""Activation tables: arbitrary valid integer data, and tables as the makers give them.  [SPEC A-1 ... A-4]

The arithmetic of a table is kept inside int64 by construction: coefficients and left shifts are cut to the room that
their segment leaves, so that no draw is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from golden.spec.bounds import segment_range
from golden.spec.formats import INT8, INT16, IntFormat
from golden.spec.tables import MAX_SHIFT, Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from verification.strategies.numbers import int_array

ROOM = 2**61
_SEED = st.integers(0, 2**20)
_SEGMENTS_LINEAR = st.integers(1, 16)
_SEGMENTS_QUADRATIC = st.integers(1, 32)
_OFFSET = st.sampled_from((0, 1, 2, -1, -2, 4, -4, 9, -9))


def gate_entries(draw: Any, function: str, gate_bits: int, zero_point: int) -> DirectTable:
    """A direct table of datapath M with arbitrary entries: [0, 127] for sigma, int8 for tanh."""
    entries = int_array(draw, (256,), 0 if function == "sigmoid" else -128, 127)
    return DirectTable(function, entries, INT8 if gate_bits == 8 else INT16, INT8, zero_point)


def direct(
    draw: Any, function: str, fmt_in: IntFormat, zp_in: int, fmt_out: IntFormat, zp_out: int, lively: bool = False
) -> DirectTable:
    """A direct table of datapath P with arbitrary entries; fmt_in signed, at most 8 bits."""
    return DirectTable(
        function, int_array(draw, (256,), fmt_out.qmin, fmt_out.qmax, lively), fmt_in, fmt_out, zp_in, zp_out, one=1.0
    )


def _thresholds(draw: Any, count: int, fmt: IntFormat, rng: np.random.Generator) -> np.ndarray:
    """Non-decreasing, mostly inside the format; some coincide, some lie outside."""
    inside = np.sort(rng.integers(fmt.qmin, fmt.qmax + 2, count))
    kind = draw(st.sampled_from(("inside", "coincide", "outside", "ends")))
    if kind == "coincide":
        inside[count // 2 :] = inside[count // 2]
    elif kind == "outside":
        inside[-1] = 2**31 - 1
        inside[0] = min(int(inside[0]), -(2**31)) if count > 1 else inside[0]
    elif kind == "ends" and count > 1:
        inside[0], inside[-1] = fmt.qmin, fmt.qmax + 1
        inside = np.sort(inside)
    return inside


def _constants(rng: np.random.Generator, fmt: IntFormat, count: int, lively: bool) -> np.ndarray:
    """Constant terms: codes of the output format, or up to a width beside it."""
    beside = 0 if lively else fmt.qmax - fmt.qmin
    return rng.integers(fmt.qmin - beside, fmt.qmax + beside + 1, count)


def _cut(value: int, limit: int) -> int:
    limit = min(limit, 2**31 - 1)
    return max(-limit, min(limit, int(value)))


def _left_room(reached: int) -> int:
    """How far a magnitude may be shifted left."""
    return max(0, ROOM.bit_length() - 1 - max(1, reached).bit_length())


def piecewise_linear(
    draw: Any, function: str, fmt_in: IntFormat, zp_in: int, fmt_out: IntFormat, zp_out: int, lively: bool = False
) -> PiecewiseLinear:
    """Arbitrary segments whose outputs mostly fall in or beside the output format."""
    count = draw(_SEGMENTS_LINEAR)
    rng = np.random.default_rng(draw(_SEED))
    offset = 0 if lively else draw(_OFFSET)
    thresholds = _thresholds(draw, count, fmt_in, rng)
    slopes = rng.integers(-(2**31), 2**31, count) >> rng.integers(0, 31, count)
    intercepts = _constants(rng, fmt_out, count, lively)
    shifts = np.zeros(count, np.int64)
    probe = PiecewiseLinear(function, thresholds, slopes, shifts, intercepts, fmt_in, fmt_out, zp_in, zp_out)
    for i in range(count):
        low, high = segment_range(probe, i) or (0, 0)
        d = max(abs(low - zp_in), abs(high - zp_in), 1)
        slopes[i] = _cut(slopes[i], ROOM // d)
        reach = abs(int(slopes[i])) * d
        natural = reach.bit_length() - fmt_out.bits + offset + int(rng.integers(-1, 2))
        shifts[i] = max(natural, -_left_room(reach), -31)
        shifts[i] = min(shifts[i], MAX_SHIFT)
    return PiecewiseLinear(function, thresholds, slopes, shifts, intercepts, fmt_in, fmt_out, zp_in, zp_out)


def piecewise_quadratic(
    draw: Any, function: str, fmt_in: IntFormat, zp_in: int, fmt_out: IntFormat, zp_out: int, lively: bool = False
) -> PiecewiseQuadratic:
    """Arbitrary quadratic segments in Horner form."""
    count = draw(_SEGMENTS_QUADRATIC)
    rng = np.random.default_rng(draw(_SEED))
    offset = 0 if lively else draw(_OFFSET)
    thresholds = _thresholds(draw, count, fmt_in, rng)
    far = draw(st.sampled_from((0, 0, 0, 2**14, 2**20)))
    origins = rng.integers(fmt_in.qmin - far, fmt_in.qmax + far + 1, count)
    c2, c1 = (rng.integers(-(2**31), 2**31, count) >> rng.integers(0, 31, count) for _ in range(2))
    c0 = _constants(rng, fmt_out, count, lively)
    p, n = np.zeros(count, np.int64), np.zeros(count, np.int64)
    probe = PiecewiseQuadratic(function, thresholds, origins, c2, p, c1, n, c0, fmt_in, fmt_out, zp_in, zp_out)
    for i in range(count):
        low, high = segment_range(probe, i) or (0, 0)
        d = max(abs(low - int(origins[i])), abs(high - int(origins[i])), 1)
        c2[i] = _cut(c2[i], ROOM // d)
        reach = abs(int(c2[i])) * d
        least = reach.bit_length() - (ROOM // (4 * d)).bit_length() + 2  # (inner + c1) * d stays in the room
        wanted = reach.bit_length() - 31 + int(rng.integers(-3, 12))
        p[i] = min(MAX_SHIFT, max(wanted, least, -_left_room(reach), -31))
        c1[i] = _cut(c1[i], ROOM // (4 * d))
        inner = (reach >> max(0, int(p[i]))) + 1 if p[i] >= 0 else reach << -int(p[i])
        outer = (inner + abs(int(c1[i]))) * d
        natural = outer.bit_length() - fmt_out.bits + offset + int(rng.integers(-1, 2))
        n[i] = min(MAX_SHIFT, max(natural, -_left_room(outer), -31))
    return PiecewiseQuadratic(function, thresholds, origins, c2, p, c1, n, c0, fmt_in, fmt_out, zp_in, zp_out)


def random_activation(
    draw: Any, kind: str, function: str, fmt_in: IntFormat, zp_in: int, fmt_out: IntFormat, zp_out: int, lively: bool = False
) -> Activation:
    """A table of datapath P of the given kind."""
    makers: dict[str, Callable[..., Activation]] = {
        "direct": direct,
        "piecewise_linear": piecewise_linear,
        "piecewise_quadratic": piecewise_quadratic,
    }
    return makers[kind](draw, function, fmt_in, zp_in, fmt_out, zp_out, lively)
