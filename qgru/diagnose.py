"""qgru diagnose: name what an implementation does differently from the clauses."""

from __future__ import annotations

from pathlib import Path

import click

from qgru.options import Seconds
from qgru.run import EXACT, MISMATCH, print_json


@click.command()
@click.argument("vectors", type=click.Path(path_type=Path))
@click.argument("case")
@click.argument("got", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
@click.option("--pairs/--no-pairs", default=True, show_default=True, help="Try pairs where no single deviation explains it.")
@click.option(
    "--seconds", type=Seconds(min=0), default=20.0, show_default=True,
    help="When to stop trying pairs, and looking for a problem that tells several apart.",
)  # fmt: skip
def command(vectors: Path, case: str, got: Path, as_json: bool, pairs: bool, seconds: float) -> int:
    """Say which deviation explains what an implementation gave for the CASE of the vector set in the folder VECTORS.

    GOT is a .npz file: h alone, [T+1,N,H] or without the initial state [T,N,H], or any fields of the trace with it, by
    their names. The more fields, the narrower the answer.
    """
    import numpy as np

    from golden.spec.errors import ParameterError
    from vectors.case import Case
    from vectors.files import MAX_FILE
    from vectors.npz import read_npz
    from vectors.reader import open_set
    from verification.diagnosis import diagnose

    cases = open_set(vectors)
    if case not in cases:
        raise ParameterError("CASE", repr(case), f"one of {', '.join(cases)}")
    c = cases[case]
    if not isinstance(c, Case):
        raise ParameterError("CASE", f"{case!r}, a {type(c).__name__}", "a sequence case")
    with open(got, "rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ParameterError(got.name, f"larger than {MAX_FILE} bytes", "what an implementation gave for one case")
    arrays = read_npz(data, got.name)
    for name in arrays:
        if f"trace.{name}" in arrays:
            raise ParameterError(f"{got.name} {name}", f"given also as trace.{name}", "each field once")
    other = ("params.", "input.", "state.")  # what a case of a vector set holds beside its trace
    fields = {name.removeprefix("trace."): a for name, a in arrays.items() if not name.startswith(other)}
    output = fields.pop("output", None)  # of a device under test: h without the initial state
    if output is not None:
        fields.setdefault("h", output)
        states = fields["h"]
        if states.ndim < 1 or not np.array_equal(output, states[max(0, len(states) - len(c.x)) :]):
            raise ParameterError(f"{got.name} output", "not what h says", "the states of h without the initial one")
    d = diagnose(c.params, c.x, c.h0, c.options, expected=c.trace, got=fields, search_pairs=pairs, seconds=seconds)
    if as_json:
        print_json({"command": "diagnose", "case": case, "vectors": {"sha256": cases.sha256}, **d.plain()})
    else:
        click.echo(d.text())
    return EXACT if d.verdict == "equal" else MISMATCH
