"""qgru widths: the least width of every register of a parameter set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qgru import __version__
from qgru.progress import progress
from qgru.run import EXACT, canonical_json, print_json
from qgru.show import print_table

if TYPE_CHECKING:
    from verification.widths.register import Register

Sets = list[tuple[str, Any]]
FORMATS = ("text", "json", "svh")
SETTINGS = "network-g2p-encoder-"


@click.command()
@click.argument("params")
@click.option("--set", "chosen", multiple=True, help="Only this set, by the name that the table shows; may be repeated.")
@click.option("--zoneout", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="A blend of this probability.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: text; svh for an --out that ends in .svh, .json]")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@click.option("--vectors", type=click.Path(path_type=Path), help="Write a vector set to this folder: a step for each register.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(
    params: str, chosen: tuple[str, ...], zoneout: float, form: str | None, out: Path | None, vectors: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Find the least two's-complement width of every accumulator and intermediate of PARAMS.

    PARAMS is a parameters.json of `qgru quantize`, a case of a vector set as FOLDER:CASE, or g2p, the trained encoder in five
    settings. The widths hold for every input and every state of the formats; each has an input that needs it in golden,
    and what changes when the register has one bit less.
    """
    from golden.spec.errors import ParameterError
    from qgru.files import check_file
    from vectors.writer import check_target
    from verification.widths.analysis import analyse, count

    if vectors is not None:
        check_target(vectors.absolute())
    if out is not None:
        check_file(out)
    if as_json and form not in (None, "json"):
        raise ParameterError("--format", repr(form), "json beside --json")
    form = "json" if as_json else form or _form_of(out)
    sets = _sets(params)
    for name in chosen:
        if name not in dict(sets):
            raise ParameterError("--set", repr(name), f"one of {', '.join(label for label, _ in sets)}")
    sets = [(label, p) for label, p in sets if not chosen or label in chosen]
    for label, p in sets:
        if p.datapath == "mshift-dynamic":
            raise ParameterError(f"set {label}", p.datapath, "a static set, mshift or pot, whose scales are constants")
    with progress("registers", sum(count(p, zoneout) for _, p in sets)) as advance:
        found = [(label, p, analyse(p, zoneout, advance)) for label, p in sets]
    _write(found, form, out, zoneout)
    if vectors is not None:
        _vectors(found, vectors, zoneout, quiet=form == "json" or (form == "svh" and out is None))
    return EXACT


def _form_of(out: Path | None) -> str:
    return {".svh": "svh", ".json": "json"}.get("" if out is None else out.suffix, "text")


def _sets(params: str) -> Sets:
    """(label, parameter set) of what PARAMS names."""
    from golden.spec.errors import ParameterError
    from golden.spec.params import MShiftDynamicParams

    if params == "g2p":
        from qgru.networks import network_cases

        given = [(c.id.removeprefix(SETTINGS), c.params) for c in network_cases("g2p", 2, "all", 0)]
        return [(label, p) for label, p in given if not isinstance(p, MShiftDynamicParams)]
    folder, colon, id = params.rpartition(":")
    if colon and not Path(params).is_file():
        from vectors.reader import open_set

        opened = open_set(folder)
        if id not in opened:
            raise ParameterError("PARAMS", repr(params), f"a case of the {len(opened)} of {folder}")
        found = getattr(opened[id], "params", None)
        if found is None or isinstance(found, dict):
            raise ParameterError("PARAMS", f"{opened[id].kind} case {id}", "a sequence case, which has a parameter set")
        return [(id, found)]
    from qgru.quantize_files import read_parameters

    stack = read_parameters(params)
    several = sum(len(layer) for layer in stack.layers) > 1
    return [
        (f"layer{i}-{'reverse' if d.reverse else 'forward'}" if several else Path(params).stem, d.params)
        for i, layer in enumerate(stack.layers)
        for d in layer
    ]


def _write(found: list[tuple[str, Any, list[Register]]], form: str, out: Path | None, zoneout: float) -> None:
    from qgru.files import atomic_file
    from verification.widths.show import plain, svh

    if form == "text" and out is None:
        _print(found)
        return
    if form == "json":
        sets = [{**_shape(label, p), "registers": [plain(r) for r in registers]} for label, p, registers in found]
        value = {"command": "widths", "zoneout": zoneout, "sets": sets}
        if out is None:
            print_json(value)
            return
        text = canonical_json(value) + "\n"
    else:
        text = svh(found, __version__) if form == "svh" else _text(found)
    if out is None:
        click.echo(text, nl=False)
        return
    with atomic_file(out) as file:
        file.write(text)


def _shape(label: str, p: Any) -> dict[str, Any]:
    return {"set": label, "datapath": p.datapath, "inputs": p.input_size, "hidden": p.hidden_size}


def _print(found: list[tuple[str, Any, list[Register]]]) -> None:
    from verification.widths.show import HEADER, LEFT, rows

    for label, p, registers in found:
        click.echo(f"{label}: {p.datapath}, {p.input_size} inputs, {p.hidden_size} units")
        print_table(HEADER, rows(registers), left=LEFT)
        for line in _summary(registers):
            click.echo(line)
        click.echo("")


def _text(found: list[tuple[str, Any, list[Register]]]) -> str:
    from contextlib import redirect_stdout
    from io import StringIO

    with redirect_stdout(StringIO()) as text:
        _print(found)
    return text.getvalue()


def _summary(registers: list[Register]) -> list[str]:
    proven = sum(r.verdict != "open" for r in registers)
    state = sum(r.seen == "h" for r in registers)
    later = sum(r.seen not in ("h", "") for r in registers)
    never = [r.name for r in registers if not r.seen and r.ends != (0, 0)]
    lines = [
        f"{proven} of {len(registers)} widths proven least and reached in golden",
        f"one bit less changes h for {state}, an earlier field for {later}",
    ]
    if never:
        lines.append(f"one bit less is not seen behind {', '.join(never)}")
    return lines


def _vectors(found: list[tuple[str, Any, list[Register]]], target: Path, zoneout: float, quiet: bool) -> None:
    from vectors.writer import write_set
    from verification.widths.cases import FLAGS, cases

    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    made = [case for label, p, registers in found for case in cases(label, p, registers, zoneout)]
    digest = write_set(target, made, seed=0, version=__version__, flags=FLAGS)
    if not quiet:
        click.echo(f"{target}: {len(made)} cases, sha256 {digest}")
