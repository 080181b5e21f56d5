"""What `qgru verify` runs: the rows of its table, every call of the twin compared with golden, the vector cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.params import Params
from golden.spec.trace import Trace
from quant_gru.accuracy import (
    agreement,
    calibrate_g2p,
    encode_words,
    float_network,
    integer_network,
    sqnr_db,
    transcribe,
)
from quant_gru.boundary import quantize_input, quantize_state, states_real
from quant_gru.build import dynamic_params, mshift_params, pot_params
from quant_gru.calibrate import Ranges, calibrate
from quant_gru.float_gru import FloatGru, run
from quant_gru.g2p import G2p, decoder_batches, encoder_batches
from quant_gru.load import NamedGru
from vectors.case import Case, case_from_trace
from verification.run import Result, verify

Batch = tuple[np.ndarray, np.ndarray, Any, np.ndarray]
Builder = Callable[[FloatGru, Ranges], Params]
DOCUMENT_SCALES = (1 / 128, 1 / 128, 1 / 128)
CASE_ROWS = 8  # words, or rows of a batch, that a vector case keeps


@dataclass(frozen=True)
class Setting:
    """A row of the table: how both networks are quantized.

    id     in case ids
    label  in the table
    build  (network, ranges) -> parameter set
    """

    id: str
    label: str
    build: Builder


def settings(datapath: str, bits: int | None) -> list[Setting]:
    """The settings of a choice of datapath and width.

    datapath  pot, mshift, mshift-dynamic or all
    bits      width of datapath P, and of the gate inputs of M; None is 8, and 16 too for P
    Raises    ParameterError for a width that the datapath does not have
    """
    if datapath != "pot" and bits not in (None, 8, 16):
        raise ParameterError("bits", bits, "8 or 16 on datapath M, 2 to 16 with --datapath pot")
    gate_bits = 16 if bits == 16 else 8
    out = []
    if datapath in ("pot", "all"):
        out += [Setting(f"pot{b}", f"pot, {b} bit", partial(_pot, bits=b)) for b in ((8, 16) if bits is None else (bits,))]
    if datapath in ("mshift", "all"):
        out.append(Setting(f"mshift{gate_bits}", f"mshift, {gate_bits} bit gates", partial(mshift_params, gate_bits=gate_bits)))
    if datapath in ("mshift-dynamic", "all"):
        out.append(
            Setting(f"dynamic{gate_bits}", f"mshift-dynamic, {gate_bits} bit gates", partial(_dynamic, gate_bits=gate_bits))
        )
    if datapath in ("mshift", "all") and gate_bits == 8:
        out.append(Setting("document", "mshift, table domain 1/128 (X-7)", partial(mshift_params, gate_scales=DOCUMENT_SCALES)))
    return out


def _pot(gru: FloatGru, ranges: Ranges, bits: int) -> Params:
    return pot_params(gru, ranges, bits)


def _dynamic(gru: FloatGru, ranges: Ranges, gate_bits: int) -> Params:
    return dynamic_params(gru, gate_bits=gate_bits)


@dataclass
class Line:
    """A line of the table: one network under one setting.  sqnr_db and phonemes are reported, not judged."""

    setting: str
    network: str
    compared: int = 0
    mismatches: int = 0
    equal: bool = True
    sqnr_db: float | None = None
    phonemes: float | None = None


@dataclass
class Outcome:
    """Everything that a job gives: the lines, the cases, and the first run that was not equal with its inputs."""

    lines: list[Line] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    failed: tuple[Result, np.ndarray, Any] | None = None

    @property
    def equal(self) -> bool:
        """Whether every run was equal, bit for bit."""
        return all(line.equal for line in self.lines)

    def check(self, line: Line, device: str, params: Params, x: np.ndarray, h0: Any = None, reverse: bool = False) -> Result:
        """Run golden and the twin, compare, and count it in the line."""
        result = verify(params, x, h0, reverse=reverse, device=device, name=f"{line.setting}, {line.network}")
        line.compared += result.compared
        line.mismatches += result.mismatches
        line.equal = line.equal and result.equal
        if not result.equal and self.failed is None:
            self.failed = (result, x, h0)
        return result


def halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(calibration, measured) indices: every second one, an even seed calibrates on 0, 2, ..., an odd one on 1, 3, ..."""
    order = np.arange(count)
    return (order[seed % 2 :: 2], order[1 - seed % 2 :: 2]) if count > 1 else (order, order)


@dataclass(frozen=True)
class Reference:
    """What the float network says to some words, found once for all settings.

    phonemes  of every word, by greedy decoding
    last      float32 [N,H], the encoder's last states
    encoder, decoder  batches of equal length without padding: (indices into words, x [T,N,C], h0 or None, outputs [T,N,H])
    """

    words: list[str]
    phonemes: list[list[int]]
    last: np.ndarray
    encoder: list[Batch]
    decoder: list[Batch]

    @classmethod
    def of(cls, model: G2p, words: list[str]) -> Reference:
        """Run the float network on the words."""
        encoder, decoder = float_network(model.encoder), float_network(model.decoder)
        phonemes = transcribe(model, words, encoder, decoder)
        last = encode_words(model, words, encoder).astype(np.float32)
        first = [(rows, x, None, encoder.run(x, None)[0]) for rows, x in encoder_batches(model, words)]
        second = [(rows, x, last[rows], decoder.run(x, last[rows])[0]) for rows, x in decoder_batches(model, phonemes)]
        return cls(words, phonemes, last, first, second)


def g2p_job(model: G2p, choices: Sequence[Setting], seed: int, device: str) -> Iterator[Outcome]:
    """Encoder and decoder of the grapheme-to-phoneme network under every setting; yields the outcome after each.

    Half of the words calibrate; all words are run, and the other half is what the figures are measured on. The decoder
    runs in closed loop on what the twin says, each step compared with golden, and over whole sequences at the float
    network's phonemes.
    """
    calibration, measured = ([model.words[i] for i in part] for part in halves(len(model.words), seed))
    found = calibrate_g2p(model, calibration)
    reference = Reference.of(model, measured)
    outcome = Outcome()
    for setting in choices:
        pairs = (
            ("encoder", setting.build(model.encoder, found.encoder), reference.encoder),
            ("decoder", setting.build(model.decoder, found.decoder), reference.decoder),
        )
        lines = {id(params): Line(setting.label, kind) for kind, params, _ in pairs}
        outcome.lines += lines.values()

        def forward(params: Params, x: np.ndarray, h0: Any = None, lines: dict[int, Line] = lines) -> Trace:
            return outcome.check(lines[id(params)], device, params, x, h0).twin

        encoder, decoder = (integer_network(params, forward) for _, params, _ in pairs)
        lines[id(pairs[1][1])].phonemes = agreement(reference.phonemes, transcribe(model, measured, encoder, decoder))
        transcribe(model, calibration, encoder, decoder)
        for (kind, params, batches), network in zip(pairs, (encoder, decoder)):
            line = lines[id(params)]
            outputs = [network.run(x, network.start(h0))[0] for _, x, h0, _ in batches]
            line.sqnr_db = sqnr_db([real for *_, real in batches], outputs)
            outcome.cases.append(_g2p_case(outcome, setting, kind, params, reference, batches, line, device))
        yield outcome


def _g2p_case(
    outcome: Outcome,
    setting: Setting,
    kind: str,
    params: Params,
    reference: Reference,
    batches: list[Batch],
    line: Line,
    device: str,
) -> Case:
    """The golden run of a few words: the largest batch of equal length, cut."""
    rows, x, h0, _ = max(batches, key=lambda batch: len(batch[0]))
    kept = _input(params, x[:, :CASE_ROWS])
    start = None if h0 is None else h0[:CASE_ROWS]
    if start is not None and params.datapath != "mshift-dynamic":
        start = quantize_state(params, start)
    trace = outcome.check(line, device, params, kept, start).trace
    comment = ", ".join(reference.words[i] for i in rows[:CASE_ROWS])
    return case_from_trace(f"g2p-{setting.id}-{kind}", params, kept, start, trace, group="g2p", comment=f"{kind}: {comment}")


def _input(params: Params, x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x) if params.datapath == "mshift-dynamic" else quantize_input(params, x)


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
            dynamic = params.datapath == "mshift-dynamic"
            state = start if start is None or dynamic else quantize_state(params, start)
            result = outcome.check(line, device, params, _input(params, real_x), state, named.reverse)
            reference = run(named.gru, real_x, start, reverse=named.reverse)["h"][1:]
            line.sqnr_db = sqnr_db([reference[:, measured]], [states_real(params, result.trace)[:, measured]])
            kept = _input(params, real_x[:, :CASE_ROWS])
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
