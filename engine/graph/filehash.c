/* filehash.c: hashes of files, remembered by (device, inode, size, times).
 *
 * One idea: a picture that is written again with the same bytes is the same input, so content decides, not time; but hashing a
 * checkpoint of gigabytes at each start would cost more than loading it, so of large files only both ends are read and the time
 * counts. */
#include "engine/graph/filehash.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/graph/hashmap.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

enum { WHOLE_UP_TO = 64 << 20, END_BYTES = 1 << 20 };

typedef struct Stamp {
    uint64_t device, inode, size, modified[2], changed[2];
} Stamp;

struct FileHashes {
    pthread_mutex_t lock;
    HashMap known; /* hash of a stamp → Hash128 * */
};

NodusStatus filehash_new(FileHashes **out)
{
    FileHashes *files = memory_alloc(sizeof *files);
    if (!files) return status_memory();
    pthread_mutex_init(&files->lock, NULL);
    *out = files;
    return NULL;
}

void filehash_free(FileHashes *files)
{
    if (!files) return;
    for (size_t i = 0; i < files->known.capacity; i++) memory_free(files->known.slot[i].value);
    hashmap_free(&files->known);
    pthread_mutex_destroy(&files->lock);
    memory_free(files);
}

static NodusStatus read_hash(const char *path, const Stamp *stamp, Hash128 *out)
{
    FileMap map;
    if (!stamp->size) {
        *out = hash_of("", 0);
        return NULL;
    }
    NODUS_TRY(file_map(path, &map));
    if (map.size <= WHOLE_UP_TO) {
        *out = hash_of(map.data, map.size);
    } else {
        const Hash128 ends[3] = {hash_of(map.data, END_BYTES),
                                 hash_of(map.data + map.size - END_BYTES, END_BYTES),
                                 {stamp->size, stamp->modified[0] * 1000000000 + stamp->modified[1]}};
        *out = hash_of(ends, sizeof ends);
    }
    file_unmap(&map);
    return NULL;
}

static void remember(FileHashes *files, Hash128 key, Hash128 value)
{
    Hash128 *copy = memory_alloc(sizeof *copy);
    if (!copy) return;
    *copy = value;
    pthread_mutex_lock(&files->lock);
    if (hashmap_get(&files->known, key) || !hashmap_put(&files->known, key, copy)) memory_free(copy);
    pthread_mutex_unlock(&files->lock);
}

NodusStatus filehash_get(FileHashes *files, const char *path, Hash128 *out)
{
    struct stat info;
    if (stat(path, &info)) return nodus_error(NODUS_ERROR_FILE, "cannot read '%s': %s", path, strerror(errno));
    const Stamp stamp = {info.st_dev,
                         info.st_ino,
                         (uint64_t)info.st_size,
                         {(uint64_t)info.st_mtim.tv_sec, (uint64_t)info.st_mtim.tv_nsec},
                         {(uint64_t)info.st_ctim.tv_sec, (uint64_t)info.st_ctim.tv_nsec}};
    const Hash128 key = hash_of(&stamp, sizeof stamp);
    pthread_mutex_lock(&files->lock);
    const Hash128 *known = hashmap_get(&files->known, key);
    if (known) *out = *known;
    pthread_mutex_unlock(&files->lock);
    if (known) return NULL;
    NODUS_TRY(read_hash(path, &stamp, out));
    remember(files, key, *out);
    return NULL;
}
