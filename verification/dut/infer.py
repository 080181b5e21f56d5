"""Where an implementation that gives its states alone goes wrong: the deviation that explains them, replayed stage by stage."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from golden.spec.errors import QgruError
from golden.spec.params import Params
from golden.spec.trace import Trace
from verification.compare import compare
from verification.deviations.catalogue import CATALOGUE
from verification.deviations.environment import Run
from verification.diagnosis_synthesis import planted
from verification.report import place

STATES = frozenset({"h", "output"})


def inferred_lines(
    params: Params,
    x: Any,
    h0: Any,
    options: Mapping[str, Any],
    *,
    expected: Trace,
    given: Collection[str],
    names: Collection[str],
) -> list[str]:
    """A line with the first code that differs inside, for a report.

    params ... options  the problem
    expected  the right trace
    given     names of the fields that the implementation gave; where others than its states are there, they say it themselves
    names     of the deviations that explain the states together, or none
    Returns   the line, or nothing; nothing too where what is right is only put in another order, for no stage goes wrong then
    """
    if not names or not set(given) <= STATES or any(name not in CATALOGUE for name in names):
        return []
    deviations = tuple(CATALOGUE[name] for name in names)
    try:
        run = Run.of(params, x, h0, **options)
        if any(d.rearranged is not None and not np.array_equal(d.rearranged(run).x, run.x) for d in deviations):
            return []
        with np.errstate(all="ignore"):
            got = planted(run, deviations)
    except (QgruError, OverflowError, ValueError):
        return []
    d = compare(got, expected, params).first
    if d is None:
        return []
    found, wanted = d.hex
    return [
        f"  inferred: with {' and '.join(names)} it goes wrong first in stage {d.stage} [SPEC {d.clause}], {place(d)}: "
        f"{d.got} ({found}) for {d.expected} ({wanted}), difference {d.difference}"
    ]
