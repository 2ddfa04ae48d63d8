/* metadata.h: the texts in a picture file, without its pixels: PNG's tEXt, zTXt and iTXt chunks before and behind the pixels,
 * WebP's EXIF chunk. That is where ComfyUI and nodus keep the workflow. Hostile input. */
#ifndef FORMATS_METADATA_H
#define FORMATS_METADATA_H
#include "engine/base/status.h"

typedef struct MetadataText {
    char *key, *value; /* UTF-8 as far as the file keeps to the rules; no NUL inside */
    size_t length;     /* of the value */
} MetadataText;

typedef struct Metadata {
    const char *format; /* "PNG", "WebP" */
    uint32_t width, height;
    MetadataText *text; /* in the order of the file */
    size_t count, capacity;
    size_t damaged; /* chunks that were left out */
} Metadata;

bool metadata_is_picture(const void *data, size_t size);
/* A file that ends early gives what came before. */
NodusStatus metadata_read(const void *data, size_t size, Metadata *out);
void metadata_free(Metadata *metadata);
const char *metadata_get(const Metadata *metadata, const char *key); /* NULL when absent; of several the first */

/* See nodus_picture_workflow. */
NodusStatus metadata_workflow(const void *data, size_t size, bool saved, char **json, const char **key);

/* For the readers of single formats. Takes both texts, also when it fails; either may be NULL (out of memory). */
NodusStatus metadata_add(Metadata *metadata, char *key, char *value);
NodusStatus metadata_read_png(const uint8_t *data, size_t size, Metadata *out);
NodusStatus metadata_read_webp(const uint8_t *data, size_t size, Metadata *out);
#endif
