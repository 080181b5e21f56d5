"""What importing the twin loads, in a fresh interpreter, and what a missing GPU says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cuda_impl import launch
from cuda_impl.sequence import forward
from golden.spec.errors import ParameterError
from tests.verification.small import mshift_set

MODULES = ["cuda_impl"] + [f"cuda_impl.{name}" for name in (*launch.STEP_MODULES, "sequence", "runs", "dynamic_run")]


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has after running code."""
    script = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_twin_loads_nothing_of_golden_but_its_vocabulary():
    modules = loaded("\n".join(f"import {name}" for name in MODULES))
    ours = {m for m in modules if m.split(".")[0] in ("golden", "verification", "vectors", "quant_gru", "qgru")}
    assert "cuda_impl.sequence" in modules
    assert {m for m in ours if m != "golden" and not m.startswith("golden.spec")} == set()


def test_importing_the_twin_does_not_load_cuda():
    modules = loaded("\n".join(f"import {name}" for name in MODULES))
    assert {m for m in modules if m.split(".")[0] == "numba_cuda" or m.startswith("numba.cuda")} == set()


def test_a_host_run_does_not_load_cuda():
    code = "from cuda_impl.elementwise import map_step\nassert map_step('ties_up', 3, 1, device='host') == 2"
    assert {m for m in loaded(code) if m.startswith("numba.cuda")} == set()


def test_without_the_extra_a_gpu_is_refused_by_its_name(monkeypatch):
    monkeypatch.setattr(launch, "_cuda_installed", lambda: False)
    for device in ("gpu", "simulator"):
        with pytest.raises(ParameterError, match=f"device is '{device}', expected .* the extra qgru\\[cuda\\] installs$"):
            launch.target(device)
    assert launch.target("auto").kind == "host"


def test_devices_are_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(launch, "_cuda_installed", lambda: True)
    monkeypatch.setattr(launch, "gpu_usable", lambda: False)
    with pytest.raises(ParameterError, match="device is 'tpu', expected one of auto, gpu, host, simulator"):
        forward(mshift_set(), [[[0, 0]]], device="tpu")
    with pytest.raises(ParameterError, match="device is 'simulator', expected NUMBA_ENABLE_CUDASIM=1"):
        launch.target("simulator")
    with pytest.raises(ParameterError, match="device is 'gpu', expected a machine with a usable CUDA GPU"):
        launch.target("gpu")
    monkeypatch.setattr(launch, "_simulated", lambda: True)
    with pytest.raises(ParameterError, match="device is 'gpu', expected a GPU, not the simulator"):
        launch.target("gpu")


def test_a_name_means_one_thing_in_the_step_files():
    names = launch.plain_names("host")
    assert names["ties_up"].__module__ == "cuda_impl.rounding"


def test_two_meanings_of_a_name_are_found(monkeypatch):
    from cuda_impl import gates

    monkeypatch.setattr(gates, "saturate", lambda v, qmin, qmax: v)
    with pytest.raises(RuntimeError, match="saturate has two meanings"):
        launch.plain_names("host")
