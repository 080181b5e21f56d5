"""A whole GRU, layer on layer, one or two directions, without torch: float weights and, once quantized, parameter sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from golden.sequence import forward as golden_forward
from golden.spec.arrays import check_shape, real_array
from golden.spec.errors import ParameterError
from golden.spec.params import MShiftDynamicParams, Params
from golden.spec.trace import Trace
from quant_gru.boundary import dequantize_state, quantize_input, quantize_state, states_real
from quant_gru.float_gru import FloatGru
from quant_gru.float_gru import run as run_float
from quant_gru.load import NamedGru

Forward = Callable[..., Trace]
"""forward(params, x, h0, *, reverse) -> Trace, such as golden.sequence.forward or cuda_impl.sequence.forward."""


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction of a layer.

    gru      its float weights, or None where only the parameter set is known
    params   its parameter set, or None while it is not quantized; of the same C and H
    reverse  whether it reads from T-1 to 0
    """

    gru: FloatGru | None
    params: Params | None = None
    reverse: bool = False

    def __post_init__(self) -> None:
        if self.gru is None and self.params is None:
            raise ParameterError("direction", "without weights and parameters", "at least one of them")
        if self.gru is not None and self.params is not None:
            sizes = [(s.input_size, s.hidden_size) for s in (self.params, self.gru)]
            if sizes[0] != sizes[1]:
                raise ParameterError("params (C, H)", sizes[0], f"{sizes[1]}, as the weights have")

    @property
    def input_size(self) -> int:
        """C"""
        return (self.params or self.gru).input_size  # type: ignore[union-attr]

    @property
    def hidden_size(self) -> int:
        """H"""
        return (self.params or self.gru).hidden_size  # type: ignore[union-attr]


class Outputs(NamedTuple):
    """What a run of a stack gives.

    y, h_n   float32, shapes as torch.nn.GRU gives them
    traces   of the integer network, layer by layer, direction by direction; empty for the float one
    """

    y: np.ndarray
    h_n: np.ndarray
    traces: tuple[tuple[Trace, ...], ...] = ()

    @property
    def codes(self) -> tuple[np.ndarray, ...]:
        """The outputs of the last layer as codes, int32 [T,N,H] for each direction."""
        return tuple(trace.output for trace in self.traces[-1])

    @property
    def last_codes(self) -> tuple[np.ndarray, ...]:
        """The last states as codes, int32 [N,H], in the order of h_n."""
        return tuple(trace.h_n for layer in self.traces for trace in layer)


@dataclass(frozen=True, eq=False, repr=False)
class Stack:
    """Layers of one or two directions, the forward one first, as torch.nn.GRU stacks them.

    layers       each a tuple of one or two Direction; layer i + 1 reads the features that layer i gives
    batch_first  whether x and y are [N,T,...] instead of [T,N,...]; states are [L*D,N,H] either way
    Raises       ParameterError naming layer and direction when they do not fit on each other
    """

    layers: tuple[tuple[Direction, ...], ...]
    batch_first: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(tuple(layer) for layer in self.layers))
        if not self.layers:
            raise ParameterError("layers", "empty", "at least one layer")
        first = self.layers[0]
        for i, layer in enumerate(self.layers):
            if tuple(d.reverse for d in layer) != ((False,), (False, True))[len(first) == 2]:
                found = [d.reverse for d in layer]
                raise ParameterError(f"layer {i} reverse", found, "a forward direction, or forward and reverse, in all layers")
            inputs = first[0].input_size if i == 0 else len(first) * first[0].hidden_size
            for d in layer:
                if (d.input_size, d.hidden_size) != (inputs, first[0].hidden_size):
                    wanted = f"{(inputs, first[0].hidden_size)}, which fits the others"
                    raise ParameterError(f"layer {i} (C, H)", (d.input_size, d.hidden_size), wanted)

    def __repr__(self) -> str:
        sizes = f"C={self.input_size}, H={self.hidden_size}, layers={len(self.layers)}, directions={self.directions}"
        return f"Stack({sizes}, batch_first={self.batch_first}, quantized={self.quantized})"

    @property
    def directions(self) -> int:
        """D, 1 or 2."""
        return len(self.layers[0])

    @property
    def input_size(self) -> int:
        """C of the first layer."""
        return self.layers[0][0].input_size

    @property
    def hidden_size(self) -> int:
        """H"""
        return self.layers[0][0].hidden_size

    @property
    def quantized(self) -> bool:
        """Whether every direction has its parameter set."""
        return all(d.params is not None for layer in self.layers for d in layer)

    def with_params(self, params: Sequence[Sequence[Params]]) -> Stack:
        """The same stack with these parameter sets, layer by layer, direction by direction."""
        layers = tuple(
            tuple(replace(d, params=p) for d, p in zip(layer, sets, strict=True))
            for layer, sets in zip(self.layers, params, strict=True)
        )
        return replace(self, layers=layers)

    def run(self, x: Any, h0: Any = None, *, forward: Forward = golden_forward) -> tuple[np.ndarray, np.ndarray]:
        """(y, h_n) of the integer network: reals between the layers, by Q-3, and codes again by Q-1 (or Q-2).

        x        float32 [T,N,C], or [N,T,C] when batch_first
        h0       float32 [L*D,N,H]; None is zero
        forward  golden's or the twin's
        Returns  y float32 [T,N,D*H] ([N,T,D*H]), h_n float32 [L*D,N,H]
        Raises   ParameterError for a wrong shape or dtype, or a direction that is not quantized
        """
        out = self.outputs(x, h0, forward=forward)
        return out.y, out.h_n

    def outputs(self, x: Any, h0: Any = None, *, forward: Forward = golden_forward) -> Outputs:
        """As run, with the trace of every layer and direction."""
        value, start = self._inputs(x, h0)
        traces: list[tuple[Trace, ...]] = []
        last: list[np.ndarray] = []
        for i, layer in enumerate(self.layers):
            found = []
            for j, d in enumerate(layer):
                if d.params is None:
                    raise ParameterError(f"layer {i} params", "missing", "a quantized network")
                state = None if start is None else start[i * self.directions + j]
                found.append(_run(d, value, state, forward))
            value = np.concatenate([states_real(d.params, t) for d, t in zip(layer, found)], axis=-1)
            last += [_last(d.params, t) for d, t in zip(layer, found)]
            traces.append(tuple(found))
        return Outputs(self._oriented(value), np.stack(last), tuple(traces))

    def run_float(self, x: Any, h0: Any = None, *, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
        """(y, h_n) of the float network, shapes as in run; arithmetic in dtype."""
        value, start = self._inputs(x, h0)
        last: list[np.ndarray] = []
        for i, layer in enumerate(self.layers):
            outputs = []
            for j, d in enumerate(layer):
                if d.gru is None:
                    raise ParameterError(f"layer {i} gru", "missing", "float weights")
                state = None if start is None else start[i * self.directions + j]
                h = run_float(d.gru, value, state, reverse=d.reverse, dtype=dtype)["h"]
                outputs.append(h[1:])
                last.append(h[1] if d.reverse and len(h) > 1 else h[-1])
            value = np.concatenate(outputs, axis=-1)
        return self._oriented(value), np.stack(last)

    def _inputs(self, x: Any, h0: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """x as [T,N,C], and the states."""
        value = real_array("x", x, (None, None, self.input_size))
        value = np.swapaxes(value, 0, 1) if self.batch_first else value
        if h0 is None:
            return value, None
        start = np.asarray(h0)
        check_shape("h0", start, (len(self.layers) * self.directions, value.shape[1], self.hidden_size))
        return value, real_array("h0", start, start.shape)

    def _oriented(self, y: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.swapaxes(y, 0, 1)) if self.batch_first else y


def stack_of(grus: Sequence[NamedGru], *, batch_first: bool = False) -> Stack:
    """The stack of one network of a file: the members of one group of quant_gru.load.load_model, in its order.

    Raises   ParameterError when the members belong to several groups or do not fit on each other
    """
    groups = sorted({g.group for g in grus})
    if len(groups) != 1:
        raise ParameterError("network", ", ".join(g or "(no prefix)" for g in groups), "the members of one group")
    layers = sorted({g.layer for g in grus})
    return Stack(tuple(tuple(Direction(g.gru, None, g.reverse) for g in grus if g.layer == i) for i in layers), batch_first)


def _run(d: Direction, x: np.ndarray, h0: np.ndarray | None, forward: Forward) -> Trace:
    if isinstance(d.params, MShiftDynamicParams):
        return forward(d.params, np.ascontiguousarray(x), h0, reverse=d.reverse)
    state = None if h0 is None else quantize_state(d.params, h0)  # type: ignore[arg-type]
    return forward(d.params, quantize_input(d.params, x), state, reverse=d.reverse)  # type: ignore[arg-type]


def _last(params: Any, trace: Trace) -> np.ndarray:
    """float32 [N,H]: the state after the last processed step."""
    if trace.state is None:
        return dequantize_state(params, trace.h_n)
    state = trace.state
    return (state.h.astype(np.int64) - state.zp_h).astype(np.float32) * np.float32(state.s_h)
