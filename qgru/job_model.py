"""`qgru verify --model`: every layer and direction of a float network from a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from golden.spec.errors import ParameterError
from qgru.jobs import CASE_ROWS, Line, Outcome, Setting, halves, integer_input, integer_state
from quant_gru.accuracy import sqnr_db
from quant_gru.boundary import states_real
from quant_gru.calibrate import calibrate
from quant_gru.float_gru import run
from quant_gru.load import NamedGru
from vectors.case import case_from_trace


def model_job(
    grus: Sequence[NamedGru], x: np.ndarray, h0: np.ndarray | None, choices: Sequence[Setting], seed: int, device: str
) -> Iterator[Outcome]:
    """Every layer and direction of a float network under every setting; yields the outcome after each.

    A layer above the first reads the float outputs of the layer below. Half of the rows calibrate, all are run, and the
    other half is what the SQNR is measured on; h0 is the state of the first layer.
    """
    calibration, measured = halves(x.shape[1], seed)
    inputs = _layer_inputs(grus, x, h0)
    outcome = Outcome()
    for setting in choices:
        for named in grus:
            real_x, start = inputs[named.name]
            known = None if start is None else start[calibration]
            ranges = calibrate(named.gru, [(real_x[:, calibration], known)], reverse=named.reverse)
            params = setting.build(named.gru, ranges)
            line = Line(setting.label, named.name)
            outcome.lines.append(line)
            state = integer_state(params, start)
            result = outcome.check(line, device, params, integer_input(params, real_x), state, named.reverse)
            reference = run(named.gru, real_x, start, reverse=named.reverse)["h"][1:]
            line.sqnr_db = sqnr_db([reference[:, measured]], [states_real(params, result.trace)[:, measured]])
            kept = integer_input(params, real_x[:, :CASE_ROWS])
            first = None if state is None else state[:CASE_ROWS]
            small = outcome.check(line, device, params, kept, first, named.reverse)
            case_id = f"{setting.id}-{named.name}".replace("/", ".")
            outcome.cases.append(case_from_trace(case_id, params, kept, first, small.trace, group="model", comment=named.name))
        yield outcome


def _layer_inputs(
    grus: Sequence[NamedGru], x: np.ndarray, h0: np.ndarray | None
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """name -> (x, h0) of every layer and direction, from the float network."""
    inputs: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    for group in dict.fromkeys(g.group for g in grus):
        members = [g for g in grus if g.group == group]
        below = x
        for layer in sorted({g.layer for g in members}):
            outputs = []
            for named in (g for g in members if g.layer == layer):
                if below.shape[2] != named.gru.input_size:
                    raise ParameterError("x", f"{below.shape[2]} features", f"{named.gru.input_size} as {named.name} reads")
                start = h0 if layer == 0 else None
                if start is not None and start.shape[1] != named.gru.hidden_size:
                    raise ParameterError("h0", f"{start.shape[1]} units", f"{named.gru.hidden_size} as {named.name} has")
                inputs[named.name] = (below, start)
                outputs.append(run(named.gru, below, start, reverse=named.reverse)["h"][1:].astype(np.float32))
            below = np.concatenate(outputs, axis=-1)
    return inputs
