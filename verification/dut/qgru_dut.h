/* A device under test as a shared library.  Implement these functions, link, and check it:
 *
 *     qgru check --dut so:./lib.so
 *
 * Every buffer belongs to the caller, is dense, in C order, and has exactly the size that its shape says; there are guard
 * words around it, inputs included.  Nothing is kept between calls.  See docs/dut.md for names, shapes and numbers.
 */
#ifndef QGRU_DUT_H
#define QGRU_DUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QGRU_DUT_VERSION 1

/* What the functions return. */
enum {
    QGRU_DUT_OK = 0,
    QGRU_DUT_UNSUPPORTED = 1, /* the case is listed as not run */
    QGRU_DUT_BAD_INPUT = 2,   /* the case is refused, as it must be where golden refuses it */
    QGRU_DUT_INTERNAL = 3
};

/* Types of the numbers in an array. */
enum { QGRU_DUT_INT32 = 1, QGRU_DUT_INT64 = 2, QGRU_DUT_FLOAT32 = 3 };

/* A named array: ndim lengths in shape, 0 for a single number; the other lengths are 0. */
typedef struct {
    const char *name;
    int32_t dtype;
    int32_t ndim;
    int64_t shape[4];
    void *data;
} qgru_dut_array;

/* A named number: integer where it is one, and real always. */
typedef struct {
    const char *name;
    int64_t integer;
    double real;
} qgru_dut_number;

/* What is asked.  struct_size grows when fields are added at the end. */
typedef struct {
    uint32_t struct_size; /* sizeof(qgru_dut_config) of the caller */
    uint32_t version;     /* QGRU_DUT_VERSION of the caller */
    const char *id;       /* of the case */
    const char *name;     /* of the step, or the datapath: "mshift", "mshift-dynamic", "pot" */
    const char *json;     /* the header of the request, for what is no number */
    int64_t number_count;
    const qgru_dut_number *numbers; /* constants of the step; numbers and options of the parameter set */
} qgru_dut_config;

/* QGRU_DUT_VERSION of the library. */
uint32_t qgru_dut_version(void);

/* Write what the library does as a JSON object, a string of fewer than cap bytes.  Returns 0. */
int qgru_dut_capabilities(char *json, size_t cap);

/* A step with many rows, and a whole sequence.  Either may be left out of the library.
 *
 *   inputs   read only
 *   outputs  what is asked for; one that is not touched counts as not given
 *   message  one sentence for a return code other than 0, a string of fewer than message_cap bytes; may be left alone
 */
int qgru_dut_step(const qgru_dut_config *config, int64_t input_count, const qgru_dut_array *inputs, int64_t output_count,
                  const qgru_dut_array *outputs, char *message, size_t message_cap);
int qgru_dut_sequence(const qgru_dut_config *config, int64_t input_count, const qgru_dut_array *inputs,
                      int64_t output_count, const qgru_dut_array *outputs, char *message, size_t message_cap);

/* The array of a name, or NULL. */
static inline const qgru_dut_array *qgru_dut_find(const qgru_dut_array *arrays, int64_t count, const char *name)
{
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(arrays[i].name, name) == 0) {
            return &arrays[i];
        }
    }
    return NULL;
}

/* The number of a name, or NULL. */
static inline const qgru_dut_number *qgru_dut_number_of(const qgru_dut_config *config, const char *name)
{
    for (int64_t i = 0; i < config->number_count; i++) {
        if (strcmp(config->numbers[i].name, name) == 0) {
            return &config->numbers[i];
        }
    }
    return NULL;
}

/* The integer of a name; otherwise when there is none. */
static inline int64_t qgru_dut_integer(const qgru_dut_config *config, const char *name, int64_t otherwise)
{
    const qgru_dut_number *number = qgru_dut_number_of(config, name);

    return number == NULL ? otherwise : number->integer;
}

/* How many numbers an array holds. */
static inline int64_t qgru_dut_size(const qgru_dut_array *array)
{
    int64_t size = 1;

    for (int32_t i = 0; i < array->ndim; i++) {
        size *= array->shape[i];
    }
    return size;
}

#ifdef __cplusplus
}
#endif

#endif
