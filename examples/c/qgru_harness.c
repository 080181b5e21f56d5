/* Runs problems from a text file and prints every stage; or, with no argument, checks the steps against literals.
 *
 *   qgru_harness                    the literals
 *   qgru_harness PROBLEMS > TRACE   the problems, one after another
 *
 * A file is a sequence of items "name count v v v ...", in the order in which the functions below read them; see
 * README.md.  A trace is "status 1 code", then the fields and h in the same form, for each problem.
 */
#include <stdio.h>

#include "qgru.h"

#define ARENA 4000000

static int64_t arena[ARENA];
static size_t used;
static FILE *input;

/* Room for count numbers of any type, all 0; NULL when the arena is full. */
static void *room(size_t count)
{
    void *start = arena + used;
    size_t i;

    if (count > ARENA - used) {
        return NULL;
    }
    for (i = 0; i < count; i++) {
        arena[used + i] = 0;
    }
    used += count;
    return start;
}

static int same_word(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static int failed;

/* Item "name count v ...", as int64; the count must be as given. */
static const int64_t *item(const char *name, size_t count)
{
    char word[32];
    long found;
    size_t i;
    int64_t *values = room(count + 1);

    if (failed || values == NULL || fscanf(input, "%31s %ld", word, &found) != 2 || !same_word(word, name)
        || found != (long)count) {
        if (!failed) {
            fprintf(stderr, "expected %s with %lu values\n", name, (unsigned long)count);
        }
        failed = 1;
        return arena;
    }
    for (i = 0; i < count; i++) {
        long long v;
        if (fscanf(input, "%lld", &v) != 1) {
            fprintf(stderr, "%s ends after %lu values\n", name, (unsigned long)i);
            failed = 1;
            return arena;
        }
        values[i] = (int64_t)v;
    }
    return values;
}

#define READER(type)                                                                                               \
    static type *item_##type(const char *name, size_t count)                                                       \
    {                                                                                                              \
        const int64_t *from = item(name, count);                                                                   \
        type *to = room(count + 1);                                                                                \
        size_t i;                                                                                                  \
        if (failed || to == NULL) {                                                                                \
            failed = 1;                                                                                            \
            return NULL;                                                                                           \
        }                                                                                                          \
        for (i = 0; i < count; i++) {                                                                              \
            to[i] = (type)from[i];                                                                                 \
        }                                                                                                          \
        return to;                                                                                                 \
    }

READER(int8_t)
READER(int16_t)
READER(int32_t)

static int32_t one_of(const int64_t *values, size_t i)
{
    return failed ? 0 : (int32_t)values[i];
}

static qgru_mshift read_mshift(const char *name)
{
    const int64_t *v = item(name, 2);
    qgru_mshift m;

    m.multiplier = one_of(v, 0);
    m.shift = one_of(v, 1);
    return m;
}

static qgru_operator read_operator(const char *name)
{
    const int64_t *v = item(name, 4);
    qgru_operator op;

    op.fmt.qmin = one_of(v, 0);
    op.fmt.qmax = one_of(v, 1);
    op.exponent = one_of(v, 2);
    op.zero_point = one_of(v, 3);
    return op;
}

static qgru_channel_operator read_channels(const char *name, size_t channels)
{
    const int64_t *v = item(name, 2);
    qgru_channel_operator op;

    op.fmt.qmin = one_of(v, 0);
    op.fmt.qmax = one_of(v, 1);
    op.exponent = item_int32_t("exponent", channels);
    return op;
}

static qgru_activation read_activation(const char *name)
{
    static const qgru_activation nothing = {0};
    const int64_t *v = item(name, 7);
    qgru_activation t = nothing;
    size_t n;

    t.kind = one_of(v, 0);
    t.segments = one_of(v, 1);
    t.fmt_in.qmin = one_of(v, 2);
    t.fmt_in.qmax = one_of(v, 3);
    t.fmt_out.qmin = one_of(v, 4);
    t.fmt_out.qmax = one_of(v, 5);
    t.zero_point_in = one_of(v, 6);
    n = (size_t)t.segments;
    if (t.segments < 0 || t.segments > QGRU_QUADRATIC_SEGMENTS) {
        fprintf(stderr, "%s has %ld segments\n", name, (long)t.segments);
        failed = 1;
        return nothing;
    }
    if (t.kind == QGRU_DIRECT) {
        t.entries = item_int32_t("entries", QGRU_TABLE_ENTRIES);
    } else if (t.kind == QGRU_PIECEWISE_LINEAR) {
        t.thresholds = item_int32_t("thresholds", n);
        t.slopes = item_int32_t("slopes", n);
        t.shifts = item_int32_t("shifts", n);
        t.intercepts = item_int32_t("intercepts", n);
    } else {
        t.thresholds = item_int32_t("thresholds", n);
        t.origins = item_int32_t("origins", n);
        t.c2 = item_int32_t("c2", n);
        t.p = item_int32_t("p", n);
        t.c1 = item_int32_t("c1", n);
        t.n = item_int32_t("n", n);
        t.c0 = item_int32_t("c0", n);
    }
    return t;
}

/* Sizes that the arena can hold at all. */
static const int64_t *read_sizes(void)
{
    const int64_t *sizes = item("sizes", 8);
    size_t i;

    for (i = 0; i < 4 && !failed; i++) {
        if (sizes[i] < 0 || sizes[i] > 1000) {
            fprintf(stderr, "sizes hold %lld, expected 0 to 1000\n", (long long)sizes[i]);
            failed = 1;
        }
    }
    return sizes;
}

/* sizes: T, N, C, H, reverse, zoneout kind, zoneout k, whether h0 is given. */
static qgru_run read_run(const int64_t *sizes)
{
    size_t steps = (size_t)one_of(sizes, 0), batch = (size_t)one_of(sizes, 1);
    size_t inputs = (size_t)one_of(sizes, 2), hidden = (size_t)one_of(sizes, 3);
    qgru_run run;

    run.struct_size = sizeof(run);
    run.steps = one_of(sizes, 0);
    run.batch = one_of(sizes, 1);
    run.reverse = one_of(sizes, 4);
    run.zoneout.kind = one_of(sizes, 5);
    run.zoneout.k = one_of(sizes, 6);
    run.zoneout.mask = NULL;
    run.x = item_int32_t("x", steps * batch * inputs);
    run.h0 = one_of(sizes, 7) ? item_int32_t("h0", batch * hidden) : NULL;
    if (run.zoneout.kind == QGRU_ZONEOUT_MASK) {
        run.zoneout.mask = item_int32_t("mask", steps * batch * hidden);
    }
    run.h = room((steps + 1) * batch * hidden);
    failed = failed || run.h == NULL;
    return run;
}

/* Counts of the shapes. */
#define COUNT_TNC (steps * batch * inputs)
#define COUNT_TNG (steps * batch * hidden * 3)
#define COUNT_TNH (steps * batch * hidden)
#define COUNT_TNV (steps * batch * hidden * 4)
#define COUNT_TH (steps * hidden)
#define COUNT_ONE ((size_t)1)

#define SIZES                                                                                                      \
    size_t steps = (size_t)one_of(sizes, 0), batch = (size_t)one_of(sizes, 1);                                     \
    size_t inputs = (size_t)one_of(sizes, 2), hidden = (size_t)one_of(sizes, 3), i;

#define MAKE(type, name, shape)                                                                                    \
    trace.name = room(COUNT_##shape);                                                                              \
    failed = failed || trace.name == NULL;

#define PRINT(type, name, shape)                                                                                   \
    printf("%s %lu", #name, (unsigned long)(COUNT_##shape));                                                       \
    for (i = 0; i < COUNT_##shape; i++) {                                                                          \
        printf(" %lld", (long long)trace.name[i]);                                                                 \
    }                                                                                                              \
    printf("\n");

static void print_h(const int32_t *h, size_t count)
{
    size_t i;

    printf("h %lu", (unsigned long)count);
    for (i = 0; i < count; i++) {
        printf(" %ld", (long)h[i]);
    }
    printf("\n");
}

static void mshift_problem(const int64_t *sizes)
{
    SIZES
    qgru_mshift_params p;
    qgru_mshift_trace trace;
    qgru_run run;
    const int64_t *v = item("gates", 6);
    int32_t status;

    p.struct_size = sizeof(p);
    p.inputs = one_of(sizes, 2);
    p.hidden = one_of(sizes, 3);
    p.gate_bits = one_of(v, 0);
    p.zp_x = one_of(v, 1);
    p.zp_h = one_of(v, 2);
    p.zp_z = one_of(v, 3);
    p.zp_r = one_of(v, 4);
    p.zp_g = one_of(v, 5);
    p.m_Rh_z = read_mshift("m_Rh_z");
    p.m_Rh_r = read_mshift("m_Rh_r");
    p.m_bx = read_mshift("m_bx");
    p.m_br_z = read_mshift("m_br_z");
    p.m_br_r = read_mshift("m_br_r");
    p.m_br_g = read_mshift("m_br_g");
    p.m_z = read_mshift("m_z");
    p.m_r = read_mshift("m_r");
    p.m_g = read_mshift("m_g");
    p.m_rRh = read_mshift("m_rRh");
    p.m_gh = read_mshift("m_gh");
    p.m_one = read_mshift("m_one");
    p.W = item_int8_t("W", inputs * hidden * 3);
    p.R = item_int8_t("R", hidden * hidden * 3);
    p.bx = item_int32_t("bx", hidden * 3);
    p.br = item_int32_t("br", hidden * 3);
    p.table_z = item_int8_t("table_z", QGRU_TABLE_ENTRIES);
    p.table_r = item_int8_t("table_r", QGRU_TABLE_ENTRIES);
    p.table_g = item_int8_t("table_g", QGRU_TABLE_ENTRIES);
    run = read_run(sizes);
    QGRU_MSHIFT_FIELDS(MAKE)
    if (failed) {
        return;
    }
    status = qgru_mshift_forward(&p, &run, &trace);
    printf("status 1 %ld\n", (long)status);
    if (status == QGRU_OK) {
        QGRU_MSHIFT_FIELDS(PRINT)
        print_h(run.h, (steps + 1) * batch * hidden);
    }
}

static void pot_problem(const int64_t *sizes)
{
    SIZES
    qgru_pot_params p;
    qgru_pot_trace trace;
    qgru_run run;
    int32_t status;

    p.struct_size = sizeof(p);
    p.inputs = one_of(sizes, 2);
    p.hidden = one_of(sizes, 3);
    p.rounding = one_of(item("rounding", 1), 0);
    p.x = read_operator("input.x");
    p.h = read_operator("input.h");
    p.weight_W = read_channels("weight.W", 3 * hidden);
    p.weight_R = read_channels("weight.R", 3 * hidden);
    p.weight_bx = read_channels("weight.bx", 3 * hidden);
    p.weight_br = read_channels("weight.br", 3 * hidden);
    p.Wx = read_operator("matmul.Wx");
    p.Rh = read_operator("matmul.Rh");
    p.z_pre = read_operator("gate.z_pre");
    p.z_out = read_operator("gate.z_out");
    p.r_pre = read_operator("gate.r_pre");
    p.r_out = read_operator("gate.r_out");
    p.g_pre = read_operator("gate.g_pre");
    p.g_out = read_operator("gate.g_out");
    p.A = read_operator("op.Rh_add_br");
    p.P = read_operator("op.rRh");
    p.O = read_operator("op.old_contrib");
    p.N = read_operator("op.new_contrib");
    p.W = item_int16_t("W", inputs * hidden * 3);
    p.R = item_int16_t("R", hidden * hidden * 3);
    p.bx = item_int32_t("bx", hidden * 3);
    p.br = item_int32_t("br", hidden * 3);
    p.act_z = read_activation("act_z");
    p.act_r = read_activation("act_r");
    p.act_g = read_activation("act_g");
    run = read_run(sizes);
    QGRU_POT_FIELDS(MAKE)
    if (failed) {
        return;
    }
    status = qgru_pot_forward(&p, &run, &trace);
    printf("status 1 %ld\n", (long)status);
    if (status == QGRU_OK) {
        QGRU_POT_FIELDS(PRINT)
        print_h(run.h, (steps + 1) * batch * hidden);
    }
}

static int run_file(const char *path)
{
    char word[16];

    input = fopen(path, "r");
    if (input == NULL) {
        fprintf(stderr, "%s cannot be read\n", path);
        return 2;
    }
    while (!failed && fscanf(input, "%15s", word) == 1) {
        int pot = same_word(word, "pot");
        used = 0;
        if (!pot && !same_word(word, "mshift")) {
            fprintf(stderr, "%s is no datapath\n", word);
            failed = 1;
        } else if (pot) {
            pot_problem(read_sizes());
        } else {
            mshift_problem(read_sizes());
        }
    }
    (void)fclose(input);
    return failed ? 2 : 0;
}

/* The examples that golden/SPEC.md gives, and the ends of int64. */
static int expect(const char *what, int64_t found, int64_t expected)
{
    if (found != expected) {
        fprintf(stderr, "%s is %lld, expected %lld\n", what, (long long)found, (long long)expected);
        return 1;
    }
    return 0;
}

#define EXPECT(call, expected) bad += expect(#call, (call), (expected))

static int literals(void)
{
    const qgru_mshift half = {1, 1}, whole = {2147483647, 0}, eighth = {1, 3};
    int bad = 0;

    EXPECT(qgru_ties_up(-3, 1), -1);
    EXPECT(qgru_ties_up(-1, 1), 0);
    EXPECT(qgru_ties_up(1, 1), 1);
    EXPECT(qgru_ties_up(3, 1), 2);
    EXPECT(qgru_ties_up(-7, 0), -7);
    EXPECT(qgru_ties_up(INT64_MAX, 1), INT64_C(4611686018427387904));
    EXPECT(qgru_ties_up(INT64_MIN, 1), INT64_C(-4611686018427387904));
    EXPECT(qgru_ties_up(INT64_MIN, 63), -1);
    EXPECT(qgru_ties_up(INT64_MAX, 63), 1);
    EXPECT(qgru_ties_up(INT64_MIN, 64), 0);
    EXPECT(qgru_ties_up(-1, 100), 0);
    EXPECT(qgru_ties_away(-1, 1), -1);
    EXPECT(qgru_ties_away(1, 1), 1);
    EXPECT(qgru_ties_away(-5, 2), -1);
    EXPECT(qgru_ties_away(-6, 2), -2);
    EXPECT(qgru_ties_away(-3, -2), -12);
    EXPECT(qgru_ties_away(INT64_MIN, 64), -1);
    EXPECT(qgru_ties_away(INT64_MAX, 64), 0);
    EXPECT(qgru_ties_away(INT64_MAX, 65), 0);
    EXPECT(qgru_ties_away(0, -90), 0);
    EXPECT(qgru_ties_even(1, 1), 0);
    EXPECT(qgru_ties_even(3, 1), 2);
    EXPECT(qgru_ties_even(-1, 1), 0);
    EXPECT(qgru_ties_even(-3, 1), -2);
    EXPECT(qgru_ties_even(5, 2), 1);
    EXPECT(qgru_ties_even(7, 2), 2);
    EXPECT(qgru_ties_even(INT64_MIN, 64), 0);
    EXPECT(qgru_ties_even(INT64_MAX, 63), 1);
    EXPECT(qgru_ties_even(-3, -2), -12);
    EXPECT(qgru_shift_round(5, 1, QGRU_TIES_AWAY), 3);
    EXPECT(qgru_shift_round(5, 1, QGRU_TIES_EVEN), 2);
    EXPECT(qgru_saturate(200, -128, 127), 127);
    EXPECT(qgru_saturate(-200, -128, 127), -128);
    EXPECT(qgru_saturate(-3, 0, 255), 0);
    EXPECT(qgru_apply(-3, half), -1);
    EXPECT(qgru_apply(INT32_MIN, whole), INT64_C(-4611686016279904256));
    EXPECT(qgru_align(INT32_MIN, whole), INT32_MIN);
    EXPECT(qgru_requantize(12, eighth, -100, -128, 127), -98);
    EXPECT(qgru_requantize(-12, eighth, 0, -128, 127), -1);
    EXPECT((int64_t)qgru_direct_index(-128), 0);
    EXPECT((int64_t)qgru_direct_index(127), 255);
    EXPECT((int64_t)qgru_direct_wide_index(-32768), 0);
    EXPECT((int64_t)qgru_direct_wide_index(0), 128);
    EXPECT((int64_t)qgru_direct_wide_index(-1), 127);
    EXPECT((int64_t)qgru_direct_wide_index(32767), 255);
    EXPECT(qgru_zoneout_code(qgru_zoneout_acc(16384, 3, 0, 0), 0, -128, 127), 2);
    EXPECT(qgru_zoneout_code(qgru_zoneout_acc(16384, -3, 0, 0), 0, -128, 127), -1);
    if (bad == 0) {
        printf("all literals hold\n");
    }
    return bad != 0;
}

int main(int argc, char **argv)
{
    return argc > 1 ? run_file(argv[1]) : literals();
}
