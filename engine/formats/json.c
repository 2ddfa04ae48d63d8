/* json.c: cJSON's tree with nothing lost: 64-bit integers, NaN, numbers as written, the place of every value.
 *
 * One idea: cJSON never reads a number. In the copy that it parses every number is overwritten by "0" and blanks; then the tree
 * is walked in document order beside the list of spans, and each number becomes a raw item that holds its source text. The
 * deprecated field `valueint` of an item holds its span's index + 1. */
#include "engine/formats/json.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/json_scan.h"
#include <locale.h>
#include <stdlib.h>
#include <string.h>

struct Json {
    cJSON *root;
    JsonSpans spans;
};

static bool starts_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == 'N' || c == 'I';
}

/* What cJSON parses: a copy with every number as "0". */
static char *copy_without_numbers(const char *text, size_t length, const JsonSpans *spans)
{
    char *copy = memory_text_n(text, length);
    for (size_t i = 0; copy && i < spans->count; i++) {
        const JsonSpan span = spans->item[i];
        if (!starts_number(text[span.offset])) continue;
        memset(copy + span.offset, ' ', span.length);
        copy[span.offset] = '0';
    }
    return copy;
}

/* Ties an item to its span; a number gets its text back. */
static bool tie(cJSON *item, const char *text, JsonSpan span, int index)
{
    item->valueint = index + 1;
    if (!cJSON_IsNumber(item)) return true;
    char *token = cJSON_malloc(span.length + 1); /* cJSON_Delete frees it */
    if (!token) return false;
    memcpy(token, text + span.offset, span.length);
    token[span.length] = '\0';
    item->valuestring = token;
    item->type = (item->type & ~0xff) | cJSON_Raw;
    return true;
}

static NodusStatus tie_all(const Json *json, const char *text)
{
    cJSON *open[JSON_MAX_DEPTH + 1], *item = json->root;
    int depth = 0;
    for (size_t i = 0; i < json->spans.count; i++) {
        if (!item) return nodus_error(NODUS_ERROR_INTERNAL, "the JSON tree has fewer values than its text");
        if (!tie(item, text, json->spans.item[i], (int)i)) return status_memory();
        if (item->child) {
            open[depth++] = item;
            item = item->child;
            continue;
        }
        while (depth && !item->next) item = open[--depth];
        item = item->next;
    }
    return NULL;
}

NodusStatus json_parse(const char *text, size_t length, Json **out)
{
    Json *json = memory_alloc(sizeof *json);
    if (!json) return status_memory();
    char *copy = NULL;
    NodusStatus status = json_scan(text, length, &json->spans);
    if (!status && !(copy = copy_without_numbers(text, length, &json->spans))) status = status_memory();
    if (!status && !(json->root = cJSON_ParseWithLengthOpts(copy, length + 1, NULL, true))) status = status_memory();
    if (!status) status = tie_all(json, text);
    memory_free(copy);
    if (status) json_free(json);
    else *out = json;
    return status;
}

void json_free(Json *json)
{
    if (!json) return;
    cJSON_Delete(json->root);
    memory_free(json->spans.item);
    memory_free(json);
}

cJSON *json_root(const Json *json)
{
    return json->root;
}

void json_span(const Json *json, const cJSON *item, size_t *offset, size_t *length)
{
    const bool parsed = item && !cJSON_IsNumber(item) && item->valueint > 0 && (size_t)item->valueint <= json->spans.count;
    *offset = parsed ? json->spans.item[item->valueint - 1].offset : 0;
    *length = parsed ? json->spans.item[item->valueint - 1].length : 0;
}

bool json_is_number(const cJSON *item)
{
    return cJSON_IsNumber(item) || (cJSON_IsRaw(item) && item->valuestring && starts_number(item->valuestring[0]));
}

bool json_is_integer(const cJSON *item)
{
    if (!cJSON_IsRaw(item) || !item->valuestring) return false;
    const char *digits = item->valuestring + (item->valuestring[0] == '-');
    return *digits && digits[strspn(digits, "0123456789")] == '\0';
}

bool json_integer(const cJSON *item, bool *negative, uint64_t *magnitude)
{
    if (!json_is_integer(item)) return false;
    *negative = item->valuestring[0] == '-';
    *magnitude = 0;
    for (const char *digit = item->valuestring + *negative; *digit; digit++)
        if (__builtin_mul_overflow(*magnitude, (uint64_t)10, magnitude) ||
            __builtin_add_overflow(*magnitude, (uint64_t)(*digit - '0'), magnitude))
            return false;
    return true;
}

double json_double(const cJSON *item)
{
    if (cJSON_IsNumber(item)) return item->valuedouble;
    const locale_t c =
        newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a point, whatever the program around us has set; glibc's is static */
    const double value = json_is_number(item) && c ? strtod_l(item->valuestring, NULL, c) : 0;
    if (c) freelocale(c);
    return value;
}

cJSON *json_get(const cJSON *object, const char *name)
{
    cJSON *last = NULL;
    for (cJSON *item = cJSON_IsObject(object) ? object->child : NULL; item; item = item->next)
        if (item->string && !strcmp(item->string, name)) last = item;
    return last;
}

const char *json_string(const cJSON *item)
{
    return cJSON_IsString(item) ? item->valuestring : NULL;
}
