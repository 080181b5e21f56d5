"""qgru widths: what it reads, prints and writes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from golden.sequence import forward
from qgru.cli import main
from qgru.quantize_files import pack_parameters, write_json
from quant_gru.stack import Direction, Stack
from tests.examples.rtl_tools import require, run
from tests.verification.small import dynamic_set, mshift_set, pot_set
from vectors.case import case_from_trace
from vectors.lint import lint
from vectors.reader import open_set
from vectors.writer import write_set
from verification.widths.narrow import changed, narrowed

BENCH = """`include "w.svh"
module tb;
  logic signed [QGRU_W_WX-1:0] wx;
  initial begin
    wx = 40 * 127 - 11 * 128;
    $display("%0d %0d %0d %0d", QGRU_W_WX, QGRU_U_Z, QGRU_W_WX_G, QGRU_W_WX_CHANNELS[15:8]);
    $finish;
  end
endmodule
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A parameters.json of two directions, and a set with a case of each datapath."""
    made = tmp_path_factory.mktemp("widths")
    stack = Stack(((Direction(None, mshift_set(), False), Direction(None, pot_set(), True)),), False)
    write_json(made / "parameters.json", pack_parameters(stack))
    cases = []
    for name, p, x in (
        ("m", mshift_set(), np.zeros((1, 1, 2), np.int32)),
        ("d", dynamic_set(), np.ones((1, 1, 2), np.float32)),
    ):
        cases.append(case_from_trace(name, p, x, None, forward(p, x), group="small"))
    write_set(made / "set", cases, seed=0, version="1")
    return made


def test_text(folder, capsys):
    assert main(["widths", str(folder / "parameters.json")]) == 0
    out = capsys.readouterr().out
    assert "layer0-forward: mshift, 2 inputs, 2 units\n" in out
    assert "layer0-reverse: pot, 2 inputs, 2 units\n" in out
    (wx,) = [line.split() for line in out.splitlines() if line.startswith("Wx ")][:1]
    assert wx == ["Wx", "L-1", "15", "exact", "-15642", "15468", "15", "14..15", "changes", "h"]
    assert "32 of 32 widths proven least and reached in golden\n" in out


def test_json_of_one_set(folder, capsys):
    arguments = ["widths", str(folder / "parameters.json"), "--set", "layer0-reverse", "--zoneout", "0.5", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["command"], found["zoneout"], len(found["sets"])) == ("widths", 0.5, 1)
    (only,) = found["sets"]
    assert (only["set"], only["datapath"], only["inputs"], only["hidden"]) == ("layer0-reverse", "pot", 2, 2)
    registers = {r["register"]: r for r in only["registers"]}
    assert "h_zoneout_acc" in registers
    for name, r in registers.items():
        assert r["bits"] == r["bits_attained"] and r["proof"] in ("exact", "tight")
        for end, value in zip(("least", "greatest"), r["attained"]):
            assert r[end]["value"] == value, name
        x, h = (np.array([r["greatest"][k]], np.int32) for k in "xh")
        assert forward(pot_set(), x[None], h, zoneout=0.5)[name].dtype.kind == "i"
        shown = r["one_bit_less"]
        if shown["changes"] == "h":
            x, h = (np.array([shown["input"][k]]) for k in "xh")
            assert changed(pot_set(), x, h, name, r["bits"] - 1, 0.5)[0], name


def test_header_for_systemverilog(folder, tmp_path):
    require("iverilog", "vvp")
    arguments = ["widths", f"{folder / 'set'}:m", "--out", str(tmp_path / "w.svh")]
    assert main(arguments) == 0
    (tmp_path / "tb.sv").write_text(BENCH)
    assert run(["iverilog", "-g2012", "-Wall", "-o", "tb", "tb.sv"], tmp_path)[0] == 0
    assert run(["vvp", "-n", "tb"], tmp_path) == (0, "15 7 15 15\n")


def test_headers_of_several_sets_name_theirs(folder, tmp_path):
    require("iverilog")
    assert main(["widths", str(folder / "parameters.json"), "--format", "svh", "--out", str(tmp_path / "all")]) == 0
    text = (tmp_path / "all").read_text()
    assert "localparam int QGRU_W_LAYER0_FORWARD_WX = 15;" in text
    assert "localparam int QGRU_U_LAYER0_REVERSE_Z = 8;" in text
    (tmp_path / "tb.sv").write_text('`include "all"\nmodule tb; endmodule\n')
    assert run(["iverilog", "-g2012", "-o", "tb", "tb.sv"], tmp_path)[0] == 0


def test_no_text_goes_where_the_json_would(folder, tmp_path, capsys):
    arguments = ["widths", f"{folder / 'set'}:m", "--json", "--vectors", str(tmp_path / "v")]
    assert main([*arguments, "--out", str(tmp_path / "w.json")]) == 0
    assert capsys.readouterr().out == "" and json.loads((tmp_path / "w.json").read_text())["command"] == "widths"
    assert main(arguments) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["command", "sets", "zoneout"]


def test_vectors_fail_at_one_bit_less(folder, tmp_path, capsys):
    assert main(["widths", str(folder / "parameters.json"), "--json", "--vectors", str(tmp_path / "v")]) == 0
    found = {s["set"]: s for s in json.loads(capsys.readouterr().out)["sets"]}
    opened = open_set(tmp_path / "v")
    assert list(lint(tmp_path / "v")) == []
    assert main(["check", str(tmp_path / "v"), "--device", "host"]) == 0
    for label in found:
        for r in found[label]["registers"]:
            if r["attained"] == [0, 0]:
                assert f"widths-{label}-{r['register']}" not in opened
                continue
            case = opened[f"widths-{label}-{r['register']}"]
            assert case.flags["full_width"] == 1
            wrong = narrowed(case.params, case.x[0], case.h0, r["register"], r["bits"] - 1)
            name = r["register"]
            if name != "h":
                assert not np.array_equal(wrong[name], case.trace[name][0] if case.trace[name].ndim else case.trace[name])
            if r["one_bit_less"]["changes"] == "h" and name != "h_new":
                assert not np.array_equal(wrong["h_new"], case.trace["h_new"][0]), name


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["SET:d"], "set d is mshift-dynamic, expected a static set, mshift or pot, whose scales are constants"),
        (["SET:x"], "expected a case of the 2 of"),
        (["PARAMETERS", "--set", "layer7"], "--set is 'layer7', expected one of layer0-forward, layer0-reverse"),
        (["PARAMETERS", "--json", "--format", "svh"], "--format is 'svh', expected json beside --json"),
        (["nowhere.json"], "nowhere.json: No such file or directory"),
    ],
)
def test_refusals(folder, capsys, arguments, sentence):
    names = {"SET": str(folder / "set"), "PARAMETERS": str(folder / "parameters.json")}
    head, *rest = arguments
    stem, colon, id = head.partition(":")
    assert main(["widths", names.get(stem, stem) + colon + id, *rest]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("qgru: ") and error.count("\n") == 1
