/* hash.h: XXH3-128 behind NodusHash; see nodus/tensor.h for how values are framed. */
#ifndef BASE_HASH_H
#define BASE_HASH_H
#include <nodus/tensor.h>

typedef struct Text Text;

typedef struct Hash128 { uint64_t low, high; } Hash128;
NodusHash *hash_new(void); /* NULL when out of memory */
void hash_reset(NodusHash *hash);
Hash128 hash_value(const NodusHash *hash);
void hash_free(NodusHash *hash);
static inline bool hash_equal(Hash128 a, Hash128 b) { return a.low == b.low && a.high == b.high; }
Hash128 hash_of(const void *data, size_t size); /* one buffer at once */
/* What a hash took, in another process: from now on every byte that goes in, frames too, is also added to `listener`; and such bytes into
 * another hash. */
void hash_listen(NodusHash *hash, Text *listener);
void hash_again(NodusHash *hash, const void *data, size_t size);
/* 32 hexadecimal digits and a NUL. */
void hash_hex(Hash128 hash, char out[33]);
#endif
