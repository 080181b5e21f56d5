"""What a batch on several GPUs asks of the driver, on one of three GPUs that refuses whatever is on the wrong device."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.house import ROOT

pytestmark = [
    pytest.mark.ptx,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"),
    pytest.mark.skipif(sys.platform != "linux", reason="the driver is looked up as Linux does"),
]


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    source = ROOT / "tests" / "cuda_impl" / "fake_driver.c"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(folder / "libcuda.so.1"), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder


def run(driver: Path, what: str) -> subprocess.CompletedProcess[str]:
    given = {"LD_LIBRARY_PATH": str(driver), "NUMBA_CACHE_DIR": str(driver / "cache")}
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"} | given
    command = [sys.executable, "-m", "tests.cuda_impl.fake_runs", what]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_arrays_go_and_come_between_devices(driver):
    done = run(driver, "copies")
    assert done.returncode == 0, done.stderr
    refused, runs = done.stdout.splitlines()
    assert refused == "x is an array on GPU 0, expected one on GPU 1, where the network was prepared"
    assert runs == "136 runs on 3 devices" and "refused" not in done.stderr


def test_networks_start_on_their_own_devices(driver):
    done = run(driver, "networks")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "ClusterNetwork [0, 1, 2]", "(4, 7, 2) on 0", "(4, 7, 2) on 2",
        "GridNetwork [0, 1, 2]", "(4, 7, 1040) on 0", "(4, 7, 1040) on 2",
        "alone on 1 with 0 current",
    ]  # fmt: skip
    launches = [line for line in done.stderr.splitlines() if line.startswith("launch")]
    first = [f"launch on {n}" for n in (2, 2, 1, 1, 0, 0)]  # a product and a recurrence each, the caller's device last
    then = [f"launch on {n}" for n in (1, 1, 0, 0, 2, 2)]
    assert launches == 2 * (first + then) + 2 * ["launch on 1"] and "refused" not in done.stderr
