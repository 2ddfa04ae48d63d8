/* hash.c: XXH3-128 as a running hash of framed values.
 *
 * One idea: each value goes in behind its length, so that no two sequences of values give the same bytes. The names of the
 * public functions say what a value is; they share one frame. */
#include "engine/base/hash.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

struct NodusHash {
    XXH3_state_t *state;
    Text *listener; /* gets a copy of all that goes in; usually NULL */
};

NodusHash *hash_new(void)
{
    NodusHash *hash = memory_alloc(sizeof *hash);
    if (hash) hash->state = XXH3_createState();
    if (hash && hash->state) {
        hash_reset(hash);
        return hash;
    }
    memory_free(hash);
    return NULL;
}

void hash_reset(NodusHash *hash)
{
    XXH3_128bits_reset(hash->state);
}

Hash128 hash_value(const NodusHash *hash)
{
    const XXH128_hash_t value = XXH3_128bits_digest(hash->state);
    return (Hash128){value.low64, value.high64};
}

void hash_free(NodusHash *hash)
{
    if (!hash) return;
    XXH3_freeState(hash->state);
    memory_free(hash);
}

Hash128 hash_of(const void *data, size_t size)
{
    const XXH128_hash_t value = XXH3_128bits(data, size);
    return (Hash128){value.low64, value.high64};
}

void hash_hex(Hash128 hash, char out[33])
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)hash.high, (unsigned long long)hash.low);
}

void hash_listen(NodusHash *hash, Text *listener)
{
    hash->listener = listener;
}

void hash_again(NodusHash *hash, const void *data, size_t size)
{
    if (size) XXH3_128bits_update(hash->state, data, size);
    if (size && hash->listener) text_add_n(hash->listener, data, size);
}

static void hash_frame(NodusHash *hash, uint64_t length)
{
    hash_again(hash, &length, sizeof length);
}

void nodus_hash_bytes(NodusHash *hash, const void *data, size_t size)
{
    hash_frame(hash, size);
    hash_again(hash, data, size);
}

void nodus_hash_text(NodusHash *hash, const char *text)
{
    if (text) nodus_hash_bytes(hash, text, strlen(text));
    else hash_frame(hash, UINT64_MAX); /* no text has this length */
}

void nodus_hash_u64(NodusHash *hash, uint64_t value)
{
    nodus_hash_bytes(hash, &value, sizeof value);
}

void nodus_hash_double(NodusHash *hash, double value)
{
    nodus_hash_bytes(hash, &value, sizeof value);
}
