"""Calibration and configuration of QuantGRU: settings, copies, state dicts."""

from __future__ import annotations

import copy
import io
import json
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

from golden.ranges import ema  # noqa: E402
from golden.spec.errors import ParameterError  # noqa: E402
from golden.spec.layout import OPERATORS, SCALAR_OPERATORS  # noqa: E402
from golden.spec.params import same_params  # noqa: E402
from quant_gru import QuantGRU  # noqa: E402
from quant_gru.build import mshift_params, pot_params  # noqa: E402
from quant_gru.calibrate import collect  # noqa: E402
from quant_gru.config import DEFAULT_PATH, load_config, to_plain, uniform  # noqa: E402


def calibrated(datapath="pot", **options):
    torch.manual_seed(2)
    gru = QuantGRU(4, 5, use_quantization=True, **options)
    gru.datapath = datapath
    gru.calibrate(torch.randn(7, 3, 4))
    return gru


def same_network(a, b):
    sets = zip(a.quant_params(), b.quant_params(), strict=True)
    return all(same_params(p, q) for one, other in sets for p, q in zip(one, other, strict=True))


def through_state_dict(gru):
    file = io.BytesIO()
    torch.save(gru.state_dict(), file)
    file.seek(0)
    fresh = QuantGRU(4, 5, num_layers=gru.num_layers, bidirectional=gru.bidirectional)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    return fresh


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda g: pickle.loads(pickle.dumps(g)), "state_dict": through_state_dict}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("datapath", ["pot", "mshift"])
@pytest.mark.parametrize("finalized", [False, True])
def test_copies_keep_everything(way, datapath, finalized):
    gru = calibrated(datapath, num_layers=2, bidirectional=True)
    gru.calibration_method = "percentile"
    gru.percentile_value = 99.5
    gru.minmax_ema = True
    if datapath == "pot":
        gru.adjust_quant_config("gate.z_pre", bitwidth=11)
        gru.adjust_quant_config("op.rRh", exponent=3, zero_point=-7)
    if finalized:
        gru.finalize_calibration()
    other = COPIES[way](gru)
    assert other.is_calibrated() == finalized == gru.is_calibrated()
    for name in ("use_quantization", "datapath", "calibration_method", "percentile_value", "minmax_ema"):
        assert getattr(other, name) == getattr(gru, name), name
    assert other.get_quant_config() == gru.get_quant_config()
    assert same_network(gru, other)
    x = torch.randn(3, 2, 4)
    assert torch.equal(gru(x)[0], other(x)[0])
    with torch.no_grad():  # a copy goes its own way
        other.weight_hh_l0.mul_(0.25)
        other.calibrate(torch.randn(2, 2, 4) * 9)
    assert not torch.equal(gru(x)[0], other(x)[0])
    assert gru.is_calibrated()


def test_more_data_after_loading_counts_with_the_old():
    gru = calibrated()
    other = through_state_dict(gru)
    more = torch.randn(5, 2, 4) * 3
    gru.calibrate(more)
    other.calibrate(more)
    assert same_network(gru, other)


def test_an_untouched_module_has_the_state_dict_of_nn_gru():
    gru, plain = QuantGRU(4, 5, 2, bidirectional=True), torch.nn.GRU(4, 5, 2, bidirectional=True)
    assert list(gru.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(gru.state_dict())
    kept = calibrated(num_layers=2, bidirectional=True)
    assert "_extra_state" in kept.state_dict()
    kept.load_state_dict(plain.state_dict())  # weights only: the calibration stays
    assert torch.equal(kept.weight_ih_l0, plain.weight_ih_l0) and kept.quant_params()
    with pytest.raises(RuntimeError, match="weight_hh_l0"):
        kept.load_state_dict({k: v for k, v in plain.state_dict().items() if k != "weight_hh_l0"})


def test_inside_another_module():
    net = torch.nn.Sequential(calibrated())
    other = torch.nn.Sequential(QuantGRU(4, 5))
    other.load_state_dict(net.state_dict())
    assert same_network(net[0], other[0])
    other.load_state_dict(torch.nn.Sequential(torch.nn.GRU(4, 5)).state_dict())
    assert other[0].quant_params()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s.update(version=torch.zeros(9)), "^version is a tensor, expected a plain value$"),
        (lambda s: s.update(percentile=torch.zeros(9)), "^percentile is a tensor, expected a plain value$"),
        (lambda s: s["observers"][0][0].update(moving=torch.zeros(2, 2).bfloat16()), "^observers is .* torch.bfloat16"),
        (lambda s: s.pop("pending"), "extra state is of another kind"),
        (lambda s: s.update(version=2), "extra state is of another kind"),
        (lambda s: s.update(method="best"), "calibration method is 'best'"),
        (lambda s: s.update(datapath="float"), "datapath is 'float', expected one of pot, mshift"),
        (lambda s: s.update(use_quantization=1), "use_quantization is 1, expected true or false"),
        (lambda s: s.update(bitwidths="{"), "bitwidths is not JSON"),
        (lambda s: s.update(bitwidths="[]"), "configuration is list, expected an object"),
        (lambda s: s.update(by_hand="[]"), "by_hand is list, expected an object of pairs"),
        (lambda s: s.update(by_hand='{"nope": [1, 2]}'), "operator is 'nope'"),
        (lambda s: s.update(observers=[]), "observers is for layers and directions"),
        (lambda s: s.update(templates=[[], []]), "templates is for layers and directions"),
        (lambda s: s["observers"][0][0].pop("counts"), "counts"),
        (lambda s: s["templates"][0][0].update(description=3), "template is dict, expected a description"),
        (lambda s: s["templates"][0][0].update(arrays=[1]), "template arrays is list, expected a dict of tensors"),
        (lambda s: s["templates"][0][0]["arrays"].pop("amax.W"), "amax.W is an array of shape"),
        (lambda s: s["templates"][0][0]["arrays"].update({"act_z.slopes": torch.zeros(2)}), "slopes"),
        (lambda s: s["templates"][0][0]["arrays"].update(W=torch.zeros(2)), "W is given, expected no weight codes"),
        (lambda s: s.update(datapath="mshift"), "datapath is 'mshift', expected pot, as the parameters are"),
        (lambda s: s.update(bitwidths=json.dumps(to_plain(uniform(16, False)))), "bitwidth of input.x is 16, expected 8"),
    ],
)
def test_a_damaged_state_is_refused_and_nothing_is_taken(change, sentence):
    gru = calibrated()
    gru.finalize_calibration()
    state = gru.get_extra_state()
    change(state)
    fresh = QuantGRU(4, 5)
    with pytest.raises(ParameterError, match=f"{sentence}"):
        fresh.set_extra_state(state)
    assert fresh.get_extra_state() is None


@pytest.mark.parametrize("on", [1, np.bool_(True), torch.tensor(True)])
def test_a_switch_that_is_true_in_another_type_is_saved_as_true(on):
    gru = QuantGRU(4, 5)
    gru.use_quantization = on
    assert through_state_dict(gru).use_quantization is True
    gru.use_quantization = on != on
    assert gru.get_extra_state() is None


def test_settings_are_checked():
    gru = QuantGRU(4, 5)
    gru.calibration_method = "sqnr"
    assert gru.calibration_method == "histogram"
    wrong = {"calibration_method": "best", "datapath": "float", "export_format": "tflite", "percentile_value": 50}
    for name, bad in wrong.items():
        with pytest.raises(ParameterError, match=str(bad)):
            setattr(gru, name, bad)
    with pytest.raises(ParameterError, match="^operator is 'nope'"):
        gru.get_quant_config("nope")
    with pytest.raises(ParameterError, match="^operator is 'weight.W', expected one of input.x"):
        gru.adjust_quant_config("weight.W", exponent=3)


def test_the_method_may_be_chosen_after_the_data():
    first, second = calibrated(), calibrated()
    first.calibration_method = "minmax"
    histogram = second.quant_params()[0][0]
    second.calibration_method = "minmax"
    assert not second.is_calibrated()
    assert same_network(first, second) and second.is_calibrated()
    second.calibration_method = "histogram"
    assert same_params(second.quant_params()[0][0], histogram)


def ranges(gru):
    """(exponent, zero point) of the operators of every direction."""
    sets = [p.operators for layer in gru.quant_params() for p in layer]
    return [[(int(ops[name].exponent), ops[name].zero_point) for name in SCALAR_OPERATORS] for ops in sets]


def test_the_moving_average_may_be_chosen_after_the_data():
    gru = calibrated(bidirectional=True)
    gru.calibrate([torch.randn(6, 3, 4) * 40, torch.randn(7, 2, 4) / 40])
    gru.calibration_method = "minmax"
    plain = ranges(gru)
    gru.minmax_ema = True
    assert ranges(gru) != plain
    gru.minmax_ema = False
    assert ranges(gru) == plain


@pytest.mark.parametrize("datapath", ["pot", "mshift"])
def test_the_moving_average_is_that_of_the_builder(datapath):
    torch.manual_seed(6)
    gru = QuantGRU(4, 5, bidirectional=True, use_quantization=True)
    gru.datapath, gru.calibration_method, gru.minmax_ema = datapath, "minmax", True
    data = [torch.randn(9, 3, 4) * 8, torch.randn(4, 2, 4)]
    gru.calibrate(data)
    for direction, params in zip(gru.stack().layers[0], gru.quant_params()[0]):
        seen = collect(direction.gru, data, "minmax", ema=True, reverse=direction.reverse)
        wanted = pot_params(direction.gru, seen) if datapath == "pot" else mshift_params(direction.gru, seen)
        assert same_params(params, wanted)


def test_the_moving_average_of_rows_that_end_early():
    torch.manual_seed(7)
    x = torch.randn(9, 3, 4) * torch.tensor([1.0, 8.0, 30.0])[:, None]
    both = []
    for padding in (0.0, 1e6):
        gru = QuantGRU(4, 5, bidirectional=True, use_quantization=True)
        gru.load_state_dict(both[0].to_float().state_dict()) if both else None
        gru.calibration_method, gru.minmax_ema = "minmax", True
        padded = x.clone()
        for row, length in enumerate((9, 5, 2)):
            padded[length:, row] = padding
        gru.calibrate(pack_padded_sequence(padded, torch.tensor([9, 5, 2])))
        both.append(gru)
    assert ranges(both[0]) == ranges(both[1])
    rows = [x[:length, row : row + 1] for row, length in enumerate((9, 5, 2))]  # step t of the batch: of the rows that last
    ends = [torch.cat([r[t].flatten() for r in rows if t < len(r)]) for t in range(9)]
    low, high = np.float32(ends[0].min()), np.float32(ends[0].max())
    for step in ends[1:]:
        low, high = ema(low, high, np.float32(step.min()), np.float32(step.max()))
    seen = both[0]._quantization.observers[0]
    assert seen[0].moving["input.x"] == (low, high)
    assert seen[1].moving["input.x"] != (low, high)  # read from each row's own end


def test_widths_may_be_chosen_after_the_data():
    gru = calibrated()
    gru.set_all_bitwidth(6)
    gru.adjust_quant_config("gate.r_out", bitwidth=13, is_symmetric=False)
    formats = {name: str(op.fmt) for name, op in gru.quant_params()[0][0].operators.items()}
    assert formats == {n: "uint6" if n == "gate.z_out" else "uint13" if n == "gate.r_out" else "int6" for n in OPERATORS} | {
        "weight.bx": "int8", "weight.br": "int8",
    }  # fmt: skip
    assert gru.get_quant_config("gate.r_out") == {"bitwidth": 13, "is_symmetric": False}
    assert list(gru.get_quant_config()) == list(OPERATORS)


def test_bits_may_be_called_bitwidth():
    first, second = QuantGRU(4, 5), QuantGRU(4, 5)
    first.set_all_bitwidth(6, is_symmetric=False)
    second.set_all_bitwidth(bitwidth=6, is_symmetric=False)
    assert first.get_quant_config() == second.get_quant_config()
    for wrong in ({}, {"bits": 6, "bitwidth": 6}):
        with pytest.raises(ParameterError, match="^bits is .* expected one of them"):
            first.set_all_bitwidth(**wrong)


def test_mshift_refuses_widths_that_it_does_not_have():
    gru = calibrated("mshift")
    gru.adjust_quant_config("input.x", bitwidth=9)
    with pytest.raises(ParameterError, match="input.x is 9, expected 8"):
        gru.finalize_calibration()
    gru.set_all_bitwidth(8)
    for gate in ("z", "r", "g"):
        gru.adjust_quant_config(f"gate.{gate}_pre", bitwidth=16)
    assert gru.quant_params()[0][0].gate_bits == 16


def test_the_configuration_file_switches(tmp_path, capsys):
    gru = QuantGRU(4, 5)
    gru.load_bitwidth_config(DEFAULT_PATH, verbose=True)
    assert gru.use_quantization and "gate.z_out        8 bits, asymmetric" in capsys.readouterr().out
    content = to_plain(load_config())
    content["GRU_config"]["default_config"]["disable_quantization"] = True
    (tmp_path / "off.json").write_text(json.dumps(content), encoding="utf-8")
    gru.load_bitwidth_config(tmp_path / "off.json")
    assert not gru.use_quantization
    gru.load_bitwidth_config()
    assert gru.use_quantization


def test_data_comes_in_every_form(capsys):
    torch.manual_seed(3)
    x = torch.randn(6, 4, 4)
    grus = [calibrated() for _ in range(6)]
    for gru in grus:
        gru.reset_calibration()
    whole, items, pairs, calls, mode, views = grus
    whole.calibrate(x)
    items.calibrate([x[:, :1], x[:, 1:]])
    pairs.calibrate((part, torch.zeros(1)) for part in (x[:, :3], x[:, 3:]))
    for n in range(4):
        calls.calibrate(x[:, n])
    mode.calibrating = True
    assert torch.equal(mode(x)[0], mode.to_float()(x)[0])
    mode.calibrating = False
    views.calibrate(pack_padded_sequence(x, torch.tensor([6, 6, 6, 6])))
    assert all(same_network(whole, gru) for gru in grus)
    whole.finalize_calibration(verbose=True)
    assert "layer 0 forward, datapath pot" in capsys.readouterr().out


def test_padding_is_not_calibrated_on():
    torch.manual_seed(4)
    rows = [torch.randn(n, 1, 4) for n in (5, 2, 3)]
    padded = torch.full((5, 3, 4), 1e6)
    for n, row in enumerate(rows):
        padded[: len(row), n] = row[:, 0]
    packed, single = (calibrated(num_layers=2, bidirectional=True) for _ in range(2))
    for gru in (packed, single):
        gru.reset_calibration()
    packed.calibrate(pack_padded_sequence(padded, torch.tensor([5, 2, 3]), enforce_sorted=False))
    single.calibrate(rows)
    assert same_network(packed, single)


def test_the_initial_state_is_calibrated_on():
    gru = calibrated()
    gru.reset_calibration()
    gru.calibrate(torch.randn(3, 2, 4), torch.full((1, 2, 5), 6.0))
    op = gru.quant_params()[0][0].operators["input.h"]
    assert (op.fmt.qmax - op.zero_point) * 2.0**-op.exponent >= 5.5


def test_data_that_is_no_number_is_refused_by_name():
    gru = QuantGRU(4, 5)
    with pytest.raises(ValueError, match="input.x"):
        gru.calibrate(torch.full((2, 2, 4), np.nan))
    assert not gru.is_calibrated()
