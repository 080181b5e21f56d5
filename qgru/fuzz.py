"""qgru fuzz: campaigns over whole problems, on all cores or a cluster; merge and replay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qgru.options import Seconds
from qgru.run import EXACT, MISMATCH, need, print_json, refusal

if TYPE_CHECKING:
    from verification.fuzz.farm import Farm

DATAPATHS = ("all", "mshift", "mshift-dynamic", "pot")
OUT = "qgru-out/fuzz"
SECONDS = 60.0


class _Group(click.Group):
    """A group whose subcommand is run where none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self.commands["run"]


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]}, subcommand_metavar="[run] [OUT] ...")
def command() -> None:
    """Search for problems on which an implementation differs.  `qgru fuzz OUT` is `qgru fuzz run OUT`; see docs/fuzz.md."""


def _subject(function: Any) -> Any:
    """The options that say who is tested."""
    for option in (
        click.option("--timeout", type=float, help="Seconds that a device has for a problem.  [default: 60]"),
        click.option("--judge", is_flag=True, default=None, help="The judge says what is right, instead of golden."),
        click.option("--dut", help="The implementation: py:module:callable, so:./lib.so or cmd:program.  [default: the twin]"),
    ):
        function = option(function)
    return function


@command.command("run")
@click.argument("out", type=click.Path(path_type=Path), default=OUT)
@_subject
@click.option("--examples", type=click.IntRange(1), help="Problems in all, from index 0.")
@click.option("--time", "seconds", type=Seconds(min=0), help="Seconds to search; 60 when neither is given.")
@click.option("--seed", type=click.IntRange(0, 2**53 - 1), help="Of the problems.  [default: 0]")
@click.option("--datapath", type=click.Choice(DATAPATHS), help="Only this datapath.  [default: all]")
@click.option("--max-size", type=click.IntRange(1, 64), help="The greatest T, N, C and H.  [default: 8; 3 with --judge]")
@click.option("--workers", type=click.IntRange(0), help="Processes; 0 runs in this one.  [default: one for each core]")
@click.option("--scheduler", metavar="ADDRESS", help="Run on a Dask cluster instead, such as tcp://10.0.0.1:8786.")
@click.option("--shrink", type=click.IntRange(0), default=5, show_default=True, help="Failures of a group to shrink.")
@click.option("--resume", is_flag=True, help="Go on with the campaign in OUT; its options are known.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def run(
    out: Path, dut: str | None, judge: bool | None, timeout: float | None, examples: int | None, seconds: float | None,
    seed: int | None, datapath: str | None, max_size: int | None, workers: int | None, scheduler: str | None, shrink: int,
    resume: bool, as_json: bool,
) -> int:  # fmt: skip
    """Draw problems, run them on golden and on an implementation, compare every stage, and shrink what differs.

    The folder OUT takes the journal, and at the end vectors/, examples.py and report.txt of what was found. The exit code
    is 1 when something was found.
    """
    from qgru.fuzz_folder import opened, write
    from qgru.fuzz_show import counted, show
    from verification.fuzz.hunt import Limits, hunt
    from verification.fuzz.subject import close

    given = {"dut": dut, "judge": judge, "timeout": timeout, "seed": seed, "datapath": datapath, "max_size": max_size}
    limits = Limits(examples, seconds if seconds is not None or examples is not None else SECONDS, shrink)
    farm = None if scheduler is None else _cluster(workers, scheduler)  # before there is a folder
    try:
        with opened(out, given, resume) as (journal, ledger):
            farm = farm or _farm(workers, ledger.subject.spec)
            before = ledger.problems
            with counted(limits, as_json) as said:
                elapsed = hunt(ledger, journal, farm, limits, said)
            figures = {"problems": ledger.problems - before, "seconds": elapsed, "workers": farm.count()}
            found = write(out, [ledger])
            return show(out, [ledger], found, as_json, figures)
    finally:
        if farm is not None:
            farm.close()
        close()


@command.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("folders", metavar="A B ...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def merge(out: Path, folders: tuple[Path, ...], as_json: bool) -> int:
    """Put the campaigns of the folders A, B, ... together in the new folder OUT.

    Campaigns may differ; where two hold the same problem on the same implementation, they must agree on it.
    """
    from qgru.fuzz_folder import merged
    from qgru.fuzz_show import show

    known, found = merged(out, folders)
    return show(out, known, found, as_json, None)


@command.command()
@click.argument("place", metavar="CAMPAIGN:INDEX")
@_subject
@click.option("--shrink/--no-shrink", default=False, show_default=True, help="Shrink it first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def replay(place: str, dut: str | None, judge: bool | None, timeout: float | None, shrink: bool, as_json: bool) -> int:
    """Run one problem of a campaign again, alone, from its name such as fuzz1-0-all-8:17."""
    from verification.dut.failure import NOT_RUN
    from verification.fuzz.campaign import parse_place
    from verification.fuzz.explain import explanations
    from verification.fuzz.shard import shrink_one
    from verification.fuzz.subject import TWIN, checked_subject, close, examine, verdict_text
    from verification.problem import Problem

    campaign, index = parse_place(place)
    subject = checked_subject(TWIN if dut is None else dut, bool(judge), 60.0 if timeout is None else timeout)
    try:
        problem = campaign.problem(index)
        verdict = examine(subject, problem)
        if verdict.outcome == NOT_RUN:
            raise refusal(f"{place} was not run on {subject.spec} ({verdict.detail}), expected a problem that the device does")
        if shrink and verdict.failed:
            problem = Problem.from_json(shrink_one(campaign.name, subject, index)["problem"])
            verdict = examine(subject, problem)
        named = explanations(problem, verdict)
        again = f"qgru fuzz replay {place}{' --shrink' if shrink else ''}{subject.options}"
        if as_json:
            print_json(
                {"command": "fuzz replay", "problem": place, "dut": subject.spec, "outcome": verdict.outcome,
                 "stage": verdict.stage, "detail": verdict.detail, "compared": verdict.compared,
                 "explanations": list(named), "json": problem.to_json()}
            )  # fmt: skip
        else:
            click.echo(repr(problem))
            text = verdict_text(subject, problem, verdict, again, named) if verdict.failed else _sentence(verdict)
            click.echo(text)
    finally:
        close()
    return MISMATCH if verdict.failed else EXACT


def _sentence(verdict: Any) -> str:
    said = f"{verdict.outcome}: {verdict.compared} codes compared"
    return f"{said}; {verdict.detail}" if verdict.detail else said


def _farm(workers: int | None, spec: str) -> Farm:
    """The workers of this machine; where a device is tested, they take turns at its GPUs."""
    import os

    from verification.fuzz.farm import local_farm
    from verification.fuzz.subject import TWIN
    from verification.gpus import visible_gpus

    count = len(os.sched_getaffinity(0)) if workers is None else workers
    gpus = visible_gpus() if spec != TWIN and count > 1 else ()  # the twin is run on the host
    return local_farm(count, gpus if len(gpus) > 1 else ())


def _cluster(workers: int | None, scheduler: str) -> Farm:
    """The workers of a Dask cluster."""
    from verification.fuzz.farm import dask_farm

    if workers is not None:
        raise refusal("--workers is given with --scheduler, expected one of them: the cluster has its own workers")
    need("distributed")
    return dask_farm(scheduler)
