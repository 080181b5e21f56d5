/* The steps of the quantized GRU.  See qgru_steps.h. */
#include "qgru_steps.h"

/* |x| without overflow, also for -2^63. */
static uint64_t magnitude(int64_t x)
{
    return x < 0 ? (uint64_t)(-(x + 1)) + 1u : (uint64_t)x;
}

/* The number with this magnitude, at most 2^63 - 1 (2^63 when negative). */
static int64_t with_sign(uint64_t m, int negative)
{
    if (!negative) {
        return (int64_t)m;
    }
    return m == 0 ? 0 : -(int64_t)(m - 1u) - 1;
}

/* floor(x / 2^s): an arithmetic right shift of any length, made of shifts of non-negative numbers. */
static int64_t floor_shift(int64_t x, int32_t s)
{
    if (s > 62) {
        return x < 0 ? -1 : 0;
    }
    return x < 0 ? -1 - ((-1 - x) >> s) : x >> s;
}

/* x * 2^s; only 0 may be shifted by more than 63, and only 0 and -1 by 63. */
static int64_t exact_left(int64_t x, int32_t s)
{
    return s > 63 ? 0 : with_sign(magnitude(x) << s, x < 0);
}

int32_t qgru_saturate(int64_t v, int32_t qmin, int32_t qmax)
{
    if (v < qmin) {
        return qmin;
    }
    return v > qmax ? qmax : (int32_t)v;
}

int32_t qgru_saturate32(int64_t v)
{
    return qgru_saturate(v, INT32_MIN, INT32_MAX);
}

int64_t qgru_ties_up(int64_t x, int32_t s)
{
    int64_t halves;

    if (s <= 0) {
        return x;
    }
    /* floor((x + 2^(s-1)) / 2^s) = floor(y / 2) + (y odd), y = floor(x / 2^(s-1)): no addition can overflow. */
    halves = floor_shift(x, s - 1);
    return floor_shift(halves, 1) + (halves % 2 != 0);
}

int64_t qgru_ties_away(int64_t x, int32_t s)
{
    uint64_t m = magnitude(x);

    if (s <= 0) {
        return exact_left(x, -s);
    }
    if (s > 64) {
        return 0;
    }
    m >>= s - 1;
    m = (m >> 1) + (m & 1u);
    return with_sign(m, x < 0);
}

int64_t qgru_ties_even(int64_t x, int32_t s)
{
    uint64_t m = magnitude(x);
    uint64_t quotient, rest, half;

    if (s <= 0) {
        return exact_left(x, -s);
    }
    if (s > 63) {
        return 0;
    }
    half = (uint64_t)1 << (s - 1);
    quotient = m >> s;
    rest = m - (quotient << s);
    if (rest > half || (rest == half && (quotient & 1u) != 0)) {
        quotient += 1u;
    }
    return with_sign(quotient, x < 0);
}

int64_t qgru_shift_round(int64_t x, int32_t s, int32_t rounding)
{
    return rounding == QGRU_TIES_EVEN ? qgru_ties_even(x, s) : qgru_ties_away(x, s);
}

int64_t qgru_apply(int64_t v, qgru_mshift m)
{
    return qgru_ties_up(v * m.multiplier, m.shift);
}

int32_t qgru_align(int64_t v, qgru_mshift m)
{
    return qgru_saturate32(qgru_apply(v, m));
}

int32_t qgru_requantize(int64_t v, qgru_mshift m, int32_t zero_point, int32_t qmin, int32_t qmax)
{
    return qgru_saturate(qgru_apply(v, m) + zero_point, qmin, qmax);
}

int64_t qgru_linear8(const int32_t *x, const int8_t *W, size_t length, size_t stride, int32_t zero_point)
{
    int64_t sum = 0;
    size_t k;

    for (k = 0; k < length; k++) {
        sum += W[k * stride] * ((int64_t)x[k] - zero_point);
    }
    return sum;
}

int64_t qgru_linear16(const int32_t *x, const int16_t *W, size_t length, size_t stride, int32_t zero_point)
{
    int64_t sum = 0;
    size_t k;

    for (k = 0; k < length; k++) {
        sum += W[k * stride] * ((int64_t)x[k] - (int64_t)zero_point);
    }
    return sum;
}

size_t qgru_direct_index(int32_t q)
{
    return (size_t)(q + 128);
}

size_t qgru_direct_wide_index(int32_t q)
{
    return (size_t)(((q + 32768) * 255 + 32767) / 65535);
}

/* The first segment with q < threshold, else the last. */
static int32_t segment_of(int32_t q, const qgru_activation *table)
{
    int32_t i = 0;

    while (i < table->segments - 1 && !(q < table->thresholds[i])) {
        i++;
    }
    return i;
}

int32_t qgru_piecewise_linear(int32_t q, const qgru_activation *table)
{
    int32_t code = qgru_saturate(q, table->fmt_in.qmin, table->fmt_in.qmax);
    int32_t i = segment_of(code, table);
    int64_t d = (int64_t)code - table->zero_point_in;
    int64_t y = qgru_ties_away(table->slopes[i] * d, table->shifts[i]) + table->intercepts[i];

    return qgru_saturate(y, table->fmt_out.qmin, table->fmt_out.qmax);
}

int32_t qgru_piecewise_quadratic(int32_t q, const qgru_activation *table)
{
    int32_t code = qgru_saturate(q, table->fmt_in.qmin, table->fmt_in.qmax);
    int32_t i = segment_of(code, table);
    int64_t d = (int64_t)code - table->origins[i];
    int64_t inner = qgru_ties_away(table->c2[i] * d, table->p[i]) + table->c1[i];
    int64_t y = qgru_ties_away(inner * d, table->n[i]) + table->c0[i];

    return qgru_saturate(y, table->fmt_out.qmin, table->fmt_out.qmax);
}

int32_t qgru_activate(int32_t q, const qgru_activation *table)
{
    if (table->kind == QGRU_PIECEWISE_LINEAR) {
        return qgru_piecewise_linear(q, table);
    }
    if (table->kind == QGRU_PIECEWISE_QUADRATIC) {
        return qgru_piecewise_quadratic(q, table);
    }
    return table->entries[qgru_direct_index(q)];
}

int64_t qgru_zoneout_acc(int32_t k, int32_t h_prev, int32_t h_new, int32_t zero_point)
{
    int64_t kept = (int64_t)h_prev - zero_point;
    int64_t fresh = (int64_t)h_new - zero_point;

    return k * kept + (32768 - k) * fresh;
}

int32_t qgru_zoneout_code(int64_t acc, int32_t zero_point, int32_t qmin, int32_t qmax)
{
    return qgru_saturate(qgru_ties_up(acc, 15) + zero_point, qmin, qmax);
}
