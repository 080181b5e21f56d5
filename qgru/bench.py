"""qgru bench: time every mode beside its peers in one run; a mode whose bits are not golden's gets no figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from qgru.options import refuse_unused
from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, complain, print_json, refusal

OUT = Path("qgru-out") / "bench.json"


def parse_size(text: str) -> tuple[int, int, int, int]:
    """ "100,32,512,512" as (T, N, C, H)."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or min(numbers) < 1:
        raise refusal(f"--sizes is {text!r}, expected four positive integers T,N,C,H")
    t, n, c, h = numbers
    return t, n, c, h


@click.command()
@click.option("--suite", type=click.Choice(["cpu", "gpu", "grid", "fuzz", "all"]), default="cpu", show_default=True)
@click.option("--sizes", multiple=True, metavar="T,N,C,H", help="A size; may be given several times.  [default: the suite's]")
@click.option("--repeat", type=click.IntRange(3), default=9, show_default=True, help="Samples of each; the median counts.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Where the JSON goes.  [default: {OUT}]")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the grid over T, N and H into this file.")
@click.option("--json", "as_json", is_flag=True, help="The JSON on stdout too, instead of the table.")
def command(suite: str, sizes: tuple[str, ...], repeat: int, out: Path | None, plot: Path | None, as_json: bool) -> int:
    """Time every mode beside torch, torch.ao and onnxruntime, in one process; the bits are checked in the same run.

    Medians of warm runs; ratios say how many times longer a peer takes. Peers that are not installed are listed as missing.
    """
    from cuda_impl.launch import gpu_usable
    from qgru.bench_suites import is_exact, run_suites, work_of
    from qgru.files import atomic_file, check_file

    chosen = tuple(parse_size(text) for text in sizes) or None
    if suite == "gpu" and not gpu_usable():
        raise refusal("--suite is 'gpu', expected a machine with a usable CUDA GPU, its driver and qgru[cuda]")
    if suite in ("grid", "fuzz"):
        refuse_unused({"sizes": "--sizes"}, f"with --suite {suite}", "the suite cpu, gpu or all")
    if suite == "fuzz":
        refuse_unused({"repeat": "--repeat"}, "with --suite fuzz", "another suite")
    if plot is not None and suite not in ("grid", "all"):
        raise refusal(f"--plot is given with --suite {suite}, expected the suite grid or all")
    target = OUT if out is None else out
    for path in (target,) if plot is None else (target, plot):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        check_file(path)
    if plot is not None:
        from qgru.bench_plot import check_plot

        check_plot(plot)
    with progress("bench", work_of(suite, chosen, repeat)) as advance:
        found = run_suites(suite, chosen, repeat, advance)
    with atomic_file(target) as file:
        file.write(json.dumps(found, indent=1, allow_nan=False) + "\n")
    if plot is not None:
        from qgru.bench_plot import draw

        draw(found["grid"]["axes"], plot)
    if as_json:
        print_json(found)
    else:
        show(found)
        click.echo(f"written: {target}")
    if is_exact(found):
        return EXACT
    complain("a run that was to be timed differs from golden, expected equal bits; see the bits in the JSON")
    return MISMATCH


def show(found: dict[str, Any]) -> None:
    """The tables for people."""
    from qgru.show import print_table

    for suite in ("cpu", "gpu"):
        for record in found.get(suite, {}).get("configurations", []):
            _table(suite, record, print_table)
    for axis, records in found.get("grid", {}).get("axes", {}).items():
        click.echo(f"\ngrid over {axis}: median ms")
        for record in records:
            times = "  ".join(f"{e['name']} {e['ms']['median']:g}" for e in record["entries"])
            click.echo(f"  {record['size'][axis]:>5}  {times}")
    if "fuzz" in found:
        click.echo(f"\nfuzz: {found['fuzz']['rate']:.0f} problems a second, {found['fuzz']['failures']} failures")


def _table(suite: str, record: dict[str, Any], print_table: Any) -> None:
    size = record["size"]
    click.echo(f"\n{suite}  T = {size['T']}, N = {size['N']}, C = {size['C']}, H = {size['H']}")
    rows = []
    for e in record["entries"]:
        ratios = list(e.get("ratios", {}).values())
        floor = f"{e['times_the_floor']:g}" if e.get("times_the_floor") else ""
        fastest = f"{min(ratios):g}" if ratios else ""
        rows.append((e["name"], f"{e['ms']['median']:g}", f"{e['us_per_step']:g}", f"{e['gmac_s']:g}", fastest, floor))
    print_table(("", "ms", "us/step", "GMAC/s", "x fastest peer", "x floor"), rows, left=1)
    for bits in record["bits"]:
        verdict = "exact" if bits["equal"] else f"NOT EXACT ({bits['mismatches']} codes)"
        rows_of = "all rows" if bits["rows"] == "all" else f"{len(bits['rows'])} drawn rows"
        click.echo(f"  {bits['mode']}: {verdict}, {bits['codes_compared']} codes against {bits['reference']}, {rows_of}")
    for name, why in record["missing"].items():
        click.echo(f"  {name}: missing ({why})")
