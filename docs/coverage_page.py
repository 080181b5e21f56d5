"""The page of coverage, counted over a freshly generated level 1:  python docs/coverage_page.py > docs/coverage.md"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verification.coverage.record import Record

HEAD = """# Coverage

Made by `docs/coverage_page.py` from the vectors of level 1, seed 0; a test counts again and keeps the two equal.

A coverpoint is a class of values at one stage. `qgru coverage` counts which of them a vector set or a campaign meets.

```
qgru coverage set
qgru coverage set --stage pot/P --propagation --missing
qgru coverage set campaign --merge record.json
qgru coverage record.json --json
```

A target is a vector set in any of its formats, the folder of a campaign, whose `vectors` are counted, or a record that
`--merge` wrote. Records are sparse, canonical JSON and can be joined; a set that two records both counted is refused. Exit
code 0 says that every reachable point of the chosen stages is hit, 1 that some are not.

## The points

- **rounding**: sign x least bit of the quotient x first dropped bit (guard) x any bit below it (sticky), in two's complement,
  with the side of the saturation behind it. `- lsb0 guard1 sticky0 low` is a negative tie above an even floor, its result
  below the format. At the float boundary it is the same of a binary32 number.
- **tie**: of datapath P, where ties away and ties to even part: sign and least bit of the ties under each.
- **shift**: to the left, by 0, to the right.
- **saturation**: below the format, its least code, inside, its greatest code, above.
- **table**: each of the 256 entries, by 8-bit and by 16-bit inputs; each segment.
- **zero point**: inside its format, at either end, below, above.
- **event**, **step**: of moving ranges: least width and amplitude, one-sided ranges, ends that are 0, zero points at both
  ends; the first step, a moved range.
- **multiplier**: of moving ranges: 0, inside, at its limit.
- **option**, **mask**: steps, rows, direction, initial state, training, zoneout; kept and taken units.

`mshift/...` are the stages of the cell of datapath M (GM-1 to GM-3), whose ranges stand still or move: a class counts in
either. `mshift-dynamic/...` are what moving ranges add (D), `pot/...` is datapath P. `step .../...` are the steps that the
vectors check one by one; a step that is a chain of stages (a gate, a hidden update) has coarse classes there and the full
ones in the cells. The shifts inside of segments (A-3, A-4) are one stage for the three gates.

**Reach an output**: with the code of the stage one off, up or down, and everything else as recorded, the output of the same
step changes. It is asked of every hit, and exactly: behind the products every stage works unit by unit, and what goes through
a product is moved one input at a time (the first 32 inputs, states and rows of a matrix; others count as not reaching). Terms
of a sum move the sum, and the shifts inside of a segment the gate's code. **Reach the last state**: the change is at the last
step, or the run that goes on from the changed output ends in another state; up to four hits of a point are tried. Of weights
and biases the last step is asked alone.
The results of a single step are looked at themselves. Kinds that say how a run is set up (shift, zero point, event, step,
multiplier, option) have no code that could be one off.
"""


COLUMNS = "| points | unreachable | hit | codes hit | reach an output | reach the last state |"
RULE = "|---|---|---|---|---|---|---|"


def page(record: Record) -> str:
    """The whole page as Markdown."""
    from verification.coverage.summary import missed, silent, summary, totals

    lines = summary(record)
    parts = [HEAD, "## Level 1", "", totals(lines) + ".", "", _totals(record)]
    left = missed(record)
    parts += ["", "## Open", "", "Neither hit nor proved unreachable:", "", *[f"- {p}" for p in left]] if left else []
    parts += ["", "## Stages", "", f"| stage {COLUMNS}", RULE]
    for x in lines:
        cells = (x.points, x.unreachable, x.hit, x.codes, x.output, x.last)
        parts.append(f"| {x.stage} | " + " | ".join(str(c) for c in cells) + " |")
    parts += ["", "## Unreachable", "", *_unreachable()]
    quiet = silent(record)
    parts += ["", "## Hit, but never seen to reach an output", ""]
    if quiet:
        parts += ["Level 1 meets these points, and no code there that is one off changes an output of its run:", ""]
        parts += _compact(quiet)
    else:
        parts.append("None.")
    return "\n".join([*parts, ""])


def _totals(record: Record) -> str:
    from verification.coverage.summary import summary

    rows = [f"| part {COLUMNS}", RULE]
    for name, prefix in (
        ("datapath M, the cell", "mshift/"),
        ("datapath M, moving ranges", "mshift-dynamic/"),
        ("datapath P", "pot/"),
        ("single steps", "step "),
    ):
        part = summary(record, (prefix,))
        cells = [sum(x[i] for x in part) for i in (1, 2, 3, 6, 4, 5)]
        rows.append(f"| {name} | " + " | ".join(str(c) for c in cells) + " |")
    return "\n".join(rows)


def _unreachable() -> list[str]:
    """The arguments, the code that checks them, and their points."""
    from verification.coverage.model import Point
    from verification.coverage.unreachable import ARGUMENTS, unreachable

    out = ["Each argument is checked by a function of `verification/coverage/proofs.py`, and a test runs them all.", ""]
    excluded = unreachable()
    for argument in ARGUMENTS:
        points: list[Point] = [p for p, name in excluded.items() if name == argument.name]
        out += [f"**{argument.name}** ({len(points)} points, `{argument.check.__name__}`): {argument.words}", ""]
        out += [*_compact(points), ""]
    return out[:-1]


def _compact(points: list) -> list[str]:
    """One line for each stage and kind."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for p in points:
        grouped.setdefault((p.stage, p.kind), []).append(p.label)
    return [f"- {stage}, {kind}: {', '.join(labels)}" for (stage, kind), labels in grouped.items()]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from vectors.generate import generate
    from vectors.reader import open_set
    from verification.coverage.measure import measure

    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder) / "set", level=1, version="1.0")
        sys.stdout.write(page(measure(open_set(Path(folder) / "set").values())))
