/* test_cache.c: claims, pins, storages that are shared, eviction, and what several threads see. The keys' map, too. */
#include "engine/base/memory.h"
#include "engine/graph/cache.h"
#include "engine/graph/hashmap.h"
#include "tests/support.h"
#include "tests/test.h"
#include <pthread.h>

/* A payload that says it holds 1 MB at `identity`; freeing is counted. */
typedef struct {
    const void *identity;
} Payload;
static atomic_int freed;

static void payload_free(void *payload)
{
    atomic_fetch_add(&freed, 1);
    memory_free(payload);
}

static void payload_account(const void *payload, NodusAccount *account)
{
    nodus_account(account, ((const Payload *)payload)->identity, "cpu", 1000000);
    nodus_account(account, ((const Payload *)payload)->identity, "cpu", 1000000); /* reported twice, it counts once */
}

static const NodusType payload_type = {
    .struct_size = sizeof payload_type, .name = "PAYLOAD", .free = payload_free, .account = payload_account};

static Result *result_with(const void *identity, double seconds)
{
    Result *result;
    NodusValue *value;
    Payload *payload = memory_alloc(sizeof *payload);
    payload->identity = identity;
    if (result_new(1, &result) || value_payload(&payload_type, payload, &value) || result_append(result, 0, value))
        fail_msg("out of memory");
    result->seconds = seconds;
    return result;
}

/* Makes the result of `key` if it is not there; the entry is pinned. */
static CacheEntry *entry_of(Cache *cache, uint64_t key, const void *identity, bool *made)
{
    CacheClaim claim;
    CacheEntry *entry;
    for (;;) {
        static const Cancel never;
        if (cache_claim(cache, (Hash128){key, key}, &claim, &entry)) fail_msg("claim");
        if (claim != CACHE_WAIT) break;
        cache_wait(cache, (Hash128){key, key}, &never);
    }
    if (made) *made = claim == CACHE_MINE;
    if (claim == CACHE_HIT) return entry;
    Result *result = result_with(identity, 1);
    if (cache_publish(cache, entry, result)) fail_msg("publish");
    result_unref(result);
    return entry;
}

typedef struct Fixture {
    Budget *budget;
    Cache *cache;
} Fixture;

static Fixture open_cache(size_t bytes, bool keep)
{
    Fixture fixture;
    if (budget_new(bytes, &fixture.budget) || cache_new(fixture.budget, keep, &fixture.cache)) fail_msg("out of memory");
    atomic_store(&freed, 0);
    return fixture;
}

static void close_cache(Fixture fixture)
{
    cache_free(fixture.cache);
    assert_int_equal(budget_used(fixture.budget), 0);
    budget_free(fixture.budget);
}

static int here[64];

TEST(the_first_claim_is_mine_the_second_waits_and_a_later_one_hits)
{
    Fixture fixture = open_cache(1 << 30, true);
    CacheClaim claim;
    CacheEntry *mine, *other;
    const Hash128 key = {1, 2};
    assert_null(cache_lookup(fixture.cache, key));
    assert_ok(cache_claim(fixture.cache, key, &claim, &mine));
    assert_int_equal(claim, CACHE_MINE);
    assert_ok(cache_claim(fixture.cache, key, &claim, &other));
    assert_int_equal(claim, CACHE_WAIT);
    assert_null(cache_lookup(fixture.cache, key)); /* not there yet */
    Result *result = result_with(&here[0], 1);
    assert_ok(cache_publish(fixture.cache, mine, result));
    result_unref(result);
    assert_ok(cache_claim(fixture.cache, key, &claim, &other));
    assert_int_equal(claim, CACHE_HIT);
    assert_ptr_equal(other, mine);
    cache_release(fixture.cache, mine);
    cache_release(fixture.cache, other);
    assert_int_equal(atomic_load(&freed), 0); /* kept */
    close_cache(fixture);
    assert_int_equal(atomic_load(&freed), 1);
}

TEST(an_abandoned_claim_can_be_taken_again)
{
    Fixture fixture = open_cache(1 << 30, true);
    CacheClaim claim;
    CacheEntry *entry;
    assert_ok(cache_claim(fixture.cache, (Hash128){1, 1}, &claim, &entry));
    cache_abandon(fixture.cache, entry);
    assert_ok(cache_claim(fixture.cache, (Hash128){1, 1}, &claim, &entry));
    assert_int_equal(claim, CACHE_MINE);
    cache_abandon(fixture.cache, entry);
    close_cache(fixture);
}

TEST(a_shared_storage_counts_once)
{
    Fixture fixture = open_cache(1 << 30, true);
    CacheEntry *entry[10];
    for (uint64_t i = 0; i < 10; i++) entry[i] = entry_of(fixture.cache, i, &here[0], NULL);
    (void)state_;
    assert_true(budget_used(fixture.budget) > 1000000 && budget_used(fixture.budget) < 1100000);
    for (int i = 0; i < 10; i++) cache_release(fixture.cache, entry[i]);
    close_cache(fixture);
    assert_int_equal(atomic_load(&freed), 10);
}

TEST(a_storage_goes_with_all_that_hold_it)
{
    (void)state_;
    Fixture fixture = open_cache(2500000, true);
    for (uint64_t i = 0; i < 5; i++) cache_release(fixture.cache, entry_of(fixture.cache, i, &here[0], NULL));
    cache_release(fixture.cache, entry_of(fixture.cache, 10, &here[1], NULL));
    assert_int_equal(atomic_load(&freed), 0);
    for (uint64_t i = 11; i < 14; i++) cache_release(fixture.cache, entry_of(fixture.cache, i, &here[i], NULL));
    assert_true(budget_used(fixture.budget) <= 2500000);
    assert_null(cache_lookup(fixture.cache, (Hash128){0, 0}));
    assert_null(cache_lookup(fixture.cache, (Hash128){4, 4}));
    assert_true(atomic_load(&freed) >= 6);
    close_cache(fixture);
    assert_int_equal(atomic_load(&freed), 9);
}

TEST(what_is_pinned_stays_though_the_budget_is_exceeded)
{
    (void)state_;
    Fixture fixture = open_cache(1500000, true);
    CacheEntry *entry[4];
    for (uint64_t i = 0; i < 4; i++) entry[i] = entry_of(fixture.cache, i, &here[i], NULL);
    assert_true(budget_used(fixture.budget) > 4000000);
    assert_int_equal(atomic_load(&freed), 0);
    for (int i = 0; i < 4; i++) {
        assert_non_null(cache_result(entry[i]));
        cache_release(fixture.cache, entry[i]);
    }
    cache_release(fixture.cache, entry_of(fixture.cache, 9, &here[9], NULL));
    assert_true(budget_used(fixture.budget) <= 1500000);
    close_cache(fixture);
}

TEST(a_result_outlives_its_entry_while_someone_holds_it)
{
    (void)state_;
    Fixture fixture = open_cache(1 << 30, false);
    CacheEntry *entry = entry_of(fixture.cache, 1, &here[0], NULL);
    Result *result = result_ref(cache_result(entry));
    cache_release(fixture.cache, entry);
    assert_int_equal(atomic_load(&freed), 0);
    result_unref(result);
    assert_int_equal(atomic_load(&freed), 1);
    close_cache(fixture);
}

TEST(without_keep_an_entry_goes_with_its_last_user)
{
    (void)state_;
    Fixture fixture = open_cache(1 << 30, false);
    CacheEntry *entry = entry_of(fixture.cache, 1, &here[0], NULL), *again = cache_lookup(fixture.cache, (Hash128){1, 1});
    assert_ptr_equal(entry, again);
    cache_release(fixture.cache, entry);
    assert_true(budget_used(fixture.budget) > 1000000);
    cache_release(fixture.cache, again);
    assert_int_equal(budget_used(fixture.budget), 0);
    assert_null(cache_lookup(fixture.cache, (Hash128){1, 1}));
    close_cache(fixture);
}

TEST(waiting_ends_when_the_run_is_cancelled)
{
    Fixture fixture = open_cache(1 << 30, true);
    CacheClaim claim;
    CacheEntry *entry;
    Cancel cancel;
    atomic_init(&cancel.set, 1);
    assert_ok(cache_claim(fixture.cache, (Hash128){1, 1}, &claim, &entry));
    cache_wait(fixture.cache, (Hash128){1, 1}, &cancel);
    cache_abandon(fixture.cache, entry);
    close_cache(fixture);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------- */

enum { KEYS = 50, TURNS = 2000 };
typedef struct Worker {
    Cache *cache;
    uint64_t seed;
} Worker;
static atomic_int made[KEYS];

static void *work(void *user)
{
    const Worker *worker = user;
    uint64_t state = worker->seed;
    CacheEntry *held[4] = {NULL};
    for (int i = 0; i < TURNS; i++) {
        const uint64_t key = (uint64_t)support_between(&state, 0, KEYS - 1);
        bool mine;
        cache_release(worker->cache, held[i % 4]);
        held[i % 4] = entry_of(worker->cache, key, &here[key % 8], &mine);
        if (mine) atomic_fetch_add(&made[key], 1);
        const Payload *payload = cache_result(held[i % 4])->slot[0].item[0]->as.payload;
        if (payload->identity != &here[key % 8]) atomic_fetch_add(&made[0], 1000000); /* somebody else's result */
    }
    for (int i = 0; i < 4; i++) cache_release(worker->cache, held[i]);
    return NULL;
}

static void race(size_t budget, bool keep)
{
    Fixture fixture = open_cache(budget, keep);
    pthread_t thread[4];
    Worker worker[4];
    for (int i = 0; i < KEYS; i++) atomic_store(&made[i], 0);
    for (int i = 0; i < 4; i++) {
        worker[i] = (Worker){fixture.cache, (uint64_t)i * 77 + 1};
        assert_int_equal(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    int total = 0;
    for (int i = 0; i < KEYS; i++) total += atomic_load(&made[i]);
    assert_true(total < 1000000);
    if (keep && budget > 100000000) assert_int_equal(total, KEYS); /* once each */
    const int living = (int)cache_counters(fixture.cache).entries;
    assert_int_equal(total, atomic_load(&freed) + living);
    close_cache(fixture);
    assert_int_equal(atomic_load(&freed), total);
}

TEST(four_threads_make_each_result_once)
{
    (void)state_;
    race(1 << 30, true);
}

TEST(four_threads_and_a_small_budget_lose_nothing)
{
    (void)state_;
    race(3500000, true);
    race(1 << 30, false);
}

/* ---- The map ------------------------------------------------------------------------------------------------------- */

TEST(the_map_agrees_with_an_array_under_random_changes)
{
    (void)state_;
    HashMap map = {0};
    uint64_t state = 3;
    static void *twin[512];
    for (int turn = 0; turn < 100000; turn++) {
        const uint64_t k = (uint64_t)support_between(&state, 0, 511);
        const Hash128 key = {k * 3 % 64, k}; /* many collisions */
        if (support_between(&state, 0, 2)) {
            twin[k] = &here[k % 64];
            assert_true(hashmap_put(&map, key, twin[k]));
        } else {
            twin[k] = NULL;
            hashmap_remove(&map, key);
        }
        const uint64_t other = (uint64_t)support_between(&state, 0, 511);
        assert_ptr_equal(hashmap_get(&map, (Hash128){other * 3 % 64, other}), twin[other]);
    }
    size_t count = 0;
    for (int k = 0; k < 512; k++) count += twin[k] != NULL;
    assert_int_equal(map.count, count);
    hashmap_free(&map);
}

TEST_MAIN(CASE(the_first_claim_is_mine_the_second_waits_and_a_later_one_hits), CASE(an_abandoned_claim_can_be_taken_again),
          CASE(a_shared_storage_counts_once), CASE(a_storage_goes_with_all_that_hold_it),
          CASE(what_is_pinned_stays_though_the_budget_is_exceeded), CASE(a_result_outlives_its_entry_while_someone_holds_it),
          CASE(without_keep_an_entry_goes_with_its_last_user), CASE(waiting_ends_when_the_run_is_cancelled),
          CASE(four_threads_make_each_result_once), CASE(four_threads_and_a_small_budget_lose_nothing),
          CASE(the_map_agrees_with_an_array_under_random_changes))
