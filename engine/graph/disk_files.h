/* disk_files.h: a folder of files named by signatures, each whole or absent, together never larger than a bound, whatever many
 * processes do there and whenever they die. */
#ifndef GRAPH_DISK_FILES_H
#define GRAPH_DISK_FILES_H
#include "engine/base/hash.h"

typedef struct DiskFiles {
    const char *folder;
    uint64_t bound;
    int patience; /* milliseconds to wait for the lock */
    bool counted; /* this process has seen what is there: from then on the sum in the lock file is trusted */
} DiskFiles;

enum { DISK_FILES_NAME = 33 };
/* Writes a file unless it is there; then only its time changes. It is worth keeping for `keep` seconds from now. *stored: it is
 * there now; false without an error when others kept the folder locked for too long. One thread a DiskFiles at a time. */
NodusStatus disk_files_store(DiskFiles *files, Hash128 name, const uint8_t *data, size_t size, double keep, bool *stored);
/* Moves the time of a file that was read; without success where the folder is read-only. */
void disk_files_touch(const char *path, double keep);
bool disk_files_parse(const char *text, Hash128 *name); /* whether a file's name is a signature */
char *disk_files_path(const char *folder, Hash128 name); /* memory_free; NULL when out of memory */
#endif
