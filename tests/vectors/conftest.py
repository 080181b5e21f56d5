"""The set of level 1, generated once for all tests that look at it."""

from __future__ import annotations

import pytest

from vectors.generate import generate


@pytest.fixture(scope="session")
def level1(tmp_path_factory):
    """The folder of the canonical set of level 1, seed 0."""
    path = tmp_path_factory.mktemp("level1") / "set"
    generate(path, level=1, version="1.0")
    return path
