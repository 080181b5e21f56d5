/* A library that does requantize rightly unless the id of the case names a misdeed. */
#include "qgru_dut.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION QGRU_DUT_VERSION
#endif
#ifndef CAPABILITIES
#define CAPABILITIES "{\"name\": \"misbehaving C\", \"steps\": [\"requantize\"], \"datapaths\": [\"mshift\"]}"
#endif

uint32_t qgru_dut_version(void)
{
    return VERSION;
}

int qgru_dut_capabilities(char *json, size_t cap)
{
    return snprintf(json, cap, "%s", CAPABILITIES) < (int)cap ? QGRU_DUT_OK : QGRU_DUT_INTERNAL;
}

static int is(const qgru_dut_config *config, const char *id)
{
    return strcmp(config->id, id) == 0;
}

int qgru_dut_step(const qgru_dut_config *config, int64_t input_count, const qgru_dut_array *inputs, int64_t output_count,
                  const qgru_dut_array *outputs, char *message, size_t message_cap)
{
    const qgru_dut_array *v = qgru_dut_find(inputs, input_count, "v");
    int32_t *q = qgru_dut_find(outputs, output_count, "q")->data;
    int64_t rows = v->shape[0], M = qgru_dut_integer(config, "M", 0), s = qgru_dut_integer(config, "s", 0);

    if (is(config, "crash")) {
        abort();
    }
    while (is(config, "hang")) {
        sleep(1);
    }
    if (is(config, "internal")) {
        snprintf(message, message_cap, "out of luck");
        return QGRU_DUT_INTERNAL;
    }
    if (is(config, "long-message")) {
        memset(message, 'x', message_cap + 8);
    }
    if (is(config, "bad-input")) {
        return QGRU_DUT_BAD_INPUT;
    }
    if (is(config, "unsupported")) {
        return QGRU_DUT_UNSUPPORTED;
    }
    if (is(config, "silent")) {
        return QGRU_DUT_OK;
    }
    for (int64_t i = 0; i < (is(config, "short") ? rows - 2 : rows); i++) {
        int64_t x = ((const int32_t *)v->data)[i] * M + (((int64_t)1 << s) >> 1);
        int64_t y = x >= 0 ? x >> s : -((-x + ((int64_t)1 << s) - 1) >> s);

        q[i] = (int32_t)(y < -128 ? -128 : y > 127 ? 127 : y);
    }
    if (is(config, "overrun")) {
        q[rows] = 7;
    }
    if (is(config, "underrun")) {
        q[-1] = 7;
    }
    if (is(config, "scribble")) {
        ((int32_t *)v->data)[0] = 7;
    }
    return QGRU_DUT_OK;
}
