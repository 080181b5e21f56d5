"""qgru check: replay a vector set on golden and on the twin, or run it on a device under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, print_json
from qgru.show import grouped, print_table


@click.command()
@click.argument("vectors", type=click.Path(path_type=Path), required=False)
@click.option("--dut", "spec", help="A device under test: py:module:callable, so:./lib.so or cmd:program and arguments.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="With --dut: seconds for a case.")
@click.option("--strict", is_flag=True, help="With --dut: a case that is not run is a failure.")
@click.option("--device", type=click.Choice(["auto", "gpu", "host", "simulator"]), default="auto", show_default=True)
@click.option("--case", "ids", multiple=True, help="Only this case; may be given more than once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of the table.")
def command(
    vectors: Path | None, spec: str | None, timeout: float, strict: bool, device: str, ids: tuple[str, ...], as_json: bool
) -> int:
    """Replay the vector set in the folder VECTORS: golden and the twin, every stage against the recorded codes.

    With --dut the set runs on that device instead; without VECTORS, level 1 of the generator does.
    """
    if spec is not None:
        from qgru.check_dut import check_dut

        return check_dut(spec, vectors, ids, timeout, strict, as_json)
    if vectors is None:
        raise click.UsageError("Missing argument 'VECTORS': a folder, or --dut for the built-in set.")
    from cuda_impl.launch import target as resolve
    from golden.spec.errors import ParameterError
    from vectors.reader import open_set
    from verification.diagnosis import report_lines
    from verification.report import report
    from verification.run import check_case

    device = resolve(device).kind
    cases = open_set(vectors)
    runs = cases.ids("sequence")  # the other kinds are checked by qgru vectors lint
    for id in ids:
        if id not in runs:
            raise ParameterError("--case", repr(id), f"one of {', '.join(runs)}")
    rows: list[dict[str, Any]] = []
    reports = []
    with progress("check", len(ids or runs)) as advance:
        for id in ids or tuple(runs):
            result = check_case(cases[id], device)
            rows.append(
                {
                    "case": id,
                    "datapath": result.case.params.datapath,
                    "compared": result.compared,
                    "golden": result.golden.mismatches,
                    "twin": result.twin.mismatches,
                    "equal": result.equal,
                }
            )
            for name, comparison, trace in zip(("golden", "twin"), (result.golden, result.twin), result.traces):
                if not comparison.equal:
                    replay = f"qgru check {vectors} --case {id} --device {device}"
                    names, c = (name, "vectors"), result.case
                    found = report_lines(c.params, c.x, c.h0, c.options, expected=c.trace, got=trace)
                    reports.append(report(comparison, c.params, c.trace, names=names, replay=replay, diagnosis=found))
            advance(1)
    compared, wrong = sum(r["compared"] for r in rows), sum(r["golden"] + r["twin"] for r in rows)
    equal = all(r["equal"] for r in rows)
    if as_json:
        plain = {"command": "check", "device": device, "equal": equal, "compared": compared, "mismatches": wrong}
        print_json({**plain, "vectors": {"sha256": cases.sha256}, "cases": rows})
    else:
        header = ("case", "datapath", "codes compared", "golden differs", "twin differs")
        table = [(r["case"], r["datapath"], *(grouped(r[k]) for k in ("compared", "golden", "twin"))) for r in rows]
        print_table(header, table, left=2)
        click.echo(
            f"{grouped(compared)} codes compared, {wrong} mismatches, golden and the twin on {device} against the vectors"
        )
    for text in reports:
        click.echo(text, err=True)
    return EXACT if equal else MISMATCH
