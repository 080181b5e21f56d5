"""docs/onnx.md: its Python blocks run and print what it shows, and so does its command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|output|console)\n(.*?)^```", re.M | re.S)


def stable(text: str) -> list[str]:
    """The lines without the seconds and the hash, and without the figures of float32 arithmetic in onnxruntime."""
    lines = (line for line in text.splitlines() if not line.startswith("ONNX qdq"))
    return [re.sub(r", (\d+ s|sha256 [0-9a-f]{64})$", "", line) for line in lines]


def test_the_page_prints_what_it_shows(tmp_path):
    blocks = BLOCK.findall((ROOT / "docs" / "onnx.md").read_text(encoding="utf-8"))
    assert [kind for kind, _ in blocks] == ["python", "output"] * 3 + ["console"]
    program = "print('-- end')\n".join(text for kind, text in blocks if kind == "python") + "print('-- end')\n"
    (tmp_path / "page.py").write_text(program, encoding="utf-8")
    options = {"env": {"PYTHONPATH": str(ROOT), "PATH": ""}, "capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run([sys.executable, "page.py"], **options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("-- end\n")[:-1] == [text for kind, text in blocks if kind == "output"]
    commands = re.findall(r"^\$ qgru (.*)\n((?:(?!\$ ).*\n)*)", blocks[-1][1], re.M)
    assert len(commands) == 2
    for line, shown in commands:
        done = subprocess.run([sys.executable, "-m", "qgru", *line.split()], **options)
        assert done.returncode == 0, done.stderr
        assert stable(done.stdout) == stable(shown)
