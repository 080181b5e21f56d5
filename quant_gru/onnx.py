"""A stack as an ONNX model on disk, in one of three forms, with data to test it."""

from __future__ import annotations

from functools import partial
from numbers import Real
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from golden.spec.errors import ParameterError, QgruError
from golden.spec.profile import SPEC_VERSION, profile_hash
from quant_gru.boundary import point
from quant_gru.onnx_distance import joined, session
from quant_gru.onnx_files import write_model
from quant_gru.onnx_float import float_network
from quant_gru.onnx_graph import Kind, OnnxEmitter, cast, need_onnx
from quant_gru.onnx_integer import codes_direction, integer_direction
from quant_gru.onnx_network import Answer, network
from quant_gru.onnx_qdq import qdq_direction
from quant_gru.stack import Stack

FORMATS = ("float", "qdq", "integer")
OPSET, IR_VERSION = 21, 10
LEAST_OPSET = 17
DATA_STEPS, DATA_ROWS = 5, 2


class Exported(NamedTuple):
    """path of the model, and the folder of its test data."""

    path: Path
    test_data: Path


def export(
    stack: Stack,
    path: str | PathLike[str],
    format: str,
    *,
    opset: int = OPSET,
    initial_state: bool = False,
    codes: bool = False,
    zoneout: float = 0.0,
) -> Exported:
    """Write a stack as an ONNX model, with test_data_set_0.  T and N are dynamic.

    path           of the model; its folder must exist
    format         "float": one GRU node for each layer; "qdq": Scans with QuantizeLinear and DequantizeLinear;
                   "integer": Scans of integer operators, golden's codes
    opset          of the ONNX domain, as the installed onnx knows it; 17 or more, for qdq of more than 8 bits 21 or more
    initial_state  whether h0 is an input; without it every run starts at zero
    codes          (integer, one layer) whether x, h0, y and h_n are codes, int32
    zoneout        (integer) probability of the inference zoneout, Z-2
    Inputs         x float32 [T,N,C] ([N,T,C] when batch_first), h0 float32 [L*D,N,H]
    Outputs        y float32 [T,N,D*H], h_n float32 [L*D,N,H]; with qdq and integer also y_codes, h_n_codes, int32
    Returns        Exported
    Raises         ParameterError naming what cannot be expressed; MissingPart without onnx (for the data of qdq also without
                   onnxruntime); OSError
    """
    path = Path(fspath(path))
    model = build(stack, format, opset=opset, initial_state=initial_state, codes=codes, zoneout=zoneout)
    inputs = example(stack, initial_state, codes)
    outputs = _expected(stack, format, model, inputs, codes, zoneout)
    return Exported(path, write_model(path, model, list(inputs.items()), list(outputs.items())))


def build(
    stack: Stack, format: str, *, opset: int = OPSET, initial_state: bool = False, codes: bool = False, zoneout: float = 0.0
) -> Any:
    """The checked ModelProto of export."""
    if format not in FORMATS:
        raise ParameterError("format", repr(format), f"one of {', '.join(FORMATS)}")
    if isinstance(opset, bool) or not isinstance(opset, int) or opset < LEAST_OPSET:
        raise ParameterError("opset", repr(opset), f"{LEAST_OPSET} or more")
    if not isinstance(zoneout, Real) or not 0 <= zoneout <= 1 or (zoneout and format != "integer"):
        raise ParameterError("zoneout", repr(zoneout), "0, or with the format integer a probability in [0, 1]")
    if codes:
        _check_codes(stack, format)
    onnx = need_onnx()
    if opset > (newest := onnx.defs.onnx_opset_version()):
        raise ParameterError("opset", opset, f"{LEAST_OPSET} to {newest}, which the installed onnx knows")
    states = len(stack.layers) * stack.directions
    time: tuple[int | str, ...] = ("N", "T") if stack.batch_first else ("T", "N")
    element = "int32" if codes else "float32"
    e = OnnxEmitter(opset, {"x", "h0", "y", "h_n", "y_codes", "h_n_codes"})
    inputs = [("x", Kind(element, (*time, stack.input_size)))]
    if initial_state:
        inputs.append(("h0", Kind(element, (states, "N", stack.hidden_size))))
    h0 = "h0" if initial_state else None
    if format == "float":
        found = dict(zip(("y", "h_n"), float_network(e, stack, "x", h0)))
    else:
        make: Any = {"qdq": qdq_direction, "integer": codes_direction if codes else integer_direction}[format]
        answer = network(e, stack, "x", h0, partial(make, zoneout=zoneout) if zoneout else make)
        found = _outputs(e, answer, codes)
    shapes: dict[str, tuple[int | str, ...]] = {"h_n": (states, "N", stack.hidden_size)}
    shapes["y"] = (*time, stack.directions * stack.hidden_size)
    outputs = []
    for name, value in found.items():
        e.nodes.append(onnx.helper.make_node("Identity", [value], [name], name))
        kind = "int32" if codes or name.endswith("_codes") else "float32"
        outputs.append((name, Kind(kind, shapes[name.removesuffix("_codes")])))
    graph = onnx.helper.make_graph(
        e.nodes, f"gru_{format}", [e.info(*i) for i in inputs], [e.info(*o) for o in outputs], e.initializers
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, producer_name="qgru", opset_imports=opsets, ir_version=IR_VERSION)
    onnx.helper.set_model_props(model, properties(stack, format))
    if model.ByteSize() <= 2**31 - 1:
        onnx.checker.check_model(model, full_check=True)
    return model


def properties(stack: Stack, format: str) -> dict[str, str]:
    """What a model says about itself: the format, the version of the clauses, the profile hash of every direction."""
    out = {"qgru.format": format}
    if format != "float":
        out["qgru.spec"] = SPEC_VERSION
        for i, layer in enumerate(stack.layers):
            for d in layer:
                out[f"qgru.profile.l{i}{'_reverse' if d.reverse else ''}"] = profile_hash(d.params) if d.params else ""
    return out


def _outputs(e: OnnxEmitter, answer: Answer, codes: bool) -> dict[str, str]:
    if codes:
        return {"y": cast(e, answer.y, "int32"), "h_n": cast(e, answer.h_n, "int32")}
    both = {"y_codes": cast(e, answer.codes, "int32"), "h_n_codes": cast(e, answer.last_codes, "int32")}
    return {"y": answer.y, "h_n": answer.h_n, **both}


def _check_codes(stack: Stack, format: str) -> None:
    if format != "integer" or len(stack.layers) != 1:
        found = f"true for {len(stack.layers)} layers as {format}"
        raise ParameterError("codes", found, "true only for one layer as integer: between layers there are reals")
    points = {tuple(point(d.params, "x")) for d in stack.layers[0] if d.params is not None}
    if len(points) > 1:
        raise ParameterError("codes", "true for directions that quantize x differently", "one scale and zero point of x")


def example(stack: Stack, initial_state: bool, codes: bool) -> dict[str, np.ndarray]:
    """Inputs that use the range of the network's codes, always the same."""
    rng, rows = np.random.Generator(np.random.PCG64(0)), DATA_ROWS
    shape = (rows, DATA_STEPS) if stack.batch_first else (DATA_STEPS, rows)
    first = stack.layers[0][0]
    inputs = {"x": _drawn(rng, first.params, "x", (*shape, stack.input_size), codes)}
    if initial_state:
        states = [d.params for layer in stack.layers for d in layer]
        inputs["h0"] = np.stack([_drawn(rng, p, "h", (rows, stack.hidden_size), codes) for p in states])
    return inputs


def _drawn(rng: np.random.Generator, params: Any, tensor: str, shape: tuple[int, ...], codes: bool) -> np.ndarray:
    uniform = rng.random(shape)
    if params is None or params.datapath == "mshift-dynamic":
        return (2 * uniform - 1).astype(np.float32)
    scale, zero_point, fmt, _ = point(params, tensor)
    values = fmt.qmin + uniform * (fmt.qmax - fmt.qmin)
    if codes:
        return np.floor(values + 0.5).astype(np.int32)
    return ((values - zero_point) * scale).astype(np.float32)


def _expected(
    stack: Stack, format: str, model: Any, inputs: dict[str, np.ndarray], codes: bool, zoneout: float
) -> dict[str, np.ndarray]:
    """The outputs of the example: the float network's, golden's, and for qdq what onnxruntime gives."""
    if format == "float":
        y, h_n = stack.run_float(inputs["x"], inputs.get("h0"))
        return {"y": y.astype(np.float32), "h_n": h_n.astype(np.float32)}
    if format == "qdq":
        names = [o.name for o in model.graph.output]
        return dict(zip(names, _session(model).run(names, inputs)))
    return _golden(stack, inputs, codes, zoneout)


def _session(model: Any) -> Any:
    """A session of a model; one of an opset that onnxruntime does not read yet is refused."""
    try:
        return session(model)
    except QgruError:
        raise
    except Exception:  # what onnxruntime raises has no class in common
        opset = model.opset_import[0].version
        if opset <= OPSET:
            raise
        raise ParameterError("opset", opset, "one that the installed onnxruntime reads, which makes the data of qdq") from None


def _golden(stack: Stack, inputs: dict[str, np.ndarray], codes: bool, zoneout: float) -> dict[str, np.ndarray]:
    from golden.sequence import forward

    def run(params: Any, x: np.ndarray, h0: Any, *, reverse: bool) -> Any:
        return forward(params, x, h0, zoneout=zoneout, reverse=reverse)

    def turned(y: np.ndarray) -> np.ndarray:
        return np.swapaxes(y, 0, 1) if stack.batch_first else y

    if codes:
        h0 = inputs.get("h0", [None] * stack.directions)
        traces = [run(d.params, turned(inputs["x"]), h, reverse=d.reverse) for d, h in zip(stack.layers[0], h0)]
        y = np.concatenate([t.output for t in traces], axis=-1)
        return {"y": turned(y), "h_n": np.stack([t.h_n for t in traces])}
    out = stack.outputs(inputs["x"], inputs.get("h0"), forward=run)
    return {"y": out.y, "h_n": out.h_n, "y_codes": joined(stack, out.codes), "h_n_codes": np.stack(out.last_codes)}

