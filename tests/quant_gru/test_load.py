"""Networks and data from files, whole and damaged."""

import io
import json
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from quant_gru.load import load_data, load_model

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def weights(place="_l0", prefix="", inputs=3, hidden=2, dtype=np.float32, seed=1):
    rng = np.random.default_rng(seed)
    shapes = ((3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,))
    return {f"{prefix}{name}{place}": rng.standard_normal(shape).astype(dtype) for name, shape in zip(NAMES, shapes)}


def npz(path, arrays, save=np.savez):
    save(path, **arrays)
    return path


def safetensors(path, arrays, header=None, tail=b""):
    data, entries = b"", {}
    kinds = {"float32": "F32", "float64": "F64", "float16": "F16", "int8": "I8"}
    for name, array in arrays.items():
        raw = array.tobytes()
        offsets = [len(data), len(data) + len(raw)]
        entries[name] = {"dtype": kinds[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(entries | (header or {})).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data + tail)
    return path


def refused(function, path):
    with pytest.raises(ParameterError) as error:
        function(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    arrays = weights()
    model = load_model(npz(tmp_path / "m.npz", arrays | {"fc": np.arange(3)}, save))
    (named,) = model.grus
    assert (named.name, named.group, named.layer, named.reverse) == ("l0", "", 0, False)
    assert named.gru.W[:, 0].tolist() == arrays["weight_ih_l0"][2].tolist()  # z is PyTorch's second gate
    assert list(model.arrays) == ["fc"]


def test_layers_directions_and_prefixes_are_found_in_order(tmp_path):
    arrays = weights("_l1_reverse", "encoder.gru.", inputs=4) | weights("_l1", "encoder.gru.", inputs=4)
    arrays |= weights("_l0_reverse", "encoder.gru.") | weights("_l0", "encoder.gru.") | weights("", "decoder.cell.")
    found = [(g.name, g.group, g.layer, g.reverse) for g in load_model(npz(tmp_path / "m.npz", arrays)).grus]
    assert found == [
        ("decoder.cell", "decoder.cell.", 0, False),
        ("encoder.gru.l0", "encoder.gru.", 0, False),
        ("encoder.gru.l0_reverse", "encoder.gru.", 0, True),
        ("encoder.gru.l1", "encoder.gru.", 1, False),
        ("encoder.gru.l1_reverse", "encoder.gru.", 1, True),
    ]


def test_short_names_and_missing_biases(tmp_path):
    arrays = {"enc_w_ih": np.ones((3, 2), np.float32), "enc_w_hh": np.ones((3, 1), np.float32)}
    (named,) = load_model(npz(tmp_path / "m.npz", arrays)).grus
    assert (named.name, named.gru.bx.tolist(), named.gru.br.tolist()) == ("enc", [0, 0, 0], [0, 0, 0])


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ">f4"])
def test_other_floats_become_float32(tmp_path, dtype):
    (named,) = load_model(npz(tmp_path / "m.npz", weights(dtype=dtype))).grus
    assert named.gru.W.dtype == np.float32
    assert named.gru.bx[0] == np.float32(weights(dtype=dtype)["bias_ih_l0"][2])


def test_safetensors(tmp_path):
    arrays = weights(prefix="gru.")
    path = safetensors(tmp_path / "m.safetensors", arrays | {"emb": np.eye(2, dtype=np.float32)}, {"__metadata__": {"a": "b"}})
    model = load_model(path)
    assert model.grus[0].name == "gru.l0"
    assert model.grus[0].gru.R[:, 0].tolist() == arrays["gru.weight_hh_l0"][2].tolist()
    assert model.arrays["emb"].tolist() == [[1, 0], [0, 1]]


def test_a_bfloat16_array_that_is_no_weight_is_left_out(tmp_path):
    other = {"emb": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}
    assert load_model(safetensors(tmp_path / "m.safetensors", weights(), other)).arrays == {}


def test_bfloat16_weights_are_refused(tmp_path):
    header = {"weight_ih_l0": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}
    sentence = refused(load_model, safetensors(tmp_path / "m.safetensors", weights(), header))
    assert sentence == "weight_ih_l0 is an array of BF16, expected float32, float64 or float16"


def test_torch_state_dicts(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(3, 2, num_layers=2, bidirectional=True, bias=False)
    torch.save(module.state_dict(), tmp_path / "m.pt")
    torch.save({"epoch": 3, "state_dict": module.state_dict()}, tmp_path / "m.pth")
    for name in ("m.pt", "m.pth"):
        model = load_model(tmp_path / name)
        assert [g.name for g in model.grus] == ["l0", "l0_reverse", "l1", "l1_reverse"]
        wanted = module.weight_hh_l1_reverse.detach().numpy()[2:4].T  # the two rows of z
        assert np.array_equal(model.grus[3].gru.R[:, :2], wanted)


def test_tensors_that_are_not_stored_whole(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {k: torch.from_numpy(v) for k, v in weights().items()}
    torch.save(tensors | {"a": torch.zeros(1).expand(10**13)}, tmp_path / "m.pt")
    wanted = "m.pt[a] is float32 of shape [10000000000000] in 4 bytes, expected 40000000000000 bytes"
    assert refused(load_model, tmp_path / "m.pt").startswith(wanted)
    for tensor, kind in ((torch.eye(6).to_sparse(), "sparse_coo"), (torch.empty(6, 6, device="meta"), "meta")):
        torch.save(tensors | {"weight_hh_l0": tensor}, tmp_path / "m.pt")
        wanted = f"weight_hh_l0 is an array of float32 ({kind}), expected float32, float64 or float16"
        assert refused(load_model, tmp_path / "m.pt") == wanted


def test_a_pickled_module_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.GRU(3, 2), tmp_path / "m.pt")
    assert refused(load_model, tmp_path / "m.pt").startswith("m.pt is more than tensors, expected a state dict")


def test_bfloat16_state_dict_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.GRU(3, 2).bfloat16().state_dict(), tmp_path / "m.pt")
    assert refused(load_model, tmp_path / "m.pt").startswith("weight_ih_l0 is an array of bfloat16")


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["m.pt", "m.npz"])
def test_a_pickle_is_never_unpickled(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    assert refused(load_model, tmp_path / name).startswith(name)
    assert not (tmp_path / "sprung").exists()


def test_an_object_array_is_never_unpickled(tmp_path):
    np.savez(tmp_path / "m.npz", weight_ih_l0=np.array([Trap(str(tmp_path / "sprung"))], object))
    assert "an object array (a pickle)" in refused(load_model, tmp_path / "m.npz")
    assert not (tmp_path / "sprung").exists()


def without(name):
    return {k: v for k, v in weights().items() if k != name}


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({}, "m.npz is without GRU weights, expected names such as weight_ih_l0 and weight_hh_l0"),
        (without("weight_hh_l0"), "weight_hh of l0 is missing, expected an array beside weight_ih_l0"),
        (without("weight_ih_l0"), "weight_ih of l0 is missing, expected an array beside weight_hh_l0"),
        (weights("_l1"), "layer 0 of the network is missing, expected one below l1"),
        (weights() | weights("_l1"), "l1 input size is 3, expected 2, what layer 0 gives"),
        (weights() | weights("_l0_reverse", inputs=4), "l0_reverse is C=4, H=2, expected C=3, H=2 as l0"),
        (
            weights() | {"w_ih_l0": np.ones((6, 3), np.float32)},
            "w_ih_l0 is given also as weight_ih_l0, expected each weight once",
        ),
        (
            weights() | {"weight_hh_l0": np.ones((8, 2), np.float32)},
            "weight_hh_l0 is an array of shape [8, 2], expected shape [3H, H] with H > 0, three gates",
        ),
        (
            weights() | {"weight_ih_l0": np.ones(6, np.float32)},
            "weight_ih_l0 is an array of shape [6], expected shape [6, any]",
        ),
        (weights() | {"bias_hh_l0": np.ones(5, np.float32)}, "bias_hh_l0 is an array of shape [5], expected shape [6]"),
        (
            weights() | {"bias_ih_l0": np.ones(6, np.int64)},
            "bias_ih_l0 is an array of int64, expected float32, float64 or float16",
        ),
        (
            weights() | {"bias_ih_l0": np.array([0, 0, np.nan, 0, 0, 0], np.float32)},
            "bias_ih_l0[2] is nan, expected a finite number in the range of float32",
        ),
        (
            weights() | {"bias_ih_l0": np.array([0, 1e300, 0, 0, 0, 0])},
            "bias_ih_l0[1] is 1e+300, expected a finite number in the range of float32",
        ),
    ],
)
def test_bad_networks_are_refused(tmp_path, arrays, sentence):
    assert refused(load_model, npz(tmp_path / "m.npz", arrays)) == sentence


@pytest.mark.parametrize("name", ["m.npy", "m.onnx", "m"])
def test_other_suffixes_are_refused(tmp_path, name):
    assert refused(load_model, tmp_path / name).startswith(f"model file is '{name}', expected a file ending in .npz")


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "m.npz")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt"])
def test_truncated_at_any_byte(tmp_path, suffix):
    if suffix == ".pt":
        torch = pytest.importorskip("torch")
        torch.save({k: torch.from_numpy(v) for k, v in weights().items()}, tmp_path / "whole.pt")
    else:
        (npz if suffix == ".npz" else safetensors)(tmp_path / f"whole{suffix}", weights())
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    path = tmp_path / f"m{suffix}"
    for size in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:size])
        assert refused(load_model, path).startswith("m")


def test_a_flipped_byte_of_a_state_dict_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({k: torch.from_numpy(v) for k, v in weights().items()}, tmp_path / "m.pt")
    raw = (tmp_path / "m.pt").read_bytes()
    at = raw.index(weights()["bias_hh_l0"].tobytes())
    (tmp_path / "m.pt").write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    sentence = refused(load_model, tmp_path / "m.pt")
    assert sentence.startswith("m.pt[m/data/") and sentence.endswith("is damaged, expected a member with its own checksum")


def test_any_flipped_byte_is_refused_or_harmless(tmp_path):
    for name, write in (("m.npz", npz), ("m.safetensors", safetensors)):
        path = tmp_path / name
        whole = write(path, weights()).read_bytes()
        for at in range(0, len(whole), 11):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
            try:
                load_model(path)
            except ParameterError as error:
                assert "\n" not in str(error)


def member(shape, data, descr="'<f4'", version=b"\x01\x00"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header.encode() + data


@pytest.mark.parametrize(
    "content, part",
    [
        (member("(1099511627776, 3)", b"abcd"), "is 4 bytes of data, expected 13194139533312 bytes for float32"),
        (member("(1,)", b"abcdefgh"), "is 8 bytes of data, expected 4 bytes for float32"),
        (member("(-1,)", b"abcd"), "sizes of at least 0"),
        (member("(True,)", b"abcd"), "sizes of at least 0"),
        (member("(1,)", b"abcd", "'|O'"), "an object array (a pickle)"),
        (member("(1,)", b"abcd", version=b"\x07\x00"), "is of .npy version 7.0, expected version 1.0, 2.0 or 3.0"),
        (member("1.5", b"abcd"), "damaged"),
        (member("(1.5,)", b"abcd"), "sizes of at least 0"),
        (member("(1,)", b"abcd", "'zz'"), "damaged"),
        (member("(1,)", b"abcd", "[('a', '|O')]"), "an object array (a pickle)"),
        (member("(" * 40, b"abcd"), "damaged"),
        (member("'a'", b"abcd"), "damaged"),
        (b"\x93NUMPY", "damaged"),
        (b"", "damaged"),
        (member("(1,)", b"abcd", "('O',)"), "damaged"),
        (member(f"({'1,' * 65})", b"abcd"), "is an array of shape [1, 1, "),
        (member(f"(0, {2**62})", b""), f"is an array of shape [0, {2**62}], expected a shape of NumPy"),
        (member(f"(0, {2**70})", b""), f"is an array of shape [0, {2**70}], expected a shape of NumPy"),
    ],
)
def test_headers_are_not_believed(tmp_path, content, part):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("weight_ih_l0.npy", content)
    assert part in refused(load_model, tmp_path / "m.npz")
    (tmp_path / "x.npy").write_bytes(content)
    assert part in refused(load_data, tmp_path / "x.npy")


def test_sizes_in_the_archive_are_not_believed(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.npy", member("(1,)", b"abcd"))
    raw = bytearray(content.getvalue())
    at = raw.index(b"PK\x01\x02") + 24  # the uncompressed size in the central directory
    raw[at : at + 4] = struct.pack("<I", 2**31)
    (tmp_path / "m.npz").write_bytes(bytes(raw))
    assert "said to hold 2147483648 bytes" in refused(load_model, tmp_path / "m.npz")


def test_a_header_is_read_without_a_word_on_stderr(tmp_path):
    (tmp_path / "x.npy").write_bytes(member("(1if 2else 3,)", b"abcd"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert "damaged" in refused(load_data, tmp_path / "x.npy")
    assert said == []


def test_names_that_cannot_be_printed_are_escaped(tmp_path):
    wanted = "m.npz is with an array named 'a\\nb', expected printable names"
    assert refused(load_model, npz(tmp_path / "m.npz", weights() | {"a\nb": np.ones(1)})) == wanted
    header = {"a\nb": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}
    sentence = refused(load_model, safetensors(tmp_path / "m.safetensors", weights(), header))
    assert sentence.startswith("m.safetensors['a\\nb'] is at bytes 4 to 0")


def test_a_member_given_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        for _ in range(2):
            archive.writestr("a.npy", member("(1,)", b"abcd"))
    assert refused(load_model, tmp_path / "m.npz") == "m.npz[a] is given twice, expected each array once"


@pytest.mark.parametrize(
    "entry, part",
    [
        ({"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}, "is 4 bytes of data, expected 4000000000000 bytes"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [0, 10**12]}, "a place inside the file"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}, "a place inside the file"),
        ({"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}, f"an array of shape [0, {2**62}], expected a shape"),
        ({"dtype": "F32", "shape": [1] * 65, "data_offsets": [0, 4]}, "is an array of shape [1, 1, "),
        ({"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}, "described incompletely"),
        ({"dtype": "F32", "shape": [1]}, "described incompletely"),
        (["F32"], "described incompletely"),
    ],
)
def test_safetensors_headers_are_not_believed(tmp_path, entry, part):
    assert part in refused(load_model, safetensors(tmp_path / "m.safetensors", weights(), {"a": entry}))


@pytest.mark.parametrize("text", [b"[]", b"{", b'{"a": 1, "a": 2}', b"[" * 5000, b"\xff\xfe"])
def test_safetensors_headers_that_are_none(tmp_path, text):
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    assert refused(load_model, path).startswith("m.safetensors is")


def test_data(tmp_path):
    x = np.arange(6, dtype=np.float64).reshape(3, 1, 2)
    np.save(tmp_path / "x.npy", x)
    assert load_data(tmp_path / "x.npy").x.tolist() == x.tolist()
    data = load_data(npz(tmp_path / "x.npz", {"x": x, "h0": np.ones((1, 4), np.float32)}))
    assert (data.x.dtype.name, data.x.shape, data.h0.shape) == ("float32", (3, 1, 2), (1, 4))
    assert load_data(npz(tmp_path / "y.npz", {"x": x[:0]})).x.shape == (0, 1, 2)
    data = load_data(npz(tmp_path / "z.npz", {"x": x, "h0": np.ones((3, 4), np.float32)}), batch_first=True)
    assert data.x.tolist() == x.swapaxes(0, 1).tolist() and data.h0.shape == (3, 4)


X = np.zeros((3, 2, 1), np.float32)


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({"y": X}, "x.npz[x] is missing, expected an array x [T, N, C]"),
        ({"x": X, "h": X}, "x.npz[h] is an unknown array, expected x [T, N, C] and, if wanted, h0 [N, H]"),
        ({"x": X[0]}, "x is an array of shape [2, 1], expected shape [any, any, any]"),
        ({"x": X[:, :0]}, "x is an array of shape [3, 0, 1], expected at least one row and one feature"),
        ({"x": X.astype(np.int8)}, "x is an array of int8, expected float32, float64 or float16"),
        ({"x": X + np.float32(np.inf)}, "x[0, 0, 0] is inf, expected a finite number in the range of float32"),
        ({"x": X, "h0": np.ones((3, 1), np.float32)}, "h0 is an array of shape [3, 1], expected shape [2, any]"),
        ({"x": np.array(["a"])}, "x is an array of <U1, expected float32, float64 or float16"),
    ],
)
def test_bad_data_is_refused(tmp_path, arrays, sentence):
    assert refused(load_data, npz(tmp_path / "x.npz", arrays)) == sentence


def test_data_of_another_suffix_is_refused(tmp_path):
    assert refused(load_data, tmp_path / "x.csv") == "data file is 'x.csv', expected a file ending in .npz or .npy"


@pytest.mark.parametrize("path", [".", "/"])
def test_a_folder_without_a_name_is_named_as_it_was_given(path):
    assert refused(load_data, path).startswith(f"data file is '{path}', expected")
    assert refused(load_model, path).startswith(f"model file is '{path}', expected")


def test_torch_is_imported_only_for_its_own_files():
    code = "import sys, quant_gru.load, quant_gru.accuracy; print('torch' in sys.modules, 'g2p_en' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
