"""Faults to plant in the twin's source: (the obligation that must fail, function, text, what it becomes)."""

from __future__ import annotations

FAULTS = [
    # roundings and saturation
    ("ties_up", "rounding.ties_up", " + ((x >> (s - int64(1))) & int64(1))", ""),
    ("ties_up", "rounding.ties_up", "s > 63", "s > 62"),
    (
        "ties_up",
        "rounding.ties_up",
        "return (x >> s) + ((x >> (s - int64(1))) & int64(1))",
        "return (x + (int64(1) << (s - int64(1)))) >> s",
    ),
    ("ties_away", "rounding.ties_away", "x < 0 and ", ""),
    ("ties_away", "rounding.ties_away", "s == 64 and x == INT64_FIRST", "s == 65 and x == INT64_FIRST"),
    ("ties_even", "rounding.ties_even", "== 1 and", "== 0 and"),
    ("saturate", "rounding.saturate", "v > qmax", "v > qmax + 1"),
    ("shift_round", "rounding.shift_round", "return ties_even(x, s)", "return ties_away(x, s)"),
    # multiplier and shift
    ("apply", "rescale.apply", "ties_up(int64(v) * int64(multiplier), shift)", "ties_up(int64(v), shift) * int64(multiplier)"),
    ("apply", "rescale.apply", "int64(v) * int64(multiplier)", "int64(np.int32(int64(v) * int64(multiplier)))"),
    ("align", "rescale.align", "INT32_LAST", "INT32_LAST - 1"),
    ("requantize", "rescale.requantize", " + int64(zero_point)", ""),
    # datapath M
    ("mshift_gate", "gates.mshift_gate", "+ br_aligned", "- br_aligned"),
    ("mshift_gate", "gates.mshift_gate", "a = saturate(acc, INT32_FIRST, INT32_LAST)", "a = acc"),
    ("mshift_candidate", "gates.mshift_candidate", "ties_up(rb * int64(m_rRh), s_rRh)", "ties_up(rb, s_rRh) * int64(m_rRh)"),
    ("mshift_hidden", "hidden.mshift_hidden", "int64(h) - int64(zero_point)", "int64(h)"),
    ("mshift_hidden", "hidden.mshift_hidden", "int64(CODE_OF_ONE) - int64(z)", "int64(128) - int64(z)"),
    ("mshift_cell", "cell.mshift_cell", "m[M_BR_R]", "m[M_BR_Z]"),
    # datapath P
    ("pot_linear", "gates.pot_linear", "int64(e_weight) + ops", "int64(e_weight) - ops"),
    ("pot_gate", "gates.moved", "int64(code) - ops[source, ZERO_POINT]", "int64(code)"),
    ("pot_gate", "gates.pot_gate", " + ops[pre_op, ZERO_POINT]", ""),
    ("pot_reset_path", "gates.pot_reset_path", "+ ops[OP_A, EXPONENT] - ops[OP_P, EXPONENT]", "- ops[OP_P, EXPONENT]"),
    ("pot_candidate", "gates.pot_candidate", "moved(P, OP_P, OP_G_PRE, ops)", "moved(P, OP_WX, OP_G_PRE, ops)"),
    ("pot_hidden", "hidden.pot_hidden", "N_aligned = moved(N, OP_N, OP_H, ops)", "N_aligned = moved(N, OP_O, OP_H, ops)"),
    ("pot_one", "hidden.pot_one", "-int64(exponent)", "int64(exponent)"),
    ("pot_cell", "cell.pot_cell", "Rh_g, br_g, e_br_g", "Rh_g, br_g, e_br_r"),
    # activations
    ("direct", "activation.direct", "int64(128)", "int64(127)"),
    ("direct_wide", "activation.direct_wide", "int64(32767)", "int64(0)"),
    ("direct_wide", "activation.direct_wide", "int64(65535)", "int64(65280)"),
    ("segment", "activation.segment", "q >= table[1, i]", "q > table[1, i]"),
    ("segment", "activation.segment", "i < last and ", ""),
    ("piecewise_linear", "activation.piecewise_linear", "int64(table[2, i]) * d", "int64(table[2, i]) * q"),
    (
        "piecewise_linear",
        "activation.piecewise_linear",
        "q = saturate(q, table[0, IN_QMIN], table[0, IN_QMAX])",
        "q = int64(q)",
    ),
    ("piecewise_quadratic", "activation.piecewise_quadratic", "inner * d", "inner * q"),
    ("activate", "activation.activate", "kind == LINEAR", "kind == QUADRATIC"),
    # products and zoneout
    ("matmul", "linear.matmul", "k + 4 <= stop", "k + 3 <= stop"),
    ("matmul", "linear.matmul", "-int64(zero_point)", "int64(zero_point)"),
    ("column_sums", "linear.column_sums", "total += int64(weights[k, m])", "total = int64(weights[k, m])"),
    ("zoneout_blend", "hidden.zoneout_blend", "int64(ZONEOUT_ONE) - int64(k)", "int64(32767) - int64(k)"),
    ("zoneout_mask", "hidden.zoneout_mask", "mask != 0", "mask == 0"),
    # floats
    ("nearest_even", "intrinsics.nearest_even", "rest > 0.5", "rest >= 0.5"),
    (
        "quantize",
        "quantize.quantize",
        "saturate(nearest_even(fadd(fdiv(v, scale), float32(int64(zero_point)))), qmin, qmax)",
        "saturate(nearest_even(fdiv(v, scale)) + int64(zero_point), qmin, qmax)",
    ),
    ("dequantize", "quantize.dequantize", "float32(int64(q) - int64(zero_point))", "float32(int64(q) + int64(zero_point))"),
    ("ema", "ranges.ema", "fmul(KEEP, rmax)", "fmul(KEEP, rmin)"),
    ("extremes", "ranges.extremes", "high = upper(high, v)", "high = v"),
    ("symmetric", "ranges.symmetric", "MIN_AMAX > amax", "MIN_AMAX < amax"),
    ("zoneout_factor", "hidden.zoneout_factor", "32768.0", "32767.0"),
]

# changes that change nothing: the proof must still hold
EQUIVALENT = [
    ("direct_wide", "activation.direct_wide", "int64(32767)", "int64(32768)"),  # no code is that near to the next index
    ("ties_up", "rounding.ties_up", "s <= 0", "s == 0"),
    ("saturate", "rounding.saturate", "v < qmin", "v <= qmin"),
    ("zoneout_mask", "hidden.zoneout_mask", "mask != 0", "mask == 1"),
]

# lemmas and loops have no function of scalars to replay: the proof must fail, and say where
UNPLAYED = [
    ("safe_block", "linear.safe_block", "INT32_SPAN //", "2 * INT32_SPAN //"),
    ("derive", "rescale.derive", "float64(0.5)", "float64(0.25)"),
    ("derive_ratio", "rescale.derive", "fdiv(s_from, s_to)", "fdiv(s_to, s_from)"),
    ("derive_step", "dynamic.derive_step", "derive(s_Wx, gate_scales[1]", "derive(s_Wx, gate_scales[0]"),
    ("derive_step", "dynamic.derive_step", "derive(s_b, s_Rh, shift_bias", "derive(s_b, s_Rh, shift"),
    ("lower_upper", "ranges.upper", " or b != b", ""),
    ("previous_state", "programs.previous_state", "t + 2", "t + 1"),
    ("split_run", "programs.previous_state", "t + 2", "t + 1"),
    ("split_run", "programs.mshift_rows", "i == 0 and moving == 1", "i == 0"),
    ("land_state", "programs.land_state", "h[t + 1, n, j] = new", "h[t + 1, n, j] = h_new"),
    ("land_state", "programs.land_state", "zoneout_k >= 0", "zoneout_k < 0"),
    ("split_run", "programs.land_state", "h[t + 1, n, j] = new", "h[t + 1, n, j] = new + t"),
]
