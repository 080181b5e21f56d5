/* Datapath P: power-of-two scales.  [G-P, Z, S] */
#include "qgru.h"

enum { GATE_Z = 0, GATE_R = 1, GATE_G = 2 };

/* sat of an operator. */
static int32_t sat(int64_t v, const qgru_operator *op)
{
    return qgru_saturate(v, op->fmt.qmin, op->fmt.qmax);
}

/* RS(v, e_from - e_to). */
static int64_t rescale(const qgru_pot_params *p, int64_t v, int32_t e_from, int32_t e_to)
{
    return qgru_shift_round(v, e_from - e_to, p->rounding);
}

int32_t qgru_pot_Wx(const qgru_pot_params *p, size_t channel, int64_t acc)
{
    return sat(rescale(p, acc, p->weight_W.exponent[channel] + p->x.exponent, p->Wx.exponent) + p->Wx.zero_point, &p->Wx);
}

int32_t qgru_pot_Rh(const qgru_pot_params *p, size_t channel, int64_t acc)
{
    return sat(rescale(p, acc, p->weight_R.exponent[channel] + p->h.exponent, p->Rh.exponent) + p->Rh.zero_point, &p->Rh);
}

qgru_pot_gate_values qgru_pot_gate(const qgru_pot_params *p, int32_t gate, size_t unit, int32_t Wx, int32_t Rh)
{
    const qgru_operator *pre = gate == GATE_Z ? &p->z_pre : &p->r_pre;
    const qgru_activation *table = gate == GATE_Z ? &p->act_z : &p->act_r;
    size_t channel = (size_t)gate * (size_t)p->hidden + unit;
    qgru_pot_gate_values o;

    o.Wx_aligned = rescale(p, (int64_t)Wx - p->Wx.zero_point, p->Wx.exponent, pre->exponent);
    o.Rh_aligned = rescale(p, (int64_t)Rh - p->Rh.zero_point, p->Rh.exponent, pre->exponent);
    o.bx_aligned = rescale(p, p->bx[channel], p->weight_bx.exponent[channel], pre->exponent);
    o.br_aligned = rescale(p, p->br[channel], p->weight_br.exponent[channel], pre->exponent);
    o.acc = o.Wx_aligned + o.Rh_aligned + o.bx_aligned + o.br_aligned + pre->zero_point;
    o.pre = sat(o.acc, pre);
    o.out = qgru_activate(o.pre, table);
    return o;
}

qgru_pot_reset_values qgru_pot_reset_path(const qgru_pot_params *p, size_t unit, int32_t Rh, int32_t r)
{
    size_t channel = (size_t)GATE_G * (size_t)p->hidden + unit;
    qgru_pot_reset_values o;

    o.Rh_aligned = rescale(p, (int64_t)Rh - p->Rh.zero_point, p->Rh.exponent, p->A.exponent);
    o.br_aligned = rescale(p, p->br[channel], p->weight_br.exponent[channel], p->A.exponent);
    o.A_acc = o.Rh_aligned + o.br_aligned + p->A.zero_point;
    o.A = sat(o.A_acc, &p->A);
    o.prod = ((int64_t)r - p->r_out.zero_point) * ((int64_t)o.A - p->A.zero_point);
    o.P_acc = rescale(p, o.prod, p->r_out.exponent + p->A.exponent, p->P.exponent) + p->P.zero_point;
    o.P = sat(o.P_acc, &p->P);
    return o;
}

qgru_pot_candidate_values qgru_pot_candidate(const qgru_pot_params *p, size_t unit, int32_t Wx, int32_t P)
{
    size_t channel = (size_t)GATE_G * (size_t)p->hidden + unit;
    qgru_pot_candidate_values o;

    o.Wx_aligned = rescale(p, (int64_t)Wx - p->Wx.zero_point, p->Wx.exponent, p->g_pre.exponent);
    o.P_aligned = rescale(p, (int64_t)P - p->P.zero_point, p->P.exponent, p->g_pre.exponent);
    o.bx_aligned = rescale(p, p->bx[channel], p->weight_bx.exponent[channel], p->g_pre.exponent);
    o.acc = o.Wx_aligned + o.P_aligned + o.bx_aligned + p->g_pre.zero_point;
    o.pre = sat(o.acc, &p->g_pre);
    o.g = qgru_activate(o.pre, &p->act_g);
    return o;
}

int64_t qgru_pot_one(const qgru_pot_params *p)
{
    return rescale(p, 1, 0, p->z_out.exponent) + p->z_out.zero_point;
}

qgru_pot_hidden_values qgru_pot_hidden(const qgru_pot_params *p, int64_t one, int32_t z, int32_t g, int32_t h)
{
    qgru_pot_hidden_values o;

    o.O_prod = ((int64_t)z - p->z_out.zero_point) * ((int64_t)h - p->h.zero_point);
    o.O_acc = rescale(p, o.O_prod, p->z_out.exponent + p->h.exponent, p->O.exponent) + p->O.zero_point;
    o.O = sat(o.O_acc, &p->O);
    o.N_prod = (one - z) * ((int64_t)g - p->g_out.zero_point);
    o.N_acc = rescale(p, o.N_prod, p->z_out.exponent + p->g_out.exponent, p->N.exponent) + p->N.zero_point;
    o.N = sat(o.N_acc, &p->N);
    o.O_aligned = rescale(p, (int64_t)o.O - p->O.zero_point, p->O.exponent, p->h.exponent);
    o.N_aligned = rescale(p, (int64_t)o.N - p->N.zero_point, p->N.exponent, p->h.exponent);
    o.acc = o.O_aligned + o.N_aligned + p->h.zero_point;
    o.h_new = sat(o.acc, &p->h);
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
        PUT(k##_Wx_aligned, at, (values).Wx_aligned);                                                              \
        PUT(k##_Rh_aligned, at, (values).Rh_aligned);                                                              \
        PUT(k##_bx_aligned, j, (values).bx_aligned);                                                               \
        PUT(k##_br_aligned, j, (values).br_aligned);                                                               \
        PUT(k##_acc, at, (values).acc);                                                                            \
        PUT(k##_pre, at, (values).pre);                                                                            \
        PUT(k, at, (values).out);                                                                                  \
    } while (0)

/* Unit j of one row; row counts rows from the start of the step's arrays. */
static int32_t unit_step(const qgru_pot_params *p, int64_t one, size_t row, size_t j, const int32_t *x, const int32_t *h,
                         const qgru_pot_trace *out)
{
    size_t inputs = (size_t)p->inputs, hidden = (size_t)p->hidden, columns = 3 * hidden;
    size_t at = row * hidden + j, gate;
    int32_t Wx[3], Rh[3];
    qgru_pot_gate_values z, r;
    qgru_pot_reset_values a;
    qgru_pot_candidate_values g;
    qgru_pot_hidden_values s;

    for (gate = 0; gate < 3; gate++) {
        size_t channel = gate * hidden + j, cell = row * columns + channel;
        int64_t Wx_acc = qgru_linear16(x + row * inputs, p->W + channel, inputs, columns, p->x.zero_point);
        int64_t Rh_acc = qgru_linear16(h + row * hidden, p->R + channel, hidden, columns, p->h.zero_point);
        Wx[gate] = qgru_pot_Wx(p, channel, Wx_acc);
        Rh[gate] = qgru_pot_Rh(p, channel, Rh_acc);
        PUT(Wx_acc, cell, Wx_acc);
        PUT(Rh_acc, cell, Rh_acc);
        PUT(Wx, cell, Wx[gate]);
        PUT(Rh, cell, Rh[gate]);
    }
    z = qgru_pot_gate(p, GATE_Z, j, Wx[GATE_Z], Rh[GATE_Z]);
    r = qgru_pot_gate(p, GATE_R, j, Wx[GATE_R], Rh[GATE_R]);
    a = qgru_pot_reset_path(p, j, Rh[GATE_G], r.out);
    g = qgru_pot_candidate(p, j, Wx[GATE_G], a.P);
    s = qgru_pot_hidden(p, one, z.out, g.g, h[at]);

    PUT_GATE(z, z);
    PUT_GATE(r, r);
    PUT(A_Rh_aligned, at, a.Rh_aligned);
    PUT(A_br_aligned, j, a.br_aligned);
    PUT(A_acc, at, a.A_acc);
    PUT(A, at, a.A);
    PUT(P_prod, at, a.prod);
    PUT(P_acc, at, a.P_acc);
    PUT(P, at, a.P);
    PUT(g_Wx_aligned, at, g.Wx_aligned);
    PUT(g_P_aligned, at, g.P_aligned);
    PUT(g_bx_aligned, j, g.bx_aligned);
    PUT(g_acc, at, g.acc);
    PUT(g_pre, at, g.pre);
    PUT(g, at, g.g);
    PUT(O_prod, at, s.O_prod);
    PUT(O_acc, at, s.O_acc);
    PUT(O, at, s.O);
    PUT(N_prod, at, s.N_prod);
    PUT(N_acc, at, s.N_acc);
    PUT(N, at, s.N);
    PUT(h_O_aligned, at, s.O_aligned);
    PUT(h_N_aligned, at, s.N_aligned);
    PUT(h_acc, at, s.acc);
    PUT(h_new, at, s.h_new);
    PUT(v, row * 4 * hidden + j, z.out);
    PUT(v, row * 4 * hidden + hidden + j, r.out);
    PUT(v, row * 4 * hidden + 2 * hidden + j, g.g);
    PUT(v, row * 4 * hidden + 3 * hidden + j, a.A);
    return s.h_new;
}

void qgru_pot_step(const qgru_pot_params *p, size_t batch, const int32_t *x, const int32_t *h,
                   const qgru_zoneout *zoneout, int32_t *h_next, const qgru_pot_trace *trace)
{
    static const qgru_pot_trace nothing = {0};
    const qgru_pot_trace *out = trace != NULL ? trace : &nothing;
    int32_t kind = zoneout != NULL ? zoneout->kind : QGRU_ZONEOUT_NONE;
    size_t hidden = (size_t)p->hidden, inputs = (size_t)p->inputs, row, j;
    int64_t one = qgru_pot_one(p);

    PUT(one, 0, one);
    for (row = 0; row < batch; row++) {
        for (j = 0; j < inputs; j++) {
            PUT(x, row * inputs + j, x[row * inputs + j]);
        }
        for (j = 0; j < hidden; j++) {
            size_t at = row * hidden + j;
            int32_t code = unit_step(p, one, row, j, x, h, out);
            if (kind == QGRU_ZONEOUT_MASK && zoneout->mask[at] == 1) {
                code = h[at];
            } else if (kind == QGRU_ZONEOUT_BLEND) {
                int64_t acc = qgru_zoneout_acc(zoneout->k, h[at], code, p->h.zero_point);
                PUT(h_zoneout_acc, at, acc);
                code = qgru_zoneout_code(acc, p->h.zero_point, p->h.fmt.qmin, p->h.fmt.qmax);
            }
            h_next[at] = code;
        }
    }
}

int32_t qgru_pot_forward(const qgru_pot_params *p, const qgru_run *run, const qgru_pot_trace *trace)
{
    static const qgru_pot_trace nothing = {0};
    const qgru_pot_trace *all = trace != NULL ? trace : &nothing;
    int32_t status = qgru_pot_check(p);
    size_t steps, batch, tnc, tng, th, tnh, tnv, i;
    const int32_t *previous;

    if (status == QGRU_OK) {
        status = qgru_run_check(run, p->inputs, p->hidden, p->x.fmt, p->h.fmt);
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
        run->h[i] = run->h0 != NULL ? run->h0[i] : sat(p->h.zero_point, &p->h);
    }
    if (all->one != NULL) {
        *all->one = qgru_pot_one(p);
    }
    previous = run->h;
    for (i = 0; i < steps; i++) {
        size_t t = run->reverse ? steps - 1 - i : i;
        qgru_pot_trace view;
        qgru_zoneout zoneout = run->zoneout;
        int32_t *next = run->h + (t + 1) * tnh;

#define STRIDE_ONE 0u
#define STRIDE_TNC tnc
#define STRIDE_TNG tng
#define STRIDE_TNH tnh
#define STRIDE_TNV tnv
#define STRIDE_TH th
#define VIEW(type, name, shape) view.name = all->name != NULL ? all->name + t * STRIDE_##shape : NULL;
        QGRU_POT_FIELDS(VIEW)
        if (zoneout.kind == QGRU_ZONEOUT_MASK) {
            zoneout.mask += t * tnh;
        }
        qgru_pot_step(p, batch, run->x + t * tnc, previous, &zoneout, next, &view);
        previous = next;
    }
    return QGRU_OK;
}
