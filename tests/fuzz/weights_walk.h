/* weights_walk.h: for the fuzzers of weight files: opens bytes by a reader and, where it accepts them, touches all that it gives.
 */
#ifndef FUZZ_WEIGHTS_WALK_H
#define FUZZ_WEIGHTS_WALK_H
#include "engine/base/memory.h"
#include "engine/formats/weights_file.h"
#include <string.h>

static volatile uint64_t sink; /* so that the reads happen */

enum { READ_LIMIT = 1 << 20 };

static void walk_numbers(const Weight *weight)
{
    const void *data;
    void *copy;
    NodusStatus status = weights_borrow(weight, &data, &copy);
    if (!status) {
        for (size_t i = 0; i < weight->bytes; i++) sink += ((const uint8_t *)data)[i];
        memory_free(copy);
    }
    nodus_error_free(status);
}

static void walk(const WeightSet *set)
{
    for (int i = 0; i < weights_count(set); i++) {
        const Weight *weight = weights_at(set, i);
        sink += strlen(weight->name);
        if (weight->bytes && weight->bytes <= READ_LIMIT) walk_numbers(weight);
        if (weight->bytes && !weight->source && (uintptr_t)weight->data % dtype_size(weight->dtype)) __builtin_trap();
        if (weights_get(set, weight->name) != weight) __builtin_trap();
    }
    sink += weights_metadata(set, "step") != NULL;
}

static int read_and_walk(NodusStatus (*read)(const uint8_t *, size_t, bool, WeightSet *), const uint8_t *data, size_t size)
{
    WeightSet *set;
    NodusStatus status = weights_new(&set);
    if (status) return 0;
    status = read(data, size, false, set);
    if (status) sink += strlen(nodus_error_message(status));
    else walk(set);
    nodus_error_free(status);
    weights_unref(set);
    return 0;
}
#endif
