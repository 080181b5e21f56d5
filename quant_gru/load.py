"""Trained networks and data from files.

Weights are found by their names: those of torch.nn.GRU (weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, further layers
l1, l2, ..., `_reverse`), of torch.nn.GRUCell (weight_ih, ...), or the short ones w_ih, w_hh, b_ih, b_hh; each behind any
prefix, such as "encoder.gru." or "enc_".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

import numpy as np

from golden.spec.arrays import check_shape
from golden.spec.errors import ParameterError
from quant_gru.float_gru import FloatGru, from_pytorch
from quant_gru.npy import read_npy, read_npz
from quant_gru.safetensors_file import read_safetensors
from quant_gru.torch_file import read_torch

READERS = {".npz": read_npz, ".safetensors": read_safetensors, ".pt": read_torch, ".pth": read_torch}
_NAME = re.compile(
    r"(?P<prefix>|.*[._/])(?P<what>weight_ih|weight_hh|bias_ih|bias_hh|w_ih|w_hh|b_ih|b_hh)"
    r"(?P<place>_l(?P<layer>0|[1-9]\d{0,3})(?P<reverse>_reverse)?)?"
)
_SHORT = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}


@dataclass(frozen=True, eq=False)
class NamedGru:
    """One layer and direction of a file.

    name     prefix and place, such as "encoder.gru.l0_reverse" or "enc"; "gru" when the names have neither
    group    the prefix: layers and directions of one network have it in common
    layer    0 is the one that reads x
    reverse  whether it reads from T-1 to 0
    """

    name: str
    group: str
    layer: int
    reverse: bool
    gru: FloatGru


class Model(NamedTuple):
    """grus in the order group, layer, forward before reverse; arrays: everything else in the file that is made of numbers."""

    grus: tuple[NamedGru, ...]
    arrays: dict[str, np.ndarray]


class Data(NamedTuple):
    """x float32 [T,N,C]; h0 float32 [N,H] or None."""

    x: np.ndarray
    h0: np.ndarray | None


def load_model(path: str | PathLike[str]) -> Model:
    """Every GRU in a .npz, .safetensors, .pt or .pth file.

    Weights may be float32, float64 or float16; the latter two are converted to float32.  A missing bias is zero.
    Raises   ParameterError naming the file or the array: another suffix, no GRU inside, a missing weight, a wrong shape,
             integers or bfloat16 where floats belong, NaN or inf, a damaged file, a pickle (which is never read);
             MissingPart for .pt without torch; OSError
    """
    path = Path(fspath(path))
    if path.suffix not in READERS:
        raise ParameterError("model file", repr(path.name or str(path)), f"a file ending in {', '.join(READERS)}")
    arrays = READERS[path.suffix](path)
    found: dict[tuple[str, int, bool], dict[str, str]] = {}
    spelled: dict[tuple[str, int, bool], str] = {}
    for name in arrays:
        if not name.isprintable():
            raise ParameterError(path.name, f"with an array named {name!r}", "printable names")
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        key = (match["prefix"], int(match["layer"] or 0), bool(match["reverse"]))
        what = _SHORT.get(match["what"], match["what"])
        if what in found.setdefault(key, {}):
            raise ParameterError(name, f"given also as {found[key][what]}", "each weight once")
        found[key][what] = name
        spelled.setdefault(key, (match["prefix"] + (match["place"] or "").removeprefix("_")).rstrip("._/") or "gru")
    if not found:
        raise ParameterError(path.name, "without GRU weights", "names such as weight_ih_l0 and weight_hh_l0")
    grus = [NamedGru(spelled[key], *key, _gru(arrays, names, spelled[key])) for key, names in sorted(found.items())]
    for group in sorted({g.group for g in grus}):
        _check_stack([g for g in grus if g.group == group])
    taken = {name for names in found.values() for name in names.values()}
    return Model(tuple(grus), {k: v for k, v in arrays.items() if k not in taken and isinstance(v, np.ndarray)})


def _gru(arrays: Mapping[str, np.ndarray | str], names: Mapping[str, str], spelled: str) -> FloatGru:
    for what in ("weight_ih", "weight_hh"):
        if what not in names:
            raise ParameterError(f"{what} of {spelled}", "missing", f"an array beside {next(iter(names.values()))}")
    reals = {what: as_float32(name, arrays[name]) for what, name in names.items()}
    rows, hidden = _hidden(names["weight_hh"], reals["weight_hh"])
    check_shape(names["weight_ih"], reals["weight_ih"], (rows, None))
    for what in ("bias_ih", "bias_hh"):
        if what in reals:
            check_shape(names[what], reals[what], (rows,))
    return from_pytorch(**reals)


def _hidden(name: str, weight_hh: np.ndarray) -> tuple[int, int]:
    if weight_hh.ndim != 2 or weight_hh.shape[1] < 1 or weight_hh.shape[0] != 3 * weight_hh.shape[1]:
        raise ParameterError(name, f"an array of shape {list(weight_hh.shape)}", "shape [3H, H] with H > 0, three gates")
    return weight_hh.shape[0], weight_hh.shape[1]


def _check_stack(grus: list[NamedGru]) -> None:
    """Refuse layers that do not fit on each other."""
    layers = {layer: [g for g in grus if g.layer == layer] for layer in sorted({g.layer for g in grus})}
    for expected, (layer, members) in enumerate(layers.items()):
        name, gru = members[0].name, members[0].gru
        if layer != expected:
            raise ParameterError(f"layer {expected} of {members[0].group or 'the network'}", "missing", f"one below {name}")
        for other in members[1:]:
            if (other.gru.input_size, other.gru.hidden_size) != (gru.input_size, gru.hidden_size):
                found = f"C={other.gru.input_size}, H={other.gru.hidden_size}"
                raise ParameterError(other.name, found, f"C={gru.input_size}, H={gru.hidden_size} as {name}")
        if layer > 0:
            below = sum(g.gru.hidden_size for g in layers[layer - 1])
            if gru.input_size != below:
                raise ParameterError(f"{name} input size", gru.input_size, f"{below}, what layer {layer - 1} gives")


def as_float32(name: str, array: np.ndarray | str) -> np.ndarray:
    """array as float32: float64 and float16 are converted, anything else but float32 is refused.

    Raises   ParameterError naming the array: another dtype, NaN or inf, a value that float32 cannot hold (with its index)
    """
    if isinstance(array, str):
        raise ParameterError(name, f"an array of {array}", "float32, float64 or float16")
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise ParameterError(name, f"an array of {array.dtype}", "float32, float64 or float16")
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32)
    if not np.isfinite(converted).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(converted))[0])
        raise ParameterError(f"{name}{list(index)}", str(array[index]), "a finite number in the range of float32")
    return converted


def load_data(path: str | PathLike[str], *, batch_first: bool = False) -> Data:
    """x float32 [T,N,C] of a .npy file, or of the key x of a .npz file that may also have h0 [N,H].

    batch_first  whether the x of the file is [N,T,C]
    float64 and float16 are converted to float32.
    Raises   ParameterError naming the file or the array: as load_model; OSError
    """
    path = Path(fspath(path))
    if path.suffix == ".npy":
        arrays: dict[str, np.ndarray | str] = {"x": read_npy(path)}
    elif path.suffix == ".npz":
        arrays = read_npz(path)
    else:
        raise ParameterError("data file", repr(path.name or str(path)), "a file ending in .npz or .npy")
    if "x" not in arrays:
        raise ParameterError(f"{path.name}[x]", "missing", "an array x [T, N, C]")
    for name in arrays:
        if name not in ("x", "h0"):
            raise ParameterError(f"{path.name}[{name}]", "an unknown array", "x [T, N, C] and, if wanted, h0 [N, H]")
    x = as_float32("x", arrays["x"])
    check_shape("x", x, (None, None, None))
    x = np.ascontiguousarray(np.swapaxes(x, 0, 1)) if batch_first else x
    if 0 in x.shape[1:]:
        raise ParameterError("x", f"an array of shape {list(x.shape)}", "at least one row and one feature")
    h0 = as_float32("h0", arrays["h0"]) if "h0" in arrays else None
    if h0 is not None:
        check_shape("h0", h0, (x.shape[1], None))
    return Data(x, h0)
