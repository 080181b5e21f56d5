"""Cases of saturation and of the three rounding shifts.  [SPEC F-2, R-1 ... R-4]"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from golden.spec.formats import IntFormat
from vectors.draw import Draw
from vectors.plan.planned import ALL_FORMATS, BOTH, INT32, M_ONLY, P_ONLY, Plan, fmt_constants, step, within

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def cases() -> Plan:
    """saturate, ties_up, ties_away, ties_even."""
    for fmt in (*ALL_FORMATS, INT32):
        level = 1 if fmt.bits in (2, 8, 16, 32) else 2
        comment = f"Both bounds of {fmt}, one beyond them and far away."
        yield step("saturate", str(fmt), level, BOTH, comment, fmt_constants(fmt), partial(_saturate, fmt))
    blocks = [("s00-15", range(16)), ("s16-31", range(16, 32)), ("s32-47", range(32, 48)), ("s48-63", range(48, 64))]
    for name, datapaths in (("ties_up", M_ONLY), ("ties_away", P_ONLY), ("ties_even", P_ONLY)):
        for part, shifts in blocks:
            comment = f"Ties, their neighbours and corners at shifts {shifts[0]} to {shifts[-1]}."
            yield step(name, part, 1, datapaths, comment, {}, partial(_shifts, shifts, 6))
        yield step(
            name, "beyond", 1, datapaths, "Shifts of the word length and more.", {}, partial(_shifts, (64, 65, 80, 127), 8)
        )
        if name != "ties_up":
            yield step(name, "left", 1, datapaths, "Left shifts, exact.", {}, _left)
        for level, part, count in ((1, "random", 256), (2, "random-2", 20000), (3, "random-3", 200000)):
            yield step(name, part, level, datapaths, "Values and shifts of every size.", {}, partial(_random, count))
        for part, shifts in blocks:
            yield step(name, f"{part}-dense", 2, datapaths, "Many quotients at each shift.", {}, partial(_shifts, shifts, 60))


def near_shift(draw: Draw, s: int, count: int) -> list[int]:
    """Values around the ties, the whole numbers and the corners of a right shift by s."""
    if s < 1:
        return [INT64_MIN, INT64_MAX, 0, 1, -1, *draw.spread(64, True, count).tolist()]
    half = 1 << (s - 1)
    quotients = [-3, -2, -1, 0, 1, 2, *draw.spread(max(2, 63 - s), True, count).tolist()]
    values = [(k << s) + d for k in quotients for d in (half - 1, half, half + 1)]
    return [
        *values,
        -half,
        half,
        INT64_MIN,
        INT64_MAX,
        INT64_MIN + half,
        INT64_MAX - half,
        INT64_MAX - half + 1,
        0,
        1,
        -1,
        1 << s,
    ]


def _shifts(shifts: Sequence[int], count: int, draw: Draw) -> dict[str, np.ndarray]:
    columns = [within(near_shift(draw, s, count), INT64_MIN, INT64_MAX) for s in shifts]
    return {
        "x": np.concatenate(columns),
        "s": np.concatenate([np.full(len(c), s) for s, c in zip(shifts, columns, strict=True)]),
    }


def _left(draw: Draw) -> dict[str, np.ndarray]:
    xs, ss = [], []
    for s in range(1, 64):
        limit = 1 << (63 - s)
        values = within([-limit, limit - 1, -1, 0, 1, *draw.spread(64 - s, True, 4).tolist()], -limit, limit - 1)
        xs.append(values)
        ss.append(np.full(len(values), -s))
    return {"x": np.concatenate(xs), "s": np.concatenate(ss)}


def _random(count: int, draw: Draw) -> dict[str, np.ndarray]:
    return {"x": draw.mixed(64, True, count), "s": draw.integers(0, 70, count)}


def _saturate(fmt: IntFormat, draw: Draw) -> dict[str, np.ndarray]:
    near = [fmt.qmin + d for d in (-2, -1, 0, 1)] + [fmt.qmax + d for d in (-1, 0, 1, 2)]
    return {"v": within([*near, 0, INT64_MIN, INT64_MAX, *draw.spread(64, True, 24).tolist()], INT64_MIN, INT64_MAX)}
