"""qgru sweep: a step on every input there is, golden against the twin."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from qgru.files import atomic_file, check_file
from qgru.options import refuse_unused
from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, complain, print_json, refusal
from qgru.show import grouped

REPORTS = 5


@click.command()
@click.argument("steps", nargs=-1, required=True, metavar="STEP...")
@click.option("--params", help='The constants of one sweep, such as "M=5 s=3 zp=0 fmt=int8".  [default: those of the plan]')
@click.option("--device", type=click.Choice(["host", "gpu"]), default="host", show_default=True)
@click.option("--range", "span", metavar="A:B", help="Only the inputs with index A to B - 1 of each sweep.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes.  [default: one for each core, or for each GPU]")
@click.option(
    "--resume",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep a journal in this file, and go on from what it holds.",
)
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), help="Also write what was compared to this file.")
@click.option("--list", "listed", is_flag=True, help="Only list the sweeps.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def command(
    steps: tuple[str, ...],
    params: str | None,
    device: str,
    span: str | None,
    jobs: int | None,
    resume: Path | None,
    record: Path | None,
    listed: bool,
    as_json: bool,
) -> int:
    """Compare each STEP, or `all`, on every input: golden's arrays against the twin's scalars.

    Which inputs and constants there are, --list shows.  A sweep is run in pieces; with --resume FILE each one that is done
    is a line there, and a run that was ended goes on.
    """
    from verification.sweeps.plans import plan, whole_plan
    from verification.sweeps.report import checked
    from verification.sweeps.sweep import parsed

    if listed:
        running = {"device": "--device", "span": "--range", "jobs": "--jobs", "resume": "--resume", "record": "--record"}
        refuse_unused(running, "with --list", "it only without")
    if params is not None and len(steps) != 1:
        raise refusal(f"--params is given with {len(steps)} steps, expected one step")
    if params is not None:
        sweeps: Any = (checked(parsed(steps[0], params)),)
    else:
        named = tuple(s for step in dict.fromkeys(steps) if step != "all" for s in plan(step))
        sweeps = whole_plan() if "all" in steps else named
    first, last = _span(span)
    if listed:
        return _list(sweeps, as_json)
    if record is not None:
        check_file(record)
    if device == "gpu":
        _need_gpu()
    return _run(sweeps, first, last, device, jobs, resume, record, as_json)


def _span(text: str | None) -> tuple[int, int | None]:
    if text is None:
        return 0, None
    a, colon, b = text.partition(":")
    if not colon or not all(part.isascii() and part.isdigit() and len(part) < 12 for part in (a, b)) or int(a) >= int(b):
        raise refusal(f"--range is {text!r}, expected A:B with 0 <= A < B")
    return int(a), int(b)


def _need_gpu() -> None:
    from cuda_impl.launch import target

    target("gpu")
    try:
        from verification.sweeps.cupy_arrays import cupy_arrays

        cupy_arrays()
    except ImportError:
        raise refusal("cupy is not installed, expected it for --device gpu: pip install cupy-cuda13x") from None


def _list(sweeps: Any, as_json: bool) -> int:
    rows = [{"step": s.step, "clause": s.clause, "constants": s.plain(), "size": s.size, "index": s.inputs} for s in sweeps]
    if as_json:
        print_json({"command": "sweep", "sweeps": rows})
        return EXACT
    for sweep in sweeps:
        click.echo(f"{sweep.name}  [{sweep.clause}]  {grouped(sweep.size)} inputs: {sweep.inputs}")
    return EXACT


def _run(
    sweeps: Any,
    first: int,
    last: int | None,
    device: str,
    jobs: int | None,
    resume: Path | None,
    record: Path | None,
    as_json: bool,
) -> int:
    from cuda_impl.launch import workers
    from verification.gpus import visible_gpus
    from verification.sweeps import runner
    from verification.sweeps.report import mismatch_lines
    from verification.sweeps.runner import GPU_PIECE, HOST_PIECE, Journal, pieces, run_all, same_on_gpu
    from verification.sweeps.summary import machine, summary

    on_gpu = device == "gpu"
    least = min(sweeps, key=lambda s: s.size)
    if first >= least.size:  # nothing of it would be run, and the others being equal says nothing of it
        raise refusal(f"--range starts at {first}, expected an index below {least.size}, the inputs of {least.step}")
    whole = pieces(sweeps, GPU_PIECE if on_gpu else HOST_PIECE, first, last)
    journal = None if resume is None else Journal(resume, True, device)
    before = {} if journal is None else journal.done
    todo = [p for p in whole if p.key not in before]
    done = [before[p.key] | {"sweep": p.sweep} for p in whole if p.key in before]
    by_key = {p.key: p for p in whole}
    left = {s: sum(p.sweep == s for p in todo) for s in sweeps}
    if on_gpu:
        sampled = sum(same_on_gpu(s) for s in {p.sweep.step: p.sweep for p in todo}.values())
        if not as_json:
            click.echo(f"{grouped(sampled)} codes of a sample: golden in CuPy is golden in NumPy")
    shown = sum(_show_old(entry) for entry in done)
    gpus = visible_gpus() if on_gpu else ()
    most = max(1, min(jobs or len(gpus), len(gpus))) if on_gpu else jobs or workers()
    count = min(most, max(1, len(todo)))
    run_piece = (runner.run_one_gpu if count > 1 else runner.run_gpu) if on_gpu else runner.run_host
    begin, codes = time.monotonic(), 0
    try:
        with progress("inputs", sum(p.stop - p.start for p in todo)) as advance:
            for outcome in run_all(todo, count, run_piece, gpus):
                if journal is not None:
                    journal.add(outcome)
                piece = outcome.piece
                done.append(outcome.plain() | {"sweep": by_key[piece.key].sweep})
                codes += outcome.compared
                left[piece.sweep] -= 1
                advance(piece.stop - piece.start)
                if outcome.mismatches and shown < REPORTS:
                    shown += 1
                    click.echo("\n".join(mismatch_lines(outcome)), err=True)
                if left[piece.sweep] == 0 and not as_json:
                    _show(piece.sweep, done, codes / max(time.monotonic() - begin, 1e-9))
    finally:
        if journal is not None:
            journal.close()
    seconds = time.monotonic() - begin
    if len(done) != len(whole):
        raise RuntimeError(f"{len(whole) - len(done)} pieces are left")
    found = summary(done)
    run = {"jobs": count, "seconds": round(seconds, 3), "rate": round(codes / seconds) if codes else None}
    if record is not None:
        complete = first == 0 and (last is None or last >= max(s.size for s in sweeps))
        with atomic_file(record) as file:
            json.dump({"machine": machine(on_gpu), "complete": complete, **run, **found}, file, indent=1, sort_keys=True)
            file.write("\n")
    if as_json:
        print_json({"command": "sweep", "device": device} | run | found)
    else:
        rate = f", {codes / seconds:.3g} a second" if codes else ""
        text = f"{grouped(found['compared'])} codes compared, {grouped(found['mismatches'])} mismatches"
        click.echo(f"{text}, golden against the twin on {device}, {count} jobs, {seconds:.0f} s{rate}")
    return MISMATCH if found["mismatches"] else EXACT


def _show_old(entry: dict[str, Any]) -> int:
    """Say that the journal holds a mismatch."""
    if not entry["mismatches"]:
        return 0
    complain(f"the journal holds {entry['mismatches']} mismatches in {entry['piece']}, the first at {entry['first']}")
    return 1


def _show(sweep: Any, done: list[dict[str, Any]], rate: float) -> None:
    mine = [e for e in done if e["sweep"] == sweep]
    wrong = sum(e["mismatches"] for e in mine)
    compared = sum(e["compared"] for e in mine)
    click.echo(f"{'equal' if not wrong else f'{wrong} differ':<12}{sweep.name}: {grouped(compared)} codes; {rate:.3g} a second")
