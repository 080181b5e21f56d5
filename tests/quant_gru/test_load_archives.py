"""Archives that hide members or hold one twice, and sizes without bounds, are refused, whatever a reader would make of them."""

import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from quant_gru.load import load_data, load_model

WEIGHTS = {
    name: np.arange(size, dtype=np.float32).reshape(shape)
    for name, size, shape in (
        ("weight_ih_l0", 9, (3, 3)), ("weight_hh_l0", 3, (3, 1)), ("bias_ih_l0", 3, (3,)), ("bias_hh_l0", 3, (3,)),
    )
}  # fmt: skip


def refused(path, load=load_model):
    with pytest.raises(ParameterError) as error:
        load(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_directory_that_hides_members_in_a_comment_is_refused(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, **WEIGHTS)
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    third = data.index(b"PK\x01\x02", second + 4)
    data[second + 32 : second + 34] = struct.pack("<H", data.index(b"PK\x05\x06") - third)  # length of its comment
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 2  # the biases, which would be zero, are gone
    assert refused(path) == "m.npz is an archive of 2 members, expected 4 members, as its end record says"


def test_bytes_behind_an_archive_are_refused_and_a_comment_is_not(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, **WEIGHTS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"of a network"
    assert len(load_model(path).grus) == 1
    path.write_bytes(path.read_bytes() + b"more")
    assert refused(path).startswith("m.npz is an archive with other bytes at its end, expected ")


@pytest.mark.parametrize("damaged", [False, True])
def test_a_member_of_a_state_dict_given_twice_is_refused(tmp_path, damaged):
    torch = pytest.importorskip("torch")
    whole = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in WEIGHTS.items()}, whole)
    with zipfile.ZipFile(whole) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    name, content = next(m for m in members if m[0].endswith("data/0"))
    path = tmp_path / "m.pt"
    with pytest.warns(UserWarning), zipfile.ZipFile(path, "w") as archive:
        for member in [*members, (name, content)]:
            archive.writestr(*member)
    if damaged:  # the first of them, which torch reads; zipfile looks at the last
        path.write_bytes(path.read_bytes().replace(content, b"\x77" + content[1:], 1))
    assert refused(path) == f"m.pt[{name}] is given twice, expected each array once"


def test_sizes_whose_product_python_does_not_write_are_refused(tmp_path):
    digits = "9" * 4000
    path = tmp_path / "x.npy"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({digits}, {digits})}}".encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"abcd")
    assert refused(path, load_data).startswith("x.npy is 4 bytes of data, expected 2**64 bytes or more for float32 of shape [9")
    path = tmp_path / "m.safetensors"
    text = json.dumps({"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 4]}}).replace("[0]", f"[{digits}, {digits}]")
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + b"abcd")
    assert refused(path).startswith("m.safetensors[a] is 4 bytes of data, expected 2**64 bytes or more for float32")


def test_a_dtype_that_cannot_be_printed_is_escaped(tmp_path):
    path = tmp_path / "m.safetensors"
    text = json.dumps({"weight_ih_l0": {"dtype": "\n\x1b[2J", "shape": [], "data_offsets": [0, 0]}} | {
        "weight_hh_l0": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}).encode()  # fmt: skip
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    assert refused(path).startswith("weight_ih_l0 is an array of '\\n\\x1b[2J', expected float32")


@pytest.mark.parametrize("name", ["m.npz", "m.safetensors", "m.pt", "x.npy", "x.npz"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_is_refused_before_it_is_opened(tmp_path, name, kind):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)  # nobody writes: to open it would wait for ever
    else:
        path.symlink_to("/dev/zero")  # without end
    load = load_data if name.startswith("x") else load_model
    assert refused(path, load) == f"{name} is a pipe or a device, expected a regular file"
