"""The pytest plugin, in a run of its own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.verification.dut_cases import DEVICES, requantize, run_case
from vectors.writer import write_set

ROOT = Path(__file__).parents[2]
TESTS = """
import numpy as np
import pytest


def test_every_case(qgru_case, assert_bit_exact):
    assert_bit_exact(qgru_case)


def test_the_fixtures(dut, golden, vectors, assert_bit_exact):
    case = vectors["right"]
    out = golden.step(case.step, case.constants, case.inputs)
    assert_bit_exact(out, case.outputs)
    assert dut.capabilities.name == "misbehaving"
    with pytest.raises(pytest.fail.Exception, match="difference -255"):
        assert_bit_exact(np.array([-128], np.int8), np.array([127], np.int8))
    with pytest.raises(pytest.fail.Exception, match="array is a NoneType, expected an array of numbers"):
        assert_bit_exact(None, np.zeros(3, int))
"""


@pytest.fixture
def folder(tmp_path):
    write_set(
        tmp_path / "set", [requantize("right"), requantize("crash", 1), requantize("wrong", 9), run_case()], seed=0, version="0"
    )
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(folder, *options):
    installed = [e for e in entry_points(group="pytest11") if e.value == "verification.pytest_plugin"]
    plugin = [] if installed else ["-p", "verification.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", str(folder), "-rA", "-q", "-p", "no:cacheprovider", *plugin, *options]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_a_run_with_a_device(folder):
    code, text = run(folder, "--qgru-dut", f"py:{DEVICES}:Misbehaving", "--qgru-vectors", str(folder / "set"))
    assert code == 1, text
    for line in ("PASSED test_it.py::test_every_case[right]", "PASSED test_it.py::test_the_fixtures"):
        assert line in text
    assert "SKIPPED" in text and "not run: the datapath mshift is not declared" in text
    assert "killed by SIGSEGV" in text and "column q [SPEC M-5], row 1" in text
    assert "--case wrong" in text and "2 failed, 2 passed, 1 skipped" in text


def test_what_comes_after_the_last_answer_is_an_error(tmp_path):
    write_set(tmp_path / "set", [requantize("late")], seed=0, version="0")
    every = "def test_every_case(qgru_case, assert_bit_exact):\n    assert_bit_exact(qgru_case)\n"
    (tmp_path / "test_it.py").write_text(every)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    program = f"cmd:{sys.executable} {DEVICES.with_name('dut_misbehaving.py')}"
    code, text = run(tmp_path, "--qgru-dut", program, "--qgru-vectors", str(tmp_path / "set"))
    assert code == 1 and "bytes came after the end of the last answer" in text and "1 passed, 1 error" in text, text


def test_a_run_without_one(folder):
    code, text = run(folder, "--qgru-vectors", str(folder / "set"))
    assert code == 0 and "no device under test: give --qgru-dut SPEC" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--qgru-vectors", "/nowhere"), "--qgru-vectors: "),
        (("--qgru-dut", "nothing"), "--qgru-dut is 'nothing', expected"),
        (("--qgru-dut", "py:math:sqrt", "--qgru-timeout", "0"), "--qgru-timeout is 0.0, expected"),
    ],
)
def test_bad_options(folder, options, sentence):
    code, text = run(folder, "--qgru-vectors", str(folder / "set"), *options)
    assert code != 0 and sentence in text


def test_the_plugin_is_installed_with_the_distribution():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"qgru": "verification.pytest_plugin"}
