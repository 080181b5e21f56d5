"""Configuration and calibration of a QuantGRU as plain data: for state_dict, and as a JSON file.  Never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golden.spec.errors import ParameterError
from golden.spec.params import PotParams
from quant_gru.config import BitwidthConfig, from_plain, to_plain, unique
from quant_gru.files import atomic_text
from quant_gru.module_params import DATAPATHS, Template, check_fits, template_from_plain, template_to_plain
from quant_gru.observers import Observers

VERSION = 1
FORMAT = "qgru quantization parameters"
MAX_BYTES = 1 << 28
DIRECTIONS = ("forward", "reverse")

Places = Sequence[Sequence[Any]]


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Copies of the arrays as CPU tensors."""
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


def arrays(name: str, found: Any) -> dict[str, np.ndarray]:
    """The arrays of tensors."""
    if not isinstance(found, Mapping) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ParameterError(name, type(found).__name__, "a dict of tensors")
    try:
        return {str(k): v.detach().cpu().numpy() for k, v in found.items()}
    except (TypeError, RuntimeError):  # bfloat16, sparse, without data
        kinds = ", ".join(dict.fromkeys(str(v.dtype) for v in found.values()))
        raise ParameterError(name, f"a dict of tensors of {kinds}", "dense tensors of types that NumPy has") from None


def pack_templates(templates: Places | None) -> list[list[dict[str, Any]]] | None:
    """Descriptions as JSON text and arrays as tensors."""
    if templates is None:
        return None
    return [[_pack(template) for template in layer] for layer in templates]


def _pack(template: Template) -> dict[str, Any]:
    description, found = template_to_plain(template)
    return {"description": json.dumps(description), "arrays": tensors(found)}


def unpack_templates(packed: Any, shape: Sequence[Sequence[tuple[int, int]]]) -> list[list[Template]] | None:
    """The templates of pack_templates; shape gives (C, H) of every layer and direction.

    Raises   ParameterError naming the field
    """
    if packed is None:
        return None
    _check_places("templates", packed, shape)
    found: list[list[Template]] = []
    for layer, sizes in zip(packed, shape):
        found.append([])
        for item, (inputs, hidden) in zip(layer, sizes):
            if not isinstance(item, Mapping) or not isinstance(item.get("description"), str):
                raise ParameterError("template", type(item).__name__, "a description and its arrays")
            description = parsed("template", item["description"])
            found[-1].append(template_from_plain(description, arrays("template arrays", item.get("arrays")), inputs, hidden))
    return found


def pack_observers(observers: Places | None) -> list[list[dict[str, torch.Tensor]]] | None:
    """The statistics of every layer and direction as tensors."""
    return None if observers is None else [[tensors(o.state()) for o in layer] for layer in observers]


def unpack_observers(packed: Any, shape: Sequence[Sequence[Any]]) -> list[list[Observers]] | None:
    """The observers of pack_observers."""
    if packed is None:
        return None
    _check_places("observers", packed, shape)
    return [[Observers.from_state(arrays("observers", state)) for state in layer] for layer in packed]


def _check_places(name: str, found: Any, shape: Sequence[Sequence[Any]]) -> None:
    places = [len(layer) if isinstance(layer, list) else -1 for layer in found] if isinstance(found, list) else None
    if places != [len(layer) for layer in shape]:
        raise ParameterError(name, f"for layers and directions {places}", f"layers and directions {[len(v) for v in shape]}")


def write_json(path: str | PathLike[str], config: BitwidthConfig, datapath: str, templates: Places) -> None:
    """A readable JSON file of every exponent, scale, zero point and table; it appears complete or not at all."""
    layers = []
    for i, layer in enumerate(templates):
        for j, template in enumerate(layer):
            description, found = template_to_plain(template)
            sizes = {"input_size": template.params.input_size, "hidden_size": template.params.hidden_size}
            lists = {k: v.tolist() for k, v in found.items()}
            layers.append({"layer": i, "direction": DIRECTIONS[j], **sizes, "parameters": description, "arrays": lists})
    head = {"format": FORMAT, "version": VERSION, "datapath": datapath}
    content = {**head, "bitwidths": to_plain(config), "layers": layers}
    atomic_text(path, json.dumps(content, indent=1) + "\n")


def read_json(
    path: str | PathLike[str], shape: Sequence[Sequence[tuple[int, int]]]
) -> tuple[BitwidthConfig, str, list[list[Template]]]:
    """(configuration, datapath, templates) of a file of write_json.

    shape    (C, H) of every layer and direction
    Raises   ParameterError naming the file or the field; every check of a parameter set is made; OSError
    """
    name = Path(fspath(path)).name
    with open(path, "rb") as file:
        text = file.read(MAX_BYTES + 1)
    content = parsed(name, text)
    version = content.get("version") if isinstance(content, Mapping) and content.get("format") == FORMAT else None
    if type(version) is not int or version != VERSION:
        raise ParameterError(name, "another kind of file", f'JSON with the format "{FORMAT}", version {VERSION}')
    datapath = checked_datapath(content.get("datapath"))
    config = from_plain(content.get("bitwidths"))
    items = content.get("layers")
    wanted = [(i, DIRECTIONS[j]) for i, layer in enumerate(shape) for j in range(len(layer))]
    if not isinstance(items, list) or not all(isinstance(v, Mapping) for v in items):
        found_type = "a list with something else" if isinstance(items, list) else type(items).__name__
        raise ParameterError(f"{name} layers", found_type, "a list of objects")
    there = [(v.get("layer"), v.get("direction")) for v in items]
    if there != wanted or any(type(layer) is not int for layer, _ in there):
        raise ParameterError(f"{name} layers", there, f"{wanted}, as the module has them")
    found: list[list[Template]] = [[] for _ in shape]
    for item in items:
        place = f"layer {item['layer']} {item['direction']}"
        inputs, hidden = shape[item["layer"]][len(found[item["layer"]])]
        if (item.get("input_size"), item.get("hidden_size")) != (inputs, hidden):
            raise ParameterError(f"{place} sizes", (item.get("input_size"), item.get("hidden_size")), f"{(inputs, hidden)}")
        template = template_from_plain(item.get("parameters"), _lists(place, item.get("arrays")), inputs, hidden)
        if template.params.datapath != datapath:
            raise ParameterError(f"{place} datapath", template.params.datapath, datapath)
        check_fits(template, config, datapath)
        found[item["layer"]].append(template)
    return config, datapath, found


def checked_datapath(value: Any) -> str:
    """pot or mshift."""
    if value not in DATAPATHS:
        raise ParameterError("datapath", repr(value), f"one of {', '.join(DATAPATHS)}")
    return str(value)


def _lists(place: str, found: Any) -> dict[str, np.ndarray]:
    if not isinstance(found, Mapping):
        raise ParameterError(f"{place} arrays", type(found).__name__, "an object of lists")
    out = {}
    for key, values in found.items():
        array = np.asarray(values) if isinstance(values, list) and all(type(v) in (int, float) for v in values) else None
        if array is None:
            raise ParameterError(f"{place} {key}", type(values).__name__, "a list of numbers")
        if array.dtype == object:
            raise ParameterError(f"{place} {key}", "a list with an integer of more than 64 bits", "numbers that fit")
        with np.errstate(over="ignore"):  # an inf is refused where it is used
            out[key] = array.astype(np.float32) if key.startswith("amax.") else array
    return out


def parsed(name: str, text: Any) -> Any:
    """The value of a JSON text of bounded size."""
    if not isinstance(text, (str, bytes)) or len(text) > MAX_BYTES:
        raise ParameterError(name, f"a {type(text).__name__}", f"JSON text of at most {MAX_BYTES} bytes")
    try:
        return json.loads(text, object_pairs_hook=unique)
    except ParameterError:
        raise
    except (ValueError, RecursionError):
        raise ParameterError(name, "not JSON", "JSON") from None


def points(text: Any) -> dict[str, tuple[int | None, int | None]]:
    """operator -> (exponent, zero point) from JSON text; the operators and numbers are checked where they are used."""
    found = parsed("by_hand", text)
    if not isinstance(found, dict) or not all(isinstance(v, list) and len(v) == 2 for v in found.values()):
        raise ParameterError("by_hand", type(found).__name__, "an object of pairs")
    return {name: (pair[0], pair[1]) for name, pair in found.items()}


def lines(config: BitwidthConfig, templates: Places) -> list[str]:
    """A table of every operator of every layer and direction, for people."""
    out = []
    for i, layer in enumerate(templates):
        for j, template in enumerate(layer):
            p = template.params
            out.append(f"layer {i} {DIRECTIONS[j]}, datapath {p.datapath}")
            if not isinstance(p, PotParams):
                names = ("s_x", "zp_x", "s_h", "zp_h", "s_z", "s_r_gate", "s_g", "gate_bits")
                out += [f"  {name:<16} {getattr(p, name)}" for name in names]
                continue
            for name, op in p.operators.items():
                e = np.asarray(op.exponent)
                shown = str(e) if e.ndim == 0 else f"{e.min()}...{e.max()}"
                kind = "symmetric" if config.operators[name][1] else "asymmetric"
                out.append(f"  {name:<16} {op.fmt!s:<7} {kind:<10} exponent {shown:<8} zero point {op.zero_point}")
    return out

