"""Calibration of a stack: the float network in binary64, one Observers for each layer and direction.  [SPEC E-4]"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru.calibrate import run_rows
from quant_gru.float_gru import FloatGru
from quant_gru.observers import MOVING, Observers, step_extremes


def observe_layers(
    layers: Sequence[Sequence[FloatGru]],
    observers: Sequence[Sequence[Observers]],
    x: np.ndarray,
    hx: np.ndarray | None,
    lengths: np.ndarray | None,
) -> None:
    """Take one batch in, every layer on what the float layer below gives.  Every direction's steps count in its own order.

    x        float64 [T,N,C]
    hx       float64 [L*D,N,H] or None
    lengths  int64 [N] where rows end before T; nothing behind their end is taken in
    Raises   RangeError naming the operator for NaN or inf; ParameterError without a step or a row, or for another shape of hx
    """
    steps, batch = x.shape[:2]
    if not steps or not batch:
        raise ParameterError("x", f"an array of shape {list(x.shape)}", "at least one step and one row to calibrate on")
    states = (sum(map(len, layers)), batch, layers[0][0].hidden_size)
    if hx is not None and hx.shape != states:
        raise ParameterError("hx", f"a tensor of shape {list(hx.shape)}", f"shape {list(states)}")
    valid = np.ones((steps, batch), bool) if lengths is None else np.arange(steps)[:, None] < lengths
    flipped = np.maximum((np.full(batch, steps) if lengths is None else lengths) - 1 - np.arange(steps)[:, None], 0)
    place = 0
    for grus, seen in zip(layers, observers):
        outputs = []
        for gru, own, backwards in zip(grus, seen, (False, True)):
            value = x[flipped, np.arange(batch)] if backwards else x
            fields = run_rows(gru, value, None if hx is None else hx[place])
            steps = {name: step_extremes(name, fields[OPERATOR_FIELDS[name]], valid=valid) for name in MOVING}
            own.observe(_values(fields, valid), steps=steps)
            y = fields["h"][1:]
            outputs.append(y[flipped, np.arange(batch)] if backwards else y)
            place += 1
        x = np.concatenate(outputs, axis=-1)


def _values(fields: dict[str, np.ndarray], valid: np.ndarray) -> dict[str, np.ndarray]:
    """operator -> [values, features] inside the rows; of the states the initial ones too."""
    found = {}
    for operator, name in OPERATOR_FIELDS.items():
        values = fields[name]
        found[operator] = np.concatenate([values[0], values[1:][valid]]) if name == "h" else values[valid]
    return found


def float64(tensor: torch.Tensor) -> np.ndarray:
    """The values of a tensor on any device."""
    return tensor.detach().to("cpu", torch.float64).numpy()


def batches(data: Any) -> list[Any] | Any:
    """The batches of calibration data: a tensor or a PackedSequence alone, or an iterable of them.

    An item that is a tuple or a list, as loaders give them, counts by its first part.
    Raises   ParameterError for anything else, before or at the batch; where an iterable ends without one
    """
    if isinstance(data, (torch.Tensor, PackedSequence)):
        return [data]
    if isinstance(data, (str, Mapping)) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        found = f"a {type(data).__name__}"
        raise ParameterError("calibration data", found, "a tensor, a PackedSequence or an iterable of them")
    return _each(data)


def followed(items: Any) -> Any:
    """The items of batches, with a progress bar on stderr where that is a terminal and they are several."""
    if isinstance(items, list) or sys.stderr is None or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, description="calibrating", console=Console(stderr=True), transient=True)


def _each(data: Any) -> Iterator[Any]:
    empty = True
    for item in data:
        empty = False
        yield _batch(item)
    if empty:
        raise ParameterError("calibration data", "empty", "at least one batch")


def _batch(item: Any) -> Any:
    if isinstance(item, (tuple, list)) and item and not isinstance(item, PackedSequence):
        item = item[0]
    if not isinstance(item, (torch.Tensor, PackedSequence)):
        raise ParameterError("a batch of calibration data", f"a {type(item).__name__}", "a tensor or a PackedSequence")
    return item
