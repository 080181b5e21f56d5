"""The page of trace fields, made from the layout:  python docs/trace_page.py > docs/trace.md"""

from __future__ import annotations

import sys
from pathlib import Path

HEAD = """# The fields of a trace

Made by `docs/trace_page.py` from `golden/spec/layout.py`; a test keeps the two equal.

A run returns a `Trace`: every named intermediate, in computation order, as a contiguous NumPy array. golden and the twin
return exactly these fields. Index t is time t, also in the reverse direction; `h[0]` is the initial state and `h[t + 1]`
the output of time t.

Axes: T steps, S = T + 1 states, N batch, C input size, H hidden size, G = 3H and V = 4H gate columns in the order z, r, g.
A field without axes is a scalar. `h_zoneout_acc` is there when an inference zoneout is applied, `v` when training. The
clauses are in [golden/SPEC.md](../golden/SPEC.md).

With moving ranges: the field of a multiplier holds M alone, the shift is a constant of the set. `m_h` is 0 at the first step,
where the state is taken as it is. `s_b`, `bx` and `br` are those of the first step, also in a run that goes on from a state;
without any step `s_b` is 0.0 and both biases are 0. `h[t + 1]` is in the scale of time t, and `h_q` is `h[t]` in it.
"""
TITLES = {
    "mshift": "Datapath M, static (`mshift`)",
    "mshift-dynamic": "Datapath M, moving ranges (`mshift-dynamic`)",
    "pot": "Datapath P (`pot`)",
}


def page() -> str:
    """The whole page as Markdown."""
    from golden.spec.layout import FIELDS

    parts = [HEAD]
    for datapath, title in TITLES.items():
        lines = [f"## {title}", "", "| field | axes | dtype | clause |", "|---|---|---|---|"]
        for field in FIELDS[datapath]:
            axes = f"[{','.join(field.axes)}]" if field.axes else ""
            lines.append(f"| `{field.name}` | {axes} | {field.dtype} | {field.clause} |")
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.stdout.write(page())
