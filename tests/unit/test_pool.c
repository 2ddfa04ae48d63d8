/* Parallel sections: every part once, nesting, callers in turn, float modes. */
#include "tests/test.h"
#include "engine/base/file.h"
#include "engine/base/pool.h"
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#if defined(__SSE__)
#include <immintrin.h>
#endif

enum { PARTS = 1000 };
static const int thread_counts[] = {1, 2, 3, 7, 16};

static void count_part(void *state, int64_t part)
{
    atomic_fetch_add(&((atomic_int *)state)[part], 1);
}

TEST(each_part_runs_once_on_any_number_of_threads)
{
    for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++) {
        Pool *pool;
        assert_ok(pool_new(thread_counts[t], &pool));
        assert_int_equal(pool_threads(pool), thread_counts[t]);
        for (int64_t parts = 0; parts <= PARTS; parts = parts * 3 + 1) {
            atomic_int counts[PARTS + 1] = {0};
            pool_each(pool, parts, count_part, counts);
            for (int64_t i = 0; i <= PARTS; i++) assert_int_equal(atomic_load(&counts[i]), i < parts);
        }
        pool_free(pool);
    }
}

TEST(many_short_sections_lose_nothing)
{
    for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++) {
        Pool *pool;
        assert_ok(pool_new(thread_counts[t], &pool));
        atomic_int counts[4] = {0};
        for (int i = 0; i < 2000; i++) {
            pool_each(pool, 4, count_part, counts);
            for (int k = 0; k < 4; k++) assert_int_equal(atomic_load(&counts[k]), i + 1); /* all done when it returns */
        }
        pool_free(pool);
    }
}

TEST(workers_wake_from_sleep)
{
    Pool *pool;
    assert_ok(pool_new(3, &pool));
    atomic_int counts[8] = {0};
    for (int i = 0; i < 20; i++) {
        usleep(1000); /* longer than the spin */
        pool_each(pool, 8, count_part, counts);
    }
    for (int i = 0; i < 8; i++) assert_int_equal(atomic_load(&counts[i]), 20);
    pool_free(pool);
}

typedef struct Nested {
    Pool *pool;
    atomic_int counts[8];
} Nested;

static void nest_part(void *state, int64_t part)
{
    Nested *nested = state;
    (void)part;
    pool_each(nested->pool, 8, count_part, nested->counts);
}

TEST(a_section_inside_a_part_runs_inline)
{
    Nested nested = {0};
    assert_ok(pool_new(3, &nested.pool));
    pool_each(nested.pool, 5, nest_part, &nested);
    for (int i = 0; i < 8; i++) assert_int_equal(atomic_load(&nested.counts[i]), 5);
    pool_free(nested.pool);
}

typedef struct Shared {
    Pool *pool;
    atomic_int owner, overlaps, parts;
} Shared;
typedef struct Caller {
    Shared *shared;
    int number;
} Caller;

static void watch_part(void *state, int64_t part)
{
    Caller *caller = state;
    (void)part;
    const int before = atomic_exchange(&caller->shared->owner, caller->number);
    if (before && before != caller->number && atomic_load(&caller->shared->parts) % 16)
        atomic_fetch_add(&caller->shared->overlaps, 1);
    atomic_fetch_add(&caller->shared->parts, 1);
}

static void *call_sections(void *argument)
{
    Caller *caller = argument;
    for (int i = 0; i < 200; i++) pool_each(caller->shared->pool, 16, watch_part, caller);
    return NULL;
}

TEST(sections_of_several_callers_take_turns)
{
    Shared shared = {0};
    assert_ok(pool_new(1, &shared.pool)); /* one thread: parts of a section are in order, so an overlap would show */
    pthread_t threads[3];
    Caller callers[3];
    for (int i = 0; i < 3; i++) {
        callers[i] = (Caller){&shared, i + 1};
        pthread_create(&threads[i], NULL, call_sections, &callers[i]);
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&shared.parts), 3 * 200 * 16);
    assert_int_equal(atomic_load(&shared.overlaps), 0);
    pool_free(shared.pool);
}

static void halve_part(void *state, int64_t part)
{
    volatile float tiny = 1.2e-38f;
    tiny = tiny / 4; /* a denormal, unless it is flushed */
    ((float *)state)[part] = tiny;
}

TEST(denormals_are_flushed_in_parts_and_kept_outside)
{
#if defined(__SSE__)
    Pool *pool;
    assert_ok(pool_new(2, &pool));
    const unsigned before = _mm_getcsr();
    float results[64];
    for (int i = 0; i < 64; i++) results[i] = 1;
    pool_each(pool, 64, halve_part, results);
    for (int i = 0; i < 64; i++) assert_true(results[i] == 0);
    assert_int_equal(_mm_getcsr() & 0x8040, before & 0x8040);
    pool_each(pool, 1, halve_part, results + 1);
    assert_int_equal(_mm_getcsr() & 0x8040, before & 0x8040);
    pool_free(pool);
#endif
}

TEST(impossible_thread_counts_are_refused)
{
    Pool *pool;
    assert_error(pool_new(0, &pool), "must be 1 to 1024");
    assert_error(pool_new(100000, &pool), "100000 threads");
    pool_free(NULL);
}

TEST(this_process_has_cpus)
{
    assert_in_range(pool_cpus(), 1, sysconf(_SC_NPROCESSORS_CONF));
}

TEST_MAIN(CASE(each_part_runs_once_on_any_number_of_threads), CASE(many_short_sections_lose_nothing),
          CASE(workers_wake_from_sleep), CASE(a_section_inside_a_part_runs_inline), CASE(sections_of_several_callers_take_turns),
          CASE(denormals_are_flushed_in_parts_and_kept_outside), CASE(impossible_thread_counts_are_refused),
          CASE(this_process_has_cpus))
