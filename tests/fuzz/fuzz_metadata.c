/* fuzz_metadata.c: any bytes as a PNG or WebP file. Texts end where they say; the workflow in them is a text of JSON or handed on
 * as it is. */
#include "engine/formats/metadata.h"
#include "engine/base/memory.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static void look_for_workflow(const uint8_t *data, size_t size, bool saved)
{
    char *json;
    const char *key;
    NodusStatus status = metadata_workflow(data, size, saved, &json, &key);
    require(!status == (json != NULL));
    if (!status) require(!strcmp(key, "prompt") || !strcmp(key, "workflow"));
    nodus_error_free(status);
    memory_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Metadata metadata;
    NodusStatus status = metadata_read(data, size, &metadata);
    if (!status) {
        require(metadata.format && metadata_is_picture(data, size));
        for (size_t i = 0; i < metadata.count; i++)
            require(metadata.text[i].length == strlen(metadata.text[i].value) && *metadata.text[i].key);
        metadata_free(&metadata);
    }
    nodus_error_free(status);
    look_for_workflow(data, size, false);
    look_for_workflow(data, size, true);
    return 0;
}
