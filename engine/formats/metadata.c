/* metadata.c: which format, and which of its texts is the workflow.
 *
 * One idea: a picture may hold two: "prompt", what ran, and "workflow", what the editor shows. To run it the first is right, to
 * see and change it the second. */
#include "engine/formats/metadata.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/formats/json.h"
#include <string.h>

enum { MOST_TEXTS = 4096, MOST_LISTED = 12 };

static bool is_png(const uint8_t *data, size_t size)
{
    return size >= 8 && !memcmp(data, "\x89PNG\r\n\x1a\n", 8);
}

static bool is_webp(const uint8_t *data, size_t size)
{
    return size >= 12 && !memcmp(data, "RIFF", 4) && !memcmp(data + 8, "WEBP", 4);
}

bool metadata_is_picture(const void *data, size_t size)
{
    return is_png(data, size) || is_webp(data, size);
}

NodusStatus metadata_add(Metadata *metadata, char *key, char *value)
{
    void *items = metadata->text;
    const bool enough = key && value && metadata->count < MOST_TEXTS &&
                        memory_reserve(&items, &metadata->capacity, metadata->count, sizeof *metadata->text);
    if (enough) {
        metadata->text = items;
        metadata->text[metadata->count++] = (MetadataText){key, value, strlen(value)};
        return NULL;
    }
    const bool surplus = key && value && metadata->count >= MOST_TEXTS;
    memory_free(key);
    memory_free(value);
    metadata->damaged += surplus;
    return surplus ? NULL : status_memory();
}

NodusStatus metadata_read(const void *data, size_t size, Metadata *out)
{
    *out = (Metadata){0};
    NodusStatus status = is_png(data, size)    ? metadata_read_png(data, size, out)
                         : is_webp(data, size) ? metadata_read_webp(data, size, out)
                                               : nodus_error(NODUS_ERROR_FILE, "this is no PNG or WebP picture");
    if (status) metadata_free(out);
    return status;
}

void metadata_free(Metadata *metadata)
{
    for (size_t i = 0; i < metadata->count; i++) {
        memory_free(metadata->text[i].key);
        memory_free(metadata->text[i].value);
    }
    memory_free(metadata->text);
    *metadata = (Metadata){0};
}

const char *metadata_get(const Metadata *metadata, const char *key)
{
    for (size_t i = 0; i < metadata->count; i++)
        if (!strcmp(metadata->text[i].key, key)) return metadata->text[i].value;
    return NULL;
}

/* ---- The workflow ------------------------------------------------------------------------------------------------------- */

static NodusStatus no_workflow(const Metadata *metadata)
{
    Text keys = {0};
    for (size_t i = 0; i < metadata->count && i < MOST_LISTED; i++)
        text_format(&keys, "%s%s", i ? ", " : "", metadata->text[i].key);
    if (metadata->count > MOST_LISTED) text_add(&keys, ", …");
    NodusStatus status =
        metadata->count
            ? nodus_error(NODUS_ERROR_FILE,
                          "the picture holds no workflow (of its texts, %s, none is called "
                          "\"prompt\" or \"workflow\")",
                          text_get(&keys))
            : nodus_error(NODUS_ERROR_FILE, "the picture holds no workflow, nor any other text: perhaps it was edited, or "
                                            "sent through a service that removes such things");
    text_free(&keys);
    return status;
}

static NodusStatus is_json(const char *text, bool *out)
{
    Json *json = NULL;
    NodusStatus status = text ? json_parse(text, strlen(text), &json) : NULL;
    *out = json;
    json_free(json);
    if (status && nodus_error_kind(status) == NODUS_ERROR_MEMORY) return status;
    nodus_error_free(status);
    return NULL;
}

/* What ran, with the saved workflow for the pictures that come of it. */
static NodusStatus envelope(const char *prompt, const char *workflow, char **json)
{
    bool whole;
    Text text = {0};
    NODUS_TRY(is_json(workflow, &whole));
    text_format(&text, "{\"prompt\": %s", prompt);
    if (whole) text_format(&text, ", \"extra_data\": {\"extra_pnginfo\": {\"workflow\": %s}}", workflow);
    text_char(&text, '}');
    return text_take(&text, json);
}

/* What is no JSON is handed on as it is: who reads it says what is wrong. */
static NodusStatus copy_or_wrap(const Metadata *metadata, const char *key, char **json)
{
    const char *text = metadata_get(metadata, key);
    bool whole = false;
    if (!strcmp(key, "prompt")) NODUS_TRY(is_json(text, &whole));
    if (whole) return envelope(text, metadata_get(metadata, "workflow"), json);
    *json = memory_text(text);
    return *json ? NULL : status_memory();
}

NodusStatus metadata_workflow(const void *data, size_t size, bool saved, char **json, const char **key)
{
    Metadata metadata;
    *json = NULL;
    *key = NULL;
    NODUS_TRY(metadata_read(data, size, &metadata));
    const char *prompt = metadata_get(&metadata, "prompt"), *workflow = metadata_get(&metadata, "workflow");
    *key = workflow && (saved || !prompt) ? "workflow" : "prompt";
    NodusStatus status = prompt || workflow ? copy_or_wrap(&metadata, *key, json) : no_workflow(&metadata);
    metadata_free(&metadata);
    return status;
}
