"""The blocks of docs/quantgru.md run, and print what the page shows; its table is the result that is kept."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.meta.house import ROOT

BLOCK = re.compile(r"^```(python|output)\n(.*?)^```", re.M | re.S)
PAGE = (ROOT / "docs" / "quantgru.md").read_text(encoding="utf-8")


def test_the_page_prints_what_it_shows(tmp_path):
    pytest.importorskip("torch")
    blocks = BLOCK.findall(PAGE)
    assert [kind for kind, _ in blocks] == ["python", "output"] * (len(blocks) // 2) and len(blocks) >= 10
    program = "print('-- end')\n".join(text for kind, text in blocks if kind == "python") + "print('-- end')\n"
    script = tmp_path / "page.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("-- end\n")[:-1] == [text for kind, text in blocks if kind == "output"]


def test_the_table_is_the_result():
    means = json.loads((ROOT / "benchmarks" / "results" / "quantgru-qat.json").read_text(encoding="utf-8"))["mean_percent"]
    for datapath, bits in (("pot", 4), ("pot", 8), ("mshift", 8)):
        row = [means["float"], means[f"{datapath} {bits} after"], means[f"{datapath} {bits} aware"]]
        assert f"| {datapath}, {bits} bits | " + " | ".join(f"{v:.2f}" for v in row) + " |" in PAGE
    assert means["pot 4 aware"] > means["pot 4 after"] and means["pot 8 aware"] > means["pot 8 after"]
    assert all(means[f"{kind} aware"] >= means["float"] - 1 for kind in ("pot 8", "mshift 8"))
