/* fuzz_gguf.c: any bytes as GGUF; what is accepted is unpacked. */
#include "tests/fuzz/weights_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return read_and_walk(gguf_read, data, size);
}
