"""qgru vectors: make, check, show, convert and stream test vectors, and make benches of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from qgru import __version__
from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, print_json, refusal

FORMATS = ("npz", "hex", "c", "bin", "wycheproof")
DATAPATHS = ("all", "mshift", "mshift-dynamic", "pot")
SHOWN = 20


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Make, check, show, convert and stream test vectors, and make benches of them.  See vectors/README.md."""


def _form(path: str, form: str | None) -> str:
    from vectors.reader import form_of

    return form if form is not None else form_of(path)


@command.command()
@click.argument("out", type=click.Path())
@click.option("--level", type=click.IntRange(1, 3), default=1, show_default=True, help="1 is at most 5 MB, 2 at most 60 MB.")
@click.option("--datapath", type=click.Choice(DATAPATHS), default="all", show_default=True)
@click.option("--model", help='A model whose GRUs are added as whole networks: a file, or "g2p".')
@click.option("--seed", type=click.IntRange(0, 2**53 - 1), default=0, show_default=True)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="Also write this format, into OUT/FORMAT; may be repeated.",
)
def generate(out: str, level: int, datapath: str, model: str | None, seed: int, formats: tuple[str, ...]) -> int:
    """Write the vector set of a level to the folder OUT: manifest.json and one .npz for each case."""
    from vectors.generate import generate as write
    from vectors.generate import planned
    from vectors.reader import open_set
    from vectors.writer import check_target, export_set

    check_target(Path(out).absolute())
    if model is not None:
        from qgru.networks import network_cases

        networks = network_cases(model, level, datapath, seed)
    with progress("cases", len(planned(level, datapath))) as advance:
        more = networks if model is not None else ()
        digest = write(out, level=level, version=__version__, datapath=datapath, seed=seed, more=more, advance=advance)
    opened = open_set(out)
    for form in dict.fromkeys(f for f in formats if f != "npz"):
        export_set(opened, Path(out) / form, form)
    size = sum(entry["bytes"] for entry in opened.manifest["files"].values())
    click.echo(f"{out}: {len(opened)} cases, {size} bytes, sha256 {digest}")
    return EXACT


@command.command()
@click.argument("path", metavar="SET", type=click.Path())
@click.option("--format", "form", type=click.Choice(FORMATS), help="Its format; by default what its manifest says.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def lint(path: str, form: str | None, as_json: bool) -> int:
    """Check SET: schema, hashes, canonical form, flags recomputed, and that golden still gives its values."""
    from vectors.lint import lint as check
    from vectors.reader import open_set

    chosen = _form(path, form)
    opened = open_set(path, chosen)
    with progress("cases", len(opened)) as advance:
        found = list(check(path, chosen, advance))
    if as_json:
        print_json({"path": path, "cases": len(opened), "sha256": opened.sha256, "findings": found})
        return MISMATCH if found else EXACT
    for sentence in found[:SHOWN]:
        click.echo(sentence)
    if len(found) > SHOWN:
        click.echo(f"... and {len(found) - SHOWN} more")
    click.echo(f"{path}: {len(opened)} cases, {len(found)} findings, sha256 {opened.sha256}")
    return MISMATCH if found else EXACT


@command.command()
@click.argument("path", metavar="SET", type=click.Path())
@click.argument("case", required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Its format; by default what its manifest says.")
def info(path: str, case: str | None, form: str | None) -> int:
    """Show what SET holds, or one CASE of it."""
    from vectors.info import case_lines, set_lines
    from vectors.reader import open_set

    opened = open_set(path, _form(path, form))
    if case is not None and case not in opened:
        raise refusal(f"case is {case!r}, expected one of the {len(opened)} cases of {path}")
    for line in set_lines(opened) if case is None else case_lines(opened, case):
        click.echo(line.rstrip())
    return EXACT


@command.command()
@click.argument("path", metavar="SET", type=click.Path())
@click.argument("out", type=click.Path())
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="The format to write.")
def convert(path: str, out: str, form: str) -> int:
    """Write SET, of any format, to the folder OUT in another one; back to npz it has the same bytes again."""
    from vectors.reader import open_set
    from vectors.writer import export_set

    digest = export_set(open_set(path, _form(path, None)), out, form)
    click.echo(f"{out}: {form}, sha256 {digest}")
    return EXACT


@command.command()
@click.argument("path", metavar="SET", type=click.Path())
@click.argument("out", type=click.Path())
@click.option("--case", "ids", multiple=True, help="Only this case; may be given more than once.")
@click.option("--step", "steps", multiple=True, help="Only cases of this step, or mshift_cell or pot_cell; may be repeated.")
@click.option("--prefix", default=".", show_default=True, help="The folder OUT as the simulator finds it.")
def benches(path: str, out: str, ids: tuple[str, ...], steps: tuple[str, ...], prefix: str) -> int:
    """Write self-checking benches of SET to the new folder OUT: SystemVerilog, cocotb and C99, with the files that they read.

    Every step case has a bench, and so has every static sequence case without zoneout and mask that reads forward and has
    a step, of datapath P where its activations are piecewise linear.
    """
    from qgru.files import atomic_folder
    from vectors.benches_write import bench_name, write_benches
    from vectors.reader import open_set

    opened = open_set(path, _form(path, None))
    for id in ids:
        if id not in opened:
            raise refusal(f"--case is {id!r}, expected one of the {len(opened)} cases of {path}")
    names = {id: bench_name(opened[id]) for id in ids or tuple(opened)}
    bare = [id for id in ids if names[id] is None]
    if bare:
        wanted = "a step, or a static run forward, not empty, without zoneout and mask, on datapath P piecewise linear"
        raise refusal(f"--case is {bare[0]!r}, of which no bench is made, expected {wanted}")
    chosen = [id for id, name in names.items() if name is not None and (not steps or name in steps)]
    if not chosen:
        raise refusal(f"{path} has no case for a bench of {', '.join(steps or ids) or 'any step'}, expected at least one")
    target = Path(out)
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with progress("benches", len(chosen)) as advance, atomic_folder(target) as folder:

        def cases() -> Iterator[Any]:
            for id in chosen:
                yield opened[id]
                advance(1)

        made = write_benches(cases(), folder, prefix)
    click.echo(f"{out}: {len(made)} benches; the SystemVerilog top module of all is tb_all")
    return EXACT


@command.command()
@click.argument("step")
@click.option("--seed", type=click.IntRange(0, 2**53 - 1), default=0, show_default=True)
@click.option("--count", type=click.IntRange(1), help="Rows; by default as many as level 1 asks for.")
@click.option("--level", type=click.IntRange(1, 3), default=1, show_default=True, help="The level whose count is the default.")
def stream(step: str, seed: int, count: int | None, level: int) -> int:
    """Print operands of STEP, one row a line; a program adds its results to each line and pipes them to `judge`."""
    from vectors.stream import default_count, header, operands

    for line in header(step):
        click.echo(line)
    for line in operands(step, seed, default_count(step, level) if count is None else count):
        click.echo(line)
    return EXACT


def _input_lines() -> Iterator[str]:
    """The lines of standard input; of one that is too long its start, and what is no text escaped: both are refused then."""
    from vectors.stream import LONGEST_LINE

    if sys.stdin is None:
        raise refusal("standard input is closed, expected rows with results")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    read = partial(sys.stdin.readline, LONGEST_LINE + 2)
    for line in iter(read, ""):
        yield line
        while line.startswith("#") and not line.endswith("\n"):  # a comment may be of any length
            rest = read()
            line = f"#{rest}" if rest else "\n"


@command.command()
@click.argument("step")
@click.option("--seed", type=click.IntRange(0, 2**53 - 1), help="Of the stream: its operands must come back, all and in order.")
@click.option("--level", type=click.IntRange(1, 3), default=1, show_default=True, help="The level whose count is the least.")
@click.option("--at-least", type=click.IntRange(1), help="Another least count; fewer rows are refused.")
def judge(step: str, seed: int | None, level: int, at_least: int | None) -> int:
    """Read rows of STEP with results from standard input and compare them with golden."""
    from vectors.stream import default_count
    from vectors.stream import judge as compare

    least = default_count(step, level) if at_least is None else at_least
    rows, found = compare(step, _input_lines(), seed=seed, least_count=least)
    for mismatch in found[:SHOWN]:
        click.echo(str(mismatch))
    click.echo(f"{step}: {rows} rows, {len(found)} mismatches")
    return MISMATCH if found else EXACT
