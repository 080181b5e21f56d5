"""Layers and directions of a stack as a graph, whatever a direction is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from quant_gru.onnx_graph import Emitter, Value
from quant_gru.stack import Direction, Stack


class Answer(NamedTuple):
    """What a direction gives, or a whole network.

    y, h_n              what the next layer reads and what the network gives: [T,N,H] and [N,H] of a direction,
                        [T,N,D*H] and [L*D,N,H] of a network
    codes, last_codes   the same as codes
    """

    y: Value
    h_n: Value
    codes: Value
    last_codes: Value


MakeDirection = Callable[[Emitter, Direction, Value, Value | None, Value], Answer]
"""(emitter, direction, x [T,N,C], h0 [N,H] or None, batch size int64 [1]) -> Answer."""


def network(e: Emitter, stack: Stack, x: Value, h0: Value | None, make: MakeDirection) -> Answer:
    """A stack: every layer reads the joined features of the one below.

    x        [T,N,C], or [N,T,C] when the stack is batch_first
    h0       [L*D,N,H], or None
    Returns  Answer; y and codes are turned back when the stack is batch_first
    """
    value = _turned(e, stack, x)
    batch = e.op("Shape", value, start=1, end=2, name="batch")
    last: list[Answer] = []
    for i, layer in enumerate(stack.layers):
        found = [make(e, d, value, initial(e, h0, i * stack.directions + j), batch) for j, d in enumerate(layer)]
        value = _joined(e, [a.y for a in found])
        last += found
    codes = _joined(e, [a.codes for a in found])
    answer = Answer(value, _stacked(e, [a.h_n for a in last]), codes, _stacked(e, [a.last_codes for a in last]))
    return answer._replace(y=_turned(e, stack, answer.y), codes=_turned(e, stack, answer.codes))


def initial(e: Emitter, h0: Value | None, index: int) -> Value | None:
    """[N,H] of the initial states [L*D,N,H]."""
    return None if h0 is None else e.op("Gather", h0, e.const(np.int64(index), "int64"), axis=0)


def expanded(e: Emitter, value: Value, batch: Value, hidden: int) -> Value:
    """A scalar as [N,H]."""
    return e.op("Expand", value, e.op("Concat", batch, e.const([hidden], "int64"), axis=0))


def _joined(e: Emitter, values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else e.op("Concat", *values, axis=-1)


def _stacked(e: Emitter, values: list[Value]) -> Value:
    """[L*D,N,H] of the states [N,H]."""
    axis = e.const([0], "int64")
    rows = [e.op("Unsqueeze", v, axis) for v in values]
    return rows[0] if len(rows) == 1 else e.op("Concat", *rows, axis=0)


def _turned(e: Emitter, stack: Stack, v: Value) -> Value:
    return e.op("Transpose", v, perm=[1, 0, 2]) if stack.batch_first else v
