"""What torch.onnx.export(..., dynamo=False) sees of a QuantGRU: the graphs of quant_gru.onnx, with T and N dynamic.

A loop that is traced keeps the number of steps of its example; here one autograd function stands for the network, and its
symbolic gives the exporter a Scan whose body is a graph of its own. The exporter has no writer of a Scan but writes a graph
that is an attribute, which is what a body is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from golden.spec.errors import ParameterError
from quant_gru.module_tracing import refuse_torch_export
from quant_gru.onnx_graph import Kind, cast
from quant_gru.onnx_integer import integer_direction
from quant_gru.onnx_network import network
from quant_gru.onnx_qdq import qdq_direction
from quant_gru.stack import Stack

DIRECTIONS = {"qdq": qdq_direction, "integer": integer_direction}


def forward_for_export(module: Any, x: torch.Tensor, hx: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The forward of a QuantGRU in export mode, for tracing by torch.onnx.export(..., dynamo=False).

    module   a torch.nn.GRU with export_format and stack()
    x, hx    as torch.nn.GRU takes them, batched or not
    Returns  (output, h_n); of "float" torch.nn.GRU's, of "integer" the integer network's, and the integer network's values too
             where "qdq" is called outside the exporter
    Raises   ParameterError for a PackedSequence, another dtype than float32, or a network that the format cannot express;
             RuntimeError without a calibration, or of "qdq" and "integer" under torch.export
    """
    if isinstance(x, PackedSequence):
        raise ParameterError("input", "a PackedSequence", "a tensor in export mode")
    if module.export_format == "float":
        return nn.GRU.forward(module, x, hx)
    refuse_torch_export()
    if x.dtype != torch.float32:
        raise ParameterError("input", f"a tensor of {x.dtype}", "float32 in export mode")
    module.quant_params()  # without a calibration it says what to call
    stack, batch_dim = module.stack(), 0 if module.batch_first else 1
    if x.dim() == 3:
        return export_stack(stack, module.export_format, x, hx)
    y, h_n = export_stack(stack, module.export_format, x.unsqueeze(batch_dim), None if hx is None else hx.unsqueeze(1))
    return y.squeeze(batch_dim), h_n.squeeze(1)


def export_stack(
    stack: Stack, format: str, x: torch.Tensor, h0: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(y, h_n) of the integer network, and in the exporter the graph of "qdq" or "integer".

    x        float32 [T,N,C], or [N,T,C] when the stack is batch_first
    h0       float32 [L*D,N,H], or None for zero
    """
    if format not in DIRECTIONS:
        raise ParameterError("format", repr(format), f"one of {', '.join(DIRECTIONS)}")
    return _Network.apply(x, h0, stack, format)


class _Network(torch.autograd.Function):
    """Runs the integer network; tells the exporter how to write it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, h0: Any, stack: Stack, format: str) -> tuple[torch.Tensor, torch.Tensor]:
        with warnings.catch_warnings():
            # what a tracer records of this run is replaced by the symbolic
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            start = None if h0 is None else h0.detach().to("cpu", torch.float32).numpy()
            y, h_n = stack.run(x.detach().to("cpu", torch.float32).numpy(), start)
            return torch.from_numpy(np.ascontiguousarray(y)).to(x.device), torch.from_numpy(h_n).to(x.device)

    @staticmethod
    def symbolic(g: Any, x: Any, h0: Any, stack: Stack, format: str) -> tuple[Any, Any]:
        e = TorchEmitter(g)
        given = h0 is not None and not (hasattr(h0, "node") and h0.node().mustBeNone())
        answer = network(e, stack, x, h0 if given else None, DIRECTIONS[format])
        time = [None, None]
        answer.y.setType(_type("float32", (*time, stack.directions * stack.hidden_size)))
        answer.h_n.setType(_type("float32", (len(stack.layers) * stack.directions, None, stack.hidden_size)))
        return answer.y, answer.h_n


class TorchEmitter:
    """Emits into the graph that torch's exporter is making, or into the body of a Scan in it.

    g       the exporter's graph context
    body    the graph of a body; its nodes are made without the exporter, whose shape inference knows values by numbers that
            are those of other values in another graph
    """

    def __init__(self, g: Any, body: Any = None) -> None:
        self.g, self.body = g, body
        self.opset = int(g.opset)
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Any] = {}

    def op(self, kind: str, *inputs: Any, outputs: int = 1, name: str = "", **attributes: Any) -> Any:
        typed = {(k, _letter(v)): v for k, v in attributes.items()}
        if self.body is None:
            return self.g.op(kind, *inputs, outputs=outputs, **{f"{k}_{letter}": v for (k, letter), v in typed.items()})
        node = self.body.create(f"onnx::{kind}", list(inputs), outputs)
        for (k, letter), v in typed.items():
            getattr(node, f"{letter}s_" if isinstance(v, list) else f"{letter}_")(k, v)
        self.body.appendNode(node)
        return node.output() if outputs == 1 else tuple(node.outputs())

    def const(self, array: Any, dtype: str, name: str = "") -> Any:
        values = np.asarray(array).astype(dtype)
        key = (dtype, values.shape, values.tobytes())
        if key not in self._constants:
            if dtype == "uint16":  # the exporter does not write constants of this type
                made = cast(self, self.const(array, "int32"), dtype)
            else:
                made = self.op("Constant", value=torch.from_numpy(values.copy()))
            self._constants[key] = made
        return self._constants[key]

    def scan(
        self,
        body: Callable[..., tuple[Sequence[Any], Sequence[Any]]],
        states: Sequence[tuple[Any, Kind]],
        sequences: Sequence[tuple[Any, Kind]],
        collected: Sequence[Kind],
        reverse: bool,
        name: str = "",
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        graph: Any = torch._C.Graph()
        inner = TorchEmitter(self.g, graph)
        inputs = []
        for i, (_, kind) in enumerate([*states, *sequences]):
            inputs.append(graph.addInput(f"{name}_input_{i}"))
            inputs[-1].setType(_type(*kind))
        after, out = body(inner, inputs[: len(states)], inputs[len(states) :])
        kinds = [kind for _, kind in states] + list(collected)
        for value, kind in zip([*after, *out], kinds):
            given = inner.op("Identity", value)  # a body may not give out the same tensor twice
            given.setType(_type(*kind))
            graph.registerOutput(given)
        found = self.g.op(
            "Scan", *(v for v, _ in states), *(v for v, _ in sequences), outputs=len(kinds),
            body_g=graph, num_scan_inputs_i=len(sequences),
            scan_input_directions_i=[int(reverse)] * len(sequences), scan_output_directions_i=[int(reverse)] * len(collected),
        )  # fmt: skip
        found = (found,) if len(kinds) == 1 else found
        for i, (value, kind) in enumerate(zip(found, kinds)):
            value.setType(_type(kind.dtype, kind.shape if i < len(states) else ("T", *kind.shape)))
        return found[: len(states)], found[len(states) :]


def _letter(value: Any) -> str:
    """The suffix by which the exporter knows the type of an attribute."""
    first = value[0] if isinstance(value, list) else value
    if isinstance(first, torch.Tensor):
        return "t"
    return "s" if isinstance(first, str) else "f" if isinstance(first, float) else "i"


def _type(dtype: str, shape: Sequence[int | str | None]) -> Any:
    """The type of a value; a size that is not a number is open."""
    if dtype == "uint16":
        raise ParameterError("format of h", dtype, "a signed one, or export_onnx: the exporter of torch has no uint16")
    example = torch.empty([1] * len(shape), dtype=getattr(torch, dtype))
    return torch._C.TensorType.create_from_tensor(example).with_sizes([s if isinstance(s, int) else None for s in shape])
