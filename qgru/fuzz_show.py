"""What qgru fuzz shows: a line of counts while it runs, on a terminal only, and the result."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from qgru.fuzz_folder import EXAMPLES, REPORT, VECTORS, summary
from qgru.progress import DELAY_SECONDS
from qgru.run import EXACT, MISMATCH, print_json, refusal
from verification.dut.failure import NOT_RUN
from verification.fuzz.findings import Finding
from verification.fuzz.hunt import Limits
from verification.fuzz.ledger import Ledger

SHOWN = 20  # groups


@contextmanager
def counted(limits: Limits, quiet: bool) -> Iterator[Callable[..., None]]:
    """Yield said(problems=, failures=, shrunk=, to_shrink=); a bar with the rate on stderr after two seconds, on a terminal.

    quiet  whether nothing is shown
    """
    start, counts = time.monotonic(), {"problems": 0, "failures": 0, "shrunk": 0, "to_shrink": 0}
    bar: Any = None

    def said(**more: int) -> None:
        nonlocal bar
        for name, count in more.items():
            counts[name] += count
        elapsed = time.monotonic() - start
        if quiet or not sys.stderr.isatty() or (bar is None and elapsed < DELAY_SECONDS):
            return
        if bar is None:
            from rich.console import Console
            from rich.progress import Progress

            bar = Progress(console=Console(stderr=True), transient=True)
            bar.start()
            bar.add_task("fuzz", total=None)
        if counts["to_shrink"]:
            bar.update(0, total=counts["to_shrink"], completed=counts["shrunk"], description="shrink")
            return
        text = f"{counts['problems']} problems, {counts['problems'] / elapsed:.0f} a second, {counts['failures']} failures"
        done = counts["problems"] if limits.examples is not None else elapsed
        bar.update(0, total=limits.examples or limits.seconds, completed=done, description=text)

    try:
        yield said
    finally:
        if bar is not None:
            bar.stop()


def show(out: Path, known: Sequence[Ledger], found: list[Finding], as_json: bool, figures: dict[str, Any] | None) -> int:
    """Print the result, and give the exit code; refused when no problem was run, which says nothing of anyone.

    figures  problems, seconds and workers of this run, or None
    """
    _check_ran(out, known)
    if as_json:
        plain: dict[str, Any] = {"command": "fuzz" if figures else "fuzz merge", "out": str(out), "equal": not found}
        print_json({**plain, "campaigns": [_plain(ledger) for ledger in known], "findings": [f.plain() for f in found],
                    **({"run": figures} if figures else {})})  # fmt: skip
        return MISMATCH if found else EXACT
    for line in summary(known):
        click.echo(line)
    if figures and figures["seconds"] > 0 and figures["problems"]:
        workers = f"{figures['workers']} workers" if figures["workers"] else "this process"
        rate = figures["problems"] / figures["seconds"]
        click.echo(f"{figures['problems']} problems in {figures['seconds']:.1f} s on {workers}, {rate:.0f} a second")
    for f in found[:SHOWN]:
        click.echo(f.title)
        click.echo(f"  replay: qgru fuzz replay {f.place}{f.ledger.subject.options}")
    if len(found) > SHOWN:
        click.echo(f"and {len(found) - SHOWN} more groups")
    if found:
        click.echo(f"written: {out / VECTORS}, {out / EXAMPLES}, {out / REPORT}")
    return MISMATCH if found else EXACT


def _check_ran(out: Path, known: Sequence[Ledger]) -> None:
    shards = [entry for ledger in known for entry in ledger.shards.values()]
    if any(count for entry in shards for outcome, count in entry["outcomes"].items() if outcome != NOT_RUN):
        return
    reasons = [reason for entry in shards for reason in sorted(entry["not_run"])]
    why = f" ({reasons[0]})" if reasons else ""
    raise refusal(f"{out} holds none of {sum(k.problems for k in known)} problems that was run{why}, expected at least one")


def _plain(ledger: Ledger) -> dict[str, Any]:
    compared, outcomes, not_run = ledger.totals()
    return {
        "campaign": ledger.campaign.name, "dut": ledger.subject.spec, "judge": ledger.subject.judge,
        "problems": ledger.problems, "ranges": [list(r) for r in ledger.covered], "compared": compared,
        "outcomes": dict(outcomes), "not_run": dict(not_run), "failures": sorted(ledger.findings),
    }  # fmt: skip
