"""Sweeps: golden on a whole array against the judge on each of its elements; how many examples a profile draws."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.spec.formats import IntFormat

NARROW = [IntFormat(bits, signed) for bits in range(2, 7) for signed in (True, False)]
INT64_EDGES = [s * (2**k) + d for k in (0, 1, 7, 15, 31, 32, 52, 53, 54, 61, 62) for s in (1, -1) for d in (-1, 0, 1)]


def judged(step: Callable[..., Any], *arrays: Any, then: tuple[Any, ...] = ()) -> list[Any]:
    """The judge's answer for each element of arrays that broadcast, in C order; `then` are its further arguments."""
    flat = [a.reshape(-1).tolist() for a in np.broadcast_arrays(*arrays)]
    return [step(*values, *then) for values in zip(*flat, strict=True)]


def assert_same(golden: np.ndarray, judge: list[Any]) -> None:
    """Equal, element by element; the first difference is shown with its index."""
    found = np.asarray(golden).reshape(-1).tolist()
    assert len(found) == len(judge)
    for i, (a, b) in enumerate(zip(found, judge)):
        assert a == b, f"element {i}: golden {a}, judge {b}"


def examples(default: int, thorough: int | None = None) -> int:
    """How many examples to draw: `thorough` (ten times as many unless given) under HYPOTHESIS_PROFILE=thorough."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "thorough":
        return 10 * default if thorough is None else thorough
    return default


def floats_of_every_exponent(seed: int, per_exponent: int = 4) -> np.ndarray:
    """float32 numbers of every sign and exponent, subnormals and zeros too, all finite."""
    rng = np.random.default_rng(seed)
    exponents = np.repeat(np.arange(255, dtype=np.uint32), per_exponent)
    mantissas = rng.integers(0, 2**23, exponents.size, dtype=np.uint32)
    mantissas[::per_exponent] = 0
    signs = rng.integers(0, 2, exponents.size, dtype=np.uint32)
    return ((signs << 31) | (exponents << 23) | mantissas).view(np.float32)
