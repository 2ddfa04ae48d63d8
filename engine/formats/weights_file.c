/* weights_file.c: which reader a file of weights gets, and what all readers share: the mapping and the identity.
 *
 * One idea: a reader sees bytes in memory and fills a set; where the bytes come from is told here, once. The set owns the
 * mapping. */
#include "engine/formats/weights_file.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/formats/safetensors.h"
#include <string.h>
#include <sys/stat.h>

enum { SAMPLE_PAGES = 64, SAMPLE_BYTES = 4096 };

NodusStatus weights_file_identify(WeightSet *set, const uint8_t *index, size_t index_size, const uint8_t *data, size_t size)
{
    NodusHash *hash = hash_new();
    if (!hash) return status_memory();
    nodus_hash_u64(hash, size);
    nodus_hash_bytes(hash, index, index_size);
    const bool whole = size <= (size_t)SAMPLE_PAGES * SAMPLE_BYTES;
    if (whole) nodus_hash_bytes(hash, data, size);
    const size_t last = whole ? 0 : size - SAMPLE_BYTES, steps = SAMPLE_PAGES - 1;
    for (size_t i = 0; i <= steps && !whole; i++)
        nodus_hash_bytes(hash, data + last / steps * i + last % steps * i / steps, SAMPLE_BYTES);
    weights_set_identity(set, hash_value(hash));
    hash_free(hash);
    return NULL;
}

static void release_map(void *map)
{
    file_unmap(map);
    memory_free(map);
}

/* Maps the file; the set owns the mapping. */
static NodusStatus map_into(const char *path, WeightSet *set, FileMap **out)
{
    FileMap *map = memory_alloc(sizeof *map);
    if (!map) return status_memory();
    NodusStatus status = file_map(path, map);
    if (status) memory_free(map);
    else status = weights_own(set, release_map, map);
    *out = map;
    return status;
}

/* Samples could miss a change that touches few tensors, so a file's identity has its inode and times too. */
static void stamp_identity(WeightSet *set, int descriptor)
{
    struct stat info;
    struct {
        Hash128 sampled;
        uint64_t device, inode, modified, nanoseconds;
    } stamp;
    if (fstat(descriptor, &info)) return;
    memset(&stamp, 0, sizeof stamp);
    stamp.sampled = weights_identity(set);
    stamp.device = (uint64_t)info.st_dev;
    stamp.inode = (uint64_t)info.st_ino;
    stamp.modified = (uint64_t)info.st_mtim.tv_sec;
    stamp.nanoseconds = (uint64_t)info.st_mtim.tv_nsec;
    weights_set_identity(set, hash_of(&stamp, sizeof stamp));
}

typedef NodusStatus (*Read)(const uint8_t *data, size_t size, bool mapped, WeightSet *into);

static Read choose(const uint8_t *data, size_t size)
{
    return gguf_is(data, size) ? gguf_read : torch_is(data, size) ? torch_read : safetensors_read;
}

static NodusStatus open_with(const char *path, Read read, WeightSet **out)
{
    WeightSet *set;
    FileMap *map = NULL;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = map_into(path, set, &map);
    if (!status && (status = (read ? read : choose(map->data, map->size))(map->data, map->size, true, set)))
        nodus_error_prefix(status, "'%s'", path);
    if (!status) stamp_identity(set, map->descriptor);
    if (status) weights_unref(set);
    else *out = set;
    return status;
}

const char *weights_file_type(const Weight *weight)
{
    const char *blocks = gguf_type(weight);
    return blocks ? blocks : safetensors_type(weight->dtype);
}

NodusStatus checkpoint_open(const char *path, WeightSet **out)
{
    return open_with(path, NULL, out);
}

NodusStatus safetensors_open(const char *path, WeightSet **out)
{
    return open_with(path, safetensors_read, out);
}
