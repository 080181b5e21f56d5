/* The quantized GRU of golden/SPEC.md 1.0 in C99: parameter sets, traces, one step, whole sequences.
 *
 * All arrays belong to the caller, are dense and in C order; the library allocates nothing and keeps nothing.
 * Letters of shapes: T steps, N batch rows, C inputs, H units; gate blocks of H columns in the order z, r, g.
 */
#ifndef QGRU_H
#define QGRU_H

#include "qgru_steps.h"

/* Raised whenever a struct or a function below changes. */
#define QGRU_ABI_VERSION 1

/* What the functions return. */
enum {
    QGRU_OK = 0,
    QGRU_ENULL = -1,  /* a required pointer is NULL */
    QGRU_ESIZE = -2,  /* a size is out of range, or struct_size is not that of this library */
    QGRU_EPARAM = -3, /* a format, zero point, exponent, shift, multiplier, table or option is out of range */
    QGRU_EWIDTH = -4, /* a stage could leave its width  [L-2, M-3, R-4, G-P] */
    QGRU_ECODE = -5   /* a code of x, h0, a weight, a bias, a table or a mask is outside its format  [F-3, Z-1] */
};

/* A static parameter set of datapath M.  [G-M]
 *
 *   W [C,3H], R [H,3H], bx [3H], br [3H]; the tables are [256] codes, those of z and r in [0, 127]
 *   gate_bits  8 or 16, the width of the gate inputs
 */
typedef struct {
    uint32_t struct_size; /* sizeof(qgru_mshift_params) */
    int32_t inputs;       /* C */
    int32_t hidden;       /* H */
    int32_t gate_bits;
    int32_t zp_x, zp_h, zp_z, zp_r, zp_g;
    qgru_mshift m_Rh_z, m_Rh_r, m_bx, m_br_z, m_br_r, m_br_g, m_z, m_r, m_g, m_rRh, m_gh, m_one;
    const int8_t *W, *R;
    const int32_t *bx, *br;
    const int8_t *table_z, *table_r, *table_g;
} qgru_mshift_params;

/* An operator of datapath P: format, scale 2^-exponent, zero point; the weights have one exponent per channel [3H]. */
typedef struct {
    qgru_format fmt;
    int32_t exponent;
    int32_t zero_point;
} qgru_operator;

typedef struct {
    qgru_format fmt;
    const int32_t *exponent;
} qgru_channel_operator;

/* A parameter set of datapath P.  [G-P]
 *
 *   W [C,3H], R [H,3H], bx [3H], br [3H]
 *   rounding   QGRU_TIES_AWAY or QGRU_TIES_EVEN
 *   A, P, O, N are op.Rh_add_br, op.rRh, op.old_contrib and op.new_contrib
 */
typedef struct {
    uint32_t struct_size; /* sizeof(qgru_pot_params) */
    int32_t inputs;
    int32_t hidden;
    int32_t rounding;
    const int16_t *W, *R;
    const int32_t *bx, *br;
    qgru_channel_operator weight_W, weight_R, weight_bx, weight_br;
    qgru_operator x, h, Wx, Rh, z_pre, z_out, r_pre, r_out, g_pre, g_out, A, P, O, N;
    qgru_activation act_z, act_r, act_g;
} qgru_pot_params;

/* The fields of a trace, in the order in which they are computed, as X(type, name, shape).
 *
 * The shapes of a whole run: TNC, TNG = [T,N,3H], TNH, TH = [T,H], TNV = [T,N,4H], ONE = a single number.
 * In a single step the T is left out.  h itself, [T+1,N,H], is the output of a run and no field of these.
 */
#define QGRU_MSHIFT_GATE_FIELDS(X, k)                                                                              \
    X(int32_t, k##_Rh_aligned, TNH)                                                                                \
    X(int32_t, k##_bx_aligned, TH)                                                                                 \
    X(int32_t, k##_br_aligned, TH)                                                                                 \
    X(int64_t, k##_acc, TNH) /* the exact sum, before saturation to int32 */                                       \
    X(int32_t, k##_a, TNH)                                                                                         \
    X(int32_t, k##_pre, TNH)                                                                                       \
    X(int32_t, k, TNH)

#define QGRU_MSHIFT_FIELDS(X)                                                                                      \
    X(int32_t, x, TNC)                                                                                             \
    X(int64_t, Wx, TNG)                                                                                            \
    X(int64_t, Rh, TNG)                                                                                            \
    QGRU_MSHIFT_GATE_FIELDS(X, z)                                                                                  \
    QGRU_MSHIFT_GATE_FIELDS(X, r)                                                                                  \
    X(int32_t, g_br_aligned, TH)                                                                                   \
    X(int64_t, g_b_acc, TNH) /* Rh_g + br_g aligned, before saturation */                                          \
    X(int32_t, g_b, TNH)                                                                                           \
    X(int64_t, g_rb, TNH) /* r * b, before the multiplier and the shift */                                         \
    X(int32_t, g_c, TNH)                                                                                           \
    X(int32_t, g_bx_aligned, TH)                                                                                   \
    X(int64_t, g_acc, TNH)                                                                                         \
    X(int32_t, g_a, TNH)                                                                                           \
    X(int32_t, g_pre, TNH)                                                                                         \
    X(int32_t, g, TNH)                                                                                             \
    X(int32_t, n_acc, TNH) /* (127 - z) * g */                                                                     \
    X(int32_t, n, TNH)                                                                                             \
    X(int64_t, S, TNH)                                                                                             \
    X(int32_t, h_new, TNH)         /* h' before zoneout */                                                         \
    X(int64_t, h_zoneout_acc, TNH) /* written only with QGRU_ZONEOUT_BLEND */                                      \
    X(int32_t, v, TNV)             /* [z | r | g | h_new] */

#define QGRU_POT_GATE_FIELDS(X, k)                                                                                 \
    X(int64_t, k##_Wx_aligned, TNH)                                                                                \
    X(int64_t, k##_Rh_aligned, TNH)                                                                                \
    X(int64_t, k##_bx_aligned, TH)                                                                                 \
    X(int64_t, k##_br_aligned, TH)                                                                                 \
    X(int64_t, k##_acc, TNH)                                                                                       \
    X(int32_t, k##_pre, TNH)                                                                                       \
    X(int32_t, k, TNH)

#define QGRU_POT_FIELDS(X)                                                                                         \
    X(int32_t, x, TNC)                                                                                             \
    X(int64_t, one, ONE)                                                                                           \
    X(int64_t, Wx_acc, TNG)                                                                                        \
    X(int32_t, Wx, TNG)                                                                                            \
    X(int64_t, Rh_acc, TNG)                                                                                        \
    X(int32_t, Rh, TNG)                                                                                            \
    QGRU_POT_GATE_FIELDS(X, z)                                                                                     \
    QGRU_POT_GATE_FIELDS(X, r)                                                                                     \
    X(int64_t, A_Rh_aligned, TNH)                                                                                  \
    X(int64_t, A_br_aligned, TH)                                                                                   \
    X(int64_t, A_acc, TNH)                                                                                         \
    X(int32_t, A, TNH)                                                                                             \
    X(int64_t, P_prod, TNH)                                                                                        \
    X(int64_t, P_acc, TNH)                                                                                         \
    X(int32_t, P, TNH)                                                                                             \
    X(int64_t, g_Wx_aligned, TNH)                                                                                  \
    X(int64_t, g_P_aligned, TNH)                                                                                   \
    X(int64_t, g_bx_aligned, TH)                                                                                   \
    X(int64_t, g_acc, TNH)                                                                                         \
    X(int32_t, g_pre, TNH)                                                                                         \
    X(int32_t, g, TNH)                                                                                             \
    X(int64_t, O_prod, TNH)                                                                                        \
    X(int64_t, O_acc, TNH)                                                                                         \
    X(int32_t, O, TNH)                                                                                             \
    X(int64_t, N_prod, TNH)                                                                                        \
    X(int64_t, N_acc, TNH)                                                                                         \
    X(int32_t, N, TNH)                                                                                             \
    X(int64_t, h_O_aligned, TNH)                                                                                   \
    X(int64_t, h_N_aligned, TNH)                                                                                   \
    X(int64_t, h_acc, TNH)                                                                                         \
    X(int32_t, h_new, TNH)                                                                                         \
    X(int64_t, h_zoneout_acc, TNH) /* written only with QGRU_ZONEOUT_BLEND */                                      \
    X(int32_t, v, TNV)             /* [z | r | g | A] */

#define QGRU_FIELD_POINTER(type, name, shape) type *name;

/* Where the intermediates go; NULL stands for one that is not wanted. */
typedef struct {
    QGRU_MSHIFT_FIELDS(QGRU_FIELD_POINTER)
} qgru_mshift_trace;

typedef struct {
    QGRU_POT_FIELDS(QGRU_FIELD_POINTER)
} qgru_pot_trace;

enum { QGRU_ZONEOUT_NONE = 0, QGRU_ZONEOUT_MASK = 1, QGRU_ZONEOUT_BLEND = 2 };

/* Zoneout.  MASK: mask [T,N,H] ([N,H] in a step) of 0 and 1, 1 keeps the previous state [Z-1].
 * BLEND: k, the nearest-even integer of p * 2^15, in [0, 32768] [Z-2]. */
typedef struct {
    int32_t kind;
    int32_t k;
    const int32_t *mask;
} qgru_zoneout;

/* A run: x [T,N,C], h0 [N,H] or NULL (the clamped zero point, GP-9), h [T+1,N,H] is written: h[0] is the initial
 * state and h[t+1] the output of time t, in both directions [S-2].  h must not overlap x, h0 or a mask. */
typedef struct {
    uint32_t struct_size; /* sizeof(qgru_run) */
    int32_t steps;        /* T >= 0 */
    int32_t batch;        /* N >= 1 */
    int32_t reverse;      /* 0, or 1 to read x from T - 1 to 0 */
    qgru_zoneout zoneout;
    const int32_t *x;
    const int32_t *h0;
    int32_t *h;
} qgru_run;

int32_t qgru_abi_version(void);
/* sizeof of: 0 qgru_mshift_params, 1 qgru_pot_params, 2 qgru_run, 3 qgru_mshift_trace, 4 qgru_pot_trace; else 0. */
int32_t qgru_struct_size(int32_t which);

/* Whether a parameter set is legal: QGRU_OK or the reason. */
int32_t qgru_mshift_check(const qgru_mshift_params *p);
int32_t qgru_pot_check(const qgru_pot_params *p);
/* Whether a run fits C inputs and H units whose codes have these formats. */
int32_t qgru_run_check(const qgru_run *run, int32_t inputs, int32_t hidden, qgru_format fmt_x, qgru_format fmt_h);

/* A whole sequence.  trace may be NULL.  Checks everything first; writes nothing unless it returns QGRU_OK. */
int32_t qgru_mshift_forward(const qgru_mshift_params *p, const qgru_run *run, const qgru_mshift_trace *trace);
int32_t qgru_pot_forward(const qgru_pot_params *p, const qgru_run *run, const qgru_pot_trace *trace);

/* One time step of N rows: x [N,C], h [N,H] -> h_next [N,H], which must not be h.  zoneout and trace may be NULL.
 * Checks nothing: call the check of the parameter set once before. */
void qgru_mshift_step(const qgru_mshift_params *p, size_t batch, const int32_t *x, const int32_t *h,
                      const qgru_zoneout *zoneout, int32_t *h_next, const qgru_mshift_trace *trace);
void qgru_pot_step(const qgru_pot_params *p, size_t batch, const int32_t *x, const int32_t *h,
                   const qgru_zoneout *zoneout, int32_t *h_next, const qgru_pot_trace *trace);

/* The pieces of a step, for one unit. */
typedef struct {
    int32_t Rh_aligned, bx_aligned, br_aligned;
    int64_t acc;
    int32_t a, pre, out;
} qgru_mshift_gate_values;

typedef struct {
    int32_t br_aligned;
    int64_t b_acc;
    int32_t b;
    int64_t rb;
    int32_t c, bx_aligned;
    int64_t acc;
    int32_t a, pre, g;
} qgru_mshift_candidate_values;

typedef struct {
    int32_t n_acc, n;
    int64_t S;
    int32_t h_new;
} qgru_mshift_hidden_values;

typedef struct {
    int64_t Wx_aligned, Rh_aligned, bx_aligned, br_aligned, acc;
    int32_t pre, out;
} qgru_pot_gate_values;

typedef struct {
    int64_t Rh_aligned, br_aligned, A_acc;
    int32_t A;
    int64_t prod, P_acc;
    int32_t P;
} qgru_pot_reset_values;

typedef struct {
    int64_t Wx_aligned, P_aligned, bx_aligned, acc;
    int32_t pre, g;
} qgru_pot_candidate_values;

typedef struct {
    int64_t O_prod, O_acc;
    int32_t O;
    int64_t N_prod, N_acc;
    int32_t N;
    int64_t O_aligned, N_aligned, acc;
    int32_t h_new;
} qgru_pot_hidden_values;

/* GM-1: gate is 0 (z) or 1 (r), unit in [0, H); bx and br are read from the set. */
qgru_mshift_gate_values qgru_mshift_gate(const qgru_mshift_params *p, int32_t gate, size_t unit, int64_t Wx, int64_t Rh);
/* GM-2 */
qgru_mshift_candidate_values qgru_mshift_candidate(const qgru_mshift_params *p, size_t unit, int64_t Wx, int64_t Rh,
                                                   int32_t r);
/* GM-3 */
qgru_mshift_hidden_values qgru_mshift_hidden(const qgru_mshift_params *p, int32_t z, int32_t g, int32_t h);

/* GP-1: the accumulators of channel [0, 3H) to matmul.Wx, matmul.Rh. */
int32_t qgru_pot_Wx(const qgru_pot_params *p, size_t channel, int64_t acc);
int32_t qgru_pot_Rh(const qgru_pot_params *p, size_t channel, int64_t acc);
/* GP-2 */
qgru_pot_gate_values qgru_pot_gate(const qgru_pot_params *p, int32_t gate, size_t unit, int32_t Wx, int32_t Rh);
/* GP-3 and GP-4 */
qgru_pot_reset_values qgru_pot_reset_path(const qgru_pot_params *p, size_t unit, int32_t Rh, int32_t r);
/* GP-5 */
qgru_pot_candidate_values qgru_pot_candidate(const qgru_pot_params *p, size_t unit, int32_t Wx, int32_t P);
/* GP-6 */
int64_t qgru_pot_one(const qgru_pot_params *p);
/* GP-7 and GP-8 */
qgru_pot_hidden_values qgru_pot_hidden(const qgru_pot_params *p, int64_t one, int32_t z, int32_t g, int32_t h);

#endif
