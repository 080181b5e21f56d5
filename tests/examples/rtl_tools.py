"""Running the hardware tools: each is skipped by name, with the package that brings it, where it is missing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

RTL = Path(__file__).parents[2] / "examples" / "rtl"
PACKAGES = {"iverilog": "iverilog", "vvp": "iverilog", "verilator": "verilator", "yosys": "yosys", "gcc": "gcc", "g++": "g++"}


def require(*tools: str) -> None:
    """Skip the test, naming the Debian package, unless every tool is there."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: apt-get install {PACKAGES[tool]}")


def run(command: Sequence[object], folder: Path, seconds: int = 300) -> tuple[int, str]:
    """(exit status, stdout and stderr together) of a command; after a timeout nothing that it started is left."""
    with subprocess.Popen(
        [str(c) for c in command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            text, _ = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # the group that this call made, by its own id
            process.wait()
            raise
    return process.returncode, text


def icarus_build(folder: Path, top: str, sources: Sequence[Path], include: Path = RTL) -> Path:
    """Compile for Icarus Verilog; any warning is a failure."""
    binary = folder / f"{top}.vvp"
    status, text = run(["iverilog", "-g2012", "-Wall", "-I", include, "-s", top, "-o", binary, *sources], folder)
    assert status == 0 and not text, text
    return binary


def icarus(folder: Path, top: str, sources: Sequence[Path], include: Path = RTL) -> tuple[int, str]:
    """Compile and run under Icarus Verilog."""
    return run(["vvp", "-n", icarus_build(folder, top, sources, include)], folder)


def verilator(folder: Path, top: str, sources: Sequence[Path]) -> tuple[int, str]:
    """Compile and run under Verilator, without optimization: the compilation is most of the time."""
    flags = ["--binary", "--timing", "-Wno-fatal", "-Wno-lint", "-O0", "-MAKEFLAGS", "OPT_FAST=-O0 OPT_GLOBAL=-O0"]
    status, text = run(["verilator", *flags, f"-I{RTL}", "--top-module", top, *sources], folder)
    assert status == 0, text[-3000:]
    return run([folder / "obj_dir" / f"V{top}"], folder)


def rtl(*names: str, where: Path = RTL) -> list[Path]:
    """Sources of the examples by name."""
    return [where / f"{name}.sv" for name in names]
