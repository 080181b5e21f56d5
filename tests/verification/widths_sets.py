"""Parameter sets for the widths: drawn networks that are calibrated, and drawn sets that no calibration would give.

python -m tests.verification.widths_sets COUNT [FIRST]  analyses COUNT of each and prints what is proven, reached and seen.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np

from golden.spec.params import Params
from golden.spec.rounding import Rounding
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate import calibrate
from quant_gru.float_gru import FloatGru
from vectors.draw import Draw
from vectors.plan import sets
from vectors.plan.planned import REGIONS
from verification.widths.analysis import analyse
from verification.widths.register import Register

TABLES = ("piecewise_linear", "piecewise_quadratic", "direct")


def network(number: int) -> Params:
    """A drawn network, calibrated on drawn inputs: both datapaths, 4 to 16 bits, all tables, both roundings."""
    rng = np.random.Generator(np.random.PCG64(number))
    inputs, hidden = (int(n) for n in rng.integers(1, 9, 2))
    shapes = ((inputs, 3 * hidden), (hidden, 3 * hidden), (3 * hidden,), (3 * hidden,))
    gru = FloatGru(*(rng.standard_normal(shape).astype(np.float32) for shape in shapes))
    ranges = calibrate(gru, [rng.standard_normal((12, 8, inputs)).astype(np.float32)])
    if number % 2:
        return mshift_params(gru, ranges, gate_bits=(8, 16)[number // 2 % 2], x_symmetric=bool(number // 4 % 2))
    bits = int(rng.integers(4, 17))
    table = TABLES[number // 2 % (3 if bits <= 8 else 2)]
    rounding = (Rounding.TIES_AWAY, Rounding.TIES_EVEN)[number // 4 % 2]
    return pot_params(gru, ranges, bits, rounding=rounding, activation=table)


def strange(number: int) -> Params:
    """A set whose scales do not fit together: zero points at and outside the ends, left shifts, stages that saturate."""
    draw = Draw(number, "widths")
    inputs, hidden = (int(n) for n in draw.integers(1, 6, 2))
    region = REGIONS[number // 2 % len(REGIONS)]
    if number % 2:
        kind = ("plain", "loud")[number // 10 % 2]
        return sets.mshift(draw, inputs, hidden, gate_bits=(8, 16)[number // 4 % 2], region=region, kind=kind)
    kind = ("plain", "loud", "left")[number // 10 % 3]
    bits = (8, 16)[number // 4 % 2]
    return sets.pot(draw, inputs, hidden, bits=bits, region=region, even=bool(number // 8 % 2), kind=kind)


def summary(registers: list[Register]) -> Counter[str]:
    """How many registers are proven least, and where a bit less shows."""
    out: Counter[str] = Counter()
    for r in registers:
        out[r.verdict] += 1
        out["always 0" if r.ends == (0, 0) else "seen in h" if r.seen == "h" else "seen earlier" if r.seen else "not seen"] += 1
    return out


def main(count: int, first: int = 0) -> None:
    """Analyse this many of each, from this number on, and print the counts, and every register that is open or not seen."""
    for make in (network, strange):
        total: Counter[str] = Counter()
        for number in range(first, first + count):
            params = make(number)
            registers = analyse(params)
            total += summary(registers)
            for r in registers:
                if r.verdict == "open" or (make is network and r.ends != (0, 0) and r.seen != "h"):
                    print(make.__name__, number, params.datapath, r.name, r.ends, r.bound, r.verdict, r.seen or "not seen")
        print(f"{count} of {make.__name__}: {dict(sorted(total.items()))}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
