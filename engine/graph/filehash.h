/* filehash.h: the content of files as hashes, for signatures. A file is read once; as long as its device, inode, size and times
 * stay, the hash is remembered: of large files beyond the process, in the cache folder. Thread-safe. */
#ifndef GRAPH_FILEHASH_H
#define GRAPH_FILEHASH_H
#include "engine/base/hash.h"

typedef struct FileHashes FileHashes;
/* `folder`: where the hashes of large files are kept; NULL: nowhere. */
NodusStatus filehash_new(const char *folder, FileHashes **out);
void filehash_free(FileHashes *files); /* NULL is allowed */
/* The whole content. Without a folder, of files beyond 64 MiB: size, time of change, first and last MiB, for then the hash is
 * this process's own affair, and reading gigabytes at each start would cost more than it saves. */
NodusStatus filehash_get(FileHashes *files, const char *path, Hash128 *out);
#endif
