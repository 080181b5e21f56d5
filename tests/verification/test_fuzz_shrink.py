"""The reducer: small, still failing, for the same reason, the same every time; and edits that stay valid."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from golden.spec.params import MShift
from verification.fuzz import edits
from verification.fuzz.campaign import Campaign
from verification.fuzz.edits import attempt, sizes
from verification.fuzz.shrink import shrink
from verification.strategies import DATAPATHS

CAMPAIGNS = {datapath: Campaign(5, datapath, 6) for datapath in DATAPATHS}


def drawn(datapath, wanted=lambda p: True):
    return next(p for p in (CAMPAIGNS[datapath].problem(i) for i in range(400)) if wanted(p))


def everything(p):
    return True


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_what_always_fails_becomes_nothing(datapath):
    full = drawn(datapath, lambda p: min(p.x.shape) > 2 and p.reverse and p.h0 is not None and p.mask is not None)
    problem, tried = shrink(full, everything, everything)
    assert sizes(problem) == {"T": 0, "N": 1, "C": 1, "H": 1} and 0 < tried < 200
    assert (problem.reverse, problem.training, problem.zoneout) == (False, False, 0.0)
    assert problem.h0 is None and problem.mask is None
    assert not any(np.count_nonzero(getattr(problem.params, name)) for name in ("W", "R", "bx", "br"))
    p = problem.params
    if datapath == "pot":
        assert {p.operators[name].zero_point for name in p.operators} == {0}
        assert all(len(getattr(p, f"act_{k}").thresholds) == 1 for k in "zrg" if hasattr(getattr(p, f"act_{k}"), "thresholds"))
    else:
        assert (p.zp_z, p.zp_r, p.zp_g) == (0, 0, 0)
    if datapath == "mshift":
        assert (p.zp_x, p.zp_h, p.m_one) == (0, 0, MShift(0, 0))


def test_only_what_matters_is_left():
    """One unit of one row at one time must be large, and one weight must not be 0."""
    full = drawn("mshift", lambda p: min(p.x.shape) > 2 and (p.x == 127).sum() == 1 and (np.abs(p.params.W) > 100).any())

    def fails(p):
        return bool((p.x > 100).any() and (np.abs(p.params.W) > 64).any())

    problem, _ = shrink(full, fails, everything)
    assert fails(problem) and sizes(problem) == {"T": 1, "N": 1, "C": 1, "H": 1}
    assert 100 < problem.x.item() <= 127 and np.count_nonzero(problem.params.W) == 1


def test_a_pass_that_ends_on_another_reason_is_done_again():
    """Reason "long" (T > 2) hides behind "any": fails alone would shrink it away."""
    full = drawn("pot", lambda p: p.x.shape[0] == 6)
    problem, _ = shrink(full, lambda p: p.x.shape[1] >= 1, lambda p: p.x.shape[0] > 2)
    assert sizes(problem)["T"] == 3 and sizes(problem)["H"] == 1


def test_the_same_every_time_and_within_the_budget():
    full = drawn("pot", lambda p: min(p.x.shape) > 3)
    calls = []

    def fails(p):
        calls.append(p.to_json())
        return p.x.shape[0] > 1 and p.params.hidden_size > 1

    first, tried = shrink(full, fails, everything, 60)
    assert tried == len(calls) <= 60
    again, _ = shrink(full, fails, everything, 60)
    assert again.to_json() == first.to_json() and calls[tried:] == calls[:tried]


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_edits_give_valid_problems_or_none(datapath):
    made = 0
    for index in range(6):
        problem = CAMPAIGNS[datapath].problem(index)
        for edit in chain(*edits.options(problem), *edits.parameters(problem)):
            edited = attempt(edit, problem)
            made += edited is not None
            assert edited is None or edited.to_json() != problem.to_json()
    assert made > 6


def test_units_keep_their_weights():
    problem = drawn("pot", lambda p: p.params.hidden_size == 4 and p.h0 is not None)
    kept = edits.kept(problem, "H", [3])
    p, q = problem.params, kept.params
    assert q.R.tolist() == [[p.R[3, 3], p.R[3, 7], p.R[3, 11]]] and q.bx.tolist() == [p.bx[3], p.bx[7], p.bx[11]]
    assert kept.h0.tolist() == problem.h0[:, 3:].tolist()
    whole, alone = p.operators["weight.br"].exponent, q.operators["weight.br"].exponent
    assert alone.tolist() == [whole[3], whole[7], whole[11]]
