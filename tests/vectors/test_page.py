"""The page of the format is true: its programs run, its figures are those of the generator."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.vectors.examples import FLAGS, cases
from vectors.draw import Draw
from vectors.generate import planned
from vectors.manifest import FORMATS
from vectors.minimum import LEVELS
from vectors.reader import open_set
from vectors.stream import LANES
from vectors.writer import export_set, write_set

PAGE = (Path(__file__).parents[2] / "vectors" / "README.md").read_text()
CASE = "requantize-s18-odd-int16-high"


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.S).group(1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the case of the page in every format."""
    item = next(i for i in planned(1) if i.id == CASE)
    write_set(tmp_path / "set", [item.make(Draw(0, CASE))], seed=0, version="1.0")
    for form in FORMATS[1:]:
        export_set(open_set(tmp_path / "set"), tmp_path / form, form)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_lines_for_numpy(tmp_path, monkeypatch, capsys):
    write_set(tmp_path / "set", cases()[:1], seed=7, version="1.0", flags=FLAGS)
    monkeypatch.chdir(tmp_path)
    code = block("python")
    assert len(code.strip().splitlines()) == 5
    exec(compile(code, "README.md", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "mshift-plain (3, 2, 3) (3, 6)"
    assert second.endswith("{'clause': 'GM-1', 'dtype': 'int64', 'format': 'acc', 'role': 'trace', 'shape': [3, 2, 2]}")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed: apt-get install gcc libc6-dev")
def test_the_program_in_c(here):
    (here / "check.c").write_text(block("c"))
    run("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", "check", "check.c")
    assert run("./check") == "PASS 109 rows\n"
    (here / "wrong.c").write_text(block("c").replace("(s - 1)", "s"))
    run("gcc", "-std=c99", "-o", "wrong", "wrong.c")
    assert subprocess.run("./wrong", capture_output=True, timeout=60, check=False).returncode == 1


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed: apt-get install iverilog")
def test_the_bench_in_systemverilog(here):
    (here / "tb.sv").write_text(block("systemverilog"))
    run("iverilog", "-g2012", "-o", "tb", "tb.sv")
    assert "PASS 109 rows" in run("./tb")
    (here / "tb.sv").write_text(block("systemverilog").replace("s - 1", "s"))
    run("iverilog", "-g2012", "-o", "tb", "tb.sv")
    assert subprocess.run("./tb", capture_output=True, timeout=60, check=False).returncode != 0


def test_the_dump_of_a_binary_file(here):
    first = run("od", "-A", "d", "-t", "d4", f"bin/{CASE}/input.v.bin").splitlines()[0]
    assert first.split()[:3] == ["0000000", "-2147483648", "-2147483647"]


def test_the_figures(level1):
    counts = [int(n) for n in re.findall(r"^\| [123] \| (\d+) \|", PAGE, re.M)]
    assert counts == [len(planned(level)) for level in LEVELS]
    assert f"Vector columns are {LANES} words" in PAGE
    assert all(f"| `{form}` | `" in PAGE for form in FORMATS)
    assert {entry["kind"] for entry in open_set(level1).manifest["cases"]} == set(
        re.findall(r"^\| `(\w+)` \| [a-z ]+", PAGE, re.M)
    ) & {
        "step",
        "sequence",
        "chain",
        "error",
    }
