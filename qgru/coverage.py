"""qgru coverage: which corners of the arithmetic vector sets and campaigns reach, and which no run can reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, print_json, refusal

if TYPE_CHECKING:
    from verification.coverage.record import Record
    from verification.coverage.summary import Line

SHOWN = 40


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...", type=click.Path(path_type=Path))
@click.option("--merge", "out", type=click.Path(path_type=Path), help="Write what all targets meet together to this file.")
@click.option("--stage", "wanted", multiple=True, help="Only stages whose names start so: mshift/, pot/z; may be repeated.")
@click.option("--propagation", is_flag=True, help="Also ask which hits reach an output, and the last state.")
@click.option("--missing", is_flag=True, help="List every reachable point that is not hit, not the first few only.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def command(
    targets: tuple[Path, ...], out: Path | None, wanted: tuple[str, ...], propagation: bool, missing: bool, as_json: bool
) -> int:
    """Count the coverpoints that each TARGET meets: a vector set, the folder of a campaign, or a record that --merge wrote.

    Exit code 0: every reachable point of the chosen stages is hit; 1: some are not.
    """
    from qgru.files import atomic_file, check_file
    from verification.coverage.model import model
    from verification.coverage.summary import missed, summary, totals

    for prefix in wanted:
        if not any(stage.startswith(prefix) for stage in model()):
            raise refusal(f"--stage is {prefix!r}, expected the start of a stage's name, such as mshift/ or pot/z_pre")
    if out is not None:
        check_file(out)
    record = _joined(targets, propagation)
    if out is not None:
        with atomic_file(out) as file:
            file.write(record.to_json())
    lines = summary(record, wanted)
    left = missed(record, wanted)
    if as_json:
        print_json(_plain(record, lines, [str(p) for p in left]))
    else:
        _print(record, lines)
        for point in left if missing else left[:SHOWN]:
            click.echo(f"not hit: {point}")
        if len(left) > SHOWN and not missing:
            click.echo(f"... and {len(left) - SHOWN} more, --missing lists them")
        click.echo(totals(lines))
    return MISMATCH if left else EXACT


def _joined(targets: tuple[Path, ...], propagation: bool) -> Record:
    """The records of all targets, joined."""
    from vectors.reader import form_of, open_set
    from verification.coverage.measure import measure
    from verification.coverage.record import read_record

    records: list[Record] = []
    for target in targets:
        if target.is_file():
            found = read_record(target)
            if propagation and not found.propagation:
                raise refusal(f"{target} was counted without --propagation, expected a record that has it")
            records.append(found)
            continue
        folder = target / "vectors" if (target / "vectors" / "manifest.json").is_file() else target
        opened = open_set(folder, form_of(folder))
        with progress(str(target), len(opened)) as advance:
            cases = opened.values()
            records.append(measure(cases, propagation=propagation, sources=(opened.sha256,), advance=advance))
    whole = records[0]
    for record in records[1:]:
        whole = whole.joined(record)
    return whole


def _print(record: Record, lines: list[Line]) -> None:
    from qgru.show import grouped, print_table

    header = ("stage", "points", "unreachable", "hit", "reach an output", "reach the last state", "hits")
    rows = [
        (
            x.stage,
            grouped(x.points),
            grouped(x.unreachable),
            grouped(x.hit),
            grouped(x.output) if record.propagation else "-",
            grouped(x.last) if record.propagation else "-",
            grouped(x.hits),
        )
        for x in lines
    ]
    print_table(header, rows, left=1)


def _plain(record: Record, lines: list[Line], left: list[str]) -> dict[str, Any]:
    return {
        "command": "coverage",
        "sources": list(record.sources),
        "propagation": record.propagation,
        "stages": [x._asdict() for x in lines],
        "not_hit": left,
    }
