"""Whole networks as cases: from a model file, and the encoder of g2p-en where it is installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from qgru.networks import network_cases
from tests.verification.networks import torch_names, write_gru
from vectors.lint import lint
from vectors.writer import write_set


def test_every_gru_of_a_file(tmp_path):
    path = write_gru(tmp_path / "gru.npz")
    cases = list(network_cases(str(path), 1, "all", 0))
    assert {case.params.datapath for case in cases} == {"mshift", "pot"}
    assert all(case.id.startswith("network-") and case.group == "network" and case.level == 1 for case in cases)
    more = list(network_cases(str(path), 2, "all", 0))
    assert {c.id for c in cases} < {c.id for c in more}
    assert {c.params.datapath for c in more} == {"mshift", "pot", "mshift-dynamic"}
    assert {c.params.datapath for c in network_cases(str(path), 1, "mshift-dynamic", 0)} == {"mshift-dynamic"}
    write_set(tmp_path / "set", more, seed=0, version="1.0")
    assert list(lint(tmp_path / "set")) == []


@pytest.mark.skipif(find_spec("g2p_en") is None, reason='g2p-en is not installed: pip install "qgru[examples]"')
def test_the_encoder_of_g2p():
    (case,) = network_cases("g2p", 1, "pot", 0)
    assert case.id == "network-g2p-encoder-pot8" and case.x.shape[1:] == (2, 256) and case.flags["tie"] > 0


def test_a_name_outside_ascii_gives_a_portable_id(tmp_path):
    np.savez(tmp_path / "m.npz", **{f"gr\u00f6\u00dfe.{name}": array for name, array in torch_names().items()})
    (case,) = network_cases(str(tmp_path / "m.npz"), 1, "pot", 0)
    write_set(tmp_path / "set", [case], seed=0, version="0")
    assert case.id == "network-gr--e-l0-pot8"
