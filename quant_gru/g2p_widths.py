"""The widths of the grapheme-to-phoneme network's operators: what narrowing them costs, and the search for the least."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from golden.spec.layout import OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import PotParams
from quant_gru.accuracy import agreement
from quant_gru.build import pot_params
from quant_gru.float_gru import FloatGru
from quant_gru.g2p import G2p, decoder_batches
from quant_gru.mixed_widths import Assignment, Search, search, stored_bits, values_of
from quant_gru.transcribe import (
    Calibrated,
    Forward,
    Network,
    encode_words,
    float_network,
    integer_network,
    transcribe,
)

NETWORKS = ("encoder", "decoder")
Widths = tuple[int, ...]  # of one network, in the order of OPERATORS


def keys_of(model: G2p) -> dict[str, int]:
    """"encoder input.x", ... -> how many values the operator has."""
    return {f"{name} {op}": n for name in NETWORKS for op, n in values_of(getattr(model, name)).items()}


def split(assignment: Mapping[str, int]) -> tuple[Widths, Widths]:
    """The widths of encoder and decoder, in the order of OPERATORS."""
    encoder, decoder = (tuple(assignment[f"{name} {op}"] for op in OPERATORS) for name in NETWORKS)
    return encoder, decoder


def uniform(bits: int) -> Assignment:
    """All operators of both networks at one width."""
    return {f"{name} {op}": bits for name in NETWORKS for op in OPERATORS}


def built(gru: FloatGru, calibration: Any, widths: Widths) -> PotParams:
    """The parameter set of one network; weights symmetric, everything else with its own zero point."""
    pairs = {op: (bits, op in WEIGHT_OPERATORS) for op, bits in zip(OPERATORS, widths)}
    return pot_params(gru, calibration, widths=pairs)


class Measured:
    """Both networks on some words, at any widths, against the float network.

    model, calibrated  the network, and the statistics that its scales come from
    words    those that are measured
    forward  what runs a parameter set
    """

    def __init__(self, model: G2p, calibrated: Calibrated, words: Sequence[str], forward: Forward) -> None:
        real = float_network(model.encoder), float_network(model.decoder)
        self.model, self.words = model, words
        self.reference = transcribe(model, words, *real)
        self._batches = decoder_batches(model, self.reference)
        self._logits = self._teacher_forced(encode_words(model, words, real[0]), real[1])

        @lru_cache(maxsize=8)
        def encoder(widths: Widths) -> tuple[Network, np.ndarray]:
            network = integer_network(built(model.encoder, calibrated.encoder, widths), forward)
            return network, encode_words(model, words, network)

        @lru_cache(maxsize=8)
        def decoder(widths: Widths) -> Network:
            return integer_network(built(model.decoder, calibrated.decoder, widths), forward)

        self._encoder, self._decoder = encoder, decoder

    def _teacher_forced(self, last: np.ndarray, decoder: Network) -> np.ndarray:
        """Logits of every step when the decoder reads what the float network wrote."""
        found = []
        for rows, x in self._batches:
            h = decoder.run(x, decoder.start(last[rows].astype(np.float32)))[0]
            logits = h.astype(np.float64) @ self.model.fc_w.T.astype(np.float64) + self.model.fc_b
            found.append(logits.reshape(-1, logits.shape[-1]))
        return np.concatenate(found)

    def noise(self, assignment: Mapping[str, int]) -> float:
        """Mean squared error of the logits at the float network's phonemes."""
        encoder, decoder = split(assignment)
        found = self._teacher_forced(self._encoder(encoder)[1], self._decoder(decoder))
        return float(((found - self._logits) ** 2).mean())

    def phonemes(self, assignment: Mapping[str, int]) -> float:
        """1 - PER in closed loop."""
        encoder, decoder = split(assignment)
        found = transcribe(self.model, self.words, self._encoder(encoder)[0], self._decoder(decoder))
        return agreement(self.reference, found)


def search_widths(measured: Measured, wanted: float, advance: Callable[[int], None] | None = None) -> Search:
    """The fewest bits at which wanted of the phonemes agree, on the words of measured."""
    values = keys_of(measured.model)
    return search(
        values,
        measured.noise,
        lambda assignment: measured.phonemes(assignment) >= wanted,
        hopeless=2 * measured.noise(uniform(8)),
        advance=advance,
    )


def kibibytes(model: G2p, assignment: Mapping[str, int]) -> float:
    """stored_bits of both networks, in KiB."""
    return stored_bits(keys_of(model), assignment) / 8 / 1024
