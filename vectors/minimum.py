"""The least number of rows of each step in a set of a level, so that coverage cannot be cut in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from golden.spec.errors import ParameterError

LEVELS = (1, 2, 3)
LEAST: dict[str, tuple[int, int, int]] = {
    "saturate": (200, 900, 900),
    "ties_up": (2800, 30000, 200000),
    "ties_away": (3200, 30000, 200000),
    "ties_even": (3200, 30000, 200000),
    "quantize": (2000, 18000, 130000),
    "quantize_reciprocal": (2000, 18000, 130000),
    "dequantize": (750, 20000, 20000),
    "quantize_bias": (450, 12000, 12000),
    "derive": (2000, 40000, 40000),
    "apply": (1450, 2300, 2300),
    "align": (2300, 2300, 2300),
    "requantize": (5500, 100000, 700000),
    "ema": (240, 10000, 100000),
    "asymmetric": (350, 9000, 9000),
    "symmetric": (350, 9000, 9000),
    "linear": (1000, 1200, 1200),
    "direct": (5000, 5000, 5000),
    "direct_wide": (2000, 250000, 250000),
    "piecewise_linear": (3500, 130000, 130000),
    "piecewise_quadratic": (3300, 130000, 130000),
    "mshift_gate": (2100, 75000, 110000),
    "mshift_candidate": (2100, 75000, 110000),
    "mshift_hidden": (2700, 90000, 90000),
    "pot_gate": (2100, 50000, 50000),
    "pot_reset_path": (1100, 50000, 50000),
    "pot_candidate": (2100, 50000, 50000),
    "pot_hidden": (2800, 50000, 50000),
    "zoneout_blend": (1800, 7000, 7000),
    "zoneout_mask": (200, 8000, 8000),
}
"""Step -> rows at level 1, 2 and 3, in a set of all datapaths."""


def least(step: str, level: int) -> int:
    """The least number of rows of a step at a level.

    Raises ParameterError for an unknown step or level
    """
    if step not in LEAST:
        raise ParameterError("step", repr(step), f"one of {', '.join(LEAST)}")
    if level not in LEVELS or isinstance(level, bool):
        raise ParameterError("level", repr(level), "1, 2 or 3")
    return LEAST[step][level - 1]


def missing_rows(manifest: Mapping[str, Any]) -> list[str]:
    """A sentence for each step that has fewer rows than the scope of a set of all datapaths promises."""
    level = manifest["scope"]["level"]
    if level == 0 or manifest["scope"]["datapath"] != "all":
        return []
    rows = dict.fromkeys(LEAST, 0)
    for case in manifest["cases"]:
        if case["kind"] == "step" and case["step"] in rows:
            rows[case["step"]] += case["rows"]
    return [
        f"step {step} has {count} rows, expected at least {least(step, level)} at level {level}"
        for step, count in rows.items()
        if count < least(step, level)
    ]
