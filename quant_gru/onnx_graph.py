"""Graphs written once and emitted twice: by onnx.helper, or through the exporter of torch (quant_gru.onnx_torch).

The functions that describe a network (onnx_integer, onnx_qdq) take an Emitter and the names, or values, that it gives out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from quant_gru.errors import MissingPart

Value = Any
"""What an emitter calls a tensor: a name in an ONNX graph, a value of torch's graph."""


class Kind(NamedTuple):
    """Element type and shape of a tensor; a string is a size that is known only when the graph runs."""

    dtype: str
    shape: tuple[int | str, ...]


class Emitter(Protocol):
    """Where operators go.  opset is the version of the ONNX domain."""

    opset: int

    def op(self, kind: str, *inputs: Value, outputs: int = 1, name: str = "", **attributes: Any) -> Any:
        """An operator of the ONNX domain; its output, or the tuple of its outputs.  name is a hint."""

    def const(self, array: Any, dtype: str, name: str = "") -> Value:
        """A constant tensor."""

    def scan(
        self,
        body: Callable[[Emitter, Sequence[Value], Sequence[Value]], tuple[Sequence[Value], Sequence[Value]]],
        states: Sequence[tuple[Value, Kind]],
        sequences: Sequence[tuple[Value, Kind]],
        collected: Sequence[Kind],
        reverse: bool,
        name: str = "",
    ) -> tuple[Sequence[Value], Sequence[Value]]:
        """A Scan over axis 0.

        body       (emitter of the body, states, slices) -> (next states, slices to collect)
        states     initial values, and what they are inside
        sequences  values, and what their slices are inside
        collected  what the collected slices are
        reverse    read and collect from the last to the first
        Returns    (last states, collected sequences)
        """


def weights(e: Emitter, array: np.ndarray, dtype: str, name: str) -> Value:
    """Integer weights, kept in the narrowest type that holds them and widened to dtype in the graph."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for narrow in ("int8", "int16", "int32"):
        info = np.iinfo(narrow)
        if info.min <= low and high <= info.max:
            break
    return cast(e, e.const(array, narrow, name), dtype)


def cast(e: Emitter, v: Value, dtype: str, name: str = "") -> Value:
    """v in another element type."""
    return e.op("Cast", v, to=element_type(dtype), name=name)


def element_type(dtype: str) -> int:
    """The number that ONNX has for an element type."""
    return {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9}[dtype]


def need_onnx() -> Any:
    """The package onnx.

    Raises   MissingPart naming the extra
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise MissingPart("onnx", "onnx") from None
    return onnx


class OnnxEmitter:
    """Collects nodes and initializers of one graph; bodies of a Scan have their own, with names that differ from all others."""

    def __init__(self, opset: int, taken: set[str] | None = None) -> None:
        self.opset = opset
        self.onnx = need_onnx()
        self.nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._taken = set() if taken is None else taken

    def fresh(self, name: str) -> str:
        """name, or name_2, name_3, ... when it is taken."""
        found, count = name, 1
        while found in self._taken:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found

    def op(self, kind: str, *inputs: str, outputs: int = 1, name: str = "", **attributes: Any) -> Any:
        names = [self.fresh(name or kind.lower()) for _ in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), names, names[0], **attributes))
        return names[0] if outputs == 1 else tuple(names)

    def const(self, array: Any, dtype: str, name: str = "") -> str:
        values = np.ascontiguousarray(np.asarray(array).astype(dtype))
        values = values.reshape(np.shape(array))
        key = (dtype, values.shape, values.tobytes())
        if key not in self._constants:
            self._constants[key] = self.fresh(name or "constant")
            self._initializers.append(self.onnx.numpy_helper.from_array(values, self._constants[key]))
        return self._constants[key]

    @property
    def initializers(self) -> list[Any]:
        """The constants that a node reads."""
        read = {name for node in self.nodes for name in node.input}
        return [tensor for tensor in self._initializers if tensor.name in read]

    def info(self, name: str, kind: Kind) -> Any:
        """The description of an input or output."""
        return self.onnx.helper.make_tensor_value_info(name, element_type(kind.dtype), list(kind.shape))

    def scan(
        self,
        body: Callable[..., tuple[Sequence[str], Sequence[str]]],
        states: Sequence[tuple[str, Kind]],
        sequences: Sequence[tuple[str, Kind]],
        collected: Sequence[Kind],
        reverse: bool,
        name: str = "",
    ) -> tuple[Sequence[str], Sequence[str]]:
        name = self.fresh(name or "scan")
        inner = OnnxEmitter(self.opset, self._taken)
        before = [inner.fresh(f"{name}_state") for _ in states]
        slices = [inner.fresh(f"{name}_slice") for _ in sequences]
        values = body(inner, before, slices)
        # an output of its own name for each: a body may not give out the same tensor twice
        after, out = ([inner.op("Identity", v, name=f"{name}_{n}") for v in vs] for n, vs in zip(("next", "out"), values))
        inputs = [inner.info(n, kind) for n, (_, kind) in zip(before + slices, [*states, *sequences])]
        kinds = [kind for _, kind in states] + list(collected)
        outputs = [inner.info(n, kind) for n, kind in zip([*after, *out], kinds)]
        graph = self.onnx.helper.make_graph(inner.nodes, f"{name}_body", inputs, outputs, inner.initializers)
        found = self.op(
            "Scan", *(v for v, _ in states), *(v for v, _ in sequences), outputs=len(kinds), name=name,
            body=graph, num_scan_inputs=len(sequences),
            scan_input_directions=[int(reverse)] * len(sequences), scan_output_directions=[int(reverse)] * len(collected),
        )  # fmt: skip
        found = (found,) if len(kinds) == 1 else found
        return found[: len(states)], found[len(states) :]
