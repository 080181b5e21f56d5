"""How near a quantized network is to its float network: figures that are reported, never a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, log10

import numpy as np

from golden.spec.params import Params
from quant_gru.build import dynamic_params, mshift_params, pot_params
from quant_gru.calibrate_choice import Calibration
from quant_gru.float_gru import FloatGru
from quant_gru.g2p import G2p, decoder_batches, encoder_batches
from quant_gru.transcribe import Calibrated, Forward, calibrate_g2p, encode_words, float_network, integer_network, transcribe

CONFIGURATIONS: dict[str, Callable[[FloatGru, Calibration], Params]] = {
    "pot 8 bit": lambda gru, ranges: pot_params(gru, ranges, 8),
    "pot 16 bit": lambda gru, ranges: pot_params(gru, ranges, 16),
    "mshift 8 bit": lambda gru, ranges: mshift_params(gru, ranges),
    "mshift 8 bit dynamic": lambda gru, ranges: dynamic_params(gru),
}
"""Parameter sets whose accuracy is stated; dynamic ranges need no calibration."""


def halves(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """(calibration words, measured words): the first half of the list, and the rest."""
    middle = (len(words) + 1) // 2
    return words[:middle], words[middle:]


def parameter_sets(model: G2p, calibrated: Calibrated, configuration: str) -> tuple[Params, Params]:
    """(encoder, decoder) parameter sets of one of CONFIGURATIONS."""
    build = CONFIGURATIONS[configuration]
    return build(model.encoder, calibrated.encoder), build(model.decoder, calibrated.decoder)


def agreement(reference: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> float:
    """1 - PER, the phoneme error rate: edits that turn found into reference, over the length of reference.

    An edit is a substitution, an insertion or a deletion; the least number counts, summed over all sequences. Without a
    phoneme in reference it is 1.0 or, with one in found, -inf.
    """
    edits = sum(_edits(p, q) for p, q in zip(reference, found, strict=True))
    length = sum(len(p) for p in reference)
    return 1 - edits / length if length else (-inf if edits else 1.0)


def _edits(reference: Sequence[int], found: Sequence[int]) -> int:
    """The Levenshtein distance of two sequences."""
    row = list(range(len(found) + 1))
    for i, a in enumerate(reference, 1):
        above, row = row, [i]
        for j, b in enumerate(found, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


def sqnr_db(reference: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """10 log10 of signal over error energy, summed over all arrays; inf without an error."""
    signal = sum(float((np.asarray(a, np.float64) ** 2).sum()) for a in reference)
    noise = sum(float(((np.asarray(a, np.float64) - b) ** 2).sum()) for a, b in zip(reference, found, strict=True))
    if noise == 0:
        return inf
    return 10 * (log10(signal) - log10(noise)) if signal > 0 else -inf


@dataclass(frozen=True)
class Accuracy:
    """phonemes: 1 - PER against the float network; *_db: SQNR of the states of each network."""

    phonemes: float
    encoder_db: float
    decoder_db: float


def measure(model: G2p, words: Sequence[str], encoder: Params, decoder: Params, forward: Forward) -> Accuracy:
    """Phoneme agreement in closed loop, and the SQNR of both networks' states on the float network's own inputs.

    For the SQNR the decoder reads the float network's phonemes and starts from the float encoder's last state, in batches of
    equal length.
    """
    real = float_network(model.encoder), float_network(model.decoder)
    codes = integer_network(encoder, forward), integer_network(decoder, forward)
    reference = transcribe(model, words, *real)
    found = transcribe(model, words, *codes)
    last = encode_words(model, words, real[0])
    encoder_runs = [(x, None) for _, x in encoder_batches(model, words)]
    decoder_runs = [(x, last[rows]) for rows, x in decoder_batches(model, reference)]
    db = [
        sqnr_db(*([net.run(x, net.start(h))[0] for x, h in runs] for net in pair))
        for runs, *pair in zip((encoder_runs, decoder_runs), real, codes)
    ]
    return Accuracy(agreement(reference, found), db[0], db[1])


def figures(model: G2p, forward: Forward) -> dict[str, Accuracy]:
    """The accuracy of every one of CONFIGURATIONS: calibrated on one half of the words, measured on the other."""
    calibration, measured = halves(model.words)
    calibrated = calibrate_g2p(model, calibration)
    return {name: measure(model, measured, *parameter_sets(model, calibrated, name), forward) for name in CONFIGURATIONS}
