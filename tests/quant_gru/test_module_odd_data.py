"""Calibration data that no one means to give: refused in one sentence that names it, without a warning, or taken as it is."""

from __future__ import annotations

import io
import re
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_sequence  # noqa: E402

from golden.spec.errors import ParameterError, RangeError  # noqa: E402
from golden.spec.formats import IntFormat  # noqa: E402
from quant_gru import QuantGRU, sqnr  # noqa: E402
from quant_gru.histogram import count  # noqa: E402
from quant_gru.observers import step_extremes  # noqa: E402


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def module(**options):
    torch.manual_seed(0)
    return QuantGRU(3, 5, **options).eval()


@pytest.mark.parametrize(
    "data, sentence",
    [
        (None, "calibration data is a NoneType, expected a tensor, a PackedSequence or an iterable of them"),
        (5, "calibration data is a int, expected"),
        ("data", "calibration data is a str, expected"),
        ({"x": torch.zeros(2, 2, 3)}, "calibration data is a dict, expected"),
        (np.zeros((4, 2, 3)), "a batch of calibration data is a ndarray, expected a tensor or a PackedSequence"),
        ([torch.zeros(2, 2, 3), {"x": torch.zeros(2, 2, 3)}], "a batch of calibration data is a dict, expected"),
        ([], "calibration data is empty, expected at least one batch"),
        (iter(()), "calibration data is empty, expected at least one batch"),
        ([()], "a batch of calibration data is a tuple, expected"),
        (torch.zeros(0, 2, 3), "x is an array of shape [0, 2, 3], expected at least one step and one row"),
        (torch.zeros(2, 0, 3), "x is an array of shape [2, 0, 3], expected at least one step and one row"),
        (torch.zeros(0, 3), "x is an array of shape [0, 1, 3], expected at least one step and one row"),
    ],
)
def test_what_is_no_calibration_data_is_refused(data, sentence):
    with pytest.raises(ParameterError) as error:
        module().calibrate(data)
    assert str(error.value).startswith(sentence)


def test_reals_beyond_binary32_are_refused_by_name():
    with pytest.raises(RangeError, match="^input.x at step 0 is "):
        module(dtype=torch.float64).calibrate(torch.full((2, 2, 3), 1e300, dtype=torch.float64))
    with pytest.raises(RangeError, match="^input.h at step 0 is inf"):
        module().calibrate(torch.zeros(2, 2, 3), torch.full((1, 2, 5), float("inf")))
    assert step_extremes("input.x", np.full((1, 1, 1), 3e38)).tolist() == [[np.float32(3e38), np.float32(3e38)]]


def counts(gru):
    return [[state["counts"].tolist() for state in layer] for layer in gru.get_extra_state()["observers"]]


def test_a_refused_batch_leaves_no_layer_changed():
    torch.manual_seed(0)
    gru = QuantGRU(3, 5, num_layers=2).eval()
    gru.calibrate(torch.ones(4, 2, 3))
    before = counts(gru)
    hx = torch.zeros(2, 2, 5)
    hx[1] = float("nan")
    with pytest.raises(RangeError, match="^input.h at step 0 is nan"):  # of the second layer
        gru.calibrate(torch.full((4, 2, 3), 9.0), hx)
    assert counts(gru) == before


@pytest.mark.parametrize("shape", [(0, 2, 5), (2, 2, 5), (1, 3, 5), (1, 2, 6), (2, 5)])
def test_initial_states_of_packed_rows_are_checked_before_anything_is_counted(shape):
    packed = pack_sequence([torch.ones(4, 3), torch.ones(2, 3)])
    gru, sentence = module(), re.escape(f"hx is a tensor of shape {list(shape)}, expected shape [1, 2, 5]")
    with pytest.raises(ParameterError, match=sentence):
        gru.calibrate(packed, torch.zeros(shape))
    gru.calibrating = True
    with pytest.raises(ParameterError, match=sentence):
        gru(packed, torch.zeros(shape))
    assert not gru._quantization.known


@pytest.mark.parametrize("values", [[5e-324, -5e-324], [1e-310], [1e308, -1e308], [1.79e308]])
def test_the_search_at_the_ends_of_binary64(values):
    scale, zero_point = sqnr.search(count(np.array(values)), IntFormat(8, True), False)
    assert scale >= 0 and -128 <= zero_point <= 127
    low, high = count(np.array(values)).percentile(99)
    assert min(values) <= low and high <= max(values)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_the_bar_of_several_batches_is_on_stderr_and_stdout_keeps_nothing_of_it(monkeypatch):
    errors, output = Terminal(), io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    monkeypatch.setattr("sys.stdout", output)
    module().calibrate([torch.zeros(2, 2, 3), torch.ones(2, 2, 3)])
    assert "calibrating" in errors.getvalue() and output.getvalue() == ""


def test_several_batches_calibrate_where_stderr_is_closed(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    gru = module()
    gru.calibrate([torch.zeros(2, 2, 3), torch.ones(2, 2, 3)])
    assert gru._quantization.observers[0][0]["input.x"] == (0.0, 1.0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("name", "dtype", "value", "said"),
    [
        ("weight_hh_l1", torch.float32, float("nan"), "nan"),
        ("weight_ih_l0_reverse", torch.bfloat16, float("-inf"), "-inf"),
        ("weight_ih_l1_reverse", torch.float64, 1e39, "1e+39"),
    ],
)
def test_a_weight_that_is_no_number_is_named_with_its_layer_and_value(name, dtype, value, said, bias):
    gru = module(num_layers=2, bidirectional=True, bias=bias, dtype=dtype, use_quantization=True)
    x = torch.zeros(2, 2, 3, dtype=dtype)
    gru.calibrate(x)
    with torch.no_grad():
        getattr(gru, name)[4, 2] = value
    for call in (gru, gru.calibrate):
        with pytest.raises(ParameterError) as caught:
            call(x)
        assert str(caught.value) == f"{name}[4, 2] is {said}, expected a finite number in the range of float32"
