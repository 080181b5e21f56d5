"""The default job of `qgru verify`: the trained grapheme-to-phoneme network, every call of the twin compared with golden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.spec.params import Params
from golden.spec.trace import Trace
from qgru.jobs import CASE_ROWS, Line, Outcome, Setting, halves, integer_input, integer_state
from quant_gru.accuracy import agreement, sqnr_db
from quant_gru.g2p import G2p, decoder_batches, encoder_batches
from quant_gru.transcribe import calibrate_g2p, encode_words, float_network, integer_network, transcribe
from vectors.case import Case, case_from_trace

MAX_WORDS = 400  # characters of a comment
Batch = tuple[np.ndarray, np.ndarray, Any, np.ndarray]


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

    Half of the words calibrate; the other half is run, compared and measured. The decoder runs in closed loop on what the
    twin says, each step compared with golden, and over whole sequences at the float network's phonemes.
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
    kept = integer_input(params, x[:, :CASE_ROWS])
    start = integer_state(params, None if h0 is None else h0[:CASE_ROWS])
    trace = outcome.check(line, device, params, kept, start).trace
    words = ", ".join(reference.words[i] for i in rows[:CASE_ROWS])
    comment = words.encode("ascii", "backslashreplace").decode()[:MAX_WORDS]  # a comment of a vector set is one line of ASCII
    return case_from_trace(f"g2p-{setting.id}-{kind}", params, kept, start, trace, group="g2p", comment=f"{kind}: {comment}")
