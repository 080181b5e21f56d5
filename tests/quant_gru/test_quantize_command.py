"""qgru quantize: what it writes, what it says, what it refuses, and what it does when implementations disagree."""

import json
from dataclasses import replace

import numpy as np
import pytest

import qgru.quantize_job as job
import verification.run
from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.params import same_params
from qgru.cli import main
from qgru.quantize_files import pack_parameters, read_parameters, write_json
from quant_gru.boundary import quantize_input, states_real
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate import collect
from quant_gru.load import load_model
from quant_gru.onnx_distance import Distance, between
from tests.quant_gru.test_stack import reals, stack
from tests.verification.networks import write_gru
from vectors import writer
from vectors.lint import lint
from vectors.reader import open_set

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A folder with gru.npz, two layers in two directions, and its data [N,T,C]."""
    folder = tmp_path_factory.mktemp("deep")
    rng, arrays = np.random.default_rng(2), {}
    for layer, inputs in ((0, 3), (1, 8)):
        for end in ("", "_reverse"):
            for name, shape in (("weight_ih", (12, inputs)), ("weight_hh", (12, 4)), ("bias_ih", (12,)), ("bias_hh", (12,))):
                arrays[f"{name}_l{layer}{end}"] = rng.standard_normal(shape).astype(np.float32) / 2
    np.savez(folder / "gru.npz", **arrays)
    np.savez(folder / "data.npz", x=reals(20, 7, 3), h0=reals(7, 4))
    np.save(folder / "x.npy", np.swapaxes(reals(20, 7, 3), 0, 1))
    return folder


@pytest.fixture(scope="module")
def done(deep, tmp_path_factory):
    """(OUT, what was printed)"""
    out = tmp_path_factory.mktemp("done") / "out"
    arguments = ["quantize", deep / "gru.npz", deep / "x.npy", out, "--batch-first", "--format", "hex", "--device", "host"]
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("click.echo", lambda message="", err=False: lines.append(message))
        assert main([str(a) for a in arguments]) == 0
    return out, lines


def test_everything_is_there(done):
    out, lines = done
    assert sorted(p.name for p in out.iterdir()) == [
        "onnx", "parameters.json", "quant_params.json", "report.json", "vectors", "vectors-hex",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:5]] == ["l0", "l0_reverse", "l1", "l1_reverse"]
    assert "0 mismatches" in lines[5] and "judge" in lines[6]
    assert "ONNX integer against golden: 1 232 codes, 0 differ" in lines[7]
    report = json.loads((out / "report.json").read_text())
    found = report["verification"]
    assert found["mismatches"] == found["judge"]["mismatches"] == found["onnx"]["integer"]["differing"] == 0
    assert found["judge"]["compared"] > 10_000 and found["compared"] > 100_000
    assert [p["name"] for p in report["calibration"]["layers"]] == ["l0", "l0_reverse", "l1", "l1_reverse"]
    operators = report["calibration"]["layers"][0]["operators"]
    assert len(operators) == 18 and operators["input.x"]["seen"] == [float(reals(20, 7, 3).min()), float(reals(20, 7, 3).max())]
    assert report["calibration"]["method"] == "histogram" and report["widths"] == {"bits": 8}


def test_the_vectors_are_clean_and_of_every_direction(done):
    out, _ = done
    assert list(lint(out / "vectors")) == [] and list(lint(out / "vectors-hex", "hex")) == []
    cases = open_set(out / "vectors")
    assert list(cases) == ["network-l0", "network-l0_reverse", "network-l1", "network-l1_reverse"]
    parameters = [d.params for layer in read_parameters(out / "parameters.json").layers for d in layer]
    for case, params in zip(cases.values(), parameters):
        assert same_params(case.params, params)
        assert (forward(params, case.x, case.h0, reverse=case.reverse).h == case.trace.h).all()


def test_the_vectors_of_a_layer_read_what_those_below_give(done):
    from tests.quant_gru.onnx_drawn import session

    out, _ = done
    cases = list(open_set(out / "vectors").values())
    below = [states_real(case.params, case.trace) for case in cases[:2]]
    for case in cases[2:]:
        assert (quantize_input(case.params, np.concatenate(below, axis=-1)) == case.x).all()
    x = np.ascontiguousarray(np.swapaxes(reals(20, 7, 3)[:16, :4], 0, 1))
    codes = session(out / "onnx/integer/model.onnx").run(["y_codes"], {"x": x})[0]
    assert (np.swapaxes(codes, 0, 1) == np.concatenate([case.trace.h[1:] for case in cases[2:]], axis=-1)).all()


def test_the_models_run_and_their_data_replays(done):
    from onnx import numpy_helper

    from tests.quant_gru.onnx_drawn import session

    out, _ = done
    s = read_parameters(out / "parameters.json")
    assert s.batch_first
    x = np.swapaxes(reals(9, 2, 3, seed=8), 0, 1).copy()
    for found, wanted in zip(session(out / "onnx/integer/model.onnx").run(["y", "h_n"], {"x": x}), s.run(x)):
        assert found.tobytes() == wanted.tobytes()
    for form in ("float", "qdq", "integer"):
        data = out / "onnx" / form / "test_data_set_0"
        given, y = (numpy_helper.to_array(onnx.load_tensor(data / name)) for name in ("input_0.pb", "output_0.pb"))
        found = session(out / "onnx" / form / "model.onnx").run(["y"], {"x": given})[0]
        assert np.allclose(found, y, atol=1e-6) if form == "float" else (found == y).all()


def test_a_module_takes_the_parameters(done, deep):
    torch = pytest.importorskip("torch")
    from quant_gru import QuantGRU

    out, _ = done
    gru = QuantGRU(3, 4, num_layers=2, bidirectional=True, batch_first=True, use_quantization=True).eval()
    with np.load(deep / "gru.npz") as arrays:
        gru.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    gru.load_quant_params(out / "quant_params.json")
    x = np.swapaxes(reals(9, 2, 3, seed=8), 0, 1).copy()
    with torch.no_grad():
        found = gru(torch.from_numpy(x))
    for a, b in zip(found, read_parameters(out / "parameters.json").run(x)):
        assert (a.numpy() == b).all()


def test_the_same_command_gives_the_same_bytes(done, deep, tmp_path, capsys):
    out, _ = done
    again = tmp_path / "out"
    arguments = ["quantize", deep / "gru.npz", deep / "x.npy", again, "--batch-first", "--format", "hex", "--json"]
    assert main([str(a) for a in arguments]) == 0
    files = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert [p for p in files if (out / p).read_bytes() != (again / p).read_bytes()] == []
    plain = json.loads(capsys.readouterr().out)
    assert (plain["command"], plain["equal"], plain["datapath"]) == ("quantize", True, "pot")


@pytest.mark.parametrize(
    "options",
    [
        ["--datapath", "mshift", "--bits", "16", "--method", "minmax"],
        ["--bits", "16", "--activation", "quadratic", "--method", "percentile", "--percentile", "99.9"],
        ["--bits", "5", "--no-onnx", "--activation", "direct"],
    ],
)
def test_other_choices(deep, tmp_path, options, capsys):
    out = tmp_path / "out"
    assert main(["quantize", str(deep / "gru.npz"), str(deep / "data.npz"), str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert "0 mismatches" in printed and (out / "onnx").exists() == ("--no-onnx" not in options)
    s = read_parameters(out / "parameters.json")
    assert s.layers[0][0].params.datapath == ("mshift" if "mshift" in options else "pot")
    assert open_set(out / "vectors")["network-l0"].h0 is not None
    if "--no-onnx" not in options:
        assert [i.name for i in onnx.load(out / "onnx/integer/model.onnx").graph.input] == ["x", "h0"]


def test_initial_states_of_rows_that_come_first(deep, tmp_path):
    turned, outs = tmp_path / "turned.npz", [tmp_path / "a", tmp_path / "b"]
    with np.load(deep / "data.npz") as data:
        np.savez(turned, x=np.swapaxes(data["x"], 0, 1), h0=data["h0"])
    for data_file, out, options in ((deep / "data.npz", outs[0], []), (turned, outs[1], ["--batch-first"])):
        assert main(["quantize", str(deep / "gru.npz"), str(data_file), str(out), "--no-onnx", *options]) == 0
    a, b = (open_set(out / "vectors").sha256 for out in outs)
    assert a == b


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_the_moving_average(tmp_path, datapath):
    rng, rows = np.random.default_rng(3), 21  # more than are calibrated on at a time
    arrays = {}
    for end in ("", "_reverse"):
        for name, shape in (("weight_ih", (12, 3)), ("weight_hh", (12, 4)), ("bias_ih", (12,)), ("bias_hh", (12,))):
            arrays[f"{name}_l0{end}"] = rng.standard_normal(shape).astype(np.float32) / 2
    np.savez(tmp_path / "gru.npz", **arrays)
    x = (rng.standard_normal((9, rows, 3)) * np.geomspace(1, 30, 9)[:, None, None]).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    options = ["--method", "minmax", "--ema", "--no-onnx", "--datapath", datapath]
    assert main(["quantize", str(tmp_path / "gru.npz"), str(tmp_path / "x.npy"), str(tmp_path / "out"), *options]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["calibration"]["method"], report["calibration"]["ema"]) == ("minmax", True)
    build = pot_params if datapath == "pot" else mshift_params
    for d, g in zip(read_parameters(tmp_path / "out" / "parameters.json").layers[0], load_model(tmp_path / "gru.npz").grus):
        seen = collect(g.gru, [x], "minmax", ema=True, reverse=d.reverse)
        assert same_params(d.params, build(g.gru, seen))
        assert not same_params(d.params, build(g.gru, seen.using("minmax", ema=False)))


def test_widths_of_a_file(deep, tmp_path):
    from quant_gru.config import BitwidthConfig, to_plain

    config = BitwidthConfig({"gate.z_pre": (11, False), "input.h": (13, True)})
    (tmp_path / "widths.json").write_text(json.dumps(to_plain(config)))
    arguments = ["quantize", deep / "gru.npz", deep / "data.npz", tmp_path / "out", "--config", tmp_path / "widths.json"]
    assert main([str(a) for a in arguments]) == 0
    params = read_parameters(tmp_path / "out" / "parameters.json").layers[1][1].params
    assert params.operators["gate.z_pre"].fmt.bits == 11
    assert (params.fmt_h.bits, params.operators["input.h"].zero_point, params.fmt_x.bits) == (13, 0, 8)


def test_a_width_that_a_file_leaves_out_is_said_in_a_sentence(tmp_path, capsys):
    from quant_gru.config import BitwidthConfig, to_plain

    plain, path = to_plain(BitwidthConfig()), tmp_path / "widths.json"
    del plain["GRU_config"]["operator_config"]["gate.z_pre"]
    path.write_text(json.dumps(plain))
    assert main(["quantize", "missing.npz", "missing.npy", str(tmp_path / "out"), "--no-onnx", "--config", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"qgru: {path}: operator_config lacks gate.z_pre, taken as 8 bits",
        "qgru: missing.npz: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--bits", "17"], "bits is 17, expected an integer in [2, 16]"),
        (["--datapath", "mshift", "--bits", "9"], "gate_bits is 9, expected 8 or 16"),
        (["--method", "percentile", "--percentile", "40"], "percentile is 40.0, expected a number above 50 and at most 100"),
        (["--percentile", "99"], "--percentile is given with --method histogram, expected --method percentile"),
        (["--ema"], "--ema is given with --method histogram, expected --method minmax"),
        (["--network", "enc"], "--network is 'enc', expected one of ''"),
        (["--datapath", "mshift", "--activation", "direct"], "--activation is 'direct', expected linear"),
        (["--bits", "8", "--config", "c.json"], "--bits is 8, expected either --bits or --config"),
        (["--config", "missing.json"], "missing.json: No such file or directory"),
        (["--batch-first"], "h0 is an array of shape [7, 4], expected shape [20, any]"),
    ],
)
def test_refusals(deep, tmp_path, capsys, change, sentence):
    out = tmp_path / "out"
    assert main(["quantize", str(deep / "gru.npz"), str(deep / "data.npz"), str(out), *change]) == 2
    assert sentence in capsys.readouterr().err and not out.exists()


def test_an_existing_folder_stays_unless_it_is_replaced(tmp_path, capsys):
    model, data, out = write_gru(tmp_path / "gru.npz"), tmp_path / "x.npy", tmp_path / "out"
    np.save(data, reals(4, 2, 3))
    out.mkdir()
    (out / "mine").write_text("mine")
    arguments = ["quantize", str(model), str(data), str(out), "--no-onnx"]
    assert main(arguments) == 2 and "exists already" in capsys.readouterr().err and (out / "mine").exists()
    assert main([*arguments, "--replace"]) == 2 and "which holds other files" in capsys.readouterr().err
    (out / "mine").unlink()
    assert main([*arguments, "--replace"]) == 0 and sorted(p.stat().st_mode & 0o077 for p in out.iterdir())[0] > 0
    (out / "mine").write_text("mine")
    assert main([*arguments, "--replace"]) == 2 and (out / "mine").exists() and (out / "report.json").exists()
    (out / "mine").unlink()
    before = (out / "report.json").stat().st_ino
    assert main([*arguments, "--replace"]) == 0 and (out / "report.json").stat().st_ino != before
    capsys.readouterr()
    np.save(data, reals(4, 2, 5))
    assert main([*arguments, "--replace"]) == 2
    assert "x is 5 features, expected 3, as the network reads" in capsys.readouterr().err and (out / "report.json").exists()
    np.save(data, reals(0, 2, 3))
    assert main([*arguments, "--replace"]) == 2 and "at least one step" in capsys.readouterr().err


def test_a_folder_that_takes_nothing_is_refused_before_anything_is_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(writer.os, "access", lambda path, mode: False)  # root may write anywhere
    assert main(["quantize", "missing.npz", "missing.npy", str(tmp_path / "a" / "out"), "--no-onnx"]) == 2
    assert capsys.readouterr().err == f"qgru: {tmp_path}: may not be written to\n"


def test_a_folder_with_what_is_read_is_never_replaced(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    model, data = write_gru(folder / "gru.npz"), folder / "x.npy"
    np.save(data, reals(4, 2, 3))
    monkeypatch.chdir(folder)
    (tmp_path / "link").symlink_to(folder)
    for out in (folder, ".", "", "..", tmp_path, folder / ".." / "work", tmp_path / "link", model):
        assert main(["quantize", str(model), str(data), str(out), "--no-onnx", "--replace"]) == 2
        assert capsys.readouterr().err.count("\n") == 1 and sorted(p.name for p in folder.iterdir()) == ["gru.npz", "x.npy"]


def test_a_name_may_be_as_long_as_the_system_takes(tmp_path, capsys):
    model, data = write_gru(tmp_path / "gru.npz"), tmp_path / "x.npy"
    np.save(data, reals(4, 2, 3))
    assert main(["quantize", str(model), str(data), str(tmp_path / ("n" * 255)), "--no-onnx"]) == 0
    assert main(["quantize", str(model), str(data), str(tmp_path / ("n" * 256)), "--no-onnx"]) == 2
    assert "File name too long" in capsys.readouterr().err


def test_without_onnxruntime_the_extra_is_named(tmp_path, capsys, monkeypatch):
    import qgru.run

    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(qgru.run, "import_module", missing)
    assert main(["quantize", "gru.npz", "x.npy", str(tmp_path / "out")]) == 2
    assert 'onnx is not installed, expected it for this command: pip install "qgru[onnx]"' in capsys.readouterr().err


def wrong(real):
    def run(params, x, h0=None, **options):
        trace = real(params, x, h0, **options)
        fields = {name: a.copy() for name, a in trace.items()}
        fields["h"][-1, 0, 0] ^= 1
        return replace(trace, fields=fields)

    return run


@pytest.mark.parametrize("who", ["twin", "judge", "onnx"])
def test_a_disagreement_writes_nothing_and_says_so(tmp_path, capsys, monkeypatch, who):
    model, data, out = write_gru(tmp_path / "gru.npz"), tmp_path / "x.npy", tmp_path / "out"
    np.save(data, reals(4, 2, 3))
    if who == "twin":
        monkeypatch.setattr(verification.run, "twin_forward", wrong(verification.run.twin_forward))
    elif who == "judge":
        monkeypatch.setattr(job, "judge_forward", wrong(job.judge_forward))
    else:
        monkeypatch.setattr(job, "of_run", lambda *arguments: Distance(10, 3, 4, 2))
    assert main(["quantize", str(model), str(data), str(out), "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["equal"] is False and not out.exists()
    assert "was not written: the implementations disagree" in printed.err
    assert (tmp_path / "out-mismatch").exists() == (who == "twin")
    if who == "judge":
        assert "of the judge's sample differ from golden's, expected none" in printed.err
    if who == "onnx":
        assert "3 of 10 codes of the integer ONNX model differ from golden's, expected none" in printed.err


def quadratic(gru, ranges):
    return pot_params(gru, ranges, 16, activation="piecewise_quadratic")


@pytest.mark.parametrize("build", [pot_params, mshift_params, quadratic])
def test_parameters_read_back_the_same(tmp_path, build):
    s = stack(2, 2, build=build)
    write_json(tmp_path / "parameters.json", pack_parameters(s))
    again = read_parameters(tmp_path / "parameters.json")
    lines = (tmp_path / "parameters.json").read_text().splitlines()
    data = [line.strip() for line in lines if '"data": [' in line]
    assert len(lines) < 2500 and len(data) >= 4 * 4 and all(line.endswith("],") for line in data)
    for layer, same in zip(s.layers, again.layers, strict=True):
        assert all(same_params(a.params, b.params) and a.reverse == b.reverse for a, b in zip(layer, same, strict=True))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.update(format="other"), "another kind of file"),
        (lambda p: p.update(version=True), "another kind of file"),
        (lambda p: p.update(batch_first="false"), "parameters.json batch_first is 'false', expected true or false"),
        (lambda p: p["layers"][0].update(layer=False), "parameters.json layer is False 'forward', expected layers in order"),
        (lambda p: p["layers"].reverse(), "expected layers in order, forward before reverse"),
        (lambda p: p.update(layers=[p["layers"][1] | {"layer": -1}]), "layer is -1 'reverse', expected layers in order"),
        (lambda p: p["layers"][0].update(profile="00"), "profile of layer 0 is '00'"),
        (lambda p: p["layers"][0]["arrays"]["W"]["data"].__setitem__(0, 1000), "W[0, 0] is 1000"),
        (lambda p: p["layers"][0]["arrays"]["W"]["data"].__setitem__(0, 0.5), "W is 0.5, expected integers"),
        (lambda p: p["layers"][0]["arrays"]["W"]["data"].__setitem__(0, 2**70), "W is"),
        (lambda p: p["layers"][0]["arrays"]["W"].update(shape=[10**12, 3]), "W is 36 numbers for the shape"),
        (lambda p: p["layers"][0]["arrays"]["W"].update(dtype="object"), "W is 'object' of shape"),
        (lambda p: p["layers"][0]["arrays"].pop("W"), "W is missing"),
        (lambda p: p["layers"][0].update(arrays=[]), "arrays is list, expected an object"),
        (lambda p: p.update(layers=[]), "layers is empty"),
    ],
)
def test_damaged_parameters_are_refused(tmp_path, change, sentence):
    plain = pack_parameters(stack(1, 2))
    change(plain)
    path = tmp_path / "parameters.json"
    path.write_text(json.dumps(plain))
    with pytest.raises(ParameterError) as refused:
        read_parameters(path)
    assert sentence in str(refused.value)


def test_parameters_with_a_key_twice_are_refused(tmp_path):
    path = tmp_path / "parameters.json"
    path.write_text(json.dumps(pack_parameters(stack(1, 1))).replace('"format"', '"layers": [], "format"', 1))
    with pytest.raises(ParameterError, match="^layers is given twice, expected each key once$"):
        read_parameters(path)


def test_distances_add_up():
    d = between(np.array([1, 2, 3]), np.array([1, 0, 4])) + between(np.array([-5]), np.array([5]))
    assert (d.codes, d.differing, d.total, d.worst, d.mean, d.equal) == (4, 3, 13, 10, 3.25, 0.25)
    assert (Distance().mean, Distance().equal) == (0.0, 1.0)
