"""Which constants a step is swept with: the corners first, then drawn ones, the same everywhere."""

from __future__ import annotations

from random import Random

import numpy as np

from golden.spec.errors import ParameterError
from verification.sweeps.sweep import STEPS, Constant, Sweep

SHIFTS = range(32)
LAST_MULTIPLIER = 2**31 - 1
FORMATS = ("int8", "int16", "uint8", "uint16", "int4")
REQUANTIZED, QUANTIZED = 200, 20
# M, s, zp, format
REQUANTIZE_CORNERS = (
    (0, 0, 0, "int8"), (0, 31, -128, "int8"), (1, 0, 0, "int8"), (1, 0, 0, "int16"), (1, 1, 0, "int16"), (1, 31, 0, "int8"),
    (LAST_MULTIPLIER, 0, 0, "int8"), (LAST_MULTIPLIER, 31, 0, "int8"), (LAST_MULTIPLIER, 31, 0, "int16"),
    (LAST_MULTIPLIER, 1, 127, "int16"), (2**30, 31, 0, "int16"), (2**30, 30, 0, "int16"), (2**15, 31, 0, "int16"),
    (2**16 - 1, 31, 0, "uint16"), (3, 17, -3, "int8"), (2**18, 18, 0, "int8"), (2**18, 18, 0, "int16"), (2**17, 18, 5, "int8"),
    (65535, 24, 2**31 - 1, "int8"), (65535, 24, -(2**31), "int8"), (2**24 - 1, 24, -200, "int8"),
    (2**24 - 1, 31, 70000, "uint16"),
)  # fmt: skip
# scale, zp, format
QUANTIZE_CORNERS = (
    (1.0, 0, "int8"), (2.0**-7, 0, "int8"), (2.0**-30, 0, "int16"), (2.0**15, 0, "int8"), (2.0**-126, 0, "int8"),
    (2.0**-149, 3, "int8"), (3.4028234663852886e38, 1, "int16"), (0.1, -128, "int8"), (0.1, 2**31 - 1, "int8"),
    (1 / 3, -(2**31), "int16"),
)  # fmt: skip


def plan(step: str) -> tuple[Sweep, ...]:
    """The sweeps of a step.

    Raises   ParameterError for a step without sweeps
    """
    if step not in STEPS:
        raise ParameterError("STEP", repr(step), f"all or one of {', '.join(STEPS)}")
    return tuple(Sweep(step, constants) for constants in _constants(step))


def whole_plan() -> tuple[Sweep, ...]:
    """Every sweep of every step, the small ones first."""
    sweeps = [sweep for step in STEPS for sweep in plan(step)]
    return tuple(sorted(sweeps, key=lambda s: (s.size > 1 << 24, list(STEPS).index(s.step) in (3,), list(STEPS).index(s.step))))


def _constants(step: str) -> list[dict[str, Constant]]:
    if step in ("ties_up", "ties_away", "ties_even"):
        return [{"s": s} for s in SHIFTS]
    random = Random(f"qgru sweep {step}")
    if step == "requantize":
        rows = [*REQUANTIZE_CORNERS, *(_requantize(random, n) for n in range(REQUANTIZED - len(REQUANTIZE_CORNERS)))]
        return [dict(zip(("M", "s", "zp", "fmt"), row, strict=True)) for row in rows]
    if step in ("quantize", "quantize_reciprocal"):
        drawn = QUANTIZED - len(QUANTIZE_CORNERS) if step == "quantize" else 2
        corners = QUANTIZE_CORNERS if step == "quantize" else QUANTIZE_CORNERS[:8:3]
        real = [*corners, *(_quantize(random) for _ in range(drawn))]
        return [{"scale": float(np.float32(scale)), "zp": zp, "fmt": fmt} for scale, zp, fmt in real]
    if step in ("direct", "direct_wide"):
        return _direct(step)
    if step in ("piecewise_linear", "piecewise_quadratic"):
        return _piecewise()
    if step == "matmul":
        return [{"zp": zp} for zp in (0, -128, 127, 5, 100000, -(2**31), 2**31 - 1)]
    if step == "zoneout_blend":
        return [{"zp": zp} for zp in (0, -128, 17)]
    if step == "mshift_candidate":
        return [_candidate(random, s) for s in (0, 15, 18, 22)]
    if step == "mshift_hidden":
        return [_mshift_hidden(random, s) for s in (0, 7, 15, 18, 20, 24, 31) for _ in range(2)]
    return [_pot(random, step, rounding) for rounding in ("ties_away", "ties_even") for _ in range(8)]


def _requantize(random: Random, n: int) -> tuple[int, int, int, str]:
    """As quantized networks have them, 16-bit encodings (M-6), and anything that M-1 allows, in turn."""
    kind, fmt = n % 3, FORMATS[random.randrange(len(FORMATS))]
    bits = {"int8": 8, "uint8": 8, "int4": 4}.get(fmt, 16)
    low = 0 if fmt.startswith("u") else -(1 << (bits - 1))
    zp = random.randrange(low, low + (1 << bits))
    if kind == 0:
        s = random.randrange(15, 25)
        return random.randrange(1, 1 << min(s, 22)), s, zp, fmt
    if kind == 1:
        return random.randrange(2**15, 2**16), random.randrange(8, 32), zp, fmt
    return random.getrandbits(random.randrange(1, 32)), random.randrange(32), zp, fmt


def _quantize(random: Random) -> tuple[float, int, str]:
    scale = random.uniform(0.5, 2.0) * 2.0 ** random.randrange(-20, 5)
    fmt = ("int8", "int16")[random.randrange(2)]
    return scale, random.randrange(-128, 128), fmt


def _direct(step: str) -> list[dict[str, Constant]]:
    out: list[dict[str, Constant]] = []
    for function in ("sigmoid", "tanh"):
        for scale in (1 / 128, 2.0**-5, 0.0437, 1.5):
            small = scale / 256 if step == "direct_wide" else scale
            row: dict[str, Constant] = {"function": function, "scale": float(np.float32(small))}
            out += [row] if step == "direct_wide" else [row | {"zp": zp} for zp in (0, -31)]
    return out


def _piecewise() -> list[dict[str, Constant]]:
    """e_in, zp_in, fmt_in, e_out, zp_out, fmt_out."""
    rows = (
        (5, 0, "int8", 7, 0, "int8"), (4, -7, "int8", 7, 3, "int8"), (12, 0, "int16", 15, 0, "int16"),
        (13, 1200, "int16", 14, -9, "int16"), (8, 5, "int12", 11, 0, "int12"),
    )  # fmt: skip
    names = ("e_in", "zp_in", "fmt_in", "e_out", "zp_out", "fmt_out")
    return [{"function": f, **dict(zip(names, row, strict=True))} for f in ("sigmoid", "tanh") for row in rows]


def _mshift_hidden(random: Random, s: int) -> dict[str, Constant]:
    largest = min(2**31 - 1, (2**30 << s) // (127 * 128))  # GM-3: S stays in int32
    m_gh = random.randrange(min(1 << max(s - 3, 0), largest), min(1 << (s + 3), largest) + 1)
    m_one = round(2**s / 127) if s >= 7 else random.randrange(1, 5)
    return {"m_gh": m_gh, "m_one": m_one, "s": s, "zp": random.randrange(-128, 128)}


def _candidate(random: Random, s: int) -> dict[str, Constant]:
    return {
        "s": s,
        "s_b": 24,
        "m_b": random.randrange(2**20, 2**26),
        "m_rRh": random.randrange(1, max(2, 2**s // 64)),
        "m_g": random.randrange(1, max(2, 2**s // 2**9)),
        "Wx": random.randrange(-(2**20), 2**20),
        "bx": random.randrange(-(2**18), 2**18),
        "br": random.randrange(-(2**18), 2**18),
        "zp": random.randrange(-20, 20),
    }


def _pot(random: Random, step: str, rounding: str) -> dict[str, Constant]:
    def op(name: str, low: int, high: int) -> dict[str, Constant]:
        zp = random.choice((0, random.randrange(-128, 128)))
        return {f"e_{name}": random.randrange(low, high + 1), f"zp_{name}": zp}

    found: dict[str, Constant] = {"rounding": rounding}
    if step == "pot_reset_path":
        found |= {**op("Rh", 2, 8), **op("A", 1, 8), **op("r", 6, 9), **op("P", 0, 9)}
        return found | {"br": random.randrange(-128, 128), "e_br": random.randrange(3, 9)}
    found |= {**op("z", 6, 9), **op("g", 5, 8), **op("h", 4, 8), **op("O", 4, 9), **op("N", 4, 9)}
    found["zp_z"] = random.choice((0, 3))
    return found
