/* The C port of examples/c as a device under test: its steps, and whole sequences of both static datapaths. */
#include "qgru_dut.h"

#include <stdio.h>
#include <stdlib.h>

#include "qgru.h"

static const char CAPABILITIES[] =
    "{\"protocol\": 1, \"name\": \"C port\","
    " \"steps\": [\"saturate\", \"ties_up\", \"ties_away\", \"ties_even\", \"apply\", \"align\", \"requantize\", \"linear\","
    " \"direct\", \"direct_wide\", \"piecewise_linear\", \"piecewise_quadratic\", \"zoneout_blend\"],"
    " \"datapaths\": [\"mshift\", \"pot\"],"
    " \"options\": [\"reverse\", \"zoneout\", \"mask\", \"training\", \"h0\"]}";

uint32_t qgru_dut_version(void)
{
    return QGRU_DUT_VERSION;
}

int qgru_dut_capabilities(char *json, size_t cap)
{
    if (sizeof CAPABILITIES > cap) {
        return QGRU_DUT_INTERNAL;
    }
    memcpy(json, CAPABILITIES, sizeof CAPABILITIES);
    return QGRU_DUT_OK;
}

/* The arguments of a call, and what it has allocated. */
typedef struct {
    const qgru_dut_config *config;
    int64_t input_count, output_count;
    const qgru_dut_array *inputs, *outputs;
    void *kept[32];
    int kept_count;
    int failed;
} call;

static void *keep(call *c, size_t size)
{
    void *block = c->kept_count < 32 ? malloc(size > 0 ? size : 1) : NULL;

    if (block == NULL) {
        c->failed = 1;
    } else {
        c->kept[c->kept_count++] = block;
    }
    return block;
}

static int32_t number(const call *c, const char *prefix, const char *name)
{
    char full[96];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    return (int32_t)qgru_dut_integer(c->config, full, 0);
}

static const int32_t *codes(const call *c, const char *prefix, const char *name)
{
    char full[96];
    const qgru_dut_array *found;

    snprintf(full, sizeof full, "%s%s", prefix, name);
    found = qgru_dut_find(c->inputs, c->input_count, full);
    return found == NULL ? NULL : found->data;
}

static void *output(const call *c, const char *name)
{
    const qgru_dut_array *found = qgru_dut_find(c->outputs, c->output_count, name);

    return found == NULL ? NULL : found->data;
}

static qgru_format format(const call *c, const char *prefix)
{
    int32_t bits = number(c, prefix, ".bits");
    qgru_format fmt = {-128, 127};

    if (bits > 0) {
        fmt.qmin = number(c, prefix, ".signed") ? (int32_t)-((int64_t)1 << (bits - 1)) : 0;
        fmt.qmax = (int32_t)(((int64_t)1 << (bits - (number(c, prefix, ".signed") ? 1 : 0))) - 1);
    }
    return fmt;
}

/* A table: its numbers are named with one prefix, its arrays with another. */
static qgru_activation activation(const call *c, const char *prefix, const char *arrays)
{
    char name[64];
    qgru_activation table;
    const qgru_dut_array *thresholds;

    memset(&table, 0, sizeof table);
    snprintf(name, sizeof name, "%sthresholds", arrays);
    thresholds = qgru_dut_find(c->inputs, c->input_count, name);
    table.kind = number(c, prefix, "kind");
    table.segments = thresholds == NULL ? 0 : (int32_t)thresholds->shape[0];
    snprintf(name, sizeof name, "%sfmt_in", prefix);
    table.fmt_in = format(c, name);
    snprintf(name, sizeof name, "%sfmt_out", prefix);
    table.fmt_out = format(c, name);
    table.zero_point_in = number(c, prefix, "zero_point_in");
    table.entries = codes(c, arrays, "entries");
    table.thresholds = codes(c, arrays, "thresholds");
    table.slopes = codes(c, arrays, "slopes");
    table.shifts = codes(c, arrays, "shifts");
    table.intercepts = codes(c, arrays, "intercepts");
    table.origins = codes(c, arrays, "origins");
    table.c2 = codes(c, arrays, "c2");
    table.p = codes(c, arrays, "p");
    table.c1 = codes(c, arrays, "c1");
    table.n = codes(c, arrays, "n");
    table.c0 = codes(c, arrays, "c0");
    return table;
}

/* Number i of an array of either integer type. */
static int64_t at(const qgru_dut_array *array, int64_t i)
{
    return array->dtype == QGRU_DUT_INT64 ? ((const int64_t *)array->data)[i] : ((const int32_t *)array->data)[i];
}

static void put(const qgru_dut_array *array, int64_t i, int64_t value)
{
    if (array->dtype == QGRU_DUT_INT64) {
        ((int64_t *)array->data)[i] = value;
    } else {
        ((int32_t *)array->data)[i] = (int32_t)value;
    }
}

/* The step with one result whose operands are a and b in row i. */
static int64_t one_row(const call *c, const char *step, const qgru_activation *table, int64_t a, int64_t b)
{
    qgru_mshift m;
    int32_t bits = number(c, "", "bits"), zp = number(c, "", "zp");
    int64_t qmin = 0, qmax = 0;

    m.multiplier = number(c, "", "M");
    m.shift = number(c, "", "s");
    if (bits > 0) {
        qmin = number(c, "", "signed") ? -((int64_t)1 << (bits - 1)) : 0;
        qmax = ((int64_t)1 << (bits - (number(c, "", "signed") ? 1 : 0))) - 1;
    }
    if (strcmp(step, "saturate") == 0) {
        return qgru_saturate(a, (int32_t)qmin, (int32_t)qmax);
    }
    if (strcmp(step, "ties_up") == 0) {
        return qgru_ties_up(a, (int32_t)b);
    }
    if (strcmp(step, "ties_away") == 0) {
        return qgru_ties_away(a, (int32_t)b);
    }
    if (strcmp(step, "ties_even") == 0) {
        return qgru_ties_even(a, (int32_t)b);
    }
    if (strcmp(step, "apply") == 0) {
        return qgru_apply(a, m);
    }
    if (strcmp(step, "align") == 0) {
        return qgru_align(a, m);
    }
    if (strcmp(step, "requantize") == 0) {
        return qgru_requantize(a, m, zp, (int32_t)qmin, (int32_t)qmax);
    }
    if (strcmp(step, "direct") == 0) {
        return table->entries[qgru_direct_index((int32_t)a)];
    }
    if (strcmp(step, "direct_wide") == 0) {
        return table->entries[qgru_direct_wide_index((int32_t)a)];
    }
    if (strcmp(step, "piecewise_linear") == 0) {
        return qgru_piecewise_linear((int32_t)a, table);
    }
    return qgru_piecewise_quadratic((int32_t)a, table);
}

static int linear(const call *c)
{
    const qgru_dut_array *x = qgru_dut_find(c->inputs, c->input_count, "codes");
    const qgru_dut_array *w = qgru_dut_find(c->inputs, c->input_count, "weights");
    size_t lanes = (size_t)x->shape[1];
    int16_t *column = malloc(lanes * sizeof *column);

    if (column == NULL) {
        return QGRU_DUT_INTERNAL;
    }
    for (int64_t row = 0; row < x->shape[0]; row++) {
        for (size_t k = 0; k < lanes; k++) {
            column[k] = (int16_t)((const int32_t *)w->data)[(size_t)row * lanes + k];
        }
        ((int64_t *)output(c, "acc"))[row] =
            qgru_linear16((const int32_t *)x->data + (size_t)row * lanes, column, lanes, 1, number(c, "", "zp"));
    }
    free(column);
    return QGRU_DUT_OK;
}

static int zoneout(const call *c)
{
    const int32_t *before = codes(c, "", "h_prev"), *after = codes(c, "", "h_new");
    const qgru_dut_array *acc = qgru_dut_find(c->outputs, c->output_count, "acc");
    int32_t bits = number(c, "", "bits"), is_signed = number(c, "", "signed"), zp = number(c, "", "zp");
    int32_t qmin = is_signed ? -(1 << (bits - 1)) : 0, qmax = (1 << (bits - (is_signed ? 1 : 0))) - 1;

    for (int64_t i = 0; i < acc->shape[0]; i++) {
        int64_t sum = qgru_zoneout_acc(number(c, "", "k"), before[i], after[i], zp);

        put(acc, i, sum);
        ((int32_t *)output(c, "h"))[i] = qgru_zoneout_code(sum, zp, qmin, qmax);
    }
    return QGRU_DUT_OK;
}

int qgru_dut_step(const qgru_dut_config *config, int64_t input_count, const qgru_dut_array *inputs, int64_t output_count,
                  const qgru_dut_array *outputs, char *message, size_t message_cap)
{
    call c;
    qgru_activation table;
    int64_t first;

    (void)message;
    (void)message_cap;
    memset(&c, 0, sizeof c);
    c.config = config;
    c.inputs = inputs;
    c.input_count = input_count;
    c.outputs = outputs;
    c.output_count = output_count;
    if (strcmp(config->name, "linear") == 0) {
        return linear(&c);
    }
    if (strcmp(config->name, "zoneout_blend") == 0) {
        return zoneout(&c);
    }
    table = activation(&c, "table.", "table.");
    first = 0; /* the columns come after the arrays of a table */
    while (first < input_count && strncmp(inputs[first].name, "table.", 6) == 0) {
        first++;
    }
    for (int64_t i = 0; i < outputs[0].shape[0]; i++) {
        int64_t b = first + 1 < input_count ? at(&inputs[first + 1], i) : 0;

        put(&outputs[0], i, one_row(&c, config->name, &table, at(&inputs[first], i), b));
    }
    return QGRU_DUT_OK;
}

static const int8_t *narrow8(call *c, const char *name)
{
    const qgru_dut_array *found = qgru_dut_find(c->inputs, c->input_count, name);
    int8_t *out = keep(c, (size_t)qgru_dut_size(found));

    for (int64_t i = 0; out != NULL && i < qgru_dut_size(found); i++) {
        out[i] = (int8_t)((const int32_t *)found->data)[i];
    }
    return out;
}

static const int16_t *narrow16(call *c, const char *name)
{
    const qgru_dut_array *found = qgru_dut_find(c->inputs, c->input_count, name);
    int16_t *out = keep(c, (size_t)qgru_dut_size(found) * sizeof *out);

    for (int64_t i = 0; out != NULL && i < qgru_dut_size(found); i++) {
        out[i] = (int16_t)((const int32_t *)found->data)[i];
    }
    return out;
}

static qgru_mshift multiplier(const call *c, const char *name)
{
    char prefix[32];
    qgru_mshift m;

    snprintf(prefix, sizeof prefix, "%s.", name);
    m.multiplier = number(c, prefix, "multiplier");
    m.shift = number(c, prefix, "shift");
    return m;
}

static qgru_operator operator_of(const call *c, const char *key)
{
    char prefix[64];
    qgru_operator op;

    snprintf(prefix, sizeof prefix, "operators.%s.fmt", key);
    op.fmt = format(c, prefix);
    snprintf(prefix, sizeof prefix, "operators.%s.", key);
    op.exponent = number(c, prefix, "exponent");
    op.zero_point = number(c, prefix, "zero_point");
    return op;
}

static qgru_channel_operator channels_of(const call *c, const char *key)
{
    char prefix[64];
    qgru_channel_operator op;

    snprintf(prefix, sizeof prefix, "operators.%s.fmt", key);
    op.fmt = format(c, prefix);
    snprintf(prefix, sizeof prefix, "params.%s.", key);
    op.exponent = codes(c, prefix, "exponent");
    return op;
}

#define TRACE_FIELD(type, name, shape) trace.name = output(c, #name);

static int run_mshift(call *c, qgru_run *run, int32_t inputs, int32_t hidden)
{
    qgru_mshift_params p;
    qgru_mshift_trace trace;

    memset(&p, 0, sizeof p);
    p.struct_size = sizeof p;
    p.inputs = inputs;
    p.hidden = hidden;
    p.gate_bits = number(c, "", "gate_bits");
    p.zp_x = number(c, "", "zp_x");
    p.zp_h = number(c, "", "zp_h");
    p.zp_z = number(c, "", "zp_z");
    p.zp_r = number(c, "", "zp_r");
    p.zp_g = number(c, "", "zp_g");
    p.m_Rh_z = multiplier(c, "m_Rh_z");
    p.m_Rh_r = multiplier(c, "m_Rh_r");
    p.m_bx = multiplier(c, "m_bx");
    p.m_br_z = multiplier(c, "m_br_z");
    p.m_br_r = multiplier(c, "m_br_r");
    p.m_br_g = multiplier(c, "m_br_g");
    p.m_z = multiplier(c, "m_z");
    p.m_r = multiplier(c, "m_r");
    p.m_g = multiplier(c, "m_g");
    p.m_rRh = multiplier(c, "m_rRh");
    p.m_gh = multiplier(c, "m_gh");
    p.m_one = multiplier(c, "m_one");
    p.W = narrow8(c, "params.W");
    p.R = narrow8(c, "params.R");
    p.bx = codes(c, "params.", "bx");
    p.br = codes(c, "params.", "br");
    p.table_z = narrow8(c, "params.table_z.entries");
    p.table_r = narrow8(c, "params.table_r.entries");
    p.table_g = narrow8(c, "params.table_g.entries");
    QGRU_MSHIFT_FIELDS(TRACE_FIELD)
    return c->failed ? 1 : qgru_mshift_forward(&p, run, &trace);
}

static int run_pot(call *c, qgru_run *run, int32_t inputs, int32_t hidden)
{
    qgru_pot_params p;
    qgru_pot_trace trace;

    memset(&p, 0, sizeof p);
    p.struct_size = sizeof p;
    p.inputs = inputs;
    p.hidden = hidden;
    p.rounding = number(c, "", "rounding");
    p.W = narrow16(c, "params.W");
    p.R = narrow16(c, "params.R");
    p.bx = codes(c, "params.", "bx");
    p.br = codes(c, "params.", "br");
    p.weight_W = channels_of(c, "weight.W");
    p.weight_R = channels_of(c, "weight.R");
    p.weight_bx = channels_of(c, "weight.bx");
    p.weight_br = channels_of(c, "weight.br");
    p.x = operator_of(c, "input.x");
    p.h = operator_of(c, "input.h");
    p.Wx = operator_of(c, "matmul.Wx");
    p.Rh = operator_of(c, "matmul.Rh");
    p.z_pre = operator_of(c, "gate.z_pre");
    p.z_out = operator_of(c, "gate.z_out");
    p.r_pre = operator_of(c, "gate.r_pre");
    p.r_out = operator_of(c, "gate.r_out");
    p.g_pre = operator_of(c, "gate.g_pre");
    p.g_out = operator_of(c, "gate.g_out");
    p.A = operator_of(c, "op.Rh_add_br");
    p.P = operator_of(c, "op.rRh");
    p.O = operator_of(c, "op.old_contrib");
    p.N = operator_of(c, "op.new_contrib");
    p.act_z = activation(c, "act_z.", "params.act_z.");
    p.act_r = activation(c, "act_r.", "params.act_r.");
    p.act_g = activation(c, "act_g.", "params.act_g.");
    QGRU_POT_FIELDS(TRACE_FIELD)
    return c->failed ? 1 : qgru_pot_forward(&p, run, &trace);
}

/* Nearest-even integer of the binary32 number p * 2^15, 0 <= p <= 1. */
static int32_t zoneout_code(double p)
{
    double scaled = (double)(float)p * 32768.0;
    int32_t k = (int32_t)scaled;
    double rest = scaled - k;

    return k + (rest > 0.5 || (rest == 0.5 && k % 2 != 0));
}

int qgru_dut_sequence(const qgru_dut_config *config, int64_t input_count, const qgru_dut_array *inputs,
                      int64_t output_count, const qgru_dut_array *outputs, char *message, size_t message_cap)
{
    call c;
    qgru_run run;
    const qgru_dut_array *x = qgru_dut_find(inputs, input_count, "x");
    const qgru_dut_array *R = qgru_dut_find(inputs, input_count, "params.R");
    const qgru_dut_number *p = qgru_dut_number_of(config, "zoneout");
    int status;

    memset(&c, 0, sizeof c);
    c.config = config;
    c.inputs = inputs;
    c.input_count = input_count;
    c.outputs = outputs;
    c.output_count = output_count;
    memset(&run, 0, sizeof run);
    run.struct_size = sizeof run;
    run.steps = (int32_t)x->shape[0];
    run.batch = (int32_t)x->shape[1];
    run.reverse = number(&c, "", "reverse");
    run.x = x->data;
    run.h0 = codes(&c, "", "h0");
    run.h = output(&c, "h");
    run.zoneout.mask = codes(&c, "", "mask");
    if (run.zoneout.mask != NULL) {
        run.zoneout.kind = QGRU_ZONEOUT_MASK;
    } else if (p != NULL && p->real > 0 && !number(&c, "", "training")) {
        run.zoneout.kind = QGRU_ZONEOUT_BLEND;
        run.zoneout.k = zoneout_code(p->real);
    }
    status = strcmp(config->name, "mshift") == 0 ? run_mshift(&c, &run, (int32_t)x->shape[2], (int32_t)R->shape[0])
                                                 : run_pot(&c, &run, (int32_t)x->shape[2], (int32_t)R->shape[0]);
    while (c.kept_count > 0) {
        free(c.kept[--c.kept_count]);
    }
    if (status == QGRU_OK) {
        return QGRU_DUT_OK;
    }
    snprintf(message, message_cap, "the port returns %d", status);
    return c.failed ? QGRU_DUT_INTERNAL : QGRU_DUT_BAD_INPUT;
}
