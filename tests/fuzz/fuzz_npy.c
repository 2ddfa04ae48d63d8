/* fuzz_npy.c: any bytes as a NumPy array, decoded with a small limit. A shape that is accepted must have its numbers.
 *
 * Most of a header is fixed text, so the mutator keeps the magic, and half of the time only touches what is behind it. */
#include "engine/base/memory.h"
#include "engine/formats/npy.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { FUZZ_LIMIT = 1 << 16, PREAMBLE = 10 };
static volatile float sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    NpyArray array;
    NodusStatus status = npy_decode(data, size, FUZZ_LIMIT, &array);
    if (!status) {
        int64_t count = 1;
        for (int i = 0; i < array.rank; i++) count *= array.dim[i];
        if (array.rank > NODUS_MAX_RANK || count < 0 || count > FUZZ_LIMIT / (int64_t)sizeof(float)) __builtin_trap();
        for (int64_t i = 0; i < count; i++) sink += array.data[i];
        memory_free(array.data);
    }
    nodus_error_free(status);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    if (seed % 2 && size > PREAMBLE) return PREAMBLE + LLVMFuzzerMutate(data + PREAMBLE, size - PREAMBLE, most - PREAMBLE);
    size = LLVMFuzzerMutate(data, size, most);
    if (seed % 8 && size >= 6) memcpy(data, "\x93NUMPY", 6);
    return size;
}
