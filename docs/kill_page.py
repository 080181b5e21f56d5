"""The page of the kill matrix, made from level 1 and drawn problems:  python docs/kill_page.py > docs/kill.md"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEAD = """# The kill matrix

Made by `docs/kill_page.py`; a test recomputes it. `qgru kill` gives the same figures for any vector set.

How good is level 1? Every deviation of [the catalogue](diagnosis.md) is put in the place of a right implementation, and the
vectors are asked whether they notice. A deviation counts once for each datapath that can have it, and each of its places
counts by itself: `truncates` in every shift, `truncates@requantize-r` in one.

```
qgru kill
qgru kill --properties
qgru kill --vectors FOLDER --only truncates@requantize-r
qgru kill --distill FOLDER
```

The exit code is 0 when the vectors find everything, 1 when a deviation survives, 2 for bad input.

## How a deviation is held against a case

**A whole run** finds a deviation when a field of the trace would be another one. Each stage is computed from the recorded
operands: an implementation whose stages all agree there walks the same way, and one that differs does so first at the stage
that disagrees.

**A step case** finds it when a result of a row would be another one. It stands for every stage that does the step, so it is
only held against deviations that are in all of them: one in the r gate alone has to be found by a whole run, also where there
are cases of `mshift_gate` or `pot_gate`, which z and r share.

**A chain** finds it when a state of its first 500 steps would be another one.

**A refusal** finds nothing: the catalogue is about what is computed.

What a step case cannot show is not held against it: rows and directions, gate order, another table, the sum of terms before
their rounding. A run that a deviation makes impossible (a scale of zero) counts as another one.
"""
DISTILLED = """## The fewest cases

For slow simulators: the fewest cases of level 1 that find everything that all of it finds, {size} numbers of {all}.
`--distill FOLDER` writes them as a vector set of their own. Cases that something needs are taken; what follows from others is
left out; the rest is covered greedily, pruned, and searched depth first within a fixed number of nodes. {proof}
They find the deviations of the catalogue. They do not replace level 1: coverage, refusals and what nobody has named are not in
the bargain.

| kind | cases |
|---|---|
"""
DRAWN = """## Property tests

The property tests of the twin draw problems and compare all fields with the judge's. Here the deviation is in the twin's
place: {examples} problems of each datapath, seed {seed}, drawn by Hypothesis {version}; another version draws others. A tie in
one place of a wide accumulator is rare among drawn numbers, which is why the vectors are searched for and not drawn.
"""


def page(found: Any, drawn: Mapping[Any, int], kept: Any, size: Mapping[str, int], examples: int, seed: int) -> str:
    """The whole page as Markdown.

    found  the Matrix of level 1
    drawn  what found_by_properties gives
    kept   the Cover of found
    size   case -> numbers
    """
    return "\n".join([HEAD, *_score(found), *_kept(found, kept, size), *_drawn(found, drawn, examples, seed)])


def _score(found: Any) -> list[str]:
    from verification.kill.table import rows

    bases = {name.partition("@")[0] for name, _ in found.pairs}
    alone: dict[Any, int] = {}
    for pairs in found.found.values():
        for pair in pairs:
            alone[pair] = alone.get(pair, 0) + 1
    single = sum(count == 1 for count in alone.values())
    names = {name for name, _ in found.pairs}
    killed = len(found.pairs) - len(found.survivors)
    lines = [
        "## The score of level 1",
        "",
        f"{len(bases)} deviations, {len(names)} with their places, {len(found.pairs)} with their datapaths: level 1 finds "
        f"**{killed} of {len(found.pairs)}**.",
        *(["None of them is equivalent: each changes a number of some case."] if not found.survivors else []),
        f"{single} of them are found by one case alone.",
        "",
        "| family | datapath | deviations | found | alive |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {f} | {k} | {n} | {hit} | {int(n) - int(hit)} |" for f, k, n, hit, _ in rows(found)]
    lines += ["", "Survivors: none." if not found.survivors else "Survivors:", ""]
    lines += [f"- `{name}` in {datapath}" for name, datapath in found.survivors]
    return [*lines, ""] if found.survivors else lines


def _kept(found: Any, kept: Any, size: Mapping[str, int]) -> list[str]:
    numbers, total = (sum(size[id] for id in ids) for ids in (kept.cases, found.found))
    if kept.proven:
        proof = f"The search was complete: no {len(kept.cases) - 1} cases are enough."
    else:
        proof = f"The search was not complete: {kept.least} cases at least are needed, so that a smaller subset may exist."
    head = DISTILLED.format(size=f"{numbers:,}".replace(",", " "), all=f"{total:,}".replace(",", " "), proof=proof)
    kinds: dict[str, list[str]] = {}
    for id in kept.cases:
        kind = (
            "whole runs"
            if id.startswith(("cell-", "sequence-", "corner-"))
            else "chains"
            if id.startswith("chain-")
            else "steps"
        )
        kinds.setdefault(kind, []).append(f"`{id}`")
    rows = [f"| {kind} | {len(ids)}: {', '.join(ids)} |" for kind, ids in kinds.items()]
    return [head + "\n".join([f"| all | {len(kept.cases)} of {len(found.found)} |", *rows]), ""]


def _drawn(found: Any, drawn: Mapping[Any, int], examples: int, seed: int) -> list[str]:
    import hypothesis

    from verification.kill.table import rows

    lines = [
        DRAWN.format(examples=examples, seed=seed, version=hypothesis.__version__),
        f"They find **{len(drawn)} of {len(found.pairs)}**.",
        "",
        "| family | datapath | deviations | found | alive |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {f} | {k} | {n} | {hit} | {int(n) - int(hit)} |" for f, k, n, _, hit in rows(found, drawn)]
    left: dict[tuple[str, str], list[str]] = {}
    for name, datapath in found.pairs:
        if (name, datapath) not in drawn:
            base, _, place = name.partition("@")
            left.setdefault((base, datapath), []).append(place or "everywhere")
    lines += ["", "Alive, all of them found by the vectors:" if not found.survivors else "Alive:", ""]
    lines += [f"- `{base}` in {datapath}: {', '.join(places)}" for (base, datapath), places in left.items()]
    return [*lines, ""]


def computed(folder: Path) -> str:
    """The page from level 1, which is made in a folder."""
    from vectors.generate import generate
    from vectors.reader import open_set
    from verification.kill.cover import cover
    from verification.kill.matrix import matrix, sizes
    from verification.kill.properties import EXAMPLES, SEED, found_by_properties

    generate(folder / "level1", level=1, version="1.0")
    found, size = matrix(folder / "level1"), sizes(open_set(folder / "level1"))
    return page(found, found_by_properties(), cover(found.found, size), size, EXAMPLES, SEED)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    with tempfile.TemporaryDirectory() as made:
        sys.stdout.write(computed(Path(made)))
