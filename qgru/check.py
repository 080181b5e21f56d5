"""qgru check: replay a vector set on golden and on the twin, or run it on a device under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from qgru.options import refuse_unused
from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, print_json
from qgru.show import grouped, print_table


@click.command()
@click.argument("vectors", type=click.Path(path_type=Path), required=False)
@click.option("--dut", "spec", help="A device under test: py:module:callable, so:./lib.so or cmd:program and arguments.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="With --dut: seconds for a case.")
@click.option("--strict", is_flag=True, help="With --dut: a case that is not run is a failure.")
@click.option("--chains/--no-chains", default=True, help="With --dut: whether the long chains are run.")
@click.option("--device", type=click.Choice(["auto", "gpu", "host", "simulator"]), default="auto", show_default=True)
@click.option("--case", "ids", multiple=True, help="Only this case; may be given more than once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of the table.")
def command(
    vectors: Path | None, spec: str | None, timeout: float, strict: bool, chains: bool, device: str, ids: tuple[str, ...],
    as_json: bool,
) -> int:  # fmt: skip
    """Replay the vector set in the folder VECTORS: golden and the twin, every stage against the recorded codes.

    The twin runs the cells, sequences and networks, and the steps that it has in array form; golden runs everything.
    With --dut the set runs on that device instead; without VECTORS, level 1 of the generator does.
    """
    _check_options(spec)
    if spec is not None:
        from qgru.check_dut import check_dut

        return check_dut(spec, vectors, ids, timeout, strict, as_json, chains)
    if vectors is None:
        raise click.UsageError("Missing argument 'VECTORS': a folder, or --dut for the built-in set.")
    from cuda_impl.launch import target as resolve
    from golden.spec.errors import ParameterError
    from vectors.case import Case
    from vectors.reader import open_set
    from verification.diagnosis import report_lines
    from verification.replay import replay
    from verification.report import report
    from verification.run import check_case

    device = resolve(device).kind
    cases = open_set(vectors)
    for id in ids:
        if id not in cases:
            raise ParameterError("--case", repr(id), "a case of the set")
    rows: list[dict[str, Any]] = []
    reports: list[str] = []
    chosen = tuple(dict.fromkeys(ids)) or tuple(cases)
    with progress("check", len(chosen)) as advance:
        for id in chosen:
            case = cases[id]
            again = f"qgru check {vectors} --case {id} --device {device}"
            if isinstance(case, Case):
                result = check_case(case, device)
                row: tuple[Any, ...] = (
                    result.compared, result.golden.mismatches, result.twin.mismatches, result.equal
                )  # fmt: skip
                for name, comparison, trace in zip(("golden", "twin"), (result.golden, result.twin), result.traces):
                    if not comparison.equal:
                        found = report_lines(case.params, case.x, case.h0, case.options, expected=case.trace, got=trace)
                        names = (name, "vectors")
                        text = report(comparison, case.params, case.trace, names=names, replay=again, diagnosis=found)
                        reports.append(text)
            else:
                other = replay(case, device, again)
                row = (other.compared, other.golden, other.twin, other.equal)
                reports += other.reports
            keys = ("compared", "golden", "twin", "equal")
            rows.append({"case": id, "group": case.group, "kind": case.kind, **dict(zip(keys, row))})
            advance(1)
    compared = sum(r["compared"] for r in rows)
    wrong = sum(r["golden"] + (r["twin"] or 0) for r in rows)
    equal = all(r["equal"] for r in rows)
    if as_json:
        plain = {"command": "check", "device": device, "equal": equal, "compared": compared, "mismatches": wrong}
        print_json({**plain, "vectors": {"sha256": cases.sha256}, "cases": rows})
    else:
        _print(rows, by_case=bool(ids))
        click.echo(
            f"{grouped(compared)} codes compared, {wrong} mismatches, golden and the twin on {device} against the vectors"
        )
    for text in reports:
        click.echo(text, err=True)
    return EXACT if equal else MISMATCH


def _check_options(spec: str | None) -> None:
    """Refuse what would be left out of account: options of a device where there is none, and the twin's where it is not run."""
    if spec is None:
        options = {"timeout": "--timeout", "strict": "--strict", "chains": "--chains or --no-chains"}
        refuse_unused(options, "without --dut", "it only with one")
    else:
        refuse_unused({"device": "--device"}, "with --dut", "it only without one")


def _print(rows: list[dict[str, Any]], by_case: bool) -> None:
    """A line for each case, or for each group of cases; "not run" counts the cases for which the twin has no step."""
    key = "case" if by_case else "group"
    lines = []
    for name in dict.fromkeys(r[key] for r in rows):
        members = [r for r in rows if r[key] == name]
        sums = [sum(r[k] or 0 for r in members) for k in ("compared", "golden", "twin")]
        lines.append((name, *(grouped(n) for n in (len(members), *sums)), grouped(sum(r["twin"] is None for r in members))))
    print_table((key, "cases", "codes compared", "golden differs", "twin differs", "twin not run"), lines, left=1)
