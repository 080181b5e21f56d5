"""The widths of the grapheme-to-phoneme network's operators: what narrowing them costs, and the search for the least."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cuda_impl.fast.network import prepare
from golden.spec.formats import IntFormat
from golden.spec.layout import OPERATORS, WEIGHT_OPERATORS
from golden.spec.params import PotParams
from quant_gru.accuracy import agreement
from quant_gru.boundary import dequantize_state, quantize_input, quantize_state
from quant_gru.build import pot_params
from quant_gru.calibrate_choice import Calibration, Choice
from quant_gru.config import BitwidthConfig, load_config
from quant_gru.float_gru import FloatGru
from quant_gru.g2p import G2p, decoder_batches
from quant_gru.mixed_widths import Assignment, Candidate, search, stored_bits, values_of
from quant_gru.transcribe import Calibrated, Network, encode_words, float_network, transcribe

NETWORKS = ("encoder", "decoder")
FOLDER = Path(__file__).with_name("data") / "g2p"
BUDGETS = tuple(2.0 ** (-k / 2) for k in range(8))
Widths = tuple[int, ...]  # of one network, in the order of OPERATORS


def mixed_configs() -> tuple[BitwidthConfig, BitwidthConfig]:
    """The mixed widths of encoder and decoder that the search found; the files are in FOLDER."""
    encoder, decoder = (load_config(FOLDER / f"{name}_widths.json") for name in NETWORKS)
    return encoder, decoder


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


def fast_network(params: PotParams) -> Network:
    """A static set behind its float boundary, run for its states alone on the host."""
    prepared = prepare(params, "host")

    def step(x: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        h = prepared.forward(quantize_input(params, x), state)
        return dequantize_state(params, h[1:]), h[-1]

    return Network(step, lambda h: None if h is None else quantize_state(params, np.asarray(h, np.float32)))


class Remembered:
    """A calibration that remembers what it chose: the search asks for the same few widths again and again."""

    def __init__(self, calibration: Calibration) -> None:
        @cache
        def choose(operator: str, fmt: IntFormat, is_symmetric: bool) -> Choice:
            return calibration.choose(operator, fmt, is_symmetric)

        self._choose, self._calibration = choose, calibration
        self._exponents: dict[tuple[str, IntFormat], np.ndarray] = {}

    def choose(self, operator: str, fmt: IntFormat, is_symmetric: bool, *, power_of_two: bool = True) -> Choice:
        """As the calibration itself, for datapath P."""
        return self._choose(operator, fmt, is_symmetric)

    def channel_exponents(self, operator: str, values: np.ndarray, fmt: IntFormat) -> np.ndarray:
        """As the calibration itself; the values of an operator are always the same."""
        if (operator, fmt) not in self._exponents:
            self._exponents[operator, fmt] = self._calibration.channel_exponents(operator, values, fmt)
        return self._exponents[operator, fmt]


class Measured:
    """Both networks on some words, at any widths, against the float network.

    model, calibrated  the network, and the statistics that its scales come from
    words    those that are measured
    """

    def __init__(self, model: G2p, calibrated: Calibrated, words: Sequence[str]) -> None:
        real = float_network(model.encoder), float_network(model.decoder)
        self.model, self.words = model, words
        self.reference = transcribe(model, words, *real)
        self._batches = decoder_batches(model, self.reference)
        seen = [Remembered(calibration) for calibration in (calibrated.encoder, calibrated.decoder)]
        self._fc = model.fc_w.T.astype(np.float64)

        @lru_cache(maxsize=8)
        def encoder(widths: Widths) -> tuple[Network, np.ndarray]:
            network = fast_network(built(model.encoder, seen[0], widths))
            return network, encode_words(model, words, network)

        @lru_cache(maxsize=8)
        def decoder(widths: Widths) -> Network:
            return fast_network(built(model.decoder, seen[1], widths))

        self._encoder, self._decoder = encoder, decoder
        self._logits = self._teacher_forced(encode_words(model, words, real[0]), real[1])

    def _teacher_forced(self, last: np.ndarray, decoder: Network) -> np.ndarray:
        """Logits of every step when the decoder reads what the float network wrote."""
        found = []
        for rows, x in self._batches:
            h = decoder.run(x, decoder.start(last[rows].astype(np.float32)))[0]
            found.append(h.reshape(-1, h.shape[-1]).astype(np.float64))
        return np.concatenate(found) @ self._fc + self.model.fc_b

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


def search_widths(
    measured: Measured, wanted: float, advance: Callable[[int], None] | None = None
) -> list[Candidate]:
    """The candidates of BUDGETS, in parts of the noise at 8 bits; accepted where wanted of the phonemes agree."""
    noise = measured.noise(uniform(8))
    budgets = [noise * part for part in BUDGETS]
    accept = lambda assignment: measured.phonemes(assignment) >= wanted  # noqa: E731
    return search(keys_of(measured.model), measured.noise, accept, budgets, advance=advance)


def kibibytes(model: G2p, assignment: Mapping[str, int]) -> float:
    """stored_bits of both networks, in KiB."""
    return stored_bits(keys_of(model), assignment) / 8 / 1024
