"""What sweeps have shown, step by step: the record that benchmarks/results keeps."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from verification.sweeps.sweep import STEPS

PACKAGES = ("numpy", "numba", "numba-cuda", "cupy-cuda13x", "cupy-cuda12x")


def machine(gpu: bool) -> dict[str, Any]:
    """What ran: the device, its driver, the versions."""
    found: dict[str, Any] = {"kind": "gpu" if gpu else "host", "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if not gpu:
        return found | {"device": platform.machine(), "cores": os.cpu_count()}
    from verification.sweeps.cupy_arrays import cupy_arrays

    cupy = cupy_arrays()
    properties, driver = cupy.cuda.runtime.getDeviceProperties(0), Path("/proc/driver/nvidia/version")
    name = properties["name"]
    return found | {
        "device": name.decode() if isinstance(name, bytes) else str(name),
        "compute_capability": [properties["major"], properties["minor"]],
        "cuda_runtime": cupy.cuda.runtime.runtimeGetVersion(),
        "driver": driver.read_text().splitlines()[0] if driver.is_file() else None,
    }


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
