/* The steps of examples/c, bound to the functions that the harness made with the vector set calls. */
#include "dut.h"

#include "qgru_steps.h"

static qgru_format format_of(int32_t bits, int32_t is_signed)
{
    qgru_format fmt;

    fmt.qmin = is_signed ? -(1 << (bits - 1)) : 0;
    fmt.qmax = is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
    return fmt;
}

int32_t dut_requantize(uint32_t M, int32_t s, int32_t zp, int32_t bits, int32_t is_signed, int32_t v)
{
    qgru_format fmt = format_of(bits, is_signed);
    qgru_mshift m;

    m.multiplier = (int32_t)M;
    m.shift = s;
    return qgru_requantize(v, m, zp, fmt.qmin, fmt.qmax);
}

int32_t dut_direct(int32_t bits_out, int32_t signed_out, const int32_t *entries, int32_t q)
{
    (void)bits_out;
    (void)signed_out;
    return entries[qgru_direct_index(q)];
}

int32_t dut_direct_wide(int32_t bits_out, int32_t signed_out, const int32_t *entries, int32_t q)
{
    (void)bits_out;
    (void)signed_out;
    return entries[qgru_direct_wide_index(q)];
}

int32_t dut_piecewise_linear(int32_t zp_in, int32_t bits_in, int32_t signed_in, int32_t bits_out, int32_t signed_out,
                             int32_t segments, const int32_t *thresholds, const int32_t *slopes, const int32_t *shifts,
                             const int32_t *intercepts, int32_t q)
{
    static const qgru_activation nothing = {0};
    qgru_activation table = nothing;

    table.kind = QGRU_PIECEWISE_LINEAR;
    table.segments = segments;
    table.fmt_in = format_of(bits_in, signed_in);
    table.fmt_out = format_of(bits_out, signed_out);
    table.zero_point_in = zp_in;
    table.thresholds = thresholds;
    table.slopes = slopes;
    table.shifts = shifts;
    table.intercepts = intercepts;
    return qgru_piecewise_linear(q, &table);
}
