"""What sweeps have shown, step by step: the record that benchmarks/results keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from verification.sweeps.sweep import STEPS


def summary(done: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Journal lines, each with its Sweep under "sweep", as a JSON object: totals, and a row for each step.

    Returns  compared, mismatches, and steps: step, clause, inputs of a sweep, outputs, how many parameter sets, codes
             compared, mismatches, seconds, codes a second, the names of the parameter sets with how many inputs each saw
    """
    entries = list(done)
    steps = []
    for step, (clause, size, _, outputs) in STEPS.items():
        mine = [e for e in entries if e["sweep"].step == step]
        if not mine:
            continue
        compared, seconds = sum(e["compared"] for e in mine), sum(e["seconds"] for e in mine)
        covered: dict[str, int] = {}
        for e in mine:
            covered[e["sweep"].name] = covered.get(e["sweep"].name, 0) + e["compared"] // len(outputs)
        steps.append(
            {
                "step": step,
                "clause": clause,
                "size": size,
                "outputs": list(outputs),
                "sweeps": len(covered),
                "whole": sum(n == size for n in covered.values()),
                "inputs": sum(covered.values()),
                "compared": compared,
                "mismatches": sum(e["mismatches"] for e in mine),
                "differ": [e["piece"] for e in mine if e["mismatches"]],
                "seconds": round(seconds, 3),
                "rate": round(compared / seconds) if seconds else None,
                "parameters": list(covered),
            }
        )
    return {
        "compared": sum(s["compared"] for s in steps),
        "mismatches": sum(s["mismatches"] for s in steps),
        "steps": steps,
    }
