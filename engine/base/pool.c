/* pool.c: worker threads for parallel sections.
 *
 * One idea: a section is a door. The caller opens it, workers that come by in time enter, take parts from a counter and leave;
 * when the counter is used up the caller shuts the door and waits until nobody is inside. A worker that sleeps through a section
 * costs nothing, and nobody can see the next section's fields with this section's counter. The door is one atomic word:
 * generation, open bit, number of workers inside. */
#include "engine/base/pool.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#if defined(__SSE__)
#include <immintrin.h>
#endif

#define SPIN_SECONDS 50e-6
#define INSIDE_MASK  UINT64_C(0xffff)
#define OPEN         UINT64_C(0x10000)
#define GENERATION   UINT64_C(0x20000)
enum { POOL_MAX_THREADS = 1024 };

struct Pool {
    int threads, started;
    pthread_t *thread;
    double spin;
    pthread_mutex_t section; /* held by the caller whose section runs */

    void (*body)(void *state, int64_t part);
    void *state;
    int64_t parts;
    _Alignas(64) _Atomic int64_t next;
    _Alignas(64) _Atomic uint64_t door;
    atomic_bool quit;

    pthread_mutex_t lock; /* for sleeping only */
    pthread_cond_t opened, left;
    atomic_int sleepers;
};

static _Thread_local bool inside_a_part;

/* Denormals cost a hundred cycles each and mean nothing to a picture; every thread that computes must treat them alike, or
 * results would depend on who took which part. */
static unsigned float_mode_begin(void)
{
#if defined(__SSE__)
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040); /* FTZ, DAZ */
    return mode;
#else
    return 0;
#endif
}

static void float_mode_end(unsigned mode)
{
#if defined(__SSE__)
    _mm_setcsr(mode);
#else
    (void)mode;
#endif
}

static void relax(void)
{
#if defined(__SSE__)
    _mm_pause();
#endif
}

static void take_parts(Pool *pool)
{
    inside_a_part = true;
    for (int64_t part; (part = atomic_fetch_add(&pool->next, 1)) < pool->parts;) pool->body(pool->state, part);
    inside_a_part = false;
}

static bool is_new(uint64_t door, uint64_t seen)
{
    return (door & OPEN) && door / GENERATION != seen;
}

/* Whether the worker may go on: a section that it has not seen is open, or the pool ends. */
static bool has_news(Pool *pool, uint64_t seen)
{
    return is_new(atomic_load(&pool->door), seen) || atomic_load(&pool->quit);
}

static void wait_for_news(Pool *pool, uint64_t seen)
{
    for (const double end = file_clock() + pool->spin; file_clock() < end;)
        for (int i = 0; i < 32; i++, relax())
            if (has_news(pool, seen)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1); /* before the last look, so that an opener sees a sleeper or the sleeper the door */
    while (!has_news(pool, seen)) pthread_cond_wait(&pool->opened, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void leave(Pool *pool)
{
    const uint64_t door = atomic_fetch_sub(&pool->door, 1) - 1;
    if (door & (OPEN | INSIDE_MASK)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->left);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker(void *argument)
{
    Pool *pool = argument;
    float_mode_begin();
    for (uint64_t seen = 0; !atomic_load(&pool->quit); wait_for_news(pool, seen)) {
        uint64_t door = atomic_load(&pool->door);
        while (is_new(door, seen))
            if (atomic_compare_exchange_weak(&pool->door, &door, door + 1)) {
                seen = door / GENERATION;
                take_parts(pool);
                leave(pool);
            }
    }
    return NULL;
}

/* Workers must not receive the process's signals: Ctrl-C belongs to the thread that reads it. */
static NodusStatus start_workers(Pool *pool)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int fault = 0;
    while (!fault && pool->started < pool->threads - 1) {
        fault = pthread_create(&pool->thread[pool->started], NULL, worker, pool);
        if (!fault) pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!fault) return NULL;
    return nodus_error(NODUS_ERROR_MEMORY, "cannot start thread %d of %d: %s; use fewer threads", pool->started + 2,
                       pool->threads, strerror(fault));
}

NodusStatus pool_new(int threads, Pool **out)
{
    if (threads < 1 || threads > POOL_MAX_THREADS)
        return nodus_error(NODUS_ERROR_INPUT, "%d threads: the number must be 1 to %d", threads, POOL_MAX_THREADS);
    Pool *pool = memory_aligned(sizeof *pool);
    if (!pool) return status_memory();
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    pool->spin = threads <= pool_cpus() ? SPIN_SECONDS : 0; /* spinning helps only while every thread has a CPU */
    pthread_mutex_init(&pool->section, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->opened, NULL);
    pthread_cond_init(&pool->left, NULL);
    pool->thread = memory_array((size_t)threads, sizeof *pool->thread);
    NodusStatus status = pool->thread ? start_workers(pool) : status_memory();
    if (status) pool_free(pool);
    else *out = pool;
    return status;
}

void pool_free(Pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->quit, true);
    pthread_cond_broadcast(&pool->opened);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->opened);
    pthread_cond_destroy(&pool->left);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->section);
    memory_free(pool->thread);
    memory_free(pool);
}

int pool_threads(const Pool *pool)
{
    return pool->threads;
}

static void open_door(Pool *pool)
{
    atomic_store(&pool->next, 0);
    const uint64_t generation = atomic_load(&pool->door) / GENERATION + 1;
    atomic_store(&pool->door, generation * GENERATION | OPEN);
    if (!atomic_load(&pool->sleepers)) return;
    pthread_mutex_lock(&pool->lock);
    int64_t wanted = pool->parts - 1 < pool->started ? pool->parts - 1 : pool->started;
    while (wanted-- > 0) pthread_cond_signal(&pool->opened);
    pthread_mutex_unlock(&pool->lock);
}

static void shut_door(Pool *pool)
{
    if (!(atomic_fetch_and(&pool->door, ~OPEN) & INSIDE_MASK)) return;
    for (const double end = file_clock() + pool->spin; file_clock() < end;)
        for (int i = 0; i < 32; i++, relax())
            if (!(atomic_load(&pool->door) & INSIDE_MASK)) return;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->door) & INSIDE_MASK) pthread_cond_wait(&pool->left, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void pool_each(void *pool_, int64_t parts, void (*body)(void *state, int64_t part), void *state)
{
    Pool *pool = pool_;
    if (inside_a_part) { /* the workers are busy with the part that asks */
        for (int64_t part = 0; part < parts; part++) body(state, part);
        return;
    }
    if (parts < 1) return;
    pthread_mutex_lock(&pool->section);
    pool->body = body;
    pool->state = state;
    pool->parts = parts;
    const unsigned mode = float_mode_begin();
    const bool alone = parts == 1 || !pool->started;
    if (alone) atomic_store(&pool->next, 0);
    else open_door(pool);
    take_parts(pool);
    if (!alone) shut_door(pool);
    float_mode_end(mode);
    pthread_mutex_unlock(&pool->section);
}
