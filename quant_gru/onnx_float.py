"""The float network as ONNX: one standard GRU node for each layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from golden.spec.errors import ParameterError
from quant_gru.onnx_graph import Emitter, Value
from quant_gru.stack import Direction, Stack


def float_network(e: Emitter, stack: Stack, x: Value, h0: Value | None) -> tuple[Value, Value]:
    """(y, h_n) of the float weights; arguments and shapes as in quant_gru.onnx_network.network.

    The gates of the node are in our order, z, r, h; linear_before_reset = 1 is the GRU of PyTorch and cuDNN.
    """
    value = e.op("Transpose", x, perm=[1, 0, 2]) if stack.batch_first else x
    last = []
    for i, layer in enumerate(stack.layers):
        starts = [] if h0 is None else ["", _rows(e, h0, i * stack.directions, stack.directions)]
        arrays = _arrays(layer, i)
        inputs = [e.const(array, "float32", f"{name}_l{i}") for name, array in zip("WRB", arrays)]
        y, h = e.op(
            "GRU", value, *inputs, *starts, outputs=2, name=f"gru_l{i}",
            direction="bidirectional" if stack.directions == 2 else "forward",
            hidden_size=stack.hidden_size, linear_before_reset=1,
        )  # fmt: skip
        # [T,D,N,H] to [T,N,D*H]; a 0 keeps the size that is there
        value = e.op("Reshape", e.op("Transpose", y, perm=[0, 2, 1, 3]), e.const([0, 0, -1], "int64"))
        last.append(h)
    value = e.op("Transpose", value, perm=[1, 0, 2]) if stack.batch_first else value
    return value, last[0] if len(last) == 1 else e.op("Concat", *last, axis=0)


def _arrays(layer: Sequence[Direction], index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W [D,3H,C], R [D,3H,H], B [D,6H] as the node takes them."""
    grus = []
    for d in layer:
        if d.gru is None:
            raise ParameterError(f"layer {index} gru", "missing", "float weights")
        grus.append(d.gru)
    biases = np.stack([np.concatenate([g.bx, g.br]) for g in grus])
    return np.stack([g.W.T for g in grus]), np.stack([g.R.T for g in grus]), biases


def _rows(e: Emitter, h0: Value, start: int, count: int) -> Value:
    """The initial states [D,N,H] of a layer."""
    bounds = (e.const([v], "int64") for v in (start, start + count, 0))
    return e.op("Slice", h0, *bounds)
