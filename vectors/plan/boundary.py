"""Cases of the float boundary and of ranges.  [SPEC Q-1 ... Q-4, E-1 ... E-3]"""

from __future__ import annotations

from functools import partial

import numpy as np

from golden.spec.formats import IntFormat
from vectors.draw import Draw
from vectors.plan.planned import (
    ALL_FORMATS,
    BOTH,
    COMMON_FORMATS,
    DYNAMIC,
    INT8,
    INT16,
    INT32,
    REGIONS,
    UINT8,
    Plan,
    fmt_constants,
    region_zero_point,
    step,
)
from vectors.steps import to_bits

F32 = np.float32
SPECIAL = np.array(
    [
        0x00000000,
        0x80000000,
        0x7F800000,
        0xFF800000,
        0x7FC00000,
        0x00000001,
        0x80000001,
        0x007FFFFF,
        0x7F7FFFFF,
        0xFF7FFFFF,
        0x3F000000,
    ],
    np.uint32,
).view(np.float32)
SCALES = (F32(2.0**-7), F32(1 / 127), F32(0.1), F32(0.0234375), F32(3.0), F32(2.0**-24))


def cases() -> Plan:
    """quantize, quantize_reciprocal, dequantize, quantize_bias, ema, asymmetric, symmetric."""
    for fmt in ALL_FORMATS:
        for region in REGIONS:
            common = fmt in COMMON_FORMATS
            level = 1 if common and (fmt in (INT8, UINT8) or region == "below") else 2 if common or region == "inside" else 3
            zp = region_zero_point(fmt, region)
            for name in ("quantize", "quantize_reciprocal"):
                comment = f"To {fmt}, the zero point {region} the format: halves, both ends, special numbers."
                constants = {"zp": zp, **fmt_constants(fmt)}
                yield step(name, f"{fmt}-{region}", level, BOTH, comment, constants, partial(_quantize, fmt, zp, 60))
    for name in ("quantize", "quantize_reciprocal"):
        for level, count in ((2, 5000), (3, 50000)):
            constants = {"zp": -3, **fmt_constants(INT8)}
            yield step(
                name,
                f"int8-random-{level}",
                level,
                BOTH,
                "Reals and scales of every size.",
                constants,
                partial(_quantize, INT8, -3, count),
            )
    for part, zp in (
        ("zero", 0),
        ("inside", 7),
        ("low", -128),
        ("high", 127),
        ("below", -300),
        ("above", 40000),
        ("least", -(2**31)),
        ("greatest", 2**31 - 1),
    ):
        comment = (
            f"The zero point {zp}; differences that binary32 does not hold among them."
            if abs(zp) > 2**24
            else f"The zero point {zp}."
        )
        yield step("dequantize", part, 1, BOTH, comment, {"zp": zp}, partial(_dequantize, 100))
        yield step("dequantize", f"{part}-2", 2, BOTH, comment, {"zp": zp}, partial(_dequantize, 3000))
    for fmt in (INT8, INT16, INT32):
        yield step("quantize_bias", str(fmt), 1, BOTH, f"To {fmt}.", fmt_constants(fmt), partial(_bias, fmt, 80))
        yield step("quantize_bias", f"{fmt}-2", 2, BOTH, f"To {fmt}.", fmt_constants(fmt), partial(_bias, fmt, 3000))
    for level, part, count in ((1, "ranges", 240), (2, "ranges-2", 10000), (3, "ranges-3", 100000)):
        yield step(
            "ema",
            part,
            level,
            DYNAMIC,
            "Moving ranges of every size, fused and wide results among them.",
            {},
            partial(_ema, count),
        )
    for fmt in (*ALL_FORMATS,):
        level = 1 if fmt in COMMON_FORMATS else 2
        for name in ("asymmetric", "symmetric"):
            comment = f"Scale and zero point of {fmt}: degenerate, one-sided and tiny ranges among them."
            yield step(name, str(fmt), level, BOTH, comment, fmt_constants(fmt), partial(_range, 60 if level == 1 else 300))


def _columns(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([p[0] for p in pairs]).astype(F32), np.concatenate([p[1] for p in pairs]).astype(F32)


def _quantize(fmt: IntFormat, zp: int, count: int, draw: Draw) -> dict[str, np.ndarray]:
    pairs = []
    for scale in SCALES:
        codes = np.concatenate(
            [draw.integers(fmt.qmin, fmt.qmax, max(4, count // 6)), [fmt.qmin, fmt.qmin - 1, fmt.qmax, fmt.qmax + 1]]
        )
        offset = np.concatenate([np.full(len(codes), 0.5), np.zeros(4)])[: len(codes)]
        v = ((codes - zp + offset).astype(F32) * scale).astype(F32)
        pairs.append((v, np.full(len(v), scale)))
    halves: np.ndarray = ((np.arange(-4, 5) + 0.5 - (zp % 2)) * 2.0**-7).astype(F32)
    near = np.concatenate([halves, np.nextafter(halves, F32(9)), np.nextafter(halves, F32(-9))])
    pairs.append((near, np.full(len(near), SCALES[0])))
    pairs.append((SPECIAL, np.full(len(SPECIAL), F32(0.5))))
    pairs.append((SPECIAL[5:], np.full(len(SPECIAL) - 5, F32(2.0**-149))))
    pairs.append((draw.reals(-9, 9, count), draw.reals(-9, 0, count, signed=False)))
    reals, scales = _columns(pairs)
    return {"v": to_bits(reals), "scale": to_bits(scales)}


def _dequantize(count: int, draw: Draw) -> dict[str, np.ndarray]:
    q = draw.mixed(17, True, count)
    scales = np.concatenate([np.array(SCALES), [F32(2.0**-149), F32(1e38)], draw.reals(-20, 3, count, signed=False)])[:count]
    return {"q": q, "scale": to_bits(scales.astype(F32))}


def _bias(fmt: IntFormat, count: int, draw: Draw) -> dict[str, np.ndarray]:
    pairs = [(SPECIAL, np.full(len(SPECIAL), F32(2.0**-11)))]
    top = min(fmt.bits, 24)
    halves = ((draw.spread(top, True, count) * 2 + 1).astype(F32) / F32(2)) * F32(2.0**-11)
    pairs.append((halves, np.full(count, F32(2.0**-11))))
    ends = np.array(
        [fmt.qmin - 1, fmt.qmin - 0.5, fmt.qmin, fmt.qmax, fmt.qmax + 0.5, fmt.qmax + 1, fmt.qmin * 2.0, fmt.qmax * 2.0]
    )
    pairs.append(((ends * 2.0**-11).astype(F32), np.full(8, F32(2.0**-11))))
    pairs.append((draw.reals(-14, 2, count), draw.reals(-14, -2, count, signed=False)))
    b, scale = _columns(pairs)
    return {"b": to_bits(b), "scale": to_bits(scale)}


def _ema(count: int, draw: Draw) -> dict[str, np.ndarray]:
    columns = {name: draw.reals(-3, 6, count) for name in ("rmin", "rmax", "cmin", "cmax")}
    corner = np.array([0.0, -0.0, 2.0**-149, -(2.0**-126), 1e-40, 1.0, -1.0, 3.4e38, -3.4e38, 0.1, 0.9], F32)
    for shift, name in enumerate(columns):
        columns[name][: 2 * len(corner)] = np.concatenate([corner, np.roll(corner, shift)])
    return {name: to_bits(values) for name, values in columns.items()}


def _range(count: int, draw: Draw) -> dict[str, np.ndarray]:
    least, half = 2.0**-8, 2.0**-9
    edge = [
        (0.0, 0.0),
        (-0.0, -0.0),
        (0.0, least),
        (-least, 0.0),
        (0.0, least * (1 - 2.0**-24)),
        (-half, half),
        (-half / 2, half / 2),
        (0.001, 0.002),
        (-0.002, -0.001),
        (1.0, 2.0),
        (-2.0, -1.0),
        (-1.0, 1.0),
        (-1.0, 0.0),
        (0.0, 1.0),
        (-1e-40, 1e-40),
        (-1.5e38, 1.5e38),
        (-3.0, 3.0),
        (-127.5, 127.5),
        (-128.0, 127.0),
        (-1.0, 254.0),
        (-0.5, 254.5),
        (2.0**-149, 2.0**-149),
    ]
    low = np.concatenate(
        [np.array([e[0] for e in edge], F32), -np.abs(draw.reals(-12, 8, count)), draw.reals(-3, 3, count // 4)]
    )
    high = np.concatenate(
        [np.array([e[1] for e in edge], F32), np.abs(draw.reals(-12, 8, count)), draw.reals(-3, 3, count // 4)]
    )
    return {"rmin": to_bits(np.minimum(low, high)), "rmax": to_bits(np.maximum(low, high))}
