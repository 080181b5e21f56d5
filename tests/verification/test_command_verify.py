"""qgru verify: the table, the vectors, the JSON, the refusals."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import verification.run
from golden.sequence import forward
from qgru.cli import main
from tests.verification.networks import torch_names, write_g2p, write_gru
from vectors.reader import open_set

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def g2p(tmp_path_factory):
    return write_g2p(tmp_path_factory.mktemp("g2p"))


@pytest.fixture(scope="module")
def verified(g2p, tmp_path_factory):
    """(folder of the vectors, what was printed) of one whole run"""
    folder = tmp_path_factory.mktemp("out")
    run = subprocess.run(
        [sys.executable, "-m", "qgru", "verify", "--g2p", str(g2p), "--device", "host", "--out", str(folder / "vectors")],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    return folder / "vectors", run.stdout


def test_the_table_has_every_setting_and_network(verified):
    lines = verified[1].splitlines()
    assert lines[0].split() == ["setting", "network", "codes", "compared", "mismatches", "SQNR", "phonemes"]
    labels = ["pot, 8 bit", "pot, 16 bit", "pot, 16 bit, quadratic (A-4)", "mshift, 8 bit gates", "mshift-dynamic, 8 bit gates"]
    labels.append("mshift, table domain 1/128 (X-7)")
    assert [line.split("  ")[0] for line in lines[1:13]] == [label for label in labels for _ in (0, 1)]
    assert lines[13].startswith("phonemes: 1 - PER against the float network")
    assert " 0 mismatches, golden against the twin on host" in lines[14]
    assert "%" in lines[2] and "dB" in lines[1]


def test_the_vectors_are_goldens_run(verified):
    cases = open_set(verified[0])
    settings = ("pot8", "pot16", "pot16-quadratic", "mshift8", "dynamic8", "document")
    ids = [f"g2p-{s}-{n}" for s in settings for n in ("encoder", "decoder")]
    assert list(cases) == ids
    for case in cases.values():
        again = forward(case.params, case.x, case.h0, **case.options)
        assert {k: v.tobytes() for k, v in again.items()} == {k: v.tobytes() for k, v in case.trace.items()}


def test_the_same_run_gives_the_same_bytes(g2p, verified, tmp_path):
    assert main(["verify", "--g2p", str(g2p), "--device", "host", "--out", str(tmp_path / "again")]) == 0
    names = sorted(p.name for p in verified[0].iterdir())
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (verified[0] / name).read_bytes()


def test_words_outside_ascii_are_escaped_in_the_comment(g2p, tmp_path):
    folder = shutil.copytree(g2p, tmp_path / "g2p")
    (folder / "homographs.en").write_text("bass|x\nr\u00e9sum\u00e9|x\n", encoding="utf-8")
    command = ["verify", "--g2p", str(folder), "--datapath", "mshift", "--device", "host", "--out", str(tmp_path / "set")]
    assert main(command) == 0
    comments = [entry["comment"] for entry in open_set(tmp_path / "set").manifest["cases"]]
    assert set(comments) == {f"{kind}: r\\xe9sum\\xe9" for kind in ("encoder", "decoder")}


def test_json_is_one_canonical_object(g2p, tmp_path, capsys):
    command = ["verify", "--g2p", str(g2p), "--datapath", "mshift", "--device", "host", "--json", "--out"]
    assert main([*command, str(tmp_path / "a")]) == 0
    first = capsys.readouterr().out
    assert main([*command, str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out == first
    found = json.loads(first)
    assert first == json.dumps(found, sort_keys=True, separators=(",", ":")) + "\n"
    assert (found["equal"], found["mismatches"], found["seed"], found["device"]) == (True, 0, 0, "host")
    assert found["compared"] == sum(line["compared"] for line in found["lines"]) > 10_000
    assert [line["network"] for line in found["lines"]] == ["encoder", "decoder"] * 2


def test_the_seed_chooses_the_other_half(g2p, tmp_path):
    for seed in ("0", "1"):
        assert (
            main(
                ["verify", "--g2p", str(g2p), "--datapath", "pot", "--bits", "8", "--seed", seed, "--out", str(tmp_path / seed)]
            )
            == 0
        )
    words = [open_set(tmp_path / seed)["g2p-pot8-encoder"].comment for seed in ("0", "1")]
    assert set(words[0].removeprefix("encoder: ").split(", ")).isdisjoint(words[1].removeprefix("encoder: ").split(", "))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt"])
def test_a_model_file_with_its_data(suffix, tmp_path, capsys):
    model = tmp_path / f"model{suffix}"
    if suffix == ".npz":
        write_gru(model)
    elif suffix == ".safetensors":
        pytest.importorskip("safetensors.numpy").save_file(torch_names(), str(model))
    else:
        torch = pytest.importorskip("torch")
        torch.save({k: torch.from_numpy(v) for k, v in torch_names().items()}, model)
    data = tmp_path / "data.npz"
    np.savez(data, x=np.random.default_rng(0).standard_normal((5, 4, 3)).astype(np.float32))
    assert main(["verify", "--model", str(model), "--data", str(data), "--device", "host", "--out", str(tmp_path / "v")]) == 0
    assert " 0 mismatches" in capsys.readouterr().out
    settings = ("pot8", "pot16", "pot16-quadratic", "mshift8", "dynamic8", "document")
    assert list(open_set(tmp_path / "v")) == [f"{setting}-l0" for setting in settings]


def test_two_layers_in_both_directions_with_drawn_data(tmp_path, capsys):
    arrays = {}
    for layer, inputs in ((0, 3), (1, 8)):
        for reverse in ("", "_reverse"):
            names = torch_names(layer, inputs)
            arrays |= {name.replace("_l0", f"_l{layer}{reverse}"): value for name, value in names.items()}
    np.savez(tmp_path / "m.npz", **arrays)
    assert (
        main(["verify", "--model", str(tmp_path / "m.npz"), "--datapath", "pot", "--bits", "6", "--out", str(tmp_path / "v")])
        == 0
    )
    cases = open_set(tmp_path / "v")
    assert list(cases) == ["pot6-l0", "pot6-l0_reverse", "pot6-l1", "pot6-l1_reverse"]
    assert [case.reverse for case in cases.values()] == [False, True, False, True]
    assert " 0 mismatches" in capsys.readouterr().out


def test_a_wrong_twin_is_reported_with_a_replay(g2p, tmp_path, monkeypatch, capsys):
    def wrong(params, x, h0=None, *, device, **options):
        trace = forward(params, x, h0, **options)
        fields = {name: array.copy() for name, array in trace.items()}
        fields["g_acc"][-1, 1, 2] += 3
        return replace(trace, fields=fields)

    monkeypatch.setattr(verification.run, "twin_forward", wrong)
    out = tmp_path / "v"
    assert main(["verify", "--g2p", str(g2p), "--datapath", "mshift", "--device", "host", "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert "mismatches, golden against the twin on host" in printed.out and " 0 mismatches" not in printed.out
    report = printed.err.splitlines()
    assert report[0] == "MISMATCH twin against golden, datapath mshift"
    assert report[1].startswith("  stage g_acc [SPEC GM-2], t = ") and report[1].endswith(", n = 1, unit = 2")
    assert report[3].endswith("difference 3")
    assert report[4].startswith("  operands: Wx:g = ")
    assert f"  replay: qgru check {out}-mismatch --device host" in report
    monkeypatch.undo()
    assert main(["check", f"{out}-mismatch", "--device", "host"]) == 0
    case = open_set(f"{out}-mismatch")["mismatch"]
    assert case.x.shape[1] == 1  # only the row that differs


NAN = torch_names()["weight_ih_l0"].copy()
NAN[2, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"weight_hh_l0": None}, "weight_hh of l0 is missing"),
        (
            {"weight_ih_l0": np.zeros((11, 3), np.float32)},
            "weight_ih_l0 is an array of shape [11, 3], expected shape [12, any]",
        ),
        ({"bias_ih_l0": np.zeros(5, np.float32)}, "bias_ih_l0 is an array of shape [5]"),
        ({"weight_ih_l0": np.zeros((12, 3), np.int32)}, "weight_ih_l0 is an array of int32, expected float32"),
        ({"weight_ih_l0": NAN}, "weight_ih_l0[2, 1] is nan, expected a finite number"),
    ],
)
def test_a_bad_model_is_refused_in_one_sentence(changes, sentence, tmp_path):
    refused(["--model", str(write_gru(tmp_path / "m.npz", **changes))], sentence, tmp_path)


def refused(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    """Exit code 2, one sentence, no traceback, nothing written."""
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    out = tmp_path / "new" / "vectors"
    run = subprocess.run(
        [sys.executable, "-m", "qgru", "verify", *arguments, "--out", str(out)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (2, "")
    assert sentence in run.stderr and "Traceback" not in run.stderr
    if run.stderr.startswith("qgru: "):
        assert run.stderr.count("\n") == 1
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before


def test_other_bad_input_is_refused_in_one_sentence(tmp_path):
    model = str(write_gru(tmp_path / "m.npz"))
    (tmp_path / "p.npz").write_bytes(pickle.dumps(torch_names()))
    (tmp_path / "o.npy").write_bytes(b"")
    np.save(tmp_path / "i.npy", np.zeros((2, 2, 3), np.int64))
    np.save(tmp_path / "w.npy", np.zeros((2, 2, 5), np.float32))
    np.save(tmp_path / "n.npy", np.full((2, 2, 3), np.inf, np.float32))
    truncated = (tmp_path / "m.npz").read_bytes()[:-40]
    (tmp_path / "t.npz").write_bytes(truncated)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("x")
    for arguments, sentence in (
        (["--model", str(tmp_path / "none.npz")], "No such file"),
        (["--model", str(tmp_path / "p.npz")], "p.npz"),
        (["--model", str(tmp_path / "t.npz")], "t.npz"),
        (["--model", model, "--data", str(tmp_path / "o.npy")], "o.npy"),
        (["--model", model, "--data", str(tmp_path / "i.npy")], "x is an array of int64, expected float32"),
        (["--model", model, "--data", str(tmp_path / "w.npy")], "x is 5 features, expected 3"),
        (["--model", model, "--data", str(tmp_path / "n.npy")], "is inf"),
        (["--data", str(tmp_path / "w.npy")], "--data is"),
        (["--model", model, "--bits", "7"], "bits is 7, expected 8 or 16"),
        (["--model", model, "--datapath", "pot", "--bits", "17"], "bits is 17"),
        (["--model", model, "--datapath", "other"], "other"),
        (["--model", model, "--device", "simulator"], "simulator"),
        (["--g2p", str(tmp_path / "nowhere")], "No such file"),
    ):
        refused(arguments, sentence, tmp_path)


def test_a_folder_that_holds_something_else_is_left_alone(g2p, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["verify", "--g2p", str(g2p), "--out", str(tmp_path)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert capsys.readouterr().err.startswith("qgru: ")


@pytest.mark.slow
def test_the_default_job(tmp_path, capsys):
    if find_spec("g2p_en") is None:
        pytest.skip('g2p-en is not installed: pip install "qgru[examples]"')
    assert main(["verify", "--device", "host", "--json", "--out", str(tmp_path / "v")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] and found["compared"] > 10_000_000
    assert len(found["lines"]) == 12 and len(found["vectors"]["cases"]) == 12
    reached = {line["setting"]: line["phonemes"] for line in found["lines"] if line["network"] == "decoder"}
    assert reached["pot, 8 bit"] >= 0.975 and reached["pot, 16 bit"] >= 0.999
    assert reached["mshift, 8 bit gates"] >= 0.99 and reached["mshift-dynamic, 8 bit gates"] >= 0.985
