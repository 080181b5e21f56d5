"""Devices for the fuzz tests: right but for one planted deviation in each datapath."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from golden.sequence import forward
from verification.deviations.catalogue import CATALOGUE
from verification.deviations.environment import Run
from verification.diagnosis_synthesis import planted

PLANTED = {"pot": "ties-up@requantize", "mshift": "saturates-one-early"}
KILLER_ROWS = 7


def wrong(params, x, h0=None, **options):
    """Every stage, with the planted deviation; dynamic ranges are right."""
    name = PLANTED.get(params.datapath)
    if name is None:
        return forward(params, x, h0, **options)
    with np.errstate(all="ignore"):
        return planted(Run.of(params, x, h0, **options), (CATALOGUE[name],))


def wrong_states(params, x, h0=None, **options):
    """The states alone of the same."""
    return np.asarray(wrong(params, x, h0, **options)["h"])


def unheard_of(params, x, h0=None, **options):
    """Wrong in a way that no named deviation explains: every third code of z differs in its last bit, and nothing follows."""
    trace = forward(params, x, h0, **options)
    z = trace["z"].copy()
    z.reshape(-1)[::3] ^= 1
    return {**trace.fields, "z": z}


def crashes(params, x, h0=None, **options):
    """Ends its process where a batch has seven rows."""
    if x.shape[1] == KILLER_ROWS:
        os.abort()
    return forward(params, x, h0, **options)


def spec(name: str) -> str:
    """The device's spec."""
    return f"py:{Path(__file__).resolve()}:{name}"


def hangs(params, x, h0=None, **options):
    """Says nothing where a batch has seven rows."""
    if x.shape[1] == KILLER_ROWS:
        time.sleep(600)
    return forward(params, x, h0, **options)
