/* disk.h: the tier of the cache that outlives the process: results in files, shared by all processes that name the same folder.
 *
 * One idea: there is no index. A file's name is its signature, its size is its size, and its time is the moment until which it
 * is worth keeping (last use, and the dearer a byte of it was, the later): what has the earliest time goes first. So nothing can
 * disagree with the files, whoever is killed and when. docs/design/cache.md has the argument. Thread-safe. */
#ifndef GRAPH_DISK_H
#define GRAPH_DISK_H
#include "engine/graph/record.h"

typedef struct DiskOptions {
    const char *folder; /* made when something is stored */
    uint64_t bytes;     /* the bound */
    size_t waiting;     /* bytes of results that may wait to be written; a result that comes then is not stored */
    double least_seconds, seconds_per_byte; /* what was made faster than least + (bytes of its file) × this gets no file */
    Hash128 identity;
    const Registry *registry;
    Device *device;
    void (*warn)(void *user, const char *text); /* from any thread, at most once a kind of trouble; may be NULL */
    void *user;
} DiskOptions;

typedef struct Disk Disk;
/* A folder that is missing or cannot be used is no error: it is told when it matters. */
NodusStatus disk_open(const DiskOptions *options, Disk **out);
void disk_close(Disk *disk); /* when all that waits is written; NULL is allowed */

bool disk_has(Disk *disk, Hash128 signature); /* as far as known; costs no look at the file */
size_t disk_bytes(Disk *disk, Hash128 signature); /* of its file; 0 when there is none */
/* A new result, or NULL: not there, cut, altered, foreign, no memory. */
Result *disk_get(Disk *disk, Hash128 signature);
/* Hands a result over to be written, if it is worth a file. `bytes` of memory wait with it. */
void disk_put(Disk *disk, Hash128 signature, Result *result, size_t bytes);
void disk_forget(Disk *disk, Hash128 signature);
void disk_flush(Disk *disk); /* returns when nothing waits any more */

typedef struct DiskCounters {
    uint64_t read, written, refused; /* refused: files that were no record of their name */
} DiskCounters;
DiskCounters disk_counters(Disk *disk);
#endif
