"""Models and their test data on disk, complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from quant_gru.files import check_target, naming

DATA = "test_data_set_0"
MAX_BYTES = 2**31 - 1


Named = Sequence[tuple[str, np.ndarray]]


def write_model(path: Path, model: Any, inputs: Named, outputs: Named) -> Path:
    """Write a model and its test data in the layout of the ONNX backend tests.

    path     of the model; its folder must exist
    inputs, outputs  (name, array) in the order of the graph, into input_0.pb, ... and output_0.pb, ...
    Returns  the folder of the data: test_data_set_0 beside the model; where another model of the same folder has taken that
             name, <model>.test_data_set_0
    Raises   ParameterError for a model above 2 GiB, OSError
    """
    from onnx import numpy_helper

    if model.ByteSize() > MAX_BYTES:
        raise ParameterError("model", f"{model.ByteSize()} bytes", f"at most {MAX_BYTES} bytes, the limit of the format")
    check_target(path)
    folder = data_folder(path)
    with naming(path, path.parent):
        work = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name[:40]}."))
    try:
        with naming(path, work):
            fresh = work / "data"
            fresh.mkdir()
            for kind, arrays in (("input", inputs), ("output", outputs)):
                for i, (name, array) in enumerate(arrays):
                    tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
                    (fresh / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString(deterministic=True))
            (work / "model").write_bytes(model.SerializeToString(deterministic=True))
            if folder.exists():
                os.replace(folder, work / "old")
            try:
                os.replace(work / "model", path)
            except OSError:
                if (work / "old").exists():
                    os.replace(work / "old", folder)
                raise
            os.replace(fresh, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def data_folder(path: Path) -> Path:
    """Where the test data of the model at path is, or goes."""
    own = path.with_name(f"{path.stem}.{DATA}")
    beside = path.with_name(DATA)
    return own if own.exists() or (beside.exists() and not path.exists()) else beside
