"""How far the codes of the ONNX exports are from golden's, in LSB of the state: the table of docs/onnx.md.

python benchmarks/onnx_distance.py [--networks 20] [--words 40]

Networks are drawn as torch.nn.GRU initializes its weights, with normally distributed input that also calibrates them; g2p is
the trained encoder and decoder of g2p-en on the first words of its list, which calibrate them too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from golden.spec.params import Params
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate import collect
from quant_gru.float_gru import FloatGru
from quant_gru.g2p import decoder_batches, encoder_batches, load_g2p
from quant_gru.observers import Observers
from quant_gru.onnx import build
from quant_gru.onnx_distance import Distance, of_run, session
from quant_gru.stack import Direction, Stack
from quant_gru.transcribe import encode_words, float_network, transcribe

QUADRATIC = "piecewise_quadratic"
SETTINGS: dict[str, Callable[[FloatGru, Observers], Params]] = {
    "pot, 8 bit": lambda gru, seen: pot_params(gru, seen, 8),
    "pot, 16 bit": lambda gru, seen: pot_params(gru, seen, 16),
    "pot, 16 bit, quadratic": lambda gru, seen: pot_params(gru, seen, 16, activation=QUADRATIC),
    "mshift, 8 bit gates": lambda gru, seen: mshift_params(gru, seen),
    "mshift, 16 bit gates": lambda gru, seen: mshift_params(gru, seen, gate_bits=16),
}
STEPS, ROWS = 50, 8

Run = tuple[np.ndarray, np.ndarray | None]  # x [T,N,C], h0 [N,H]


def drawn(count: int) -> Iterator[tuple[FloatGru, list[Run]]]:
    """Networks of 1 to 32 inputs and 1 to 64 units, each with its data."""
    for seed in range(count):
        rng = np.random.Generator(np.random.PCG64(seed))
        inputs, hidden = int(rng.integers(1, 33)), int(rng.integers(1, 65))
        shapes = ((inputs, 3 * hidden), (hidden, 3 * hidden), (3 * hidden,), (3 * hidden,))
        weights = ((rng.random(s) * 2 - 1).astype(np.float32) / np.float32(np.sqrt(hidden)) for s in shapes)
        yield FloatGru(*weights), [(rng.standard_normal((STEPS, ROWS, inputs)).astype(np.float32), None)]


def g2p(words: int) -> dict[str, tuple[FloatGru, list[Run]]]:
    """The encoder on words, and the decoder on what the float network says of them."""
    model = load_g2p()
    chosen = model.words[:words]
    encoder, decoder = float_network(model.encoder), float_network(model.decoder)
    last = encode_words(model, chosen, encoder).astype(np.float32)
    phonemes = transcribe(model, chosen, encoder, decoder)
    return {
        "g2p encoder": (model.encoder, [(x, None) for _, x in encoder_batches(model, chosen)]),
        "g2p decoder": (model.decoder, [(x, last[rows]) for rows, x in decoder_batches(model, phonemes)]),
    }


def distances(gru: FloatGru, runs: list[Run], make: Callable[[FloatGru, Observers], Params]) -> tuple[Distance, Distance]:
    """(integer, qdq) of one network."""
    stack = Stack(((Direction(gru, make(gru, collect(gru, runs, "histogram"))),),))
    found = [Distance(), Distance()]
    with_state = runs[0][1] is not None
    sessions = [session(build(stack, form, initial_state=with_state)) for form in ("integer", "qdq")]
    for x, h0 in runs:
        start = None if h0 is None else h0[None]
        expected = stack.outputs(x, start)
        for i, run in enumerate(sessions):
            found[i] = found[i] + of_run(run, stack, x, start, expected)
    return found[0], found[1]


def rows(name: str, networks: Iterable[tuple[FloatGru, list[Run]]]) -> Iterator[str]:
    """A line of the table for each setting."""
    known = list(networks)
    for setting, make in SETTINGS.items():
        integer, qdq = Distance(), Distance()
        for gru, runs in known:
            a, b = distances(gru, runs, make)
            integer, qdq = integer + a, qdq + b
        share = f"{100 * qdq.equal:.1f} % | {qdq.mean:.3f} | {qdq.worst}"
        yield f"| {name} | {setting} | {qdq.codes} | {integer.differing} | {share} |"


def main(arguments: Any = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--words", type=int, default=40)
    given = parser.parse_args(arguments)
    print("| network | setting | codes | integer: differ | qdq: equal | qdq: mean LSB | qdq: worst LSB |")
    print("|---|---|---|---|---|---|---|")
    for line in rows(f"{given.networks} drawn", drawn(given.networks)):
        print(line, flush=True)
    if given.words:
        for name, network in g2p(given.words).items():
            for line in rows(name, [network]):
                print(line, flush=True)


if __name__ == "__main__":
    main()
