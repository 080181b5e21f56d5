"""Building parameter sets from any calibration and any widths: what is refused names the operator."""

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.layout import OPERATOR_FIELDS, OPERATORS
from golden.spec.params import same_params
from quant_gru.build import checked_widths, dynamic_params, format_of, mshift_params, pot_params
from quant_gru.calibrate import calibrate, collect
from quant_gru.float_gru import FloatGru
from quant_gru.observers import METHODS, Observers


@pytest.fixture(scope="module")
def gru():
    rng = np.random.Generator(np.random.PCG64(11))
    return FloatGru(*(rng.standard_normal(shape).astype(np.float32) for shape in ((5, 12), (4, 12), (12,), (12,))))


@pytest.fixture(scope="module")
def x():
    return np.random.Generator(np.random.PCG64(12)).standard_normal((8, 32, 5))


@pytest.fixture(scope="module")
def observers(gru, x):
    return collect(gru, [x])


def test_a_range_too_wide_for_an_exponent_names_its_operator():
    wide, zeros = np.full((1, 3), 1e30, np.float32), np.zeros(3, np.float32)
    gru = FloatGru(wide, np.zeros((1, 3), np.float32), zeros, zeros)
    ones = np.ones((1, 1, 1), np.float32)
    for calibration in (calibrate(gru, [ones]), *(collect(gru, [ones], method) for method in METHODS)):
        with pytest.raises(ParameterError, match="^matmul.Wx raw scale is .*, expected a scale of at most"):
            pot_params(gru, calibration)


def test_minmax_observers_build_what_ranges_build(gru, x, observers):
    ranges, seen = calibrate(gru, [x]), observers.using("minmax")
    for bits in (2, 5, 8, 16):
        assert same_params(pot_params(gru, ranges, bits), pot_params(gru, seen, bits))
    assert same_params(mshift_params(gru, ranges), mshift_params(gru, seen))
    assert same_params(pot_params(gru, seen, 8), pot_params(gru, observers.using("percentile", 100), 8))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", range(2, 17))
def test_every_width_in_every_method(gru, observers, method, bits):
    for is_symmetric in (False, True):
        widths = {name: (bits, is_symmetric or name.startswith("weight.")) for name in OPERATORS}
        p = pot_params(gru, observers.using(method), widths=widths)
        assert {o.fmt.bits for k, o in p.operators.items() if k not in ("weight.bx", "weight.br")} == {bits}
        assert {str(o.fmt) for k, o in p.operators.items() if k.endswith(("z_out", "r_out"))} == {f"uint{bits}"}
        assert {p.operators[k].fmt.bits for k in ("weight.bx", "weight.br")} == {8 if bits <= 8 else 16}
        assert not is_symmetric or {p.operators[k].zero_point for k in OPERATOR_FIELDS} == {0}


def test_widths_of_their_own(gru, observers):
    widths = {"input.x": (3, False), "gate.r_out": (16, True), "weight.bx": (32, True), "weight.R": (7, True)}
    p = pot_params(gru, observers, 9, widths=widths)
    found = {k: str(o.fmt) for k, o in p.operators.items()}
    assert (found["input.x"], found["gate.r_out"], found["weight.bx"], found["weight.R"]) == ("int3", "uint16", "int32", "int7")
    assert (found["input.h"], found["weight.br"], found["gate.z_out"]) == ("int9", "int16", "uint9")
    assert format_of("weight.br", 2).bits == 8


@pytest.mark.parametrize(
    "widths, sentence",
    [
        ({"input.y": (8, True)}, "widths is 'input.y', expected operators of"),
        ({"input.x": (1, True)}, "bitwidth of input.x is 1, expected an integer in"),
        ({"input.x": (17, True)}, "bitwidth of input.x is 17, expected an integer in"),
        ({"input.x": (32, True)}, "bitwidth of input.x is 32, expected an integer in"),
        ({"input.x": (8.0, True)}, "bitwidth of input.x is 8.0, expected an integer"),
        ({"input.x": 8}, "widths of input.x is 8, expected a pair"),
        ({"input.x": (8, 1)}, "widths of input.x is (8, 1), expected a pair"),
        ({"weight.W": (8, False)}, "symmetric_operators weight.W is False, expected true"),
    ],
)
def test_bad_widths_are_refused(gru, observers, widths, sentence):
    with pytest.raises(ParameterError) as error:
        pot_params(gru, observers, widths=widths)
    assert str(error.value).startswith(sentence)


def test_widths_of_datapath_m(gru, observers):
    wide = mshift_params(gru, observers, widths={f"gate.{k}_pre": (16, False) for k in "zrg"} | {"input.h": (8, True)})
    assert (wide.gate_bits, wide.zp_h) == (16, 0)
    assert wide.zp_x != 0
    assert mshift_params(gru, observers, widths={"op.rRh": (3, False)}).gate_bits == 8
    for made in (mshift_params(gru, observers, gate_bits=np.int64(16)), dynamic_params(gru, gate_bits=np.int64(16))):
        assert (type(made.gate_bits), made.gate_bits) == (int, 16)
    for widths, sentence in (
        ({"weight.W": (4, True)}, "bitwidth of weight.W is 4, expected 8"),
        ({"gate.z_pre": (16, True), "gate.r_pre": (8, True)}, r"bitwidth of gate.\*_pre is \[8, 16\]"),
    ):
        with pytest.raises(ParameterError, match=sentence):
            mshift_params(gru, observers, widths=widths)


def test_datapath_m_takes_the_range_of_the_method(gru):
    seen = Observers()
    seen.observe(dict.fromkeys(OPERATOR_FIELDS, np.concatenate([np.linspace(-1, 1, 200000), [40.0]])))
    minmax, searched, percentile = (
        mshift_params(gru, seen.using(method, 99.9)) for method in ("minmax", "histogram", "percentile")
    )
    assert minmax.s_x == float(np.float32(41) / np.float32(255))
    assert searched.s_x < minmax.s_x and percentile.s_x < 3 / 255
    for is_symmetric in (False, True):
        choice = seen.choose("input.x", format_of("input.x", 8), is_symmetric, power_of_two=False)
        p = mshift_params(gru, seen, x_symmetric=is_symmetric)
        assert abs(p.s_x / choice.scale - 1) < 2.0**-22  # the binary32 rounding of the same scale
    assert checked_widths(None) == {}


def test_nothing_seen_is_refused(gru):
    with pytest.raises(ParameterError, match="^input.x is without calibration data"):
        pot_params(gru, Observers("minmax"))
