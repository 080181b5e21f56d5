"""State dicts as torch.save writes them; only tensors are read, nothing else is unpickled."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError, QgruError
from quant_gru.errors import MissingPart
from quant_gru.npy import DAMAGED, check_members, label, opened

NESTED = ("state_dict", "model_state_dict", "model")


def read_torch(path: Path) -> dict[str, np.ndarray | str]:
    """name -> array of a state dict, also one that is kept under "state_dict", "model_state_dict" or "model".

    A tensor that NumPy has no array for (bfloat16, sparse, ...) is given back as the name of its dtype and what it is.
    Raises   MissingPart without torch; ParameterError naming the file: not the zip format of torch.save, damaged,
             anything but tensors inside (a pickled module), not a dict, a tensor of more numbers than the file holds for it
    """
    with opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                check_members(path.name, archive, file, stored_only=True)
                wrong = archive.testzip()  # torch.load does not look at the checksums
        except QgruError:
            raise
        except (*DAMAGED, OSError):
            wanted = "a state dict as torch.save writes it; other pickles are never read"
            raise ParameterError(path.name, "damaged or not a zip archive", wanted) from None
    if wrong is not None:
        raise ParameterError(label(path.name, wrong), "damaged", "a member with its own checksum")
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingPart("torch", "torch") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of a damaged pickle; what comes of it is refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ParameterError(path.name, "more than tensors", "a state dict: torch.save(module.state_dict(), path)") from None
    except (*DAMAGED, AttributeError, IndexError, AssertionError):
        raise ParameterError(path.name, "damaged", "a state dict as torch.save writes it") from None
    for key in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise ParameterError(path.name, f"a {type(content).__name__}", "a state dict, names and tensors")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    return {name: _numpy(label(path.name, name), value) for name, value in tensors.items()}


def _numpy(where: str, tensor: Any) -> np.ndarray | str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    layout = str(tensor.layout).removeprefix("torch.")
    if layout != "strided" or tensor.is_meta:
        return f"{dtype} ({'meta' if tensor.is_meta else layout})"
    claimed, there = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if claimed > there:
        found = f"{dtype} of shape {list(tensor.shape)} in {there} bytes"
        raise ParameterError(where, found, f"{claimed} bytes, a tensor that is not expanded")
    try:
        return tensor.detach().numpy()
    except (TypeError, RuntimeError):
        return dtype
