/* fuzz_safetensors.c: any bytes as a state dict; of what is accepted, both ends of every tensor are read.
 *
 * Most mutations of a file only break the length in front of its header. So half of them change the header alone, and then write
 * its new length: what they make gets past the first check. A few cut bytes off the end, which is what happens to files. */
#include "engine/formats/safetensors.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static volatile uint64_t sink; /* so that the reads happen */

static void walk(const WeightSet *set)
{
    for (int i = 0; i < weights_count(set); i++) {
        const Weight *weight = weights_at(set, i);
        sink += strlen(weight->name);
        if (weight->bytes) sink += ((const uint8_t *)weight->data)[0] + ((const uint8_t *)weight->data)[weight->bytes - 1];
        if (weight->bytes && (uintptr_t)weight->data % dtype_size(weight->dtype)) __builtin_trap();
        if (weights_get(set, weight->name) != weight) __builtin_trap();
    }
    sink += weights_metadata(set, "format") != NULL;
    sink += weights_identity(set).low;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WeightSet *set;
    NodusStatus status = weights_new(&set);
    if (status) return 0;
    status = safetensors_parse("fuzz", data, size, set);
    if (status) sink += strlen(nodus_error_message(status));
    else walk(set);
    nodus_error_free(status);
    weights_unref(set);
    return 0;
}

enum { LENGTH_BYTES = 8, HEADER_MOST = 4096 };

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    uint64_t length = 0;
    if (size >= LENGTH_BYTES) memcpy(&length, data, LENGTH_BYTES);
    if (seed % 8 == 1 && size > LENGTH_BYTES) return size - 1 - seed / 8 % 4;
    if (seed % 2 || size < LENGTH_BYTES || length > size - LENGTH_BYTES || length > HEADER_MOST)
        return LLVMFuzzerMutate(data, size, most);
    uint8_t header[HEADER_MOST];
    const size_t rest = size - LENGTH_BYTES - length;
    const size_t room = most - LENGTH_BYTES - rest < HEADER_MOST ? most - LENGTH_BYTES - rest : HEADER_MOST;
    memcpy(header, data + LENGTH_BYTES, length);
    const uint64_t changed = LLVMFuzzerMutate(header, length, room);
    memmove(data + LENGTH_BYTES + changed, data + LENGTH_BYTES + length, rest);
    memcpy(data + LENGTH_BYTES, header, changed);
    memcpy(data, &changed, LENGTH_BYTES);
    return LENGTH_BYTES + changed + rest;
}
