/* Datapath M, static: multiplier and shift.  [G-M, Z, S] */
#include "qgru.h"

enum { GATE_Z = 0, GATE_R = 1, GATE_G = 2 };

/* Code of 1.0.  */
enum { ONE = 127 };

static int32_t pre_code(const qgru_mshift_params *p, int32_t a, qgru_mshift m, int32_t zero_point)
{
    if (p->gate_bits == 16) {
        return qgru_requantize(a, m, zero_point, -32768, 32767);
    }
    return qgru_requantize(a, m, zero_point, -128, 127);
}

static int32_t look_up(const qgru_mshift_params *p, const int8_t *table, int32_t pre)
{
    return table[p->gate_bits == 16 ? qgru_direct_wide_index(pre) : qgru_direct_index(pre)];
}

qgru_mshift_gate_values qgru_mshift_gate(const qgru_mshift_params *p, int32_t gate, size_t unit, int64_t Wx, int64_t Rh)
{
    int is_z = gate == GATE_Z;
    size_t column = (size_t)gate * (size_t)p->hidden + unit;
    qgru_mshift_gate_values o;

    o.Rh_aligned = qgru_align(Rh, is_z ? p->m_Rh_z : p->m_Rh_r);
    o.bx_aligned = qgru_align(p->bx[column], p->m_bx);
    o.br_aligned = qgru_align(p->br[column], is_z ? p->m_br_z : p->m_br_r);
    o.acc = Wx + o.Rh_aligned + o.bx_aligned + o.br_aligned;
    o.a = qgru_saturate32(o.acc);
    o.pre = pre_code(p, o.a, is_z ? p->m_z : p->m_r, is_z ? p->zp_z : p->zp_r);
    o.out = look_up(p, is_z ? p->table_z : p->table_r, o.pre);
    return o;
}

qgru_mshift_candidate_values qgru_mshift_candidate(const qgru_mshift_params *p, size_t unit, int64_t Wx, int64_t Rh,
                                                   int32_t r)
{
    size_t column = (size_t)GATE_G * (size_t)p->hidden + unit;
    qgru_mshift_candidate_values o;

    o.br_aligned = qgru_align(p->br[column], p->m_br_g);
    o.b_acc = Rh + o.br_aligned;
    o.b = qgru_saturate32(o.b_acc);
    o.rb = r * (int64_t)o.b;
    o.c = qgru_saturate32(qgru_apply(o.rb, p->m_rRh));
    o.bx_aligned = qgru_align(p->bx[column], p->m_bx);
    o.acc = Wx + o.c + o.bx_aligned;
    o.a = qgru_saturate32(o.acc);
    o.pre = pre_code(p, o.a, p->m_g, p->zp_g);
    o.g = look_up(p, p->table_g, o.pre);
    return o;
}

qgru_mshift_hidden_values qgru_mshift_hidden(const qgru_mshift_params *p, int32_t z, int32_t g, int32_t h)
{
    qgru_mshift_hidden_values o;

    o.n_acc = (ONE - z) * g;
    o.n = qgru_align(o.n_acc, p->m_gh);
    o.S = z * ((int64_t)h - p->zp_h) + o.n;
    o.h_new = qgru_requantize(o.S, p->m_one, p->zp_h, -128, 127);
    return o;
}

#define PUT(name, index, value)                                                                                    \
    do {                                                                                                           \
        if (out->name != NULL) {                                                                                   \
            out->name[index] = (value);                                                                            \
        }                                                                                                          \
    } while (0)

#define PUT_GATE(k, values)                                                                                        \
    do {                                                                                                           \
        PUT(k##_Rh_aligned, at, (values).Rh_aligned);                                                              \
        PUT(k##_bx_aligned, j, (values).bx_aligned);                                                               \
        PUT(k##_br_aligned, j, (values).br_aligned);                                                               \
        PUT(k##_acc, at, (values).acc);                                                                            \
        PUT(k##_a, at, (values).a);                                                                                \
        PUT(k##_pre, at, (values).pre);                                                                            \
        PUT(k, at, (values).out);                                                                                  \
    } while (0)

/* Unit j of one row; row counts rows from the start of the step's arrays. */
static int32_t unit_step(const qgru_mshift_params *p, size_t row, size_t j, const int32_t *x, const int32_t *h,
                         const qgru_mshift_trace *out)
{
    size_t inputs = (size_t)p->inputs, hidden = (size_t)p->hidden, columns = 3 * hidden;
    size_t at = row * hidden + j, gate;
    int64_t Wx[3], Rh[3];
    qgru_mshift_gate_values z, r;
    qgru_mshift_candidate_values g;
    qgru_mshift_hidden_values s;

    for (gate = 0; gate < 3; gate++) {
        size_t column = gate * hidden + j;
        Wx[gate] = qgru_linear8(x + row * inputs, p->W + column, inputs, columns, p->zp_x);
        Rh[gate] = qgru_linear8(h + row * hidden, p->R + column, hidden, columns, p->zp_h);
        PUT(Wx, row * columns + column, Wx[gate]);
        PUT(Rh, row * columns + column, Rh[gate]);
    }
    z = qgru_mshift_gate(p, GATE_Z, j, Wx[GATE_Z], Rh[GATE_Z]);
    r = qgru_mshift_gate(p, GATE_R, j, Wx[GATE_R], Rh[GATE_R]);
    g = qgru_mshift_candidate(p, j, Wx[GATE_G], Rh[GATE_G], r.out);
    s = qgru_mshift_hidden(p, z.out, g.g, h[at]);

    PUT_GATE(z, z);
    PUT_GATE(r, r);
    PUT(g_br_aligned, j, g.br_aligned);
    PUT(g_b_acc, at, g.b_acc);
    PUT(g_b, at, g.b);
    PUT(g_rb, at, g.rb);
    PUT(g_c, at, g.c);
    PUT(g_bx_aligned, j, g.bx_aligned);
    PUT(g_acc, at, g.acc);
    PUT(g_a, at, g.a);
    PUT(g_pre, at, g.pre);
    PUT(g, at, g.g);
    PUT(n_acc, at, s.n_acc);
    PUT(n, at, s.n);
    PUT(S, at, s.S);
    PUT(h_new, at, s.h_new);
    PUT(v, row * 4 * hidden + j, z.out);
    PUT(v, row * 4 * hidden + hidden + j, r.out);
    PUT(v, row * 4 * hidden + 2 * hidden + j, g.g);
    PUT(v, row * 4 * hidden + 3 * hidden + j, s.h_new);
    return s.h_new;
}

void qgru_mshift_step(const qgru_mshift_params *p, size_t batch, const int32_t *x, const int32_t *h,
                      const qgru_zoneout *zoneout, int32_t *h_next, const qgru_mshift_trace *trace)
{
    static const qgru_mshift_trace nothing = {0};
    const qgru_mshift_trace *out = trace != NULL ? trace : &nothing;
    int32_t kind = zoneout != NULL ? zoneout->kind : QGRU_ZONEOUT_NONE;
    size_t hidden = (size_t)p->hidden, inputs = (size_t)p->inputs, row, j;

    for (row = 0; row < batch; row++) {
        for (j = 0; j < inputs; j++) {
            PUT(x, row * inputs + j, x[row * inputs + j]);
        }
        for (j = 0; j < hidden; j++) {
            size_t at = row * hidden + j;
            int32_t code = unit_step(p, row, j, x, h, out);
            if (kind == QGRU_ZONEOUT_MASK && zoneout->mask[at] == 1) {
                code = h[at];
            } else if (kind == QGRU_ZONEOUT_BLEND) {
                int64_t acc = qgru_zoneout_acc(zoneout->k, h[at], code, p->zp_h);
                PUT(h_zoneout_acc, at, acc);
                code = qgru_zoneout_code(acc, p->zp_h, -128, 127);
            }
            h_next[at] = code;
        }
    }
}

int32_t qgru_mshift_forward(const qgru_mshift_params *p, const qgru_run *run, const qgru_mshift_trace *trace)
{
    static const qgru_mshift_trace nothing = {0};
    const qgru_mshift_trace *all = trace != NULL ? trace : &nothing;
    qgru_format int8 = {-128, 127};
    int32_t status = qgru_mshift_check(p);
    size_t steps, batch, tnc, tng, th, tnh, tnv, i;
    const int32_t *previous;

    if (status == QGRU_OK) {
        status = qgru_run_check(run, p->inputs, p->hidden, int8, int8);
    }
    if (status != QGRU_OK) {
        return status;
    }
    steps = (size_t)run->steps;
    batch = (size_t)run->batch;
    th = (size_t)p->hidden;
    tnc = batch * (size_t)p->inputs;
    tnh = batch * th;
    tng = 3 * tnh;
    tnv = 4 * tnh;
    for (i = 0; i < tnh; i++) {
        run->h[i] = run->h0 != NULL ? run->h0[i] : qgru_saturate(p->zp_h, -128, 127);
    }
    previous = run->h;
    for (i = 0; i < steps; i++) {
        size_t t = run->reverse ? steps - 1 - i : i;
        qgru_mshift_trace view;
        qgru_zoneout zoneout = run->zoneout;
        int32_t *next = run->h + (t + 1) * tnh;

#define STRIDE_TNC tnc
#define STRIDE_TNG tng
#define STRIDE_TNH tnh
#define STRIDE_TNV tnv
#define STRIDE_TH th
#define VIEW(type, name, shape) view.name = all->name != NULL ? all->name + t * STRIDE_##shape : NULL;
        QGRU_MSHIFT_FIELDS(VIEW)
        if (zoneout.kind == QGRU_ZONEOUT_MASK) {
            zoneout.mask += t * tnh;
        }
        qgru_mshift_step(p, batch, run->x + t * tnc, previous, &zoneout, next, &view);
        previous = next;
    }
    return QGRU_OK;
}
