"""Files of the float side that cannot be written: the error names the file that was asked for, and nothing is left."""

import errno
import os

import numpy as np
import pytest

from quant_gru.files import atomic_path, atomic_text


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.write_text", lambda *_, **__: full())
    with pytest.raises(OSError, match="No space left on device") as caught:
        atomic_text(tmp_path / "p.json", "{}")
    assert caught.value.filename == str(tmp_path / "p.json") and list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_model(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    from quant_gru.onnx_files import write_model

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_model(tmp_path / "m.onnx", onnx.ModelProto(), [("x", np.zeros(2, np.float32))], [])
    assert caught.value.filename == str(tmp_path / "m.onnx") and list(tmp_path.iterdir()) == []


def test_the_temporary_name_is_not_named(tmp_path, monkeypatch):
    with pytest.raises(OSError) as caught, atomic_path(tmp_path / "p.json") as fresh:
        raise OSError(errno.ENOSPC, "full", str(fresh))
    assert caught.value.filename == str(tmp_path / "p.json")
    monkeypatch.setattr("tempfile.mkstemp", lambda **o: os.open(tmp_path / "none" / "x", os.O_RDONLY))
    with pytest.raises(OSError) as caught, atomic_path(tmp_path / "p.json"):
        pass
    assert caught.value.filename == str(tmp_path / "p.json")


def test_other_errors_are_left_as_they_are(tmp_path):
    for error in (OSError(errno.ENOENT, "gone", "/elsewhere"), ValueError("else")):
        with pytest.raises(type(error)) as caught, atomic_path(tmp_path / "p.json"):
            raise error
        assert caught.value is error and list(tmp_path.iterdir()) == []
