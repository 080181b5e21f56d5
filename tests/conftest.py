"""Hypothesis profiles, and which marked tests can run here.

HYPOTHESIS_PROFILE   dev (default), ci (the same examples every time) or thorough
QGRU_REQUIRE         gpu, cudasim or ptx: such a test is run whatever is missing, so that it fails instead of being skipped
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

_SLOW_DATA = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", deadline=None, print_blob=True, max_examples=50, suppress_health_check=_SLOW_DATA)
settings.register_profile(
    "ci", deadline=None, print_blob=True, max_examples=100, derandomize=True, database=None, suppress_health_check=_SLOW_DATA
)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=5000, suppress_health_check=_SLOW_DATA)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

SIMULATOR = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


@cache
def _gpu_missing() -> str | None:
    if SIMULATOR:
        return "the CUDA simulator is on"
    if find_spec("numba_cuda") is None:
        return 'numba-cuda is not installed: pip install "qgru[cuda]"'
    from numba import cuda

    return None if cuda.is_available() else "no NVIDIA GPU"


def _ptx_missing() -> str | None:
    if SIMULATOR:
        return "the CUDA simulator is on"
    if find_spec("numba_cuda") is None:
        return 'numba-cuda is not installed: pip install "qgru[cuda]"'
    return None


def _simulator_missing() -> str | None:
    return None if SIMULATOR else "NUMBA_ENABLE_CUDASIM is not 1"


REASONS = {"gpu": _gpu_missing, "ptx": _ptx_missing, "cudasim": _simulator_missing}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here, with the reason; under the simulator only cudasim tests run."""
    required = os.environ.get("QGRU_REQUIRE", "")
    for item in items:
        marked = [name for name in REASONS if item.get_closest_marker(name)]
        if SIMULATOR and "cudasim" not in marked:
            item.add_marker(pytest.mark.skip(reason="the CUDA simulator is on"))
        for name in marked:
            reason = REASONS[name]()
            if reason is not None and name != required:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """What a test draws from torch's generator does not depend on the tests before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    yield
