/* checkpoint.c: the metadata of a safetensors header: eight bytes of length, then JSON. A wish only: whatever is wrong with the
 * file, the loader will say it better, so every doubt here means "unknown". */
#include "engine/cli/checkpoint.h"
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGEST_HEADER = 100 << 20, SMALLEST_SIDE = 16, LARGEST_SIDE = 4096, SIDE_STEP = 8 };

static char *read_header(FILE *file, size_t *size)
{
    unsigned char length[8];
    uint64_t bytes = 0;
    if (fread(length, 1, sizeof length, file) != sizeof length) return NULL;
    for (int i = 7; i >= 0; i--) bytes = bytes << 8 | length[i];
    char *header = bytes && bytes <= LARGEST_HEADER ? malloc((size_t)bytes) : NULL;
    *size = (size_t)bytes;
    if (header && fread(header, 1, *size, file) == *size) return header;
    free(header);
    return NULL;
}

static bool usable(int side)
{
    return side >= SMALLEST_SIDE && side <= LARGEST_SIDE && side % SIDE_STEP == 0;
}

bool checkpoint_size(const char *path, int *width, int *height)
{
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    size_t size;
    char *header = read_header(file, &size);
    cJSON *json = header ? cJSON_ParseWithLength(header, size) : NULL;
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(json, "__metadata__");
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "modelspec.resolution"));
    const bool known = text && sscanf(text, "%5dx%5d", width, height) == 2 && usable(*width) && usable(*height);
    cJSON_Delete(json);
    free(header);
    fclose(file);
    return known;
}
