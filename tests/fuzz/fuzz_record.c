/* fuzz_record.c: any bytes as the items of a cache record, behind a head whose hash is right, so that sizes, kinds and letters have
 * to be checked for themselves. What is accepted is written and read again, and is then the same bytes each time. The same bytes
 * without a head are no record. */
#include "engine/base/memory.h"
#include "engine/graph/engine.h"
#include "engine/graph/record.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_SLOTS = 8, FORMAT_AT = 24, SLOTS_AT = 28, LIMIT = 64 << 20 };
static const RecordKey key = {{0, 0}, {0, 0}};
static NodusEngine *engine;

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static NodusStatus read_record(const uint8_t *data, size_t size, Result **out)
{
    return record_read(data, size, &key, engine->registry, engine->device, out);
}

/* Writes a result and reads it back. */
static void write_and_read(const Result *result, uint8_t **data, size_t *size, Result **back)
{
    require(record_storable(result));
    require(!record_write(result, &key, LIMIT, data, size));
    require(!read_record(*data, *size, back));
}

static void accepted(Result *result)
{
    uint8_t *first, *second;
    size_t first_size, second_size;
    Result *again, *third;
    write_and_read(result, &first, &first_size, &again);
    write_and_read(again, &second, &second_size, &third);
    require(first_size == second_size && !memcmp(first, second, first_size));
    result_unref(again);
    result_unref(third);
    memory_free(first);
    memory_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t magic = 0x6365727375646f6eu;
    const uint32_t format = 1, slots = size ? data[0] % MOST_SLOTS : 0;
    const NodusEngineOptions options = {
        .struct_size = sizeof options, .threads = 1, .memory = 64 << 20, .device = "ref", .base_directory = "/nonexistent"};
    Result *result;
    if (!engine) require(!nodus_engine_new(&options, &engine));
    const size_t items = size ? size - 1 : 0;
    uint8_t *record = memory_alloc(RECORD_HEAD + items);
    memcpy(record, &magic, sizeof magic);
    memcpy(record + FORMAT_AT, &format, sizeof format);
    memcpy(record + SLOTS_AT, &slots, sizeof slots);
    if (items) memcpy(record + RECORD_HEAD, data + 1, items);
    record_seal(record, RECORD_HEAD + items);
    NodusStatus status = read_record(record, RECORD_HEAD + items, &result);
    if (!status) {
        accepted(result);
        result_unref(result);
    }
    nodus_error_free(status);
    memory_free(record);
    status = read_record(data, size, &result); /* a hash that is right by chance is not to be expected */
    require(status != NULL);
    nodus_error_free(status);
    return 0;
}
