"""The blocks of docs/calibration.md run, and print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.meta.house import ROOT

BLOCK = re.compile(r"^```(python|output)\n(.*?)^```", re.M | re.S)


def test_the_calibration_page_prints_what_it_shows(tmp_path):
    blocks = BLOCK.findall((ROOT / "docs" / "calibration.md").read_text(encoding="utf-8"))
    assert [kind for kind, _ in blocks] == ["python", "output"] * (len(blocks) // 2)
    program = "print('-- end')\n".join(text for kind, text in blocks if kind == "python") + "print('-- end')\n"
    (tmp_path / "page.py").write_text(program, encoding="utf-8")
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", "")}
    done = subprocess.run([sys.executable, "page.py"], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("-- end\n")[:-1] == [text for kind, text in blocks if kind == "output"]
