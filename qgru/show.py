"""How results are shown: the table for people, the plain objects for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click

Cells = Sequence[str]


def print_table(header: Cells, rows: Sequence[Cells], left: int) -> None:
    """Print columns on stdout; the first `left` are aligned to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        cells = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
        click.echo("  ".join(cells).rstrip())


def grouped(number: int) -> str:
    """1234567 as 1 234 567."""
    return f"{number:,}".replace(",", " ")


def decibel(value: float | None) -> str:
    """An SQNR for people."""
    return "-" if value is None else "exact" if math.isinf(value) else f"{value:.1f} dB"


def percent(fraction: float | None) -> str:
    """A fraction for people."""
    return "-" if fraction is None else f"{100 * fraction:.2f} %"


def rounded(value: float | None, digits: int) -> Any:
    """A figure for JSON: rounded, so that it does not depend on a machine's libm; null for infinity."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
