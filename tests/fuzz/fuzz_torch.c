/* fuzz_torch.c: any bytes as what torch.save wrote, zip or older; what is accepted is read.
 *
 * A changed length anywhere in a zip breaks its directory. So three of four mutations change one member's content in place, most
 * often the pickle, and keep its length. A few cut bytes off the end, where older files have their numbers. */
#include "tests/fuzz/weights_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { LOCAL_BYTES = 30, CONTENT_MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return torch_is(data, size) ? read_and_walk(torch_read, data, size) : 0;
}

static size_t number(const uint8_t *at, int bytes)
{
    size_t value = 0;
    while (bytes--) value = value << 8 | at[bytes];
    return value;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size_t at = 0, skip = seed / 4 % 4 ? 0 : seed / 16 % 4, length = 0;
    uint8_t content[CONTENT_MOST];
    if (seed % 16 == 4 && size > LOCAL_BYTES) return size - 1 - seed / 16 % 4;
    for (; size - at > LOCAL_BYTES && !memcmp(data + at, "PK\3\4", 4); at += length, skip--) {
        length = number(data + at + 18, 4);
        at += LOCAL_BYTES + number(data + at + 26, 2) + number(data + at + 28, 2);
        if (at > size || length > size - at) break;
        if (!skip && length && length <= CONTENT_MOST && seed % 4) {
            memcpy(content, data + at, length);
            const size_t changed = LLVMFuzzerMutate(content, length, length);
            memcpy(data + at, content, changed);
            return size;
        }
    }
    return LLVMFuzzerMutate(data, size, most);
}
