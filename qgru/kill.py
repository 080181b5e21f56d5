"""qgru kill: hold every deviation against a vector set and against the property tests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qgru import __version__
from qgru.options import refuse_unused
from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, print_json
from qgru.show import print_table

if TYPE_CHECKING:
    from verification.kill.cover import Cover
    from verification.kill.matrix import Matrix, Pair

SHOWN = 40


@click.command()
@click.option(
    "--vectors", type=click.Path(path_type=Path), help="A canonical vector set; when left out, level 1 is made."
)
@click.option("--properties", is_flag=True, help="Also hold the deviations against problems that Hypothesis draws.")
@click.option("--examples", type=click.IntRange(1), default=200, show_default=True, help="Problems drawn for each datapath.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the drawn problems.")
@click.option(
    "--distill", type=click.Path(path_type=Path), help="Write the fewest cases that find as much, to this folder."
)
@click.option("--only", metavar="NAME", help="One deviation, with its place, or all places of one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of the table.")
def command(
    vectors: Path | None, properties: bool, examples: int, seed: int, distill: Path | None, only: str | None, as_json: bool
) -> int:
    """Hold every deviation of the catalogue against vectors: what each case would find, and what nothing finds.

    A deviation counts once for each datapath that can have it. The exit code is 0 when the vectors find all of them, 1 when
    some survive. What the property tests find is reported beside it and decides nothing.
    """
    from golden.spec.errors import ParameterError
    from vectors.writer import check_target
    from verification.kill.matrix import matrix, pairs_of

    pairs_of(only)
    if not properties:
        refuse_unused({"examples": "--examples", "seed": "--seed"}, "without --properties", "it only with that")
    if distill is not None:
        if only is not None:
            raise ParameterError("--distill", f"{str(distill)!r} with --only", "all deviations")
        check_target(distill.absolute())
    with tempfile.TemporaryDirectory() as made:
        path = _level_1(Path(made)) if vectors is None else vectors
        with progress("cases", _count(path)) as advance:
            found = matrix(path, only, advance=advance)
        drawn = _properties(only, examples, seed) if properties else None
        kept = _distill(path, found, distill) if distill is not None else None
        identity = _identity(path)
    if as_json:
        print_json(_plain(found, drawn, kept, identity))
    else:
        _print(found, drawn)
        if kept is not None:
            click.echo(f"{distill}: {len(kept.cases)} of {len(found.found)} cases find the same, {_least(kept)}")
    return MISMATCH if found.survivors else EXACT


def _level_1(folder: Path) -> Path:
    from vectors.generate import generate, planned

    with progress("vectors", len(planned(1))) as advance:
        generate(folder / "level1", level=1, version=__version__, advance=advance)
    return folder / "level1"


def _count(path: Path) -> int:
    from vectors.reader import open_set

    return len(open_set(path))


def _identity(path: Path) -> str:
    from vectors.reader import open_set

    return open_set(path).sha256


def _properties(only: str | None, examples: int, seed: int) -> dict[Pair, int]:
    from qgru.run import need
    from verification.kill.properties import found_by_properties

    need("hypothesis")
    with progress("datapaths", 3) as advance:
        return found_by_properties(only, examples=examples, seed=seed, advance=advance)


def _distill(path: Path, found: Matrix, target: Path) -> Cover:
    from vectors.reader import open_set
    from vectors.writer import write_set
    from verification.kill.cover import cover
    from verification.kill.matrix import sizes

    cases = open_set(path)
    kept = cover(found.found, sizes(cases))
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    write_set(target, (cases[id] for id in kept.cases), seed=cases.manifest["seed"], version=__version__)
    return kept


def _least(kept: Cover) -> str:
    return "and no fewer can" if kept.proven else f"and fewer than {kept.least} cannot"


def _print(found: Matrix, drawn: dict[Pair, int] | None) -> None:
    from verification.kill.table import HEADER, rows

    table = rows(found, drawn)
    print_table(HEADER if drawn is not None else HEADER[:4], [row if drawn is not None else row[:4] for row in table], left=2)
    for title, left in (
        ("no case finds", found.survivors),
        ("no drawn problem finds", () if drawn is None else tuple(p for p in found.pairs if p not in drawn)),
    ):
        for name, datapath in left[:SHOWN]:
            click.echo(f"{title} {name} in {datapath}")
        if len(left) > SHOWN:
            click.echo(f"... and {len(left) - SHOWN} more")
    killed = len(found.pairs) - len(found.survivors)
    click.echo(f"the vectors find {killed} of {len(found.pairs)} deviations, {len(found.survivors)} survive")
    if drawn is not None:
        click.echo(f"the property tests find {len(drawn)} of {len(found.pairs)}")


def _plain(found: Matrix, drawn: dict[Pair, int] | None, kept: Cover | None, identity: str) -> dict[str, Any]:
    return {
        "command": "kill",
        "vectors": {"sha256": identity, "cases": len(found.found)},
        "deviations": len(found.pairs),
        "killed": len(found.pairs) - len(found.survivors),
        "survivors": [list(p) for p in found.survivors],
        "cases": {id: len(pairs) for id, pairs in found.found.items()},
        "properties": None
        if drawn is None
        else {"killed": len(drawn), "survivors": [list(p) for p in found.pairs if p not in drawn]},
        "distilled": None if kept is None else {"cases": list(kept.cases), "least": kept.least, "proven": kept.proven},
    }
