/* The steps of the quantized GRU, one function per clause of golden/SPEC.md.
 *
 * C99, integers only, no library call.  Nothing here relies on what C99 leaves open: no negative value is shifted,
 * no signed operation overflows as long as the parameters pass qgru_mshift_check() or qgru_pot_check().
 */
#ifndef QGRU_STEPS_H
#define QGRU_STEPS_H

#include <stddef.h>
#include <stdint.h>

/* An integer format by its least and greatest code, for example { -128, 127 }.  [F-1] */
typedef struct {
    int32_t qmin;
    int32_t qmax;
} qgru_format;

/* multiplier * 2^-shift, 0 <= multiplier <= 2^31 - 1, 0 <= shift <= 31.  [M-1] */
typedef struct {
    int32_t multiplier;
    int32_t shift;
} qgru_mshift;

/* The rounding of datapath P. */
enum { QGRU_TIES_AWAY = 0, QGRU_TIES_EVEN = 1 };

/* Kinds of an activation of datapath P. */
enum { QGRU_DIRECT = 0, QGRU_PIECEWISE_LINEAR = 1, QGRU_PIECEWISE_QUADRATIC = 2 };

enum { QGRU_LINEAR_SEGMENTS = 16, QGRU_QUADRATIC_SEGMENTS = 32, QGRU_TABLE_ENTRIES = 256 };

/* An activation of datapath P; the pointers that its kind does not use may be NULL. 
 *
 *   kind             QGRU_DIRECT, QGRU_PIECEWISE_LINEAR or QGRU_PIECEWISE_QUADRATIC
 *   segments         1..16 (linear), 1..32 (quadratic), not read for a direct table
 *   fmt_in, fmt_out  formats of q and of the result
 *   zero_point_in    of q
 *   entries          [256], direct: entry i is for q = i - 128
 *   thresholds       [segments], linear and quadratic, non-decreasing; the last one decides nothing
 *   slopes, shifts, intercepts     [segments], linear; shifts in [-31, 62]
 *   origins, c2, p, c1, n, c0      [segments], quadratic; p and n in [-31, 62]
 */
typedef struct {
    int32_t kind;
    int32_t segments;
    qgru_format fmt_in;
    qgru_format fmt_out;
    int32_t zero_point_in;
    const int32_t *entries;
    const int32_t *thresholds;
    const int32_t *slopes;
    const int32_t *shifts;
    const int32_t *intercepts;
    const int32_t *origins;
    const int32_t *c2;
    const int32_t *p;
    const int32_t *c1;
    const int32_t *n;
    const int32_t *c0;
} qgru_activation;

/* F-2: min(max(v, qmin), qmax). */
int32_t qgru_saturate(int64_t v, int32_t qmin, int32_t qmax);
int32_t qgru_saturate32(int64_t v);

/* floor((x + 2^(s-1)) / 2^s), s >= 0; -1.5 -> -1, -0.5 -> 0, 0.5 -> 1. */
int64_t qgru_ties_up(int64_t x, int32_t s);
/* to nearest, a tie away from zero; s <= 0 is the exact left shift. */
int64_t qgru_ties_away(int64_t x, int32_t s);
/* to nearest, a tie to the even quotient; s <= 0 is the exact left shift. */
int64_t qgru_ties_even(int64_t x, int32_t s);
/* RS of datapath P: by rounding. */
int64_t qgru_shift_round(int64_t x, int32_t s, int32_t rounding);

/* M-3: ties_up(v * M, s), |v * M| < 2^62. */
int64_t qgru_apply(int64_t v, qgru_mshift m);
/* M-4: saturate(apply(v, m), int32). */
int32_t qgru_align(int64_t v, qgru_mshift m);
/* M-5: saturate(apply(v, m) + zero_point, qmin, qmax). */
int32_t qgru_requantize(int64_t v, qgru_mshift m, int32_t zero_point, int32_t qmin, int32_t qmax);

/* L-1: sum over k of W[k * stride] * (x[k] - zero_point); 8-bit and 16-bit weights. */
int64_t qgru_linear8(const int32_t *x, const int8_t *W, size_t length, size_t stride, int32_t zero_point);
int64_t qgru_linear16(const int32_t *x, const int16_t *W, size_t length, size_t stride, int32_t zero_point);

/* the entry for q in [-128, 127]; A-2: the same 256 entries for q in [-32768, 32767].  Index of q. */
size_t qgru_direct_index(int32_t q);
size_t qgru_direct_wide_index(int32_t q);
/* with the saturation of q and of the result. */
int32_t qgru_piecewise_linear(int32_t q, const qgru_activation *table);
int32_t qgru_piecewise_quadratic(int32_t q, const qgru_activation *table);
/* Whichever the table is. */
int32_t qgru_activate(int32_t q, const qgru_activation *table);

/* Z-2: the exact k * (h_prev - zp) + (2^15 - k) * (h' - zp), and the code it gives. */
int64_t qgru_zoneout_acc(int32_t k, int32_t h_prev, int32_t h_new, int32_t zero_point);
int32_t qgru_zoneout_code(int64_t acc, int32_t zero_point, int32_t qmin, int32_t qmax);

#endif
