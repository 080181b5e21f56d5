"""The suites of qgru bench: which sizes, which contenders, and the record of each."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cuda_impl.launch import gpu_usable, workers
from golden.spec.errors import QgruError
from qgru.bench_floors import cuda_timer, distance, gpu_floors, host_floors
from qgru.bench_measure import figure, gru_macs, summary, time_all, time_call
from qgru.bench_modes import MODES, Size, calls_of, check_bits, drawn, golden_ahead, modes
from qgru.bench_peers import cpu_peers, gpu_peers

CPU_SIZES: tuple[Size, ...] = ((50, 1, 64, 128), (100, 8, 64, 128), (100, 32, 256, 256), (100, 32, 512, 512))
GPU_SIZES: tuple[Size, ...] = (
    (512, 1, 256, 256), (512, 32, 128, 256), (512, 32, 512, 512), (512, 64, 1024, 1024), (512, 128, 1024, 1024),
)  # fmt: skip
GRID_MODES = ("mshift", "pot")
GRID_T, GRID_N, GRID_H = (25, 50, 100, 200, 400), (1, 2, 4, 8, 16, 32, 64, 128), (32, 64, 128, 256, 512)
GRID_POINT: Size = (100, 16, 128, 128)
SUITES = ("cpu", "gpu", "grid", "fuzz", "all")
FUZZ_SECONDS = 10.0
PACKAGES = ("qgru", "numpy", "numba", "llvmlite", "torch", "onnxruntime", "numba-cuda")

Advance = Callable[[int], None]


def machine(device: str) -> dict[str, Any]:
    """Where the figures were measured: processor or GPU, cores, load, versions."""
    found: dict[str, Any] = {
        "device": device,
        "processor": _processor(),
        "cores": workers(),
        "load_1_min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }
    if device == "gpu":
        import torch

        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"] = torch.version.cuda
        found["cudnn"] = torch.backends.cudnn.version()
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def configuration(
    size: Size, names: tuple[str, ...], device: str, repeat: int, floors: dict[str, Any], *, peers: bool, advance: Advance
) -> dict[str, Any]:
    """The record of one size: bits first, then times; a mode that is not exact gets no figure."""
    network = drawn(size)
    found, absent = modes(network, names, device)
    bits = []
    with golden_ahead(found, device, workers()) as expected:
        for mode in found:
            try:
                bits.append(check_bits(mode, device, expected.get(mode.name)))
            except QgruError as error:  # a size or a width that this device's build does not take
                absent[mode.name] = str(error)
    exact = {record["mode"] for record in bits if record["equal"]}
    ours = calls_of([mode for mode in found if mode.name in exact])
    others: dict[str, Any] = {}
    if peers:
        others, missing = gpu_peers(network) if device == "gpu" else cpu_peers(network, workers())
        absent |= missing
    timer = cuda_timer if device == "gpu" else time_call
    seconds = time_all({**ours, **others}, repeat, timer=timer, advance=advance)
    macs = gru_macs(*size)
    entries = []
    for name, samples in seconds.items():
        entry = {"name": name, "kind": "ours" if name in ours else "peer", **summary(samples, size[0], macs)}
        if name in ours:
            entry |= distance(size, entry["ms"]["median"], floors)
            entry["ratios_of_minima"] = {p: figure(min(seconds[p]) / min(samples)) for p in others}
            entry["ratios"] = {p: figure(statistics.median(seconds[p]) / statistics.median(samples)) for p in others}
        entries.append(entry)
    t, n, c, h = size
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {"load_1_min": load, "size": {"T": t, "N": n, "C": c, "H": h}, "bits": bits, "entries": entries, "missing": absent}


def size_suite(sizes: tuple[Size, ...], names: tuple[str, ...], device: str, repeat: int, advance: Advance) -> dict[str, Any]:
    """Every size with every mode and every peer."""
    floors = gpu_floors() if device == "gpu" else host_floors()
    records = [configuration(size, names, device, repeat, floors, peers=True, advance=advance) for size in sizes]
    return {"machine": machine(device), "floors": floors, "configurations": records}


def grid_sizes() -> dict[str, tuple[Size, ...]]:
    """Axis -> sizes along it, the other three fixed."""
    t, n, c, h = GRID_POINT
    return {
        "T": tuple((i, n, c, h) for i in GRID_T),
        "N": tuple((t, i, c, h) for i in GRID_N),
        "H": tuple((t, n, i, i) for i in GRID_H),
    }


def grid_suite(device: str, repeat: int, advance: Advance) -> dict[str, Any]:
    """Our 8-bit modes along T, N and H."""
    floors = gpu_floors() if device == "gpu" else host_floors()
    axes = {
        axis: [configuration(s, GRID_MODES, device, repeat, floors, peers=False, advance=advance) for s in sizes]
        for axis, sizes in grid_sizes().items()
    }
    return {"machine": machine(device), "floors": floors, "axes": axes}


def fuzz_suite(advance: Advance) -> dict[str, Any]:
    """Drawn problems a second, golden against the twin."""
    from verification.fuzz.rate import measure

    found = measure(seconds=FUZZ_SECONDS, workers=workers())
    advance(1)
    return {"machine": machine("host"), **found}


def run_suites(suite: str, sizes: tuple[Size, ...] | None, repeat: int, advance: Advance) -> dict[str, Any]:
    """suite -> record, for the suites that were asked for and can run here."""
    found: dict[str, Any] = {}
    has_gpu = gpu_usable()
    if suite in ("cpu", "all"):
        found["cpu"] = size_suite(sizes or CPU_SIZES, MODES, "host", repeat, advance)
    if suite == "gpu" or (suite == "all" and has_gpu):
        found["gpu"] = size_suite(sizes or GPU_SIZES, MODES, "gpu", repeat, advance)
    if suite in ("grid", "all"):
        found["grid"] = grid_suite("gpu" if has_gpu else "host", repeat, advance)
    if suite in ("fuzz", "all"):
        found["fuzz"] = fuzz_suite(advance)
    return found


def work_of(suite: str, sizes: tuple[Size, ...] | None, repeat: int) -> int:
    """About how many rounds run_suites goes through, for a progress bar."""
    count = {"cpu": len(sizes or CPU_SIZES), "gpu": len(sizes or GPU_SIZES), "grid": sum(map(len, grid_sizes().values()))}
    chosen = count if suite == "all" else {suite: count.get(suite, 0)}
    return sum(chosen.values()) * repeat * 6 + 1


def is_exact(found: dict[str, Any]) -> bool:
    """Whether every run that was timed had golden's bits."""
    records = [c for s in ("cpu", "gpu") for c in found.get(s, {}).get("configurations", [])]
    records += [c for axis in found.get("grid", {}).get("axes", {}).values() for c in axis]
    failures = found.get("fuzz", {}).get("failures", 0)
    return failures == 0 and all(b["equal"] for c in records for b in c["bits"])
