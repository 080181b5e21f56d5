"""A damaged or hostile set is refused with one sentence that names the file, the field and the value."""

from __future__ import annotations

import os
import pickle
import shutil
import tracemalloc
import warnings

import numpy as np
import pytest

from tests.vectors.damage import bomb, edit, header, members, refusal, replace_file, replace_member, zipped
from tests.vectors.examples import FLAGS, cases
from vectors.errors import VectorError
from vectors.npz import npy_bytes, read_npz, write_npz
from vectors.reader import open_set
from vectors.writer import write_set

FILE = "mshift-plain.npz"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    write_set(path, cases()[:1] + cases()[3:4], seed=7, version="1.0", flags=FLAGS)
    return path


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "set")


def rewrite(folder, old: bytes, new: bytes, count: int = 1) -> None:
    """Change the text of the manifest without sealing it."""
    text = (folder / "manifest.json").read_bytes()
    assert old in text
    (folder / "manifest.json").write_bytes(text.replace(old, new, count))


def test_the_undamaged_set_is_read(folder):
    assert [case.id for case in open_set(folder).values()] == ["mshift-plain", "pot-zoneout"]
    edit(folder, lambda m: None)
    assert len(list(open_set(folder).values())) == 2


@pytest.mark.parametrize("file", ["manifest.json", FILE, "pot-zoneout.npz"])
def test_every_flipped_bit_is_seen(folder, file):
    data = (folder / file).read_bytes()
    rng = np.random.default_rng(3)
    for at in [0, len(data) - 1, *rng.integers(0, len(data), 60).tolist()]:
        spoiled = bytearray(data)
        spoiled[at] ^= 1 << int(rng.integers(8))
        (folder / file).write_bytes(spoiled)
        assert file in refusal(folder)


@pytest.mark.parametrize("file", ["manifest.json", FILE])
@pytest.mark.parametrize("keep", [0, 1, -1])
def test_a_cut_file(folder, file, keep):
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[:keep])
    assert file in refusal(folder)


def test_a_longer_file(folder):
    with open(folder / FILE, "ab") as stream:
        stream.write(b"\0")
    assert refusal(folder).startswith(f"{FILE}: the size is ")


def test_a_missing_file(folder):
    (folder / FILE).unlink()
    assert refusal(folder) == f"{FILE}: the file is No such file or directory, expected a regular file"


def test_no_folder_and_no_manifest(tmp_path):
    assert "not a folder" in refusal(tmp_path / "nothing")
    assert refusal(tmp_path).startswith("manifest.json: the file is No such file")


# The manifest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.update(more=1), "manifest.json: more is an unknown field, expected one of "),
        (lambda m: m["cases"][0].update(more=1), "manifest.json: cases[0].more is an unknown field"),
        (lambda m: m["cases"][1]["options"].update(x=1), "manifest.json: cases[1].options.x is an unknown field"),
        (lambda m: m.pop("seed"), "manifest.json: seed is missing"),
        (lambda m: m["cases"][0].pop("group"), "manifest.json: cases[0].group is missing"),
        (lambda m: m["cases"][0]["params"].pop("zp_x"), f"{FILE}: zp_x is missing"),
        (lambda m: m["cases"][0]["params"].update(more=1), f"{FILE}: more is an unknown field"),
        (lambda m: m["cases"][0]["params"].update(zp_w=1), f"{FILE}: zp_w is 1, expected 0"),
        (lambda m: m["cases"][0]["params"].update(s_x=0.1), f"{FILE}: s_x is 0.1, expected a positive, finite number"),
        (lambda m: m["cases"][0]["params"].update(s_x=1), f"{FILE}: params is written in another way"),
        (lambda m: m["cases"][0]["params"]["table_z"].update(kind="?"), f"{FILE}: table_z kind is '?'"),
        (lambda m: m["cases"][0]["profile"].update(spec="0.9"), f"{FILE}: profile is {{"),
        (lambda m: m["cases"][0].update(profile_sha256="0" * 64), f"{FILE}: profile_sha256 is '000"),
        (lambda m: m.update(format="other"), "manifest.json: format is 'other', expected 'qgru-vectors'"),
        (lambda m: m.update(format_version=2), "manifest.json: format_version is 2, expected 1,"),
        (lambda m: m.update(format_version=True), "manifest.json: format_version is True, expected 1,"),
        (lambda m: m.update(spec_version="9.9"), "manifest.json: spec_version is '9.9', expected '1.0',"),
        (lambda m: m.update(seed=-1), "manifest.json: seed is -1, expected a number in [0, 9007199254740991]"),
        (lambda m: m.update(seed="7"), "manifest.json: seed is '7', expected an integer"),
        (lambda m: m.update(cases=[]), "manifest.json: cases is a list of 0 items, expected at least 1"),
        (lambda m: m.update(flags={}), "manifest.json: cases[0].flags is 'Small', expected a flag that the set explains"),
        (lambda m: m["cases"][0].update(comment="a\nb"), "manifest.json: cases[0].comment is 'a\\nb', expected a string"),
        (
            lambda m: m["cases"][0].update(flags={"Small": 0}),
            "manifest.json: cases[0].flags.Small is 0, expected a number in [1, ",
        ),
        (lambda m: m["cases"][0].update(flags=["Small"]), "manifest.json: cases[0].flags is ['Small'], expected an object"),
        (lambda m: m["cases"][0].update(content_sha256="0" * 64), f"{FILE}: content_sha256 is "),
        (lambda m: m["cases"][0].update(kind="step"), "manifest.json: cases[0].constants is missing"),
        (
            lambda m: m["cases"][0].update(kind="mystery"),
            "manifest.json: cases[0].kind is 'mystery', expected one of sequence, ",
        ),
        (lambda m: m["cases"][0].update(level=4), "manifest.json: cases[0].level is 4, expected a number in [1, 3]"),
        (lambda m: m.update(scope={"level": 1}), "manifest.json: scope.datapath is missing"),
        (lambda m: m["cases"].append(m["cases"][0]), "manifest.json: cases[2].id is 'mshift-plain', given twice"),
        (lambda m: m["cases"][0].update(datapath="pot"), f"{FILE}: params datapath is 'mshift', expected 'pot'"),
        (lambda m: m["cases"][0]["options"].update(training=True), f"{FILE}: trace fields is different in v"),
        (lambda m: m["cases"][0]["options"].update(zoneout=2.0), "manifest.json: cases[0].options.zoneout is 2.0"),
        (lambda m: m["cases"].pop(0), "manifest.json: files is 'mshift-plain.npz', without a case"),
        (lambda m: m["files"][FILE].update(sha256="0" * 64), f"{FILE}: sha256 is "),
        (lambda m: m["files"][FILE].update(bytes=2**29), "manifest.json: files.mshift-plain.npz.bytes is 536870912"),
        (lambda m: m["cases"][0]["arrays"]["trace.z"].update(role="input"), f"{FILE}: trace.z role is 'input'"),
        (lambda m: m["cases"][0]["arrays"]["trace.z"].update(format="int16"), f"{FILE}: trace.z format is 'int16'"),
        (lambda m: m["cases"][0]["arrays"]["trace.z"].update(clause="GM-2"), f"{FILE}: trace.z clause is 'GM-2'"),
        (lambda m: m["cases"][0]["arrays"]["trace.z"].update(dtype="float32"), f"{FILE}: trace.z is int32 [3, 2, 2], expected"),
        (lambda m: m["cases"][0]["arrays"]["trace.z"].update(shape=[3, 2, 9]), f"{FILE}: the size of trace.z is "),
        (lambda m: m["cases"][0]["arrays"]["trace.z"].update(shape=[2, 3, 2]), f"{FILE}: trace.z is int32 [3, 2, 2], expected"),
        (lambda m: m["cases"][0]["arrays"].pop("trace.z"), f"{FILE}: the list of arrays is missing [] and unknown ['trace.z']"),
    ],
)
def test_a_manifest_that_was_changed_and_sealed_again(folder, change, sentence):
    edit(folder, change)
    assert refusal(folder).startswith(sentence)


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc/passwd", "..", "a..b", ".hidden", "a\\b", "C:", "", "a b", "ä"])
def test_a_name_that_leads_elsewhere(folder, name):
    edit(folder, lambda m: m["cases"][0].update(id=name, file=f"{name}.npz"))
    assert refusal(folder).startswith("manifest.json: ")
    edit(folder, lambda m: m["files"].update({f"{name}.npz": m["files"][FILE]}))
    assert refusal(folder).startswith("manifest.json: ")


@pytest.mark.parametrize("file", ["manifest.json", FILE])
def test_a_link_a_folder_and_a_pipe_are_no_files(folder, tmp_path, file):
    (folder / file).rename(tmp_path / "elsewhere")
    (folder / file).symlink_to(tmp_path / "elsewhere")
    assert refusal(folder).startswith(f"{file}: the file is lrwxrwxrwx, expected a regular file")
    (folder / file).unlink()
    (folder / file).mkdir()
    assert refusal(folder).startswith(f"{file}: the file is drwx")
    (folder / file).rmdir()
    os.mkfifo(folder / file)
    assert refusal(folder).startswith(f"{file}: the file is prw")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (b'"seed": 7', b'"seed": 7,\n  "seed": 7', "key 'seed' is given twice, expected each key once"),
        (b'"seed": 7', b'"seed": NaN', "a number is NaN, expected a finite number"),
        (b'"seed": 7', b'"seed": -Infinity', "a number is -Infinity"),
        (b'"seed": 7', b'"seed": 1e999', "a number is '1e999'"),
        (b'"seed": 7', b'"seed": ' + b"9" * 10000, "an integer is 99999999999999999999... of 10000 digits"),
        (b'"seed": 7', b'"seed": ' + b"[" * 100000, "the nesting is too deep to read, expected at most 24 levels"),
        (b'"seed": 7', b'"seed": ' + b"[" * 30 + b"]" * 30, "the nesting is more than 24 levels"),
        (b'"seed": 7', b'"seed": "\xc3\xa4"', "is 0xc3, expected ASCII"),
        (b'"seed": 7', b'"seed": ', "expected JSON ("),
        (b'"seed": 7', b'"seed":  7', "the text is not canonical"),
        (b'"seed": 7', b'"seed": 8', "sha256 is "),
        (b'"name": "qgru"', b'"name": "qgrv"', "sha256 is "),
    ],
)
def test_a_manifest_text_that_was_changed(folder, old, new, part):
    rewrite(folder, old, new)
    text = refusal(folder)
    assert text.startswith("manifest.json: ") and part in text


def test_a_manifest_without_its_last_newline_or_with_more(folder):
    text = (folder / "manifest.json").read_bytes()
    for spoiled in (text[:-1], text + b"\n", b" " + text):
        (folder / "manifest.json").write_bytes(spoiled)
        assert "the text is not canonical" in refusal(folder)


# The files of arrays


class Exploding:
    """Unpickling it makes a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_unpickled(folder, tmp_path):
    trap = pickle.dumps(Exploding(str(tmp_path / "unpickled")))
    replace_file(folder, FILE, trap)
    assert "the end of the file is" in refusal(folder)
    replace_file(folder, FILE, zipped([("trace.z.npy", header("|O", "(1,)") + trap)]))
    claim = {"clause": "GM-1", "dtype": "int32", "format": "int8", "role": "trace", "shape": [len(trap) // 4]}
    edit(folder, lambda m: m["cases"][0].update(arrays={"trace.z": claim}))
    assert "the dtype of trace.z is '|O'" in refusal(folder)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (header("<i4", "(1000000000, 1000000000)") + bytes(48), "the shape of trace.z is [1000000000, 1000000000]"),
        (header("<i4", "(99999999999,)") + bytes(48), "the shape of trace.z is '99999999999,'"),
        (header("<i4", "(3, 2, 3)") + bytes(48), "the shape of trace.z is [3, 2, 3]"),
        (header("<i4", "(1, 1, 1, 1, 12)") + bytes(48), "the shape of trace.z is [1, 1, 1, 1, 12]"),
        (header("<i4", "(2, 3, 2)") + bytes(48), "trace.z is int32 [2, 3, 2], expected int32 [3, 2, 2]"),
        (header("<f4", "(3, 2, 2)") + bytes(48), "trace.z is float32 [3, 2, 2], expected int32 [3, 2, 2]"),
        (header("<i4", "(3, 2, 2)", "True") + bytes(48), "the order of trace.z is Fortran, expected C"),
        (header("<c8", "(6,)") + bytes(48), "the dtype of trace.z is '<c8'"),
        (header("|V4", "(12,)") + bytes(48), "the dtype of trace.z is '|V4'"),
        (header(">i4", "(3, 2, 2)") + bytes(48), "the dtype of trace.z is '>i4'"),
        (header("<i4", "(3, -2, -2)") + bytes(48), "the header of trace.z is "),
        (header("<i4", "__import__('os')") + bytes(48), "the header of trace.z is "),
        (b"\x93NUMPY\x02\x00" + bytes(60), "at its start, expected an array in .npy format 1.0"),
        (b"\x93NUMPY\x01\x00\xff\xff" + bytes(60), "the header of trace.z is"),
        (header("<i4", "(3, 2, 2)") + b"\xff" * 44 + b"\0\0\0\x01", "trace z[2, 1, 1] is 16777216, expected a value of int8"),
    ],
)
def test_an_array_that_is_not_what_it_should_be(folder, content, part):
    replace_member(folder, FILE, "trace.z", content)
    text = refusal(folder)
    assert text.startswith(f"{FILE}: ") and part in text


def test_other_numbers_in_known_arrays(folder):
    case = cases()[0]
    replace_member(folder, FILE, "trace.x", npy_bytes("x", case.x + 1))
    assert refusal(folder).startswith(f"{FILE}: trace x is another array than the input")
    replace_member(folder, FILE, "params.W", npy_bytes("W", case.params.W * 2))
    assert refusal(folder).startswith(f"{FILE}: W[") and "a code of int8" in refusal(folder)


def test_nan_in_an_array():
    data = write_npz({"s": np.array([1.0, np.nan], np.float32)})
    with pytest.raises(VectorError, match="a.npz: s is an array with NaN or inf, expected finite numbers"):
        read_npz(data, "a.npz")


def test_a_member_given_twice(folder):
    entries = members((folder / FILE).read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        replace_file(folder, FILE, zipped([*entries, entries[0]]))
    assert f"zip entry {entries[0][0]} is given twice, expected each array once" in refusal(folder)


def test_a_member_too_much_and_too_few(folder):
    entries = members((folder / FILE).read_bytes())
    replace_file(folder, FILE, zipped([*entries, ("more.npy", npy_bytes("more", np.zeros(1, np.int32)))]))
    assert "missing [] and unknown ['more']" in refusal(folder)
    replace_file(folder, FILE, zipped([e for e in entries if e[0] != "trace.n.npy"]))
    assert "missing ['trace.n'] and unknown []" in refusal(folder)


@pytest.mark.parametrize("name", ["../x.npy", "/x.npy", "a/x.npy", "x", "x.npy/", "x\0.npy", ".npy"])
def test_a_member_with_another_name(name):
    with pytest.raises(VectorError, match="the name of zip entry 0 is "):
        read_npz(zipped([("x" * len(name), b"")]).replace(b"x" * len(name), name.encode()), "a.npz")


def test_a_bomb_that_says_its_size(folder):
    replace_member(folder, FILE, "trace.z", header("<i4", "(3, 2, 2)") + bytes(1 << 24))
    assert f"the size of trace.z is {(1 << 24) + 73} bytes, expected 48 bytes and a header" in refusal(folder)


def test_a_bomb_that_hides_its_size():
    """256 mebibytes of zeros that declare 60 bytes is left after these, without having been in memory."""
    packed = bomb(1 << 28)
    data = zipped([("x.npy", bytes(60))])
    honest = len(data) - 22 - 51 - 30 - 5  # packed bytes of the entry as zipfile made it
    start = 30 + 5
    directory = bytearray(data[start + honest : -22])
    directory[20:24] = len(packed).to_bytes(4, "little")
    end = bytearray(data[-22:])
    end[16:20] = (start + len(packed)).to_bytes(4, "little")
    hostile = data[:start] + packed + bytes(directory) + bytes(end)
    tracemalloc.start()
    try:
        with pytest.raises(VectorError, match="a.npz: the size of x is not the declared 60 bytes"):
            read_npz(hostile, "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_members_that_overlap():
    content = npy_bytes("x", np.zeros(4, np.int32))
    data = zipped([("x.npy", content), ("y.npy", content)])
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 1)
    spoiled = bytearray(data)
    spoiled[second + 42 : second + 46] = bytes(4)  # the second entry points at the first one's bytes
    with pytest.raises(VectorError, match="the local zip header of y.npy is under another name"):
        read_npz(bytes(spoiled), "a.npz")
    spoiled[first + 20 : first + 24] = (first - 35).to_bytes(4, "little")  # the first entry covers the second
    spoiled[second + 42 : second + 46] = data[second + 42 : second + 46]
    with pytest.raises(VectorError, match="the place of y.npy is "):
        read_npz(bytes(spoiled), "a.npz")


def test_too_much_in_one_file():
    data = write_npz({"x": np.zeros(1000, np.int64)})
    with pytest.raises(VectorError, match="the size of the arrays is 8128 bytes, expected at most 8000"):
        read_npz(data, "a.npz", limit=8000)


def test_what_numpy_writes_is_read(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.int8).reshape(2, 3), "b": np.float32(0.5).reshape(()), "c": np.zeros((0, 2), np.int64)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_npz((tmp_path / "a.npz").read_bytes(), "a.npz")
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype and found[name].shape == array.shape
            assert found[name].tobytes() == array.tobytes() and found[name].flags.writeable
