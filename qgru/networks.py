"""Whole networks as cases of a vector set: the encoder of g2p-en, or every GRU of a model file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from golden.sequence import forward
from golden.spec.params import MShiftDynamicParams, Params
from quant_gru.boundary import quantize_input
from quant_gru.build import dynamic_params, mshift_params, pot_params
from quant_gru.calibrate import Ranges, calibrate
from quant_gru.float_gru import FloatGru
from quant_gru.g2p import encoder_batches, load_g2p
from quant_gru.load import load_model
from vectors.case import Case, case_from_trace
from vectors.draw import Draw

STEPS, BATCH = 8, 2
ROWS = 2
WORD_LENGTH = 6


def network_cases(model: str, level: int, datapath: str, seed: int) -> Iterator[Case]:
    """Cases of a model.

    model     "g2p", or a file that quant_gru.load reads
    level     2 and 3 add the 16-bit settings
    datapath  all, mshift, mshift-dynamic or pot
    Raises    QgruError, OSError; MissingPart when g2p-en is not installed
    """
    for name, gru, ranges, x in _networks(model, seed):
        for setting, least, params in _settings(gru, ranges, datapath):
            if least <= level:
                yield _case(f"network-{name}-{setting}", params, x, least, name)


def _networks(model: str, seed: int) -> Iterator[tuple[str, FloatGru, Ranges, np.ndarray]]:
    if model == "g2p":
        network = load_g2p()
        batches = encoder_batches(network, network.words)
        ranges = calibrate(network.encoder, [x for _, x in batches])
        x = next(x for _, x in batches if len(x) >= WORD_LENGTH)
        yield "g2p-encoder", network.encoder, ranges, x[:, :ROWS]
        return
    for named in load_model(Path(model)).grus:
        gru, id = named.gru, "".join(c if c.isascii() and c.isalnum() else "-" for c in named.name).strip("-") or "gru"
        x = Draw(seed, f"network {id}").reals(-4, 0, STEPS * BATCH * gru.input_size).reshape(STEPS, BATCH, gru.input_size)
        yield id, gru, calibrate(gru, [x]), x


def _settings(gru: FloatGru, ranges: Ranges, datapath: str) -> Iterator[tuple[str, int, Params]]:
    if datapath in ("all", "mshift"):
        yield "mshift8", 1, mshift_params(gru, ranges)
        yield "mshift16", 2, mshift_params(gru, ranges, gate_bits=16)
    if datapath in ("all", "pot"):
        yield "pot8", 1, pot_params(gru, ranges)
        yield "pot16", 2, pot_params(gru, ranges, 16)
        yield "pot16-quadratic", 2, pot_params(gru, ranges, 16, activation="piecewise_quadratic")
    if datapath in ("all", "mshift-dynamic"):
        yield "dynamic8", 1 if datapath != "all" else 2, dynamic_params(gru)


def _case(id: str, params: Params, x: np.ndarray, level: int, name: str) -> Case:
    given = np.ascontiguousarray(x) if isinstance(params, MShiftDynamicParams) else quantize_input(params, x)
    comment = f"The network {name}, {len(x)} steps, {x.shape[1]} rows."
    return case_from_trace(id, params, given, None, forward(params, given), group="network", comment=comment, level=level)
