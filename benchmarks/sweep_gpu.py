"""All sweeps on every visible GPU: golden in CuPy against the twin's kernels, the comparison on the device.

    python benchmarks/sweep_gpu.py OUT --seconds 240
    python benchmarks/sweep_gpu.py OUT --resume
    python benchmarks/sweep_gpu.py OUT --dry-run --limit 4096 --gpus 2

Before a step is swept, golden in CuPy is held against golden in NumPy on a sample of each of its sweeps, and one planted
difference must be found. OUT/journal.jsonl holds a line for each sweep that is done, OUT/sweep-gpu.json the whole; a run
that the time ended goes on with --resume. Where several GPUs are visible, each has a process, which checks the sample of
a step on its own device too. The dry run takes NumPy for CuPy, the host's loops for the kernels, and short
ranges.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from golden.spec.errors import ParameterError, QgruError  # noqa: E402
from verification.gpus import visible_gpus  # noqa: E402
from verification.sweeps import runner  # noqa: E402
from verification.sweeps.plans import whole_plan  # noqa: E402
from verification.sweeps.runner import GPU_PIECE, Journal, Outcome, Piece, pieces, run_gpu, run_host, same_on_gpu  # noqa: E402
from verification.sweeps.summary import machine, summary  # noqa: E402
from verification.sweeps.sweep import STEPS, Sweep  # noqa: E402

PLANTED = 1234


def attempted(run: Callable[[Piece], Outcome], piece: Piece) -> tuple[Piece, Outcome | None, str]:
    """(piece, what it gave, what went wrong) in a worker."""
    try:
        return piece, run(piece), ""
    except Exception as error:
        traceback.print_exc()
        return piece, None, f"{type(error).__name__}: {error}"


class Run:
    """One run of the plan.

    dry    whether NumPy and the host stand in for the GPU
    gpus   names for processes of their own; of a single one this process makes use itself
    limit  of each sweep only so many inputs
    """

    def __init__(self, out: Path, resume: bool, dry: bool, limit: int | None, seconds: float, gpus: tuple[str, ...]) -> None:
        self.out, self.dry, self.limit, self.gpus = out, dry, limit, gpus
        self.deadline = time.monotonic() + seconds
        self.journal = Journal(out / "journal.jsonl", resume, "host" if dry else "gpu")
        self.ready: set[str] = set()
        self.sampled: dict[str, int] = {}
        self.failed: dict[str, str] = {}

    def prepare(self, step: str, sweeps: list[Sweep]) -> None:
        """Show that golden in CuPy is golden in NumPy on a sample, and that a planted difference is found."""
        import numpy as np

        xp = np if self.dry else None
        begin = time.monotonic()
        size = 1 << 10 if self.dry else 1 << 14
        self.sampled[step] = sum(same_on_gpu(sweep, size, xp) for sweep in sweeps)
        if not self.dry:
            first = Piece(sweeps[0], 0, min(1 << 20, sweeps[0].size))
            index = min(PLANTED, first.stop - 1)
            found = run_gpu(first, plant=index)
            outputs = len(first.sweep.outputs)
            if (found.mismatches, found.first) != (outputs, (index, 0)):
                raise RuntimeError(f"{step}: a planted difference at {index} was seen as {found.mismatches}, {found.first}")
        self.ready.add(step)
        seconds = time.monotonic() - begin
        print(f"{step}: {self.sampled[step]} codes of a sample equal in CuPy and NumPy, {seconds:.1f} s", flush=True)

    def one(self, piece: Piece) -> Outcome:
        """One piece."""
        return run_host(piece) if self.dry else run_gpu(piece)

    def sweep_all(self, plan: list[Piece]) -> bool:
        """Run what the journal lacks; whether all was done in time."""
        for n, piece in enumerate(plan):
            step = piece.sweep.step
            if piece.key in self.journal.done or step in self.failed:
                continue
            if time.monotonic() > self.deadline:
                return False
            try:
                if step not in self.ready:
                    self.prepare(step, [p.sweep for p in plan if p.sweep.step == step])
                outcome = self.one(piece)
            except Exception as error:
                traceback.print_exc()
                self.failed[step] = f"{type(error).__name__}: {error}"
                continue
            self.keep(outcome, f"{n + 1}/{len(plan)}")
        return not self.failed

    def keep(self, outcome: Outcome, where: str) -> None:
        """Into the journal, and a line on stdout."""
        self.journal.add(outcome)
        rate = outcome.compared / max(outcome.seconds, 1e-9)
        wrong = f"{outcome.mismatches} MISMATCHES, first {outcome.first}" if outcome.mismatches else "equal"
        print(f"{where} {outcome.piece.sweep.name}: {outcome.compared}, {wrong}, {rate:.3g}/s", flush=True)

    def sweep_side_by_side(self, plan: list[Piece]) -> bool:
        """sweep_all on a process for each GPU; every step is prepared in this one first."""
        left = [p for p in plan if p.key not in self.journal.done]
        for step in dict.fromkeys(p.sweep.step for p in left):
            if time.monotonic() > self.deadline:
                return False
            try:
                self.prepare(step, [p.sweep for p in plan if p.sweep.step == step])
            except Exception as error:
                traceback.print_exc()
                self.failed[step] = f"{type(error).__name__}: {error}"
        todo = [p for p in left if p.sweep.step in self.ready]
        run = partial(attempted, run_host if self.dry else runner.run_one_gpu)
        done = 0
        for piece, outcome, wrong in runner.run_all(todo, len(self.gpus), run, self.gpus):
            done += 1
            if outcome is None:
                self.failed[piece.sweep.step] = wrong
            else:
                self.keep(outcome, f"{done}/{len(todo)}")
            if done < len(todo) and time.monotonic() > self.deadline:
                return False
        return not self.failed


def chosen_gpus(count: int | None, dry: bool) -> tuple[str, ...]:
    """The names of the GPUs to use; a dry run has as many as it asks for, and one when it does not."""
    found = tuple(str(n) for n in range(count or 1)) if dry else visible_gpus()
    if not found:
        raise ParameterError("the number of visible GPUs", 0, "one or more, or --dry-run")
    if count is not None and not 1 <= count <= len(found):
        raise ParameterError("--gpus", count, f"1 to {len(found)}")
    return found[:count]


def main() -> int:
    """0 when all is done and equal, 1 for a mismatch, 2 when something is left or failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the journal and the result")
    parser.add_argument("--seconds", type=float, default=240.0, help="when to stop starting sweeps")
    parser.add_argument("--resume", action="store_true", help="go on from the journal in OUT")
    parser.add_argument("--step", action="append", choices=list(STEPS), help="only this step; may be repeated")
    parser.add_argument("--limit", type=int, help="of each sweep only so many inputs")
    parser.add_argument("--dry-run", action="store_true", help="NumPy and the host in place of the GPU")
    parser.add_argument("--gpus", type=int, help="how many GPUs, the first ones that are visible; all when not given")
    arguments = parser.parse_args()
    gpus = chosen_gpus(arguments.gpus, arguments.dry_run)
    arguments.out.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    run = Run(arguments.out, arguments.resume, arguments.dry_run, arguments.limit, arguments.seconds, gpus)
    chosen = [s for s in whole_plan() if arguments.step is None or s.step in arguments.step]
    plan = pieces(chosen, GPU_PIECE, 0, arguments.limit)
    complete = run.sweep_side_by_side(plan) if len(gpus) > 1 else run.sweep_all(plan)
    run.journal.close()
    done = [run.journal.done[p.key] | {"sweep": p.sweep} for p in plan if p.key in run.journal.done]
    result = {
        "machine": machine(not arguments.dry_run),
        "complete": complete,
        "gpus": len(gpus),
        "limit": arguments.limit,
        "failed": run.failed,
        "seconds": round(time.monotonic() - begin, 1),
        "sampled": run.sampled,
        **summary(done),
    }
    path = arguments.out / "sweep-gpu.json"
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(beside, path)
    print(json.dumps({k: result[k] for k in ("complete", "failed", "compared", "mismatches", "seconds")}))
    if result["mismatches"]:
        return 1
    return 0 if complete else 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (QgruError, OSError) as error:
        print(f"sweep_gpu: {error}", file=sys.stderr)
        sys.exit(2)
