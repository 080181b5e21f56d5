"""Plots of a calibration."""

import sys

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATOR_FIELDS
from quant_gru.build import mshift_params, pot_params
from quant_gru.calibrate import collect
from quant_gru.errors import MissingPart
from quant_gru.float_gru import FloatGru
from quant_gru.observers import Observers
from quant_gru.plot import chosen_ranges, plot_calibration, plot_places


@pytest.fixture(scope="module")
def gru():
    rng = np.random.Generator(np.random.PCG64(31))
    return FloatGru(*(rng.standard_normal(shape).astype(np.float32) for shape in ((3, 6), (2, 6), (6,), (6,))))


@pytest.fixture(scope="module")
def seen(gru):
    return collect(gru, [np.random.Generator(np.random.PCG64(32)).standard_normal((8, 32, 3))])


def test_every_operator_and_its_range_is_drawn(gru, seen, tmp_path):
    pytest.importorskip("matplotlib")
    params = pot_params(gru, seen)
    plot_places(tmp_path / "a.svg", {"l0": (seen, params), "l0_reverse": (seen, None)})
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert all(f"<!-- {place} {name}, histogram -->" in text for place in ("l0", "l0_reverse") for name in OPERATOR_FIELDS)
    low, high = chosen_ranges(params)["gate.z_out"]
    assert f"codes [{low:.4g}, {high:.4g}] -->" in text
    plot_calibration(tmp_path / "b.png", seen, mshift_params(gru, seen))
    assert (tmp_path / "b.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.svg", "b.png"]


def test_ranges_by_hand(gru, seen):
    params = pot_params(gru, seen)
    op = params.operators["input.x"]
    assert chosen_ranges(params)["input.x"] == (
        (-128 - op.zero_point) / 2**op.exponent, (127 - op.zero_point) / 2**op.exponent
    )  # fmt: skip
    assert set(chosen_ranges(mshift_params(gru, seen))) == {"input.x", "input.h", "gate.z_pre", "gate.r_pre", "gate.g_pre"}
    assert chosen_ranges(mshift_params(gru, seen))["gate.g_pre"] == (-4, 127 / 32)


def test_what_cannot_be_drawn_leaves_no_file(gru, seen, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    with pytest.raises(ParameterError, match="^plot is .*a.txt', expected a file name with one of .png"):
        plot_calibration(tmp_path / "a.txt", seen)
    with pytest.raises(ParameterError, match="^calibration data is empty"):
        plot_calibration(tmp_path / "a.png", Observers())
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPart, match="matplotlib is not installed"):
        plot_calibration(tmp_path / "a.png", seen)
    assert list(tmp_path.iterdir()) == []


def test_a_module_draws_every_layer_and_direction(tmp_path):
    pytest.importorskip("matplotlib")
    torch = pytest.importorskip("torch")
    from quant_gru import QuantGRU

    torch.manual_seed(1)
    module = QuantGRU(2, 3, num_layers=2, bidirectional=True, use_quantization=True)
    with pytest.raises(RuntimeError, match="call calibrate"):
        module.plot_calibration(tmp_path / "a.svg")
    module.calibrate(torch.randn(5, 4, 2))
    module.plot_calibration(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert all(f"<!-- {place} op.rRh, histogram -->" in text for place in ("l0", "l0_reverse", "l1", "l1_reverse"))
    module.export_quant_params(tmp_path / "p.json")
    module.load_quant_params(tmp_path / "p.json")
    with pytest.raises(ParameterError, match="calibration data is empty"):
        module.plot_calibration(tmp_path / "b.svg")
