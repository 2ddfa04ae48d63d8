/* fuzz_pickle.c: any bytes as a pickle; what is accepted is walked as far as its first few thousand values. */
#include "engine/formats/pickle.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WALK_DEPTH = 16 };
static volatile uint64_t sink;

static void walk(const PickleValue *value, int depth, int *left)
{
    if (depth > WALK_DEPTH || --*left < 0) return;
    switch (value->kind) {
    case PICKLE_TEXT: sink += strlen(value->text) + value->length; break;
    case PICKLE_LIST:
    case PICKLE_DICT:
        for (size_t i = 0; i < value->count; i++) walk(value->item[i], depth + 1, left);
        if (value->kind == PICKLE_DICT && value->count % 2) __builtin_trap();
        break;
    case PICKLE_TENSOR: sink += (uint64_t)value->tensor->dim[VIEW_RANK - 1] + strlen(value->tensor->storage->key); break;
    case PICKLE_STORAGE: sink += strlen(value->storage->key); break;
    case PICKLE_MARK: __builtin_trap();
    default: sink += (uint64_t)value->integer;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Pickle pickle;
    int left = 4096;
    NodusStatus status = pickle_read(data, size, &pickle);
    if (!status) {
        if (pickle.used > size) __builtin_trap();
        walk(pickle.root, 0, &left);
        sink += pickle_get(pickle.root, "state_dict") != NULL;
        for (const PickleStorage *s = pickle.storages; s; s = s->next) sink += (uint64_t)s->count;
        pickle_free(&pickle);
    }
    nodus_error_free(status);
    return 0;
}
