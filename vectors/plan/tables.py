"""Cases of the activation tables.  [SPEC A-1 ... A-4]"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from golden.tables import direct_table, gate_table, piecewise_linear_table, piecewise_quadratic_table
from vectors.draw import Draw
from vectors.plan.planned import (
    BOTH,
    INT8,
    INT16,
    M_ONLY,
    P_ONLY,
    UINT8,
    UINT16,
    Plan,
    Planned,
    fmt_constants,
    region_zero_point,
    step,
    within,
)

FUNCTIONS = ("sigmoid", "tanh")
Maker = Callable[[], Activation]


def cases() -> Plan:
    """direct, direct_wide, piecewise_linear, piecewise_quadratic."""
    for function in FUNCTIONS:
        for part, scale, zp in (
            ("32nd", 1 / 32, 0),
            ("128th", 1 / 128, 0),
            ("16th-zp", 1 / 16, 3),
            ("16th-low", 1 / 16, -128),
            ("8th-above", 1 / 8, 150),
        ):
            make = partial(gate_table, function, scale, zp, 8)
            comment = f"Every code through the table of {function}, input scale {scale}, zero point {zp}."
            yield step("direct", f"{function}-{part}", 1, BOTH, comment, fmt_constants(INT8, "_out"), _every_code, make)
        for fmt in (UINT8 if function == "sigmoid" else INT8, UINT16 if function == "sigmoid" else INT16):
            for zp_out in (0, 5, fmt.qmin - 20):
                make = partial(
                    direct_table,
                    function,
                    scale_in=2.0**-4,
                    zero_point_in=-2,
                    fmt_in=INT8,
                    one=2 ** (fmt.bits - 1),
                    zero_point_out=zp_out,
                    fmt_out=fmt,
                )
                comment = f"Every code, to {fmt} with the zero point {zp_out}."
                yield step(
                    "direct",
                    f"{function}-{fmt}-{zp_out}".replace("--", "-m"),
                    1,
                    P_ONLY,
                    comment,
                    fmt_constants(fmt, "_out"),
                    _every_code,
                    make,
                )
        for part, scale in (("coarse", 1 / 16 / 257), ("fine", 1 / 64 / 257)):
            make = partial(gate_table, function, float(np.float32(scale)), 0, 16)
            comment = f"16-bit codes into the table of {function}: the first and the last code of each entry."
            yield step("direct_wide", f"{function}-{part}", 1, M_ONLY, comment, fmt_constants(INT8, "_out"), _entry_edges, make)
            comment = f"Every 16-bit code into the table of {function}."
            yield step(
                "direct_wide",
                f"{function}-{part}-all",
                2,
                M_ONLY,
                comment,
                fmt_constants(INT8, "_out"),
                partial(_every, INT16),
                make,
            )
        yield from _piecewise(function)
    for name, made in (("shifts", _shift_table()), ("steps", _step_table()), ("one", _one_segment())):
        comment = {
            "shifts": "Left shifts, wide shifts and saturation on both sides.",
            "steps": "Sixteen segments, some empty.",
            "one": "One segment.",
        }[name]
        yield _linear_case(
            f"made-{name}",
            1,
            comment,
            made.fmt_in,
            made.fmt_out,
            made.zero_point_in,
            partial(_same, made),
            partial(_codes, made, 60),
        )
    for name, quadratic in (("shifts", _shift_parabolas()), ("steps", _step_parabolas())):
        comment = {
            "shifts": "Left shifts, wide shifts and saturation on both sides.",
            "steps": "Thirty-two segments, some empty.",
        }[name]
        yield _quadratic_case(
            f"made-{name}",
            1,
            comment,
            quadratic.fmt_in,
            quadratic.fmt_out,
            partial(_same, quadratic),
            partial(_codes, quadratic, 60),
        )


def _piecewise(function: str) -> Plan:
    unsigned = function == "sigmoid"
    for bits in (8, 12, 16):
        fmt_in, fmt_out = IntFormat(bits, True), IntFormat(bits, not unsigned)
        e_in, e_out = bits - 4, bits - 1
        for region in ("inside", "low", "above"):
            zp_in, zp_out = region_zero_point(fmt_in, region) if region != "inside" else 0, 0 if region == "inside" else 3
            arguments: dict[str, Any] = dict(
                exponent_in=e_in, zero_point_in=zp_in, fmt_in=fmt_in, exponent_out=e_out, zero_point_out=zp_out, fmt_out=fmt_out
            )
            level = 1 if bits != 12 else 2
            about = f"{function} of {fmt_in}, zero point {region}"
            linear = partial(piecewise_linear_table, function, **arguments)
            rows = partial(_made_codes, linear, 120)
            part = f"{function}-{fmt_in}-{region}"
            yield _linear_case(part, level, f"{about}: thresholds and corners.", fmt_in, fmt_out, zp_in, linear, rows)
            quadratic = partial(piecewise_quadratic_table, function, **arguments)
            rows = partial(_made_codes, quadratic, 120)
            yield _quadratic_case(part, level, f"{about}: thresholds and corners.", fmt_in, fmt_out, quadratic, rows)
            if bits == 16 and region == "inside":
                every = partial(_every, fmt_in)
                yield _linear_case(f"{part}-all", 2, f"{about}: every code.", fmt_in, fmt_out, zp_in, linear, every)
                yield _quadratic_case(f"{part}-all", 2, f"{about}: every code.", fmt_in, fmt_out, quadratic, every)
    fmt_in = IntFormat(8, False)
    fmt_out = IntFormat(8, not unsigned)
    arguments = dict(exponent_in=4, zero_point_in=128, fmt_in=fmt_in, exponent_out=7, zero_point_out=0, fmt_out=fmt_out)
    linear = partial(piecewise_linear_table, function, **arguments)
    yield _linear_case(
        f"{function}-uint8", 1, f"{function} of unsigned codes.", fmt_in, fmt_out, 128, linear, partial(_made_codes, linear, 60)
    )


def _linear_case(
    part: str, level: int, comment: str, fmt_in: IntFormat, fmt_out: IntFormat, zp: int, make: Maker, rows: Callable
) -> Planned:
    constants = {"zp_in": zp, **fmt_constants(fmt_in, "_in"), **fmt_constants(fmt_out, "_out")}
    return step("piecewise_linear", part, level, P_ONLY, comment, constants, rows, make)


def _quadratic_case(
    part: str, level: int, comment: str, fmt_in: IntFormat, fmt_out: IntFormat, make: Maker, rows: Callable
) -> Planned:
    constants = {**fmt_constants(fmt_in, "_in"), **fmt_constants(fmt_out, "_out")}
    return step("piecewise_quadratic", part, level, P_ONLY, comment, constants, rows, make)


def _same(table: Activation) -> Activation:
    return table


def _every_code(draw: Draw) -> dict[str, np.ndarray]:
    return {"q": np.arange(-128, 128)}


def _every(fmt: IntFormat, draw: Draw) -> dict[str, np.ndarray]:
    return {"q": np.arange(fmt.qmin, fmt.qmax + 1)}


def _entry_edges(draw: Draw) -> dict[str, np.ndarray]:
    index = ((np.arange(-32768, 32768) + 32768) * 255 + 32767) // 65535
    first = np.flatnonzero(np.diff(index, prepend=-1)) - 32768
    return {"q": np.unique(np.concatenate([first, first[1:] - 1, [32767], draw.integers(-32768, 32767, 60)]))}


def _made_codes(make: Maker, count: int, draw: Draw) -> dict[str, np.ndarray]:
    return _codes(make(), count, draw)


def _codes(table: Activation, count: int, draw: Draw) -> dict[str, np.ndarray]:
    """Every 8-bit code; of wider inputs the thresholds, corners and drawn codes; and codes outside the format."""
    assert not isinstance(table, DirectTable)
    fmt = table.fmt_in
    near = [t + d for t in table.thresholds.tolist() for d in (-2, -1, 0, 1)]
    outside = [fmt.qmin - 1, fmt.qmax + 1, -(2**31), 2**31 - 1, fmt.qmin - 4000, fmt.qmax + 4000]
    inside = list(range(fmt.qmin, fmt.qmax + 1)) if fmt.bits <= 8 else draw.integers(fmt.qmin, fmt.qmax, count).tolist()
    middle = [(a + b) // 2 for a, b in zip([fmt.qmin, *table.thresholds.tolist()], [*table.thresholds.tolist(), fmt.qmax])]
    return {"q": within([*inside, *near, *middle, fmt.qmin, fmt.qmax, *outside], -(2**31), 2**31 - 1)}


def _shift_table() -> PiecewiseLinear:
    thresholds = np.array([-100, -60, -20, 0, 20, 60, 100, 128])
    shifts = np.array([-3, 0, 1, 5, 31, 40, 62, -8])
    slopes = np.array([3, -1, 7, 33, 2**31 - 1, -(2**31), 2**31 - 1, -900])
    intercepts = np.array([2**31 - 1, -128, 4, -7, 90, -90, 0, 1000])
    return PiecewiseLinear("tanh", thresholds, slopes, shifts, intercepts, INT8, INT8, 127)


def _step_table() -> PiecewiseLinear:
    thresholds = np.array([-90, -90, -64, -40, -40, -12, -3, 0, 3, 12, 40, 40, 41, 90, 127, 128])
    steps = np.arange(16)
    return PiecewiseLinear("sigmoid", thresholds, 3 + 5 * steps, 2 + steps % 5, 16 * steps - 20, INT8, UINT8, -200, 0)


def _one_segment() -> PiecewiseLinear:
    one = [np.array([v]) for v in (0, 5, 1, -3)]
    return PiecewiseLinear("tanh", one[0], one[1], one[2], one[3], IntFormat(5, True), IntFormat(6, True), 40)


def _shift_parabolas() -> PiecewiseQuadratic:
    thresholds, origins = np.array([-100, -30, 0, 30, 100, 128]), np.array([-128, -64, 0, 0, 64, 100])
    c2, p = np.array([1, -(2**31), 2**31 - 1, 37, -9, 2**31 - 1]), np.array([-4, 20, 24, 3, 0, 62])
    c1, n = np.array([-5, 2**20, -(2**19), 11, 70, 3]), np.array([-1, 16, 12, 5, 3, 40])
    c0 = np.array([100, 3, 0, -3, 2**31 - 1, -(2**31)])
    return PiecewiseQuadratic("tanh", thresholds, origins, c2, p, c1, n, c0, INT8, INT8, 0)


def _step_parabolas() -> PiecewiseQuadratic:
    steps = np.arange(32)
    thresholds = np.sort(np.concatenate([steps[:30] * 8 - 124, [12, 12]]))
    c2, c1, c0 = 7 * (-1) ** steps * (steps + 1), 5 + steps, 8 * steps
    shifts = steps % 7, 2 + steps % 4
    return PiecewiseQuadratic("sigmoid", thresholds, thresholds - 3, c2, shifts[0], c1, shifts[1], c0, INT8, UINT8, 0, 0)
