"""The parameter files of QuantGRU: what they keep, and the ones that are refused."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from golden.spec.errors import ParameterError  # noqa: E402
from golden.spec.params import same_params  # noqa: E402
from quant_gru import QuantGRU  # noqa: E402
from quant_gru.config import DEFAULT_PATH, to_plain, uniform  # noqa: E402
from tests.quant_gru.test_module_state import calibrated, same_network  # noqa: E402


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_parameter_files(tmp_path, datapath):
    gru = calibrated(datapath, num_layers=2, bidirectional=True)
    path = tmp_path / "params.json"
    gru.export_quant_params(path)
    other = QuantGRU(4, 5, 2, bidirectional=True, use_quantization=True)
    other.load_state_dict(gru.to_float().state_dict())
    other.load_quant_params(path)
    assert other.is_calibrated() and other.datapath == datapath and same_network(gru, other)
    assert [p.name for p in tmp_path.iterdir()] == ["params.json"]
    with pytest.warns(UserWarning, match="loaded quantization parameters are dropped"):
        other.set_all_bitwidth(16)
    assert not other.is_calibrated()


def test_a_file_that_only_disables_quantization_keeps_what_was_calibrated_and_loaded(tmp_path):
    gru, path, off = calibrated(), tmp_path / "params.json", tmp_path / "off.json"
    gru.export_quant_params(path)
    off.write_text(DEFAULT_PATH.read_text().replace('"disable_quantization": false', '"disable_quantization": true'))
    loaded = QuantGRU.from_float(gru.to_float(), use_quantization=True)
    loaded.load_quant_params(path)
    for one in (gru, loaded):
        one.load_bitwidth_config(off)
        assert one.is_calibrated() and not one.use_quantization


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.update(format="other"), "p.json is another kind of file"),
        (lambda c: c.update(version=True), "p.json is another kind of file"),
        (lambda c: c["layers"][0].update(layer=0.0), r"p.json layers is \[\(0.0, 'forward'\)"),
        (lambda c: c.update(datapath="x"), "datapath is 'x'"),
        (lambda c: c.update(datapath="mshift"), "layer 0 forward datapath is pot, expected mshift"),
        (lambda c: c["layers"].pop(), "p.json layers is"),
        (lambda c: c["layers"].append(1), "p.json layers is a list with something else, expected a list of objects"),
        (lambda c: c.update(layers="x"), "p.json layers is str, expected a list of objects"),
        (lambda c: c["layers"][0].update(hidden_size=6), "layer 0 forward sizes is"),
        (lambda c: c["layers"][0].pop("arrays"), "layer 0 forward arrays is NoneType"),
        (lambda c: c["layers"][0]["arrays"].update({"amax.W": "x"}), "layer 0 forward amax.W is str"),
        (lambda c: c["layers"][0]["arrays"].update({"amax.W": [10**400]}), "layer 0 forward amax.W is a list with an"),
        (lambda c: c["layers"][0]["arrays"]["weight.W.exponent"].pop(), "weight.W exponent"),
        (lambda c: c["layers"][0]["parameters"]["operators"]["input.x"].update(exponent=99), "input.x exponent is 99"),
        (lambda c: c["layers"][0]["parameters"]["operators"].pop("op.rRh"), "operators is missing"),
        (lambda c: c.update(bitwidths=to_plain(uniform(16, False))), "bitwidth of input.x is 16, expected 8"),
    ],
)
def test_parameter_files_that_are_refused(tmp_path, change, sentence):
    gru = calibrated()
    path = tmp_path / "p.json"
    gru.export_quant_params(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    before = gru.quant_params()[0][0]
    with pytest.raises(ParameterError, match=f"^{sentence}"):
        gru.load_quant_params(path)
    assert same_params(gru.quant_params()[0][0], before)


def test_gate_widths_that_a_parameter_file_contradicts_are_refused(tmp_path):
    gru = calibrated("mshift")
    gru.export_quant_params(tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    content["bitwidths"]["GRU_config"]["operator_config"]["gate.g_pre"]["bitwidth"] = 16
    (tmp_path / "p.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ParameterError, match="^bitwidth of gate.g_pre is 16, expected 8, as the parameters have it$"):
        gru.load_quant_params(tmp_path / "p.json")


def test_a_parameter_file_with_a_key_twice_is_refused(tmp_path):
    gru = calibrated()
    gru.export_quant_params(tmp_path / "p.json")
    text = (tmp_path / "p.json").read_text(encoding="utf-8")
    (tmp_path / "p.json").write_text(text.replace('"version"', '"datapath": "mshift", "version"', 1), encoding="utf-8")
    with pytest.raises(ParameterError, match="^datapath is given twice, expected each key once$"):
        gru.load_quant_params(tmp_path / "p.json")
