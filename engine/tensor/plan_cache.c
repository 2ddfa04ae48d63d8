/* plan_cache.c: plans by key, under the budget.
 *
 * One idea: a key says all that changes a program, so an equal key is an equal program; sets of weights that differ in numbers only
 * share it (plan_with_weights). An entry costs what the plan itself takes; when it is evicted, a run that still holds the plan keeps it alive by its reference. Arenas are lent by the cache's lender. */
#include <pthread.h>
#include <string.h>
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/tensor/budget.h"
#include "engine/tensor/plan_inside.h"

typedef struct CachedPlan CachedPlan;
struct CachedPlan {
    PlanCache *cache;
    CachedPlan *next;
    PlanKey key;
    Plan *plan;
    BudgetEntry *entry;
};

struct PlanCache {
    pthread_mutex_t lock;
    Budget *budget;
    Lender *lender;
    CachedPlan *first;
    PlanCounters counters;
    PlanTrace trace;
};

NodusStatus plan_cache_new(Budget *budget, PlanCache **out)
{
    PlanCache *cache = memory_alloc(sizeof *cache);
    if (!cache) return status_memory();
    NodusStatus status = lender_new(budget, &cache->lender);
    if (status) {
        memory_free(cache);
        return status;
    }
    pthread_mutex_init(&cache->lock, NULL);
    cache->budget = budget;
    *out = cache;
    return NULL;
}

static void plan_cache_evict(void *owner)
{
    CachedPlan *cached = owner;
    PlanCache *cache = cached->cache;
    pthread_mutex_lock(&cache->lock);
    CachedPlan **at = &cache->first;
    while (*at != cached) at = &(*at)->next;
    *at = cached->next;
    pthread_mutex_unlock(&cache->lock);
    plan_unref(cached->plan);
    memory_free(cached);
}

void plan_cache_free(PlanCache *cache)
{
    if (!cache) return;
    while (cache->first) {
        CachedPlan *cached = cache->first;
        cache->first = cached->next;
        budget_remove(cache->budget, cached->entry);
        plan_unref(cached->plan);
        memory_free(cached);
    }
    lender_free(cache->lender);
    pthread_mutex_destroy(&cache->lock);
    memory_free(cache);
}

NodusStatus plan_key_begin(NodusMath *math, const WeightSet *weights, const char *builder, NodusHash **out)
{
    NodusHash *hash = hash_new();
    if (!hash) return status_memory();
    const Hash128 structure = weights_structure(weights);
    device_identity(math->device, hash);
    nodus_hash_u64(hash, structure.low);
    nodus_hash_u64(hash, structure.high);
    nodus_hash_text(hash, builder);
    *out = hash;
    return NULL;
}

PlanKey plan_key_end(NodusHash *hash)
{
    const PlanKey key = {hash_value(hash)};
    hash_free(hash);
    return key;
}

/* A reference on the cached plan of this key, or NULL. */
static Plan *plan_cache_find(PlanCache *cache, PlanKey key)
{
    Plan *plan = NULL;
    pthread_mutex_lock(&cache->lock);
    for (CachedPlan *cached = cache->first; cached && !plan; cached = cached->next)
        if (hash_equal(cached->key.hash, key.hash) && budget_pin(cache->budget, cached->entry)) {
            plan = plan_ref(cached->plan);
            budget_unpin(cache->budget, cached->entry);
            cache->counters.hits++;
        }
    pthread_mutex_unlock(&cache->lock);
    return plan;
}

NodusStatus plan_get(NodusMath *math, PlanKey key, WeightSet *weights, NodusStatus (*build)(void *context, OpGraph *graph), void *context, Plan **out)
{
    PlanCache *cache = math->plans;
    Plan *known = plan_cache_find(cache, key);
    if (known) return plan_with_weights(known, weights, out);
    CachedPlan *cached = memory_alloc(sizeof *cached);
    if (!cached) return status_memory();
    const double start = file_clock();
    Plan *plan = NULL;
    NodusStatus status = plan_new(math->device, weights, build, context, cache->trace, &plan);
    *cached = (CachedPlan){.cache = cache, .key = key, .plan = plan};
    if (!status) status = budget_add(cache->budget, plan_host_bytes(plan), file_clock() - start, plan_cache_evict, cached, &cached->entry);
    if (status) {
        plan_unref(plan);
        memory_free(cached);
        return status;
    }
    *out = plan_ref(plan);
    pthread_mutex_lock(&cache->lock);
    cached->next = cache->first;
    cache->first = cached;
    cache->counters.compiled++;
    pthread_mutex_unlock(&cache->lock);
    budget_unpin(cache->budget, cached->entry); /* the caller's reference keeps the plan; the entry may go */
    return NULL;
}

Lender *plan_cache_lender(PlanCache *cache) { return cache->lender; }

PlanCounters plan_cache_counters(PlanCache *cache)
{
    pthread_mutex_lock(&cache->lock);
    const PlanCounters counters = cache->counters;
    pthread_mutex_unlock(&cache->lock);
    return counters;
}

void plan_cache_trace(PlanCache *cache, void (*trace)(void *user, const char *pass, const char *text), void *user)
{
    cache->trace = (PlanTrace){trace, user};
}
