/* What is legal: formats, codes, and the widths of every stage over the formats.  [F, L-2, M-3, R-4, G-M, G-P] */
#include "qgru.h"

/* Magnitudes are uint64_t that stay at LIMIT once they reach it; LIMIT itself is out of bounds everywhere. */
#define LIMIT ((uint64_t)1 << 63)

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a >= LIMIT || b >= LIMIT || a + b >= LIMIT ? LIMIT : a + b;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    return b != 0 && a > (LIMIT - 1) / b ? LIMIT : a * b;
}

static uint64_t size_of(int64_t v)
{
    return v < 0 ? (uint64_t)-v : (uint64_t)v;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* max |q - zero_point| over the codes of a format. */
static uint64_t spread(qgru_format fmt, int64_t zero_point)
{
    return larger(size_of(fmt.qmin - zero_point), size_of(fmt.qmax - zero_point));
}

/* The magnitude after a rounding shift to the right (to the left when s is negative). */
static uint64_t shifted(uint64_t v, int32_t s)
{
    if (v >= LIMIT) {
        return LIMIT;
    }
    if (s <= 0) {
        return -s > 62 ? (v == 0 ? 0 : LIMIT) : times(v, (uint64_t)1 << -s);
    }
    if (s > 63) {
        return 0;
    }
    return (v >> s) + ((v >> (s - 1)) & 1u);
}

static int within(int64_t v, int64_t low, int64_t high)
{
    return low <= v && v <= high;
}

/* Whether the format is one of 2 to 16 bits. */
static int is_format(qgru_format fmt)
{
    int32_t codes;

    for (codes = 4; codes <= 65536; codes *= 2) {
        if ((fmt.qmin == 0 && fmt.qmax == codes - 1) || (fmt.qmin == -codes / 2 && fmt.qmax == codes / 2 - 1)) {
            return 1;
        }
    }
    return 0;
}

static int is_bias_format(qgru_format fmt)
{
    return (fmt.qmin == -128 && fmt.qmax == 127) || (fmt.qmin == -32768 && fmt.qmax == 32767)
        || (fmt.qmin == INT32_MIN && fmt.qmax == INT32_MAX);
}

static int all_within(const int32_t *codes, size_t count, qgru_format fmt)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (!within(codes[i], fmt.qmin, fmt.qmax)) {
            return 0;
        }
    }
    return 1;
}

static int all_within16(const int16_t *codes, size_t count, qgru_format fmt)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (!within(codes[i], fmt.qmin, fmt.qmax)) {
            return 0;
        }
    }
    return 1;
}

int32_t qgru_run_check(const qgru_run *run, int32_t inputs, int32_t hidden, qgru_format fmt_x, qgru_format fmt_h)
{
    static const qgru_format bit = {0, 1};
    size_t steps, batch;

    if (run == NULL) {
        return QGRU_ENULL;
    }
    if (run->struct_size != sizeof(*run) || run->steps < 0 || run->batch < 1) {
        return QGRU_ESIZE;
    }
    steps = (size_t)run->steps;
    batch = (size_t)run->batch;
    if (run->h == NULL || (run->x == NULL && steps > 0)) {
        return QGRU_ENULL;
    }
    if (!within(run->reverse, 0, 1) || !within(run->zoneout.kind, QGRU_ZONEOUT_NONE, QGRU_ZONEOUT_BLEND)) {
        return QGRU_EPARAM;
    }
    if (run->zoneout.kind == QGRU_ZONEOUT_BLEND && !within(run->zoneout.k, 0, 32768)) {
        return QGRU_EPARAM;
    }
    if (run->zoneout.kind == QGRU_ZONEOUT_MASK && steps > 0) {
        if (run->zoneout.mask == NULL) {
            return QGRU_ENULL;
        }
        if (!all_within(run->zoneout.mask, steps * batch * (size_t)hidden, bit)) {
            return QGRU_ECODE;
        }
    }
    if (!all_within(run->x, steps * batch * (size_t)inputs, fmt_x)) {
        return QGRU_ECODE;
    }
    if (run->h0 != NULL && !all_within(run->h0, batch * (size_t)hidden, fmt_h)) {
        return QGRU_ECODE;
    }
    return QGRU_OK;
}

int32_t qgru_mshift_check(const qgru_mshift_params *p)
{
    static const qgru_format int8 = {-128, 127};
    const int32_t most = 2147483647;
    qgru_mshift m[12];
    uint64_t n;
    size_t i;

    if (p == NULL) {
        return QGRU_ENULL;
    }
    if (p->struct_size != sizeof(*p) || p->inputs < 1 || p->hidden < 1) {
        return QGRU_ESIZE;
    }
    if (p->W == NULL || p->R == NULL || p->bx == NULL || p->br == NULL || p->table_z == NULL || p->table_r == NULL
        || p->table_g == NULL) {
        return QGRU_ENULL;
    }
    if (p->gate_bits != 8 && (p->gate_bits != 16 || p->zp_z != 0 || p->zp_r != 0 || p->zp_g != 0)) {
        return QGRU_EPARAM;
    }
    m[0] = p->m_Rh_z;
    m[1] = p->m_Rh_r;
    m[2] = p->m_bx;
    m[3] = p->m_br_z;
    m[4] = p->m_br_r;
    m[5] = p->m_br_g;
    m[6] = p->m_z;
    m[7] = p->m_r;
    m[8] = p->m_g;
    m[9] = p->m_gh;
    m[10] = p->m_one;
    m[11] = p->m_rRh;
    for (i = 0; i < 12; i++) {
        if (!within(m[i].multiplier, 0, i == 11 ? 16777215 : most) || !within(m[i].shift, 0, 31)) {
            return QGRU_EPARAM;
        }
    }
    for (i = 0; i < QGRU_TABLE_ENTRIES; i++) {
        if (p->table_z[i] < 0 || p->table_r[i] < 0) {
            return QGRU_ECODE;
        }
    }
    /* L-2: Wx is only summed, Rh enters M-3; GM-3: S must stay in int32. */
    if (times(times((uint64_t)p->inputs, 128), spread(int8, p->zp_x)) >= (uint64_t)1 << 47) {
        return QGRU_EWIDTH;
    }
    if (times(times((uint64_t)p->hidden, 128), spread(int8, p->zp_h)) >= (uint64_t)1 << 31) {
        return QGRU_EWIDTH;
    }
    n = shifted(times(127 * 128, (uint64_t)p->m_gh.multiplier), p->m_gh.shift);
    n = n < (uint64_t)most ? n : (uint64_t)most;
    if (127 * spread(int8, p->zp_h) + n >= (uint64_t)1 << 31) {
        return QGRU_EWIDTH;
    }
    return QGRU_OK;
}

/* The shape of a table, and the arithmetic of each segment over the inputs that it answers for. */
static int32_t activation_check(const qgru_activation *table, const qgru_operator *pre, const qgru_operator *out)
{
    int quadratic = table->kind == QGRU_PIECEWISE_QUADRATIC;
    int32_t i;

    if (!within(table->kind, QGRU_DIRECT, QGRU_PIECEWISE_QUADRATIC) || table->fmt_in.qmin != pre->fmt.qmin
        || table->fmt_in.qmax != pre->fmt.qmax || table->fmt_out.qmin != out->fmt.qmin
        || table->fmt_out.qmax != out->fmt.qmax || table->zero_point_in != pre->zero_point) {
        return QGRU_EPARAM;
    }
    if (table->kind == QGRU_DIRECT) {
        if (table->entries == NULL) {
            return QGRU_ENULL;
        }
        if (table->fmt_in.qmin >= 0 || table->fmt_in.qmax > 127) {
            return QGRU_EPARAM;
        }
        return all_within(table->entries, QGRU_TABLE_ENTRIES, table->fmt_out) ? QGRU_OK : QGRU_ECODE;
    }
    if (!within(table->segments, 1, quadratic ? QGRU_QUADRATIC_SEGMENTS : QGRU_LINEAR_SEGMENTS)) {
        return QGRU_ESIZE;
    }
    if (table->thresholds == NULL
        || (quadratic ? table->origins == NULL || table->c2 == NULL || table->p == NULL || table->c1 == NULL
                          || table->n == NULL || table->c0 == NULL
                      : table->slopes == NULL || table->shifts == NULL || table->intercepts == NULL)) {
        return QGRU_ENULL;
    }
    for (i = 0; i < table->segments; i++) {
        if (!within(quadratic ? table->p[i] : table->shifts[i], -31, 62)
            || !within(quadratic ? table->n[i] : table->shifts[i], -31, 62)
            || (i > 0 && table->thresholds[i] < table->thresholds[i - 1])) {
            return QGRU_EPARAM;
        }
    }
    for (i = 0; i < table->segments; i++) {
        int64_t low = table->fmt_in.qmin, high = table->fmt_in.qmax;
        int64_t origin = quadratic ? table->origins[i] : table->zero_point_in;
        uint64_t d, y;

        if (i > 0 && table->thresholds[i - 1] > low) {
            low = table->thresholds[i - 1];
        }
        if (i < table->segments - 1 && (int64_t)table->thresholds[i] - 1 < high) {
            high = (int64_t)table->thresholds[i] - 1;
        }
        if (low > high) {
            continue;
        }
        d = larger(size_of(low - origin), size_of(high - origin));
        if (quadratic) {
            y = plus(shifted(times(size_of(table->c2[i]), d), table->p[i]), size_of(table->c1[i]));
            if (y >= LIMIT) {
                return QGRU_EWIDTH;
            }
            y = plus(shifted(times(y, d), table->n[i]), size_of(table->c0[i]));
        } else {
            y = plus(shifted(times(size_of(table->slopes[i]), d), table->shifts[i]), size_of(table->intercepts[i]));
        }
        if (y >= LIMIT) {
            return QGRU_EWIDTH;
        }
    }
    return QGRU_OK;
}

static uint64_t zero_size(const qgru_operator *op)
{
    return size_of(op->zero_point);
}

/* The greatest aligned bias of the H channels of a gate. */
static uint64_t bias_reach(const qgru_pot_params *p, const qgru_channel_operator *op, int32_t gate, int32_t e_out)
{
    uint64_t most = 0;
    int32_t j;

    for (j = 0; j < p->hidden; j++) {
        int32_t e = op->exponent[(size_t)gate * (size_t)p->hidden + (size_t)j];
        most = larger(most, shifted(spread(op->fmt, 0), e - e_out));
    }
    return most;
}

/* An operator's term brought to another exponent. */
static uint64_t term(const qgru_operator *op, int32_t e_out)
{
    return shifted(spread(op->fmt, op->zero_point), op->exponent - e_out);
}

/* GP-1 of one of the two products. */
static int linear_fits(const qgru_channel_operator *weight, size_t channels, const qgru_operator *data,
                       const qgru_operator *out, int32_t length)
{
    uint64_t reach = times(times((uint64_t)length, spread(weight->fmt, 0)), spread(data->fmt, data->zero_point));
    size_t m;

    if (reach >= (uint64_t)1 << 47) {
        return 0;
    }
    for (m = 0; m < channels; m++) {
        if (plus(shifted(reach, weight->exponent[m] + data->exponent - out->exponent), zero_size(out)) >= LIMIT) {
            return 0;
        }
    }
    return 1;
}

/* GP-1 to GP-8, stage by stage. */
static int stages_fit(const qgru_pot_params *p)
{
    size_t channels = 3 * (size_t)p->hidden;
    int32_t e, gate;
    int64_t one;
    uint64_t sum, d;

    if (!linear_fits(&p->weight_W, channels, &p->x, &p->Wx, p->inputs)
        || !linear_fits(&p->weight_R, channels, &p->h, &p->Rh, p->hidden)) {
        return 0;
    }
    for (gate = 0; gate < 2; gate++) {
        const qgru_operator *pre = gate == 0 ? &p->z_pre : &p->r_pre;
        e = pre->exponent;
        sum = plus(plus(term(&p->Wx, e), term(&p->Rh, e)),
                   plus(bias_reach(p, &p->weight_bx, gate, e), bias_reach(p, &p->weight_br, gate, e)));
        if (plus(sum, zero_size(pre)) >= LIMIT) {
            return 0;
        }
    }
    e = p->A.exponent;
    sum = plus(term(&p->Rh, e), bias_reach(p, &p->weight_br, 2, e));
    if (plus(sum, zero_size(&p->A)) >= LIMIT) {
        return 0;
    }
    d = times(spread(p->r_out.fmt, p->r_out.zero_point), spread(p->A.fmt, p->A.zero_point));
    sum = shifted(d, p->r_out.exponent + p->A.exponent - p->P.exponent);
    if (plus(sum, zero_size(&p->P)) >= LIMIT) {
        return 0;
    }
    e = p->g_pre.exponent;
    sum = plus(plus(term(&p->Wx, e), term(&p->P, e)), bias_reach(p, &p->weight_bx, 2, e));
    if (plus(sum, zero_size(&p->g_pre)) >= LIMIT) {
        return 0;
    }
    d = times(spread(p->z_out.fmt, p->z_out.zero_point), spread(p->h.fmt, p->h.zero_point));
    sum = shifted(d, p->z_out.exponent + p->h.exponent - p->O.exponent);
    if (plus(sum, zero_size(&p->O)) >= LIMIT) {
        return 0;
    }
    one = qgru_pot_one(p);
    d = times(spread(p->z_out.fmt, one), spread(p->g_out.fmt, p->g_out.zero_point));
    sum = shifted(d, p->z_out.exponent + p->g_out.exponent - p->N.exponent);
    if (plus(sum, zero_size(&p->N)) >= LIMIT) {
        return 0;
    }
    e = p->h.exponent;
    return plus(plus(term(&p->O, e), term(&p->N, e)), zero_size(&p->h)) < LIMIT;
}

int32_t qgru_pot_check(const qgru_pot_params *p)
{
    size_t channels, i;
    int32_t status;

    if (p == NULL) {
        return QGRU_ENULL;
    }
    if (p->struct_size != sizeof(*p) || p->inputs < 1 || p->hidden < 1) {
        return QGRU_ESIZE;
    }
    if (p->W == NULL || p->R == NULL || p->bx == NULL || p->br == NULL || p->weight_W.exponent == NULL
        || p->weight_R.exponent == NULL || p->weight_bx.exponent == NULL || p->weight_br.exponent == NULL) {
        return QGRU_ENULL;
    }
    if (!within(p->rounding, QGRU_TIES_AWAY, QGRU_TIES_EVEN) || !is_format(p->weight_W.fmt) || !is_format(p->weight_R.fmt)
        || p->weight_W.fmt.qmin == 0 || p->weight_R.fmt.qmin == 0 || !is_bias_format(p->weight_bx.fmt)
        || !is_bias_format(p->weight_br.fmt) || p->z_out.fmt.qmin != 0 || p->r_out.fmt.qmin != 0) {
        return QGRU_EPARAM;
    }
    {
        const qgru_operator *all[14];
        all[0] = &p->x;
        all[1] = &p->h;
        all[2] = &p->Wx;
        all[3] = &p->Rh;
        all[4] = &p->z_pre;
        all[5] = &p->z_out;
        all[6] = &p->r_pre;
        all[7] = &p->r_out;
        all[8] = &p->g_pre;
        all[9] = &p->g_out;
        all[10] = &p->A;
        all[11] = &p->P;
        all[12] = &p->O;
        all[13] = &p->N;
        for (i = 0; i < 14; i++) {
            if (!is_format(all[i]->fmt) || !within(all[i]->exponent, -15, 30)) {
                return QGRU_EPARAM;
            }
        }
    }
    channels = 3 * (size_t)p->hidden;
    for (i = 0; i < channels; i++) {
        if (!within(p->weight_W.exponent[i], -15, 30) || !within(p->weight_R.exponent[i], -15, 30)
            || !within(p->weight_bx.exponent[i], -15, 30) || !within(p->weight_br.exponent[i], -15, 30)) {
            return QGRU_EPARAM;
        }
    }
    if (!all_within16(p->W, channels * (size_t)p->inputs, p->weight_W.fmt)
        || !all_within16(p->R, channels * (size_t)p->hidden, p->weight_R.fmt)
        || !all_within(p->bx, channels, p->weight_bx.fmt) || !all_within(p->br, channels, p->weight_br.fmt)) {
        return QGRU_ECODE;
    }
    status = activation_check(&p->act_z, &p->z_pre, &p->z_out);
    if (status == QGRU_OK) {
        status = activation_check(&p->act_r, &p->r_pre, &p->r_out);
    }
    if (status == QGRU_OK) {
        status = activation_check(&p->act_g, &p->g_pre, &p->g_out);
    }
    if (status == QGRU_OK && !stages_fit(p)) {
        status = QGRU_EWIDTH;
    }
    return status;
}

int32_t qgru_abi_version(void)
{
    return QGRU_ABI_VERSION;
}

int32_t qgru_struct_size(int32_t which)
{
    switch (which) {
    case 0:
        return (int32_t)sizeof(qgru_mshift_params);
    case 1:
        return (int32_t)sizeof(qgru_pot_params);
    case 2:
        return (int32_t)sizeof(qgru_run);
    case 3:
        return (int32_t)sizeof(qgru_mshift_trace);
    case 4:
        return (int32_t)sizeof(qgru_pot_trace);
    default:
        return 0;
    }
}
