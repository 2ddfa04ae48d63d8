/* cache.c: entries (results) and chunks (storages), both in hash maps under one lock.
 *
 * One idea: what the budget evicts is a chunk: one piece of memory, with the entries that hold it. Evicting it forgets those
 * entries, which is exactly what frees the memory. Every entry has besides a chunk of its own for the small things. Pinning an
 * entry pins its chunks.
 *
 * Order of locks: publish, cache, budget. Only budget_add evicts, and eviction calls back here: so it is called with the publish
 * lock alone. */
#include "engine/graph/cache.h"
#include "engine/base/memory.h"
#include "engine/graph/disk.h"
#include "engine/graph/hashmap.h"
#include "engine/graph/signature.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum {
    WAIT_NANOSECONDS = 20000000, /* between looks at the cancel token */
    READ_AHEAD_SHARE = 2,        /* of the budget may be pinned before a look-up leaves values on disk */
    UNPACKED = 2                 /* a value takes so many times its file, as a rule at most */
};

typedef struct Chunk {
    Cache *cache;
    Hash128 key; /* of its identity; unused for an entry's own chunk */
    bool shared; /* in the map */
    size_t bytes;
    BudgetEntry *budget; /* NULL while it is being added */
    CacheEntry **holder;
    size_t holders, capacity;
} Chunk;

struct CacheEntry {
    Hash128 signature;
    Result *result; /* NULL while it is being made */
    size_t bytes;   /* that it holds, shared ones included */
    int pins;       /* users; each pins all chunks */
    bool forgotten; /* out of the map; goes with its last user */
    Chunk **chunk;  /* the first is the entry's own */
    size_t chunks;
};

struct Cache {
    pthread_mutex_t publish; /* one result is accounted at a time */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a claim was published or abandoned */
    Budget *budget;
    Disk *disk; /* NULL: none */
    bool keep;
    HashMap entries, chunks;
    CacheCounters counters;
};

NodusStatus cache_new(Budget *budget, bool keep, Cache **out)
{
    Cache *cache = memory_alloc(sizeof *cache);
    if (!cache) return status_memory();
    pthread_mutex_init(&cache->publish, NULL);
    pthread_mutex_init(&cache->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&cache->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    cache->budget = budget;
    cache->keep = keep;
    *out = cache;
    return NULL;
}

void cache_use_disk(Cache *cache, Disk *disk)
{
    cache->disk = disk;
}

/* ---- Forgetting ---------------------------------------------------------------------------------------------------- */

static void entry_free(CacheEntry *entry)
{
    result_unref(entry->result);
    memory_free(entry->chunk);
    memory_free(entry);
}

static void chunk_free(Chunk *chunk)
{
    memory_free(chunk->holder);
    memory_free(chunk);
}

/* The chunk leaves the map and the budget, unless its eviction has begun: then the eviction frees it. Cache locked. */
static void chunk_bury(Chunk *chunk)
{
    Cache *cache = chunk->cache;
    if (chunk->shared && hashmap_get(&cache->chunks, chunk->key) == chunk) hashmap_remove(&cache->chunks, chunk->key);
    if (!chunk->budget) {
        chunk_free(chunk);
    } else if (budget_pin(cache->budget, chunk->budget)) {
        budget_remove(cache->budget, chunk->budget);
        chunk_free(chunk);
    }
}

static void drop_holder(Chunk *chunk, const CacheEntry *entry)
{
    for (size_t i = 0; i < chunk->holders; i++)
        if (chunk->holder[i] == entry) chunk->holder[i] = chunk->holder[--chunk->holders];
}

/* Takes an unpinned entry out of map and chunks; the caller frees it once the cache is unlocked. `but`: a chunk that is buried
 * already. */
static void entry_forget(Cache *cache, CacheEntry *entry, const Chunk *but)
{
    if (hashmap_get(&cache->entries, entry->signature) == entry) hashmap_remove(&cache->entries, entry->signature);
    for (size_t i = 0; i < entry->chunks; i++) {
        Chunk *chunk = entry->chunk[i];
        drop_holder(chunk, entry);
        if (chunk != but && !chunk->holders) chunk_bury(chunk);
    }
    entry->chunks = 0;
}

/* The budget's call: this memory has to go, and no holder of it is pinned. */
static void evict(void *owner)
{
    Chunk *chunk = owner;
    Cache *cache = chunk->cache;
    CacheEntry *dead = NULL;
    do { /* one entry at a time: freeing a payload may take long, and needs no lock */
        pthread_mutex_lock(&cache->lock);
        dead = chunk->holders ? chunk->holder[0] : NULL;
        if (dead) entry_forget(cache, dead, chunk);
        else if (chunk->shared && hashmap_get(&cache->chunks, chunk->key) == chunk) hashmap_remove(&cache->chunks, chunk->key);
        cache->counters.evicted += dead != NULL;
        pthread_mutex_unlock(&cache->lock);
        if (dead) entry_free(dead);
    } while (dead);
    chunk_free(chunk);
}

void cache_free(Cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < cache->entries.capacity;) { /* forgetting moves entries, so a slot is looked at until it is empty */
        CacheEntry *entry = cache->entries.slot[i].value;
        if (!entry) {
            i++;
            continue;
        }
        entry_forget(cache, entry, NULL);
        entry_free(entry);
    }
    hashmap_free(&cache->entries);
    hashmap_free(&cache->chunks);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    pthread_mutex_destroy(&cache->publish);
    memory_free(cache);
}

/* ---- Filling an entry ---------------------------------------------------------------------------------------------- */

static Hash128 key_of(const void *identity)
{
    const uint64_t address = (uintptr_t)identity;
    return (Hash128){address * 0x9e3779b97f4a7c15u >> 17, address};
}

static bool add_holder(Chunk *chunk, CacheEntry *entry)
{
    void *items = chunk->holder;
    if (!memory_reserve(&items, &chunk->capacity, chunk->holders, sizeof *chunk->holder)) return false;
    chunk->holder = items;
    chunk->holder[chunk->holders++] = entry;
    return true;
}

static Chunk *chunk_new(Cache *cache, size_t bytes)
{
    Chunk *chunk = memory_alloc(sizeof *chunk);
    if (chunk) *chunk = (Chunk){.cache = cache, .bytes = bytes};
    return chunk;
}

/* The chunk of a storage: a known one, pinned, or a new one that is not in the budget yet. Cache locked. */
static Chunk *chunk_of(Cache *cache, const AccountItem *item)
{
    const Hash128 key = key_of(item->identity);
    Chunk *chunk = hashmap_get(&cache->chunks, key);
    if (chunk && budget_pin(cache->budget, chunk->budget)) return chunk;
    chunk = chunk_new(cache, item->bytes); /* in place of one that is being evicted */
    if (!chunk) return NULL;
    chunk->key = key;
    chunk->shared = hashmap_put(&cache->chunks, key, chunk);
    if (chunk->shared) return chunk;
    chunk_free(chunk);
    return NULL;
}

static NodusStatus hold_chunk(CacheEntry *entry, Chunk *chunk)
{
    if (chunk && add_holder(chunk, entry)) {
        entry->chunk[entry->chunks++] = chunk;
        return NULL;
    }
    if (chunk && chunk->budget) budget_unpin(chunk->cache->budget, chunk->budget);
    else if (chunk) chunk_bury(chunk);
    return status_memory();
}

static NodusStatus hold_chunks(Cache *cache, CacheEntry *entry, const NodusAccount *account)
{
    entry->chunk = memory_array(account->count + 1, sizeof *entry->chunk);
    if (!entry->chunk) return status_memory();
    const size_t own = account->own + sizeof *entry + sizeof(Chunk) + sizeof(HashSlot) * 2;
    pthread_mutex_lock(&cache->lock);
    NodusStatus status = hold_chunk(entry, chunk_new(cache, own));
    for (size_t i = 0; i < account->count && !status; i++)
        if (account->item[i].bytes)
            status = hold_chunk(entry, chunk_of(cache, &account->item[i])); /* a mapped file holds nothing */
    pthread_mutex_unlock(&cache->lock);
    for (size_t i = 0; i < entry->chunks && !status; i++)
        if (!entry->chunk[i]->budget)
            status = budget_add(cache->budget, entry->chunk[i]->bytes, account->seconds, evict, entry->chunk[i],
                                &entry->chunk[i]->budget);
    return status;
}

static size_t account_bytes(const NodusAccount *account)
{
    size_t bytes = account->own;
    for (size_t i = 0; i < account->count; i++) bytes += account->item[i].bytes;
    return bytes;
}

/* Puts a result into a claimed entry and accounts for it; on failure the claim is given up. */
static NodusStatus fill(Cache *cache, CacheEntry *entry, Result *result)
{
    NodusAccount account = {.seconds = result->seconds};
    NodusStatus status = result_account(result, &account);
    pthread_mutex_lock(&cache->publish);
    if (!status) status = hold_chunks(cache, entry, &account);
    pthread_mutex_unlock(&cache->publish);
    const size_t bytes = account_bytes(&account);
    account_free(&account);
    if (status) {
        cache_abandon(cache, entry);
        return status;
    }
    pthread_mutex_lock(&cache->lock);
    entry->result = result_ref(result);
    entry->bytes = bytes;
    entry->pins = 1;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
    return NULL;
}

/* ---- Claiming ------------------------------------------------------------------------------------------------------ */

/* Pins all chunks of an entry, or none: false when one of them is being evicted. Cache locked. */
static bool entry_pin(Cache *cache, CacheEntry *entry)
{
    for (size_t i = 0; i < entry->chunks; i++) {
        if (budget_pin(cache->budget, entry->chunk[i]->budget)) continue;
        while (i--) budget_unpin(cache->budget, entry->chunk[i]->budget);
        return false;
    }
    entry->pins++;
    return true;
}

/* What memory knows of a signature; CACHE_MINE: nothing, and *entry is ours to fill (NULL when out of memory). Locked. */
static CacheClaim claim(Cache *cache, Hash128 signature, CacheEntry **entry)
{
    CacheEntry *known = hashmap_get(&cache->entries, signature);
    *entry = NULL;
    if (known && !known->result) return CACHE_WAIT;
    if (known && entry_pin(cache, known)) {
        *entry = known;
        cache->counters.hits++;
        return CACHE_HIT;
    }
    /* an entry that is being evicted is replaced in the map; its eviction leaves ours alone */
    CacheEntry *made = memory_alloc(sizeof *made);
    if (made) made->signature = signature;
    if (made && hashmap_put(&cache->entries, signature, made)) *entry = made;
    else memory_free(made);
    return CACHE_MINE;
}

static bool on_disk(Cache *cache, Hash128 signature)
{
    return cache->disk && (signature.low & SIGNATURE_KEPT) && disk_has(cache->disk, signature);
}

/* Fills a claimed entry from the disk; when it cannot, the claim is given up. The value is read outside of the lock. */
static bool fill_from_disk(Cache *cache, CacheEntry *entry)
{
    Result *result = disk_get(cache->disk, entry->signature);
    if (!result) {
        cache_abandon(cache, entry);
        return false;
    }
    NodusStatus status = fill(cache, entry, result); /* on failure it has given up the claim */
    result_unref(result);
    nodus_error_free(status);
    return !status;
}

/* One attempt with the disk behind memory. *entry is NULL with CACHE_MINE when there is no memory. */
static CacheClaim claim_through(Cache *cache, Hash128 signature, CacheEntry **entry)
{
    const bool maybe = on_disk(cache, signature);
    pthread_mutex_lock(&cache->lock);
    CacheClaim got = claim(cache, signature, entry);
    pthread_mutex_unlock(&cache->lock);
    if (got != CACHE_MINE || !maybe || !*entry) return got;
    if (fill_from_disk(cache, *entry)) return CACHE_HIT;
    pthread_mutex_lock(&cache->lock); /* the file was no good: now without it */
    got = claim(cache, signature, entry);
    pthread_mutex_unlock(&cache->lock);
    return got;
}

/* A look-up plans: what it reads stays in memory until it is used, perhaps much later. So it leaves on disk what would crowd the
 * budget; the node is then planned like others, and its claim, when it is about to run, finds the file. */
static bool may_read_ahead(Cache *cache, Hash128 signature)
{
    const size_t pinned = budget_pinned(cache->budget), share = budget_limit(cache->budget) / READ_AHEAD_SHARE;
    return pinned < share && disk_bytes(cache->disk, signature) < (share - pinned) / UNPACKED;
}

CacheEntry *cache_lookup(Cache *cache, Hash128 signature)
{
    pthread_mutex_lock(&cache->lock);
    CacheEntry *entry = hashmap_get(&cache->entries, signature);
    const bool known = entry;
    if (entry && (!entry->result || !entry_pin(cache, entry))) entry = NULL;
    cache->counters.hits += entry != NULL;
    pthread_mutex_unlock(&cache->lock);
    if (known || !on_disk(cache, signature) || !may_read_ahead(cache, signature)) return entry;
    const CacheClaim got = claim_through(cache, signature, &entry);
    if (got == CACHE_HIT) return entry;
    if (got == CACHE_MINE && entry) cache_abandon(cache, entry);
    return NULL;
}

NodusStatus cache_claim(Cache *cache, Hash128 signature, CacheClaim *got, CacheEntry **entry)
{
    *got = claim_through(cache, signature, entry);
    return *got == CACHE_MINE && !*entry ? status_memory() : NULL;
}

CachePlace cache_place(Cache *cache, Hash128 signature)
{
    pthread_mutex_lock(&cache->lock);
    const CacheEntry *entry = hashmap_get(&cache->entries, signature);
    const bool there = entry && entry->result;
    pthread_mutex_unlock(&cache->lock);
    return there ? CACHE_MEMORY : on_disk(cache, signature) ? CACHE_DISK : CACHE_NOWHERE;
}

void cache_abandon(Cache *cache, CacheEntry *entry)
{
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < entry->chunks; i++) /* those that cache_publish pinned */
        if (entry->chunk[i]->budget) budget_unpin(cache->budget, entry->chunk[i]->budget);
    entry_forget(cache, entry, NULL);
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
    entry_free(entry);
}

void cache_wait(Cache *cache, Hash128 signature, const Cancel *cancel)
{
    pthread_mutex_lock(&cache->lock);
    for (;;) {
        const CacheEntry *entry = hashmap_get(&cache->entries, signature);
        if (!entry || entry->result || atomic_load(&cancel->set)) break;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WAIT_NANOSECONDS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&cache->changed, &cache->lock, &until);
    }
    pthread_mutex_unlock(&cache->lock);
}

/* ---- Publishing and letting go ------------------------------------------------------------------------------------- */

NodusStatus cache_publish(Cache *cache, CacheEntry *entry, Result *result)
{
    NODUS_TRY(fill(cache, entry, result));
    pthread_mutex_lock(&cache->lock);
    cache->counters.published++;
    pthread_mutex_unlock(&cache->lock);
    if (cache->disk && !result->local && (entry->signature.low & SIGNATURE_KEPT))
        disk_put(cache->disk, entry->signature, result, entry->bytes);
    return NULL;
}

void cache_release(Cache *cache, CacheEntry *entry)
{
    if (!entry) return;
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < entry->chunks; i++) budget_unpin(cache->budget, entry->chunk[i]->budget);
    const bool gone = --entry->pins == 0 && (!cache->keep || entry->forgotten);
    if (gone) entry_forget(cache, entry, NULL);
    pthread_mutex_unlock(&cache->lock);
    if (gone) entry_free(entry);
}

void cache_forget(Cache *cache, Hash128 signature)
{
    pthread_mutex_lock(&cache->lock);
    CacheEntry *entry = hashmap_get(&cache->entries, signature);
    if (entry && !entry->result) entry = NULL; /* it is being made: as new as can be */
    const bool gone = entry && !entry->pins && entry_pin(cache, entry);
    if (gone) {
        for (size_t i = 0; i < entry->chunks; i++) budget_unpin(cache->budget, entry->chunk[i]->budget);
        entry_forget(cache, entry, NULL);
    } else if (entry) {
        entry->forgotten = true;
        hashmap_remove(&cache->entries, signature);
    }
    pthread_mutex_unlock(&cache->lock);
    if (gone) entry_free(entry);
    if (cache->disk && (signature.low & SIGNATURE_KEPT)) disk_forget(cache->disk, signature);
}

Result *cache_result(const CacheEntry *entry)
{
    return entry->result;
}

CacheCounters cache_counters(Cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    CacheCounters counters = cache->counters;
    counters.entries = cache->entries.count;
    pthread_mutex_unlock(&cache->lock);
    return counters;
}
