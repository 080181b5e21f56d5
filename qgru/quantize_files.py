"""What `qgru quantize` writes: parameters as JSON, ONNX models, a vector set, the calibration report."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATOR_FIELDS, WEIGHT_OPERATORS
from golden.spec.params import Params, PotParams
from golden.spec.profile import profile_hash
from golden.spec.serial import from_plain, to_plain
from qgru.files import atomic_file
from quant_gru.config import unique
from quant_gru.stack import Direction, Stack

FORMAT, VERSION = "qgru parameters", 1
MAX_BYTES = 2**30
PARAMETERS, MODULE_PARAMETERS, REPORT = "parameters.json", "quant_params.json", "report.json"
NAMES = ("forward", "reverse")
_NUMBERS = re.compile(r'\[\s+([^\[\]{}"]*?)\s+\]')


def write_json(path: Path, value: Any) -> None:
    """Readable JSON with sorted keys; arrays of numbers on one line each."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    with atomic_file(path) as file:
        file.write(_NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text) + "\n")


def pack_parameters(stack: Stack) -> dict[str, Any]:
    """The parameter sets of a quantized stack with all codes, JSON-ready; unpack_parameters is the inverse."""
    layers = []
    for i, layer in enumerate(stack.layers):
        for d in layer:
            assert d.params is not None
            description, arrays = to_plain(d.params)
            packed = {name: _pack(a) for name, a in arrays.items()}
            place = {"layer": i, "direction": NAMES[d.reverse], "profile": profile_hash(d.params)}
            layers.append({**place, "parameters": description, "arrays": packed})
    return {"format": FORMAT, "version": VERSION, "batch_first": stack.batch_first, "layers": layers}


def read_parameters(path: str | os.PathLike[str]) -> Stack:
    """The stack of a parameters.json, without float weights; every check of a parameter set is made.

    Raises   ParameterError naming the file or the field; OSError
    """
    path = Path(path)
    with open(path, "rb") as file:
        text = file.read(MAX_BYTES + 1)
    try:
        content = json.loads(text, object_pairs_hook=unique) if len(text) <= MAX_BYTES else None
    except ParameterError:
        raise
    except (ValueError, RecursionError):
        content = None
    version = content.get("version") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(content, dict) or type(version) is not int or version != VERSION:
        raise ParameterError(path.name, "another kind of file", f'JSON with the format "{FORMAT}", version {VERSION}')
    items = content.get("layers")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ParameterError(f"{path.name} layers", type(items).__name__, "a list of objects")
    batch_first = content.get("batch_first", False)
    if not isinstance(batch_first, bool):
        raise ParameterError(f"{path.name} batch_first", repr(batch_first)[:80], "true or false")
    layers: list[list[Direction]] = []
    for item in items:
        direction, layer = item.get("direction"), item.get("layer")
        wanted = len(layers) - (direction == NAMES[1])
        if direction not in NAMES or type(layer) is not int or layer < 0 or layer != wanted:
            found = f"{layer!r} {direction!r}"
            raise ParameterError(f"{path.name} layer", found, "layers in order, forward before reverse")
        params = _params(item)
        if item.get("profile") != profile_hash(params):
            raise ParameterError(f"profile of layer {layer}", repr(item.get("profile")), profile_hash(params))
        if direction == NAMES[0]:
            layers.append([])
        layers[-1].append(Direction(None, params, direction == NAMES[1]))
    return Stack(tuple(map(tuple, layers)), batch_first)


def _params(item: Mapping[str, Any]) -> Params:
    arrays = item.get("arrays")
    if not isinstance(arrays, dict):
        raise ParameterError("arrays", type(arrays).__name__, "an object")
    return from_plain(item.get("parameters", {}), {name: _unpack(name, packed) for name, packed in arrays.items()})


def _pack(array: np.ndarray) -> dict[str, Any]:
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": array.reshape(-1).tolist()}


def _unpack(name: str, packed: Any) -> np.ndarray:
    """The array of _pack; nothing is allocated but for the numbers that are there."""
    data = packed.get("data") if isinstance(packed, dict) else None
    if not isinstance(data, list) or not all(type(v) in (int, float) for v in data):
        raise ParameterError(name, type(data).__name__, "an object with a list of numbers as data")
    dtype, shape = packed.get("dtype"), packed.get("shape")
    if dtype not in ("int32", "float32") or not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ParameterError(name, f"{dtype!r} of shape {shape!r}", "int32 or float32 and a list of sizes")
    if dtype == "int32" and any(type(v) is float for v in data):
        raise ParameterError(name, next(v for v in data if type(v) is float), "integers")
    try:
        return np.array(data, np.int64 if dtype == "int32" else np.float32).reshape(shape)
    except (OverflowError, ValueError):
        raise ParameterError(name, f"{len(data)} numbers for the shape {shape}", "as many numbers as the shape has") from None


def write_models(folder: Path, stack: Stack, initial_state: bool) -> dict[str, str]:
    """folder/FORMAT/model.onnx with its test data for each format; format -> sha256 of the model."""
    from quant_gru.onnx import FORMATS, export

    found = {}
    for format in FORMATS:
        (folder / format).mkdir(parents=True)
        made = export(stack, folder / format / "model.onnx", format, initial_state=initial_state)
        found[format] = sha256(made.path)
    return found


def write_module_parameters(path: Path, stack: Stack, config: Any, datapath: str) -> bool:
    """What QuantGRU.load_quant_params reads; False, and no file, without torch."""
    from quant_gru.module_params import WEIGHTS, Template, channel_amax

    try:
        from quant_gru.module_state import write_json as write
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return False
    templates = [
        [Template(d.params, {k: channel_amax(getattr(d.gru, k)) for k in WEIGHTS} if datapath == "pot" else {}) for d in layer]  # type: ignore[arg-type]
        for layer in stack.layers
    ]
    write(path, config, datapath, templates)
    return True


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def operator_rows(d: Direction, observers: Any) -> dict[str, Any]:
    """operator -> what was seen of it and what was made of that; of the weights only the latter."""
    rows: dict[str, Any] = {name: {"seen": list(observers[name])} for name in OPERATOR_FIELDS}
    params: Any = d.params
    if isinstance(params, PotParams):
        for name, op in params.operators.items():
            made = {"format": str(op.fmt), "exponent": np.asarray(op.exponent).tolist(), "zero_point": op.zero_point}
            rows.setdefault(name, {}).update(made)
        return rows
    for name, scale, zero_point in (
        ("input.x", params.s_x, params.zp_x), ("input.h", params.s_h, params.zp_h),
        ("gate.z_pre", params.s_z, params.zp_z), ("gate.r_pre", params.s_r_gate, params.zp_r),
        ("gate.g_pre", params.s_g, params.zp_g),
    ):  # fmt: skip
        fmt = params.fmt_x if name.startswith("input") else params.fmt_pre
        rows[name].update({"format": str(fmt), "scale": scale, "zero_point": zero_point})
    formats = ("int8", "int8", "int32", "int32")
    for name, fmt_name, scale in zip(WEIGHT_OPERATORS, formats, (params.s_w, params.s_r, params.s_bx, params.s_br)):
        rows[name] = {"format": fmt_name, "scale": scale, "zero_point": 0}
    return rows
