/* filehash.h: the content of files as hashes, for signatures. A file is read once; as long as its size, times and inode stay, the
 * hash is remembered. Thread-safe. */
#ifndef GRAPH_FILEHASH_H
#define GRAPH_FILEHASH_H
#include "engine/base/hash.h"

typedef struct FileHashes FileHashes;
NodusStatus filehash_new(FileHashes **out);
void filehash_free(FileHashes *files); /* NULL is allowed */
/* Up to 64 MiB: the whole content. Larger (checkpoints): size, time of change, first and last MiB. */
NodusStatus filehash_get(FileHashes *files, const char *path, Hash128 *out);
#endif
