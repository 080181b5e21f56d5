"""Every scalar step against literals worked from the clauses, on each target, and against the judge.  [SPEC F ... A, Z]"""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

import verification.exact.activation as judge_activation
import verification.exact.hidden as judge_hidden
import verification.exact.quantize as judge_quantize
import verification.exact.ranges as judge_ranges
import verification.exact.rescale as judge_rescale
import verification.exact.rounding as judge_rounding
from cuda_impl.elementwise import STEPS, map_step
from cuda_impl.ranges import exponent_minmax, exponent_sqnr, pot_zero_point
from cuda_impl.rescale import derive_mshifts, normalized, scale_product
from golden.spec.errors import ParameterError, RangeError
from golden.spec.formats import INT8, INT16, UINT8, IntFormat
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear, PiecewiseQuadratic

DEVICES = [
    "host",
    pytest.param("simulator", marks=pytest.mark.cudasim),
    pytest.param("gpu", marks=pytest.mark.gpu),
]
INF, NAN = math.inf, math.nan
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
TINY = 2.0**-149
WIDE = DirectTable("tanh", np.arange(256) - 128, INT16, INT8)
RAMP = DirectTable("tanh", np.arange(256) - 128, INT8, INT8)
LINES = PiecewiseLinear(
    "sigmoid", np.array([-10, 20, 20]), np.array([3, -5, 7]), np.array([1, 0, -2]), np.array([10, 20, 30]),
    INT8, UINT8, zero_point_in=2,
)  # fmt: skip
CURVES = PiecewiseQuadratic(
    "tanh", np.array([0, 50]), np.array([-64, 10]), np.array([3, -1]), np.array([2, 0]),
    np.array([5, 40]), np.array([3, 4]), np.array([-7, 9]), INT8, INT8,
)  # fmt: skip

# step, arguments (numbers or lists), expected; a pair of lists where the step gives two results
LITERALS = [
    ("saturate", ([-129, -128, 0, 127, 128], -128, 127), [-128, -128, 0, 127, 127]),
    ("ties_up", ([-5, -3, -1, 0, 1, 3, 5], 1), [-2, -1, 0, 0, 1, 2, 3]),
    ("ties_away", ([-5, -3, -1, 0, 1, 3, 5], 1), [-3, -2, -1, 0, 1, 2, 3]),
    ("ties_even", ([-5, -3, -1, 0, 1, 3, 5], 1), [-2, -2, 0, 0, 0, 2, 2]),
    ("ties_up", ([-7, 7, -7, 7], [0, 0, 3, 3]), [-7, 7, -1, 1]),
    ("ties_away", ([-7, 7, -3, 3], [0, 0, -4, -60]), [-7, 7, -48, 3 * 2**60]),
    ("ties_even", ([-7, 7, -3, 3], [0, 0, -4, -60]), [-7, 7, -48, 3 * 2**60]),
    ("ties_up", ([2**62 - 1, 2**62, -(2**62), -(2**62) - 1, 2**63 - 1, -(2**63)], 63), [0, 1, 0, -1, 1, -1]),
    ("ties_away", ([2**62 - 1, 2**62, -(2**62), -(2**62) + 1, 2**63 - 1, -(2**63)], 63), [0, 1, -1, 0, 1, -1]),
    ("ties_even", ([2**62 - 1, 2**62, -(2**62), -(2**62) - 1, 2**62 + 1, -(2**63)], 63), [0, 0, 0, -1, 1, -1]),
    ("ties_up", ([2**63 - 1, -(2**63), -1, 5], [64, 64, 65, 200]), [0, 0, 0, 0]),
    ("ties_away", ([2**63 - 1, -(2**63), -(2**63), 5], [64, 64, 65, 200]), [0, -1, 0, 0]),
    ("ties_even", ([2**63 - 1, -(2**63), -(2**63), 5], [64, 64, 65, 200]), [0, 0, 0, 0]),
    ("shift_round", (-1, 1, [0, 1, 2]), [0, -1, 0]),
    ("nearest_even", ([0.5, 1.5, -0.5, -1.5, 2.5, -2.5, 0.49999997, NAN],), [0, 2, 0, -2, 2, -2, 0, 0]),
    ("nearest_even", ([INF, -INF, 2.0**31, -(2.0**31), 2.0**31 - 128, 8388609.0],),
     [INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX - 127, 8388609]),
    ("fadd", ([1.0, 1.0, -0.0], [2.0**-24, 2.0**-24 + 2.0**-47, -0.0]), [1.0, 1.0 + 2.0**-23, -0.0]),
    ("fsub", ([1.0, TINY * 2], [2.0**-26, TINY]), [1.0, TINY]),
    ("fmul", ([1.0 + 2.0**-23, TINY, 3e38], [1.0 - 2.0**-23, 0.5, 10.0]), [1.0, 0.0, INF]),
    ("fdiv", ([1.0, TINY * 4, 1.0], [3.0, 2.0, 0.0]), [0.3333333432674407958984375, TINY * 2, INF]),
    ("quantize", ([0.5, 1.5, -0.5, 1e30, -1e30, NAN], 1.0, [0, 0, 0, 3, 3, 3], -128, 127), [0, 2, 0, 127, -128, 0]),
    ("quantize", ([0.5, -0.5], 1.0, [1, 1], -128, 127), [2, 0]),
    ("quantize", ([127.4, 127.5], 1.0, -1000, [-2000, -2000], 2000), [-873, -872]),
    ("reciprocal", ([3.0],), [0.3333333432674407958984375]),
    ("quantize_reciprocal", ([3.0, 5.0], 0.5, 0, -128, 127), [2, 2]),
    ("dequantize", ([-128, 5], [0.5, 0.1], [3, 5]), [-65.5, 0.0]),
    ("dequantize", ([2**25 + 1], [1.0], [0]), [2.0**25]),
    ("quantize_bias", ([0.5, 1.5, -2.5, 1e20, -1e20], 1.0, INT32_MIN, INT32_MAX), [0, 2, -2, INT32_MAX, INT32_MIN]),
    ("derive", ([1.0, 0.5, 1.0, 3e38, 1e-38], [3.0, 1.0, 2.0**-31, 1e-38, 3e38], [18, 0, 0, 31, 31], INT32_MAX),
     [87381, 1, INT32_MAX, INT32_MAX, 0]),
    ("derive", ([0.4999999701976776, 0.5], 1.0, 0, INT32_MAX), [0, 1]),
    ("derive", ([1.0, 1.0], [2.0**-24, 2.0**-23], 0, 2**24 - 1), [2**24 - 1, 2**23]),
    ("apply", ([-3, 3, INT32_MIN], [1, 1, INT32_MAX], [1, 1, 31]), [-1, 2, INT32_MIN + 1]),
    ("align", ([INT32_MIN, INT32_MAX], [3, 3], [1, 1]), [INT32_MIN, INT32_MAX]),
    ("requantize", ([-3, -1, 1, 1000], 1, 1, 5, -128, 127), [4, 5, 6, 127]),
    ("ema", ([1.0], [3.0], [2.0], [-1.0]), ([1.10000002384185791015625], [2.599999904632568359375])),
    ("asymmetric", ([-1.0, 0.0, 0.5, 0.0], [1.0, 0.0, 1.0, 0.001], -128, 127),
     ([0.0078431377187371254, 2.0**-8 / 255, 0.0039215688593685627, 2.0**-8 / 255], [-1, -128, -128, -128])),
    ("symmetric", ([-2.54, 0.0, -0.0], [1.0, 0.0, 1.27], 127), ([0.02, 2.0**-9 / 127, 0.01], [0, 0, 0])),
    ("pot_one", ([8, 0, -1, -1, -2], [0, 5, 0, 0, 7], [1, 1, 1, 2, 1]), [256, 6, 1, 0, 7]),
    ("zoneout_factor", ([0.0, 0.1, 0.5, 1.0],), [0, 3277, 16384, 32768]),
    ("zoneout_blend", ([16384, 16384, 0, 32768], [1, -1, 9, 9], [0, 0, 4, 4], 0, -128, 127),
     ([16384, -16384, 131072, 294912], [1, 0, 4, 9])),
    ("zoneout_blend", (16384, 100, 101, 200, -128, 127), ([-3260416], [101])),
    ("zoneout_mask", ([0, 1], 3, 4), [4, 3]),
]  # fmt: skip
ACTIVATIONS = [
    ("direct", RAMP, [-128, -1, 0, 127], [-128, -1, 0, 127]),
    ("direct_wide", WIDE, [-32768, -32640, -32639, -1, 0, 32767], [-128, -128, -127, -1, 0, 127]),
    ("piecewise_linear", LINES, [-128, -11, -10, 19, 20, 127, 500], [0, 0, 80, 0, 255, 255, 255]),
    ("piecewise_quadratic", CURVES, [-128, -64, -1, 0, 10, 49, 50, -1000], [127, -7, 127, -22, 9, 11, 9, 127]),
]  # fmt: skip


def expected_array(values, kind):
    return np.array(values, np.int64 if kind == "i" else np.float32)


def assert_bits(got, values, kind):
    expected = expected_array(values, kind)
    got = np.atleast_1d(got)
    assert got.dtype == expected.dtype
    assert got.tolist() == expected.tolist()
    assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("step", "arguments", "expected"), LITERALS, ids=lambda v: v if isinstance(v, str) else "")
def test_step_literals(step, arguments, expected, device):
    results = STEPS[step][2]
    got = map_step(step, *(np.array(a) for a in arguments), device=device)
    if len(results) == 1:
        assert_bits(got, expected, results)
    else:
        for g, e, kind in zip(got, expected, results):
            assert_bits(g, e, kind)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("step", "table", "q", "expected"), ACTIVATIONS, ids=[a[0] for a in ACTIVATIONS])
def test_activation_literals(step, table, q, expected, device):
    assert map_step(step, np.array(q), table=table, device=device).tolist() == expected
    assert map_step("activate", np.array(q), table=table, device=device).tolist() == expected


def test_every_step_has_a_literal():
    named = {row[0] for row in LITERALS} | {row[0] for row in ACTIVATIONS} | {"activate"}
    assert sorted(STEPS) == sorted(named)


@pytest.mark.parametrize("name", ["ties_up", "ties_away", "ties_even"])
def test_roundings_agree_with_the_judge(name):
    rng = random.Random(name)
    cases = [(rng.getrandbits(64) - 2**63 >> rng.randrange(64), rng.randrange(66)) for _ in range(3000)]
    cases += [(x, s) for s in range(1, 7) for x in range(-70, 71)]
    got = map_step(name, np.array([x for x, _ in cases]), np.array([s for _, s in cases]), device="host")
    assert got.tolist() == [getattr(judge_rounding, name)(x, s) for x, s in cases]


def reals(seed, count):
    """float32 numbers of every exponent, as Python floats."""
    bits = np.random.default_rng(seed).integers(0, 2**32, 3 * count, dtype=np.uint32)
    values = bits.view(np.float32)
    return values[np.isfinite(values)][:count].tolist()


def scales(seed, count):
    return [abs(v) for v in reals(seed, count) if v != 0]


def test_float_steps_agree_with_the_judge():
    rng = random.Random(5)
    v, s = reals(1, 2000), scales(2, 2000)
    near = [math.ldexp(rng.randrange(-600, 600), -1) for _ in range(2000)]
    zp = [rng.choice([0, 3, -128, rng.randrange(-(2**31), 2**31)]) for _ in range(2000)]
    for values, steps in ((v, s), (near, [1.0] * 2000)):
        got = map_step("quantize", values, steps, np.array(zp), -128, 127, device="host")
        assert got.tolist() == [judge_quantize.quantize(*a, INT8) for a in zip(values, steps, zp)]
    got = map_step("quantize_bias", v, s, INT32_MIN, INT32_MAX, device="host")
    assert got.tolist() == [judge_quantize.quantize_bias(a, b, IntFormat(32, True)) for a, b in zip(v, s)]
    q = [rng.randrange(-(2**15), 2**15) for _ in range(2000)]
    small = [x if x < 1e30 else 0.125 for x in s]
    got = map_step("dequantize", np.array(q), small, np.array(zp), device="host")
    assert got.tolist() == [judge_quantize.dequantize(*a) for a in zip(q, small, zp)]
    got = map_step("derive", s[:-1], s[1:], 18, INT32_MAX, device="host")
    judged = [judge_rescale.derive(a, b, 18, saturating=True).multiplier for a, b in zip(s, s[1:])]
    assert got.tolist() == judged


def test_ranges_agree_with_the_judge():
    low = [x for x in reals(3, 1500) if abs(x) < 1e38] + [-1.0, 0.0, -0.001, 5.0, -(2.0**-8)]
    high = [x for x in reals(4, 1500) if abs(x) < 1e38]
    pairs = [(min(a, b), max(a, b)) for a, b in zip(low, high)] + [(0.0, 0.0), (-(2.0**-9), 2.0**-9), (2.0, 3.0)]
    rmin, rmax = [p[0] for p in pairs], [p[1] for p in pairs]
    for fmt in (INT8, UINT8):
        scale, zero_point = map_step("asymmetric", rmin, rmax, fmt.qmin, fmt.qmax, device="host")
        assert list(zip(scale.tolist(), zero_point.tolist())) == [judge_ranges.asymmetric(*p, fmt) for p in pairs]
    scale, zero_point = map_step("symmetric", rmin, rmax, 127, device="host")
    assert list(zip(scale.tolist(), zero_point.tolist())) == [judge_ranges.symmetric(*p, INT8) for p in pairs]
    a, b = map_step("ema", rmin, rmax, rmin[::-1], rmax[::-1], device="host")
    judged = [judge_ranges.ema(p[0], p[1], q[0], q[1]) for p, q in zip(pairs, pairs[::-1])]
    assert list(zip(a.tolist(), b.tolist())) == judged


@pytest.mark.parametrize("table", [RAMP, LINES, CURVES], ids=["direct", "linear", "quadratic"])
def test_activations_agree_with_the_judge_on_every_code(table):
    q = np.arange(-128, 128)
    got = map_step("activate", q, table=table, device="host")
    assert got.tolist() == [judge_activation.activate(int(v), table) for v in q]


def test_the_wide_address_agrees_with_the_judge_on_every_code():
    q = np.arange(-32768, 32768)
    got = map_step("direct_wide", q, table=WIDE, device="host")
    assert got.tolist() == [judge_activation.direct_wide(int(v), WIDE) for v in q]


def test_zoneout_agrees_with_the_judge():
    rng = random.Random(9)
    k, a, b = ([rng.randrange(lo, hi) for _ in range(500)] for lo, hi in ((0, 32769), (-128, 128), (-128, 128)))
    for zp in (0, -7, 1000):
        acc, h = map_step("zoneout_blend", np.array(k), np.array(a), np.array(b), zp, -128, 127, device="host")
        judged = [judge_hidden.zoneout_blend(*row, zp, INT8) for row in zip(k, a, b)]
        assert list(zip(acc.tolist(), h.tolist())) == judged


def test_map_step_refuses_in_one_sentence():
    with pytest.raises(ParameterError, match="step is 'rounding', expected one of"):
        map_step("rounding", 1)
    with pytest.raises(ParameterError, match="arguments of ties_up is 1, expected 2"):
        map_step("ties_up", 1)
    with pytest.raises(ParameterError, match="argument of ties_up is an array of float64, expected integers"):
        map_step("ties_up", 1.5, 1)
    with pytest.raises(ParameterError, match="table of direct is NoneType, expected a table"):
        map_step("direct", 1)


def test_map_step_broadcasts():
    got = map_step("ties_up", np.arange(6).reshape(2, 3), np.array([0, 1, 2]), device="host")
    assert got.tolist() == [[0, 1, 1], [3, 2, 1]]


def test_normalized():
    third = normalized(1 / 3)
    assert third == MShift(43691, 17)
    assert normalized(1) == MShift(32768, 15)
    assert normalized(65535.4) == MShift(65535, 0)
    assert normalized(32767.75 * 2.0**-31) == MShift(32768, 31)
    for real in (0, -1.0, 65535.5, 2.0**-17, NAN, INF):
        with pytest.raises(ParameterError, match="normalized real"):
            normalized(real)


def test_power_of_two_exponents():
    assert [exponent_minmax(s) for s in (1.0, 0.5, 0.6, 0.4, 2.0, 2.0**-30, 1e-12, 0.0)] == [0, 1, 0, 1, -1, 30, 30, 30]
    assert [exponent_sqnr(s) for s in (1.0, 0.5, 0.70, 0.71, 0.72, 1.41, 1.42, 1e-12)] == [0, 1, 1, 0, 0, 0, -1, 30]
    with pytest.raises(ParameterError, match="exponent is -16"):
        exponent_minmax(65536.0)
    for function in (exponent_minmax, exponent_sqnr):
        with pytest.raises(RangeError, match="scale is nan"):
            function(NAN)


def test_power_of_two_zero_points():
    assert pot_zero_point(-1.0, 6, INT8) == -64
    assert pot_zero_point(1.0, 6, INT8) == -128
    assert pot_zero_point(-0.5, 0, UINT8) == 1
    assert pot_zero_point(-127.5, 0, INT8) == -1
    assert pot_zero_point(-1e9, 0, INT8) == 127
    with pytest.raises(RangeError, match="lo is inf"):
        pot_zero_point(INF, 0, INT8)


def test_scale_product():
    assert scale_product(0.5, 0.25, "s_Wx") == 0.125
    for a, b, found in ((3e38, 10.0, "inf"), (1e-30, 1e-30, "0.0")):
        with pytest.raises(RangeError, match=f"s_Wx at step 3 is {found}"):
            scale_product(a, b, "s_Wx", 3)


def test_derive_mshifts_of_equal_scales():
    m = derive_mshifts(*[2.0**-7] * 4, *[2.0**-14] * 2, *[2.0**-7] * 3)
    assert m["m_Rh_z"] == m["m_Rh_r"] == MShift(2**18, 18)
    assert m["m_br_g"] == MShift(2**24, 24)
    assert m["m_z"] == MShift(2**11, 18)
    assert m["m_one"] == MShift(2064, 18)


def test_derive_mshifts_refuses_what_an_mshift_cannot_hold():
    big = [2.0**-20, 2.0**-6, 2.0**-3, 1.0, 0.01, 0.01, 0.01, 0.01, 0.01]
    with pytest.raises(ParameterError, match="m_Rh_z multiplier is 34359738368, expected at most 2147483647"):
        derive_mshifts(*big)
    saturated = derive_mshifts(*big, saturating=True)
    assert saturated["m_Rh_z"].multiplier == 2**31 - 1
    assert saturated["m_rRh"].multiplier == 2**24 - 1
    with pytest.raises(RangeError, match="m_z s_to is nan"):
        derive_mshifts(*([0.01] * 6 + [NAN, 0.01, 0.01]))


def test_rounding_numbers_are_the_enum_in_order():
    assert [r.value for r in Rounding] == ["ties_up", "ties_away", "ties_even"]
    for number, rounding in enumerate(Rounding):
        got = map_step("shift_round", np.arange(-9, 10), 1, number, device="host").tolist()
        assert got == [judge_rounding.shift_round(x, 1, rounding) for x in range(-9, 10)]
