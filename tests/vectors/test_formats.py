"""Every file format holds the same cases, bit for bit, and refuses files that were changed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import vectors
from tests.vectors.damage import replace_file
from tests.vectors.examples import FLAGS
from tests.vectors.kinds import every_kind
from vectors.errors import VectorError
from vectors.formats import FORMAT
from vectors.formats.symbols import symbols
from vectors.kinds import pack_case
from vectors.manifest import FORMATS, identity, seal
from vectors.reader import form_of, open_set
from vectors.writer import export_set, write_set

FORMATS_FOLDER = vectors.__path__[0]
OTHERS = [form for form in FORMATS if form != "npz"]
CASE = "requantize-s10-recommended-int8-inside"


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Format -> folder."""
    base = tmp_path_factory.mktemp("formats")
    write_set(base / "npz", every_kind(), seed=7, version="1.0", flags=FLAGS)
    for form in OTHERS:
        export_set(open_set(base / "npz"), base / form, form)
    return base


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("form", OTHERS)
def test_there_and_back_is_the_same_to_the_byte(sets, tmp_path, form):
    assert form_of(sets / form) == form
    export_set(open_set(sets / form, form), tmp_path / "back", "npz")
    assert files(tmp_path / "back") == files(sets / "npz")


@pytest.mark.parametrize("form", FORMATS)
def test_two_exports_are_the_same_to_the_byte(sets, tmp_path, form):
    export_set(open_set(sets / "npz"), tmp_path / "again", form)
    assert files(tmp_path / "again") == files(sets / form)
    assert identity(open_set(sets / form, form).manifest) == identity(open_set(sets / "npz").manifest)


@pytest.mark.parametrize("form", OTHERS)
def test_every_format_holds_every_case(sets, form):
    opened = open_set(sets / form, form)
    assert list(opened) == [case.id for case in every_kind()]
    for case in every_kind():
        wanted, found = pack_case(case), pack_case(opened[case.id])
        assert found[0] == wanted[0]
        assert all(found[1][n].tobytes() == a.tobytes() and found[1][n].dtype == a.dtype for n, a in wanted[1].items())


@pytest.mark.parametrize("form", FORMATS)
def test_a_set_of_one_format_is_not_one_of_another(sets, form):
    other = FORMATS[FORMATS.index(form) - 1]
    with pytest.raises(VectorError, match=r"manifest.json: format is 'qgru-vectors"):
        open_set(sets / form, other)


def test_the_words_of_a_hex_file(sets):
    lines = (sets / "hex" / CASE / "input.v.hex").read_text().splitlines()
    words = [line for line in lines if not line.startswith("//")]
    case = next(c for c in every_kind() if c.id == CASE)
    assert lines[1] == "// format int32: 32 bits, two's complement, 8 digits a word"
    assert all(re.fullmatch("[0-9a-f]{8}", word) for word in words) and len(words) == case.rows
    assert words[0] == "80000000" and [int(w, 16) for w in words[:40]] == [int(v) % 2**32 for v in case.inputs["v"][:40]]
    q = (sets / "hex" / CASE / "output.q.hex").read_text().splitlines()
    assert q[1] == "// format int8: 8 bits, two's complement, 2 digits a word" and re.fullmatch("[0-9a-f]{2}", q[3])


def test_a_packed_bus_has_lane_0_in_its_least_significant_bits(sets):
    id = "linear-k003-int8-low"
    case = next(c for c in every_kind() if c.id == id)
    lines = (sets / "hex" / id / "input.codes.packed.hex").read_text().splitlines()
    assert lines[1] == "// 3 lanes of 17 bits, lane 0 in the least significant bits, 13 digits a word"
    for line, row in zip(lines[3:], case.inputs["codes"].tolist(), strict=True):
        word = int(line, 16)
        assert [word >> (17 * lane) & 0x1FFFF for lane in range(3)] == [value & 0x1FFFF for value in row]


def test_the_parameters_of_a_package(sets):
    text = (sets / "hex" / CASE / f"{CASE}.svh").read_text()
    case = next(c for c in every_kind() if c.id == CASE)
    assert f"package {CASE.replace('-', '_')}_pkg;" in text and text.endswith("endpackage\n`endif\n")
    assert f"localparam logic [31:0] M = 32'd{case.constants['M']};" in text
    assert f"localparam logic signed [31:0] zp = -32'sd{-case.constants['zp']};" in text
    assert "localparam logic signed_ = 1'd1;" in text and 'localparam v_FILE = "input.v.hex";' in text
    assert f"localparam logic signed [31:0] ROWS = 32'sd{case.rows};" in text


def test_the_least_number_of_a_width(sets):
    text = (sets / "hex" / "dequantize-least" / "dequantize-least.svh").read_text()
    assert "localparam logic signed [31:0] zp = 32'sh80000000;" in text
    header = (sets / "c" / "dequantize-least.h").read_text()
    assert "#define DEQUANTIZE_LEAST_zp (-2147483647 - 1)" in header


def test_a_header_has_the_least_types(sets):
    text = (sets / "c" / f"{CASE}.h").read_text()
    name = CASE.replace("-", "_")
    assert f"static const int32_t {name}_v[" in text and f"static const int8_t {name}_q[" in text
    floats = (sets / "c" / "quantize-int8-inside.h").read_text()
    assert "static const uint32_t quantize_int8_inside_v[" in floats
    assert "static const int8_t pot_empty_input_x[1] = {\n    0,\n};" in (sets / "c" / "pot-empty.h").read_text()


def test_a_binary_file_is_read_by_numpy(sets):
    folder = sets / "bin" / CASE
    layout = json.loads((folder / f"{CASE}.json").read_text())["files"]["output.q"]
    case = next(c for c in every_kind() if c.id == CASE)
    assert layout["type"] == "|i1"
    assert np.fromfile(folder / layout["file"], layout["type"]).tolist() == case.outputs["q"].tolist()


def test_wycheproof_explains_its_flags_and_marks_each_row(sets):
    value = json.loads((sets / "wycheproof" / "requantize.json").read_text())
    group = value["testGroups"][0]
    case = next(c for c in every_kind() if c.id == CASE)
    assert value["numberOfTests"] == len(group["tests"]) == case.rows
    assert set(value["notes"]) == set(case.flags) and value["notes"]["tie"]["bugType"] == "ROUNDING"
    counted = [flag for test in group["tests"] for flag in test["flags"]]
    assert {flag: counted.count(flag) for flag in case.flags} == case.flags
    assert [t["tcId"] for t in group["tests"]] == list(range(1, case.rows + 1))
    assert [t["q"] for t in group["tests"]] == case.outputs["q"].tolist()
    errors = json.loads((sets / "wycheproof" / "errors.json").read_text())
    assert {test["result"] for g in errors["testGroups"] for test in g["tests"]} == {"invalid"}


def test_wycheproof_has_a_schema(sets):
    jsonschema = pytest.importorskip("jsonschema")
    text = (Path(FORMATS_FOLDER) / "schema" / "wycheproof.schema.json").read_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    validator = jsonschema.Draft202012Validator(json.loads(text))
    for path in (sets / "wycheproof").glob("*.json"):
        if path.name != "manifest.json":
            value = json.loads(path.read_text())
            assert validator.is_valid(value), [e.message for e in validator.iter_errors(value)][:3]
            value["testGroups"][0]["more"] = 1
            assert not validator.is_valid(value)


def target(form):
    return {"hex": f"{CASE}/output.q.hex", "c": f"{CASE}.h", "bin": f"{CASE}/output.q.bin", "wycheproof": "requantize.json"}[
        form
    ]


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("resealed", [False, True])
def test_every_changed_byte_is_found(sets, tmp_path, form, resealed):
    """Also when the hash of the file is made to fit: the content has a hash, and each text has one form only."""
    export_set(open_set(sets / form, form), tmp_path / "set", form)
    name = target(form)
    data = (tmp_path / "set" / name).read_bytes()
    places = sorted({0, 1, len(data) // 3, len(data) // 2, len(data) - 2, len(data) - 1})
    for place in places:
        for change in (data[place] ^ 1, data[place] ^ 0x80):
            spoiled = data[:place] + bytes([change]) + data[place + 1 :]
            if resealed:
                replace_file(tmp_path / "set", name, spoiled)
            else:
                (tmp_path / "set" / name).write_bytes(spoiled)
            with pytest.raises(VectorError) as caught:
                open_set(tmp_path / "set", form)[CASE]
            assert ", expected " in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("content", [b"", b"\n", b"// only a header\n", b"[" * 50, b"0\n" * 3, b"\xff\n"])
def test_other_content_with_a_hash_that_fits(sets, tmp_path, form, content):
    export_set(open_set(sets / form, form), tmp_path / "set", form)
    replace_file(tmp_path / "set", target(form), content)
    with pytest.raises(VectorError):
        open_set(tmp_path / "set", form)[CASE]


def test_a_folder_that_is_a_link_is_refused(sets, tmp_path):
    export_set(open_set(sets / "hex", "hex"), tmp_path / "set", "hex")
    (tmp_path / "set" / CASE).rename(tmp_path / "elsewhere")
    (tmp_path / "set" / CASE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VectorError, match="its folder is a link or a file, expected a folder of the set"):
        open_set(tmp_path / "set", "hex")


@pytest.mark.parametrize("name", ["../up.hex", "a/../../b", "a/b/c.hex", "/etc/passwd", f"{CASE}/..", f"{CASE}/"])
def test_a_file_that_leads_elsewhere(sets, tmp_path, name):
    export_set(open_set(sets / "hex", "hex"), tmp_path / "set", "hex")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    (tmp_path / "set" / "manifest.json").write_bytes(seal(manifest))
    with pytest.raises(VectorError, match="manifest.json: files"):
        open_set(tmp_path / "set", "hex")


def test_other_formats_inside_a_set_do_not_hinder_its_replacement(tmp_path):
    write_set(tmp_path / "set", every_kind()[:1], seed=7, version="1.0", flags=FLAGS)
    export_set(open_set(tmp_path / "set"), tmp_path / "set" / "hex", "hex")
    write_set(tmp_path / "set", every_kind()[:2], seed=7, version="1.0", flags=FLAGS)
    assert not (tmp_path / "set" / "hex").exists()
    export_set(open_set(tmp_path / "set"), tmp_path / "set" / "hex", "hex")
    (tmp_path / "set" / "hex" / "mine.txt").write_text("mine")
    with pytest.raises(VectorError, match="also holds 'mine.txt'"):
        write_set(tmp_path / "set", every_kind()[:1], seed=7, version="1.0", flags=FLAGS)


def test_names_of_symbols_are_unique_and_plain():
    for case in every_kind():
        names = [s.name for s in symbols(pack_case(case)[0])]
        assert len(names) == len(set(names)) and all(re.fullmatch("[A-Za-z0-9_]+", n) for n in names)


def test_every_format_is_there():
    assert tuple(FORMAT) == FORMATS == ("npz", "hex", "c", "bin", "wycheproof")
