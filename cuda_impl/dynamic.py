"""Moving ranges: the programs that find scales while running.  [SPEC D]

`reals` is float32 [T + 1, REALS] and `numbers` int64 [T + 1, COLUMNS]: row 0 is the state before the run, row i + 1
belongs to processed step i.  `weights_reals` is float32 [3]: s_w, s_r, s_b.
"""

from __future__ import annotations

from cuda_impl.cell import (
    M_BR_G,
    M_BR_R,
    M_BR_Z,
    M_BX,
    M_G,
    M_GH,
    M_H,
    M_ONE,
    M_R,
    M_RH_R,
    M_RH_Z,
    M_RRH,
    M_Z,
    ZP_H,
    ZP_H_OLD,
    ZP_X,
)
from cuda_impl.intrinsics import INT32_FIRST, INT32_LAST, barrier, first_row, float32, fmul, int64, lane, lanes, row_step
from cuda_impl.quantize import dequantize, quantize, quantize_bias, quantize_reciprocal, reciprocal
from cuda_impl.ranges import asymmetric, ema, extremes, lower, symmetric, upper
from cuda_impl.rescale import S_ONE, derive
from golden.spec.params import MAX_RRH_MULTIPLIER

# columns of reals
X_MIN, X_MAX, SCALE_X, H_MIN, H_MAX, SCALE_H, SCALE_WX, SCALE_RH, SCALE_RRH, REALS = range(10)
SCALE_W, SCALE_R, SCALE_B, WEIGHT_REALS = range(4)


def find_extremes(start, stop, values, parts, out):
    """out [rows, 2] = least and greatest of values [rows, K], float32.  [SPEC E-1]

    parts  float32 [rows, lanes, 2], for the lanes to meet in
    """
    for n in range(first_row(start), stop, row_step()):
        parts[n, lane(), 0], parts[n, lane(), 1] = extremes(values[n], lane(), lanes())
        barrier()
        if lane() == 0:
            low, high = parts[n, 0, 0], parts[n, 0, 1]
            for i in range(1, lanes()):
                low = lower(low, parts[n, i, 0])
                high = upper(high, parts[n, i, 1])
            out[n, 0] = low
            out[n, 1] = high
        barrier()


def scale_of(rmin, rmax, is_symmetric):
    """(scale, zero point) of an int8 range.  [SPEC E-2, E-3]"""
    if is_symmetric != 0:
        return symmetric(rmin, rmax, 127)
    return asymmetric(rmin, rmax, -128, 127)


def weight_scale(start, stop, found, which, weight_reals):
    """weight_reals[which] = the symmetric scale of the extremes found [1, 2]; one row.  [SPEC D, E-3]"""
    for _ in range(first_row(start), stop, row_step()):
        if lane() == 0:
            scale, _zero_point = symmetric(found[0, 0], found[0, 1], 127)
            weight_reals[which] = scale


def weight_codes(start, stop, weights, which, weight_reals, codes, narrow):
    """codes int32 and narrow int8 [rows, M] of float32 weights [rows, M], by Q-1.  [SPEC D, Q-1]"""
    for n in range(first_row(start), stop, row_step()):
        for m in range(lane(), weights.shape[1], lanes()):
            q = quantize(weights[n, m], weight_reals[which], 0, -128, 127)
            codes[n, m] = q
            narrow[n, m] = q


def bias_codes(start, stop, values, weight_reals, codes):
    """codes int32 [rows, M] of float32 biases [rows, M].  [SPEC D, Q-4]"""
    for n in range(first_row(start), stop, row_step()):
        for m in range(lane(), values.shape[1], lanes()):
            codes[n, m] = quantize_bias(values[n, m], weight_reals[SCALE_B], INT32_FIRST, INT32_LAST)


def start_state(start, stop, found, is_symmetric, reals, numbers):
    """Row 0: the h range as the union of [-1, 1] and h0's extremes, its scale and zero point; one row.  [SPEC D]"""
    for _ in range(first_row(start), stop, row_step()):
        if lane() == 0:
            reals[0, H_MIN] = lower(float32(-1.0), found[0, 0])
            reals[0, H_MAX] = upper(float32(1.0), found[0, 1])
            scale, zero_point = scale_of(reals[0, H_MIN], reals[0, H_MAX], is_symmetric)
            reals[0, SCALE_H] = scale
            numbers[0, ZP_H] = zero_point


def start_codes(start, stop, values, reals, numbers, h):
    """h[0] int32 [N, H] of float32 values, by Q-1.  [SPEC D]"""
    for n in range(first_row(start), stop, row_step()):
        for j in range(lane(), values.shape[1], lanes()):
            h[0, n, j] = quantize(values[n, j], reals[0, SCALE_H], numbers[0, ZP_H], -128, 127)


def x_trajectory(start, stop, found, reverse, is_symmetric, continued, reals, numbers, zero_points, weight_reals):
    """The x range, scale and zero point of every step from the extremes found [T, 2]; one row.  [SPEC D-1, E]

    continued    1 when row 0 holds a range and weight_reals a bias scale
    zero_points  int64 [T], in time order
    """
    for _ in range(first_row(start), stop, row_step()):
        if lane() == 0:
            steps = found.shape[0]
            for i in range(steps):
                t = steps - 1 - i if reverse != 0 else i
                low, high = float32(found[t, 0]), float32(found[t, 1])
                if i > 0 or continued != 0:
                    low, high = ema(reals[i, X_MIN], reals[i, X_MAX], low, high)
                scale, zero_point = scale_of(low, high, is_symmetric)
                reals[i + 1, X_MIN] = low
                reals[i + 1, X_MAX] = high
                reals[i + 1, SCALE_X] = scale
                reals[i + 1, SCALE_WX] = fmul(weight_reals[SCALE_W], scale)
                numbers[i + 1, ZP_X] = zero_point
                zero_points[t] = zero_point
            if continued == 0:
                weight_reals[SCALE_B] = reals[1, SCALE_WX]


def quantize_steps(start, stop, values, reverse, by_reciprocal, reals, numbers, codes):
    """codes int32 [T, K] of float32 values [T, K], each step with its own scale.  [SPEC D-1, Q-1, Q-2]"""
    steps = values.shape[0]
    for t in range(first_row(start), stop, row_step()):
        i = steps - t if reverse != 0 else t + 1
        scale, zero_point = reals[i, SCALE_X], numbers[i, ZP_X]
        inverse = reciprocal(scale)
        for k in range(lane(), values.shape[1], lanes()):
            if by_reciprocal != 0:
                codes[t, k] = quantize_reciprocal(values[t, k], inverse, zero_point, -128, 127)
            else:
                codes[t, k] = quantize(values[t, k], scale, zero_point, -128, 127)


def code_extremes(codes, first, step):
    """(least, greatest) of codes[first::step], with codes[0], int64."""
    low = int64(codes[0])
    high = int64(codes[0])
    for i in range(first, codes.shape[0], step):
        q = int64(codes[i])
        if q < low:
            low = q
        if q > high:
            high = q
    return low, high


def h_trajectory(
    start, stop, i, previous, continued, is_symmetric, shift, shift_bias,
    gate_scales, weight_reals, h_flat, parts, reals, numbers,
):  # fmt: skip
    """The h range of processed step i, its scale and zero point, and every multiplier of the step; one row.  [SPEC D-2, D-3]

    previous     index in h_flat int32 [T + 1, N * H] of the state before this step
    gate_scales  float32 [3]: of the inputs of z, r and g
    parts        int64 [lanes, 2], for the lanes to meet in
    """
    for _ in range(first_row(start), stop, row_step()):
        moved = i > 0 or continued != 0
        if moved:
            parts[lane(), 0], parts[lane(), 1] = code_extremes(h_flat[previous], lane(), lanes())
        barrier()
        if lane() == 0:
            old, new, m = reals[i], reals[i + 1], numbers[i + 1]
            new[H_MIN], new[H_MAX], new[SCALE_H] = old[H_MIN], old[H_MAX], old[SCALE_H]
            m[ZP_H] = numbers[i, ZP_H]
            m[ZP_H_OLD] = numbers[i, ZP_H]
            m[M_H] = 0
            if moved:
                low, high = int64(parts[0, 0]), int64(parts[0, 1])
                for k in range(1, lanes()):
                    low = min(low, int64(parts[k, 0]))
                    high = max(high, int64(parts[k, 1]))
                cmin = dequantize(low, old[SCALE_H], m[ZP_H_OLD])
                cmax = dequantize(high, old[SCALE_H], m[ZP_H_OLD])
                new[H_MIN], new[H_MAX] = ema(old[H_MIN], old[H_MAX], cmin, cmax)
                scale, zero_point = scale_of(new[H_MIN], new[H_MAX], is_symmetric)
                new[SCALE_H] = scale
                m[ZP_H] = zero_point
                m[M_H] = derive(old[SCALE_H], scale, shift, INT32_LAST)
            derive_step(new, m, shift, shift_bias, gate_scales, weight_reals)
        barrier()


def derive_step(new, m, shift, shift_bias, gate_scales, weight_reals):
    """The twelve multipliers of a step into m, from its scales in new.  [SPEC D-3, M-2]"""
    s_Wx = new[SCALE_WX]
    s_Rh = fmul(weight_reals[SCALE_R], new[SCALE_H])
    s_rRh = fmul(S_ONE, s_Rh)
    s_b = weight_reals[SCALE_B]
    new[SCALE_RH] = s_Rh
    new[SCALE_RRH] = s_rRh
    m[M_RH_Z] = derive(s_Rh, s_Wx, shift, INT32_LAST)
    m[M_RH_R] = m[M_RH_Z]
    m[M_BX] = derive(s_b, s_Wx, shift_bias, INT32_LAST)
    m[M_BR_Z] = m[M_BX]
    m[M_BR_R] = m[M_BX]
    m[M_BR_G] = derive(s_b, s_Rh, shift_bias, INT32_LAST)
    m[M_Z] = derive(s_Wx, gate_scales[0], shift, INT32_LAST)
    m[M_R] = derive(s_Wx, gate_scales[1], shift, INT32_LAST)
    m[M_G] = derive(s_Wx, gate_scales[2], shift, INT32_LAST)
    m[M_RRH] = derive(s_rRh, s_Wx, shift, MAX_RRH_MULTIPLIER)
    m[M_GH] = derive(S_ONE, new[SCALE_H], shift, INT32_LAST)
    m[M_ONE] = derive(S_ONE, float32(1.0), shift, INT32_LAST)
