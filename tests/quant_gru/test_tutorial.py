"""docs/tutorial.md: its blocks and commands run, in order, and print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.meta.house import ROOT

BLOCK = re.compile(r"^```(python|output|console)\n(.*?)^```", re.M | re.S)
END = "-- end\n"
NEEDED = ("g2p_en", "onnx", "onnxruntime", "torch")
RUN = "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'qgru', *{arguments!r}], check=True)\n"


def shown(text: str) -> tuple[str, list[str]]:
    """(the program that the page is, what its parts print): a console block is a part, its commands and what they print."""
    program, parts = "", []
    for kind, block in BLOCK.findall(text):
        if kind == "output":
            parts.append(block)
            continue
        if kind == "python":
            program += block
        else:
            lines = block.splitlines(keepends=True)
            program += "".join(RUN.format(arguments=line.split()[2:]) for line in lines if line.startswith("$ "))
            parts.append("".join(line for line in lines if not line.startswith("$ ")))
        program += f"print({END.strip()!r}, flush=True)\n"
    return program, parts


def stable(text: str) -> str:
    """Without seconds and hashes, and without the figures of float32 arithmetic in onnxruntime."""
    text = re.sub(r"^ONNX qdq.*\n", "", text, flags=re.M)
    return re.sub(r", (\d+ s|sha256 [0-9a-f]{64})$", "", text, flags=re.M)


@pytest.mark.slow
def test_the_tutorial_prints_what_it_shows(tmp_path):
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    program, parts = shown((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    (tmp_path / "page.py").write_text(program, encoding="utf-8")
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", "")}
    environment |= {k: os.environ[k] for k in ("NUMBA_CACHE_DIR", "HOME") if k in os.environ}
    done = subprocess.run([sys.executable, "page.py"], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [stable(part) for part in done.stdout.split(END)[:-1]] == [stable(part) for part in parts]
