/* cache.h: results by signature, within one process, under the engine's memory budget.
 *
 * One idea: whoever wants a result claims its signature: it is there (hit), the claimer has to make it (mine), or someone is
 * making it (wait). So equal work in flight is done once, in one run or in several. Memory is accounted by storage: a tensor that
 * two results share counts once, and when it has to go, all results that hold it go with it. Behind memory lies the disk: a
 * claim or a look-up of a signature that allows it finds there what memory has not. Thread-safe. */
#ifndef GRAPH_CACHE_H
#define GRAPH_CACHE_H
#include "engine/graph/value.h"
#include "engine/tensor/budget.h"
#include "kernels/ops.h"

typedef struct Cache Cache;
typedef struct Disk Disk; /* disk.h */
typedef struct CacheEntry CacheEntry;
typedef enum CacheClaim { CACHE_HIT, CACHE_MINE, CACHE_WAIT } CacheClaim;

/* `keep`: results stay when nobody uses them any more. */
NodusStatus cache_new(Budget *budget, bool keep, Cache **out);
void cache_free(Cache *cache); /* no entry may be in use; NULL is allowed */
void cache_use_disk(Cache *cache, Disk *disk); /* before the first use; it must live as long as the last */

/* A finished result, pinned until cache_release, or NULL. A value on disk may be left there when memory is crowded: a claim
 * finds it. */
CacheEntry *cache_lookup(Cache *cache, Hash128 signature);
/* HIT: *entry is pinned. MINE: *entry is to be published or abandoned. WAIT: *entry is NULL; see cache_wait. */
NodusStatus cache_claim(Cache *cache, Hash128 signature, CacheClaim *claim, CacheEntry **entry);
/* Takes a reference of its own on the result; the entry is pinned as a hit is. On failure the claim is given up. */
NodusStatus cache_publish(Cache *cache, CacheEntry *entry, Result *result);
void cache_abandon(Cache *cache, CacheEntry *entry);
void cache_release(Cache *cache, CacheEntry *entry); /* NULL is allowed */
Result *cache_result(const CacheEntry *entry);       /* borrowed */
typedef enum CachePlace { CACHE_NOWHERE, CACHE_MEMORY, CACHE_DISK } CachePlace;
CachePlace cache_place(Cache *cache, Hash128 signature); /* where a result is, without a use of it */
/* Takes a result out, in memory and on disk; who has it pinned keeps it. */
void cache_forget(Cache *cache, Hash128 signature);
/* Returns when the one who makes that result is done with it, or the token is set. */
void cache_wait(Cache *cache, Hash128 signature, const Cancel *cancel);

typedef struct CacheCounters {
    uint64_t entries, hits, published, evicted;
} CacheCounters;
CacheCounters cache_counters(Cache *cache);
#endif
