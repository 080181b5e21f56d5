"""One step of each datapath on drawn parameter sets, every intermediate against the judge.  [SPEC G-M, G-P, D]"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from golden.cell import MShiftConstants, mshift_cell, pot_cell
from golden.sequence import forward
from golden.spec.layout import MULTIPLIERS
from tests.golden.sweep import examples
from tests.verification.same import assert_same_trace
from verification.exact.cell import MShiftSet, PotSet
from verification.exact.cell import mshift_cell as judge_mshift_cell
from verification.exact.cell import pot_cell as judge_pot_cell
from verification.exact.hidden import pot_one as judge_pot_one
from verification.exact.sequence import forward as judge_forward
from verification.strategies import problems

TINY = {"max_batch": 1, "max_inputs": 3, "max_hidden": 3}


def assert_same_step(found: dict, wanted: dict) -> None:
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert np.asarray(found[name]).tolist() == np.asarray(values, dtype=object).tolist(), name


@settings(max_examples=examples(400))
@given(problems("mshift", min_steps=1, max_steps=1, options=False, **TINY))
def test_mshift_cell(problem):
    p = problem.params
    h = np.zeros((1, p.hidden_size), int) if problem.h0 is None else problem.h0
    judge_set = MShiftSet(
        p.W.T.tolist(), p.R.T.tolist(), p.bx.tolist(), p.br.tolist(), {n: getattr(p, n) for n in MULTIPLIERS},
        p.zp_x, p.zp_h, p.zp_z, p.zp_r, p.zp_g, p.fmt_pre, p.table_z, p.table_r, p.table_g,
    )  # fmt: skip
    found = mshift_cell(MShiftConstants.of(p), problem.x[0].astype(np.int64), h.astype(np.int64))
    assert_same_step(found, judge_mshift_cell(judge_set, problem.x[0].tolist(), h.tolist()))


@settings(max_examples=examples(400))
@given(problems("pot", min_steps=1, max_steps=1, options=False, **TINY))
def test_pot_cell(problem):
    p = problem.params
    h = np.full((1, p.hidden_size), p.fmt_h.qmin) if problem.h0 is None else problem.h0
    found = pot_cell(p, problem.x[0].astype(np.int64), h.astype(np.int64))
    wanted = judge_pot_cell(PotSet(p), problem.x[0].tolist(), h.tolist())
    assert int(found.pop("one")) == judge_pot_one(p.operators["gate.z_out"], p.rounding)
    wanted.pop("one", None)
    assert_same_step(found, wanted)


@pytest.mark.parametrize("datapath", ["mshift", "mshift-dynamic", "pot"])
def test_whole_steps_with_every_option(datapath):
    @settings(max_examples=examples(500))
    @given(problems(datapath, min_steps=1, max_steps=2, **TINY))
    def same(problem):
        assert_same_trace(problem.run(forward), problem.run(judge_forward), problem)

    same()
