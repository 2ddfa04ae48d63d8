/* zip.h: the members of a zip archive in memory, with the place of their bytes, so that stored ones can be used where they lie.
 * Zip64 is read; encryption, splitting over files and other methods than "stored" and "deflate" are refused. Hostile input. */
#ifndef FORMATS_ZIP_H
#define FORMATS_ZIP_H
#include "engine/base/memory.h"
#include "engine/base/status.h"

typedef struct ZipMember {
    const char *name; /* lives with the archive */
    const uint8_t *data;
    size_t packed, size; /* bytes in the file, bytes of content */
    uint32_t checksum;
    bool deflated;
} ZipMember;
typedef struct Zip {
    ZipMember *member; /* sorted by name */
    size_t count;
    Arena *names;
} Zip;
NodusStatus zip_open(const uint8_t *data, size_t size, Zip *out);
void zip_close(Zip *zip);
const ZipMember *zip_find(const Zip *zip, const char *name); /* NULL when absent */
/* The content of a deflated member in memory of its own (memory_free); its length and checksum are verified. */
NodusStatus zip_inflate(const ZipMember *member, uint8_t **out);
#endif
