"""Table arguments of every kind a parameter set can hold, and the figures of the tables made for them.  [SPEC A-5]"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from golden.spec.formats import INT32, IntFormat
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT

MAKERS = ("piecewise_linear_table", "piecewise_quadratic_table")
SEED = 20250
COUNT = 1200


def arguments(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(function, keyword arguments) for the makers of piecewise tables, the same for the same seed.

    Half of the scales fit their format to the curve, half are any. Zero points lie in the format, at the ends of int32, or so
    far out that a bent or a flat part of the curve, or a part that the output format cuts off, comes into view.
    """
    random = Random(seed)
    for _ in range(count):
        fmt_in = IntFormat(random.choice((2, 3, 5, 7, 8, 8, 8, 9, 10, 12, 14, 15, 16, 16)), random.random() < 0.6)
        fmt_out = IntFormat(random.choice((2, 3, 5, 7, 8, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 16)), random.random() < 0.5)
        fitting = random.random() < 0.5
        e_in = fmt_in.bits - random.randint(1, 6) if fitting else random.randint(MIN_EXPONENT, MAX_EXPONENT)
        e_out = fmt_out.bits - random.randint(0, 2) if random.random() < 0.5 else random.randint(MIN_EXPONENT, MAX_EXPONENT)
        inside_in, inside_out = (random.randint(f.qmin, f.qmax) for f in (fmt_in, fmt_out))
        z_in = random.choice(
            (0, 0, inside_in, inside_in, INT32.qmin, INT32.qmax, inside_in + int(random.uniform(-14, 14) * 2.0**e_in))
        )
        one = 1 << max(e_out, 0)
        z_out = random.choice(
            (0, 0, inside_out, INT32.qmin, INT32.qmax, -one, -(one >> 1), one, inside_out + int(random.uniform(-1, 1) * one))
        )
        yield (
            random.choice(("sigmoid", "tanh")),
            {
                "exponent_in": e_in,
                "zero_point_in": min(max(z_in, INT32.qmin), INT32.qmax),
                "fmt_in": fmt_in,
                "exponent_out": e_out,
                "zero_point_out": min(max(z_out, INT32.qmin), INT32.qmax),
                "fmt_out": fmt_out,
            },
        )


def main() -> None:
    """Print, for each kind and output width of the sweep, the worst quality of all its tables."""
    from golden import tables

    worst: dict[tuple[str, int], tuple[int, int, int, int]] = {}
    for function, options in arguments(SEED, COUNT):
        for maker in MAKERS:
            table = getattr(tables, maker)(function, **options)
            found = tables.quality(table)
            key = table.kind, options["fmt_out"].bits
            count, rising, error, segments = worst.get(key, (0, 0, 0, 0))
            error, segments = max(error, found["max_error_lsb"]), max(segments, found["segments"])
            worst[key] = count + 1, rising + found["monotone"], error, segments
    print("| table | output bits | tables | monotone | most segments | worst error, LSB |\n|---|---|---|---|---|---|")
    for (kind, bits), (count, rising, error, segments) in sorted(worst.items()):
        print(f"| {kind.replace('_', ' ')} | {bits} | {count} | {rising} | {segments} | {error} |")
