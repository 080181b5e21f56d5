"""Words to phonemes in closed loop, with the float network or through any forward function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from golden.spec.params import MShiftDynamicParams, Params
from golden.spec.trace import DynamicState, Trace
from quant_gru.boundary import quantize_input, quantize_state, states_real
from quant_gru.calibrate import collect
from quant_gru.float_gru import FloatGru, run
from quant_gru.g2p import MAX_PHONEMES, START, STOP, G2p, decoder_batches, encoder_batches
from quant_gru.observers import Observers

Forward = Callable[[Any, np.ndarray, Any], Trace]
"""forward(params, x, h0) -> Trace, such as golden.sequence.forward or cuda_impl.sequence.forward."""


@dataclass(frozen=True)
class Network:
    """A GRU behind its float boundary.

    run    (x float32 [T,N,C], state) -> (outputs as reals [T,N,H], next state)
    start  initial state from real h [N,H]; None is the state before everything
    A state is whatever the network goes on from; rows of it are taken by rows_of.
    """

    run: Callable[[np.ndarray, Any], tuple[np.ndarray, Any]]
    start: Callable[[np.ndarray | None], Any]


def float_network(gru: FloatGru) -> Network:
    """The float network in binary64."""

    def step(x: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        h = run(gru, x, state)["h"]
        return h[1:], h[-1]

    return Network(step, lambda h: h)


def integer_network(params: Params, forward: Forward) -> Network:
    """A parameter set, run by forward.

    Static sets quantize x and the initial state with their own scales; dynamic ones take reals and go on from a
    DynamicState, so that steps run one at a time share their moving ranges.
    """

    def step(x: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        if isinstance(params, MShiftDynamicParams):
            trace = forward(params, np.asarray(x, np.float32), state)
            return states_real(params, trace), trace.state
        trace = forward(params, quantize_input(params, x), state)
        return states_real(params, trace), trace.h_n

    def start(h: np.ndarray | None) -> Any:
        if h is None or isinstance(params, MShiftDynamicParams):
            return None if h is None else np.asarray(h, np.float32)
        return quantize_state(params, np.asarray(h, np.float32))

    return Network(step, start)


def rows_of(state: Any, keep: np.ndarray) -> Any:
    """The state of some rows of a batch."""
    return replace(state, h=state.h[keep]) if isinstance(state, DynamicState) else state[keep]


def encode_words(model: G2p, words: Sequence[str], encoder: Network) -> np.ndarray:
    """[N,H] reals: the last encoder state of every word, run in batches of equal length."""
    last = np.zeros((len(words), model.encoder.hidden_size))
    for rows, x in encoder_batches(model, words):
        last[rows] = encoder.run(x, encoder.start(None))[0][-1]
    return last


def transcribe(model: G2p, words: Sequence[str], encoder: Network, decoder: Network) -> list[list[int]]:
    """Phonemes of every word by greedy decoding: at most 20, up to and without </s>.

    The decoder runs one step at a time over all words in one batch; a word that has ended leaves the batch, so that
    it no longer moves the ranges of the others.
    """
    phonemes: list[list[int]] = [[] for _ in words]
    active = np.arange(len(words))
    last = np.full(len(words), START)
    state = decoder.start(encode_words(model, words, encoder))
    for _ in range(MAX_PHONEMES):
        if not len(active):
            break
        h, state = decoder.run(model.dec_emb[last][None], state)
        last = (h[0].astype(np.float64) @ model.fc_w.T.astype(np.float64) + model.fc_b).argmax(axis=1)
        going = np.flatnonzero(last != STOP)
        active, last, state = active[going], last[going], rows_of(state, going)
        for word, phoneme in zip(active, last):
            phonemes[word].append(int(phoneme))
    return phonemes


@dataclass(frozen=True)
class Calibrated:
    """What was seen of both networks, and what the float network says to the calibration words."""

    encoder: Observers
    decoder: Observers
    phonemes: list[list[int]]

    def using(self, method: str, percentile: float | None = None) -> Calibrated:
        """The same statistics under another method."""
        return Calibrated(self.encoder.using(method, percentile), self.decoder.using(method, percentile), self.phonemes)


def calibrate_g2p(model: G2p, words: Sequence[str], method: str = "minmax", *, ema: bool = False) -> Calibrated:
    """Statistics of encoder and decoder over what the float network reads and writes for these words.

    method, ema  as in quant_gru.observers.Observers
    """
    encoder, decoder = float_network(model.encoder), float_network(model.decoder)
    phonemes, last = transcribe(model, words, encoder, decoder), encode_words(model, words, encoder)
    spelled = [x for _, x in encoder_batches(model, words)]
    spoken = [(x, last[rows]) for rows, x in decoder_batches(model, phonemes)]
    return Calibrated(
        collect(model.encoder, spelled, method, ema=ema), collect(model.decoder, spoken, method, ema=ema), phonemes
    )
