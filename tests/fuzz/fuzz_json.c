/* fuzz_json.c: any bytes as JSON. What is accepted must have spans inside the text, and print as JSON that prints as itself. */
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/json.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink;

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static void walk(const Json *json, const cJSON *item, const uint8_t *data, size_t size)
{
    size_t offset, length;
    json_span(json, item, &offset, &length);
    require(length > 0 && offset < size && length <= size - offset);
    if (json_is_number(item)) {
        bool negative;
        uint64_t magnitude;
        require(strlen(item->valuestring) == length && !memcmp(item->valuestring, data + offset, length));
        sink += json_integer(item, &negative, &magnitude) + (json_double(item) > 0);
    }
    for (const cJSON *child = item->child; child; child = child->next) {
        walk(json, child, data, size);
        if (cJSON_IsObject(item)) require(json_get(item, child->string) != NULL);
    }
}

static char *print(const Json *json, bool python, bool finite)
{
    Text text = {0};
    char *out;
    json_print(&text, json_root(json), python, finite);
    require(!text_take(&text, &out));
    return out;
}

/* What was printed is JSON and prints as itself. */
static void print_twice(const Json *json, bool python, bool finite)
{
    char *first = print(json, python, finite);
    Json *again;
    require(!json_parse(first, strlen(first), &again));
    char *second = print(again, python, finite);
    require(!strcmp(first, second));
    json_free(again);
    memory_free(first);
    memory_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Json *json;
    NodusStatus status = json_parse((const char *)data, size, &json);
    if (status) {
        sink += strlen(nodus_error_message(status));
        nodus_error_free(status);
        return 0;
    }
    walk(json, json_root(json), data, size);
    for (int mode = 0; mode < 4; mode++) print_twice(json, mode & 1, mode & 2);
    json_free(json);
    return 0;
}
