"""How far the codes of an exported model are from those of the integer network, in LSB: figures, never a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quant_gru.errors import MissingPart
from quant_gru.stack import Outputs, Stack


@dataclass(frozen=True)
class Distance:
    """codes compared, how many differ, the sum of |difference| and the greatest one, in LSB."""

    codes: int = 0
    differing: int = 0
    total: int = 0
    worst: int = 0

    @property
    def mean(self) -> float:
        """The mean of |difference| in LSB."""
        return self.total / self.codes if self.codes else 0.0

    @property
    def equal(self) -> float:
        """The share of codes that are the same."""
        return 1 - self.differing / self.codes if self.codes else 1.0

    def __add__(self, other: Distance) -> Distance:
        sums = self.codes + other.codes, self.differing + other.differing, self.total + other.total
        return Distance(*sums, max(self.worst, other.worst))


def between(a: np.ndarray, b: np.ndarray) -> Distance:
    """The distance of two arrays of codes."""
    d = np.abs(np.asarray(a, np.int64) - np.asarray(b, np.int64))
    return Distance(int(d.size), int((d > 0).sum()), int(d.sum()), int(d.max(initial=0)))


def session(model: Any) -> Any:
    """An onnxruntime session of a ModelProto, or of the model at a path, on the CPU.

    Raises   MissingPart without onnxruntime
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingPart("onnxruntime", "onnx") from None
    content = model.SerializeToString() if hasattr(model, "SerializeToString") else str(model)
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def of_run(run: Any, stack: Stack, x: np.ndarray, h0: np.ndarray | None, expected: Outputs) -> Distance:
    """y_codes and h_n_codes of a session against the integer network's outputs on the same reals.

    run       session of a model of stack in the format qdq or integer
    h0        float32 [L*D,N,H], where the model has this input, or None
    expected  what stack.outputs(x, h0) gives
    """
    feeds = {"x": np.ascontiguousarray(x)} | ({} if h0 is None else {"h0": h0})
    y, last = run.run(["y_codes", "h_n_codes"], feeds)
    wanted = joined(stack, expected.codes)
    return between(y, wanted) + between(last, np.stack(expected.last_codes))


def joined(stack: Stack, codes: Sequence[np.ndarray]) -> np.ndarray:
    """The codes of the last layer as y has them: directions joined, [N,T,...] when the stack is batch_first."""
    both = np.concatenate(codes, axis=-1)
    return np.swapaxes(both, 0, 1) if stack.batch_first else both
