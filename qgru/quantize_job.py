"""What `qgru quantize` does before it writes: calibration layer by layer, parameter sets, and their verification."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.layout import GATES, OPERATOR_FIELDS
from golden.spec.params import MShiftParams, PotParams
from golden.spec.trace import Trace
from qgru.jobs import Line, Outcome
from quant_gru.accuracy import sqnr_db
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate import by_operator, run_rows
from quant_gru.config import BitwidthConfig, uniform
from quant_gru.float_gru import FloatGru
from quant_gru.observers import MOVING, Observers, step_extremes
from quant_gru.onnx_distance import Distance, of_run, session
from quant_gru.stack import Outputs, Stack
from vectors.case import Case, case_from_trace
from verification.compare import compare
from verification.exact.sequence import forward as judge_forward

ROWS = 16  # of a batch that calibrates
TRACE_BYTES = 2**28  # of all the intermediates of a batch that is verified
TRACE_FIELDS = 60
JUDGE_PRODUCTS = 2_000_000  # of the judge's sample of each direction
CASE_STEPS, CASE_ROWS = 16, 4
ACTIVATIONS = {"linear": "piecewise_linear", "quadratic": "piecewise_quadratic", "direct": "direct"}

Static = MShiftParams | PotParams
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Choices:
    """How a network is quantized.

    datapath    pot or mshift
    method, percentile, ema  of calibration, as quant_gru.observers has them
    widths      operator -> (bits, symmetric), or None
    bits        of all operators of pot, of the gate inputs of mshift; where there are no widths
    activation  linear, quadratic or direct; datapath pot
    """

    datapath: str
    method: str
    percentile: float
    ema: bool
    widths: Mapping[str, tuple[int, bool]] | None
    bits: int
    activation: str

    def config(self) -> BitwidthConfig:
        """The widths as the configuration of a QuantGRU."""
        if self.widths is not None:
            return BitwidthConfig(self.widths)
        if self.datapath == "pot":
            return uniform(self.bits, False)
        return BitwidthConfig({f"gate.{k}_pre": (self.bits, False) for k in GATES})

    def build(self, gru: FloatGru, observers: Observers) -> Static:
        """The parameter set of a direction."""
        if self.datapath == "mshift":
            return mshift_params(gru, observers, widths=self.widths, gate_bits=self.bits)
        return pot_params(gru, observers, self.bits, widths=self.widths, activation=ACTIVATIONS[self.activation])


Observed = tuple[tuple[Observers, ...], ...]


def batches(rows: int, size: int) -> Iterator[slice]:
    """Slices of at most size rows."""
    return (slice(first, min(first + size, rows)) for first in range(0, rows, size))


def calibrate(stack: Stack, x: np.ndarray, h0: np.ndarray | None, choices: Choices, advance: Advance) -> Observed:
    """The statistics of every layer and direction; a layer above the first reads the float outputs of the one below.

    x        float32 [T,N,C]
    h0       float32 [N,H], the state of the first layer, or None
    advance  called with the number of rows that are done, once for each layer
    """
    if x.shape[2] != stack.input_size:
        raise ParameterError("x", f"{x.shape[2]} features", f"{stack.input_size}, as the network reads")
    if h0 is not None and h0.shape[1] != stack.hidden_size:
        raise ParameterError("h0", f"{h0.shape[1]} units", f"{stack.hidden_size}, as the network has")
    found = []
    for i, layer in enumerate(stack.layers):
        observers = tuple(Observers(choices.method, choices.percentile, choices.ema) for _ in layer)
        steps: list[dict[str, np.ndarray]] = [{} for _ in layer]
        outputs = np.zeros((*x.shape[:2], len(layer) * stack.hidden_size), np.float32)
        for rows in batches(x.shape[1], ROWS):
            for j, (d, seen) in enumerate(zip(layer, observers)):
                assert d.gru is not None
                start = None if h0 is None or i else h0[rows]
                fields = run_rows(d.gru, x[:, rows], start, reverse=d.reverse)
                seen.observe(by_operator(fields), steps={})
                steps[j] = _widened(steps[j], fields, d.reverse) if choices.ema else {}
                outputs[:, rows, j * stack.hidden_size : (j + 1) * stack.hidden_size] = fields["h"][1:]
            advance(rows.stop - rows.start)
        for seen, ends in zip(observers, steps):
            seen.observe_steps(ends)
        found.append(observers)
        x = outputs
    return tuple(found)


def _widened(known: dict[str, np.ndarray], fields: Mapping[str, np.ndarray], reverse: bool) -> dict[str, np.ndarray]:
    """The extremes of every step over the rows so far and these."""
    found = {name: step_extremes(name, fields[OPERATOR_FIELDS[name]], reverse=reverse) for name in MOVING}
    both = {name: np.concatenate([ends, known.get(name, ends)], axis=1) for name, ends in found.items()}
    return {name: np.stack([ends.min(axis=1), ends.max(axis=1)], axis=1) for name, ends in both.items()}


def parameter_sets(stack: Stack, observed: Observed, choices: Choices) -> Stack:
    """The stack with a parameter set for every direction."""
    pairs = [zip(layer, both) for layer, both in zip(stack.layers, observed)]
    sets = [[choices.build(d.gru, seen) for d, seen in pair if d.gru is not None] for pair in pairs]
    return stack.with_params(sets)


@dataclass
class Verified:
    """What the verification found.

    outcome   golden against the twin, a line for each layer and direction, and the vector cases
    judge     codes of the judge's sample, and how many differ from golden's
    models    "integer" and "qdq" -> Distance of the model's codes from golden's
    sqnr_db   of y against the float network, on the calibration data
    """

    outcome: Outcome = field(default_factory=Outcome)
    judge: tuple[int, int] = (0, 0)
    models: dict[str, Distance] = field(default_factory=dict)
    sqnr_db: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether the twin, the judge's sample and the integer model gave golden's codes."""
        model = self.models.get("integer", Distance())
        return self.outcome.equal and self.judge[1] == 0 and model.differing == 0


def verify_stack(
    stack: Stack, x: np.ndarray, h0: np.ndarray | None, device: str, models: Mapping[str, Any], advance: Advance, label: str
) -> Verified:
    """Run all of the data: every stage of golden against the twin, samples against the judge, models against golden.

    stack    quantized, time first
    x, h0    as in calibrate
    models   "integer" and "qdq" -> ModelProto with the input h0 where h0 is given
    advance  called with the number of rows that are done
    label    of the setting, for the lines
    """
    found = Verified()
    lines = {(i, j): Line(label, name(i, d.reverse)) for i, layer in enumerate(stack.layers) for j, d in enumerate(layer)}
    found.outcome.lines += lines.values()
    runs = {key: session(model) for key, model in models.items()}
    widest = max(stack.hidden_size, stack.layers[0][0].input_size)
    size = max(1, TRACE_BYTES // (8 * TRACE_FIELDS * widest * max(len(x), 1)))
    reference, reals = [], []
    for rows in batches(x.shape[1], size):
        part, start = np.ascontiguousarray(x[:, rows]), _states(stack, None if h0 is None else h0[rows])
        out = _batch(stack, part, start, device, found, lines, first=rows.start == 0)
        for key, run in runs.items():
            found.models[key] = found.models.get(key, Distance()) + of_run(run, stack, part, start, out)
        reference.append(stack.run_float(part, start)[0])
        reals.append(out.y)
        advance(rows.stop - rows.start)
    found.outcome.cases += _cases(stack, x[:CASE_STEPS, :CASE_ROWS], None if h0 is None else h0[:CASE_ROWS])
    found.sqnr_db = sqnr_db(reference, reals)
    return found


def name(layer: int, reverse: bool) -> str:
    """l0, l0_reverse, ..., as PyTorch names places."""
    return f"l{layer}{'_reverse' if reverse else ''}"


def _states(stack: Stack, h0: np.ndarray | None) -> np.ndarray | None:
    """[L*D,N,H]: h0 for both directions of the first layer, zero above."""
    if h0 is None:
        return None
    above = (len(stack.layers) - 1) * stack.directions
    return np.stack([h0] * stack.directions + [np.zeros_like(h0)] * above)


def _batch(
    stack: Stack, x: np.ndarray, h0: np.ndarray | None, device: str, found: Verified, lines: dict[tuple[int, int], Line],
    first: bool,
) -> Outputs:  # fmt: skip
    """Golden's run of a batch through all layers, checked direction by direction on the way."""
    place = iter(lines.items())

    def checked(params: Any, codes: np.ndarray, start: Any, *, reverse: bool) -> Trace:
        (i, j), line = next(place)
        result = found.outcome.check(line, device, params, codes, start, reverse)
        if first:
            _sample(found, params, codes, start, reverse)
        return result.trace

    return stack.outputs(x, h0, forward=checked)


def _sample(found: Verified, params: Static, x: np.ndarray, h0: Any, reverse: bool) -> None:
    """The judge's run of a row and some steps."""
    products = 3 * params.hidden_size * (params.hidden_size + params.input_size)
    steps = max(1, min(len(x), JUDGE_PRODUCTS // products))
    small, start = np.ascontiguousarray(x[:steps, :1]), None if h0 is None else h0[:1]
    expected = forward(params, small, start, reverse=reverse)
    comparison = compare(judge_forward(params, small, start, reverse=reverse), expected, params)
    found.judge = (found.judge[0] + comparison.compared, found.judge[1] + comparison.mismatches)


def _cases(stack: Stack, x: np.ndarray, h0: np.ndarray | None) -> list[Case]:
    """Golden's run of these steps and rows, a vector case for each direction: a layer reads what the one below gave."""
    places = iter((i, d.reverse) for i, layer in enumerate(stack.layers) for d in layer)
    cases = []

    def recorded(params: Any, codes: np.ndarray, start: Any, *, reverse: bool) -> Trace:
        place = name(*next(places))
        trace = forward(params, codes, start, reverse=reverse)
        comment = f"The network {place}, {len(codes)} steps, {codes.shape[1]} rows of the calibration data."
        cases.append(case_from_trace(f"network-{place}", params, codes, start, trace, group="network", comment=comment))
        return trace

    stack.outputs(np.ascontiguousarray(x), _states(stack, h0), forward=recorded)
    return cases
