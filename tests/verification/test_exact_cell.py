"""One cell of each datapath, worked by hand from the clauses, every field a literal.  [SPEC G-M, D, G-P]"""

from dataclasses import replace

import numpy as np
import pytest

from golden.spec.formats import INT8, INT16, INT32, UINT8
from golden.spec.params import MShift, MShiftDynamicParams, MShiftParams, Operator, PotParams
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear
from verification.exact.sequence import forward
from verification.exact.tables import gate_table

CODES = np.arange(-128, 128)


def check(trace, expected):
    """Every field of the trace is expected, and equal; returns nothing, so that no comparison is forgotten."""
    assert {name: trace[name].reshape(-1).tolist() for name in trace} == expected


def mshift_params():
    halves = (CODES + 128) // 2
    return MShiftParams(
        W=np.array([[2, -1, 4]]), R=np.array([[1, 2, 3]]), bx=np.array([4, 0, -6]), br=np.array([2, 1, 8]),
        s_x=1.0, s_h=1.0, s_w=1.0, s_r=1.0, s_bx=1.0, s_br=1.0, s_z=1.0, s_r_gate=1.0, s_g=1.0,
        m_Rh_z=MShift(1, 1), m_Rh_r=MShift(1, 2), m_bx=MShift(1, 1), m_br_z=MShift(1, 0), m_br_r=MShift(3, 1),
        m_br_g=MShift(1, 2), m_z=MShift(5, 1), m_r=MShift(3, 2), m_g=MShift(1, 1), m_rRh=MShift(33, 12), m_gh=MShift(3, 2),
        m_one=MShift(3, 2), table_z=DirectTable("sigmoid", halves, INT8, INT8, zero_point_in=-1),
        table_r=DirectTable("sigmoid", halves, INT8, INT8),
        table_g=DirectTable("tanh", np.minimum(-CODES, 127), INT8, INT8, zero_point_in=2),
        zp_x=1, zp_h=1, zp_z=-1, zp_r=0, zp_g=2,
    )  # fmt: skip


MSHIFT = {
    "x": [3], "Wx": [4, -2, 8], "Rh": [4, 8, 12],
    "z_Rh_aligned": [2], "z_bx_aligned": [2], "z_br_aligned": [2], "z_acc": [10], "z_a": [10],
    "z_pre": [24], "z": [76],  # 25 - 1
    "r_Rh_aligned": [2], "r_bx_aligned": [0], "r_br_aligned": [2], "r_acc": [2], "r_a": [2],
    "r_pre": [2], "r": [65],  # 1.5 -> 2 twice
    "g_br_aligned": [2], "g_b_acc": [14], "g_b": [14], "g_rb": [910], "g_c": [7],  # 30030 / 4096 = 7.33
    "g_bx_aligned": [-3], "g_acc": [12], "g_a": [12], "g_pre": [8], "g": [-8],
    "n_acc": [-408], "n": [-306], "S": [-2], "h_new": [0],  # 51 * -8; 76 * 4 - 306; -1.5 -> -1, + 1
    "h": [5, 0],
}  # fmt: skip


def test_mshift_cell_by_hand():
    check(forward(mshift_params(), np.array([[[3]]]), np.array([[5]])), MSHIFT)


def test_mshift_training_keeps_v_before_the_mask():
    trace = forward(mshift_params(), np.array([[[3]]]), np.array([[5]]), training=True, zoneout=0.5, mask=np.array([[[1]]]))
    check(trace, MSHIFT | {"h": [5, 5], "v": [76, 65, -8, 0]})


def test_mshift_zoneout_blend():
    trace = forward(mshift_params(), np.array([[[3]]]), np.array([[5]]), zoneout=0.375)
    # 12288 * 4 + 20480 * -1 = 28672; 0.875 -> 1, + 1
    check(trace, MSHIFT | {"h_zoneout_acc": [28672], "h": [5, 2]})


def pot_params(rounding=Rounding.TIES_AWAY):
    def weight(fmt, *exponents):
        return Operator(fmt, np.array(exponents))

    operators = {
        "input.x": Operator(INT8, 2, 1), "input.h": Operator(INT8, 3, -1),
        "weight.W": weight(INT8, 1, 1, 2), "weight.R": weight(INT8, 0, 1, 0),
        "weight.bx": weight(INT8, 3, 1, 4), "weight.br": weight(INT16, 2, 1, 3),
        "matmul.Wx": Operator(INT8, 1, 2), "matmul.Rh": Operator(INT8, 2, 0),
        "gate.z_pre": Operator(INT8, 1, 3), "gate.z_out": Operator(UINT8, 7, 0),
        "gate.r_pre": Operator(INT8, 0, -2), "gate.r_out": Operator(UINT8, 7, 2),
        "gate.g_pre": Operator(INT8, 3, 0), "gate.g_out": Operator(INT8, 6, -4),
        "op.Rh_add_br": Operator(INT8, 1, 1), "op.rRh": Operator(INT8, 2, 5),
        "op.old_contrib": Operator(INT8, 5, 0), "op.new_contrib": Operator(INT8, 9, -7),
    }  # fmt: skip

    def line(slope, shift, intercept, zero_point_in, zero_point_out):
        one = [np.array([v]) for v in (0, slope, shift, intercept)]
        return PiecewiseLinear("sigmoid", *one, INT8, UINT8, zero_point_in, zero_point_out)

    return PotParams(
        W=np.array([[3, -2, 5]]), R=np.array([[1, 2, -3]]), bx=np.array([5, 3, -9]), br=np.array([-6, -1, 7]),
        operators=operators, act_z=line(1, -3, 100, 3, 0), act_r=line(3, 1, 64, -2, 2),
        act_g=DirectTable("tanh", np.clip(2 * CODES, -128, 127), INT8, INT8, zero_point_out=-4), rounding=rounding,
    )  # fmt: skip


POT = {
    "x": [5], "one": [128], "Wx_acc": [12, -8, 20], "Wx": [5, 0, 5],   # 20 / 8 -> 3
    "Rh_acc": [8, 16, -24], "Rh": [4, 4, -12],
    "z_Wx_aligned": [3], "z_Rh_aligned": [2], "z_bx_aligned": [1], "z_br_aligned": [-3], "z_acc": [6], "z_pre": [6], "z": [124],
    "r_Wx_aligned": [-1], "r_Rh_aligned": [1], "r_bx_aligned": [2], "r_br_aligned": [-1], "r_acc": [-1],
    "r_pre": [-1], "r": [66],
    "A_Rh_aligned": [-6], "A_br_aligned": [2], "A_acc": [-3], "A": [-3],
    "P_prod": [-256], "P_acc": [1], "P": [1],
    "g_Wx_aligned": [12], "g_P_aligned": [-8], "g_bx_aligned": [-5], "g_acc": [-1], "g_pre": [-1], "g": [-2],
    "O_prod": [992], "O_acc": [31], "O": [31], "N_prod": [8], "N_acc": [-6], "N": [-6],
    "h_O_aligned": [8], "h_N_aligned": [0], "h_acc": [7], "h_new": [7],
    "h": [7, 7], "v": [124, 66, -2, -3],
}  # fmt: skip


def test_pot_cell_by_hand():
    check(forward(pot_params(), np.array([[[5]]]), np.array([[7]]), training=True), POT)


def test_pot_cell_with_ties_to_even():
    trace = forward(pot_params(Rounding.TIES_EVEN), np.array([[[5]]]), np.array([[7]]), training=True)
    changed = {
        "Wx": [5, 0, 4],  # 2.5 -> 2
        "r_br_aligned": [0], "r_acc": [0], "r_pre": [0], "r": [67],  # 3 * 2 / 2 + 64: the table rounds ties away in any case
        "P_prod": [-260], "P_acc": [1], "P": [1],  # -4.06
        "g_Wx_aligned": [8], "g_bx_aligned": [-4], "g_acc": [-4], "g_pre": [-4], "g": [-8],
        "N_prod": [-16], "N_acc": [-8], "N": [-8],
        "v": [124, 67, -8, -3],
    }  # fmt: skip
    check(trace, POT | changed)


AWAY, EVEN = Rounding.TIES_AWAY, Rounding.TIES_EVEN


@pytest.mark.parametrize(
    ("exponent", "rounding", "one"), [(-1, AWAY, 1), (-1, EVEN, 0), (-2, AWAY, 0), (0, EVEN, 1), (15, AWAY, 32768)]
)
def test_the_code_of_one(exponent, rounding, one):
    p = pot_params(rounding)
    z_out = Operator(UINT8, exponent, 0)
    p = replace(p, operators=dict(p.operators) | {"gate.z_out": z_out})
    assert forward(p, np.zeros((0, 1, 1), np.int32))["one"] == one


def dynamic_params(**changes):
    return MShiftDynamicParams(**(dict(
        W=np.array([[127 / 128, -1 / 2, 1 / 4]], np.float32), R=np.array([[127 / 64, 0, -1 / 64]], np.float32),
        bx=np.array([-8258 / 4096, 4000 / 4096, 0], np.float32), br=np.array([1 / 4096, 0, 127 / 4096], np.float32),
        s_z=1 / 16, s_r_gate=1 / 16, s_g=1 / 16, table_z=gate_table("sigmoid", 1 / 16, 0, 8),
        table_r=gate_table("sigmoid", 1 / 16, 0, 8), table_g=gate_table("tanh", 1 / 16, 0, 8),
        x_symmetric=True, h_symmetric=True,
    ) | changes))  # fmt: skip


F127 = float.fromhex("0x1.020408p-7")  # f32(1/127)
DYNAMIC = {
    "s_w": [1 / 128], "s_r": [1 / 64], "W": [127, -64, 32], "R": [127, 0, -1], "s_b": [1 / 4096],
    "bx": [-8258, 4000, 0], "br": [1, 0, 127],
    "x_min": [3.96875], "x_max": [3.96875], "s_x": [1 / 32], "zp_x": [0],
    "h_min": [-1.0], "h_max": [1.0], "s_h": [F127], "zp_h": [0], "m_h": [0], "h_q": [127],
    "m_Rh_z": [132104], "m_Rh_r": [132104], "m_bx": [2**24], "m_br_z": [2**24], "m_br_r": [2**24], "m_br_g": [33292288],
    "m_z": [1024], "m_r": [1024], "m_g": [1024], "m_rRh": [1040], "m_gh": [2**18], "m_one": [2064],
    "x": [127], "Wx": [16129, -8128, 4064], "Rh": [16129, 0, -127],
    "z_Rh_aligned": [8128], "z_bx_aligned": [-8258], "z_br_aligned": [1], "z_acc": [16000], "z_a": [16000],
    "z_pre": [63], "z": [125],  # 62.5 -> 63; sigma(63/16) * 127 = 124.57
    "r_Rh_aligned": [0], "r_bx_aligned": [4000], "r_br_aligned": [0], "r_acc": [-4128], "r_a": [-4128],
    "r_pre": [-16], "r": [34],  # sigma(-1) * 127 = 34.16
    "g_br_aligned": [252], "g_b_acc": [125], "g_b": [125], "g_rb": [4250], "g_c": [17],
    "g_bx_aligned": [0], "g_acc": [4081], "g_a": [4081], "g_pre": [16], "g": [97],  # tanh(1) * 127 = 96.72
    "n_acc": [194], "n": [194], "S": [16069], "h_new": [127],  # 16069 * 2064 / 2**18 = 126.52
    "h": [127, 127],
}  # fmt: skip


def test_dynamic_cell_by_hand():
    trace = forward(dynamic_params(), np.array([[[3.96875]]], np.float32), np.array([[1.0]], np.float32))
    check(trace, DYNAMIC)
    state = trace.state
    assert (state.h.tolist(), state.s_h, state.zp_h, state.h_min, state.h_max) == ([[127]], F127, 0, -1.0, 1.0)
    assert (state.steps, state.x_min, state.x_max, state.s_b) == (1, 3.96875, 3.96875, 1 / 4096)


def test_dynamic_second_step_by_hand():
    """x[1] = 0, h[1] = 127: the trajectory of D-1, D-2 and the requantized state."""
    trace = forward(dynamic_params(), np.array([[[3.96875]], [[0.0]]], np.float32), np.array([[1.0]], np.float32))
    # 0.9f * 3.96875 = 14981529.2 * 2**-22, and 0.1f * 0 is nothing
    assert trace["x_max"].tolist() == trace["x_min"].tolist() == [3.96875, 14981529 * 2.0**-22]
    # the extremes of h are both f32(127 * f32(1/127)) = 1: rmin = f32(-0.9f + 0.1f), rmax = f32(0.9f + 0.1f) = 1
    assert trace["h_min"].tolist() == [-1.0, float.fromhex("-0x1.999998p-1")]
    assert trace["h_max"].tolist() == [1.0, 1.0]
    assert (trace["s_h"].tolist(), trace["m_h"].tolist()) == ([F127, F127], [0, 2**18])
    assert trace["h_q"].reshape(-1).tolist() == [127, 127]
    assert trace["s_b"] == 1 / 4096 and trace["bx"].tolist() == [-8258, 4000, 0]


def test_dynamic_asymmetric_start():
    """The range [-1, 1]: f32(2/255) is above 2/255, so -128 + 127.49999 is below -0.5; a missing h0 is the zero point."""
    p = dynamic_params(x_symmetric=False, h_symmetric=False)
    trace = forward(p, np.zeros((0, 2, 1), np.float32))
    assert (trace.state.s_h, trace.state.zp_h, trace["h"].tolist()) == (float.fromhex("0x1.010102p-7"), -1, [[[-1], [-1]]])
    assert trace["s_b"] == 0.0 and trace["bx"].tolist() == [0, 0, 0]
    assert (trace.state.steps, trace.state.x_min, trace.state.s_b) == (0, None, None)


def test_dynamic_saturates_the_reset_multiplier():
    """W tiny, R large: s_Rh / s_Wx leaves both limits."""
    W, R = np.zeros((1, 3), np.float32), np.full((1, 3), 2.0**20, np.float32)
    p = dynamic_params(W=W, R=R, bx=np.zeros(3, np.float32), shift=31, shift_bias=31)
    trace = forward(p, np.zeros((1, 1, 1), np.float32))
    assert trace["m_rRh"].tolist() == [2**24 - 1] and trace["m_Rh_z"].tolist() == [2**31 - 1]


def test_bias_of_int32_saturates():
    large = np.full(3, 2.0**20, np.float32)
    p = dynamic_params(W=np.zeros((1, 3), np.float32), bx=large, br=-large)
    trace = forward(p, np.zeros((1, 1, 1), np.float32))
    assert trace["bx"].tolist() == [INT32.qmax] * 3 and trace["br"].tolist() == [INT32.qmin] * 3
