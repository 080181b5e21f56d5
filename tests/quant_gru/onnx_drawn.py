"""The integer ONNX network on drawn problems against golden, code for code.

python -m tests.quant_gru.onnx_drawn [COUNT]   draws COUNT networks (1000 by default) and prints what differed
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnxruntime
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from golden.sequence import forward
from quant_gru.onnx import build
from quant_gru.stack import Direction, Stack
from verification.problem import Problem
from verification.strategies.problems import problems

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")

drawn = st.sampled_from(("mshift", "pot", "pot")).flatmap(lambda kind: problems(kind, min_steps=1))
"""Static problems with at least one step; a drawn mask is left out."""


def session(model: Any, level: str = "ORT_ENABLE_ALL") -> onnxruntime.InferenceSession:
    """A session of a ModelProto, or of the model at a path, on one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads = 1
    content = model.SerializeToString() if hasattr(model, "SerializeToString") else str(model)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def differing(problem: Problem, level: str) -> tuple[int, int]:
    """(codes compared, codes that differ) of a problem; a reversed one runs in both directions."""
    p, h0 = problem, problem.h0
    directions = (False, True) if p.reverse else (False,)
    stack = Stack((tuple(Direction(None, p.params, reverse) for reverse in directions),))
    model = build(stack, "integer", codes=True, zoneout=p.zoneout, initial_state=h0 is not None)
    feeds = {"x": np.asarray(p.x, np.int32)}
    if h0 is not None:
        feeds["h0"] = np.stack([h0] * len(directions)).astype(np.int32)
    y, h_n = session(model, level).run(["y", "h_n"], feeds)
    traces = [forward(p.params, p.x, h0, zoneout=p.zoneout, reverse=reverse) for reverse in directions]
    expected = np.concatenate([t.output for t in traces], -1), np.stack([t.h_n for t in traces])
    assert (y.shape, h_n.shape) == (expected[0].shape, expected[1].shape)
    return y.size + h_n.size, int((y != expected[0]).sum() + (h_n != expected[1]).sum())


def main(count: int) -> int:
    """Draw count networks; 1 when a code differs."""
    totals = {"networks": 0, "compared": 0, "differing": 0}
    kinds: dict[str, int] = {}

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(drawn, st.sampled_from(LEVELS))
    def run(problem: Problem, level: str) -> None:
        compared, wrong = differing(problem, level)
        for name, n in zip(totals, (1, compared, wrong)):
            totals[name] += n
        kinds[problem.params.datapath] = kinds.get(problem.params.datapath, 0) + 1

    run()
    print(", ".join(f"{name} {n}" for name, n in (totals | kinds).items()))
    return int(totals["differing"] > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
