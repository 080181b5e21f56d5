"""Cases of multiplier and shift, and of the matrix product.  [SPEC M-2 ... M-6, L-1]"""

from __future__ import annotations

from functools import partial

import numpy as np

from golden.spec.formats import IntFormat
from vectors.draw import Draw, corners
from vectors.plan.planned import (
    ALL_FORMATS,
    BOTH,
    COMMON_FORMATS,
    INT8,
    INT32,
    M_ONLY,
    REGIONS,
    Plan,
    fmt_constants,
    region_zero_point,
    step,
    within,
)
from vectors.steps import to_bits

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
KINDS = ("recommended", "odd", "greatest", "power", "even", "normalized", "one", "zero")


def cases() -> Plan:
    """apply, align, requantize, derive, linear."""
    for s in range(32):
        comment = f"Shift {s}: ties, both ends of the result, corners."
        for name in ("apply", "align"):
            yield step(
                name,
                f"s{s:02d}",
                1 if name == "align" or s % 4 < 2 else 2,
                M_ONLY,
                comment,
                {"M": multiplier(s, "odd"), "s": s},
                partial(_values, s, "odd", 0, None, 24),
            )
        region, fmt = REGIONS[s % 5], COMMON_FORMATS[s // 5 % 2 * 2]
        yield _requantize(1, s, "recommended", fmt, region, 32)
    for n, kind in enumerate(KINDS):
        s = (18, 21, 31, 24, 9, 30, 0, 15)[n]
        for name in ("apply", "align"):
            constants = {"M": multiplier(s, kind), "s": s}
            yield step(
                name,
                f"{kind}-s{s:02d}",
                1,
                M_ONLY,
                f"A multiplier that is {kind}.",
                constants,
                partial(_values, s, kind, 0, None, 24),
            )
        if kind != "recommended":
            yield _requantize(1, s, kind, INT8, "inside", 32)
    for s in (0, 8, 16):
        constants = {"M": multiplier(s, "greatest"), "s": s}
        rows = partial(_values, s, "greatest", 0, INT32, 40)
        yield step(
            "align", f"saturating-s{s:02d}", 1, M_ONLY, "A multiplier far above one: both ends of int32.", constants, rows
        )
    for fmt in COMMON_FORMATS:
        for region in REGIONS:
            yield _requantize(1, 18, "odd", fmt, region, 32)
    for s in range(32):
        for kind in ("recommended", "odd", "greatest"):
            for fmt in COMMON_FORMATS:
                for region in REGIONS if s % 4 == 2 else ("inside", "below"):
                    yield _requantize(2 if kind == "odd" else 3, s, kind, fmt, region, 120, "dense-")
    for fmt in ALL_FORMATS:
        if fmt not in COMMON_FORMATS:
            yield _requantize(2, 20, "odd", fmt, "inside", 100)
            yield _requantize(3, 20, "odd", fmt, "above", 100)
    for level, count in ((2, 50000), (3, 500000)):
        constants = {"M": multiplier(18, "recommended"), "s": 18, "zp": 3, **fmt_constants(INT8)}
        rows = partial(_random, count)
        yield step("requantize", f"random-{level}", level, M_ONLY, "Accumulators of every magnitude.", constants, rows)
    yield from _derive_cases()
    yield from _linear_cases()


def multiplier(s: int, kind: str) -> int:
    """A multiplier for a shift: about 2**s / 11 when recommended, else of the named kind."""
    about = max(1, min(INT32_MAX, (1 << s) * 3 // 31))
    return {
        "recommended": about,
        "odd": about | 1,
        "greatest": INT32_MAX,
        "power": 1 << max(0, s - 3),
        "even": (about | 1) * 4,
        "normalized": 2**15 + 12345,
        "one": 1,
        "zero": 0,
    }[kind]


def accumulators(draw: Draw, M: int, s: int, zp: int, fmt: IntFormat | None, count: int) -> np.ndarray:
    """int32 accumulators that meet ties of v * M * 2**-s, both ends of the result, the corners and every magnitude."""
    found: list[int] = list(corners(32, True))
    if M and s:
        twos = (M & -M).bit_length() - 1
        if twos < s:
            modulus = 1 << (s - twos)
            first = (modulus >> 1) * pow(M >> twos, -1, modulus) % modulus
            for k in (-2, -1, 0, 1, *draw.integers(-(2**31) // modulus, 2**31 // modulus, count // 4).tolist()):
                found += [first + k * modulus + d for d in (-1, 0, 1)]
    ends = (INT32_MIN, INT32_MAX) if fmt is None else (fmt.qmin - zp, fmt.qmax - zp)
    for end in ends if M else ():
        middle = (end << s) // M
        found += [middle + d for d in (-2, -1, 0, 1, 2)]
        found += [middle + d * max(1, (1 << s) // M) for d in (-2, -1, 1, 2)]
        found += draw.integers(-(3 << s) // M - 3, (3 << s) // M + 3, count // 4).tolist() if s < 40 else []
        found += (np.array([middle]) + draw.integers(-(2 << s) // M - 2, (2 << s) // M + 2, count // 4)).tolist()
    return within([*found, *draw.spread(32, True, count).tolist()], INT32_MIN, INT32_MAX)


def _values(s: int, kind: str, zp: int, fmt: IntFormat | None, count: int, draw: Draw) -> dict[str, np.ndarray]:
    return {"v": accumulators(draw, multiplier(s, kind), s, zp, fmt, count)}


def _random(count: int, draw: Draw) -> dict[str, np.ndarray]:
    return {"v": draw.mixed(32, True, count)}


def _requantize(level: int, s: int, kind: str, fmt: IntFormat, region: str, count: int, prefix: str = ""):
    zp = region_zero_point(fmt, region)
    constants = {"M": multiplier(s, kind), "s": s, "zp": zp, **fmt_constants(fmt)}
    comment = f"To {fmt}, shift {s}, a multiplier that is {kind}, the zero point {region} the format."
    rows = partial(_values, s, kind, zp, fmt, count)
    return step("requantize", f"{prefix}s{s:02d}-{kind}-{fmt}-{region}", level, M_ONLY, comment, constants, rows)


def _derive_cases() -> Plan:
    for s in (0, 1, 8, 15, 18, 20, 24, 30, 31):
        for limit, part in ((2**31 - 1, "31"), (2**24 - 1, "24")):
            comment = f"Shift {s}, at most {part} bits: halves, both ends, subnormal and infinite ratios."
            constants = {"s": s, "limit": limit}
            yield step("derive", f"s{s:02d}-{part}", 1, M_ONLY, comment, constants, partial(_derive, s, limit, 40))
            yield step("derive", f"s{s:02d}-{part}-2", 2, M_ONLY, comment, constants, partial(_derive, s, limit, 1000))


def _derive(s: int, limit: int, count: int, draw: Draw) -> dict[str, np.ndarray]:
    unit = np.float32(2.0**-s)
    wholes = np.concatenate([np.arange(0, 6), draw.integers(0, 2**22, count // 4), np.array([2**22, 2**23 - 1])])
    halves = ((wholes * 2 + 1).astype(np.float32) / np.float32(2)) * unit
    near = np.concatenate([np.nextafter(halves[:8], np.float32(0)), np.nextafter(halves[:8], np.float32(1e30))])
    ends = np.array([limit - 1, limit, limit + 1, limit * 2.0, 2.0**31, 2.0**32], np.float32) * unit
    ratios = np.concatenate([halves, near, ends, draw.reals(-s - 4, 31 - s, count, signed=False)]).astype(np.float32)
    special = np.array([2.0**-149, 2.0**-126, 1e-40, 3.0e38, 1.0, 2.0**127], np.float32)
    first = np.concatenate([ratios, special, special, draw.reals(-20, 5, count, signed=False)])
    second = np.concatenate(
        [np.ones(len(ratios), np.float32), special[::-1], np.ones(6, np.float32), draw.reals(-20, 5, count, signed=False)]
    )
    return {"s_from": to_bits(np.maximum(first, np.float32(2.0**-149))), "s_to": to_bits(second)}


def _linear_cases() -> Plan:
    for length in (1, 2, 3, 7, 16, 64, 256):
        for region in REGIONS:
            zp = region_zero_point(INT8, region)
            comment = f"{length} products of int8, the zero point {region} the format."
            rows = partial(_linear, length, 8, 8, max(4, 96 // length))
            yield step("linear", f"k{length:03d}-int8-{region}", 1 if length <= 16 else 2, BOTH, comment, {"zp": zp}, rows)
        rows = partial(_linear, length, 17, 16, max(4, 96 // length))
        comment = f"{length} products of 17-bit codes and 16-bit weights."
        yield step("linear", f"k{length:03d}-wide", 1 if length <= 16 else 2, BOTH, comment, {"zp": 12345}, rows)
    comment = "As long as an accumulator of 47 bits takes."
    yield step("linear", "k4096-wide", 2, BOTH, comment, {"zp": -7}, partial(_linear, 4096, 17, 16, 8))


def _linear(length: int, bits: int, weight_bits: int, rows: int, draw: Draw) -> dict[str, np.ndarray]:
    codes = draw.mixed(bits, True, rows * length).reshape(rows, length)
    weights = draw.mixed(weight_bits, True, rows * length).reshape(rows, length)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    for row, (c, w) in enumerate(
        ((low, -(1 << (weight_bits - 1))), (high, -(1 << (weight_bits - 1))), (low, (1 << (weight_bits - 1)) - 1))
    ):
        codes[row], weights[row] = c, w
    return {"codes": codes, "weights": weights}
