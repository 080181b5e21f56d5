"""Widths as test vectors: for each register a step that needs all of its bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from golden.sequence import forward
from vectors.case import Case, case_from_trace
from verification.widths.register import Register
from verification.widths.show import seen_text

FLAG = "full_width"
FLAGS = {FLAG: "A register holds a value that needs its full width. Finds a register that is one bit too narrow."}


def cases(label: str, params: Any, registers: Sequence[Register], zoneout: float = 0.0) -> Iterator[Case]:
    """A case of one step for each register that is not always 0.

    Its first row has the value that needs the width; where another input is the one whose new state shows a bit less, it is
    the second row.
    """
    for r in registers:
        if r.ends == (0, 0):
            continue
        inputs = [r.witness]
        if r.shown is not None and not _same(r.shown, r.witness):
            inputs.append(r.shown)
        x = np.stack([i.x for i in inputs])[None].astype(np.int32)
        h = np.stack([i.h for i in inputs]).astype(np.int32)
        trace = forward(params, x, h, zoneout=zoneout)
        where = f"unit {r.witness.unit}" + (f" of gate {r.witness.gate}" if r.witness.gate else "")
        comment = f"{r.name} needs {r.bits} bits: {r.witness.value} at {where}; one bit less: {seen_text(r)}."
        id, group = f"widths-{label}-{r.name}", f"widths-{label}"
        computed = case_from_trace(id, params, x, h, trace, group=group, zoneout=zoneout, comment=comment).flags
        flags = dict(sorted({**computed, FLAG: 1}.items()))
        yield case_from_trace(id, params, x, h, trace, group=group, zoneout=zoneout, comment=comment, flags=flags)


def _same(a: Any, b: Any) -> bool:
    return np.array_equal(a.x, b.x) and np.array_equal(a.h, b.h)
