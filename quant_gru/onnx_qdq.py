"""The float network with the quantization of every operator written into it: QuantizeLinear and DequantizeLinear in a Scan.

The scales, zero points and weight codes are those of the parameter set; the arithmetic between them is float32, and the
activations are Sigmoid and Tanh. The codes are near those of the integer network, not equal to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from golden.rescale import S_ONE
from golden.spec.errors import ParameterError
from golden.spec.formats import INT8, IntFormat
from golden.spec.layout import GATES
from golden.spec.params import MShiftParams, PotParams
from quant_gru.boundary import Point, point
from quant_gru.onnx_graph import Emitter, Kind, Value, cast
from quant_gru.onnx_integer import static
from quant_gru.onnx_integer_steps import dequantize
from quant_gru.onnx_network import Answer, expanded
from quant_gru.stack import Direction

WIDE_OPSET = 21  # QuantizeLinear of 16 bits


class Weight(NamedTuple):
    """Codes of weights [K,3H] or biases [3H] and their scale, one or one for each column."""

    codes: np.ndarray
    fmt: IntFormat
    scale: Any


class Points(NamedTuple):
    """Where a set quantizes: its weights, and name -> Point of every tensor that has codes."""

    weights: dict[str, Weight]
    tensors: dict[str, Point]


def qdq_direction(e: Emitter, d: Direction, x: Value, h0: Value | None, batch: Value) -> Answer:
    """A direction with QuantizeLinear and DequantizeLinear wherever its parameter set has codes.

    x      float32 [T,N,C]
    h0     float32 [N,H], or None for zero
    batch  int64 [1], N
    Raises ParameterError for a zero point that the element type cannot hold
    """
    params = static(d)
    q = Quantizers(_points(params), e.opset)
    hidden = params.hidden_size
    wx = q.pair(e, "Wx", e.op("MatMul", q.pair(e, "x", x), q.weight(e, "W")))
    parts = [e.op("Add", v, q.bias(e, "bx", i)) for i, v in enumerate(_split(e, wx, hidden, "Wx"))]
    if h0 is None:
        h0 = expanded(e, e.const(np.float32(0), "float32"), batch, hidden)

    def body(b: Emitter, states: Sequence[Value], slices: Sequence[Value]) -> tuple[Sequence[Value], Sequence[Value]]:
        h = q.real(b, "h", states[0])
        rh = q.pair(b, "Rh", b.op("MatMul", h, q.weight(b, "R")))
        # not in front of Split: of MatMul and Add onnxruntime 1.31 makes a QGemm that takes the bias to be at another scale
        rh = [b.op("Add", v, q.bias(b, "br", i)) for i, v in enumerate(_split(b, rh, hidden, "Rh"))]
        z, r = (
            q.pair(b, k, b.op("Sigmoid", q.pair(b, f"{k}_pre", b.op("Add", part, v)))) for k, part, v in zip("zr", slices, rh)
        )
        P = q.pair(b, "P", b.op("Mul", r, q.pair(b, "A", rh[2])))
        g = q.pair(b, "g", b.op("Tanh", q.pair(b, "g_pre", b.op("Add", slices[2], P))))
        old = q.pair(b, "O", b.op("Mul", z, h))
        new = q.pair(b, "N", b.op("Mul", b.op("Sub", b.const(np.float32(1), "float32"), z), g))
        codes = q.codes(b, "h", b.op("Add", old, new))
        return [codes], [codes]

    kind = Kind(q.element("h"), ("N", hidden))
    slices = [(p, Kind("float32", ("N", hidden))) for p in parts]
    last, sequences = e.scan(body, [(q.codes(e, "h", h0), kind)], slices, [kind], d.reverse, name="gru")
    # no DequantizeLinear here: in front of Concat or Unsqueeze an optimizer of onnxruntime 1.31 makes a graph that is not valid
    h, h_n = cast(e, sequences[0], "int64"), cast(e, last[0], "int64")
    at = q.points.tensors["h"]
    return Answer(dequantize(e, h, at), dequantize(e, h_n, at), h, h_n)


class Quantizers:
    """The pairs of QuantizeLinear and DequantizeLinear of a parameter set."""

    def __init__(self, points: Points, opset: int) -> None:
        self.points = points
        formats = [at.fmt for at in points.tensors.values()] + [w.fmt for w in points.weights.values()]
        if opset < WIDE_OPSET and any(_element(fmt).endswith("int16") for fmt in formats):
            raise ParameterError("opset", opset, f"{WIDE_OPSET} or more for qdq of more than 8 bits")
        for name, at in points.tensors.items():
            info = np.iinfo(self.element(name))
            if not info.min <= at.zero_point <= info.max:
                expected = f"one that {info.dtype} holds, in a graph with QuantizeLinear"
                raise ParameterError(f"zero point of {name}", at.zero_point, expected)

    def element(self, name: str) -> str:
        """The element type that holds the codes of a tensor."""
        return _element(self.points.tensors[name].fmt)

    def codes(self, e: Emitter, name: str, v: Value) -> Value:
        """QuantizeLinear; a width other than 8 and 16 is cut by Clip in front of it."""
        at = self.points.tensors[name]
        if at.fmt.bits not in (8, 16):
            ends = ((q - at.zero_point) * np.float32(at.scale) for q in (at.fmt.qmin, at.fmt.qmax))
            v = e.op("Clip", v, *(e.const(np.float32(end), "float32") for end in ends))
        return e.op("QuantizeLinear", v, *self._operands(e, name), name=f"{name}_codes")

    def real(self, e: Emitter, name: str, codes: Value) -> Value:
        """DequantizeLinear."""
        return e.op("DequantizeLinear", codes, *self._operands(e, name), name=name)

    def pair(self, e: Emitter, name: str, v: Value) -> Value:
        """v as the codes of a tensor let it be; v itself where the set has no codes for it."""
        return self.real(e, name, self.codes(e, name, v)) if name in self.points.tensors else v

    def weight(self, e: Emitter, name: str) -> Value:
        """The dequantized weights [K,3H]."""
        w = self.points.weights[name]
        return self._dequantized(e, name, w.codes, np.asarray(w.scale, np.float32), _element(w.fmt))

    def bias(self, e: Emitter, name: str, gate: int) -> Value:
        """The dequantized biases [H] of the gate 0, 1 or 2."""
        w = self.points.weights[name]
        scale = np.asarray(w.scale, np.float32)
        scale = scale if scale.ndim == 0 else np.split(scale, 3)[gate]
        return self._dequantized(e, f"{name}_{GATES[gate]}", np.split(w.codes, 3)[gate], scale, _element(w.fmt))

    def _dequantized(self, e: Emitter, name: str, codes: np.ndarray, scale: np.ndarray, element: str) -> Value:
        axis = {} if scale.ndim == 0 else {"axis": codes.ndim - 1}
        zero = e.const(np.zeros(scale.shape), element)
        stored = e.const(codes, element, f"{name}_codes")
        return e.op("DequantizeLinear", stored, e.const(scale, "float32"), zero, name=name, **axis)

    def _operands(self, e: Emitter, name: str) -> tuple[Value, Value]:
        at = self.points.tensors[name]
        return e.const(np.float32(at.scale), "float32"), e.const(at.zero_point, self.element(name))


def _split(e: Emitter, v: Value, hidden: int, name: str) -> Sequence[Value]:
    """The columns of the three gates."""
    return e.op("Split", v, e.const([hidden] * 3, "int64"), axis=-1, outputs=3, name=name)


def _element(fmt: IntFormat) -> str:
    return f"{'int' if fmt.signed else 'uint'}{next(b for b in (8, 16, 32) if b >= fmt.bits)}"


def _points(params: MShiftParams | PotParams) -> Points:
    tensors = {t: point(params, t) for t in "xh"}
    if isinstance(params, PotParams):
        ops = params.operators
        names = {"Wx": "matmul.Wx", "Rh": "matmul.Rh", "A": "op.Rh_add_br", "P": "op.rRh", "O": "op.old_contrib"}
        names |= {"N": "op.new_contrib"}
        for k in "zrg":
            names |= {f"{k}_pre": f"gate.{k}_pre", k: f"gate.{k}_out"}
        for name, key in names.items():
            op = ops[key]
            tensors[name] = Point(2.0 ** -int(op.exponent), op.zero_point, op.fmt, False)
        keys = ("W", "R", "bx", "br")
        by_key = {k: ops[f"weight.{k}"] for k in keys}
        return Points({k: Weight(getattr(params, k), op.fmt, _scales(op)) for k, op in by_key.items()}, tensors)
    for k, scale in zip("zrg", (params.s_z, params.s_r_gate, params.s_g)):
        tensors[f"{k}_pre"] = Point(scale, getattr(params, f"zp_{k}"), params.fmt_pre, False)
        tensors[k] = Point(S_ONE, 0, INT8, False)
    int32 = IntFormat(32, True)
    found = {"W": (INT8, params.s_w), "R": (INT8, params.s_r), "bx": (int32, params.s_bx), "br": (int32, params.s_br)}
    return Points({k: Weight(getattr(params, k), *v) for k, v in found.items()}, tensors)


def _scales(op: Any) -> np.ndarray:
    return np.ldexp(np.float32(1), -np.asarray(op.exponent)).astype(np.float32)
