"""The edits of the steps in C: (file, text that occurs once, text in its place); and what the edited code calls."""

from __future__ import annotations

HELPERS = """
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
__attribute__((weak)) int qgru_plant;
enum { PL_FLOOR, PL_CEILING, PL_TRUNCATE, PL_DOWN, PL_UP, PL_AWAY, PL_TO_ZERO, PL_EVEN };
static inline int64_t pl_shift(int how, int64_t x, int32_t s)
{
    if (s <= 0) {
        return -s > 63 ? 0 : (int64_t)((uint64_t)x << -s);
    }
    if (s > 62) {
        return how == PL_FLOOR ? -(x < 0) : how == PL_CEILING ? x > 0 : 0;
    }
    int64_t floor = x >> s, rest = x - (int64_t)((uint64_t)floor << s), half = (int64_t)1 << (s - 1);
    int tie = rest == half, over = rest > half;
    switch (how) {
    case PL_FLOOR: return floor;
    case PL_CEILING: return floor + (rest != 0);
    case PL_TRUNCATE: return floor + (rest != 0 && x < 0);
    case PL_DOWN: return floor + over;
    case PL_UP: return floor + (over || tie);
    case PL_AWAY: return floor + (over || (tie && x >= 0));
    case PL_TO_ZERO: return floor + (over || (tie && x < 0));
    default: return floor + (over || (tie && (floor & 1)));
    }
}
static inline int64_t pl_clip(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }
static inline int64_t pl_half(int32_t s) { return s > 0 ? (int64_t)1 << (s - 1) : 0; }
static inline void *pl_rows(const int32_t *from, size_t rows, size_t width, int first)
{
    int32_t *out = malloc(rows * width * sizeof *out + 1);
    for (size_t i = 0; i < rows; i++) {
        memcpy(out + i * width, from + (first ? 0 : (i + rows - 1) % rows) * width, width * sizeof *out);
    }
    return out;
}
"""

# --- shifts of both datapaths

_ROUNDINGS = {
    "truncates": "PL_TRUNCATE",
    "floors": "PL_FLOOR",
    "rounds-up": "PL_CEILING",
    "ties-down": "PL_DOWN",
    "ties-away": "PL_AWAY",
    "ties-to-zero": "PL_TO_ZERO",
    "ties-even": "PL_EVEN",
}


def _shifts(right: str) -> str:
    """What is done to x and s instead of the right shift."""
    lines = [f"    if (@{{{name}}}) return pl_shift({how}, x, s);" for name, how in _ROUNDINGS.items()]
    return "\n".join(
        [
            *lines,
            "    if (@{ties-up}) return pl_shift(PL_UP, x, s);",
            f"    if (@{{rounds-twice}} && s > 1) {{ int64_t y = x; x = {right.replace('s)', 's - 1)')}; s = 1; (void)y; }}",
            "    if (@{adds-half-and-truncates}) return pl_shift(PL_TRUNCATE, x + pl_half(s), s);",
            "    if (@{shift-zero-term-32} && s == 0) return x - ((int64_t)1 << 31);",
            "    if (@{shift-zero-term-64} && s == 0) return (int64_t)((uint64_t)x + ((uint64_t)1 << 63));",
            "    if (@{shift-plus-one}) s++;",
            "    if (@{shift-less-one}) s--;",
            "    if (@{shift-sign}) s = -s;",
            f"    return s < 0 ? pl_shift(PL_UP, x, s) : {right};",
        ]
    )


_APPLY = """    int32_t s = m.shift, M = m.multiplier;
    if (@{multiplier-less-one}) M = M > 0 ? M - 1 : 0;
    int64_t wide = @{multiplier-plus-one} ? (int64_t)M + 1 : @{multiplier-wraps-16} ? (int16_t)M : M;
    if (@{shift-before-multiplying}) return qgru_ties_up(v, s) * wide;
    int64_t x = v * wide;
    if (@{product-wraps}) x = (int32_t)(uint32_t)(uint64_t)x;
    if (@{product-saturates}) x = pl_clip(x, INT32_MIN, INT32_MAX);
    if (@{product-in-binary32}) { volatile float a = (float)v, b = (float)M, c = a * b; x = (int64_t)c; }
    if (@{zero-point-before-rounding}) x += pl_zero;
""" + _shifts("qgru_ties_up(x, s)")
STEPS = "qgru_steps.c"
STEP_EDITS = [
    (STEPS, "int64_t qgru_apply(int64_t v", "static int32_t pl_zero;\nint64_t qgru_apply(int64_t v"),
    (STEPS, "    return qgru_ties_up(v * m.multiplier, m.shift);\n", _APPLY + "\n"),
    (
        STEPS,
        "    return rounding == QGRU_TIES_EVEN ? qgru_ties_even(x, s) : qgru_ties_away(x, s);\n",
        "    if (@{left-shift-lost} && s < 0) s = 0;\n    if (@{left-shift-as-right} && s < 0) s = -s;\n"
        + _shifts("(rounding == QGRU_TIES_EVEN ? qgru_ties_even(x, s) : qgru_ties_away(x, s))")
        + "\n",
    ),
    (
        STEPS,
        "    if (v < qmin) {\n        return qmin;\n    }\n    return v > qmax ? qmax : (int32_t)v;\n",
        """    int64_t span = (int64_t)qmax - qmin + 1, half = span / 2, low = qmin, high = qmax;
    if (@{wraps-above}) v = v < low ? low : v;
    if (@{wraps} || @{wraps-above}) { v = (v - low) % span; return (int32_t)((v < 0 ? v + span : v) + low); }
    if (@{not-saturated}) return (int32_t)v;
    if (@{saturates-symmetrically}) low = low < -high ? -high : low;
    if (@{not-saturated-above}) high = INT64_MAX;
    if (@{not-saturated-below}) low = INT64_MIN;
    if (@{saturates-one-early}) high--;
    if (@{saturates-other-sign}) { low = qmin < 0 ? 0 : -half; high = qmin < 0 ? span - 1 : half - 1; }
    return (int32_t)pl_clip(v, low, high);
""",
    ),
    (
        STEPS,
        "    return qgru_saturate(qgru_apply(v, m) + zero_point, qmin, qmax);\n",
        """    int64_t y;
    pl_zero = zero_point;
    y = qgru_apply(v, m);
    pl_zero = 0;
    if (@{saturates-before-zero-point}) return qgru_saturate(y, qmin, qmax) + zero_point;
    if (@{zero-point-left-out} || @{zero-point-before-rounding}) zero_point = 0;
    if (@{zero-point-subtracted}) zero_point = -zero_point;
    return qgru_saturate(y + zero_point + (@{zero-point-twice} ? zero_point : 0), qmin, qmax);
""",
    ),
    (
        STEPS,
        "        sum += W[k * stride] * ((int64_t)x[k] - zero_point);\n",
        """        int64_t q = x[k], w = W[k * stride], zp = zero_point;
        if (@{codes-unsigned}) q &= 255;
        if (@{codes-offset-binary}) q += 128;
        if (@{weights-unsigned}) w &= 255;
        if (@{product-without-zero-point}) zp = 0;
        if (@{product-adds-zero-point}) zp = -zp;
        if ((@{last-term-lost} && k + 1 == length) || (@{first-term-lost} && k == 0)) continue;
        sum += w * (q - zp);
        if (@{accumulates-in-16-bits}) sum = (int16_t)sum;
        if (@{accumulates-in-24-bits}) sum = (int64_t)((uint64_t)sum << 40) >> 40;
""",
    ),
    (
        STEPS,
        "    return (size_t)(q + 128);\n",
        """    int64_t i = (int64_t)q + 128;
    if (@{table-read-at-byte}) i = q & 255;
    if (@{table-entry-after}) i = pl_clip(i + 1, 0, 255);
    if (@{table-entry-before}) i = pl_clip(i - 1, 0, 255);
    return (size_t)(i & 255);
""",
    ),
    (
        STEPS,
        "    return (size_t)(((q + 32768) * 255 + 32767) / 65535);\n",
        """    int64_t up = ((int64_t)q + 32768) * 255, i = (up + 32767) / 65535 - ((up + 32767) % 65535 < 0);
    if (@{table-read-at-byte}) i = (i - 128) & 255;
    if (@{table-entry-after}) i = pl_clip(i + 1, 0, 255);
    if (@{table-entry-before}) i = pl_clip(i - 1, 0, 255);
    if (@{wide-index-by-shift}) i = ((int64_t)q + 32768) >> 8;
    if (@{wide-index-floored}) i = up / 65535;
    if (@{wide-index-offset}) i = i + 128 < 255 ? i + 128 : 255;
    return (size_t)(i & 255);
""",
    ),
    (
        STEPS,
        "!(q < table->thresholds[i])) {\n        i++;\n    }\n    return i;",
        """(@{threshold-included} ? q > table->thresholds[i] : q >= table->thresholds[i])) {
        i++;
    }
    if (@{segment-after} && i < table->segments - 1) i++;
    if (@{segment-before} && i > 0) i--;
    if (@{last-segment-lost} && i == table->segments - 1 && i > 0) i--;
    return i;""",
    ),
    (
        STEPS,
        "    int64_t d = (int64_t)code - table->zero_point_in;\n"
        "    int64_t y = qgru_ties_away(table->slopes[i] * d, table->shifts[i]) + table->intercepts[i];\n",
        """    int64_t d = (int64_t)code - (@{segment-without-zero-point} ? 0 : table->zero_point_in);
    int64_t y = pl_segment(table->slopes[i] * d, table->shifts[i]) + table->intercepts[i];
    if (@{intercept-before-shift}) y = qgru_ties_away(table->slopes[i] * d + table->intercepts[i], table->shifts[i]);
""",
    ),
    (
        STEPS,
        "    int64_t d = (int64_t)code - table->origins[i];\n"
        "    int64_t inner = qgru_ties_away(table->c2[i] * d, table->p[i]) + table->c1[i];\n"
        "    int64_t y = qgru_ties_away(inner * d, table->n[i]) + table->c0[i];\n",
        """    int64_t d = (int64_t)code - (@{segment-without-origin} ? 0 : table->origins[i]);
    int64_t inner = pl_segment(table->c2[i] * d, table->p[i]) + table->c1[i];
    if (@{horner-inner-floored}) inner = pl_shift(PL_FLOOR, table->c2[i] * d, table->p[i]) + table->c1[i];
    if (@{quadratic-term-lost}) inner = table->c1[i];
    int64_t y = pl_segment(inner * d, table->n[i]) + table->c0[i];
""",
    ),
    (
        STEPS,
        "int32_t qgru_piecewise_linear(int32_t q",
        """static int64_t pl_segment(int64_t x, int32_t s)
{
    if (@{segment-truncates}) return pl_shift(PL_TRUNCATE, x, s);
    if (@{segment-floors}) return pl_shift(PL_FLOOR, x, s);
    if (@{segment-ties-up}) return pl_shift(PL_UP, x, s);
    if (@{segment-ties-even}) return pl_shift(PL_EVEN, x, s);
    return qgru_ties_away(x, s);
}

int32_t qgru_piecewise_linear(int32_t q""",
    ),
    (
        STEPS,
        "    int64_t kept = (int64_t)h_prev - zero_point;\n    int64_t fresh = (int64_t)h_new - zero_point;\n",
        """    int64_t zp = @{zoneout-without-zero-point} ? 0 : zero_point;
    int64_t kept = (int64_t)h_prev - zp, fresh = (int64_t)h_new - zp;
    if (@{zoneout-blend-inverted}) return k * fresh + (32768 - k) * kept;
    if (@{zoneout-rest-of-qmax}) return k * kept + (32767 - k) * fresh;
""",
    ),
    (
        STEPS,
        "    return qgru_saturate(qgru_ties_up(acc, 15) + zero_point, qmin, qmax);\n",
        """    if (@{zero-point-left-out}) zero_point = 0;
    if (@{zero-point-twice}) zero_point *= 2;
    if (@{zero-point-subtracted}) zero_point = -zero_point;
    return qgru_saturate(qgru_ties_up(acc, 15) + zero_point, qmin, qmax);
""",
    ),
]

POT_NAMES = frozenset(
    [
        *_ROUNDINGS,
        "ties-up", "rounds-twice", "adds-half-and-truncates", "shift-zero-term-32", "shift-zero-term-64",
        "shift-plus-one", "shift-less-one", "shift-sign", "left-shift-lost", "left-shift-as-right",
        "threshold-included", "segment-after", "segment-before", "last-segment-lost", "segment-truncates",
        "segment-floors", "segment-ties-up", "segment-ties-even", "segment-without-zero-point",
        "segment-without-origin", "intercept-before-shift", "horner-inner-floored", "quadratic-term-lost",
        "one-saturated", "one-without-zero-point",
    ]
)  # fmt: skip
"""What is planted in datapath P as well, or there alone; everything else is in datapath M."""
