"""Long chains: by hand in plain integers, and bisection from a checkpoint."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from golden.sequence import forward
from golden.spec.errors import ParameterError
from tests.vectors.examples import mshift, pot
from vectors.chain import checkpoints, trajectory
from vectors.chain_case import ChainCase, chain_case

M64 = 2**64


def signed(w):
    return w - M64 if w >= M64 // 2 else w


def test_the_stirring_and_the_digest_by_hand():
    """Three steps of ties_up from w = 1: s = 0 and x = (1 << 6) >> 1 = 32 first, so w' = factor + increment + 32."""
    w, states = 1, []
    for _ in range(3):
        s, x = w >> 58, signed(w * 64 % M64) >> (w & 31)
        w = (w * 6364136223846793005 + 1442695040888963407 + ((x + (1 << s >> 1)) >> s)) % M64
        states.append(signed(w))
    assert states[0] == signed(6364136223846793005 + 1442695040888963407 + 32)
    found = trajectory("ties_up", {}, np.array([1]), 3)
    assert found[:, 0].tolist() == [1, *states]
    first = hashlib.sha256(bytes(32) + struct.pack("<3q", *states)).hexdigest()
    assert checkpoints(found, 3)[1] == [first]


@pytest.mark.parametrize("chain", ["ties_up", "ties_away", "ties_even", "ema", "requantize"])
def test_a_block_can_be_redone_from_the_state_before_it(chain):
    constants = {"M": 1234567, "s": 28, "zp": 3, "bits": 8, "signed": 1} if chain == "requantize" else {}
    start = [0xBF800000, 0x3F800000, -77] if chain == "ema" else [-77]
    case = chain_case("c", chain, constants, 400, 100, start)
    again = trajectory(chain, constants, case.states[1], 100)
    assert again[-1].tolist() == case.states[2].tolist()
    digest = hashlib.sha256(bytes.fromhex(case.digests[1]) + again[1:].astype("<i8").tobytes()).hexdigest()
    assert digest == case.digests[2]
    assert case.replay()[1] == list(case.digests)


@pytest.mark.parametrize(("name", "make"), [("mshift_cell", mshift), ("pot_cell", pot)])
def test_a_cell_goes_as_the_sequence_does(name, make):
    params = make(np.random.default_rng(3))
    inputs = np.random.default_rng(4).integers(-100, 100, (16, 3))
    states = trajectory(name, {}, np.array([3, -4, 99]), 50, params, inputs)
    x = inputs[(states[:-1, 2].astype(np.uint64) >> np.uint64(60)).astype(int)][:, None, :]
    trace = forward(params, x.astype(np.int32), np.array([[3, -4]], np.int32))
    assert trace.h[:, 0].tolist() == states[:, :2].tolist()


def test_a_proposal_that_golden_does_not_confirm(monkeypatch):
    import vectors.chain as module

    monkeypatch.setattr(module, "_rounding", lambda chain: lambda w: 0)
    with pytest.raises(ParameterError, match="chain ties_even step 1 is .*, expected golden's"):
        trajectory("ties_even", {}, np.array([12345]), 5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"chain": "other"}, "chain is 'other'"),
        ({"steps": 30}, "digests is 3 for 30 steps, expected one for every 20 steps"),
        ({"steps": 10**9}, "steps is 1000000000"),
        ({"every": 0}, "every is 0"),
        ({"digests": ("0" * 64,)}, "digests is 1 for 60 steps"),
        ({"start": np.zeros(2, np.int64)}, "start is an array of shape"),
        ({"states": np.zeros((3, 1), np.int32)}, "states is int32, expected int64"),
        ({"constants": {"M": 1}}, r"constants is \['M'\]"),
        ({"inputs": np.zeros((16, 3), np.int32)}, "params is missing, expected none"),
        ({"chain": "pot_cell"}, "params is missing, expected pot"),
    ],
)
def test_a_chain_is_checked(change, sentence):
    case = chain_case("c", "ties_even", {}, 60, 20, [5])
    given = {name: getattr(case, name) for name in ("id", "chain", "constants", "steps", "every", "start", "states", "digests")}
    with pytest.raises(ParameterError, match=sentence):
        ChainCase(**{**given, **change})
